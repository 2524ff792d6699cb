package cache

import (
	"time"

	"golang.org/x/time/rate"
)

// pace is how many page reads a second the gate begins: a token bucket whose rate
// follows the database. While reads are quick the rate is the configured ceiling,
// which a healthy database does not feel. When most reads of a moment are slow or
// fail, the rate is cut to half of what was read in that moment; then it rises
// again, by the same amount each second. Many processes that share a database and
// know nothing of each other so come to equal shares of what it can do: additive
// increase, multiplicative decrease, as TCP shares a line.
//
// It rises with time and not with success, so that a process that reads little
// does not carry an old cut into its next rush. It is guarded by the gate's lock.
type pace struct {
	ceiling float64 // reads a second
	burst   int     // reads at once, at the ceiling
	bucket  *rate.Limiter

	low float64   // the rate right after the last cut
	cut time.Time // when that was; zero: the rate is the ceiling

	round       time.Time // since when reads are judged together
	reads, slow int       // that have ended in it

	// The quickest read of the present window and of the one before it: what
	// the database takes when it is not busy.
	fastest [2]time.Duration
	window  time.Time
}

const (
	// slowFactor: a read that takes so many times as long as the quickest of late
	// is slow, unless it is far from the deadline all the same, see slowShare.
	slowFactor = 8
	// slowShare: a read that takes less than this part of its deadline is not slow.
	slowShare = 5
	// fastestWindow is how long the quickest read is remembered, at least. A
	// database that moved far away is found to be so after twice that.
	fastestWindow = 30 * time.Second

	// Reads are judged together after roundLength, if they are roundReads or
	// more; after roundLimit what has come is too little to be a load.
	roundLength = 100 * time.Millisecond
	roundLimit  = time.Second
	roundReads  = 4

	// recovery is how long the rate takes from nothing to the ceiling.
	recovery = 5 * time.Second
	// lowest is the least rate: at it, one read alone waits for its token less
	// than the default deadline, so that somebody always tries.
	lowest = 10
)

func newPace(ceiling float64, burst int) pace {
	return pace{ceiling: ceiling, burst: burst, bucket: rate.NewLimiter(rate.Limit(ceiling), burst)}
}

// set changes the ceiling and the burst; a cut that is under way goes on.
func (p *pace) set(ceiling float64, burst int, now time.Time) {
	p.ceiling, p.burst = ceiling, burst
	p.apply(now)
}

// rate returns the reads a second that may begin now.
func (p *pace) rate(now time.Time) float64 {
	if p.cut.IsZero() {
		return p.ceiling
	}
	return min(p.ceiling, p.low+p.ceiling*now.Sub(p.cut).Seconds()/recovery.Seconds())
}

// apply makes the bucket hold to the rate of now. It holds fewer tokens at a lower
// rate, or a database that has just become slow would get a burst first.
func (p *pace) apply(now time.Time) {
	r := p.rate(now)
	if r >= p.ceiling {
		p.cut = time.Time{}
	}
	p.bucket.SetLimitAt(now, rate.Limit(r))
	p.bucket.SetBurstAt(now, max(1, int(float64(p.burst)*r/p.ceiling)))
}

// reserve takes a token if it comes within patience, and says when it does. False
// means that none was taken.
func (p *pace) reserve(now time.Time, patience time.Duration) (due time.Duration, ok bool) {
	if !p.cut.IsZero() {
		p.apply(now)
	}
	token := p.bucket.ReserveN(now, 1)
	if due = token.DelayFrom(now); due > patience {
		token.CancelAt(now)
		return 0, false
	}
	return due, true
}

// ended takes note of a read that took so long, of so long as it may take.
func (p *pace) ended(now time.Time, took, limit time.Duration, failed bool) {
	slow := failed || took > p.slowness(limit)
	if !failed {
		p.learn(now, took)
	}
	if now.Sub(p.round) > roundLimit {
		p.round, p.reads, p.slow = now, 0, 0
	}
	p.reads++
	if slow {
		p.slow++
	}
	length := now.Sub(p.round)
	if length < roundLength || p.reads < roundReads {
		return
	}
	if 2*p.slow >= p.reads {
		p.low = max(min(lowest, p.ceiling), min(p.rate(now), float64(p.reads)/length.Seconds())/2)
		p.cut = now
		p.apply(now)
	}
	p.round, p.reads, p.slow = now, 0, 0
}

// slowness is what a read may take without being slow. Pages differ in size and
// databases in distance, so it is a multiple of what is usual here, and nothing
// that leaves most of the deadline.
func (p *pace) slowness(limit time.Duration) time.Duration {
	return max(limit/slowShare, min(slowFactor*p.quickest(), limit*(slowShare-1)/slowShare))
}

// learn keeps the quickest read of two windows.
func (p *pace) learn(now time.Time, took time.Duration) {
	if age := now.Sub(p.window); age > fastestWindow {
		p.fastest[1] = p.fastest[0]
		if age > 2*fastestWindow {
			p.fastest[1] = 0
		}
		p.fastest[0], p.window = 0, now
	}
	if p.fastest[0] == 0 || took < p.fastest[0] {
		p.fastest[0] = took
	}
}

// quickest is what a read takes at least, 0 if none has ended of late.
func (p *pace) quickest() time.Duration {
	a, b := p.fastest[0], p.fastest[1]
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
