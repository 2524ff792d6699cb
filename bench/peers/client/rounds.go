package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// question is one line of the file of questions.
type question struct {
	recipient, sender string
	blocked           bool // recipient has blocked sender
	either            bool // or the other way round
}

// readQuestions reads lines of "recipient sender blocked either".
func readQuestions(path string) (questions []question, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the questions: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 4 {
			return nil, fmt.Errorf("read the questions: line %d is not recipient, sender, 0 or 1, 0 or 1", len(questions)+1)
		}
		questions = append(questions, question{fields[0], fields[1], fields[2] == "1", fields[3] == "1"})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the questions: %w", err)
	}
	if len(questions) == 0 {
		return nil, errors.New("read the questions: there is none")
	}
	return questions, nil
}

// errWrong: an answer was not the right one.
func errWrong(q question, got any) error {
	return fmt.Errorf("wrong answer about %s and %s: %v", q.recipient, q.sender, got)
}

// found is what a round has shown.
type found struct {
	Operations int   `json:"operations"`
	Elapsed    int64 `json:"elapsed_ns"`
	P50        int64 `json:"p50_ns"`
	P99        int64 `json:"p99_ns"`
	CPU        int64 `json:"cpu_ns"` // of this program, user and kernel
}

// rounds lets askers ask for a while, again and again. Each goes on where it was.
type rounds struct {
	askers    []asker
	questions []question
	next      []int
}

func newRounds(askers []asker, questions []question) *rounds {
	r := &rounds{askers: askers, questions: questions, next: make([]int, len(askers))}
	for i := range r.next {
		r.next[i] = i * len(questions) / len(askers)
	}
	return r
}

// sampleEvery is the share of exchanges that are timed, as in the load that asks
// over bare sockets.
const sampleEvery = 16

func (r *rounds) run(ctx context.Context, length time.Duration) (found, error) {
	var over atomic.Bool
	var asking sync.WaitGroup
	samples := make([][]time.Duration, len(r.askers))
	counts := make([]int, len(r.askers))
	errs := make([]error, len(r.askers))
	failed := make(chan struct{}, len(r.askers))
	before := used()
	begun := time.Now()
	for i, ask := range r.askers {
		asking.Go(func() {
			for n := 0; errs[i] == nil && !over.Load(); n++ {
				q := r.draw(i)
				if n%sampleEvery != 0 {
					errs[i] = ask(ctx, q)
				} else {
					at := time.Now()
					errs[i] = ask(ctx, q)
					samples[i] = append(samples[i], time.Since(at))
				}
				counts[i]++
			}
			if errs[i] != nil {
				failed <- struct{}{}
			}
		})
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-failed:
	case <-ctx.Done():
	}
	over.Store(true)
	asking.Wait()
	out := found{Elapsed: int64(time.Since(begun)), CPU: int64(used() - before)}
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return out, err
	}
	all := slices.Concat(samples...)
	slices.Sort(all)
	for _, n := range counts {
		out.Operations += n
	}
	out.P50, out.P99 = int64(all[len(all)/2]), int64(all[len(all)*99/100])
	return out, nil
}

// used returns the CPU time that this program has used.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// draw returns the next question of one asker.
func (r *rounds) draw(i int) question {
	if r.next[i] == len(r.questions) {
		r.next[i] = 0
	}
	r.next[i]++
	return r.questions[r.next[i]-1]
}
