package filter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Sizes of an import.
const (
	// ImportBatch is how many lines are read before they are stored.
	ImportBatch = 1000
	// MaxWholeImport is the most lines of an import that is all or nothing.
	MaxWholeImport = 100_000
	// MaxImportErrors is the most lines that an import reports as wrong. It
	// stops there: going on would mean to skip lines without a word.
	MaxImportErrors = 10_000
)

// TransferOptions configure [Transfer].
type TransferOptions struct {
	// Store holds the lists. Required.
	Store TransferStore
	// Apps are the tenants; only their names count here.
	Apps map[string]Policy
	// Metrics counts lists that an import was refused for; nil counts where
	// nobody looks.
	Metrics *Metrics
}

// Transfer is the service that moves all lists of an app in and out. Unlike
// [Blocks] it does not touch the local cache: what it writes arrives there as
// everybody's writes do, by the feed. It is safe for concurrent use.
type Transfer struct {
	store   TransferStore
	apps    map[string]struct{}
	metrics *Metrics
}

// NewTransfer makes the service.
func NewTransfer(opts TransferOptions) (*Transfer, error) {
	if opts.Store == nil || len(opts.Apps) == 0 {
		return nil, errors.New("filter: transfer: a store and at least one app are required")
	}
	t := &Transfer{store: opts.Store, metrics: opts.Metrics, apps: make(map[string]struct{}, len(opts.Apps))}
	for name := range opts.Apps {
		t.apps[name] = struct{}{}
	}
	if t.metrics == nil {
		t.metrics = NewMetrics(nil)
	}
	return t, nil
}

// CheckApp returns an error with [CodeUnknownApp] for an app that is none, for a
// door that has to know before it reads a body.
func (t *Transfer) CheckApp(app string) error {
	if _, ok := t.apps[app]; !ok {
		return errUnknownApp()
	}
	return nil
}

// Export begins to read all of an app. The caller closes what it gets.
func (t *Transfer) Export(ctx context.Context, app string) (RecordReader, error) {
	if err := t.CheckApp(app); err != nil {
		return nil, err
	}
	reader, err := t.store.Export(ctx, strings.Clone(app))
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return reader, nil
}

// LineReader yields the lines of an import, for one goroutine at a time.
type LineReader interface {
	// Next returns the next record and its line, counted from 1. io.EOF is
	// the end. An error of type *[Error] is about this line, and more lines
	// may follow; with any other, reading is over.
	Next() (record Record, line int, err error)
}

// ImportRequest asks for lines to be stored.
type ImportRequest struct {
	App   string
	Lines LineReader
	Mode  ImportMode
	Actor string
}

// LineError says why a line was not stored.
type LineError struct {
	Line   int
	Code   Code
	Detail string
}

// ImportReport tells what an import did. Every line up to the one that it ended
// with is in one of the four counts.
type ImportReport struct {
	Lines                                int
	Created, Updated, Unchanged, Refused int
	Errors                               []LineError // of the refused lines, ascending
	// Through is the last line that was stored or reported; Stopped says that
	// there are more, which were not looked at.
	Through int
	Stopped bool
	// Revision is that of everything the import has stored. It is zero if it
	// took no line, or if the database went away before it could be asked.
	Revision Revision
}

// ErrImportRefused is wrapped by the error of an import that is all or nothing,
// if lines of it cannot be stored; the report names them.
var ErrImportRefused = errors.New("lines of the import cannot be stored")

// Import stores lines until they end, [MaxImportErrors] of them are wrong, or the
// store fails. Whatever is returned, the report is true: up to Through each line
// has been stored or is reported. What comes behind may have been stored in part
// if there is an error; importing all of it again is harmless.
//
// A batch of lines is one transaction for each connection that it takes, and
// within it each list takes all of its lines or none. A check cannot know what
// the lines before would have made of a list: it compares each batch with what is
// stored now.
func (t *Transfer) Import(ctx context.Context, req ImportRequest) (ImportReport, error) {
	if err := t.CheckApp(req.App); err != nil {
		return ImportReport{}, err
	}
	req.App, req.Actor = strings.Clone(req.App), strings.Clone(req.Actor)
	run := &importRun{store: t.store, req: req}
	var err error
	if req.Mode == ImportWhole {
		err = run.whole(ctx)
	} else {
		err = run.batches(ctx)
	}
	t.metrics.limitRefused.Add(float64(run.overLimit))
	if req.Mode != ImportCheck && run.report.Created+run.report.Updated+run.report.Unchanged > 0 {
		if server, mark, err := t.store.Mark(ctx); err == nil {
			run.report.Revision = NewMark(server, req.App, mark)
		}
	}
	if err != nil {
		err = fmt.Errorf("import: %w", err)
	}
	return run.report, err
}

// checkRecord holds a line to the rules that every write is held to, and brings
// its times to the precision that the database keeps.
func checkRecord(r *Record, now time.Time) error {
	list := ListID{Kind: r.Kind, Owner: r.Owner}
	r.CreatedAt, r.ExpiresAt = r.CreatedAt.Truncate(time.Microsecond), r.ExpiresAt.Truncate(time.Microsecond)
	if r.Kind == cache.KindRoom {
		if err := ValidateRoomID(r.Owner); err != nil {
			return err
		}
	} else if err := validateID("owner", r.Owner); err != nil {
		return err
	}
	if r.Target == "" {
		return nil // about a mode
	}
	if r.CreatedAt.After(now) {
		return Errorf(CodeInvalidCreatedAt, "created_at is in the future")
	}
	return checkAddition(list, &Addition{Target: r.Target, ExpiresAt: r.ExpiresAt, Note: r.Note}, now)
}

// aboutLine reports whether an error of a LineReader is about one line only.
func aboutLine(err error) (*Error, bool) {
	var wrong *Error
	return wrong, errors.As(err, &wrong)
}

// isEnd reports whether a LineReader has come to its end.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
