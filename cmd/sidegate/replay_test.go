package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestReplayReadsRecords: what a record may say, and what is told of a line that is
// none.
func TestReplayReadsRecords(t *testing.T) {
	const question = `"sender":"alice","recipient":"bob","room_type":"direct"`
	for line, want := range map[string]string{
		`{` + question + `}`:                                    "not compared",
		`{` + question + `,"deliver":true}`:                     "deliver",
		`{` + question + `,"deliver":false}`:                    "withhold",
		`{` + question + `,"action":"drop"}`:                    "drop",
		`{` + question + `,"deliver":true,"notify":false}`:      "deliver silently",
		`{` + question + `,"reason":"unknown"}`:                 "not compared",
		`{` + question + `,"reason":"allowed"}`:                 "reason allowed",
		`{` + question + `,"deliver":true,"action":"drop"}`:     "it says deliver true with the action drop",
		`{` + question + `,"action":"stop"}`:                    "its action is stop",
		`{` + question + `,"at":"yesterday","deliver":true}`:    "its time is yesterday",
		`{` + question + `,"origin":"client","deliver":true}`:   "its origin is client",
		`{"sender":"","recipient":"b","room_type":"direct"}`:    "sender: ",
		`{"sender":"a","recipient":"b","room_type":"private"}`:  "its room_type is private",
		`{"sender":"a","recipient":"b\u0000","room_type":"x"}`:  "recipient: ",
		`{` + question + `,"room":"` + strings.Repeat("r", 300): "it is not a record",
		"{\"sender\":\"\xff\"}":                                 "it is not valid UTF-8",
		strings.Repeat("x", maxRecord+1):                        "it is longer than",
		// Records of a decision log.
		`{"time":"2030-01-31T12:00:00.000000Z","decision_id":"d","api":"native","app":"acme",` + question + `,"verify":true,"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender","stale_ms":3}`: "drop",
		`{"decision_id":"d",` + question + `,"deliver":true,"notify":true,"action":"deliver","reason":"allowed","would":{"deliver":false,"notify":false,"action":"reject","reason":"banned_in_room"}}`:                        "reject",
		`{"decision_id":"d","sender":"0123456789abcdef","recipient":"fedcba9876543210","room_type":"direct","deliver":true}`:                                                                                                  "deliver",
		`{"ids":"hashed","sender":"x","recipient":"y","room_type":"direct","deliver":true}`:                                                                                                                                   "its ids are hashed",
	} {
		read, err := newReplayReader(strings.NewReader(line)).next()
		if read == nil {
			t.Errorf("%.90s: %v", line, err)
			continue
		}
		got := read.was.name()
		switch {
		case read.wrong != nil:
			got = read.wrong.Error()
		case !read.compared():
			got = "not compared"
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.90s: %q, want %q", line, got, want)
		}
	}
}

// TestReplayOfLongIDs: a batch of the longest ids is within what the path takes.
func TestReplayOfLongIDs(t *testing.T) {
	const most = 4 << 20
	id := strings.Repeat("<", 256)
	text := strings.Repeat(`{"sender":"`+id+`","recipient":"`+id+`","room":"`+id+`","room_type":"group","deliver":true}`+"\n", replayBatch)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ContentLength < int64(len(id)*replayBatch) || r.ContentLength > most {
			t.Errorf("a body of %d bytes, want at most %d", r.ContentLength, most)
		}
	}))
	t.Cleanup(s.Close)
	command(t, nil, "replay", write(t, text), "--check-url", s.URL)
}

// TestReplayNumbersLines counts lines that are empty, too long or unended.
func TestReplayNumbersLines(t *testing.T) {
	text := "\n\nx\n" + strings.Repeat("y", 3*maxRecord) + "\n \r\nlast"
	r := newReplayReader(strings.NewReader(text))
	var numbers []int
	for {
		line, err := r.next()
		if line != nil {
			numbers = append(numbers, line.number)
		}
		if err != nil {
			break
		}
	}
	if fmt.Sprint(numbers) != "[3 4 6]" {
		t.Errorf("lines %v", numbers)
	}
}

// TestReplayCompares only what a record says.
func TestReplayCompares(t *testing.T) {
	yes, no := true, false
	dropped := replayVerdict{Deliver: &no, Notify: &no, Action: "drop", Reason: "recipient_blocked_sender"}
	silent := replayVerdict{Deliver: &yes, Notify: &no, Action: "deliver", Reason: "recipient_blocked_sender"}
	for _, c := range []struct {
		was, now replayVerdict
		change   string // "": they are the same
	}{
		{replayVerdict{Deliver: &no}, dropped, ""},
		{replayVerdict{Deliver: &yes}, silent, ""},
		{replayVerdict{Deliver: &yes, Notify: &yes}, silent, "deliver → deliver silently"},
		{replayVerdict{Deliver: &yes}, dropped, "deliver → drop"},
		{replayVerdict{Deliver: &no, Action: "reject"}, dropped, "reject → drop"},
		{replayVerdict{Deliver: &no, Reason: "banned_in_room"}, dropped, "withhold → drop, for another reason"},
		{replayVerdict{Reason: "recipient_blocked_sender"}, dropped, ""},
		{replayVerdict{Deliver: &yes}, replayVerdict{Reason: "unknown"}, "deliver → unknown"},
	} {
		line := &replayLine{was: c.was, now: c.now}
		change := line.change()
		got := change[0] + " → " + change[1]
		if c.was.same(&c.now) {
			got = ""
		}
		if got != c.change {
			t.Errorf("%+v, then %+v: %q, want %q", c.was, c.now, got, c.change)
		}
	}
}

// batches answers batches as a sidegate does that delivers everything but what is
// sent to bob, and counts them.
func batches(t *testing.T, asked *[]int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			App    string
			Checks []replayCheck
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		*asked = append(*asked, len(body.Checks))
		if body.App != "default" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"title":"T","detail":"no such app","code":"unknown_app"}`)
			return
		}
		var decisions []string
		for _, check := range body.Checks {
			if check.Recipient == "bob" {
				decisions = append(decisions, `{"deliver":true,"notify":true,"action":"deliver","reason":"allowed","would":{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}}`)
			} else {
				decisions = append(decisions, `{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"}`)
			}
		}
		_, _ = fmt.Fprintf(w, `{"decisions":[%s]}`, strings.Join(decisions, ","))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestReplayAsksInBatches: a long file is asked in batches of a thousand, what is
// wrong with a line ends nothing, and the sum is complete.
func TestReplayAsksInBatches(t *testing.T) {
	var text strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&text, `{"sender":"s%d","recipient":"r","room_type":"group","deliver":true}`+"\n", i)
	}
	text.WriteString("nonsense\n")
	text.WriteString(`{"app":"other","sender":"alice","recipient":"bob","room_type":"direct","deliver":true}` + "\n")
	text.WriteString(`{"sender":"alice","recipient":"bob","room_type":"direct","deliver":true,"room":"<r>"}` + "\n")
	file := write(t, text.String())
	var asked []int
	url := batches(t, &asked)
	got := command(t, nil, "replay", file, "--check-url", url)
	want := "LINE     ROOM     SENDER → RECIPIENT               APP        WAS → WOULD BE\n" +
		"2503     direct   alice → bob                      default    deliver → drop (recipient_blocked_sender)\n\n" +
		"2503 lines: 2501 compared, 2500 the same, 1 different.\n" +
		"       1  deliver → drop\n2 lines could not be asked; they are named above.\n"
	if got.code != exitOK || got.stdout != want {
		t.Errorf("%d, %s", got.code, got.stdout)
	}
	if !strings.Contains(got.stderr, "line 2501: it is not a record") || !strings.Contains(got.stderr, "line 2502: T: no such app") {
		t.Errorf("%s", got.stderr)
	}
	if fmt.Sprint(asked) != "[1000 1000 501 1]" && fmt.Sprint(asked) != "[1000 1000 500 1 1]" {
		t.Errorf("asked %v", asked)
	}
	got = command(t, nil, "replay", file, "--check-url", url, "--json", "--exit-code")
	if got.code != exitWithheld || !strings.HasPrefix(got.stdout, `{"line":2503,"app":"default","sender":"alice","recipient":"bob","room_type":"direct","room":"<r>","was":{"deliver":true},"would_be":{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}}`+"\n"+
		`{"summary":{"lines":2503,"compared":2501,"same":2500,"differences":1,"unanswered":0,"hashed":0,"bad":2,"kinds":[{"was":"deliver","would_be":"drop","count":1}]}}`) {
		t.Errorf("%+v", got)
	}
	if got = command(t, nil, "replay", file, "--check-url", url, "--summary"); strings.Contains(got.stdout, "LINE") {
		t.Errorf("a summary: %s", got.stdout)
	}
}

// TestReplayEndsWhereTheFileEnded: a server appends what it is asked to its decision
// log, which may be the file.
func TestReplayEndsWhereTheFileEnded(t *testing.T) {
	const record = `{"sender":"alice","recipient":"bob","room_type":"direct","deliver":true}` + "\n"
	file := write(t, strings.Repeat(record, replayBatch))
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		if asked++; asked < 5 { // or it would not end
			text, err := os.ReadFile(file)
			if err != nil || os.WriteFile(file, append(text, strings.Repeat(record, replayBatch)...), 0o600) != nil {
				t.Error("the file cannot be appended to")
			}
		}
		decisions := strings.Repeat(`{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"},`, replayBatch)
		_, _ = fmt.Fprintf(w, `{"decisions":[%s]}`, strings.TrimSuffix(decisions, ","))
	}))
	t.Cleanup(s.Close)
	got := command(t, nil, "replay", file, "--check-url", s.URL)
	if want := "1000 lines: 1000 compared, 1000 the same, 0 different.\n"; got.code != exitOK || got.stdout != want || asked != 1 {
		t.Errorf("asked %d times: %+v, want %s", asked, got, want)
	}
}

// TestReplayRefuses what cannot be meant.
func TestReplayRefuses(t *testing.T) {
	file := write(t, `{"sender":"alice","recipient":"bob","room_type":"direct","deliver":true}`)
	hashed := write(t, `{"decision_id":"d","ids":"hashed","sender":"0123456789abcdef","recipient":"fedcba9876543210","room_type":"direct","deliver":true}`)
	var asked []int
	url := batches(t, &asked)
	for want, args := range map[string][]string{
		"give one of them":             {file, "--check-url", url, "--config", file},
		"--then: ":                     {file, "--check-url", url, "--then"},
		"--postgres-url: ":             {file, "--check-url", url, "--postgres-url", "postgres://x"},
		"there was nothing to compare": {write(t, ""), "--check-url", url},
		"its ids are hashed":           {hashed, "--check-url", url},
		"no such file":                 {file + "-none", "--check-url", url},
	} {
		if got := command(t, nil, append([]string{"replay"}, args...)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%v: %+v, want %q", args, got, want)
		}
	}
	if len(asked) != 0 {
		t.Errorf("%v questions were asked", asked)
	}
	if got := command(t, nil, "replay", file, "--check-url", "http://127.0.0.1:1"); got.code != exitUnreachable {
		t.Errorf("nobody there: %+v", got)
	}
}
