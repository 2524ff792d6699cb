package blocksync

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
)

// legacy is what an earlier process has left.
type legacy struct {
	cache   *cache.Cache
	left    Left
	refused []string
	resumed int
}

func (l *legacy) Stage(ctx context.Context) (Left, bool) {
	_, _, err := l.cache.Stage(ctx)
	return l.left, err == nil
}

func (l *legacy) Refuse(cause string) {
	l.cache.Discard()
	l.refused = append(l.refused, cause)
}

func (l *legacy) Accept() { l.resumed++ }

// bobs is the list that reads of pages find.
func (s *fakeSource) bobs() cache.List {
	e := s.list
	if e == nil {
		e = []cache.Entry{{Target: "alice"}}
	}
	return cache.List{Owner: "bob", Version: 1, Size: 1, Digest: cache.ListDigest(false, e), Entries: e}
}

// leave runs a process that knows bob's list, by which he has blocked alice, up to
// transaction 10, and returns its memory.
func leave(t *testing.T) *cache.WarmFile {
	t.Helper()
	w := newWorld(t)
	w.cache.Reset(server, w.cache.Now())
	if !w.blocked(t) {
		t.Fatal("bob has not blocked alice")
	}
	var file bytes.Buffer
	if _, err := w.cache.Save(t.Context(), &file, cache.SaveOptions{
		Place: cache.Place{Identity: server}, Through: func() (string, bool) { return "", true },
	}); err != nil {
		t.Fatal(err)
	}
	out, err := cache.OpenWarm(&file, int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// heir is a process that starts with that memory.
func heir(t *testing.T) (*world, *legacy) {
	t.Helper()
	w := &world{source: &fakeSource{identity: server}, log: &bytes.Buffer{}}
	var err error
	if w.cache, err = cache.New(cache.Options{
		MaxBytes: 1 << 20, Apps: []string{"a"}, Loader: cache.Whole(w.source.Load), Warm: leave(t),
		Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	}); err != nil {
		t.Fatal(err)
	}
	l := &legacy{cache: w.cache, left: Left{Server: server, Position: Position{Xmin: 10, Xmax: 10}, Through: Position{Xmin: 12, Xmax: 12}}}
	if w.follower, err = New(Options{
		Source: w.source, Cache: w.cache, Metrics: NewMetrics(prometheus.NewRegistry()), MinSchema: 1, MaxSchema: 2, Warm: l,
	}); err != nil {
		t.Fatal(err)
	}
	return w, l
}

func TestFollowingGoesOnWhereAnotherProcessEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := heir(t)
		// The server is away at first, then a standby answers, then the primary.
		answers := []func(Position) (Batch, error){
			func(Position) (Batch, error) { return Batch{}, errors.New("away") },
			func(Position) (Batch, error) { return Batch{Recovery: true}, nil },
			at(20, 20, unblock()),
			at(21, 21),
		}
		w.source.set(func(from Position) (Batch, error) {
			answer := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			return answer(from)
		})
		w.run(t)
		synctest.Wait()
		if _, ok := w.cache.Directory("a", cache.KindBlock).Find("bob"); ok || w.follower.Status().State != Starting {
			t.Error("somebody is answered before the server has been asked")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		view, ok := w.cache.Directory("a", cache.KindBlock).Find("bob")
		if !ok || view.Contains("alice") || view.Version() != 2 || w.source.loads != 0 {
			t.Errorf("in memory: %v, version %d, %d reads", ok, view.Version(), w.source.loads)
		}
		if l.resumed != 1 || len(l.refused) != 0 {
			t.Errorf("%+v", l)
		}
		asked := w.source.asked()
		if want := (Position{Xmin: 10, Xmax: 10}); !slices.EqualFunc(asked[:3], []Position{want, want, want}, samePosition) || asked[3].Xmax != 20 {
			t.Errorf("it asked for %v", asked[:4])
		}
		if server, at, ok := w.follower.Place(); !ok || at.Xmax != 21 || server != w.source.identity {
			t.Errorf("it has come to %v of %v, %v", at, server, ok)
		}
	})
}

func samePosition(a, b Position) bool { return a.String() == b.String() }

func TestMemoryOfAnotherPastIsRefused(t *testing.T) {
	for cause, spoil := range map[string]func(*Batch){
		causeIdentity: func(b *Batch) { b.Identity.Timeline++ },
		causeRewound:  func(b *Batch) { b.Position = Position{Xmin: 11, Xmax: 11} }, // behind what the file may know of
		causeTrimmed:  func(b *Batch) { b.MinXid = 11 },
		causeOverflow: func(b *Batch) { b.Overflow = true },
	} {
		t.Run(cause, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, l := heir(t)
				w.source.set(func(from Position) (Batch, error) {
					b, err := at(20, 20)(from)
					spoil(&b)
					w.source.identity = b.Identity
					return b, err
				})
				w.run(t)
				synctest.Wait()
				if len(l.refused) != 1 || l.refused[0] != cause || l.resumed != 0 {
					t.Fatalf("%+v", l)
				}
				if _, ok := w.cache.Directory("a", cache.KindBlock).Find("bob"); ok {
					t.Error("what was refused is in memory")
				}
				if !w.blocked(t) || w.source.loads == 0 {
					t.Error("bob's list was not read")
				}
			})
		})
	}
}

// The server was failed over while there was no process, and has lost the tail. On
// the new one bob's list is at the same version and has another content, and the feed
// has nothing to say about it.
func TestTheIdentityGuardsAWarmStart(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w, l := heir(t)
			w.follower.trusting = !guarded
			promoted := server
			promoted.Timeline++
			w.source.identity, w.source.list = promoted, []cache.Entry{{Target: "carol"}}
			w.source.set(func(from Position) (Batch, error) {
				b, err := at(20, 20)(from)
				b.Identity = promoted
				return b, err
			})
			w.run(t)
			synctest.Wait()
			if wrong := w.blocked(t); wrong == guarded {
				t.Errorf("identity compared: %v; bob, who has blocked carol alone, has blocked alice: %v (%+v)", guarded, wrong, l)
			}
		})
	}
}

// A difference that no poll can carry ends in a cold start, not in asking for ever.
func TestADifferenceThatIsTooLargeEndsInAColdStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := heir(t)
		w.source.set(func(from Position) (Batch, error) {
			if !from.IsZero() {
				return Batch{}, context.DeadlineExceeded
			}
			return at(20, 20)(from)
		})
		w.run(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(l.refused) != 1 || l.refused[0] != causeOverflow || !w.blocked(t) {
			t.Errorf("%+v", l)
		}
	})
}
