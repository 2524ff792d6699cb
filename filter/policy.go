package filter

import (
	"fmt"
	"slices"
)

// MaxEntries is the most entries a list may hold in any app.
const MaxEntries = 3000

// Mode says whose block counts.
type Mode uint8

// The modes. The zero Mode of a [RoomPolicy] stands for the app's mode; an app
// must have one.
const (
	// ModeOneWay: the recipient's block stops the message.
	ModeOneWay Mode = iota + 1
	// ModeTwoWay: the sender's own block of the recipient stops it too.
	ModeTwoWay
)

var modeNames = [...]string{ModeOneWay: "one_way", ModeTwoWay: "two_way"}

// String returns "one_way", "two_way" or, for the zero Mode, "".
func (m Mode) String() string { return nameOf(modeNames[:], m) }

// ParseMode is the inverse of [Mode.String]; ok is false for any other name,
// the empty one included.
func ParseMode(name string) (m Mode, ok bool) { return parseName[Mode](modeNames[:], name) }

// OnBlock says what becomes of a message that a block, or a missing place on an
// allowlist, stands against.
type OnBlock uint8

// The values of on_block. There is no zero value.
const (
	// OnBlockReject refuses the message and tells the sender.
	OnBlockReject OnBlock = iota + 1
	// OnBlockDrop withholds it and lets the sender believe that it was sent.
	OnBlockDrop
	// OnBlockDeliverSilently delivers it without push, badge and unread count.
	OnBlockDeliverSilently
	// OnBlockDeliver delivers it: rooms of this type are not filtered, no
	// block list is read for them.
	OnBlockDeliver
)

var onBlockNames = [...]string{
	OnBlockReject: "reject", OnBlockDrop: "drop",
	OnBlockDeliverSilently: "deliver_silently", OnBlockDeliver: "deliver",
}

// String returns the name as the configuration spells it, "" for the zero
// OnBlock.
func (o OnBlock) String() string { return nameOf(onBlockNames[:], o) }

// ParseOnBlock is the inverse of [OnBlock.String].
func ParseOnBlock(name string) (o OnBlock, ok bool) {
	return parseName[OnBlock](onBlockNames[:], name)
}

// OnUnknown says what becomes of a message when a list that is needed is
// neither in memory nor loadable.
type OnUnknown uint8

// The values of on_unknown. There is no zero value.
const (
	// OnUnknownError makes no decision: the caller is told so.
	OnUnknownError OnUnknown = iota + 1
	// OnUnknownDeliver delivers (fails open).
	OnUnknownDeliver
	// OnUnknownWithhold does what the room does on a block (fails closed,
	// unless the room delivers what is blocked).
	OnUnknownWithhold
)

var onUnknownNames = [...]string{
	OnUnknownError: "error", OnUnknownDeliver: "deliver", OnUnknownWithhold: "withhold",
}

// String returns the name as the configuration spells it, "" for the zero
// OnUnknown.
func (o OnUnknown) String() string { return nameOf(onUnknownNames[:], o) }

// ParseOnUnknown is the inverse of [OnUnknown.String].
func ParseOnUnknown(name string) (o OnUnknown, ok bool) {
	return parseName[OnUnknown](onUnknownNames[:], name)
}

// Invitations says what becomes of an invitation that a block stands against.
type Invitations uint8

// The values of invitations. There is no zero value.
const (
	// InvitationsInclude invites everybody and names those who block, or are
	// blocked by, the inviter.
	InvitationsInclude Invitations = iota + 1
	// InvitationsExclude leaves them out.
	InvitationsExclude
)

var invitationsNames = [...]string{InvitationsInclude: "include", InvitationsExclude: "exclude"}

// String returns the name as the configuration spells it, "" for the zero
// Invitations.
func (i Invitations) String() string { return nameOf(invitationsNames[:], i) }

// ParseInvitations is the inverse of [Invitations.String].
func ParseInvitations(name string) (i Invitations, ok bool) {
	return parseName[Invitations](invitationsNames[:], name)
}

// RoomPolicy is what holds in rooms of one type.
type RoomPolicy struct {
	OnBlock OnBlock
	Mode    Mode // zero = the app's
}

// Rooms holds a policy for each room type and is indexed by it; the element of
// the zero RoomType means nothing.
type Rooms [Open + 1]RoomPolicy

// Policy says how the messages of one app are decided. It is a value: a copy
// shares only Exempt, which must not be changed after it was handed over.
type Policy struct {
	Mode      Mode
	Rooms     Rooms
	Limit     int // most entries of a list, 1 to MaxEntries
	OnUnknown OnUnknown
	// Allowlist lets users switch themselves to allowlist mode. Where it is
	// off the mode of a list is ignored, so a check never reads a second
	// list of the recipient.
	Allowlist bool
	// Exempt are the ids of moderators and system accounts: what they send
	// is delivered whoever has blocked them.
	Exempt []string
	// Invitations says what becomes of those who block, or are blocked by,
	// whoever invites them.
	Invitations Invitations
	// Shadow delivers every message, and says what the rest of the policy would
	// have done where that differs, see [Decision.Would].
	Shadow bool
}

// Default returns the policy of an app that names no preset.
func Default() Policy {
	return Policy{
		Mode: ModeOneWay,
		Rooms: Rooms{
			Direct: {OnBlock: OnBlockDrop},
			Group:  {OnBlock: OnBlockDeliverSilently},
			Open:   {OnBlock: OnBlockDeliver},
		},
		Limit:       MaxEntries,
		OnUnknown:   OnUnknownError,
		Invitations: InvitationsInclude,
	}
}

// Presets are the names that [Preset] knows besides the empty one.
func Presets() []string { return []string{"imkit", "rongcloud", "sendbird"} }

// Preset returns the policy that behaves as the named service does; the empty
// name is [Default]. ok is false for a name that is not known.
func Preset(name string) (p Policy, ok bool) {
	p = Default()
	switch name {
	case "", "sendbird":
		// Sendbird hides 1-to-1 messages from the blocker and delivers in
		// groups without a push: the default was made in its image.
	case "imkit":
		p.Mode = ModeTwoWay
		// Its pages do not say what becomes of a 1-to-1 message; telling
		// the sender is our choice.
		p.Rooms[Direct].OnBlock = OnBlockReject
		p.Rooms[Group].OnBlock = OnBlockDeliver
	case "rongcloud":
		// Its clients show a refused message as code 405, and a user may
		// turn the list round into an allowlist.
		p.Rooms[Direct].OnBlock = OnBlockReject
		p.Rooms[Group].OnBlock = OnBlockDeliver
		p.Allowlist = true
	default:
		return Policy{}, false
	}
	return p, true
}

// Validate returns nil or an error whose text is one plain sentence that names
// the setting and the values it may have.
func (p *Policy) Validate() error {
	if p.Mode.String() == "" {
		return fmt.Errorf("mode must be one_way or two_way")
	}
	for t := Direct; t <= Open; t++ {
		room := p.Rooms[t]
		if room.OnBlock.String() == "" {
			return fmt.Errorf("rooms.%s.on_block must be reject, drop, deliver_silently or deliver", t)
		}
		if room.Mode != 0 && room.Mode.String() == "" {
			return fmt.Errorf("rooms.%s.mode must be one_way or two_way, or absent for the mode of the app", t)
		}
	}
	if p.Limit < 1 || p.Limit > MaxEntries {
		return fmt.Errorf("limit must be between 1 and %d, not %d", MaxEntries, p.Limit)
	}
	if p.OnUnknown.String() == "" {
		return fmt.Errorf("on_unknown must be error, deliver or withhold")
	}
	if p.Invitations.String() == "" {
		return fmt.Errorf("invitations must be include or exclude")
	}
	for i, id := range p.Exempt {
		// The id itself stays out of the sentence: it ends in a log.
		if err := ValidateUserID(id); err != nil {
			return fmt.Errorf("exempt, entry %d, is not a user id: %w", i+1, err)
		}
	}
	return nil
}

// mode returns the mode that holds in rooms of a type.
func (p *Policy) mode(t RoomType) Mode {
	if own := p.Rooms[t].Mode; own != 0 {
		return own
	}
	return p.Mode
}

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) >= len(names) {
		return ""
	}
	return names[v]
}

func parseName[T ~uint8](names []string, name string) (v T, ok bool) {
	i := slices.Index(names, name)
	if i < 1 { // 0 is the name of the value that is not set
		return 0, false
	}
	return T(i), true
}
