package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/bench/linear"
	"github.com/sidegate/sidegate/filter"
)

const (
	sharedLimit   = 4 // entries of a list
	sharedTargets = 6
	sharedClients = 3 // of each sidecar
	sharedPace    = 10 * time.Millisecond
	linearTime    = 3 * time.Minute // for the search of one list's order
)

// sharers are clients that all write to the same lists, through both sidecars.
type sharers struct {
	*faultRun
	clock    *history.Recorder // for its clock alone
	troubled atomic.Int64      // requests that were refused or not answered

	mu  sync.Mutex
	ops []linear.Op
}

// sharedList is a list that clients share: what any of them knows of it.
type sharedList struct {
	owner  string
	newest atomic.Pointer[sharedRevision]
	etag   atomic.Pointer[string]
	done   atomic.Int64 // requests with an answer
}

type sharedRevision struct {
	revision
	since time.Duration
}

// TestFaultSharedLists: several clients write to the same lists through two
// sidecars at a time while the way to the database and the database fail. Every
// answer of the management API, and of a check that carries a token, fits one order
// of all requests to the list. A recording in which one answer is changed does not.
func TestFaultSharedLists(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := &sharers{
		faultRun: newFaultScene(t, fmt.Sprintf("%sapps: {default: {limit: %d}}\n", faultConfiguration, sharedLimit),
			"SIDEGATE_CHECK_AT_LEAST_TIMEOUT=500ms"),
		clock: history.NewRecorder(),
	}
	for round := range 3 * len(blows) {
		w.share(round)
	}
	report := linear.Check(w.ops, sharedLimit, linearTime)
	t.Log(&report)
	if len(report.Undecided) > 0 {
		t.Errorf("no order found in time for %v", report.Undecided)
	}
	for owner, ops := range report.Wrong {
		t.Errorf("no order explains what was answered about %s:", owner)
		for i := range ops[:min(len(ops), 200)] {
			t.Log(&ops[i])
		}
	}
	w.lie(t)
	reportRow(t, faultFigures{
		Happened: fmt.Sprintf("one order of all requests explains every answer about each of %d lists; %d requests were refused, of %d nobody knew the outcome until it showed",
			report.Lists, w.troubled.Load()-int64(report.Unknown), report.Unknown),
		Rounds: 3 * len(blows), Answers: report.Ops - report.Unknown, Unknown: report.Unknown, Wrong: len(report.Wrong), Over: w.overLimit(),
	})
}

// share is one round: clients work on lists of the round, a fault strikes in the
// middle, and at the end everybody rests and each sidecar is asked what the lists
// hold: what became of the requests that had no answer shows there.
func (w *sharers) share(round int) {
	w.t.Helper()
	var lists []*sharedList
	for _, letter := range []string{"a", "b", "c", "d", "e", "f"} { // many short lists: the search takes long for long ones
		lists = append(lists, &sharedList{owner: fmt.Sprint("shared", round, letter)})
	}
	ctx, leave := context.WithCancel(w.t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer leave()
	for i, s := range w.sidecars {
		for c := range sharedClients {
			clients.Go(func() { w.client(ctx, i*sharedClients+c, s, lists) })
		}
	}
	answered := func(more int64) {
		for _, l := range lists {
			goal := l.done.Load() + more
			waitFor(w.t, "requests are answered", func() bool { return l.done.Load() >= goal })
		}
	}
	answered(20)
	fault := blows[round%len(blows)]
	of := [][]int{{0}, {1}, {0, 1}}[round/len(blows)%3]
	before := w.troubled.Load()
	repair := fault.strike(w.faultRun, of)
	waitFor(w.t, "clients notice that "+fault.name, func() bool { return w.troubled.Load() >= before+4 })
	repair()
	for _, s := range w.sidecars {
		waitFor(w.t, s.name+" follows again", s.synced)
	}
	answered(40)
	leave()
	clients.Wait()
	for i, s := range w.sidecars {
		for _, l := range lists {
			waitFor(w.t, "the list is read", func() bool { return w.ask(i, s, l, linear.Op{Kind: linear.List}) })
		}
	}
}

func (s *watched) synced() bool { return s.samples()[`sidegate_sync_state{state="synced"}`] == 1 }

// client makes one request after the other until ctx ends.
func (w *sharers) client(ctx context.Context, number int, s *watched, lists []*sharedList) {
	pace := time.NewTicker(sharedPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		o := linear.Op{Target: fmt.Sprint("t", rand.IntN(sharedTargets))}
		switch n := rand.IntN(20); {
		case n < 8:
			o.Kind = linear.Add
		case n < 13:
			o.Kind = linear.Remove
		case n < 16:
			o.Kind, o.Target = linear.List, ""
		default:
			o.Kind = linear.Decide
		}
		w.ask(number, s, lists[rand.IntN(len(lists))], o)
	}
}

// ask makes a request and records it, unless it was refused: then it has not
// happened. It tells whether there was an answer.
func (w *sharers) ask(client int, s *watched, l *sharedList, o linear.Op) bool {
	o.Client, o.Owner = client, l.owner
	method, door, path := http.MethodGet, "api", blockPath("default", l.owner, o.Target)
	var headers []string
	switch o.Kind {
	case linear.Add:
		method = http.MethodPut
	case linear.Remove:
		method = http.MethodDelete
	case linear.List:
		if etag := l.etag.Load(); etag != nil && rand.IntN(2) == 0 {
			headers, o.IfNot = []string{"If-None-Match: " + *etag}, versionOf(*etag)
		}
	case linear.Decide:
		newest := l.newest.Load()
		if newest == nil {
			return false
		}
		o.AtLeast, o.TokenSince = newest.version, newest.since
		door, path = "check", question{sender: o.Target, recipient: l.owner, atLeast: newest.token}.path()
	}
	o.Call = w.clock.Now()
	a, err := s.request(method, door, path, headers...)
	o.End = w.clock.Now()
	if err != nil {
		w.complain("%v: %v", &o, err)
		return false
	}
	if a.status == http.StatusServiceUnavailable {
		w.troubled.Add(1)
		if o.Unknown = strings.Contains(a.body, `"code":"outcome_unknown"`); !o.Unknown {
			return false
		}
	} else if !w.read(&o, l, a) {
		w.complain("%v: %v", &o, a)
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = append(w.ops, o)
	if !o.Unknown {
		l.done.Add(1)
	}
	return !o.Unknown
}

// read takes the answer apart and tells whether it is one of those that there are.
func (w *sharers) read(o *linear.Op, l *sharedList, a answer) bool {
	var body struct {
		verdict
		Blocks []struct{ Target string }
		Code   string
		Size   int
	}
	if a.body != "" && json.Unmarshal([]byte(a.body), &body) != nil {
		return false
	}
	switch {
	case o.Kind == linear.Decide:
		o.Listed = body.verdict == dropped
		return a.status == http.StatusOK && (o.Listed || body.verdict == allowed)
	case o.Kind == linear.List && a.status == http.StatusNotModified:
		o.Same = true
		return true
	case o.Kind == linear.List:
		etag := a.header.Get("ETag")
		l.etag.Store(&etag)
		o.Version = versionOf(etag)
		for _, b := range body.Blocks {
			o.Set = append(o.Set, b.Target)
		}
		return a.status == http.StatusOK
	case a.status == http.StatusConflict && body.Code == "limit_exceeded":
		o.Full, o.Size = true, body.Size
		return true
	case o.Kind == linear.Remove && a.status == http.StatusNotFound:
		return body.Code == "block_not_found"
	}
	o.Changed = a.status == http.StatusCreated || o.Kind == linear.Remove
	token := a.header.Get("Sidegate-Revision")
	parsed, err := filter.ParseRevision(token)
	if err != nil || a.status != http.StatusCreated && a.status != http.StatusOK {
		return false
	}
	o.Version = parsed.Version
	l.newest.Store(&sharedRevision{revision{token, parsed.Version}, o.Call})
	return true
}

// versionOf is the version of a list in its ETag.
func versionOf(etag string) int64 {
	version, _ := strconv.ParseInt(strings.SplitN(strings.Trim(etag, `W/"`), "-", 2)[0], 10, 64)
	return version // 0 fits no list that has been written to
}

// lie changes one answer of each kind in the recording: no order explains it then.
func (w *sharers) lie(t *testing.T) {
	t.Helper()
	lies := map[string]func(*linear.Op) bool{
		"an entry too many": func(o *linear.Op) bool {
			o.Set = append(slices.Clone(o.Set), "nobody")
			return o.Kind == linear.List && !o.Same
		},
		"a decision turned round at the newest version": func(o *linear.Op) bool {
			o.Listed, o.AtLeast = !o.Listed, 1<<40
			return o.Kind == linear.Decide
		},
		"a change that was none": func(o *linear.Op) bool {
			o.Changed = !o.Changed
			return o.Kind == linear.Add && o.Changed && o.Version > 0
		},
	}
	for name, lie := range lies {
		var told []linear.Op
		for i, o := range w.ops {
			if lie(&o) && !o.Unknown {
				told = slices.DeleteFunc(slices.Clone(w.ops), func(other linear.Op) bool { return other.Owner != o.Owner })
				n := slices.IndexFunc(told, func(other linear.Op) bool {
					return other.Client == o.Client && other.Call == w.ops[i].Call
				})
				told[n] = o
				break
			}
		}
		if report := linear.Check(told, sharedLimit, linearTime); len(report.Wrong) != 1 {
			t.Errorf("%s is not found out: %v", name, &report)
		}
	}
}
