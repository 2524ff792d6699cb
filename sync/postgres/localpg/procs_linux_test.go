package localpg

import (
	"os"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 20 0 1 0 98765 0 0"
	for line, want := range map[string]process{
		"42 (postgres) S 7" + rest:     {pid: 42, ppid: 7, state: 'S', name: "postgres", started: "98765"},
		"42 (a b) Z (c) T) Z 7" + rest: {pid: 42, ppid: 7, state: 'Z', name: "a b) Z (c) T", started: "98765"},
		"42 () R 0" + rest:             {pid: 42, ppid: 0, state: 'R', started: "98765"},
		"42 (postgres) S 7 1 2":        {},
		"42 (postgres S 7" + rest:      {},
		"(postgres) S 7" + rest:        {},
		"x (postgres) S 7" + rest:      {},
		"42 (postgres) S seven" + rest: {},
		") ( S 7" + rest:               {},
		"":                             {},
	} {
		got, err := parseStat(line)
		if got != want || (err == nil) != (want != process{}) {
			t.Errorf("%q is read as %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	line, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(line))
	f.Add("0()\x00 0 0 0 0 0 0 0 0 00 0 0 0 0 0 0 0 0 0 0")
	f.Add("42 (a b) Z (c) T) Z 7 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 20 0 1 0 98765 0 0")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := parseStat(line)
		if err == nil && (p.started == "" || p.state == 0 || !strings.Contains(line, "("+p.name+")")) {
			t.Errorf("%q is read as %+v", line, p)
		}
	})
}

func TestProcessesSeesOurselves(t *testing.T) {
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.pid == os.Getpid() {
			if p.ppid != os.Getppid() || p.dead() || stopped(p) {
				t.Errorf("we are seen as %+v", p)
			}
			return
		}
	}
	t.Error("we are not in the list of processes")
}
