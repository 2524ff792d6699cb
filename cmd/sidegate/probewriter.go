package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/prober"
	"github.com/sidegate/sidegate/filter"
)

// probeNote stands beside every entry of a prober, for whoever finds one.
const probeNote = "written by a prober of sidegate; it ends by itself"

// apiWriter writes by an api listener.
type apiWriter struct {
	client *client
	app    string
}

// Block implements prober.Writer.
func (w *apiWriter) Block(ctx context.Context, owner, target string, until time.Time) (prober.Written, error) {
	until = until.UTC()
	return w.write(ctx, call{
		method: http.MethodPut, path: listPath(w.app, owner) + "/" + target, body: details{ExpiresAt: &until, Note: probeNote},
	}, http.StatusCreated)
}

// Unblock implements prober.Writer.
func (w *apiWriter) Unblock(ctx context.Context, owner, target string) (prober.Written, error) {
	written, err := w.write(ctx, call{method: http.MethodDelete, path: listPath(w.app, owner) + "/" + target}, http.StatusOK)
	if refused, ok := errors.AsType[*problem](err); ok && refused.Code == string(filter.CodeBlockNotFound) {
		return prober.Written{}, nil
	}
	return written, err
}

// write sends a write; changed is the status that says that it changed the list.
func (w *apiWriter) write(ctx context.Context, r call, changed int) (prober.Written, error) {
	status, body, err := w.client.do(ctx, r)
	if err != nil {
		return prober.Written{}, refusedOrNot(err)
	}
	var answered struct {
		Revision string `json:"revision"`
	}
	if err := w.client.decode(body, &answered); err != nil {
		return prober.Written{}, err
	}
	return prober.Written{Changed: status == changed, Revision: answered.Revision}, nil
}

// refusedOrNot says of the error of a write whether nothing was stored for certain:
// a sidegate said so, or was never reached.
func refusedOrNot(err error) error {
	if refused, ok := errors.AsType[*problem](err); ok && refused.Code != string(filter.CodeOutcomeUnknown) {
		return fmt.Errorf("%w: %w", prober.ErrRefused, err)
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
		return fmt.Errorf("%w: %w", prober.ErrRefused, err)
	}
	return err
}

// ownWriter writes by the services of this very process, as its api listener does.
type ownWriter struct {
	lists func() *filter.Blocks // those that serve now
	app   string
}

// probeSource is the door by which a prober comes, in the history of a list.
const probeSource = "probe"

// Block implements prober.Writer.
func (w *ownWriter) Block(ctx context.Context, owner, target string, until time.Time) (prober.Written, error) {
	done, err := w.lists().Block(ctx, filter.BlockRequest{
		List: filter.ListID{App: w.app, Owner: owner}, Source: probeSource,
		Addition: filter.Addition{Target: target, ExpiresAt: until, Note: probeNote},
	})
	if err != nil {
		return prober.Written{}, ownRefusal(err)
	}
	return prober.Written{Changed: done.Created, Revision: done.Revision.String()}, nil
}

// Unblock implements prober.Writer.
func (w *ownWriter) Unblock(ctx context.Context, owner, target string) (prober.Written, error) {
	done, err := w.lists().Unblock(ctx, filter.UnblockRequest{
		List: filter.ListID{App: w.app, Owner: owner}, Target: target, Source: probeSource,
	})
	if refused, ok := errors.AsType[*filter.Error](err); ok && refused.Code == filter.CodeBlockNotFound {
		return prober.Written{}, nil
	}
	if err != nil {
		return prober.Written{}, ownRefusal(err)
	}
	return prober.Written{Changed: true, Revision: done.Revision.String()}, nil
}

// ownRefusal is refusedOrNot for the service itself.
func ownRefusal(err error) error {
	if refused, ok := errors.AsType[*filter.Error](err); ok && refused.Code != filter.CodeOutcomeUnknown {
		return fmt.Errorf("%w: %w", prober.ErrRefused, err)
	}
	return err
}
