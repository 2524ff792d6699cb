package prober

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Seats is how many sets of ids there are, and so how many probers of one app
// write at a time.
const Seats = 256

const (
	lists     = 5         // of a seat, two of them of a kind of their own:
	withToken = lists - 2 // the one that is asked about with revisions, and
	slow      = lists - 1 // the one that is written rarely
	slowness  = 3         // soft bounds that pass between two writes to that
	lifetime  = time.Hour // of an entry that nobody takes off
	renewal   = lifetime / 3
	trusted   = lifetime / 2 // for so long nobody else's clock has ended it
	seatTries = 16
	tidyPause = 50 * time.Millisecond
)

// seat is a set of lists that one prober alone writes. What does not follow from
// its number is guarded by the prober's lock.
type seat struct {
	number  int
	claimed time.Duration // when the claim was last made or renewed
	sat     time.Duration // when its lists were known to be empty
	entries [lists]timeline
	current int // the list that was written last
}

func (s *seat) owner(list int) string { return fmt.Sprintf("%s%03d-list-%d", Prefix, s.number, list+1) }
func (s *seat) sender() string        { return fmt.Sprintf("%s%03d-sender", Prefix, s.number) }

// claim is the entry that makes the seat ours: on whose list it stands, and who.
func (s *seat) claim() (owner, target string) {
	owner = fmt.Sprintf("%s%03d", Prefix, s.number)
	return owner, owner + "-claim"
}

// errSeats: with that many probers something else is wrong.
var errSeats = fmt.Errorf("%w: no seat is free: other probers write to the same app, or were killed within the hour", ErrRefused)

// takeSeat claims a set of lists that nobody uses.
func (p *Prober) takeSeat(ctx context.Context) error {
	for _, number := range rand.Perm(Seats)[:seatTries] {
		s := &seat{number: number, current: slow}
		free, err := p.claim(ctx, s)
		if err != nil {
			return fmt.Errorf("claim lists of the prober's own: %w", err)
		}
		if !free {
			continue
		}
		p.mu.Lock()
		p.seat = s
		for _, t := range p.targets {
			t.sit(s)
		}
		p.announce()
		p.mu.Unlock()
		return nil
	}
	return errSeats
}

// claim tries one seat. Lists that somebody has left their entry on are made
// empty and then left alone, for a while nobody can say what a sidecar may answer
// about them.
func (p *Prober) claim(ctx context.Context, s *seat) (free bool, err error) {
	owner, target := s.claim()
	s.claimed = p.now()
	done, err := p.opts.Writer.Block(ctx, owner, target, time.Now().Add(lifetime))
	if err != nil {
		if !errors.Is(err, ErrRefused) {
			p.leave(s)
		}
		return false, err
	}
	if !done.Changed {
		return false, nil
	}
	free = true
	for i := range lists {
		done, err := p.opts.Writer.Unblock(ctx, s.owner(i), s.sender())
		if err != nil {
			p.leave(s)
			return false, err
		}
		free = free && !done.Changed
	}
	if !free {
		p.leave(s)
	}
	s.sat = p.now()
	return free, nil
}

// renew keeps the claim.
func (p *Prober) renew(ctx context.Context, s *seat) {
	now := p.now()
	if now-s.claimed < renewal {
		return
	}
	owner, target := s.claim()
	if _, err := p.opts.Writer.Block(ctx, owner, target, time.Now().Add(lifetime)); err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.claimed = now
	}
}

// tired reports whether the seat was not written for so long, as when the store is
// away, that its entries or its claim may have ended by themselves. The caller holds
// the lock.
func (s *seat) tired(now time.Duration) bool {
	for i := range s.entries {
		if place := s.entries[i].newest(); listed(place) && now-s.entries[i].at(place).begin > trusted {
			return true
		}
	}
	return now-s.claimed > trusted
}

// leave gives up a seat, whose entries are taken away at the end.
func (p *Prober) leave(s *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const most = 2 * Seats // the rest ends by itself
	if len(p.left) < most {
		p.left = append(p.left, s)
	}
	if p.seat == s {
		p.seat = nil
	}
}

// write makes the next write: on one list after the other, and on each by turns a
// block and its end.
func (p *Prober) write(ctx context.Context) {
	p.mu.Lock()
	s := p.seat
	tired := s != nil && s.tired(p.now())
	p.mu.Unlock()
	if tired {
		p.leave(s)
		s = nil
	}
	if s == nil {
		if err := p.takeSeat(ctx); err != nil {
			if ctx.Err() == nil {
				p.opts.Logger.Debug("the prober has no lists to write to", "error", err)
				p.count(err)
			}
			return
		}
		s = p.seat // which nobody else changes
	}
	// A write that is under way is not broken off at the end: then nobody would
	// know what became of it.
	ctx, stop := outlast(ctx, p.opts.Grace)
	defer stop()
	p.renew(ctx, s)
	p.mu.Lock()
	list := s.follow(p.now() - slowness*p.opts.SoftBound())
	s.current = list
	entry := &s.entries[list]
	entry.begin(p.now())
	block := listed(entry.newest())
	p.mu.Unlock()

	var done Written
	var err error
	if block {
		done, err = p.opts.Writer.Block(ctx, s.owner(list), s.sender(), time.Now().Add(lifetime))
	} else {
		done, err = p.opts.Writer.Unblock(ctx, s.owner(list), s.sender())
	}
	p.acknowledge(s, done, err)
}

// follow returns the list that is written next. The slow one only if it was not since
// a moment: on a list that changes faster than answers may be old, any answer may be
// of some moment that is still allowed, and who is always too old is not found out.
func (s *seat) follow(moment time.Duration) int {
	list := (s.current + 1) % lists
	last := s.entries[list].at(s.entries[list].newest())
	if list == slow && last != nil && last.begin > moment {
		return 0
	}
	return list
}

// acknowledge ends the write that was begun last.
func (p *Prober) acknowledge(s *seat, done Written, err error) {
	now := p.now()
	p.count(err)
	switch {
	case errors.Is(err, ErrRefused):
		p.mu.Lock()
		defer p.mu.Unlock()
		// What was answered in the meantime was about a write that never was: no
		// harm, unless somebody has shown it.
		s.entries[s.current].undo()
	case err != nil || !done.Changed:
		// Nobody knows whether and when it happens; or somebody else writes here.
		p.leave(s)
	default:
		p.mu.Lock()
		defer p.mu.Unlock()
		s.entries[s.current].done(now, done.Revision)
		p.announce()
	}
}

// count counts a write by its outcome.
func (p *Prober) count(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.writes.Acknowledged++
		p.opts.Metrics.acknowledged.Inc()
	case errors.Is(err, ErrRefused):
		p.writes.Refused++
		p.writes.LastError = err.Error()
		p.opts.Metrics.refused.Inc()
	default:
		p.writes.Unknown++
		p.writes.LastError = err.Error()
		p.opts.Metrics.unknown.Inc()
	}
}

// tidy takes every entry away that may stand somewhere, whatever ended the run. A
// seat that was claimed long ago is let be: its entries end by themselves, and
// somebody else may sit there, whose entries would look like a sidecar's lies.
func (p *Prober) tidy(ctx context.Context) error {
	p.mu.Lock()
	seats := p.left
	if p.seat != nil {
		seats = append(seats, p.seat)
	}
	p.mu.Unlock()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Grace)
	defer stop()
	for _, s := range seats {
		if p.now()-s.claimed > trusted {
			continue
		}
		for i := range lists {
			if err := p.takeAway(ctx, s.owner(i), s.sender()); err != nil {
				return err
			}
		}
		owner, target := s.claim()
		if err := p.takeAway(ctx, owner, target); err != nil {
			return err
		}
	}
	return nil
}

// takeAway takes an entry off its list, however often it has to be tried.
func (p *Prober) takeAway(ctx context.Context, owner, target string) error {
	again := time.NewTicker(tidyPause)
	defer again.Stop()
	for {
		_, err := p.opts.Writer.Unblock(ctx, owner, target)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("take the prober's entries off their lists, which they leave by themselves within %s: %w", lifetime, err)
		}
	}
}

// outlast returns a context that ends a while after its parent.
func outlast(parent context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	forget := context.AfterFunc(parent, func() {
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { forget(); cancel() }
}
