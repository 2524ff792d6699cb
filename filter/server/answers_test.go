package server

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// TestEveryAnswer renders every decision there can be and reads it back.
func TestEveryAnswer(t *testing.T) {
	for reason := range filter.Reason(filter.Reasons) {
		for action := filter.ActionDeliver; action <= filter.ActionDrop; action++ {
			for flags := range 16 {
				d := filter.Decision{
					Deliver: flags&1 > 0, Notify: flags&2 > 0, Action: action, Reason: reason, Degraded: flags&4 > 0,
				}
				if flags&8 > 0 {
					d.Stale = 1234567 * time.Microsecond
				}
				checkAnswer(t, d)
			}
		}
	}
}

func checkAnswer(t *testing.T, d filter.Decision) {
	t.Helper()
	var resp fasthttp.Response
	writeDecision(&resp, &d)
	var got map[string]any
	if err := json.Unmarshal(resp.Body(), &got); err != nil {
		t.Fatalf("%s: %v", resp.Body(), err)
	}
	want := map[string]any{"deliver": d.Deliver, "notify": d.Notify, "action": d.Action.String(), "reason": d.Reason.String()}
	if d.Degraded {
		want["degraded"] = true
	}
	if d.Stale > 0 {
		want["stale_ms"] = math.Ceil(float64(d.Stale) / 1e6)
	}
	if len(got) != len(want) {
		t.Fatalf("%+v is %s", d, resp.Body())
	}
	for name, value := range want {
		if got[name] != value {
			t.Fatalf("%+v is %s", d, resp.Body())
		}
	}
}

func TestStaleIsNeverZero(t *testing.T) {
	var resp fasthttp.Response
	writeDecision(&resp, &filter.Decision{Stale: time.Microsecond})
	const want = `{"deliver":false,"notify":false,"action":"deliver","reason":"self","stale_ms":1}`
	if got := string(resp.Body()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// The longest there can be has to fit without growing.
	checkAnswer(t, filter.Decision{Reason: filter.ReasonRecipientBlockedSender, Stale: 1<<63 - 1, Degraded: true})
}
