package filter

import (
	"time"

	"github.com/sidegate/sidegate/cache"
)

// recorder is told what happens while the rules are asked. A check has none: to
// it the hook is one comparison with nil for each rule and list.
type recorder struct {
	rules []ruleAnswer
	lists []listRead
}

// ruleAnswer is what one rule said. Rules that did not get their turn have none.
type ruleAnswer struct {
	rule   Reason
	answer answer
}

// listRead is one list that a rule asked for. It holds what the view said, not
// the view, which would keep its page alive.
type listRead struct {
	kind    cache.Kind
	owner   string // borrowed from the Check
	known   bool
	version int64
	age     time.Duration
}

func (r *recorder) rule(rule Reason, a answer) {
	r.rules = append(r.rules, ruleAnswer{rule, a})
}

// recordList records a list that was asked for; the zero View stands for one
// that is unknown.
func (e *evaluation) recordList(kind cache.Kind, owner string, view cache.View, age time.Duration) {
	if e.rec == nil {
		return
	}
	read := listRead{kind: kind, owner: owner, known: view != cache.View{}, age: age}
	if read.known {
		read.version = view.Version()
	}
	e.rec.lists = append(e.rec.lists, read)
}
