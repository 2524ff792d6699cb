package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const addEachSQL = `select sidegate.add_each($1::text, $2::text[], $3::text[], $4::text[], $5::timestamptz[],
	$6::text[], $7::text[], $8::text[])`

const (
	// lanes is the most shared transactions that run at once; it leaves a
	// connection of the pool to those that write alone.
	lanes = writeConns - 1
	// slow is how long the newest of them may take before another begins beside
	// it: one that waits for a lock, or for a dead connection, must not hold up
	// all. Until then one is best, because its batches are the largest.
	slow = 50 * time.Millisecond
	// maxTogether is the most additions that share a transaction.
	maxTogether = 64
)

// passenger is an addition on its way through a shared transaction.
type passenger struct {
	edit filter.Edit
	// called gets one value: true tells the passenger to drive the next batch,
	// false that the fields below are set.
	called chan bool

	edited filter.Edited
	err    error
	alone  bool // nothing was stored, and it has to be tried by itself
}

// together lets additions to different lists that come while others are being
// stored share the next transaction: its commit, its round trip and its
// statements. Whoever finds none under way does not wait, so a lone writer pays
// nothing. There is no goroutine: one passenger of a batch drives it, and then
// calls the first of those who wait to drive the next.
type together struct {
	mu    sync.Mutex
	busy  int          // lanes in use; while there is none nobody waits
	began time.Time    // when the newest batch did
	queue []*passenger // in the order of coming; nobody in it has been called

	salt atomic.Int64 // of the owner hash, 0 until it is known
}

// plain reports whether an edit may travel with others: one entry more, and
// nothing besides.
func plain(e *filter.Edit) bool {
	return len(e.Add) == 1 && len(e.Remove) == 0 && e.Once.IsZero()
}

// ride takes an addition through a shared transaction. If ctx ends before the
// transaction begins nothing has happened; later its end is awaited, for it is
// bounded and tells what became of the addition.
func (s *Store) ride(ctx context.Context, p *passenger) {
	begun := time.Now()
	drive, ok := s.together.enter(ctx, p)
	if s.waited != nil {
		s.waited(ctx, time.Since(begun)) // for those who drove
	}
	switch {
	case !ok:
		p.err = &unsentError{ctx.Err()}
	case drive:
		s.drive(ctx, p)
	}
}

// enter waits until p is called, and reports whether p is to drive a batch. ok is
// false if ctx ended while p was still waiting. Who is not in the queue any more
// will be called, or has been.
func (t *together) enter(ctx context.Context, p *passenger) (drive, ok bool) {
	t.mu.Lock()
	if t.busy == 0 || t.busy < lanes && time.Since(t.began) > slow {
		t.busy++
		t.began = time.Now()
		t.mu.Unlock()
		return true, true
	}
	t.queue = append(t.queue, p)
	t.mu.Unlock()
	look := time.NewTicker(slow)
	defer look.Stop()
	for {
		select {
		case drive = <-p.called:
			return drive, true
		case <-look.C:
			// Nobody may come who would pass the slow one for us.
			if t.pass(p) {
				return true, true
			}
		case <-ctx.Done():
			t.mu.Lock()
			i := slices.Index(t.queue, p)
			if i >= 0 {
				t.queue = slices.Delete(t.queue, i, i+1)
			}
			t.mu.Unlock()
			if i >= 0 {
				return false, false
			}
			return <-p.called, true
		}
	}
}

// pass lets p, who waits, drive beside those under way if the newest is slow.
func (t *together) pass(p *passenger) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.queue, p)
	if i < 0 || t.busy == lanes || time.Since(t.began) <= slow {
		return false
	}
	t.queue = slices.Delete(t.queue, i, i+1)
	t.busy++
	t.began = time.Now()
	return true
}

// board takes the next batch: p, and those of the same app who wait.
func (t *together) board(p *passenger) []*passenger {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = time.Now()
	batch := []*passenger{p}
	t.queue = slices.DeleteFunc(t.queue, func(q *passenger) bool {
		if len(batch) == maxTogether || q.edit.List.App != p.edit.List.App {
			return false
		}
		batch = append(batch, q)
		return true
	})
	return batch
}

// handOver gives the lane to the first who waits, or frees it.
func (t *together) handOver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.busy--
		return
	}
	next := t.queue[0]
	t.queue = slices.Delete(t.queue, 0, 1)
	next.called <- true
}

// drive stores a batch and tells everybody in it what became of theirs.
func (s *Store) drive(ctx context.Context, p *passenger) {
	batch := s.together.board(p)
	s.addEach(context.WithoutCancel(ctx), batch)
	s.together.handOver()
	for _, q := range batch {
		if q != p {
			q.called <- false
		}
	}
}

// addedJSON is what sidegate.add_each answers: for each list that made a step, its
// place in the batch, then prev, version, size, digest, allowlist and time.
type addedJSON struct {
	Identity whoJSON    `json:"identity"`
	Edits    []stepJSON `json:"edits"`
}

// addEach stores a batch in one transaction. What the database leaves out, and
// all if it undoes the transaction, is for each to try alone.
func (s *Store) addEach(ctx context.Context, batch []*passenger) {
	s.together.sort(batch)
	var answer addedJSON
	err := s.tryWrite(ctx, writeTimeout, &answer, addEachSQL, batchColumns(batch)...)
	var id cache.Identity
	if err == nil {
		id, err = answer.Identity.identity()
	}
	if err != nil {
		pg, reported := errors.AsType[*pgconn.PgError](err)
		undone := reported && pg.SeverityUnlocalized == "ERROR" || pgconn.SafeToRetry(err)
		for _, p := range batch {
			p.err, p.alone = err, undone
		}
		return
	}
	if len(answer.Edits) > 0 {
		s.written()
	}
	s.together.salt.Store(id.Salt)
	for _, p := range batch {
		p.alone = true
	}
	for i := range answer.Edits {
		e := &answer.Edits[i]
		if e.place < 1 || e.place > len(batch) {
			continue
		}
		p := batch[e.place-1]
		p.alone, p.edited = false, e.edited(id, &p.edit)
	}
}

// sort puts a batch into the order in which every writer locks lists. Its hash
// depends on a salt that the first answer tells; until then whoever meets another
// in the wrong order gives way after a twentieth of a second.
func (t *together) sort(batch []*passenger) {
	salt := t.salt.Load()
	slices.SortFunc(batch, func(a, b *passenger) int {
		x, y := &a.edit.List, &b.edit.List
		return cmp.Or(cmp.Compare(x.Kind.String(), y.Kind.String()),
			cmp.Compare(int64(cache.HashOwner(x.Owner, salt)), int64(cache.HashOwner(y.Owner, salt))),
			cmp.Compare(x.Owner, y.Owner))
	})
}

// batchColumns are the arguments of the statement.
func batchColumns(batch []*passenger) []any {
	n := len(batch)
	kinds, owners, targets := make([]string, n), make([]string, n), make([]string, n)
	notes, sources, actors := make([]string, n), make([]string, n), make([]string, n)
	ends := make([]*time.Time, n)
	for i, p := range batch {
		add := &p.edit.Add[0]
		kinds[i], owners[i], targets[i] = p.edit.List.Kind.String(), p.edit.List.Owner, add.Target
		notes[i], sources[i], actors[i] = add.Note, p.edit.Source, p.edit.Actor
		ends[i] = expiry(add)
	}
	return []any{batch[0].edit.List.App, kinds, owners, targets, ends, notes, sources, actors}
}

// expiry is when an addition ends, to the microsecond; nil is never.
func expiry(a *filter.Addition) *time.Time {
	if a.ExpiresAt.IsZero() {
		return nil
	}
	at := a.ExpiresAt.Truncate(time.Microsecond)
	return &at
}

// stepJSON is one list's step.
type stepJSON struct {
	place           int
	prev, version   int64
	size            int
	digest, created int64
	allowlist       bool
}

// UnmarshalJSON reads the array that the database writes.
func (e *stepJSON) UnmarshalJSON(text []byte) error {
	fields := []any{&e.place, &e.prev, &e.version, &e.size, &e.digest, &e.allowlist, &e.created}
	n := len(fields)
	if err := decode(text, &fields); err != nil {
		return err
	}
	if len(fields) != n {
		return fmt.Errorf("a step of %d fields, want %d", len(fields), n)
	}
	return nil
}

// edited is what the step did to its list.
func (e *stepJSON) edited(id cache.Identity, edit *filter.Edit) filter.Edited {
	add := &edit.Add[0]
	block := filter.Block{
		Owner: edit.List.Owner, Target: add.Target, CreatedAt: instant(e.created),
		Note: add.Note, Source: edit.Source, Actor: edit.Actor,
	}
	entry := cache.Entry{Target: add.Target}
	if at := expiry(add); at != nil {
		block.ExpiresAt, entry.Expires = at.UTC(), at.UnixMicro()
	}
	return filter.Edited{
		Identity: id, Version: e.version, Size: e.size, Created: []bool{true},
		Changes: []cache.Change{{
			App: edit.List.App, Kind: edit.List.Kind, Owner: edit.List.Owner, Prev: e.prev, Version: e.version,
			Size: e.size, Digest: uint64(e.digest), Allowlist: e.allowlist, At: instant(e.created),
			Op: cache.OpAdd, Entries: []cache.Entry{entry},
		}},
		Added: []filter.Block{block}, Removed: []filter.Block{},
	}
}
