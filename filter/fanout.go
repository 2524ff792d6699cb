package filter

import (
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Fanout decides one message to many recipients. The check says everything but
// the recipient; decisions, which must be as long as recipients, receives the
// answers in their order, each the one that [Filter.CanDeliver] would give. What
// CanDeliver says of ids and AtLeast holds here too.
//
// Lists of the sender and the room are read once for all recipients. Recipients
// whose lists are in memory cost no allocation and no lock. The others are
// decided after them, several at a time, within one deadline for all: what is
// not known by then is answered as the app's [OnUnknown] says. Nothing of the
// arguments is kept and no goroutine is left when it returns.
func (f *Filter) Fanout(check Check, recipients []string, decisions []Decision) {
	begun := time.Now()
	decisions = decisions[:len(recipients)]
	f.spread(check, false, recipients, decisions)
	var sum tally
	for i := range decisions {
		sum.add(check.RoomType, &decisions[i])
	}
	f.metrics.add(check.API, &sum)
	f.metrics.observe(check.API, time.Since(begun))
}

// spread decides for all recipients, in the room of the check or in the lobby.
func (f *Filter) spread(check Check, lobby bool, recipients []string, decisions []Decision) {
	e := evaluation{postpone: true, bulk: true, lobby: lobby}
	if why := e.begin(f, &check, f.cache.Now()); why != CauseNone {
		fill(decisions, undecided(why))
		return
	}
	if late := e.fanout(recipients, decisions, nil); len(late) > 0 {
		f.fanoutLate(message{check, e.request(), e.sender, recipients}, late, decisions)
	}
}

func fill(decisions []Decision, with Decision) {
	for i := range decisions {
		decisions[i] = with
	}
}

// fanout decides all recipients whose lists are in memory and appends the
// indices of the others to late. What the rules want of the sender's side is
// read at once: every recipient would wait for it.
func (e *evaluation) fanout(recipients []string, decisions []Decision, late []int) []int {
	e.sender.ban.shared, e.sender.blocks.shared = true, true
	// Whether the rules get as far as the recipient's list depends on the
	// sender and the room alone, so the first recipients tell for all.
	var ahead [stride]cache.Lookup
	var same alike
	staged := false
	for from := 0; from < len(recipients); from += stride {
		some := recipients[from:min(from+stride, len(recipients))]
		e.now = e.filter.cache.Now()
		if staged {
			e.lookAheadOf(some, ahead[:len(some)])
		}
		wanted := false
		for i, recipient := range some {
			kind := unlike
			if staged {
				kind = e.kindOf(recipient, &ahead[i])
			}
			if d, ok := same.of(kind, e.now); ok {
				decisions[from+i], wanted = d, true
				continue
			}
			e.check.Recipient = recipient
			e.reset()
			if staged {
				e.recipient.take(&ahead[i])
			}
			d := e.decide()
			wanted = wanted || e.recipient.state != unread
			if e.missed {
				late = append(late, from+i)
				continue
			}
			decisions[from+i] = d
			if kind != unlike {
				same.learn(kind, e.kindOf(recipient, &ahead[i]), e.now, d)
			}
		}
		staged = wanted
	}
	return late
}

// message is a fan-out that has yet to wait: its check without a recipient, what
// was read of the sender's side, and all recipients.
type message struct {
	check      Check
	request    request
	sender     senderSide
	recipients []string
}

// fanoutLate decides the recipients that were left. It has its own copies of
// what it shares with goroutines, so that a fan-out that waits for nothing stays
// on the stack.
func (f *Filter) fanoutLate(m message, late []int, decisions []Decision) {
	f.inTurns(late, func(i int) {
		var e evaluation
		e.resume(f, &m.check, m.request)
		e.check.Recipient, e.sender = m.recipients[i], m.sender
		decisions[i] = e.decide()
	})
}
