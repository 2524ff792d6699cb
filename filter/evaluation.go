package filter

import (
	"math"

	"github.com/sidegate/sidegate/cache"
)

// evaluation is one check on its way through the rules. It lives on the stack
// of the caller. A fan-out takes one evaluation through the rules once for each
// recipient, see reset.
type evaluation struct {
	filter *Filter
	app    *app
	room   *room
	check  Check
	rec    *recorder // nil in a check
	past   *past     // nil: the lists as they are now

	now    cache.Instant
	wanted wanted
	server proof
	lobby  bool // it is about an invitation: the room is the app's lobby

	sender senderSide
	findings

	// Fingerprints of the check's sender and recipient, 0 if nothing asked yet:
	// several rules, and all recipients of a message, ask for the same one.
	senderPrint    cache.Print
	recipientPrint cache.Print

	// postpone: a list that is not in memory is not waited for; the rules end
	// with missed set and mean nothing.
	postpone bool

	// bulk: the check is one of a request about many. What it waits for leaves
	// room for checks that are not.
	bulk bool

	// When this check began to wait for the database, if it has: no pointer
	// may go from here to a context, or every check would be allocated.
	waiting bool
	since   cache.Instant
}

// senderSide is what the rules have read for the sender and the room. All
// recipients of a message share it.
type senderSide struct {
	ban    reading // the room's list
	blocks reading // the sender's block list
}

// findings is what the rules have found out for one recipient.
type findings struct {
	recipient reading       // their block list, which serves two rules
	asOf      cache.Instant // every list read was true then or later

	cause      Cause // why a list is unknown; CauseNone: none is
	banUnknown bool  // the unknown list, or one of them, is the room's
	missed     bool  // see evaluation.postpone
}

// listless is asOf while no list has been read.
const listless = cache.Instant(math.MaxInt64)

// begin readies the evaluation for a check, or says why there can be none. What
// it leaves is what holds for the request of which the check is a part: whether it
// is an invitation, what a revision found out about the server, and since when
// somebody waits.
func (e *evaluation) begin(f *Filter, check *Check, now cache.Instant) Cause {
	app, room := f.apps[check.App], check.RoomType
	switch {
	case app == nil:
		return CauseUnknownApp
	case room < Direct || room > Open:
		return CauseInvalidRoomType
	}
	// The check is copied: a pointer to it in here would be taken, by the
	// compiler, for one that all readings hold, and leave the stack.
	e.filter, e.app, e.room, e.check, e.now = f, app, &app.rooms[room], *check, now
	if e.lobby {
		e.room = &app.lobby
	}
	e.sender, e.senderPrint = senderSide{}, 0
	e.wanted = f.wants(&check.AtLeast)
	e.reset()
	return CauseNone
}

// reset forgets what concerns the recipient, so that the rules can be asked
// about the next one.
func (e *evaluation) reset() {
	e.findings, e.recipientPrint = findings{asOf: listless}, 0
}

// printOfSender returns the fingerprint of the sender.
func (e *evaluation) printOfSender() cache.Print {
	if e.senderPrint == 0 {
		e.senderPrint = cache.PrintOf(e.check.Sender)
	}
	return e.senderPrint
}

// printOfRecipient returns the fingerprint of the recipient.
func (e *evaluation) printOfRecipient() cache.Print {
	if e.recipientPrint == 0 {
		e.recipientPrint = cache.PrintOf(e.check.Recipient)
	}
	return e.recipientPrint
}

// failed notes why a list is unknown. The first cause stands, but what the
// caller asked for explicitly comes before all others.
func (e *evaluation) failed(why Cause) {
	if e.cause == CauseNone || why == CauseNotFreshEnough {
		e.cause = why
	}
}
