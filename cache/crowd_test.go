package cache

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// crowd is a database of many users, each with a list of ten others, which makes
// its lists up when it is asked: what a million lists cost can be measured
// without a million rows.
type crowd struct {
	owners []placedOwner // by hash
}

type placedOwner struct {
	hash uint64
	id   string
}

const crowdList = 10

func crowdID(i int) string { return fmt.Sprintf("user-%08d-of-benchmark", i) }

func newCrowd(users int) *crowd {
	c := &crowd{owners: make([]placedOwner, users)}
	for i := range c.owners {
		id := crowdID(i)
		c.owners[i] = placedOwner{HashOwner(id, testSalt), id}
	}
	slices.SortFunc(c.owners, func(a, b placedOwner) int { return cmp.Compare(a.hash, b.hash) })
	return c
}

// Sizes implements Sizer.
func (c *crowd) Sizes(_ context.Context, _ string, kind Kind) (lists, entries int64, err error) {
	if kind != KindBlock {
		return 0, 0, nil
	}
	return int64(len(c.owners)), int64(len(c.owners)) * crowdList, nil
}

// Load implements Loader.
func (c *crowd) Load(_ context.Context, _ string, kind Kind, r Range) (Loaded, error) {
	loaded := Loaded{Identity: identityOf(0, true)}
	if kind != KindBlock {
		return loaded, nil
	}
	from, _ := slices.BinarySearchFunc(c.owners, r.Lo, func(o placedOwner, h uint64) int { return cmp.Compare(o.hash, h) })
	for i := from; i < len(c.owners) && c.owners[i].hash <= r.Hi; i++ {
		entries := make([]Entry, crowdList)
		for j := range entries {
			entries[j].Target = c.owners[(i+1+j*7919)%len(c.owners)].id
		}
		loaded.Lists = append(loaded.Lists, listOf(c.owners[i].id, 1, entries...))
	}
	loaded.Count = len(loaded.Lists)
	return loaded, nil
}

// gather has a cache read all of a crowd.
func gather(b *testing.B, users int) *Cache {
	b.Helper()
	crowd := newCrowd(users)
	c, err := New(Options{
		MaxBytes: 4 << 30, Apps: []string{"a"}, Loader: Whole(crowd.Load), Sizer: crowd, LoadTimeout: time.Minute,
		Metrics: NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		b.Fatal(err)
	}
	runCache(b, c)
	c.Reset(identityOf(0, true), c.Now())
	for !c.Preloaded() {
		<-time.After(10 * time.Millisecond)
	}
	return c
}

// questions are pairs of users at random, every other of whom has a list. Their
// ids lie in memory in the order in which they are asked for, as those of requests
// do, and their number is a power of two.
type questions string

const crowdIDBytes = len("user-00000000-of-benchmark")

func drawQuestions(n, users int) questions {
	var text strings.Builder
	for range 2 * n {
		text.WriteString(crowdID(rand.IntN(2 * users)))
	}
	return questions(text.String())
}

// at returns a question; behind the last one comes the first.
func (q questions) at(i int) (owner, target string) {
	const both = 2 * crowdIDBytes
	i &= len(q)/both - 1
	pair := string(q[i*both : (i+1)*both])
	return pair[:crowdIDBytes], pair[crowdIDBytes:]
}

// cpuTime is what this process has used of the CPUs, which a busy machine
// distorts less than the time that passes.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// perQuestion reports the CPU time of one question.
func perQuestion(b *testing.B, since time.Duration, questions int) {
	b.ReportMetric(float64((cpuTime(b)-since).Nanoseconds())/float64(b.N*questions), "cpu-ns/question")
}
