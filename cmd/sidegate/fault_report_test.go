package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/history"
)

// struck says that a fault begins now, repaired that it has ended.
func (w *faultWorld) struck() { w.strikes = append(w.strikes, strike{begin: w.recorder.Now()}) }

func (w *faultWorld) repaired() { w.strikes[len(w.strikes)-1].end = w.recorder.Now() }

// judge returns the verdict on everything so far; the crowd is quiet.
func (w *faultWorld) judge() history.Report {
	w.t.Helper()
	recorded := w.recorder.History()
	report, err := recorded.Check()
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// report ends a test: it sends the crowd home, waits until memory and table are the
// same, judges everything, and reports what was seen. What happened is one sentence
// for the page.
func (w *faultWorld) report(happened string) {
	w.t.Helper()
	took := w.recorder.Now()
	w.quiet()
	w.settled()
	verdict := w.judge()
	for _, v := range verdict.Violations {
		w.complain("%v", v)
	}
	w.t.Logf("%d rounds in %v: %v", len(w.strikes), took.Round(time.Second/10), &verdict)
	if verdict.Decisive < verdict.Answered/4 {
		w.t.Errorf("of %d answers only %d could have been wrong: this proves little", verdict.Answered, verdict.Decisive)
	}
	f := faultFigures{
		Happened: happened, Rounds: len(w.strikes), Answers: verdict.Answered,
		Wrong: len(verdict.Violations), Lost: w.lostWrites(), Over: w.overLimit(),
	}
	if verdict.MaxAge > w.soft {
		f.Oldest = verdict.MaxAge
	}
	reads := w.recorder.History().Reads
	f.Unknown, f.Unclear = unanswered(reads)
	f.Fresh = w.staleAfter(reads)
	reportRow(w.t, f)
}

// unanswered counts the plain questions that had no answer, and returns the longest
// time from such a question to the first answer of the same sidecar about the same
// list.
func unanswered(reads []history.Read) (count int, longest time.Duration) {
	reads = slices.Clone(reads)
	slices.SortFunc(reads, func(a, b history.Read) int { return cmp.Compare(a.End, b.End) })
	since := map[[2]string]time.Duration{}
	for i := range reads {
		r := &reads[i]
		if r.Whole || r.AtLeast > 0 {
			continue // it may have to wait for the database
		}
		key := [2]string{r.By, r.Owner}
		begin, open := since[key]
		switch {
		case !r.Answered:
			count++
			if !open {
				since[key] = r.Begin
			}
		case open:
			longest = max(longest, r.End-begin)
			delete(since, key)
		}
	}
	return count, longest
}

// staleAfter returns the longest time from the end of a fault to the last answer
// before the next one that was stale or unknown.
func (w *faultWorld) staleAfter(reads []history.Read) (longest time.Duration) {
	for i, s := range w.strikes {
		until := w.recorder.Now()
		if i+1 < len(w.strikes) {
			until = w.strikes[i+1].begin
		}
		for _, r := range reads {
			if old := !r.Answered || r.Age > w.soft; old && !r.Whole && r.AtLeast == 0 && r.Begin > s.end && r.End < until {
				longest = max(longest, r.End-s.end)
			}
		}
	}
	return longest
}

// lostWrites counts the entries that are not in the table as the last acknowledged
// write left them. The crowd is quiet. What became of writes of unknown outcome is
// not asked: nobody was promised anything.
func (w *faultWorld) lostWrites() (lost int) {
	w.t.Helper()
	table := map[string]bool{}
	for pair := range strings.Lines(psql(w.t, w.dsn, "SELECT owner || ' ' || target FROM sidegate.block WHERE app = 'default' AND kind = 'block'")) {
		table[strings.TrimSpace(pair)] = true
	}
	for _, l := range w.lists {
		for i := range l.entries {
			if e := &l.entries[i]; table[l.owner+" "+e.target()] != e.listed {
				w.complain("%s %s: the table says %v, the last acknowledged write %v", l.owner, e.target(), !e.listed, e.listed)
				lost++
			}
		}
	}
	return lost
}

// overLimit counts the lists that are longer than their app allows, by their rows,
// whatever their headers say.
func (w *faultWorld) overLimit() int {
	w.t.Helper()
	n, err := strconv.Atoi(psql(w.t, w.dsn, `SELECT count(*) FROM (
		SELECT 1 FROM sidegate.block b LEFT JOIN sidegate.app a ON a.app = b.app GROUP BY b.app, b.kind, b.owner, a.max_entries
		HAVING count(*) > coalesce(a.max_entries, 3000)) too_long`))
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
