package prober

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The pauses of a reader. While a target lacks a write they grow with the time
// that it has lacked it, so that a window is measured to some per cent of itself
// and a target that is stuck is not asked five hundred times a second.
const (
	minPause     = 2 * time.Millisecond
	maxPause     = 500 * time.Millisecond
	pauseShare   = 50
	failurePause = 250 * time.Millisecond
)

// target is what is known of one target. It is guarded by the prober's lock.
type target struct {
	Target
	turn     int  // which list was read last in the turn of all,
	awaited  int  // and of those that lack a write,
	aside    bool // and that the last was one of these
	entries  [lists]shown
	answers  bool // the last read was answered
	figures  TargetReport
	windows  windows
	complain complaint
	counters counters
}

// shown is what a target has shown of an entry.
type shown struct {
	floor    int  // the latest place that is proven
	measured int  // up to which place windows are measured
	sure     bool // the floor is the very place that it shows, so that the next one can be told
	asked    int  // the latest place whose revision was asked with
	known    bool // there was an answer, and it was:
	listed   bool
}

// complaint is what was logged last: what goes on and on is said once.
type complaint struct {
	list, place int
	kind        Kind
}

// sit begins anew with the lists of a seat.
func (t *target) sit(s *seat) {
	for i := range t.entries {
		t.entries[i] = shown{measured: s.entries[i].newest(), sure: s.entries[i].newest() == 0}
	}
}

// shows reports whether a target has shown the acknowledged writes to a list. If it
// cannot be told at which write it is, the last answer has to look like it.
func (t *target) shows(s *seat, list int) bool {
	e, acked := &t.entries[list], s.entries[list].acked()
	if e.sure || acked == 0 {
		return e.floor >= acked
	}
	return e.known && e.listed == listed(acked)
}

// errand is what a reader asks next.
type errand struct {
	seat    *seat
	list    int
	atLeast int // the place whose revision is carried
	ask     Question
	pause   time.Duration // before the next one
}

// next says what to ask; ok is false while there is nothing to. changed is closed
// when there may be something better to ask than after the pause.
func (p *Prober) next(t *target) (e errand, changed <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.seat
	if s == nil {
		return errand{}, p.changed, false
	}
	e = errand{seat: s, list: withToken, pause: minPause}
	if place := s.entries[withToken].acked(); s.current == withToken && t.entries[withToken].asked < place {
		// Before anything else asks about this list: the answer to that may be as
		// old as it likes, and this one may not.
		t.entries[withToken].asked = place
		e.atLeast, e.ask.AtLeast = place, s.entries[withToken].at(place).revision
	} else {
		e.list, e.pause = p.look(t, s)
	}
	e.ask.Sender, e.ask.Recipient = s.sender(), s.owner(e.list)
	return e, p.changed, true
}

// look chooses the list that is read next: those that lack a write and all lists, by
// turns, or all if none lacks any. A target that always lacks some write is
// watched for what it says of the others too. The caller holds the lock.
func (p *Prober) look(t *target, s *seat) (list int, pause time.Duration) {
	t.turn = (t.turn + 1) % lists
	for i := range lists {
		awaited := (t.awaited + 1 + i) % lists
		if t.shows(s, awaited) {
			continue
		}
		w := s.entries[awaited].at(s.entries[awaited].acked())
		pause = min(max((p.now()-w.ack)/pauseShare, minPause), maxPause)
		if t.aside = !t.aside; t.aside {
			t.awaited = awaited
			return awaited, pause
		}
		return t.turn, pause
	}
	return t.turn, p.idle()
}

// idle is the pause while nothing is awaited: every list is looked at about once
// between two writes.
func (p *Prober) idle() time.Duration {
	return min(max(p.opts.Interval/lists, 2*minPause), maxPause)
}

// read asks a target until ctx ends.
func (p *Prober) read(ctx context.Context, t *target) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		e, changed, ok := p.next(t)
		if ok {
			begin := p.now()
			said, err := t.Ask(ctx, e.ask)
			end := p.now()
			if ctx.Err() != nil {
				return
			}
			pause.Reset(p.record(t, &e, answer{begin, end, said.Blocked, said.Age, e.atLeast}, err))
		} else {
			pause.Stop()
		}
		select {
		case <-pause.C:
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// record notes an answer and returns the pause before the next question.
func (p *Prober) record(t *target, e *errand, a answer, err error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.seat == e.seat {
		t.figures.Reads++
		t.counters.reads.Inc()
	}
	if t.answers = err == nil; err != nil {
		return p.unanswered(t, e, err)
	}
	if p.seat != e.seat {
		return 0 // it was about lists that were left
	}
	if a.age == 0 {
		a.age = p.opts.SoftBound()
	}
	t.figures.MaxAge = max(t.figures.MaxAge, a.age)
	entry, show := &e.seat.entries[e.list], &t.entries[e.list]
	show.known, show.listed = true, a.listed
	place, broken := entry.judge(a, show.floor)
	if broken != "" {
		p.accuse(t, e, a, broken)
		return e.pause
	}
	show.floor = max(show.floor, place)
	for ; show.sure && show.measured < place; show.measured++ {
		if e.list != withToken {
			p.measure(t, entry.at(show.measured+1), a.end)
		}
	}
	if !show.sure && place >= entry.acked() {
		show.sure, show.measured = true, place
	}
	return e.pause
}

// unanswered notes a read without an answer. How long the writes took to be shown
// cannot be told any more: it is not wrong to say nothing.
func (p *Prober) unanswered(t *target, e *errand, err error) time.Duration {
	t.counters.unanswered.Inc()
	if t.figures.LastError = err.Error(); errors.Is(err, ErrUnknown) {
		t.figures.Unknown++
	} else {
		t.figures.Unreached++
	}
	if p.seat == e.seat {
		show := &t.entries[e.list]
		show.measured, show.sure, show.known = e.seat.entries[e.list].newest(), false, false
	}
	return failurePause
}

// measure notes how long after its acknowledgement a write was shown.
func (p *Prober) measure(t *target, w *write, end time.Duration) {
	if w == nil {
		return // so long ago that it is not kept
	}
	window := time.Duration(0)
	if w.acked {
		window = max(0, end-w.ack)
	}
	t.windows.add(window)
	t.counters.window.Observe(window.Seconds())
	if window > t.figures.Max {
		t.figures.Max = window
		t.figures.MaxAt = p.clock.Add(end)
	}
}

// keptViolations is how many are told one by one.
const keptViolations = 20

// accuse notes a violation.
func (p *Prober) accuse(t *target, e *errand, a answer, broken Kind) {
	entry := &e.seat.entries[e.list]
	v := Violation{
		At: p.clock.Add(a.end), Target: t.Name, Kind: broken, Listed: a.listed, Claimed: a.age,
	}
	if place := entry.ackedBy(a.begin); place > 0 {
		v.Since = a.begin - entry.at(place).ack
	}
	t.figures.Violations[broken]++
	t.counters.violations[broken].Inc()
	if len(p.wrong) < keptViolations {
		p.wrong = append(p.wrong, v)
	}
	if now := (complaint{e.list, entry.newest(), broken}); t.complain != now {
		t.complain = now
		p.opts.Logger.Warn("a probe was answered wrongly", "sidecar", t.Name, "kind", string(broken), "what", v.String())
	}
}

// readers runs a reader for each target.
type readers struct {
	p       *Prober
	running map[string]context.CancelFunc
	group   sync.WaitGroup
}

func (r *readers) wait() { r.group.Wait() }

// find asks for the targets and reads those that are there now, until reading ends.
func (r *readers) find(ctx, reading context.Context) error {
	found, err := r.p.opts.Find(ctx)
	if err != nil {
		return fmt.Errorf("find the targets: %w", err)
	}
	if len(found) == 0 || len(found) > MaxTargets {
		return fmt.Errorf("there are %d targets; a prober reads 1 to %d", len(found), MaxTargets)
	}
	for name, stop := range r.running {
		if !slices.ContainsFunc(found, func(t Target) bool { return t.Name == name }) {
			stop()
			delete(r.running, name)
			r.p.forget(name)
		}
	}
	for _, t := range found {
		if _, runs := r.running[t.Name]; runs {
			continue
		}
		ctx, stop := context.WithCancel(reading)
		r.running[t.Name] = stop
		known := r.p.meet(t)
		r.group.Go(func() { r.p.read(ctx, known) })
	}
	return nil
}

// meet begins to know a target. One that was known before and came back keeps its
// figures, and nothing of what it has shown: it may be another process.
func (p *Prober) meet(found Target) *target {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &target{Target: found, counters: p.opts.Metrics.of(found.Name)}
	if i := slices.IndexFunc(p.order, func(old *target) bool { return old.Name == found.Name }); i >= 0 {
		t.figures, t.windows = p.order[i].figures, p.order[i].windows
		p.order[i] = t
	} else {
		t.figures.Violations = map[Kind]int{}
		p.order = append(p.order, t)
	}
	if p.seat != nil {
		t.sit(p.seat)
	}
	p.targets[t.Name] = t
	return t
}

// forget says that a target is gone.
func (p *Prober) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.targets, name)
}
