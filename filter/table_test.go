package filter

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

// dimension is a fact and the values it can have.
type dimension struct {
	name   string
	values []string
}

// The facts that a decision can depend on, in the order of the columns of
// testdata/reasons.txt; notify_blocked stands in outcomes.txt only.
var dimensions = []dimension{
	{"same", []string{"no", "yes"}},
	{"exempt", []string{"none", "sender", "recipient"}},
	{"origin", []string{"client", "client_v", "server", "server_v"}},
	{"room", []string{"unnamed", "welcome", "banned"}},
	{"on_block", []string{"reject", "drop", "silent", "deliver"}},
	{"type", []string{"direct", "group", "open"}},
	{"allow", []string{"off", "on"}},
	{"r_mode", []string{"blocks", "listed", "unlisted"}},
	{"s_mode", []string{"blocks", "allow"}},
	{"r_blocks", []string{"no", "yes"}},
	{"s_blocks", []string{"no", "yes"}},
	{"mode", []string{"one_way", "two_way"}},
	{"notify_blocked", []string{"no", "yes"}},
}

const (
	same = iota
	exempt
	origin
	inRoom
	onBlock
	roomType
	allow
	rMode
	sMode
	rBlocks
	sBlocks
	mode
	notifyBlocked
	dims
)

// facts is one combination, a value for each dimension.
type facts [dims]string

func (f facts) String() string {
	parts := make([]string, dims)
	for i, v := range f {
		parts[i] = dimensions[i].name + "=" + v
	}
	return strings.Join(parts, " ")
}

// combine calls visit with every combination of the values given; a dimension
// without values of its own has all.
func combine(only map[int][]string, visit func(facts)) {
	var f facts
	var fill func(i int)
	fill = func(i int) {
		if i == dims {
			visit(f)
			return
		}
		values := dimensions[i].values
		if narrow, ok := only[i]; ok {
			values = narrow
		}
		for _, v := range values {
			f[i] = v
			fill(i + 1)
		}
	}
	fill(0)
}

// row is a line of a table: what it is called, when it holds, what follows.
type row struct {
	name string
	when [][]string // by column; nil = any
	then []string
	hits int
}

func (r *row) holds(values []string) bool {
	for i, allowed := range r.when {
		if allowed != nil && !slices.Contains(allowed, values[i]) {
			return false
		}
	}
	return true
}

// table is a decision table of which exactly one row holds for any values.
type table struct {
	t    testing.TB
	file string
	rows []*row
}

func readTable(t testing.TB, file string, columns int) *table {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := &table{t: t, file: file}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		colon := slices.Index(fields, ":")
		if colon != columns+1 {
			t.Fatalf("%s: want a name, %d columns and a colon: %q", file, columns, lines.Text())
		}
		r := &row{name: fields[0], then: fields[colon+1:]}
		for _, cell := range fields[1:colon] {
			if cell == "*" {
				r.when = append(r.when, nil)
			} else {
				r.when = append(r.when, strings.Split(cell, "|"))
			}
		}
		out.rows = append(out.rows, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// find returns the one row that holds.
func (tb *table) find(values ...string) *row {
	var found *row
	for _, r := range tb.rows {
		if !r.holds(values) {
			continue
		}
		if found != nil {
			tb.t.Fatalf("%s: rows %s and %s overlap at %v", tb.file, found.name, r.name, values)
		}
		found = r
	}
	if found == nil {
		tb.t.Fatalf("%s: no row describes %v", tb.file, values)
	}
	found.hits++
	return found
}

// used fails for rows that no combination needed.
func (tb *table) used() {
	for _, r := range tb.rows {
		if r.hits == 0 {
			tb.t.Errorf("%s: row %s describes nothing", tb.file, r.name)
		}
	}
}

// oracle knows the decision of every combination of facts from the two tables,
// without asking any code of this package.
type oracle struct{ reasons, outcomes *table }

func newOracle(t testing.TB) *oracle {
	return &oracle{
		reasons:  readTable(t, "reasons.txt", notifyBlocked),
		outcomes: readTable(t, "outcomes.txt", 3),
	}
}

// expected is a decision in the words of the tables.
type expected struct{ row, reason, deliver, notify, action string }

func (o *oracle) expect(f facts) expected {
	r := o.reasons.find(f[:notifyBlocked]...)
	return o.outcome(r.name, r.then[0], f)
}

func (o *oracle) outcome(name, reason string, f facts) expected {
	then := o.outcomes.find(reason, f[onBlock], f[notifyBlocked]).then
	return expected{name, reason, then[0], then[1], then[2]}
}

// spell puts a decision into the words of the tables.
func spell(row string, d Decision) expected {
	words := map[bool]string{false: "no", true: "yes"}
	return expected{row, d.Reason.String(), words[d.Deliver], words[d.Notify], d.Action.String()}
}
