// Package seed makes the data of benchmarks: the same lists for the program and
// for every peer, computed from a number, so that nobody has to keep them. It
// fills a private Postgres with them by COPY, in minutes where writes would take
// an hour.
package seed

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// App is the tenant that all lists belong to.
const App = "bench"

// Shape says which lists there are. Users 0 to Lists-1 have a list of Entries
// entries each; users from there to Lists+Idle-1 have none.
type Shape struct {
	Lists   int
	Entries int
	Idle    int
}

// Standard is what most targets are stated for: 1M lists of 10 and 1M users
// without a list.
var Standard = Shape{Lists: 1_000_000, Entries: 10, Idle: 1_000_000}

// Glance is for runs that only look whether everything works: all of them use it,
// so that one database is filled for all.
var Glance = Shape{Lists: 20_000, Entries: 10, Idle: 20_000}

// String names the shape, fit for a file name.
func (s Shape) String() string { return fmt.Sprintf("%dx%d+%d", s.Lists, s.Entries, s.Idle) }

// Users returns how many users there are.
func (s Shape) Users() int { return s.Lists + s.Idle }

// idWidth is the length of an id: "user-" and digits, 24 bytes, about what a
// UUID without hyphens or a snowflake with a prefix takes.
const idWidth = 24

// ID returns the id of user i.
func ID(i int) string { return string(AppendID(nil, i)) }

// AppendID appends the id of user i.
func AppendID(buf []byte, i int) []byte {
	const zeros = "user-0000000000000000000"
	var digits [20]byte
	n := strconv.AppendInt(digits[:0], int64(i), 10)
	buf = append(buf, zeros[:idWidth-len(n)]...)
	return append(buf, n...)
}

// stride keeps the targets of neighbouring lists apart. It is a prime, so that
// the targets of one list are all different unless there are hardly any users.
const stride = 7919

// Target returns entry j of list i, as the number of a user. It is never i.
func (s Shape) Target(i, j int) int {
	n := s.Users()
	return (i + 1 + j*stride%(n-1)) % n
}

// Valid reports an error if lists of the shape would hold a target twice.
func (s Shape) Valid() error {
	switch {
	case s.Lists < 1 || s.Entries < 1 || s.Idle < 0:
		return fmt.Errorf("shape %v: lists and entries must be at least 1, idle users at least 0", s)
	case s.Entries >= s.Users() || (s.Users()-1)%stride == 0:
		return fmt.Errorf("shape %v: too few users, or one more than a multiple of %d", s, stride)
	}
	return nil
}

// Pair is a question: may Sender's message reach Recipient?
type Pair struct {
	Sender, Recipient int
	Blocked           bool // Recipient's list holds Sender
}

// Pairs draws n questions, the same for the same seed: recipients are drawn from
// all users, so that many have no list; one in ten asks about an entry.
func (s Shape) Pairs(seed uint64, n int) []Pair {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]Pair, n)
	for k := range out {
		p := Pair{Sender: rng.IntN(s.Users()), Recipient: rng.IntN(s.Users())}
		if rng.IntN(10) == 0 {
			p.Recipient = rng.IntN(s.Lists)
			p.Sender = s.Target(p.Recipient, rng.IntN(s.Entries))
		}
		p.Blocked = s.Has(p.Recipient, p.Sender)
		out[k] = p
	}
	return out
}

// Has reports whether the list of user i holds target.
func (s Shape) Has(i, target int) bool {
	if i >= s.Lists {
		return false
	}
	for j := range s.Entries {
		if s.Target(i, j) == target {
			return true
		}
	}
	return false
}
