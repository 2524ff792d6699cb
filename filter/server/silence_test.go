package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sidegate/sidegate/filter"
)

// answered serves raw requests and returns the bytes that come back, without what
// tells the time.
func answered(t *testing.T, l *Listener, raw string) string {
	t.Helper()
	c := &memoryConn{in: bytes.NewReader([]byte(raw))}
	_ = l.server.ServeConn(l.newConn(c)) // the client has left at the end of its requests
	var out strings.Builder
	for line := range strings.Lines(c.out.String()) {
		if !strings.HasPrefix(line, "Date: ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// aboutSender are all questions about what becomes of a sender's messages.
func aboutSender(sender, room string) (raws []string) {
	get := fmt.Sprintf("/v1/can-deliver?sender=%s&recipient=bob&room_type=%s", sender, room)
	for _, more := range []string{"", "&status=1", "&verify=1", "&notify_blocked=1", "&room=r9"} {
		raws = append(raws, request("GET", get+more, ""), request("GET", get+more, "", "X-Not-Plain", "1"))
	}
	for _, c := range [][2]string{
		{"/v1/can-deliver", `{"sender":%q,"recipient":"bob","room_type":%q}`},
		{"/v1/can-deliver/fanout", `{"sender":%q,"room_type":%q,"recipients":["bob","b2"]}`},
		{"/v1/can-deliver/batch", `{"checks":[{"sender":%q,"recipient":"bob","room_type":%q}]}`},
	} {
		raws = append(raws, request("POST", c[0], fmt.Sprintf(c[1], sender, room)))
	}
	return append(raws, request("POST", "/v1/invitees", fmt.Sprintf(`{"inviter":%q,"invitees":["bob"]}`, sender)))
}

// TestUnknownTellsNothing: where the lists are not known, every answer about a sender
// who is blocked is that about one who is not, byte for byte, under every policy.
// Known lists answer the same questions differently.
func TestUnknownTellsNothing(t *testing.T) {
	// The first answer of a process starts fasthttp's clock, which never ends and
	// so must not start in a bubble.
	l, err := NewCheck(blockedWorld(t).filter, Options{})
	if err != nil {
		t.Fatal(err)
	}
	answered(t, l, request("GET", "/nothing", ""))
	for _, preset := range append(filter.Presets(), "") {
		for _, otherwise := range []filter.OnUnknown{filter.OnUnknownError, filter.OnUnknownDeliver, filter.OnUnknownWithhold} {
			policy, _ := filter.Preset(preset)
			policy.OnUnknown = otherwise
			// In a bubble, where nobody waits for reads that are tried again.
			synctest.Test(t, func(t *testing.T) { comparesSenders(t, preset+" "+otherwise.String(), policy) })
		}
	}
}

func comparesSenders(t *testing.T, name string, policy filter.Policy) {
	w := blockedWorld(t, func(o *filter.Options) { o.Apps["default"] = policy })
	l, err := NewCheck(w.filter, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dark := range []bool{true, false} {
		w.dark.Store(dark)
		differ := 0
		for _, room := range []string{"direct", "group", "open"} {
			blocked, others := aboutSender("alice", room), aboutSender("carol", room)
			for i := range blocked {
				a, b := answered(t, l, blocked[i]), answered(t, l, others[i])
				switch {
				case a == "":
					t.Fatalf("no answer to %s", blocked[i])
				case a == b:
				case dark:
					t.Errorf("%s: asked %s the answers are\n%s\nand\n%s", name, blocked[i], a, b)
				default:
					differ++
				}
			}
		}
		if !dark && differ == 0 {
			t.Errorf("%s: known lists tell nothing either: the test asks wrongly", name)
		}
	}
}
