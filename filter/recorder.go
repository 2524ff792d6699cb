package filter

import "time"

// recorder is told what happens while the rules are asked. A check has none: to
// it the hook is one comparison with nil for each rule and list.
type recorder struct {
	rules []ruleAnswer
	lists []listRead

	// Of the list being read. They stand here because whatever a reading
	// points to, and with it the check, would leave the stack.
	loaded bool
	past   *Interval
}

// ruleAnswer is what one rule said. Rules that did not get their turn have none.
type ruleAnswer struct {
	rule   Reason
	answer answer
}

// listRead is one list that a rule asked for. It holds what the view said, not
// the view, which would keep its page alive.
type listRead struct {
	listName        // borrowed from the Check
	target   string // likewise
	known    bool
	cause    Cause // if not known
	listed   bool  // the target is on it
	asleep   bool  // the owner is in allowlist mode
	loaded   bool  // it was waited for
	version  int64
	age      time.Duration
	past     *Interval // of the past: when it was on it
}

func (r *recorder) rule(rule Reason, a answer) {
	r.rules = append(r.rules, ruleAnswer{rule, a})
}

// record records a list that a rule asked for.
func (e *evaluation) record(r *reading, list listName, target string) {
	if e.rec == nil {
		return
	}
	read := listRead{listName: list, target: target, cause: r.cause, loaded: e.rec.loaded, past: e.rec.past}
	e.rec.loaded, e.rec.past = false, nil
	if read.known = r.state == known; read.known {
		read.listed, read.asleep = e.isOn(r, target), r.view.Allowlist()
		if e.past == nil {
			read.version, read.age = r.view.Version(), time.Duration(e.now-r.asOf)
		}
	}
	e.rec.lists = append(e.rec.lists, read)
}

// isOn reports whether target is on a known list.
func (e *evaluation) isOn(r *reading, target string) bool {
	if e.past != nil {
		return r.listed
	}
	return r.view.Contains(target)
}
