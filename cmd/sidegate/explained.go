package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// explain asks for a decision with all that it rests on, and shows it.
func (c *checkCmd) explain(ctx context.Context, p *program) error {
	flags := opsFlags{clientFlags: c.clientFlags, OpsURL: c.OpsURL}
	ops, err := flags.client(p)
	if err != nil {
		return err
	}
	query := c.query()
	if c.At != "" {
		query.Set("at", c.At)
	}
	_, body, err := ops.do(ctx, call{method: http.MethodGet, path: "/v1/explain", query: query})
	if err != nil {
		return err
	}
	var x explanation
	if err := ops.decode(body, &x); err != nil {
		return err
	}
	if c.JSON {
		p.say("%s", body)
	} else {
		x.show(p)
	}
	return c.exit(x.Decision.Deliver != nil && *x.Decision.Deliver)
}

func (x *explanation) show(p *program) {
	p.say("%s", x.sentence())
	p.say("")
	p.table("RULE\tANSWER", len(x.Rules), func(i int) string {
		return printable(x.Rules[i].Rule) + "\t" + spaced(x.Rules[i].Answer)
	})
	if len(x.Lists) > 0 {
		p.say("")
		p.table("LIST\tTARGET\tON IT\tREAD FROM\tVERSION\tAGE\tROW", len(x.Lists), func(i int) string { return x.Lists[i].line() })
	}
	p.say("")
	policy := x.Policy
	enforced := "."
	if policy.Enforce != nil && !*policy.Enforce {
		enforced = "; not enforced, a dry run."
	}
	p.say("In %s rooms of app %s: mode %s, on_block %s, on_unknown %s%s", printable(x.RoomType), printable(x.App),
		printable(policy.Mode), printable(policy.OnBlock), printable(policy.OnUnknown), enforced)
}

// sentence says what becomes, or would have become, of the message, and why.
func (x *explanation) sentence() string {
	text := ""
	if x.At != nil {
		text = "At " + shownTime(x.At) + ", under today's policy: "
	}
	result := x.ruled()
	if x.Decision.Would != nil {
		text += dryRun
	}
	if result.Deliver == nil {
		return text + "No decision: a list that is needed is not known (" + spaced(result.Cause) + ")."
	}
	d := decision{
		Deliver: *result.Deliver, Notify: result.Notify != nil && *result.Notify, Action: result.Action,
		Reason: result.Reason, StaleMS: x.Decision.StaleMS, Degraded: result.Degraded,
	}
	return text + d.sentence(d.because(printable(x.Sender), printable(x.Recipient))+x.evidence())
}

// ruled is what the rules came to, obeyed or not.
func (x *explanation) ruled() *explainedResult {
	if x.Decision.Would != nil {
		return x.Decision.Would
	}
	return &x.Decision
}

// evidence is what the row says that the decision rests on.
func (x *explanation) evidence() string {
	for _, l := range x.Lists {
		decided := map[string]bool{
			"banned_in_room":           l.Kind == "room",
			"recipient_blocked_sender": l.Kind == "block" && l.Owner == x.Recipient,
			"sender_blocked_recipient": l.Kind == "block" && l.Owner == x.Sender,
		}[x.ruled().Reason]
		if !decided || l.Row == nil {
			continue
		}
		text := ", since " + shownTime(&l.Row.BlockedAt)
		if l.Row.UnblockedAt != nil {
			text += " until " + shownTime(l.Row.UnblockedAt)
		}
		if l.Row.Note != "" {
			text += ", with the note " + strconv.Quote(l.Row.Note)
		}
		return text
	}
	return ""
}

// line is one list as a line of a table.
func (l *explainedList) line() string {
	list := fmt.Sprintf("%s list of %s", printable(l.Kind), printable(l.Owner))
	if l.Allowlist {
		list += " (in allowlist mode)"
	}
	listed, version, age := "unknown", "", ""
	switch {
	case l.Listed == nil && l.Cause != "":
		listed = "unknown: " + spaced(l.Cause)
	case l.Listed != nil:
		listed = map[bool]string{true: "yes", false: "no"}[*l.Listed]
	}
	if l.Version > 0 {
		version = fmt.Sprint(l.Version)
	}
	if l.AgeMS != nil {
		age = (time.Duration(*l.AgeMS) * time.Millisecond).String()
	}
	return strings.Join([]string{list, printable(l.Target), listed, printable(l.Source), version, age, l.row()}, "\t")
}

// row says what the database holds.
func (l *explainedList) row() string {
	text := "none"
	switch {
	case !l.RowKnown:
		return "the database does not answer"
	case l.Row != nil:
		text = "since " + shownTime(&l.Row.BlockedAt)
		if l.Row.UnblockedAt != nil {
			text += ", until " + shownTime(l.Row.UnblockedAt)
		} else if l.Row.ExpiresAt != nil {
			text += ", expires " + shownTime(l.Row.ExpiresAt)
		}
		text += ", by " + printable(l.Row.Source)
		if l.Row.Actor != "" {
			text += " " + printable(l.Row.Actor)
		}
		if l.Row.Note != "" {
			text += ", note " + strconv.Quote(l.Row.Note)
		}
	}
	if l.Differs {
		text += " (not what was decided by: it has changed since)"
	}
	return text
}

// spaced is a code as words.
func spaced(code string) string { return strings.ReplaceAll(printable(code), "_", " ") }

// table prints n lines under a head, their cells separated by tabs.
func (p *program) table(head string, n int, line func(i int) string) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, head) // memory cannot refuse
	for i := range n {
		_, _ = fmt.Fprintln(w, line(i))
	}
	_ = w.Flush()
	for line := range bytes.Lines(table.Bytes()) {
		p.say("%s", bytes.TrimRight(line, " \n"))
	}
}
