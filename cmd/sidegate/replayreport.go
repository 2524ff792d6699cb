package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// replaySum is what a replay came to.
type replaySum struct {
	Lines       int `json:"lines"`
	Compared    int `json:"compared"`
	Same        int `json:"same"`
	Differences int `json:"differences"`
	// What was not asked: records without an answer or with an unknown one,
	// with hashed ids, and lines that are no records.
	Unanswered int `json:"unanswered"`
	Hashed     int `json:"hashed"`
	Bad        int `json:"bad"`

	Kinds []replayKind `json:"kinds"` // most frequent first
}

// replayKind is a way in which answers differ.
type replayKind struct {
	Was     string `json:"was"`
	WouldBe string `json:"would_be"`
	Count   int    `json:"count"`
}

// replayReport prints differences as they come and the sum at the end.
type replayReport struct {
	cmd   *replayCmd
	p     *program
	sum   replaySum
	kinds map[[2]string]int
	shown bool // the head of the table
}

func newReplayReport(cmd *replayCmd, p *program) *replayReport {
	return &replayReport{cmd: cmd, p: p, kinds: make(map[[2]string]int)}
}

// add counts the lines of a batch and prints those that differ.
func (r *replayReport) add(batch []*replayLine) {
	for _, line := range batch {
		r.sum.Lines++
		switch {
		case errors.Is(line.wrong, errHashed):
			if r.sum.Hashed++; r.sum.Hashed == 1 {
				r.warn(line)
			}
		case line.wrong != nil:
			r.sum.Bad++
			r.warn(line)
		case !line.compared():
			r.sum.Unanswered++
		case line.was.same(&line.now):
			r.sum.Compared++
			r.sum.Same++
		default:
			r.sum.Compared++
			r.sum.Differences++
			r.kinds[line.change()]++
			r.show(line)
		}
	}
}

// change names what a line differs in.
func (l *replayLine) change() [2]string {
	was, now := l.was.name(), l.now.name()
	if l.was.agrees(&l.now) {
		now += ", for another reason"
	}
	return [2]string{was, now}
}

func (r *replayReport) warn(line *replayLine) {
	_, _ = fmt.Fprintf(r.p.stderr, "line %d: %s\n", line.number, printableText(line.wrong.Error()))
}

// printableText is printable for a sentence, which is quoted as a whole only if it
// has to be.
func printableText(text string) string { return printable(strings.TrimSpace(text)) }

// replayDifference is one difference as JSON.
type replayDifference struct {
	Line      int           `json:"line"`
	App       string        `json:"app"`
	Sender    string        `json:"sender"`
	Recipient string        `json:"recipient"`
	RoomType  string        `json:"room_type"`
	Room      string        `json:"room,omitempty"`
	Was       replayVerdict `json:"was"`
	WouldBe   replayVerdict `json:"would_be"`
}

func (r *replayReport) show(line *replayLine) {
	q := &line.question
	switch {
	case r.cmd.Summary:
	case r.cmd.JSON:
		r.object(replayDifference{
			Line: line.number, App: line.App, Sender: q.Sender, Recipient: q.Recipient,
			RoomType: q.RoomType.String(), Room: q.Room, Was: line.was, WouldBe: line.now,
		})
	default:
		// The columns are as wide as ids mostly are: the widest is known when
		// the last line has been read, and nobody waits for that.
		const row = "%-8s %-8s %-32s %-10s %s"
		if !r.shown {
			r.p.say(row, "LINE", "ROOM", "SENDER → RECIPIENT", "APP", "WAS → WOULD BE")
			r.shown = true
		}
		r.p.say(row, fmt.Sprint(line.number), q.RoomType.String(),
			printable(q.Sender)+" → "+printable(q.Recipient), printable(line.App),
			line.was.shown()+" → "+line.now.shown())
	}
}

// shown is a verdict for people.
func (v *replayVerdict) shown() string {
	if v.Reason == "" || v.name() == "unknown" || strings.HasPrefix(v.name(), "reason ") {
		return v.name()
	}
	return v.name() + " (" + printable(v.Reason) + ")"
}

// object prints a value as a line of JSON. Encoding it cannot fail: it has texts,
// numbers and yes or no in it.
func (r *replayReport) object(v any) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	r.p.say("%s", strings.TrimRight(text.String(), "\n"))
}

// finish prints the sum.
func (r *replayReport) finish() {
	sum := &r.sum
	sum.Kinds = make([]replayKind, 0, len(r.kinds))
	for kind, n := range r.kinds {
		sum.Kinds = append(sum.Kinds, replayKind{kind[0], kind[1], n})
	}
	slices.SortFunc(sum.Kinds, func(a, b replayKind) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Was+a.WouldBe, b.Was+b.WouldBe)
	})
	if r.cmd.JSON {
		r.object(map[string]any{"summary": sum})
		return
	}
	if r.shown {
		r.p.say("")
	}
	r.p.say("%d lines: %d compared, %d the same, %d different.", sum.Lines, sum.Compared, sum.Same, sum.Differences)
	for _, kind := range sum.Kinds {
		r.p.say("%8d  %s → %s", kind.Count, printable(kind.Was), printable(kind.WouldBe))
	}
	if sum.Unanswered > 0 {
		r.p.say("%d records have no answer to compare with, or an unknown one.", sum.Unanswered)
	}
	if sum.Hashed > 0 {
		r.p.say("%d records have hashed ids and cannot be asked again: a decision log can be replayed if it is written with plain ids.", sum.Hashed)
	}
	if sum.Bad > 0 {
		r.p.say("%d lines could not be asked; they are named above.", sum.Bad)
	}
}
