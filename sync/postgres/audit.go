package postgres

import (
	"context"
	"strconv"
	"time"
)

const (
	auditSQL = `select sidegate.audit($1::text, $2::text, $3::bigint, $4::text, nullif($5::text, ''), $6::int, $7::int)`
	feedSQL  = `select sidegate.audit_feed($1::text::xid8, $2::int)`
	turnSQL  = `select sidegate.audit_turn($1::bigint * interval '1 microsecond', $2::boolean, $3::int, $4::int)`
	mendSQL  = `select to_json(sidegate.mend($1::text, $2::text, $3::text, $4::bigint))`
)

// How much one piece of an audit compares: some tens of milliseconds of the
// database, far less than [writeTimeout] even where every list has to be repaired.
const (
	auditLists   = 1000
	auditEntries = 10_000
)

// Reasons of a [Damage], as the database spells them.
const (
	DamageHeader = "header" // there are entries and no header
	DamageSize   = "size"   // the header counts another number of entries
	DamageDigest = "digest" // it counts as many, but others
	DamageFeed   = "feed"   // the list is older than what the feed has told of it
	DamageLimit  = "limit"  // it has more than 3000 entries; nothing is wrong with its header
)

// Damage is one list that an audit found to differ from what the database says
// about it, which it only can if somebody wrote past the triggers.
type Damage struct {
	App      string `json:"app"`
	Kind     string `json:"kind"`
	Owner    string `json:"owner"`
	Reason   string `json:"reason"`
	Size     int    `json:"size"` // as the header has it
	Rows     int    `json:"rows"` // as there are
	Repaired bool   `json:"repaired"`
	// Above is the version that was given out already; nil = that is not what is
	// wrong.
	Above *int64 `json:"above,omitempty"`
}

// AuditCursor is how far an audit has come. The zero value is the beginning.
type AuditCursor struct {
	App, Kind string
	Hash      int64
	Owner     string

	feed bool   // the lists are done
	xid  uint64 // of the feed
}

// Audited is a piece of an audit: what it compared, and what differs.
type Audited struct {
	Lists, Entries int64
	Damage         []Damage
	Next           AuditCursor
	Done           bool // there is nothing behind Next
}

// Audit compares the next piece of lists with their headers, and when all lists are
// done, the feed with the headers: all apps, or only one ("" = all; then the feed is
// compared whole all the same). It changes nothing. Writers at the same time are
// never mistaken for damage. Errors are those of [Store.List].
func (s *Store) Audit(ctx context.Context, from AuditCursor, app string) (Audited, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	if from.feed {
		return s.auditFeed(ctx, from, app)
	}
	var answer struct {
		Next *struct {
			App, Kind, Owner string
			Hash             int64
		} `json:"next"`
		Lists   int64    `json:"lists"`
		Entries int64    `json:"entries"`
		Found   []Damage `json:"found"`
	}
	if err := readJSON(ctx, s.loads, &answer, auditSQL,
		from.App, from.Kind, from.Hash, from.Owner, app, auditLists, auditEntries); err != nil {
		return Audited{}, readError("audit lists", err)
	}
	out := Audited{Lists: answer.Lists, Entries: answer.Entries, Damage: answer.Found, Next: AuditCursor{feed: true}}
	if n := answer.Next; n != nil {
		out.Next = AuditCursor{App: n.App, Kind: n.Kind, Hash: n.Hash, Owner: n.Owner}
	}
	return out, nil
}

func (s *Store) auditFeed(ctx context.Context, from AuditCursor, app string) (Audited, error) {
	var answer struct {
		Next  *string  `json:"next"`
		Found []Damage `json:"found"`
	}
	err := readJSON(ctx, s.loads, &answer, feedSQL, strconv.FormatUint(from.xid, 10), auditEntries)
	out := Audited{Next: from, Done: answer.Next == nil}
	if err == nil && !out.Done {
		out.Next.xid, err = strconv.ParseUint(*answer.Next, 10, 64)
	}
	if err != nil {
		return Audited{}, readError("audit the feed", err)
	}
	for _, d := range answer.Found {
		if app == "" || d.App == app {
			out.Damage = append(out.Damage, d)
		}
	}
	return out, nil
}

// Mend counts a damaged list again and reports whether it was still wrong. The
// entries that are there are the truth. A list with too many of them stays as it is:
// nobody but its owner knows which to take away. Errors are those of [Store.Edit].
func (s *Store) Mend(ctx context.Context, d Damage) (wrong bool, err error) {
	if d.Reason == DamageLimit {
		return false, nil
	}
	if err := s.write(ctx, &wrong, mendSQL, d.App, d.Kind, d.Owner, d.Above); err != nil {
		return false, writeError("repair a list", err)
	}
	s.written()
	return wrong, nil
}

// AuditRound tells how the rounds of the audit stand, in whatever process they ran.
type AuditRound struct {
	Began    time.Time // of the round under way, or of the last one; zero = there was none
	UnderWay bool
	Ended    time.Time // of the last complete round; zero = there was none
	// Of the last complete round:
	Lists, Entries, Damaged, Repaired, Oversize int64
}

// AuditTurn is what one turn of the audit did.
type AuditTurn struct {
	// Wait is how long there is nothing to do, 0 if a piece was done.
	Wait   time.Duration
	Lists  int64
	Damage []Damage
	// StartedOver: headers had been set back, so that everyone who follows was made
	// to read every list again.
	StartedOver bool
	Round       *AuditRound // nil = somebody else is at it, and it was not looked at
}

// AuditTurn does the next piece of the audit of the database, if it is due and no
// other process is at it, and repairs what it finds if repair says so. A round over
// everything begins each period and is spread over it, by whoever comes; how far it
// has come is kept in the database. Errors are those of [Store.Edit].
func (s *Store) AuditTurn(ctx context.Context, period time.Duration, repair bool) (AuditTurn, error) {
	var answer struct {
		Wait        int64    `json:"wait"`
		Lists       int64    `json:"lists"`
		Found       []Damage `json:"found"`
		StartedOver bool     `json:"started_over"`
		Round       *struct {
			Began    int64 `json:"began"`
			UnderWay bool  `json:"under_way"`
			Ended    int64 `json:"ended"`
			Lists    int64 `json:"lists"`
			Entries  int64 `json:"entries"`
			Damaged  int64 `json:"damaged"`
			Repaired int64 `json:"repaired"`
			Oversize int64 `json:"oversize"`
		} `json:"round"`
	}
	if err := s.writeWithin(ctx, auditTimeout, &answer, turnSQL, period.Microseconds(), repair, auditLists, auditEntries); err != nil {
		return AuditTurn{}, writeError("audit the database", err)
	}
	turn := AuditTurn{
		Wait: time.Duration(answer.Wait) * time.Microsecond, Lists: answer.Lists, Damage: answer.Found,
		StartedOver: answer.StartedOver,
	}
	if r := answer.Round; r != nil {
		turn.Round = &AuditRound{
			Began: instant(r.Began), UnderWay: r.UnderWay, Ended: instant(r.Ended),
			Lists: r.Lists, Entries: r.Entries, Damaged: r.Damaged, Repaired: r.Repaired, Oversize: r.Oversize,
		}
	}
	return turn, nil
}

// auditTimeout bounds a turn. A list that triggers never counted may have any
// number of rows, and is counted whole.
const auditTimeout = 30 * time.Second
