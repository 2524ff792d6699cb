package server

import (
	"errors"
	"slices"
	"strings"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// argument is one of the named values that a decision takes, in the query of a
// GET or as a field of a POST.
type argument uint8

const (
	argApp argument = iota
	argAtLeast
	argDecisionID
	argNotifyBlocked
	argOrigin
	argRecipient
	argRoom
	argRoomType
	argSender
	argStatus
	argVerify
	arguments // their number
)

var argumentNames = [arguments]string{
	argApp: "app", argAtLeast: "at_least", argDecisionID: "decision_id", argNotifyBlocked: "notify_blocked",
	argOrigin: "origin", argRecipient: "recipient", argRoom: "room", argRoomType: "room_type", argSender: "sender",
	argStatus: "status", argVerify: "verify",
}

// argumentSet is the arguments that a request, or a part of it, takes.
type argumentSet uint16

// setOf returns the set of all arguments but some.
func setOf(but ...argument) argumentSet {
	set := argumentSet(1<<arguments - 1)
	for _, a := range but {
		set &^= 1 << a
	}
	return set
}

func (s argumentSet) has(a argument) bool { return s&(1<<a) != 0 }

// names is what a mistyped name is answered with: the arguments, and what else
// may stand beside them.
func (s argumentSet) names(others ...string) string {
	names := others
	for a, name := range argumentNames {
		if s.has(argument(a)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

var (
	checkArguments = setOf()
	knownArguments = checkArguments.names()
)

// argumentOf finds an argument by name. The switch compiles to a few compares
// on length and bytes; a map would hash.
func argumentOf(name []byte) (argument, bool) {
	switch string(name) {
	case "app":
		return argApp, true
	case "at_least":
		return argAtLeast, true
	case "decision_id":
		return argDecisionID, true
	case "notify_blocked":
		return argNotifyBlocked, true
	case "origin":
		return argOrigin, true
	case "recipient":
		return argRecipient, true
	case "room":
		return argRoom, true
	case "room_type":
		return argRoomType, true
	case "sender":
		return argSender, true
	case "status":
		return argStatus, true
	case "verify":
		return argVerify, true
	}
	return 0, false
}

// boolean reports whether an argument is a yes or no: "1" or "0" in a query,
// true or false in JSON, where it is kept as "1" or "0" too.
func (a argument) boolean() bool {
	return a == argDecisionID || a == argNotifyBlocked || a == argStatus || a == argVerify
}

// defaultApp is the app of a request that names none.
const defaultApp = "default"

// question is the arguments of one decision as they came in, decoded and
// borrowed. It lives on the stack of the handler.
type question struct {
	given  argumentSet
	values [arguments]string
}

func (q *question) has(a argument) bool { return q.given.has(a) }

func (q *question) set(a argument, value string) {
	q.given |= 1 << a
	q.values[a] = value
}

func (q *question) yes(a argument) bool { return q.values[a] == "1" }

// check makes a filter.Check, or says what is wrong with which argument. The
// app is only named here; whether it is there, and open to the caller, is asked
// by the caller.
func (q *question) check() (filter.Check, error) {
	c, err := q.message()
	if err != nil {
		return c, err
	}
	c.Recipient = q.values[argRecipient]
	return c, q.checkID(argRecipient)
}

// message is check without the recipient.
func (q *question) message() (filter.Check, error) {
	c := filter.Check{
		App: defaultApp, Sender: q.values[argSender], Room: q.values[argRoom],
		FromServer: q.has(argOrigin), Verify: q.yes(argVerify), NotifyBlocked: q.yes(argNotifyBlocked),
		API: filter.APINative,
	}
	if q.has(argApp) {
		c.App = q.values[argApp]
	}
	for _, a := range [...]argument{argSender, argRoom} {
		if err := q.checkID(a); err != nil {
			return c, err
		}
	}
	var ok bool
	if c.RoomType, ok = filter.ParseRoomType(q.values[argRoomType]); !ok {
		return c, q.badRoomType()
	}
	if q.has(argOrigin) && q.values[argOrigin] != "server" {
		return c, border.Problemf(border.CodeInvalidParameter,
			"origin is %s; the only origin is server, leave it out for a message of a user", border.Quote(q.values[argOrigin]))
	}
	for _, a := range [...]argument{argDecisionID, argVerify, argNotifyBlocked, argStatus} {
		if v := q.values[a]; q.has(a) && v != "1" && v != "0" {
			return c, border.Problemf(border.CodeInvalidParameter, "%s is %s; it is 1 or 0", argumentNames[a], border.Quote(v))
		}
	}
	return c, q.atLeast(&c)
}

func (q *question) checkID(a argument) error {
	if !q.has(a) {
		if a == argRoom {
			return nil
		}
		return border.Problemf(border.Code(filter.CodeInvalidUserID), "%s is missing", argumentNames[a])
	}
	validate := filter.ValidateUserID
	if a == argRoom {
		validate = filter.ValidateRoomID
	}
	err := validate(q.values[a])
	if err == nil {
		return nil
	}
	return border.Problemf(border.Code(filter.CodeInvalidUserID), "%s: %s", argumentNames[a], detailOf(err))
}

func (q *question) badRoomType() error {
	if !q.has(argRoomType) {
		return border.Problemf(border.CodeInvalidRoomType, "room_type is missing; it is direct, group or open")
	}
	return border.Problemf(border.CodeInvalidRoomType,
		"room_type is %s; it is direct, group or open", border.Quote(q.values[argRoomType]))
}

func (q *question) atLeast(c *filter.Check) error {
	if !q.has(argAtLeast) {
		return nil
	}
	revision, err := filter.ParseRevision(q.values[argAtLeast])
	if err != nil {
		return err
	}
	return askFor(c, revision)
}

// askFor makes a check ask for a revision, which must be of its app.
func askFor(c *filter.Check, revision filter.Revision) error {
	if !revision.Of(c.App) {
		return border.Problemf(border.Code(filter.CodeInvalidRevision),
			"the revision belongs to a list of another app than %s", border.Quote(c.App))
	}
	c.AtLeast = revision
	return nil
}

// detailOf returns the sentence of a filter error that is for the client.
func detailOf(err error) string {
	var e *filter.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "not valid"
}
