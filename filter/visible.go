package filter

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sent is a message of the past.
type Sent struct {
	Sender string
	At     time.Time // an instant that has not come yet counts as now
}

// Visible decides messages of the past to one recipient: decisions, which must be
// as long as messages, receives for each what would have been decided at its
// instant under today's policy. Where Deliver is false the message was withheld,
// and stays invisible after the block has ended. The check says everything but
// the sender; AtLeast means nothing here, the lists are read from the database.
//
// Each decision is the one of [Filter.Explain] at that instant, made by the same
// rules. All that they need of history is read at once. None is counted as a
// decision.
//
// Errors are an *[Error] with [CodeUnknownApp], and those of [EvidenceStore]. An app
// in shadow hides nothing, also when the store cannot be asked: [Decision.Would] is
// unknown then. Nothing of the arguments is kept and no goroutine is left when it returns.
func (f *Filter) Visible(ctx context.Context, check Check, messages []Sent, decisions []Decision) error {
	if f.store == nil {
		return errors.New("filter: visible: there is no store of evidence")
	}
	decisions = decisions[:len(messages)]
	check.AtLeast = Revision{}
	var probe evaluation
	if err := refused(probe.begin(f, &check, f.cache.Now()), check.RoomType); err != nil {
		return fmt.Errorf("visible: %w", err)
	}
	err := f.remember(ctx, &check, decisions, func(e *evaluation, i int) {
		e.past.at, e.check.Sender = messages[i].At, messages[i].Sender
	})
	if err != nil && probe.app.shadow {
		fill(decisions, undecided(CauseNotLoaded).shadowed())
		return nil
	}
	if err != nil {
		return fmt.Errorf("visible: %w", err)
	}
	return nil
}

// Past decides checks of one app, each as its lists were at an instant of its own:
// decisions, which must be as long as checks and at, receives for each what Explain
// would say. AtLeast means nothing here. None is counted as a decision; errors are
// those of [Filter.Visible], also for an app in shadow. It panics if the checks are
// of several apps.
func (f *Filter) Past(ctx context.Context, checks []Check, at []time.Time, decisions []Decision) error {
	if len(checks) == 0 {
		return nil
	}
	if f.store == nil {
		return errors.New("filter: past: there is no store of evidence")
	}
	for i := range checks {
		if checks[i].App != checks[0].App {
			panic("filter: the checks of Past are of several apps")
		}
		var probe evaluation
		if err := refused(probe.begin(f, &checks[i], f.cache.Now()), checks[i].RoomType); err != nil {
			return fmt.Errorf("past: %w", err)
		}
	}
	err := f.remember(ctx, &checks[0], decisions[:len(checks)], func(e *evaluation, i int) {
		check := checks[i]
		check.AtLeast = Revision{}
		e.past.at = at[i]
		e.begin(f, &check, e.now)
	})
	if err != nil {
		return fmt.Errorf("past: %w", err)
	}
	return nil
}

// remember decides one check for each of decisions, from history: prepare says of
// the i-th when it is and in what it is another than check.
func (f *Filter) remember(ctx context.Context, check *Check, decisions []Decision, prepare func(e *evaluation, i int)) error {
	all := make([]int, len(decisions))
	for i := range all {
		all[i] = i
	}
	memory := f.recollect()
	for {
		round := request{since: f.cache.Now()}
		f.inTurns(all, func(i int) {
			e := evaluation{past: &past{recollection: memory}}
			e.resume(f, check, round)
			prepare(&e, i)
			decisions[i] = e.decide()
		})
		if done, err := memory.complete(ctx); err != nil || done {
			return err
		}
	}
}

// refused turns the reason for which a check cannot be evaluated into an error.
func refused(why Cause, room RoomType) error {
	switch why {
	case CauseUnknownApp:
		return Errorf(CodeUnknownApp, "the app is not configured")
	case CauseInvalidRoomType:
		return fmt.Errorf("%v is no room type", room)
	}
	return nil
}
