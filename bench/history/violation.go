package history

import (
	"fmt"
	"time"
)

// Kind says in what way an answer cannot be true.
type Kind uint8

// The kinds of violation.
const (
	// Stale: the answer is older than the age it claims.
	Stale Kind = iota + 1
	// Future: it shows a write that had not begun.
	Future
	// Fell: the same answerer had shown something newer.
	Fell
	// Token: it is older than the write whose token the read carried.
	Token
	// Wrong: the list never was as it was answered, or was not at the version
	// that the answer names.
	Wrong
	// Disorder is about a write: its version is not above the one before.
	Disorder
)

var kindNames = [...]string{
	Stale: "stale", Future: "future", Fell: "fell", Token: "token", Wrong: "wrong", Disorder: "disorder",
}

// String returns the name of the kind.
func (k Kind) String() string { return kindNames[k] }

// Violation is one answer that cannot be true, or with Disorder one write.
type Violation struct {
	Kind  Kind
	Read  Read
	Write Write
	Text  string // one sentence with the evidence
}

// at is when the read or, if it is about one, the write began.
func (v *Violation) at() time.Duration {
	if v.Kind == Disorder {
		return v.Write.Begin
	}
	return v.Read.Begin
}

// String returns the kind and the evidence.
func (v Violation) String() string { return v.Kind.String() + ": " + v.Text }

// String describes a write for the evidence of a violation.
func (w *Write) String() string {
	what := "unblock"
	if w.Listed {
		what = "block"
	}
	return fmt.Sprintf("%s %s→%s [%s–%s]", what, w.Owner, w.Target, clock(w.Begin), clock(w.End))
}

// String describes a read for the evidence of a violation.
func (r *Read) String() string {
	what := fmt.Sprintf("%s→%s is not listed", r.Owner, r.Target)
	switch {
	case !r.Answered:
		what = r.Owner + " is unknown"
	case r.Whole:
		what = fmt.Sprintf("%s lists %d", r.Owner, len(r.Set))
	case r.Listed:
		what = fmt.Sprintf("%s→%s is listed", r.Owner, r.Target)
	}
	return fmt.Sprintf("%s by %s [%s–%s], age up to %s", what, r.By, clock(r.Begin), clock(r.End), clock(r.Age))
}

// clock writes a time so that the smallest steps of a history can be compared.
func clock(d time.Duration) string { return fmt.Sprintf("%.6fs", d.Seconds()) }
