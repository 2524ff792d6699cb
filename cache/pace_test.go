package cache

import (
	"testing"
	"time"
)

// paced is a pace with a clock that is moved by hand.
type paced struct {
	pace
	now time.Time
}

func newPaced(ceiling float64, burst int) *paced {
	return &paced{pace: newPace(ceiling, burst), now: time.Unix(1e9, 0)}
}

// reads ends n reads that took so long, one a millisecond.
func (p *paced) reads(n int, took time.Duration, failed bool) {
	for range n {
		p.now = p.now.Add(time.Millisecond)
		p.ended(p.now, took, loadLimit, failed)
	}
}

func (p *paced) at() float64 { return p.rate(p.now) }

// TestAHealthyDatabaseIsNotThrottled: whatever its distance, and although some
// pages are large and some reads unlucky.
func TestAHealthyDatabaseIsNotThrottled(t *testing.T) {
	for _, usual := range []time.Duration{100 * time.Microsecond, 3 * time.Millisecond, 70 * time.Millisecond} {
		p := newPaced(2000, 100)
		for range 100 {
			p.reads(60, usual, false)
			p.reads(30, 3*usual/2, false)
			p.reads(10, loadLimit, true) // a locked page
		}
		if p.at() != 2000 {
			t.Errorf("reads of %v: the rate is %v", usual, p.at())
		}
	}
}

// TestASlowDatabaseIsSpared: the rate follows what is read, down to the lowest, and
// is back within the time that is promised.
func TestASlowDatabaseIsSpared(t *testing.T) {
	for name, failed := range map[string]bool{"slow": false, "failing": true} {
		p := newPaced(2000, 500)
		p.reads(1000, time.Millisecond, false)
		took := 60 * time.Millisecond
		if failed {
			took = time.Millisecond
		}
		p.reads(200, took, failed) // at 1000 a second
		if r := p.at(); r > 700 || r < lowest {
			t.Errorf("%s: the rate is %v after a cut at 1000 a second", name, r)
		}
		if n := p.bucket.Burst(); n > 500*700/2000 {
			t.Errorf("%s: a burst of %d is left", name, n)
		}
		for range 40 { // a read every 25 ms, as of a database that hangs
			p.now = p.now.Add(24 * time.Millisecond)
			p.reads(1, loadLimit, true)
		}
		cut := p.rate(p.cut)
		if cut > 40 || cut < lowest {
			t.Errorf("%s: the rate is %v after cuts at 40 a second", name, cut)
		}
		p.now = p.now.Add(recovery / 2)
		if r := p.at(); r < 900 || r > 1300 {
			t.Errorf("%s: half way up the rate is %v", name, r)
		}
		p.now = p.now.Add(recovery / 2)
		if _, ok := p.reserve(p.now, 0); !ok || p.at() != 2000 || p.bucket.Burst() != 500 {
			t.Errorf("%s: recovered to %v, burst %d", name, p.at(), p.bucket.Burst())
		}
	}
}

// TestFewReadsProveNothing: what comes now and then is not a load, however slow.
func TestFewReadsProveNothing(t *testing.T) {
	p := newPaced(2000, 500)
	for range 100 {
		p.now = p.now.Add(400 * time.Millisecond)
		p.reads(1, loadLimit, true)
	}
	if p.at() != 2000 {
		t.Errorf("the rate is %v", p.at())
	}
}

// TestAFarDatabaseBecomesUsual: after a failover into another region every read
// takes longer than before; that is slow at first, and usual after a minute.
func TestAFarDatabaseBecomesUsual(t *testing.T) {
	p := newPaced(2000, 500)
	p.reads(1000, time.Millisecond, false)
	far := 40 * time.Millisecond
	p.reads(1000, far, false)
	if p.at() == 2000 {
		t.Error("forty times as long is not slow")
	}
	for range 700 {
		p.now = p.now.Add(99 * time.Millisecond)
		p.reads(1, far, false)
	}
	p.now = p.now.Add(recovery)
	p.reads(1000, far, false)
	if p.at() != 2000 {
		t.Errorf("a minute later the rate is %v", p.at())
	}
}

// TestProcessesShareADatabase: two that know nothing of each other, of which one
// has nearly all of what the database can do, come to equal shares.
func TestProcessesShareADatabase(t *testing.T) {
	const capacity, step = 200, time.Millisecond
	a, b := newPaced(1000, 10), newPaced(1000, 10)
	a.low, b.low = capacity, lowest
	a.cut, b.cut = a.now, b.now
	var recent []int // reads of each of the last hundred milliseconds
	done := [2]int{}
	for ms := range 60_000 {
		n := 0
		busy := 0
		for _, one := range recent {
			busy += one
		}
		took := time.Millisecond
		if busy > capacity/10 {
			took = 60 * time.Millisecond
		}
		for i, p := range []*paced{a, b} {
			p.now = p.now.Add(step)
			if _, ok := p.reserve(p.now, 0); ok {
				n++
				p.ended(p.now, took, loadLimit, false)
				if ms >= 30_000 {
					done[i]++
				}
			}
		}
		if recent = append(recent, n); len(recent) > 100 {
			recent = recent[1:]
		}
	}
	t.Logf("reads in 30 s at a capacity of %d a second: %d and %d", capacity, done[0], done[1])
	if ratio := float64(done[0]) / float64(done[1]); ratio < 0.7 || ratio > 1.4 {
		t.Errorf("shares of %d and %d", done[0], done[1])
	}
	if sum := done[0] + done[1]; sum > 2*capacity*30 || sum < capacity*30/3 {
		t.Errorf("%d reads in 30 s at a capacity of %d a second", sum, capacity)
	}
}
