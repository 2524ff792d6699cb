package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/filter/decisionlog"
	"github.com/sidegate/sidegate/metrics/border"
)

const traceparentLine = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// logLine is what the tests read of a line.
type logLine struct {
	ID        string `json:"decision_id"`
	Index     *int   `json:"index"`
	API       string `json:"api"`
	Sender    string `json:"sender"`
	Recipient string `json:"recipient"`
	Reason    string `json:"reason"`
	Deliver   *bool  `json:"deliver"`
	Trace     string `json:"trace_id"`
	Span      string `json:"span_id"`
}

// decisionLog is a log that is written; the function ends it and reads the file.
func decisionLog(t testing.TB, sample float64) (*decisionlog.Log, func() []logLine) {
	t.Helper()
	return decisionLogOf(t, decisionlog.Options{Sample: sample})
}

func decisionLogOf(t testing.TB, opts decisionlog.Options) (*decisionlog.Log, func() []logLine) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	opts.Path, opts.Names = path, border.PlainNames()
	l, err := decisionlog.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stopped := false
	stop := func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return l, func() (list []logLine) {
		stop()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var e logLine
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			list = append(list, e)
		}
		return list
	}
}

// written is how many records have reached the file.
func written(t testing.TB, reg *prometheus.Registry) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sidegate_decision_log_written_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("waited for a minute")
		}
	}
}

// TestDenialsAreRecorded: by both who read requests, and nothing else is.
func TestDenialsAreRecorded(t *testing.T) {
	for name, how := range map[string]func(*Listener) *Listener{
		"quick":    func(l *Listener) *Listener { return l },
		"fasthttp": slow,
	} {
		log, read := decisionLog(t, 0)
		l := how(newCheckListener(t, blockedWorld(t), Options{Decisions: log, Logger: slog.New(slog.DiscardHandler)}))
		blocked := request("GET", goodTarget, "", "traceparent", traceparentLine)
		free := request("GET", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct", "", "traceparent", traceparentLine)
		converse(l, blocked+free, request("GET", goodTarget, "", "Traceparent", "nonsense"))
		got := read()
		if len(got) != 2 {
			t.Fatalf("%s: %d lines", name, len(got))
		}
		first := got[0]
		if first.Sender != "alice" || first.Recipient != "bob" || first.Reason != "recipient_blocked_sender" || *first.Deliver ||
			first.API != "native" || first.Index != nil || first.Trace != traceparentLine[3:35] || first.Span != traceparentLine[36:52] {
			t.Errorf("%s: %+v", name, first)
		}
		if got[1].Trace != "" || got[1].ID == first.ID {
			t.Errorf("%s: %+v", name, got[1])
		}
	}
}

// TestDeliveriesAreSampled: with a sample of one all are recorded, also those that
// a batch asks for; a fan-out names exceptions only.
func TestDeliveriesAreSampled(t *testing.T) {
	log, read := decisionLog(t, 1)
	r := runCheck(t, blockedWorld(t), Options{Decisions: log})
	r.get("/v1/can-deliver?sender=bob&recipient=alice&room_type=direct")
	r.ask("POST", "/v1/can-deliver/batch", `{"checks":[{"sender":"bob","recipient":"alice","room_type":"direct"},{"sender":"alice","recipient":"bob","room_type":"direct"}]}`)
	r.ask("POST", "/v1/can-deliver/fanout", `{"sender":"alice","recipients":["x","bob","y"],"room_type":"group"}`)
	r.stop()
	var got []string
	for _, e := range read() {
		index := "-"
		if e.Index != nil {
			index = fmt.Sprint(*e.Index)
		}
		got = append(got, strings.Join([]string{e.API, index, e.Recipient, e.Reason}, " "))
	}
	want := []string{
		"native - alice allowed", "batch 0 alice allowed", "batch 1 bob recipient_blocked_sender", "fanout 1 bob recipient_blocked_sender",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestDecisionID: whoever asks for the id of an answer gets it, in whatever form
// the answer has, and finds it in the log although the sample leaves deliveries out.
func TestDecisionID(t *testing.T) {
	log, read := decisionLog(t, 0)
	r := runCheck(t, blockedWorld(t), Options{Decisions: log})
	free := "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct&decision_id=1"
	type asked struct {
		answer
		named   bool // the body has the id in it
		records int
	}
	answers := []asked{
		{r.get(free), true, 1},
		{r.get(goodTarget + "&decision_id=1"), true, 1},
		{r.get(free + "&status=1"), false, 1},
		{r.ask("POST", "/v1/can-deliver", `{"sender":"bob","recipient":"alice","room_type":"direct","decision_id":true}`), true, 1},
		{r.ask("POST", "/v1/can-deliver/fanout", `{"sender":"alice","recipients":["bob","x","a"],"room_type":"group","decision_id":true}`), true, 1},
		{r.ask("POST", "/v1/can-deliver/batch", `{"decision_id":true,"checks":[{"sender":"bob","recipient":"alice","room_type":"direct"},{"sender":"alice","recipient":"bob","room_type":"direct"}]}`), true, 2},
	}
	dark := newWorld(t)
	dark.dark.Store(true)
	unknown := runCheck(t, dark, Options{Decisions: log}).get(free)
	answers = append(answers, asked{unknown, false, 1})
	if unknown.status != 503 {
		t.Errorf("%d %s", unknown.status, unknown.body)
	}
	records := map[string]int{}
	for _, a := range answers {
		id := a.header.Get(headerDecisionID)
		var got struct {
			ID string `json:"decision_id"`
		}
		if a.body != "" && json.Unmarshal([]byte(a.body), &got) != nil {
			t.Errorf("%s is not JSON", a.body)
		}
		if len(id) != 36 || (got.ID == id) != a.named {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		records[id] = a.records
	}
	for _, plain := range []answer{r.get(goodTarget), r.get(goodTarget + "&decision_id=0")} {
		if plain.body != dropped || plain.header.Get(headerDecisionID) != "" {
			t.Errorf("%v %s, and nobody asked for an id", plain.header, plain.body)
		}
	}
	r.stop()
	for _, e := range read() {
		records[e.ID]--
	}
	for id, n := range records {
		if n > 0 {
			t.Errorf("%d records of the answer %s are missing", n, id)
		}
	}
}

// TestDecisionIDIsOneOfTheParameters: it is a yes or no, and stands where the others
// stand.
func TestDecisionIDIsOneOfTheParameters(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	for code, answers := range map[string][]answer{
		"invalid_parameter": {r.get(goodTarget + "&decision_id=yes")},
		"unknown_parameter": {
			r.get(goodTarget + "&decision_id=1&decision_id=1"),
			r.ask("POST", "/v1/can-deliver?decision_id=1", `{"sender":"a","recipient":"b","room_type":"direct"}`),
		},
		"unknown_field": {
			r.ask("POST", "/v1/can-deliver/batch", `{"checks":[{"sender":"a","recipient":"b","room_type":"direct","decision_id":true}]}`),
			r.ask("POST", "/v1/invitees", `{"inviter":"a","invitees":["b"],"decision_id":true}`),
		},
		"invalid_json": {r.ask("POST", "/v1/can-deliver", `{"sender":"a","recipient":"b","room_type":"direct","decision_id":"1"}`)},
	} {
		for _, a := range answers {
			if a.status != 400 || a.code(t) != code {
				t.Errorf("%d %s, want %s", a.status, a.body, code)
			}
		}
	}
	// With the log off the id is a name for the client's own records.
	if a := r.get(goodTarget + "&decision_id=1"); a.status != 200 || a.header.Get(headerDecisionID) == "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// TestRecordingAllocatesNothing: neither a denial that is written down nor a
// delivery that is not.
func TestRecordingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, raw := range map[string]string{
		"denied":    request("GET", goodTarget, "", "traceparent", traceparentLine),
		"delivered": request("GET", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct", ""),
		"denied, as JSON": request("POST", "/v1/can-deliver", `{"sender":"alice","recipient":"bob","room_type":"direct"}`,
			"traceparent", traceparentLine),
	} {
		reg := prometheus.NewRegistry()
		log, read := decisionLogOf(t, decisionlog.Options{Metrics: decisionlog.NewMetrics(reg)})
		steps := serveSteps(t, newCheckListener(t, blockedWorld(t), Options{Decisions: log}))
		sent := []byte(raw)
		for range 100 {
			steps.step(sent)
		}
		if strings.HasPrefix(name, "denied") {
			// The writer may fall behind from here on: there are records enough.
			waitFor(t, func() bool { return written(t, reg) == 100 })
		}
		if n := testing.AllocsPerRun(500, func() { steps.step(sent) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if got := read(); (len(got) > 500) != strings.HasPrefix(name, "denied") {
			t.Errorf("%s: %d lines", name, len(got))
		}
	}
}

// BenchmarkDecisionLog compares a plain request without the log, with a log that
// leaves it out, and with one that records it. Only the ratio of the lines means
// something.
func BenchmarkDecisionLog(b *testing.B) {
	log, _ := decisionLog(b, 0)
	denied := request("GET", goodTarget, "")
	free := request("GET", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct", "")
	off := newCheckListener(b, blockedWorld(b), Options{})
	on := newCheckListener(b, blockedWorld(b), Options{Decisions: log})
	b.Run("off-delivered", func(b *testing.B) { benchmark(b, off, free) })
	b.Run("on-delivered", func(b *testing.B) { benchmark(b, on, free) })
	b.Run("off-denied", func(b *testing.B) { benchmark(b, off, denied) })
	b.Run("on-denied", func(b *testing.B) { benchmark(b, on, denied) })
}
