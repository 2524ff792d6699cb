package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oracle judges a history of one list by the book: is there a place for every
// read, such that all rules hold together? It tries all of them. The check takes
// the first place that fits and never looks back; that this is enough is what
// the comparison shows.
func oracle(writes []Write, reads []Read) bool {
	slices.SortFunc(reads, func(a, b Read) int { return int(a.Begin - b.Begin) })
	places := make([]int, len(reads))
	var settle func(i int) bool
	settle = func(i int) bool {
		if i == len(reads) {
			return true
		}
		for at := range len(writes) + 1 {
			places[i] = at
			if possible(writes, reads[:i+1], places) && settle(i+1) {
				return true
			}
		}
		return false
	}
	return settle(0)
}

// possible reports whether the last of the reads may be at its place, the
// others being at theirs.
func possible(writes []Write, reads []Read, places []int) bool {
	rd, at := &reads[len(reads)-1], places[len(reads)-1]
	listed := map[string]bool{}
	for i := range writes {
		w := &writes[i]
		taken := i < at
		if taken {
			listed[w.Target] = w.Listed
		}
		switch {
		case !taken && w.End < rd.Begin-rd.Age, taken && w.Begin > rd.End:
			return false // too old, or of the future
		case !taken && rd.AtLeast > 0 && w.Version <= rd.AtLeast:
			return false // without the write of the token
		case rd.Version > 0 && taken != (w.Version <= rd.Version):
			return false // not that version
		}
	}
	for i := range reads[:len(reads)-1] {
		same := reads[i].By == rd.By && reads[i].Epoch == rd.Epoch
		if same && reads[i].End < rd.Begin && places[i] > at {
			return false // back to what was
		}
	}
	if !rd.Whole {
		return listed[rd.Target] == rd.Listed
	}
	size := 0
	for target, on := range listed {
		if on {
			size++
			if !slices.Contains(rd.Set, target) {
				return false
			}
		}
	}
	return size == len(rd.Set)
}

// targets are few, so that random answers are often right.
var targets = []string{"alice", "carol"}

// drawWrites draws some writes that follow each other, slow ones among them.
func drawWrites(t *rapid.T) (writes []Write) {
	now := 0
	for i := range rapid.IntRange(0, 4).Draw(t, "writes") {
		now += rapid.IntRange(0, 3).Draw(t, "idle")
		w := Write{Owner: "bob", Target: rapid.SampledFrom(targets).Draw(t, "target"),
			Listed: rapid.Bool().Draw(t, "listed"), Begin: time.Duration(now), Version: int64(2*i + 2)}
		now += rapid.SampledFrom([]int{0, 1, 10}).Draw(t, "takes")
		w.End = time.Duration(now)
		writes = append(writes, w)
		now++
	}
	return writes
}

// drawRead draws a read that is answered as the list was at some place: whether
// it may have been there is another question.
func drawRead(t *rapid.T, writes []Write) Read {
	begin := rapid.IntRange(0, 30).Draw(t, "begin")
	rd := Read{
		By: rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "by"), Epoch: rapid.SampledFrom([]uint64{1, 1, 2}).Draw(t, "epoch"),
		Owner: "bob", Begin: time.Duration(begin), End: time.Duration(begin + rapid.IntRange(0, 6).Draw(t, "takes")),
		Answered: true, Age: time.Duration(rapid.SampledFrom([]int{0, 2, 30}).Draw(t, "age")),
		AtLeast: rapid.SampledFrom([]int64{0, 0, 0, 2, 4, 6}).Draw(t, "at least"),
	}
	at := rapid.IntRange(0, len(writes)).Draw(t, "place")
	listed := map[string]bool{}
	for i := range writes[:at] {
		listed[writes[i].Target] = writes[i].Listed
	}
	if rapid.IntRange(0, 3).Draw(t, "whole") == 0 {
		rd.Whole = true
		for _, target := range targets {
			if listed[target] {
				rd.Set = append(rd.Set, target)
			}
		}
		return rd
	}
	rd.Target = rapid.SampledFrom(targets).Draw(t, "target")
	rd.Listed = listed[rd.Target]
	if at > 0 && rapid.IntRange(0, 3).Draw(t, "versioned") == 0 {
		// Odd versions are those of writes that nobody has recorded.
		rd.Version = writes[at-1].Version + rapid.Int64Range(0, 1).Draw(t, "version")
	}
	return rd
}

// TestCheckAgreesWithTheBook: on any history, the check objects exactly if no
// places for all answers exist.
func TestCheckAgreesWithTheBook(t *testing.T) {
	var fine, wrong int
	rapid.Check(t, func(t *rapid.T) {
		// Each takes some ten microseconds: rapid's hundred would be few.
		for range 30 {
			if compare(t) {
				fine++
			} else {
				wrong++
			}
		}
	})
	t.Logf("%d histories were fine and %d wrong", fine, wrong)
	if fine == 0 || wrong == 0 {
		t.Errorf("%d fine histories and %d wrong ones were tried: one side was never tried", fine, wrong)
	}
}

// compare draws a history and reports whether it is fine by the book.
func compare(t *rapid.T) bool {
	h := History{Writes: drawWrites(t)}
	for range rapid.IntRange(1, 5).Draw(t, "reads") {
		h.Reads = append(h.Reads, drawRead(t, h.Writes))
	}
	want := oracle(h.Writes, slices.Clone(h.Reads))
	report, err := h.Check()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(report.Violations) == 0; got != want && !onlyVersionsFell(&report) {
		t.Fatalf("the check finds %v, by the book all is well: %v\nwrites %v\nreads %v",
			report.Violations, want, show(h.Writes), show(h.Reads))
	}
	return want
}

// onlyVersionsFell: a version that falls between two places, as one of a write
// in doubt does, is a violation of which the places know nothing.
func onlyVersionsFell(r *Report) bool {
	return len(r.Violations) > 0 && !slices.ContainsFunc(r.Violations, func(v Violation) bool { return v.Kind != Fell || v.Read.Version == 0 })
}

func show[T any](list []T) (out string) {
	for i := range list {
		out += fmt.Sprintf("\n  %v %+v", any(&list[i]), list[i])
	}
	return out
}
