package filter

import (
	"fmt"
	"time"
)

// RoomType is the kind of room a message is sent to.
type RoomType uint8

// The room types. The zero RoomType is none of them and never valid.
const (
	// Direct is a room of two. One that has gained members is a Group; the
	// caller says so.
	Direct RoomType = iota + 1
	// Group is a room of several members.
	Group
	// Open is a public channel or a broadcast.
	Open
)

var roomTypeNames = [...]string{Direct: "direct", Group: "group", Open: "open"}

// String returns "direct", "group" or "open".
func (t RoomType) String() string {
	if t < Direct || t > Open {
		return fmt.Sprintf("RoomType(%d)", uint8(t))
	}
	return roomTypeNames[t]
}

// ParseRoomType is the inverse of [RoomType.String].
func ParseRoomType(name string) (t RoomType, ok bool) {
	for t := Direct; t <= Open; t++ {
		if roomTypeNames[t] == name {
			return t, true
		}
	}
	return 0, false
}

// Action tells the chat server what to do with the message.
type Action uint8

// The actions.
const (
	// ActionDeliver hands the message over.
	ActionDeliver Action = iota
	// ActionReject refuses the message and tells the sender.
	ActionReject
	// ActionDrop stores the message, shows it to its sender alone and
	// acknowledges it as if it had been sent.
	ActionDrop
)

var actionNames = [...]string{ActionDeliver: "deliver", ActionReject: "reject", ActionDrop: "drop"}

// String returns the action as the native API spells it.
func (a Action) String() string { return actionNames[a] }

// Reason names the rule that decided.
type Reason uint8

// The reasons, in the order of the rules. The first rule that matches decides.
const (
	ReasonSelf Reason = iota
	ReasonExempt
	ReasonUnverifiedOrigin
	ReasonBannedInRoom
	ReasonRoomNotFiltered
	ReasonNotOnAllowlist
	ReasonRecipientBlockedSender
	ReasonSenderBlockedRecipient
	ReasonAllowed
	// ReasonUnknown: a list that was needed is neither in memory nor loadable.
	ReasonUnknown
)

var reasonNames = [...]string{
	ReasonSelf:                   "self",
	ReasonExempt:                 "exempt",
	ReasonUnverifiedOrigin:       "unverified_origin",
	ReasonBannedInRoom:           "banned_in_room",
	ReasonRoomNotFiltered:        "room_not_filtered",
	ReasonNotOnAllowlist:         "not_on_allowlist",
	ReasonRecipientBlockedSender: "recipient_blocked_sender",
	ReasonSenderBlockedRecipient: "sender_blocked_recipient",
	ReasonAllowed:                "allowed",
	ReasonUnknown:                "unknown",
}

// Reasons is the number of reasons.
const Reasons = len(reasonNames)

// String returns the stable code of the native API, such as
// "recipient_blocked_sender".
func (r Reason) String() string { return reasonNames[r] }

// Cause says why a decision is unknown.
type Cause uint8

// The causes. Every decision that is not unknown has CauseNone.
const (
	CauseNone Cause = iota
	// CauseNotLoaded: a list is not in memory and could not be loaded.
	CauseNotLoaded
	// CauseNotSynced: following has not begun, memory is empty.
	CauseNotSynced
	// CauseStale: what is in memory is older than the hard bound.
	CauseStale
	// CauseNotFreshEnough: [Check.AtLeast] could not be met in time.
	CauseNotFreshEnough
	// CauseUnknownApp: the app is not configured.
	CauseUnknownApp
	// CauseInvalidRoomType: the room type is none of the three. Doors refuse
	// such a request, so it is a mistake of the program that asks.
	CauseInvalidRoomType
)

var causeNames = [...]string{
	CauseNone: "none", CauseNotLoaded: "not_loaded", CauseNotSynced: "not_synced",
	CauseStale: "stale", CauseNotFreshEnough: "not_fresh_enough", CauseUnknownApp: "unknown_app",
	CauseInvalidRoomType: "invalid_room_type",
}

// Causes is the number of causes.
const Causes = len(causeNames)

// String returns the cause as metrics and logs spell it.
func (c Cause) String() string { return causeNames[c] }

// API is the door by which a check came in. It decides nothing; decisions are
// counted by it.
type API uint8

// The doors.
const (
	// APINative is the native HTTP API, one decision a request.
	APINative API = iota
	// APIFanout is the native HTTP API, one message to many recipients.
	APIFanout
	// APIBatch is the native HTTP API, many decisions a request.
	APIBatch
)

var apiNames = [...]string{APINative: "native", APIFanout: "fanout", APIBatch: "batch"}

// String returns the door as metrics spell it.
func (a API) String() string { return apiNames[a] }

// Check is one question: may this message be delivered? The strings are only
// read during the call, so they may point into a buffer that is reused after.
type Check struct {
	App       string // tenant
	Sender    string
	Recipient string
	Room      string // id of the room; "" = unknown, its list is not asked
	RoomType  RoomType
	// FromServer: the message comes from the app's own server; it passes
	// unchecked unless Verify is set.
	FromServer bool
	Verify     bool
	// NotifyBlocked: this room has notifications from blocked users switched
	// on, so that a silent delivery notifies all the same.
	NotifyBlocked bool
	// AtLeast asks that the list it names be at least as new as a write that
	// returned it. The zero Revision asks nothing; so does one that names a
	// list which the decision does not need.
	AtLeast Revision
	API     API
	// Counts counts the decision apart from those of others, see
	// [Filter.NewCounts]; nil: it is counted where all are.
	Counts *Counts
}

// Decision is the answer to a [Check].
type Decision struct {
	Deliver bool // hand the message over; bump the chat list exactly then
	Notify  bool // push, badge, unread count
	Action  Action
	Reason  Reason
	// Degraded: a list was unknown and the app's OnUnknown policy decided.
	Degraded bool
	// Cause says why the decision is unknown or degraded, or would have been.
	Cause Cause
	would would // of an app in shadow, see Would
	// Stale is the age of the answer if it is older than the soft bound,
	// otherwise 0.
	Stale time.Duration
}

// Unknown reports whether there is no decision at all: the policy is
// [OnUnknownError] and a list that was needed is unknown.
func (d Decision) Unknown() bool { return d.Reason == ReasonUnknown && !d.Degraded }
