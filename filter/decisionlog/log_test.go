package decisionlog

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

func TestLinesSayWhatWasDecided(t *testing.T) {
	at := time.Date(2030, 1, 31, 13, 0, 0, 120000, time.FixedZone("", 3600))
	trace := border.ParseTrace([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	id := ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	const head = `{"time":"2030-01-31T12:00:00.000120Z","decision_id":"01020304-0506-0708-090a-0b0c0d0e0f10",`
	for _, c := range []struct {
		check filter.Check
		d     filter.Decision
		about About
		want  string
	}{
		{
			check, denied, About{ID: id},
			`"api":"native","app":"default","sender":"alice","recipient":"bob","room_type":"direct",` +
				`"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}`,
		},
		{
			filter.Check{
				App: "acme", Sender: `a"b\c`, Recipient: "ü", Room: "r1", RoomType: filter.Group, API: filter.APIFanout,
				FromServer: true, Verify: true, NotifyBlocked: true,
			},
			filter.Decision{Deliver: true, Reason: filter.ReasonRecipientBlockedSender, Stale: 1500 * time.Microsecond},
			About{ID: id, Many: true, Index: 7, Trace: trace},
			`"index":7,"api":"fanout","app":"acme","sender":"a\"b\\c","recipient":"ü","room_type":"group","room":"r1","origin":"server",` +
				`"verify":true,"notify_blocked":true,"deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender",` +
				`"stale_ms":2,"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}`,
		},
		{
			check, filter.Decision{Action: filter.ActionReject, Reason: filter.ReasonUnknown, Cause: filter.CauseNotSynced}, About{ID: id},
			`"api":"native","app":"default","sender":"alice","recipient":"bob","room_type":"direct","reason":"unknown","cause":"not_synced"}`,
		},
		{
			check, filter.Decision{Deliver: true, Notify: true, Reason: filter.ReasonUnknown, Cause: filter.CauseStale, Degraded: true}, About{ID: id},
			`"api":"native","app":"default","sender":"alice","recipient":"bob","room_type":"direct",` +
				`"deliver":true,"notify":true,"action":"deliver","reason":"unknown","cause":"stale","degraded":true}`,
		},
	} {
		r := record{at: at}
		r.fill(&c.check, &c.d, c.about)
		if got := string(r.append(nil, border.PlainNames())); got != head+c.want+"\n" {
			t.Errorf("%s, want\n%s", got, head+c.want)
		}
	}
}

// TestEveryLineIsJSON: whatever ids there are, and whatever the record held before.
func TestEveryLineIsJSON(t *testing.T) {
	var r record
	names := border.PlainNames()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[^\x00-\x1f\x7f]{1,30}`)
		c := filter.Check{App: "default", Sender: id.Draw(t, "sender"), Recipient: id.Draw(t, "recipient"), RoomType: filter.Group}
		c.Room = rapid.OneOf(id, rapid.Just("")).Draw(t, "room")
		r.fill(&c, &denied, About{})
		var got struct{ Sender, Recipient, Room string }
		if err := json.Unmarshal(r.append(nil, names), &got); err != nil {
			t.Fatal(err)
		}
		if got.Sender != c.Sender || got.Recipient != c.Recipient || got.Room != c.Room {
			t.Fatalf("%+v, want %+v", got, c)
		}
	})
}

func TestIDsAreHashed(t *testing.T) {
	path, names := file(t), border.HashedNames("key")
	l := start(t, Options{Path: path, Names: names})
	c := check
	c.Room = "r1"
	l.Record(&c, &denied, About{})
	l.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"alice", "bob", "r1"} {
		if strings.Contains(string(text), `"`+id+`"`) || !strings.Contains(string(text), `"`+names.Of(id)+`"`) {
			t.Errorf("%s is not named by its hash: %s", id, text)
		}
	}
	if !strings.Contains(string(text), `"app":"default","ids":"hashed","sender":`) {
		t.Errorf("it does not say so: %s", text)
	}
}

func TestWants(t *testing.T) {
	var off *Log
	if off.Wants(&denied) {
		t.Error("a log that is off wants a denial")
	}
	off.Record(&check, &denied, About{})
	for _, sample := range []float64{0, 1} {
		l := start(t, Options{Path: file(t), Sample: sample})
		for want, list := range map[bool][]filter.Decision{
			sample == 1: {allowed},
			true: {
				denied, {Deliver: true}, {Action: filter.ActionReject, Reason: filter.ReasonUnknown},
				{Deliver: true, Notify: true, Reason: filter.ReasonUnknown, Degraded: true},
			},
		} {
			for _, d := range list {
				if got := l.Wants(&d); got != want {
					t.Errorf("sample %v: %+v is wanted: %t", sample, d, got)
				}
			}
		}
	}
	l := start(t, Options{Path: file(t), Sample: 0.25})
	n := 0
	for range 10_000 {
		if l.Wants(&allowed) {
			n++
		}
	}
	if n < 2000 || n > 3000 { // twelve standard deviations
		t.Errorf("of 10,000 deliveries %d are wanted, want about 2,500", n)
	}
}

func TestRateIsHeld(t *testing.T) {
	path := file(t)
	l := start(t, Options{Path: path, Rate: 5})
	begun := time.Now()
	for range 100 {
		l.Record(&check, &denied, About{})
	}
	most := 5 + 5*int(math.Ceil(time.Since(begun).Seconds()))
	l.stop()
	written := len(lines(t, path))
	if written < 5 || written > most || written+l.dropped(dropRate) != 100 || l.written() != written {
		t.Errorf("%d written, %d counted as that, %d dropped", written, l.written(), l.dropped(dropRate))
	}
}

// TestDeliveriesLeaveRoomForDenials: however many deliveries there are, denials find
// half of the rate's burst and half of the queue.
func TestDeliveriesLeaveRoomForDenials(t *testing.T) {
	for _, c := range []struct {
		cause drop
		rate  int
		room  int
	}{{dropRate, 100, 100}, {dropQueue, 0, queueLength}} {
		l, err := New(Options{Path: file(t), Rate: c.rate, Names: border.PlainNames(), Metrics: NewMetrics(nil)})
		if err != nil {
			t.Fatal(err)
		}
		dropped := func() int { return int(testutil.ToFloat64(l.metrics.dropped[c.cause])) }
		for range 2 * c.room { // nobody writes
			l.Record(&check, &allowed, About{})
		}
		before := dropped()
		for range c.room / 2 {
			l.Record(&check, &denied, About{})
		}
		if before == 0 || dropped() != before {
			t.Errorf("%s: %d deliveries were dropped, and then %d denials", dropNames[c.cause], before, dropped()-before)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	names := border.PlainNames()
	for want, opts := range map[string]Options{
		"either a path or an output": {Names: names},
		"names are required":         {Path: "x"},
		"from 0 to 1":                {Path: "x", Names: names, Sample: math.NaN()},
		"share from 0 to 1":          {Path: "x", Names: names, Sample: 1.5},
		"must not be negative":       {Path: "x", Names: names, Rate: -1},
	} {
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

func TestNewID(t *testing.T) {
	now := time.Now()
	a, b := NewID(now), NewID(now.Add(time.Millisecond))
	if a == b || a.String() >= b.String() || a.IsZero() {
		t.Errorf("%s is not before %s", a, b)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a.String()) {
		t.Errorf("%s is not a UUID of version 7", a)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := start(t, Options{Path: file(t), Names: border.HashedNames("k"), Sample: 0.001})
	l.Record(&check, &denied, About{})
	waitFor(t, "the writer to have begun", func() bool { return l.written() == 1 })
	if n := testing.AllocsPerRun(spareRecords/2, func() { l.Record(&check, &denied, About{}) }); n != 0 {
		t.Errorf("%v allocations for a record", n)
	}
	if n := testing.AllocsPerRun(2000, func() { l.Wants(&allowed) }); n != 0 {
		t.Errorf("%v allocations for a delivery that is left out", n)
	}
}

// BenchmarkRecord: what a decision pays, written or left out by the sample.
func BenchmarkRecord(b *testing.B) {
	l := start(b, Options{Path: "/dev/null", Names: border.HashedNames("k"), Sample: 0.001})
	var off *Log
	for name, run := range map[string]func(){
		"denied": func() { l.Record(&check, &denied, About{}) },
		"out":    func() { l.Wants(&allowed) },
		"off":    func() { off.Wants(&allowed) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
