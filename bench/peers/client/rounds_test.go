package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReadQuestions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "questions")
	for text, want := range map[string]string{
		"":            "there is none",
		"a b 0\n":     "line 1",
		"a b 0 1\nc":  "line 2",
		"a b 0 1\n":   "",
		"a b 1 1 1\n": "line 1",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := readQuestions(path)
		if want == "" {
			if err != nil || len(got) != 1 || got[0] != (question{"a", "b", false, true}) {
				t.Errorf("%q: %v, %v", text, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := readQuestions(path + "-"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestRounds: every question has its turn, and a wrong answer ends the round.
func TestRounds(t *testing.T) {
	questions := make([]question, 10)
	for i := range questions {
		questions[i].recipient = string(rune('a' + i))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	ask := func(_ context.Context, q question) error {
		mu.Lock()
		defer mu.Unlock()
		seen[q.recipient]++
		return nil
	}
	r := newRounds([]asker{ask, ask}, questions)
	ctx := t.Context()
	for asked := 0; len(seen) < len(questions); {
		out, err := r.run(ctx, time.Millisecond)
		if err != nil || out.Operations == 0 || out.P99 < out.P50 {
			t.Fatalf("%+v, %v", out, err)
		}
		asked += out.Operations
		total := 0
		for _, n := range seen {
			total += n
		}
		if total != asked {
			t.Fatalf("%d were asked, %d are counted", total, asked)
		}
	}
	wrong := errWrong(questions[0], true)
	r = newRounds([]asker{func(context.Context, question) error { return wrong }}, questions)
	if _, err := r.run(ctx, time.Hour); !errors.Is(err, wrong) {
		t.Errorf("a wrong answer: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := newRounds([]asker{ask}, questions).run(ended, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a program that is told to end: %v", err)
	}
}

func TestCompare(t *testing.T) {
	broken := errors.New("broken")
	if compare(question{}, true, true, nil) != nil || compare(question{}, true, false, nil) == nil || !errors.Is(compare(question{}, true, true, broken), broken) {
		t.Error("an answer is not held to the right one")
	}
}
