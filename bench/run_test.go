package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/study"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake returns a study that finds a value for the target "hot".
func fake(name string, value float64, err error) study.Study {
	return study.Study{Name: name, What: "the study " + name, Run: func(_ context.Context, env *study.Env) (study.Result, error) {
		if _, err := os.Stat(env.Scratch); err != nil {
			return study.Result{}, err
		}
		return study.Result{Rows: []study.Row{{ID: "hot", What: "hot", Unit: "ns", AtMost: study.AtMost(60), Values: []float64{value}}}}, err
	}}
}

// bench runs the program on studies, in a folder that dir is.
func bench(t *testing.T, dir string, studies []study.Study, args ...string) (out string, err error) {
	t.Helper()
	program := program{studies: studies}
	var printed bytes.Buffer
	program.out, program.err = &printed, &printed
	self, err := os.Executable() // stands for the built program: nobody starts it
	if err != nil {
		t.Fatal(err)
	}
	err = program.run(t.Context(), append([]string{"-dir", dir, "-program", self}, args...))
	return printed.String(), err
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func TestCommandLine(t *testing.T) {
	studies := []study.Study{fake("inprocess", 50, nil), fake("writes", 1, nil)}
	for args, want := range map[string]string{
		"-fast":                         "flag provided but not defined: -fast; -help lists the flags",
		"-quick=maybe":                  "invalid boolean value",
		"inprocess":                     `"inprocess" is no flag; -only chooses studies`,
		"-only nothing":                 `there is no study "nothing"; there are inprocess, writes`,
		"-only writes,writes":           `there is no study "writes"`,
		"-program /does/not/exist/here": "`make build` builds it",
	} {
		if _, err := bench(t, t.TempDir(), studies, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	out, err := bench(t, t.TempDir(), studies, "-help")
	if err != nil || !strings.Contains(out, "-only") || !strings.Contains(out, "the study writes") {
		t.Errorf("help: %v\n%s", err, out)
	}
}

// TestStudiesRunOneByOne: a later run of one leaves the results of the others.
func TestStudiesRunOneByOne(t *testing.T) {
	dir := t.TempDir()
	studies := []study.Study{fake("inprocess", 50, nil), fake("writes", 40, nil)}
	if out, err := bench(t, dir, studies); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if page := read(t, dir, "RESULTS.md"); !strings.Contains(page, "50 (50–50) ns") || !strings.Contains(page, "40 (40–40) ns") {
		t.Errorf("after both:\n%s", page)
	}
	studies[1] = fake("writes", 30, nil)
	if out, err := bench(t, dir, studies, "-only", "writes"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	page := read(t, dir, "RESULTS.md")
	if !strings.Contains(page, "50 (50–50) ns") || !strings.Contains(page, "30 (30–30) ns") || strings.Contains(page, "40 (40–40) ns") {
		t.Errorf("after the second again:\n%s", page)
	}
	if err := os.Remove(filepath.Join(dir, "RESULTS.md")); err != nil {
		t.Fatal(err)
	}
	if _, err := bench(t, dir, nil, "-render"); err != nil || read(t, dir, "RESULTS.md") != page {
		t.Errorf("rendered anew: %v\n%s", err, read(t, dir, "RESULTS.md"))
	}
}

// TestShortRowsFailAtTheEnd: everything has been written by then.
func TestShortRowsFailAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	_, err := bench(t, dir, []study.Study{fake("inprocess", 90, nil), fake("writes", 40, nil)})
	if err == nil || !strings.Contains(err.Error(), "limits/hot.md") {
		t.Errorf("short without a paragraph: %v", err)
	}
	if page := read(t, dir, "RESULTS.md"); !strings.Contains(page, "short by 50 %") || !strings.Contains(page, "## writes") {
		t.Errorf("the page:\n%s", page)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "limits"), 0o755),
		os.WriteFile(filepath.Join(dir, "limits", "hot.md"), []byte("Cache misses."), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := bench(t, dir, nil, "-render"); err != nil {
		t.Errorf("with a paragraph: %v", err)
	}
}

// TestAStudyThatFails: what it found counts, the others are run, and the program
// fails.
func TestAStudyThatFails(t *testing.T) {
	dir := t.TempDir()
	_, err := bench(t, dir, []study.Study{fake("inprocess", 50, errors.New("no /some/machine/place")), fake("writes", 40, nil)})
	if err == nil || !strings.Contains(err.Error(), "study inprocess ended early") {
		t.Errorf("error %v", err)
	}
	page := read(t, dir, "RESULTS.md")
	for _, want := range []string{"50 (50–50) ns", "40 (40–40) ns", "**It ended early**: no place"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing:\n%s", want, page)
		}
	}
}

// TestAGlanceWritesNothing, and prints what it saw.
func TestAGlanceWritesNothing(t *testing.T) {
	dir := t.TempDir()
	out, err := bench(t, dir, []study.Study{fake("inprocess", 90, nil)}, "-quick")
	if err != nil || !strings.Contains(out, "90 (90–90) ns") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left: %v", left, err)
	}
	broken := fake("inprocess", 1, nil)
	broken.Run = func(context.Context, *study.Env) (study.Result, error) {
		return study.Result{Rows: []study.Row{{ID: "hot"}}}, nil
	}
	if _, err := bench(t, dir, []study.Study{broken}, "-quick"); err == nil {
		t.Error("a result that cannot be kept passes a glance")
	}
}

// TestInterrupted: half a study is not written.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	s := fake("inprocess", 1, nil)
	s.Run = func(ctx context.Context, _ *study.Env) (study.Result, error) {
		cancel()
		return study.Result{}, ctx.Err()
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = program{studies: []study.Study{s}, out: &out, err: &out}.run(ctx, []string{"-dir", dir, "-program", self})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left: %v", left, err)
	}
}
