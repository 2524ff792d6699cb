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
	all := make([]int, len(messages))
	for i := range all {
		all[i] = i
	}
	memory := f.recollect()
	for {
		round := request{since: f.cache.Now()}
		f.inTurns(all, func(i int) {
			e := evaluation{past: &past{memory, messages[i].At}}
			e.resume(f, &check, round)
			e.check.Sender = messages[i].Sender
			decisions[i] = e.decide()
		})
		if done, err := memory.complete(ctx); err != nil && probe.app.shadow {
			fill(decisions, undecided(CauseNotLoaded).shadowed())
			return nil
		} else if err != nil {
			return fmt.Errorf("visible: %w", err)
		} else if done {
			return nil
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
