package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/bench/generator"
	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// watch looks for answers that are older than they say, while lists change and
// everybody asks. The bound from which an answer tells its age is set so low that
// each does.
func (l *lab) watch(ctx context.Context) error {
	s := l.plan.sizes[0]
	p, err := startProcess(ctx, setup{Shape: s.shape, MaxBytes: budget(s.shape), Soft: time.Nanosecond}, 0)
	if err != nil {
		return err
	}
	defer p.stop()
	most := l.plan.changes[len(l.plan.changes)-1]
	if err := p.pace(ctx, most); err != nil {
		return err
	}
	var report history.Report
	g, under := errgroup.WithContext(ctx)
	over, stop := context.WithTimeout(under, l.plan.watch)
	defer stop()
	g.Go(func() error {
		var err error
		report, err = witness(over, p, p.address, s.shape)
		return err
	})
	g.Go(func() error {
		_, err := load.Turns(under, load.Plan{Rounds: 1, Each: l.plan.watch},
			p.contestant("load", callers, requestsFor(s.shape, l.plan.requests)))
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if report.Decisive == 0 {
		return errors.New("no answer was decisive: nothing is proved")
	}
	l.row(study.Row{
		ID: "changes-stale", Unit: "answers", Values: []float64{float64(len(report.Violations))}, AtMost: study.AtMost(0),
		What: fmt.Sprintf("answers older than their stated age at %d changes a second, of %d answers, %d of them decisive, from a generator",
			most, report.Answered, report.Decisive),
	})
	for _, v := range report.Violations[:min(3, len(report.Violations))] {
		l.note("Stale: %v", v)
	}
	l.note("Stale answers were looked for with every answer telling its age (`sync.soft_bound` at its least) at %d changes a second "+
		"and %d connections asking besides: %v. The largest age that an answer told was %v.",
		most, callers, &report, report.MaxAge)
	return nil
}

const (
	witnesses = 4
	// readsAWrite is how many questions about its lists a witness asks between two
	// of its changes.
	readsAWrite = 20
)

// committer makes a change and returns when it is visible to every read that
// begins afterwards.
type committer interface {
	commit(ctx context.Context, list int) (written, error)
}

func (p *process) commit(ctx context.Context, list int) (w written, err error) {
	err = p.ask(ctx, "/commit", map[string]int{"list": list}, &w)
	return w, err
}

// witness changes lists that nobody else changes, asks about them, and judges what
// was answered. It ends with ctx.
func witness(ctx context.Context, at committer, address string, shape seed.Shape) (history.Report, error) {
	r := history.NewRecorder()
	var g errgroup.Group
	for k := range witnesses {
		w := &watcher{
			at: at, recorder: r, client: &http.Client{}, base: "http://" + address + "/v1/can-deliver?",
			shape: shape, first: k * generator.Reserved / witnesses,
		}
		g.Go(func() error { return w.run(ctx) })
	}
	if err := g.Wait(); err != nil {
		return history.Report{}, err
	}
	h := r.History()
	return h.Check()
}

// watcher is one witness with lists of its own.
type watcher struct {
	at       committer
	recorder *history.Recorder
	client   *http.Client
	base     string
	shape    seed.Shape
	first    int // of its lists
}

func (w *watcher) run(ctx context.Context) error {
	defer w.client.CloseIdleConnections()
	for ctx.Err() == nil {
		list := w.first + rand.IntN(generator.Reserved/witnesses)
		if err := w.write(ctx, list); err != nil {
			return err
		}
		for range readsAWrite {
			if ctx.Err() != nil {
				break
			}
			if err := w.read(ctx, w.first+rand.IntN(generator.Reserved/witnesses)); err != nil {
				return err
			}
		}
	}
	return nil
}

// write is not broken off with ctx: a change whose end nobody saw proves nothing.
func (w *watcher) write(ctx context.Context, list int) error {
	begin := w.recorder.Now()
	done, err := w.at.commit(context.WithoutCancel(ctx), list)
	if err != nil {
		return fmt.Errorf("change a list: %w", err)
	}
	w.recorder.Write(history.Write{
		Owner: seed.ID(list), Target: w.guest(list), Listed: done.Listed,
		Begin: begin, End: w.recorder.Now(), Version: done.Version,
	})
	return nil
}

func (w *watcher) guest(list int) string { return seed.ID(generator.Guest(w.shape, list)) }

// decision is what is looked at of an answer.
type decision struct {
	Deliver bool   `json:"deliver"`
	Reason  string `json:"reason"`
	StaleMS int64  `json:"stale_ms"`
}

func (w *watcher) read(ctx context.Context, list int) error {
	owner, guest := seed.ID(list), w.guest(list)
	begin := w.recorder.Now()
	d, err := w.decide(context.WithoutCancel(ctx), url.Values{
		"app": {seed.App}, "sender": {guest}, "recipient": {owner}, "room_type": {"direct"},
	})
	if err != nil {
		return fmt.Errorf("ask about a list: %w", err)
	}
	w.recorder.Read(history.Read{
		By: "sidecar", Owner: owner, Target: guest, Begin: begin, End: w.recorder.Now(),
		Answered: true, Listed: !d.Deliver, Age: time.Duration(d.StaleMS) * time.Millisecond,
	})
	return nil
}

func (w *watcher) decide(ctx context.Context, arguments url.Values) (d decision, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+arguments.Encode(), nil)
	if err != nil {
		return d, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return d, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return d, err
	}
	if resp.StatusCode != http.StatusOK {
		return d, fmt.Errorf("answered %s: %s", resp.Status, body)
	}
	return d, json.Unmarshal(body, &d)
}
