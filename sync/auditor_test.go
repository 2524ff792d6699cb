package blocksync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// silentDB is a database in which lists change without a word to the feed.
type silentDB struct {
	mu       sync.Mutex
	identity cache.Identity
	blocked  map[string]string // owner → the one target
	spoiled  bool              // digests do not fit
	away     bool
	still    bool // the feed does not answer, reads do
	loads    int
	bumps    int
	bumpErr  error
}

const silentOwners = 12

func owner(i int) string { return fmt.Sprint("o", i) }

func newSilentDB() *silentDB {
	db := &silentDB{identity: server, blocked: map[string]string{}}
	for i := range silentOwners {
		db.blocked[owner(i)] = "alice"
	}
	return db
}

// Poll never has news.
func (db *silentDB) Poll(ctx context.Context, from Position) (Batch, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.away || db.still {
		return Batch{}, errors.New("away")
	}
	return Batch{Position: Position{Xmin: 5, Xmax: 9}, Identity: db.identity, Schema: 1, Clock: time.Now()}, nil
}

func (db *silentDB) Load(_ context.Context, _ string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.loads++
	if db.away {
		return cache.Loaded{}, errors.New("away")
	}
	out := cache.Loaded{Identity: db.identity}
	for owner, target := range db.blocked {
		if h := cache.HashOwner(owner, db.identity.Salt); kind == cache.KindBlock && r.Lo <= h && h <= r.Hi {
			e := []cache.Entry{{Target: target}}
			l := cache.List{Owner: owner, Version: 1, Size: 1, Digest: cache.ListDigest(false, e), Entries: e}
			if db.spoiled {
				l.Digest++
			}
			out.Lists = append(out.Lists, l)
			out.Count++
		}
	}
	return out, nil
}

// restore is the restore of data alone with triggers off: the same versions, other
// content.
func (db *silentDB) restore(owners int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for i := range owners {
		db.blocked[owner(i)] = "eve"
	}
}

func (db *silentDB) BumpIncarnation(context.Context) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.bumpErr != nil {
		return db.bumpErr
	}
	db.bumps++
	db.identity.Incarnation[0]++
	return nil
}

func (db *silentDB) set(change func(*silentDB)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	change(db)
}

func (db *silentDB) count() (loads, bumps int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.loads, db.bumps
}

// process is a sidecar that follows a silentDB, and audits if it was asked to.
type process struct {
	t        *testing.T
	cache    *cache.Cache
	follower *Follower
	auditor  *Auditor
	log      *bytes.Buffer
}

// newProcess starts a process with all lists in memory. It audits if samples are
// above 0, and may write if incarnation is given. It belongs into a bubble.
func newProcess(t *testing.T, db *silentDB, samples float64, incarnation Incarnation) *process {
	t.Helper()
	p := &process{t: t, log: &bytes.Buffer{}}
	var err error
	if p.cache, err = cache.New(cache.Options{
		MaxBytes: 1 << 20, Apps: []string{"a"}, Loader: cache.Whole(db.Load), Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(p.log, nil))
	if p.follower, err = New(Options{
		Source: db, Cache: p.cache, Metrics: NewMetrics(prometheus.NewRegistry()), Logger: log, MinSchema: 1, MaxSchema: 2,
		PollInterval: time.Second,
	}); err != nil {
		t.Fatal(err)
	}
	if p.auditor, err = NewAuditor(AuditOptions{
		Follower: p.follower, Metrics: NewAuditMetrics(prometheus.NewRegistry()), Incarnation: incarnation, Logger: log, Samples: samples,
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- p.follower.Run(ctx) }()
	go func() { done <- p.auditor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	if wrong := p.wrong("alice"); wrong != 0 {
		t.Fatalf("%d lists are wrong from the start", wrong)
	}
	return p
}

// wrong asks every list, from memory if it is there and current, and returns how
// many do not name the target.
func (p *process) wrong(target string) (wrong int) {
	p.t.Helper()
	d := p.cache.Directory("a", cache.KindBlock)
	for i := range silentOwners {
		v, ok := d.Find(owner(i))
		if !ok || !v.Current() {
			var err error
			if v, err = d.Load(context.Background(), owner(i), cache.Need{}); err != nil {
				p.t.Fatal(err)
			}
		}
		if !v.Contains(target) {
			wrong++
		}
	}
	return wrong
}

func (p *process) suspects(scope string) float64 {
	return testutil.ToFloat64(p.auditor.opts.Metrics.suspects[scope])
}

func (p *process) mismatches(how cache.Mismatch) float64 {
	return testutil.ToFloat64(p.auditor.opts.Metrics.mismatches[how])
}

// forSome lets fake time go by.
func forSome(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestADataOnlyRestoreIsFound: the process that samples finds it and tells the
// fleet; one that has sampled nothing answers right as well. Without the audit both
// would go on as before for ever.
func TestADataOnlyRestoreIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		writer, sidecar := newProcess(t, db, 2, db), newProcess(t, db, 0, nil)
		epoch := sidecar.cache.Epoch()
		db.restore(silentOwners)
		forSome(time.Minute)
		if _, bumps := db.count(); bumps != 1 || writer.suspects(scopeFleet) != 1 || writer.suspects(scopeProcess) != 0 {
			t.Errorf("the fleet was told %d times, counted %v and %v", bumps, writer.suspects(scopeFleet), writer.suspects(scopeProcess))
		}
		if n := writer.mismatches(cache.MismatchContent); n < suspectAfter || n > silentOwners {
			t.Errorf("%v pages differed, want %d or a few more", n, suspectAfter)
		}
		if a, b := writer.wrong("eve"), sidecar.wrong("eve"); a+b != 0 {
			t.Errorf("wrong are %d lists of the one, %d of the other", a, b)
		}
		if sidecar.cache.Epoch() != epoch+1 {
			t.Errorf("epoch %d after %d", sidecar.cache.Epoch(), epoch)
		}
	})
}

func TestWithoutTheAuditAnswersStayWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		p := newProcess(t, db, 0, db)
		db.restore(silentOwners)
		forSome(time.Hour)
		if wrong := p.wrong("eve"); wrong != silentOwners || p.cache.Age() > 2*time.Second {
			t.Errorf("%d lists are wrong at an age of %v: then who has told?", wrong, p.cache.Age())
		}
		if n := testutil.ToFloat64(p.auditor.opts.Metrics.samples); n != 0 {
			t.Errorf("%v samples", n)
		}
		if err := p.auditor.SetSamples(2); err != nil { // a reload of the configuration
			t.Fatal(err)
		}
		forSome(time.Minute)
		if wrong := p.wrong("eve"); wrong != 0 {
			t.Errorf("%d lists are wrong with the audit on", wrong)
		}
	})
}

// TestOneWrongPageIsReadAgain and nothing else: it is no reason to distrust all.
func TestOneWrongPageIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		p := newProcess(t, db, 2, db)
		db.restore(1)
		epoch := p.cache.Epoch()
		forSome(time.Minute)
		d := p.cache.Directory("a", cache.KindBlock)
		if v, ok := d.Find(owner(0)); !ok || !v.Contains("eve") {
			t.Error("the wrong page is still there")
		}
		if _, bumps := db.count(); bumps != 0 || p.cache.Epoch() != epoch || p.mismatches(cache.MismatchContent) != 1 {
			t.Errorf("%d bumps, epoch %d after %d, %v mismatches", bumps, p.cache.Epoch(), epoch, p.mismatches(cache.MismatchContent))
		}
		if log := p.log.String(); !strings.Contains(log, "content=1") || strings.Contains(log, owner(0)+" ") {
			t.Errorf("the log: %s", log)
		}
	})
}

// TestWhoMayNotWriteStartsOverAlone, and so does who could not tell the others.
func TestWhoMayNotWriteStartsOverAlone(t *testing.T) {
	for _, mayWrite := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			db := newSilentDB()
			db.bumpErr = errors.New("read-only")
			var incarnation Incarnation
			if mayWrite {
				incarnation = db
			}
			p := newProcess(t, db, 2, incarnation)
			epoch := p.cache.Epoch()
			db.restore(silentOwners)
			forSome(time.Minute)
			if p.wrong("eve") != 0 || p.cache.Epoch() != epoch+1 || p.suspects(scopeProcess) != 1 || p.suspects(scopeFleet) != 0 {
				t.Errorf("%d lists are wrong, epoch %d after %d", p.wrong("eve"), p.cache.Epoch(), epoch)
			}
			if n := testutil.ToFloat64(p.follower.opts.Metrics.epochs[causeAudit]); n != 1 {
				t.Errorf("%v epochs because of the audit", n)
			}
		})
	}
}

// TestTheFleetIsToldOnceAnHour, and the process once in ten minutes, whatever goes
// on: all lists are wrong again and again.
func TestTheFleetIsToldOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		p := newProcess(t, db, 1, db)
		for i := range 3 * 12 {
			db.set(func(db *silentDB) {
				for o := range db.blocked {
					db.blocked[o] = fmt.Sprint("eve", i)
				}
			})
			forSome(10 * time.Second)
			p.wrong("") // reads what is suspect
			forSome(5 * time.Minute)
		}
		_, bumps := db.count()
		if bumps < 2 || bumps > 3 || p.suspects(scopeProcess) > 18-float64(bumps) {
			t.Errorf("in three hours the fleet was told %d times, the process started over %v times", bumps, p.suspects(scopeProcess))
		}
		if lines := strings.Count(p.log.String(), "are not what the database holds"); lines > 3*60*6 || lines == 0 {
			t.Errorf("%d messages", lines)
		}
	})
}

// TestADatabaseThatContradictsItselfIsReported and believed in nothing: memory stays.
func TestADatabaseThatContradictsItselfIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		p := newProcess(t, db, 2, db)
		db.restore(silentOwners)
		db.set(func(db *silentDB) { db.spoiled = true })
		forSome(time.Minute)
		if _, bumps := db.count(); bumps != 0 || p.mismatches(cache.MismatchRows) == 0 || p.wrong("alice") != 0 {
			t.Errorf("%d bumps, %v contradictions, %d lists not as before", bumps, p.mismatches(cache.MismatchRows), p.wrong("alice"))
		}
	})
}

// TestADatabaseThatIsAwayIsLeftAlone: fewer and fewer reads, and none while the feed
// stands still.
func TestADatabaseThatIsAwayIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		newProcess(t, db, 100, db)
		db.set(func(db *silentDB) { db.away = true })
		before, _ := db.count()
		forSome(10 * time.Minute)
		after, _ := db.count()
		// 1, 2, 4, 8, 16 seconds, then every 24 to 36.
		if n := after - before; n < 10 || n > 32 {
			t.Errorf("%d reads in ten minutes", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		p := newProcess(t, db, 100, db)
		db.set(func(db *silentDB) { db.still = true })
		before, _ := db.count()
		forSome(10 * time.Minute)
		after, _ := db.count()
		if n := after - before; n > auditPending {
			t.Errorf("%d reads while nothing can be compared", n)
		}
		db.set(func(db *silentDB) { db.still = false })
		forSome(10 * time.Second)
		if n := testutil.ToFloat64(p.auditor.opts.Metrics.samples); n < auditPending {
			t.Errorf("%v samples after the feed came back", n)
		}
	})
}

func TestSamplesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSilentDB()
		p := newProcess(t, db, 2, db)
		forSome(10 * time.Minute)
		if n := testutil.ToFloat64(p.auditor.opts.Metrics.samples); n < 1100 || n > 1300 {
			t.Errorf("%v samples in ten minutes", n)
		}
		for _, rate := range []float64{-1, 101, math.NaN(), math.Inf(1)} {
			if err := p.auditor.SetSamples(rate); err == nil {
				t.Errorf("%v was accepted", rate)
			}
		}
		if err := p.auditor.SetSamples(0); err != nil {
			t.Fatal(err)
		}
		forSome(time.Second)
		before := testutil.ToFloat64(p.auditor.opts.Metrics.samples)
		forSome(time.Hour)
		if n := testutil.ToFloat64(p.auditor.opts.Metrics.samples); n != before {
			t.Errorf("%v samples while they are off", n-before)
		}
	})
}

func TestAuditOptions(t *testing.T) {
	w := newWorld(t)
	for name, o := range map[string]AuditOptions{
		"no follower":  {Metrics: NewAuditMetrics(prometheus.NewRegistry())},
		"no metrics":   {Follower: w.follower},
		"too many":     {Follower: w.follower, Metrics: NewAuditMetrics(prometheus.NewRegistry()), Samples: 1e6},
		"less than no": {Follower: w.follower, Metrics: NewAuditMetrics(prometheus.NewRegistry()), Samples: -1},
	} {
		if _, err := NewAuditor(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
