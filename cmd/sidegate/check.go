package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// checkCmd asks for one decision, as a chat server would: it is the way to find
// out what a chat server is told.
type checkCmd struct {
	checkFlags
	Sender    string `arg:"" help:"Who sends the message."`
	Recipient string `arg:"" help:"Who is to receive it."`
	Room      string `enum:"direct,group,open" default:"direct" placeholder:"TYPE" help:"Type of the room: direct (of two), group or open (public) (default direct)."`
	RoomID    string `name:"room-id" placeholder:"ID" help:"Id of the room, if it has a list of its own."`
	App       string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
	AtLeast   string `placeholder:"REVISION" help:"Revision of a write that the answer must know of."`
	JSON      bool   `name:"json" help:"Print the answer as the server gave it."`
	ExitCode  bool   `help:"Exit with 1 if the message is withheld."`
	Explain   bool   `help:"Say why, rule by rule, with the rows behind it. Asks the ops listener, with a token of scope staff."`
	At        string `placeholder:"TIME" help:"With --explain: would it have been delivered then? (RFC 3339)"`
	OpsURL    string `name:"ops-url" placeholder:"URL" help:"With --explain: the ops listener (SIDEGATE_OPS_URL). Default: the first address of ops.listen."`
}

// Help is shown by check --help.
func (*checkCmd) Help() string {
	return "Prints one sentence, or with --json the decision itself:\n\n  sidegate check alice bob --room direct --json\n\n" +
		"With --explain it also prints what every rule said, the lists that were read and the rows behind them; " +
		"with --at as they were then:\n\n  sidegate check alice bob --explain --at 2030-01-31T12:00:00Z"
}

// decision is the answer of can-deliver. Fields that the server leaves out when
// they say nothing are zero.
type decision struct {
	Deliver  bool   `json:"deliver"`
	Notify   bool   `json:"notify"`
	Action   string `json:"action"`
	Reason   string `json:"reason"`
	StaleMS  int64  `json:"stale_ms"`
	Degraded bool   `json:"degraded"`
	// Would is what the answer would be if the app enforced its policy.
	Would *decision `json:"would"`
}

// Run asks for one decision.
func (c *checkCmd) Run(ctx context.Context, p *program) error {
	switch {
	case c.Explain:
		return c.explain(ctx, p)
	case c.At != "":
		return usageError{errors.New("--at: only an explanation is about the past; give --explain too")}
	}
	api, err := c.client(p)
	if err != nil {
		return err
	}
	_, body, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/can-deliver", query: c.query()})
	if err != nil {
		return err
	}
	var d decision
	if err := api.decode(body, &d); err != nil {
		return err
	}
	if c.JSON {
		p.say("%s", body)
	} else {
		ruled, begin := &d, ""
		if d.Would != nil {
			ruled, begin = d.Would, dryRun
			ruled.StaleMS = d.StaleMS
		}
		p.say("%s%s", begin, ruled.sentence(ruled.because(printable(c.Sender), printable(c.Recipient))))
	}
	return c.exit(d.Deliver)
}

// query is the question as the server takes it.
func (c *checkCmd) query() url.Values {
	query := url.Values{"sender": {c.Sender}, "recipient": {c.Recipient}, "room_type": {c.Room}, "app": {c.App}}
	for name, value := range map[string]string{"room": c.RoomID, "at_least": c.AtLeast} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// exit is the error that ends the command, if the exit code was asked for.
func (c *checkCmd) exit(deliver bool) error {
	if c.ExitCode && !deliver {
		return errWithheld
	}
	return nil
}

// dryRun begins a sentence about a decision that is not obeyed.
const dryRun = "Delivered, as the app does not enforce its policy. It would be: "

// sentence says what becomes of the message and why. The ids come in printable,
// so that nothing in them reaches the terminal unquoted.
func (d *decision) sentence(why string) string {
	var verdict string
	switch {
	case d.Reason == "unknown" && d.Action == "": // of a dry run: elsewhere it is an error
		verdict = "No decision"
	case d.Deliver && d.Notify:
		verdict = "Delivered"
	case d.Deliver:
		verdict = "Delivered without notification"
	case d.Action == "reject":
		verdict = "Withheld, and the sender is told"
	case d.Action == "drop":
		verdict = "Withheld, and the sender is not told"
	default:
		verdict = "Withheld"
	}
	text := verdict + ": " + why + "."
	if d.Degraded {
		text += " The lists are not known; the app's on_unknown decided."
	}
	if d.StaleMS > 0 {
		text += " The answer is " + (time.Duration(d.StaleMS) * time.Millisecond).String() + " old."
	}
	return text
}

// because explains a reason in words that hold in every room type: what became of
// the message is said before. A newer server may know a reason that we do not.
func (d *decision) because(sender, recipient string) string {
	switch d.Reason {
	case "self":
		return sender + " writes to themselves"
	case "exempt":
		return sender + " is exempt in this app"
	case "unverified_origin":
		return "messages of the app's own server are not checked"
	case "banned_in_room":
		return sender + " may not speak in this room"
	case "room_not_filtered":
		return "rooms of this type are not filtered"
	case "not_on_allowlist":
		return sender + " is not on the allowlist of " + recipient
	case "recipient_blocked_sender":
		return recipient + " blocks " + sender
	case "sender_blocked_recipient":
		return sender + " blocks " + recipient
	case "allowed":
		return "nothing stands against it"
	case "unknown":
		return "a list that is needed is not known"
	}
	return "reason " + printable(d.Reason)
}
