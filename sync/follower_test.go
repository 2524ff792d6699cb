package blocksync

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/cache"
)

// fakeSource is a database that answers polls out of a function, and page reads
// with one list: bob's, who has blocked alice.
type fakeSource struct {
	mu       sync.Mutex
	poll     func(from Position) (Batch, error)
	polls    []Position // what was asked for
	identity cache.Identity
	loads    int
	list     []cache.Entry // bob's, if it is another one
}

func (s *fakeSource) Poll(ctx context.Context, from Position) (Batch, error) {
	s.mu.Lock()
	s.polls = append(s.polls, from)
	answer := s.poll
	s.mu.Unlock()
	if answer == nil { // a connection that swallows what is sent
		<-ctx.Done()
		return Batch{}, ctx.Err()
	}
	return answer(from)
}

func (s *fakeSource) set(poll func(Position) (Batch, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poll = poll
}

func (s *fakeSource) asked() []Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polls
}

func (s *fakeSource) Load(_ context.Context, _ string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	out := cache.Loaded{Identity: s.identity}
	if h := cache.HashOwner("bob", s.identity.Salt); kind == cache.KindBlock && r.Lo <= h && h <= r.Hi {
		out.Lists = []cache.List{s.bobs()}
		out.Count = 1
	}
	return out, nil
}

var server = cache.Identity{System: 7, Timeline: 1, Salt: 3}

// at answers every poll with this position and these changes.
func at(xmin, xmax uint64, changes ...cache.Change) func(Position) (Batch, error) {
	return func(Position) (Batch, error) {
		return Batch{
			Position: Position{Xmin: xmin, Xmax: xmax}, Identity: server, Schema: 1,
			Clock: time.Now(), Changes: changes,
		}, nil
	}
}

// unblock is the change that takes alice off bob's list.
func unblock() cache.Change {
	return cache.Change{
		App: "a", Owner: "bob", Prev: 1, Version: 2, Op: cache.OpRemove,
		Entries: []cache.Entry{{Target: "alice"}}, At: time.Now(),
	}
}

type world struct {
	source   *fakeSource
	cache    *cache.Cache
	follower *Follower
	log      *bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{source: &fakeSource{identity: server}, log: &bytes.Buffer{}}
	var err error
	w.cache, err = cache.New(cache.Options{
		MaxBytes: 1 << 20, Apps: []string{"a"}, Loader: cache.Whole(w.source.Load),
		Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.follower, err = New(Options{
		Source: w.source, Cache: w.cache, Metrics: NewMetrics(prometheus.NewRegistry()),
		Logger:    slog.New(slog.NewTextHandler(w.log, nil)),
		MinSchema: 1, MaxSchema: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs the follower until the test ends.
func (w *world) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.follower.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// once polls once.
func (w *world) once(t *testing.T) error {
	t.Helper()
	err := w.follower.poll(context.Background())
	w.follower.report(err)
	return err
}

func (w *world) blocked(t *testing.T) bool {
	t.Helper()
	d := w.cache.Directory("a", cache.KindBlock)
	v, ok := d.Find("bob")
	if !ok {
		var err error
		if v, err = d.Load(context.Background(), "bob", cache.Need{}); err != nil {
			t.Fatal(err)
		}
	}
	return v.Contains("alice")
}

func TestFirstPollStartsAndLaterOnesContinue(t *testing.T) {
	w := newWorld(t)
	if s := w.follower.Status(); s.State != Starting || s.Age != math.MaxInt64 {
		t.Errorf("before the first poll: %+v", s)
	}
	w.source.set(at(5, 9))
	if err := w.once(t); err != nil {
		t.Fatal(err)
	}
	if !w.source.asked()[0].IsZero() {
		t.Error("the first poll asks for changes")
	}
	if s := w.follower.Status(); s.State != Synced || s.Epoch != 1 || s.Position.Xmax != 9 {
		t.Errorf("after the first poll: %+v", s)
	}
	if !w.blocked(t) {
		t.Fatal("bob's list was not loaded")
	}
	w.source.set(at(9, 11, unblock()))
	if err := w.once(t); err != nil {
		t.Fatal(err)
	}
	if got := w.source.asked()[1]; got.Xmax != 9 {
		t.Errorf("the second poll asks from %v", got)
	}
	if w.blocked(t) {
		t.Error("the change was not applied")
	}
	w.source.set(at(9, 11, unblock())) // again: harmless
	if err := w.once(t); err != nil || w.blocked(t) || w.cache.Epoch() != 1 {
		t.Errorf("the same change twice: %v, epoch %d", err, w.cache.Epoch())
	}
}

func TestNothingMovesWhenAPollFails(t *testing.T) {
	w := newWorld(t)
	w.source.set(at(5, 9))
	if err := w.once(t); err != nil {
		t.Fatal(err)
	}
	age := w.cache.Age()
	w.source.set(func(Position) (Batch, error) { return Batch{}, errors.New("connection reset") })
	for range 3 {
		if err := w.once(t); err == nil {
			t.Fatal("no error")
		}
	}
	if w.cache.Age() < age {
		t.Error("a poll that failed made memory younger")
	}
	w.source.set(at(9, 11, unblock()))
	if err := w.once(t); err != nil {
		t.Fatal(err)
	}
	if got := w.source.asked()[4]; got.Xmax != 9 {
		t.Errorf("after failures, asked from %v", got)
	}
	if n := strings.Count(w.log.String(), "cannot be followed"); n != 1 {
		t.Errorf("three failures were logged %d times", n)
	}
	if !strings.Contains(w.log.String(), "followed again") || testutil.ToFloat64(w.follower.opts.Metrics.reconnects) != 1 {
		t.Error("the recovery was not reported")
	}
}

func TestABrokenLineOfPositionsStartsOver(t *testing.T) {
	for cause, spoil := range map[string]func(*Batch){
		causeIdentity: func(b *Batch) { b.Identity.Timeline++ },
		causeRewound:  func(b *Batch) { b.Position = Position{Xmin: 6, Xmax: 8} },
		causeTrimmed:  func(b *Batch) { b.MinXid = 6 },
		causeOverflow: func(b *Batch) { b.Overflow, b.Changes = true, nil },
	} {
		w := newWorld(t)
		w.source.set(at(5, 9))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		w.blocked(t)
		w.source.set(func(from Position) (Batch, error) {
			b, err := at(9, 11)(from)
			spoil(&b)
			return b, err
		})
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		if w.cache.Epoch() != 2 || testutil.ToFloat64(w.follower.opts.Metrics.epochs[cause]) != 1 {
			t.Errorf("%s: epoch %d", cause, w.cache.Epoch())
		}
		if s := w.cache.Stats(); s.SuspectPages != 1 {
			t.Errorf("%s: %d suspect pages", cause, s.SuspectPages)
		}
		if !strings.Contains(w.log.String(), "cause="+cause) {
			t.Errorf("%s is not in the log: %s", cause, w.log)
		}
		// It goes on from the new position, once.
		w.source.set(func(from Position) (Batch, error) {
			b, err := at(12, 12)(from)
			b.Identity = w.follower.identity
			return b, err
		})
		if err := w.once(t); err != nil || w.cache.Epoch() != 2 {
			t.Errorf("%s: epoch %d after the next poll, %v", cause, w.cache.Epoch(), err)
		}
	}
}

func TestAnUnbrokenLineDoesNotStartOver(t *testing.T) {
	w := newWorld(t)
	for i := range uint64(10) {
		w.source.set(at(5+i, 9+i))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
	}
	if w.cache.Epoch() != 1 {
		t.Errorf("epoch %d", w.cache.Epoch())
	}
}

func TestServersThatAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Batch){
		"standby":      func(b *Batch) { *b = Batch{Recovery: true} },
		"older schema": func(b *Batch) { b.Schema = 0 },
		"newer schema": func(b *Batch) { b.Schema = 3 },
		"old primary":  func(b *Batch) { b.Newer = 2 },
	} {
		w := newWorld(t)
		w.source.set(at(5, 9))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		w.blocked(t)
		w.source.set(func(from Position) (Batch, error) {
			b, err := at(9, 11, unblock())(from)
			spoil(&b)
			return b, err
		})
		if err := w.once(t); err == nil {
			t.Fatalf("%s: followed", name)
		}
		s := w.follower.Status()
		if s.State != WrongServer || s.Refused == "" || s.Position.Xmax != 9 {
			t.Errorf("%s: %+v", name, s)
		}
		if !w.blocked(t) {
			t.Errorf("%s: its changes were applied", name)
		}
		w.source.set(at(9, 11))
		if err := w.once(t); err != nil || w.follower.Status().State != Synced {
			t.Errorf("%s: %v, %+v after it was put right", name, err, w.follower.Status())
		}
	}
}

func TestStatesByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(at(5, 9))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			after time.Duration
			want  State
		}{{0, Synced}, {2 * time.Second, Synced}, {time.Nanosecond, Lagging}, {298*time.Second - 1, Lagging}, {time.Nanosecond, Stale}, {time.Hour, Stale}} {
			time.Sleep(row.after)
			if s := w.follower.Status(); s.State != row.want {
				t.Errorf("age %v: %v, want %v", s.Age, s.State, row.want)
			}
		}
	})
}

func TestRunPollsInItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(at(5, 9))
		w.run(t)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(w.source.asked()); n < 80 || n > 126 {
			t.Errorf("%d polls in 10 s of 100 ms ± 20 %%", n)
		}
	})
}

func TestRunBacksOffAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(func(Position) (Batch, error) { return Batch{}, errors.New("refused") })
		w.run(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.source.asked()); n < 20 || n > 45 {
			t.Errorf("%d polls of a database that was away for a minute", n)
		}
		w.source.set(at(5, 9))
		time.Sleep(2400 * time.Millisecond) // the longest pause and its jitter
		synctest.Wait()
		if s := w.follower.Status(); s.State != Synced {
			t.Errorf("%+v after the database came back", s)
		}
	})
}

func TestAPollThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(nil)
		begin := time.Now()
		if err := w.once(t); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != pollTimeout {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if testutil.ToFloat64(w.follower.opts.Metrics.errors[causeTimeout]) != 1 {
			t.Error("the time-out is not counted as one")
		}
	})
}

func TestWakePollsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(at(5, 9))
		w.run(t)
		synctest.Wait()
		before := len(w.source.asked())
		for range 100 { // wake-ups that come together are one poll
			w.follower.Wake()
		}
		synctest.Wait()
		if n := len(w.source.asked()) - before; n < 1 || n > 2 {
			t.Errorf("%d polls for wake-ups that came together", n)
		}
	})
}

func TestClockOffsetIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(func(from Position) (Batch, error) {
			b, err := at(5, 9)(from)
			b.Clock = time.Now().Add(-3 * time.Second)
			return b, err
		})
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(w.follower.opts.Metrics.clockOffset); got != -3 {
			t.Errorf("offset %v, the server is 3 s behind", got)
		}
	})
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	good := w.follower.opts
	for name, spoil := range map[string]func(*Options){
		"no source":         func(o *Options) { o.Source = nil },
		"no cache":          func(o *Options) { o.Cache = nil },
		"no metrics":        func(o *Options) { o.Metrics = nil },
		"interval too fast": func(o *Options) { o.PollInterval = time.Microsecond },
		"bounds crossed":    func(o *Options) { o.SoftBound = time.Hour },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStateMetric(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	reg.MustRegister(w.follower.opts.Metrics.state)
	want := `
# HELP sidegate_sync_state 1 for the state that following is in. Anything but synced for a minute needs a look.
# TYPE sidegate_sync_state gauge
sidegate_sync_state{state="lagging"} 0
sidegate_sync_state{state="stale"} 0
sidegate_sync_state{state="starting"} 1
sidegate_sync_state{state="synced"} 0
sidegate_sync_state{state="wrong_server"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sidegate_sync_state"); err != nil {
		t.Error(err)
	}
}

// A difference that takes longer than a poll may last is not asked for for ever.
func TestADifferenceThatIsTooLargeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.set(at(5, 9))
		if err := w.once(t); err != nil {
			t.Fatal(err)
		}
		w.source.set(func(from Position) (Batch, error) {
			if !from.IsZero() { // the change log is long and the server slow
				return Batch{}, context.DeadlineExceeded
			}
			return at(20, 25)(from)
		})
		for range triesBehind + 2 { // it answers, and after that once more not this
			if err := w.once(t); err == nil || w.cache.Epoch() != 1 {
				t.Fatalf("%v, epoch %d", err, w.cache.Epoch())
			}
		}
		if err := w.once(t); err != nil || w.cache.Epoch() != 2 {
			t.Errorf("after %d time-outs: %v, epoch %d", triesBehind, err, w.cache.Epoch())
		}
		if testutil.ToFloat64(w.follower.opts.Metrics.epochs[causeOverflow]) != 1 {
			t.Error("the new start is not counted as an overflow")
		}
		// From the new position on, it asks for differences again.
		w.source.set(at(25, 26))
		if err := w.once(t); err != nil || w.cache.Epoch() != 2 || w.source.asked()[len(w.source.asked())-1].Xmax != 25 {
			t.Errorf("%v, epoch %d, asked from %v", err, w.cache.Epoch(), w.source.asked())
		}
	})
}

// A server that is away costs no new start, however long, and whenever it is back.
func TestAnOutageKeepsThePosition(t *testing.T) {
	for lost := range 2*triesBehind + 2 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.source.set(at(5, 9))
			if err := w.once(t); err != nil {
				t.Fatal(err)
			}
			w.source.set(nil) // swallows everything
			for range lost {
				if err := w.once(t); err == nil {
					t.Fatal("no error")
				}
			}
			w.source.set(at(9, 11))
			for range 2 { // one of them may only ask whether it answers
				if err := w.once(t); err == nil {
					break
				}
			}
			if w.cache.Epoch() != 1 || w.follower.Status().Position.Xmax != 11 {
				t.Errorf("after %d lost polls: epoch %d, position %v", lost, w.cache.Epoch(), w.follower.Status().Position)
			}
		})
	}
}
