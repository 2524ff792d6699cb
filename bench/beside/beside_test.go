package beside

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/report"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var small = seed.Shape{Lists: 40, Entries: 3, Idle: 10}

// TestQuestions: the file says what is right, for both ways.
func TestQuestions(t *testing.T) {
	questions := ask(small, 300)
	path := filepath.Join(t.TempDir(), "questions")
	if err := save(path, questions); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != len(questions) {
		t.Fatalf("%d lines for %d questions", len(lines), len(questions))
	}
	blocked := map[[2]string]bool{}
	for i := range small.Lists {
		for j := range small.Entries {
			blocked[[2]string{seed.ID(i), seed.ID(small.Target(i, j))}] = true
		}
	}
	seen := map[string]int{}
	for i, line := range lines {
		q, digit := questions[i], map[bool]string{false: "0", true: "1"}
		one := blocked[[2]string{q.recipient, q.sender}]
		either := one || blocked[[2]string{q.sender, q.recipient}]
		if want := fmt.Sprintf("%s %s %s %s", q.recipient, q.sender, digit[one], digit[either]); line != want || q.either() != either {
			t.Fatalf("line %d is %q, want %q", i+1, line, want)
		}
		seen[digit[one]+digit[either]]++
	}
	if seen["00"] == 0 || seen["11"] == 0 || seen["01"] == 0 {
		t.Errorf("not every kind of answer is asked for: %v", seen)
	}
}

// fakeRedis answers SADD, SISMEMBER and INFO from memory until the test ends. It
// lies about the members of the set that is named.
func fakeRedis(t *testing.T, liesAbout string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	var mu sync.Mutex
	sets := map[string][]string{}
	answer := func(words []string) string {
		mu.Lock()
		defer mu.Unlock()
		switch words[0] {
		case "SADD":
			sets[words[1]] = append(sets[words[1]], words[2:]...)
			return fmt.Sprintf(":%d\r\n", len(words)-2)
		case "SISMEMBER":
			return map[bool]string{false: ":0\r\n", true: ":1\r\n"}[slices.Contains(sets[words[1]], words[2]) != (words[1] == liesAbout)]
		}
		info := "# Server\r\nredis_version:7.0.15\r\nused_memory:1000\r\nused_memory_rss:2000\r\n"
		return fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
	}
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				for in := bufio.NewReader(conn); ; {
					words, err := readCommand(in)
					if err != nil {
						return
					}
					if _, err := io.WriteString(conn, answer(words)); err != nil {
						return
					}
				}
			})
		}
	})
	return listener.Addr().String()
}

func readCommand(in *bufio.Reader) (words []string, err error) {
	var n, size int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range n {
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

// redisExchanges are those of all questions, one way and two way.
func redisExchanges(questions []question) (one, two []exchange) {
	w := &world{questions: questions}
	return w.exchanges()
}

// TestRedisHoldsTheLists: what was filled in is what is asked, and every answer is
// the right one, alone, two way and in bundles.
func TestRedisHoldsTheLists(t *testing.T) {
	address := fakeRedis(t, "")
	if err := fillRedis(t.Context(), address, small); err != nil {
		t.Fatal(err)
	}
	one, two := redisExchanges(ask(small, 200))
	for name, exchanges := range map[string][]exchange{"one way": one, "two way": two, "bundles": bundles(one, 16)} {
		conns, err := openRedis(t.Context(), address, exchanges)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range conns {
			for range len(exchanges) + 1 {
				if n, err := c.Do(); err != nil || n != exchanges[0].operations {
					t.Fatalf("%s, caller %d: %d, %v", name, i, n, err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if got := bundles(one, 16); len(got) != 12 || got[0].operations != 16 {
		t.Errorf("%d bundles of %d", len(got), got[0].operations)
	}
	m, err := redisInfo(t.Context(), address)
	if err != nil || m != (redisMemory{version: "7.0.15", used: 1000, rss: 2000}) {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestWrongAnswersEndAMeasurement: a server that answers anything is quick.
func TestWrongAnswersEndAMeasurement(t *testing.T) {
	questions := ask(small, 200)
	address := fakeRedis(t, key(questions[0].recipient))
	if err := fillRedis(t.Context(), address, small); err != nil {
		t.Fatal(err)
	}
	one, _ := redisExchanges(questions)
	conns, err := openRedis(t.Context(), address, one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conns[0].Do(); err == nil || !strings.Contains(err.Error(), "is right") {
		t.Errorf("a wrong answer: %v", err)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	// Lists that are there already are not the lists that were filled in.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, ":0\r\n")
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	if err := fillRedis(t.Context(), listener.Addr().String(), small); err == nil || !strings.Contains(err.Error(), `answered ":0\r\n"`) {
		t.Errorf("a SADD that adds nothing: %v", err)
	}
	_ = listener.Close()
	<-served
}

// TestExamine: what a server says is compared with what is right.
func TestExamine(t *testing.T) {
	questions := ask(small, 20)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			for in := bufio.NewReader(conn); ; {
				if line, err := in.ReadString('\n'); err != nil {
					break
				} else if line == "\r\n" {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")
				}
			}
			_ = conn.Close()
		}
	}()
	address := listener.Addr().String()
	asked := checks(questions, "direct")
	if err := examine(t.Context(), address, questions, asked, func(question) string { return "yes" }); err != nil {
		t.Error(err)
	}
	err = examine(t.Context(), address, questions, asked, func(question) string { return "no" })
	if err == nil || !strings.Contains(err.Error(), "does not say no") {
		t.Errorf("a wrong answer: %v", err)
	}
	_ = listener.Close()
	<-served
}

// TestClientPrograms are asked for rounds, say when something is wrong, and end.
func TestClientPrograms(t *testing.T) {
	dir := t.TempDir()
	w := &world{env: &study.Env{Peers: dir}, absent: map[string]string{}}
	self, err := load.StartProcess(exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	defer self.Stop()
	w.program("missing", self, client{})
	if len(w.contestants) != 0 || !strings.Contains(w.absent["missing"], "make bench-peers") {
		t.Errorf("a program that is not built: %v, %v", w.contestants, w.absent)
	}
	script := func(body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "client"), []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script(`echo ready; while read ms; do echo "{\"operations\":$ms,\"elapsed_ns\":${ms}000000,\"p50_ns\":5,\"p99_ns\":6,\"cpu_ns\":7}"; done`)
	w.program("good", self, client{kind: "k"})
	for range 2 {
		r, err := w.contestants[0].Drive(t.Context(), 20*time.Millisecond)
		if err != nil || r != (load.Round{Operations: 20, Elapsed: 20 * time.Millisecond, P50: 5, P99: 6, Client: 7}) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	script("echo ready; read ms; echo 'wrong answer' >&2; exit 1")
	w.program("bad", self, client{kind: "k"})
	if _, err := w.contestants[1].Drive(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "wrong answer") {
		t.Errorf("a program that fails: %v", err)
	}
	w.stop()
}

func TestListsOfOPA(t *testing.T) {
	var out bytes.Buffer
	if err := writeLists(&out, small); err != nil {
		t.Fatal(err)
	}
	var lists map[string]map[string]bool
	if err := json.Unmarshal(out.Bytes(), &lists); err != nil {
		t.Fatal(err)
	}
	if len(lists) != small.Lists || !lists[seed.ID(1)][seed.ID(small.Target(1, 2))] || len(lists[seed.ID(1)]) != small.Entries {
		t.Errorf("%d lists; %v", len(lists), lists[seed.ID(1)])
	}
}

// TestAbsentPeersAreRows: nothing is left out because a peer is not there.
func TestAbsentPeersAreRows(t *testing.T) {
	w := &world{env: &study.Env{}, shape: small, absent: map[string]string{}}
	m := load.Results{}
	for _, name := range []string{floor, floorDeep, ownOneWay, ownTwoWay, ownDeep} {
		w.contestants = append(w.contestants, load.Contestant{Name: name})
		m[name] = []load.Round{{Operations: 10, Elapsed: time.Second, CPU: time.Second, P50: 1, P99: 2}}
	}
	for _, c := range comparisons {
		if len(m[c.peer]) == 0 {
			w.absent[c.peer] = "not here"
		}
	}
	w.absent[clientOneWay], w.absent[clientTwoWay] = "not here", "not here"
	got := w.result(m)
	var rows []string
	for _, r := range got.Rows {
		rows = append(rows, r.ID)
		if len(r.Values) == 0 && r.Missing != "not here" && r.ID != "process-vs-redis" {
			t.Errorf("%s: %q", r.ID, r.Missing)
		}
	}
	for _, target := range report.Targets {
		if target.Study == Study.Name && !slices.Contains(rows, target.ID) {
			t.Errorf("target %s is not a row", target.ID)
		}
	}
	w.absent[redisOneWay] = "no Redis"
	file := report.File{Study: Study.Name, Result: w.result(m)}
	if problems := report.NewPage([]report.File{file}, func(string) string { return "x" }).Problems(); len(problems) != 0 {
		t.Errorf("bounds: %q", problems)
	}
	if err := file.Check(); err != nil {
		t.Error(err)
	}
}
