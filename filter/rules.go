package filter

import (
	"time"

	"github.com/sidegate/sidegate/cache"
)

// answer is what a rule says to a check.
type answer uint8

const (
	no answer = iota
	yes
	unknown // it would take a list that is unknown
)

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// decide asks the rules. A check passes no recorder, an explanation passes one
// and is told what every rule said and which lists it read.
func (f *Filter) decide(check *Check, rec *recorder) Decision {
	e := evaluation{rec: rec}
	if why := e.begin(f, check, f.cache.Now()); why != CauseNone {
		return undecided(why)
	}
	e.lookAhead()
	return e.decide()
}

// decide is what the rules come to, and what an app in shadow answers in its place.
// Invitations are not messages: what becomes of them says [Filter.Invitees].
func (e *evaluation) decide() Decision {
	d := e.judge()
	if e.app.shadow && !e.lobby {
		return d.shadowed()
	}
	return d
}

// judge is the order of the rules; the first that matches decides. It is the one
// place where they are asked: by checks, fan-outs, batches and explanations alike.
// The rule behind a case is asked only if none before it matched, so a list is read only
// when a rule that needs it has its turn.
//
// A rule that cannot be answered does not match, and the ones after it are
// still asked: a message that is stopped whatever the unknown list holds is not
// unknown. Only where the rules end in a delivery does an unknown list count.
func (e *evaluation) judge() Decision {
	switch {
	case e.says(ReasonSelf, e.self()):
		return e.delivered(ReasonSelf)
	case e.says(ReasonExempt, e.exempt()):
		return e.delivered(ReasonExempt)
	case e.says(ReasonUnverifiedOrigin, e.unverifiedOrigin()):
		return e.delivered(ReasonUnverifiedOrigin)
	case e.says(ReasonBannedInRoom, e.bannedInRoom()):
		return e.aged(Decision{Action: ActionReject, Reason: ReasonBannedInRoom})
	case e.says(ReasonRoomNotFiltered, e.roomNotFiltered()):
		return e.delivered(ReasonRoomNotFiltered)
	case e.says(ReasonNotOnAllowlist, e.notOnAllowlist()):
		return e.blocked(ReasonNotOnAllowlist)
	case e.says(ReasonRecipientBlockedSender, e.recipientBlockedSender()):
		return e.blocked(ReasonRecipientBlockedSender)
	case e.says(ReasonSenderBlockedRecipient, e.senderBlockedRecipient()):
		return e.blocked(ReasonSenderBlockedRecipient)
	}
	return e.delivered(ReasonAllowed)
}

// says records a rule's answer and reports whether it matched.
func (e *evaluation) says(rule Reason, a answer) bool {
	if e.rec != nil {
		e.rec.rule(rule, a)
	}
	return a == yes
}

func (e *evaluation) self() answer { return is(e.check.Sender == e.check.Recipient) }

// exempt looks at the sender only: a moderator's message reaches everyone, a
// message to a moderator is filtered like any other.
func (e *evaluation) exempt() answer {
	_, ok := e.app.exempt[e.check.Sender]
	return is(ok)
}

func (e *evaluation) unverifiedOrigin() answer {
	return is(e.check.FromServer && !e.check.Verify)
}

func (e *evaluation) bannedInRoom() answer {
	if e.check.Room == "" {
		return no
	}
	ban := &e.sender.ban
	if !e.read(ban, listName{cache.KindRoom, e.check.Room}, e.check.Sender) {
		e.banUnknown = true
		return unknown
	}
	return is(e.hasSender(ban))
}

func (e *evaluation) roomNotFiltered() answer { return is(e.room.onBlock == OnBlockDeliver) }

func (e *evaluation) notOnAllowlist() answer {
	if !e.room.allowlist {
		return no
	}
	if !e.readRecipient() {
		return unknown
	}
	if !e.recipient.view.Allowlist() {
		return no
	}
	var allowed reading
	if !e.read(&allowed, listName{cache.KindAllow, e.check.Recipient}, e.check.Sender) {
		return unknown
	}
	return is(!e.hasSender(&allowed))
}

func (e *evaluation) recipientBlockedSender() answer {
	if !e.readRecipient() {
		return unknown
	}
	return is(!e.asleep(&e.recipient) && e.hasSender(&e.recipient))
}

// readRecipient reads the recipient's block list; false: it is unknown.
func (e *evaluation) readRecipient() bool {
	return e.read(&e.recipient, listName{cache.KindBlock, e.check.Recipient}, e.check.Sender)
}

func (e *evaluation) senderBlockedRecipient() answer {
	if !e.room.twoWay {
		return no
	}
	blocks := &e.sender.blocks
	if !e.read(blocks, listName{cache.KindBlock, e.check.Sender}, e.check.Recipient) {
		return unknown
	}
	return is(!e.asleep(blocks) && e.hasRecipient(blocks))
}

// asleep reports whether the owner's blocks do not count because the owner is
// in allowlist mode, and this is a room where that mode counts.
func (e *evaluation) asleep(blocks *reading) bool {
	return e.room.allowlist && blocks.view.Allowlist()
}

// delivered ends in a plain delivery, unless a rule before could not be
// answered.
func (e *evaluation) delivered(by Reason) Decision {
	if e.cause != CauseNone {
		return e.undecided()
	}
	return e.aged(Decision{Deliver: true, Notify: true, Reason: by})
}

// blocked ends in what the room does on a block. It stands although another
// list that could also have led here is unknown: all of them come to the same.
// A ban does not, it stops what a silent delivery lets through.
func (e *evaluation) blocked(by Reason) Decision {
	d := e.onBlock()
	if d.Deliver && e.banUnknown {
		return e.undecided()
	}
	d.Reason = by
	return e.aged(d)
}

// onBlock is what the room does on a block, without a reason.
func (e *evaluation) onBlock() Decision {
	switch e.room.onBlock {
	case OnBlockReject:
		return Decision{Action: ActionReject}
	case OnBlockDrop:
		return Decision{Action: ActionDrop}
	case OnBlockDeliverSilently:
		return Decision{Deliver: true, Notify: e.check.NotifyBlocked}
	}
	return Decision{Deliver: true, Notify: true}
}

// undecided is what the app does when a list is unknown. A caller that asked
// for a certain freshness and cannot have it is told so under every policy: it
// asked for exactly that.
func (e *evaluation) undecided() Decision {
	d := undecided(e.cause)
	if e.cause == CauseNotFreshEnough {
		return d
	}
	switch e.app.onUnknown {
	case OnUnknownDeliver:
		d.Deliver, d.Notify, d.Action, d.Degraded = true, true, ActionDeliver, true
	case OnUnknownWithhold:
		d = e.onBlock()
		d.Reason, d.Cause, d.Degraded = ReasonUnknown, e.cause, true
	}
	return d
}

// undecided is no decision. A caller that overlooks that withholds the message.
func undecided(why Cause) Decision {
	return Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: why}
}

// aged puts the age of the answer into it if it is worth a word.
func (e *evaluation) aged(d Decision) Decision {
	if age := time.Duration(e.now - e.asOf); age > e.filter.soft {
		d.Stale = age
	}
	return d
}
