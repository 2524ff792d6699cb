package main

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// The tests in this file are clients of RongCloud's API: they sign for themselves
// and know only its URLs, fields and codes.

const rongApps = `
apps:
  ring:   {preset: rongcloud, dialects: {rongcloud: {app_key: kring, app_secret: "Y1W2MeFwwwRxa0", rate: 0}}}
  strict: {preset: rongcloud, dialects: {rongcloud: {app_key: kstrict, app_secret: s2, rate: 0, max_clock_skew: 10m, refuse_replay: true}}}
  slow:   {preset: rongcloud, dialects: {rongcloud: {app_key: kslow, app_secret: s3}}}
  known:  {preset: rongcloud, known_users: true, dialects: {rongcloud: {app_key: kknown, app_secret: s4, rate: 0}}}
  plain:  {limit: 2, dialects: {rongcloud: {app_key: kplain, app_secret: s5, rate: 0}}}
`

var rongSecrets = map[string]string{"kring": "Y1W2MeFwwwRxa0", "kstrict": "s2", "kslow": "s3", "kknown": "s4", "kplain": "s5"}

// rongCredential is what signs a request.
type rongCredential struct{ key, nonce, timestamp, signature string }

var rongNonces atomic.Int64

// fresh signs as a careful client does.
func fresh(key string) rongCredential {
	return signedAt(key, strconv.FormatInt(rongNonces.Add(1), 10), strconv.FormatInt(time.Now().UnixMilli(), 10))
}

func signedAt(key, nonce, timestamp string) rongCredential {
	sum := sha1.Sum([]byte(rongSecrets[key] + nonce + timestamp))
	return rongCredential{key, nonce, timestamp, hex.EncodeToString(sum[:])}
}

// rong posts a form, from any goroutine.
func (s *sidecar) rong(c rongCredential, prefix, path, form string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, s.urls["api"]+path, strings.NewReader(form))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range map[string]string{"App-Key": c.key, "Nonce": c.nonce, "Timestamp": c.timestamp, "Signature": c.signature} {
		req.Header.Set(prefix+name, value)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or the read failed
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// rongAs posts with a credential and fails the test if there is no answer.
func (s *sidecar) rongAs(c rongCredential, path, form string) answer {
	s.t.Helper()
	a, err := s.rong(c, "", path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	if kind := a.header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		s.t.Errorf("%s: %v has the Content-Type %q", path, a, kind)
	}
	return a
}

// rongOK posts what must succeed with a body.
func (s *sidecar) rongOK(key, path, form, body string) {
	s.t.Helper()
	if a := s.rongAs(fresh(key), path, form); a.status != http.StatusOK || a.body != body {
		s.t.Errorf("%s %.200s: %v, want %s", path, form, a, body)
	}
}

// rongRefused posts what must be refused and returns the message.
func (s *sidecar) rongRefused(c rongCredential, path, form string, want [2]int) string {
	s.t.Helper()
	a := s.rongAs(c, path, form)
	var doc struct {
		Code              int
		ErrorMessage, URL string
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != want[0] || doc.Code != want[1] ||
		doc.ErrorMessage == "" || doc.URL != path {
		s.t.Errorf("%s %.200s: %v, want %v", path, form, a, want)
	}
	if word := internals.FindString(a.body); word != "" {
		s.t.Errorf("%s: the client hears of %q: %v", path, word, a)
	}
	return doc.ErrorMessage
}

const (
	rongOK     = `{"code":200}`
	rongAdd    = "/user/blocklist/add.json"
	rongRemove = "/user/blocklist/remove.json"
	rongQuery  = "/user/blacklist/query.json"
)

var rejected = verdict{Action: "reject", Reason: "recipient_blocked_sender"}

// TestAcceptR1Spellings: both spellings, all calls, one list; the example of the
// vendor's page is one of them.
func TestAcceptR1Spellings(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), rongApps).ready()
	s.rongOK("kring", "/user/blocklist/add.json", "userId=jlk456j5&blackUserId=jlk454&blackUserId=jlk457", rongOK)
	s.rongOK("kring", "/user/blacklist/add.json", "userId=jlk456j5&blackUserId=jlk458", rongOK)
	for _, path := range []string{"/user/blocklist/query.json", "/user/blacklist/query.json"} {
		s.rongOK("kring", path, "userId=jlk456j5", `{"code":200,"users":["jlk458","jlk457","jlk454"]}`)
		s.rongOK("kplain", path, "userId=jlk456j5", `{"code":200,"users":[]}`)
	}
	if got := s.decide(question{sender: "jlk454", recipient: "jlk456j5", app: "ring"}); got != rejected {
		t.Errorf("as soon as it is answered: %+v", got)
	}
	s.rongOK("kring", "/user/blocklist/remove.json", "userId=jlk456j5&blackUserId=jlk454", rongOK)
	s.rongOK("kring", "/user/blacklist/remove.json", "userId=jlk456j5&blackUserId=jlk458&blackUserId=jlk454", rongOK)
	s.rongOK("kring", rongQuery, "userId=jlk456j5", `{"code":200,"users":["jlk457"]}`)
	if got := s.decide(question{sender: "jlk454", recipient: "jlk456j5", app: "ring"}); got != allowed {
		t.Errorf("after the removal: %+v", got)
	}
	// Twice, oneself, nobody: accepted, and nothing comes of it.
	for _, form := range []string{"userId=jlk456j5&blackUserId=jlk457&blackUserId=jlk457", "userId=jlk456j5&blackUserId=jlk456j5"} {
		s.rongOK("kring", rongAdd, form, rongOK)
		s.rongOK("kring", rongQuery, "userId=jlk456j5", `{"code":200,"users":["jlk457"]}`)
	}
	s.rongOK("kring", rongRemove, "userId=nobody&blackUserId=jlk457", rongOK)
	a := s.get("api", listPath("ring", "jlk456j5"))
	if !strings.Contains(a.body, `"target":"jlk457"`) || !strings.Contains(a.body, `"total":1`) {
		t.Errorf("the native list: %v", a)
	}
	for path, want := range map[string][2]int{"/user/blocklist/add": {404, 404}, "/user/whitesetting/": {404, 404}} {
		s.rongRefused(fresh("kring"), path, "userId=a", want)
	}
	if a := s.get("api", rongQuery); a.status != 405 || !strings.HasPrefix(a.body, `{"code":405,"errorMessage":"`) || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %v", a)
	}
	if a := s.get("check", "/user/whitelist/query.json"); a.status != 404 || a.problem(t) != "wrong_listener" {
		t.Errorf("at the check listener: %v", a)
	}
}

// TestAcceptR1OddIDs: ids of all kinds go in by the form and come out everywhere
// unchanged.
func TestAcceptR1OddIDs(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), rongApps).ready()
	odd := []string{"a/b", "50%", "a+b", " a b ", "a&b=c;d", "你好😀", "مرحبا", "<x>", strings.Repeat("é", 128)}
	form := "userId=" + url.QueryEscape(odd[0])
	for _, id := range odd[1:] {
		form += "&blackUserId=" + url.QueryEscape(id)
	}
	s.rongOK("kring", rongAdd, form, rongOK)
	var page struct{ Users []string }
	if a := s.rongAs(fresh("kring"), rongQuery, "userId="+url.QueryEscape(odd[0])); json.Unmarshal([]byte(a.body), &page) != nil {
		t.Errorf("%v", a)
	}
	slices.Reverse(page.Users)
	if !slices.Equal(page.Users, odd[1:]) {
		t.Errorf("%q came out as %q", odd[1:], page.Users)
	}
	for _, id := range odd[1:] {
		if got := s.decide(question{sender: id, recipient: odd[0], app: "ring"}); got != rejected {
			t.Errorf("%q: %+v", id, got)
		}
	}
}

// TestAcceptR2Credentials: both header sets, the vector, seconds and milliseconds,
// long nonces, one nonce over and over; and every wrong one in the same words.
func TestAcceptR2Credentials(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, rongApps).ready()
	now := time.Now()
	vector := rongCredential{"kring", "14314", "1408710653000", "30be0bbca9c9b2e27578701e9fda2358a814c88f"}
	for i, c := range []rongCredential{
		vector, vector, signedAt("kring", "14314", strconv.FormatInt(now.Unix(), 10)), signedAt("kring", "14314", strconv.FormatInt(now.UnixMilli(), 10)),
		signedAt("kring", "1234567890123456789", "1408710653"), signedAt("kring", "123456.78901234567890123", "1408710653"),
	} {
		for _, prefix := range []string{"", "RC-", "rc-"} {
			a, err := s.rong(c, prefix, rongAdd, "userId=bob&blackUserId="+fmt.Sprint(prefix, i))
			if err != nil || a.status != 200 || a.body != rongOK {
				t.Errorf("%+v with %q: %v, %v", c, prefix, a, err)
			}
		}
	}
	before := psql(t, dsn, "SELECT count(*) FROM sidegate.block")
	answers := map[string]bool{}
	for name, c := range map[string]rongCredential{
		"no key": {"", vector.nonce, vector.timestamp, vector.signature}, "no nonce": {"kring", "", vector.timestamp, vector.signature},
		"no time": {"kring", vector.nonce, "", vector.signature}, "no signature": {"kring", vector.nonce, vector.timestamp, ""},
		"unknown key": {"nokey", vector.nonce, vector.timestamp, vector.signature}, "key of another": {"kplain", vector.nonce, vector.timestamp, vector.signature},
		"other nonce": {"kring", "1", vector.timestamp, vector.signature}, "upper case": {"kring", vector.nonce, vector.timestamp, strings.ToUpper(vector.signature)},
	} {
		for path, form := range map[string]string{
			rongAdd: "userId=bob&blackUserId=x", rongRemove: "userId=bob&blackUserId=0", rongQuery: "userId=bob",
			"/user/whitelist/add.json": "userId=bob&whiteUserId=x", "/user/whitesetting/set.json": "userId=bob&whiteSetting=1",
		} {
			answers[s.rongRefused(c, path, form, [2]int{401, 1004})] = true
		}
		if len(answers) != 1 {
			t.Fatalf("%s is told apart: %v", name, slices.Collect(maps.Keys(answers)))
		}
	}
	if after := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); after != before || psql(t, dsn, "SELECT count(*) FROM sidegate.owner WHERE allowlist") != "0" {
		t.Errorf("%s entries, there were %s", after, before)
	}
	s.rongRefused(signedAt("kring", strings.Repeat("1", 65), "1"), rongQuery, "userId=bob", [2]int{400, 1005})
	hour := strconv.FormatInt(now.Add(-time.Hour).UnixMilli(), 10)
	if m := s.rongRefused(signedAt("kstrict", "1", hour), rongQuery, "userId=bob", [2]int{401, 1004}); !strings.Contains(m, "Timestamp") {
		t.Errorf("an hour late: %s", m)
	}
}

// TestAcceptR2Replay: a nonce counts once, on whichever process it arrives, and is
// stored with the write it came with: one that was refused may be repeated.
func TestAcceptR2Replay(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	here, there := startSidecar(t, dsn, rongApps).ready(), startSidecar(t, dsn, rongApps).ready()
	c := fresh("kstrict")
	if a := here.rongAs(c, rongAdd, "userId=bob&blackUserId=alice"); a.body != rongOK {
		t.Fatalf("%v", a)
	}
	for _, s := range []*sidecar{here, there} {
		for path, form := range map[string]string{
			rongAdd: "userId=bob&blackUserId=eve", rongRemove: "userId=bob&blackUserId=alice", rongQuery: "userId=bob",
			"/user/whitesetting/set.json": "userId=bob&whiteSetting=1", "/user/whitelist/query.json": "userId=bob",
		} {
			if m := s.rongRefused(c, path, form, [2]int{401, 1004}); m != "Nonce has been used before; nothing was done." {
				t.Errorf("%s: %s", path, m)
			}
		}
	}
	here.rongOK("kstrict", rongQuery, "userId=bob", `{"code":200,"users":["alice"]}`)

	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) SELECT 'strict', 'full', 't' || n FROM generate_series(1, 3000) n")
	c = fresh("kstrict")
	here.rongRefused(c, rongAdd, "userId=full&blackUserId=one-more", [2]int{400, 1002})
	psql(t, dsn, "DELETE FROM sidegate.block WHERE app = 'strict' AND owner = 'full' AND target = 't1'")
	if a := there.rongAs(c, rongAdd, "userId=full&blackUserId=one-more"); a.body != rongOK {
		t.Errorf("the nonce of a refused write: %v", a)
	}
	// Of many at once one wins.
	c = fresh("kstrict")
	var won atomic.Int32
	var racers sync.WaitGroup
	for i := range 16 {
		racers.Go(func() {
			a, err := []*sidecar{here, there}[i%2].rong(c, "", rongAdd, fmt.Sprintf("userId=race&blackUserId=r%d", i))
			if err == nil && a.status == 200 {
				won.Add(1)
			} else if a.status != 401 && a.status != 500 { // a wait for a lock may be in vain
				t.Errorf("%v, %v", a, err)
			}
		})
	}
	racers.Wait()
	if n := psql(t, dsn, "SELECT count(*) FROM sidegate.block WHERE owner = 'race'"); won.Load() != 1 || n != "1" {
		t.Errorf("%d of 16 have won, %s entries", won.Load(), n)
	}
}

// TestAcceptR3BadRequests: what is missing, empty, too long or too many.
func TestAcceptR3BadRequests(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, rongApps).ready()
	many := "userId=bob"
	for i := range 21 {
		many += fmt.Sprint("&blackUserId=", i)
	}
	for _, path := range []string{rongAdd, "/user/blacklist/add.json", rongRemove, "/user/blacklist/remove.json"} {
		for form, code := range map[string]int{
			"": 1002, "blackUserId=a": 1002, "userId=&blackUserId=a": 1002, "userId=bob": 1002, "userId=bob&blackUserId=": 1002,
			"userId=bob&blackUserId=a&blackUserId=": 1002, many: 1002, "userId=bob&blackUserId=%zz": 1002, "userId=bob&blackUserId=%01": 1002,
			"userId=bob&blackUserId=" + strings.Repeat("x", 257): 1005,
		} {
			s.rongRefused(fresh("kring"), path, form, [2]int{400, code})
		}
	}
	for path, forms := range map[string][]string{
		rongQuery:                       {"", "userId=", "userId=bob&size=0", "userId=bob&size=1001", "userId=bob&pageToken=x"},
		"/user/whitelist/add.json":      {"", "userId=bob", "userId=bob&blackUserId=a"},
		"/user/whitesetting/set.json":   {"", "whiteSetting=1", "userId=bob", "userId=bob&whiteSetting=2"},
		"/user/whitesetting/query.json": {"", "userId="},
	} {
		for _, form := range forms {
			s.rongRefused(fresh("kring"), path, form, [2]int{400, 1002})
		}
	}
	a := s.rongAs(fresh("kring"), rongAdd, "userId=bob")
	if want := `{"code":1002,"errorMessage":"blackUserId is required.","url":"/user/blocklist/add.json"}`; a.status != 400 || a.body != want {
		t.Errorf("%v, want %s", a, want)
	}
	s.rongRefused(fresh("kring"), rongAdd, strings.Repeat("x", 1<<20+1), [2]int{400, 1005})
	if n := psql(t, dsn, "SELECT count(*) FROM sidegate.owner"); n != "0" {
		t.Errorf("%s lists", n)
	}
}

// TestAcceptR3KnownUsers: where the directory counts, who is not in it is no user.
func TestAcceptR3KnownUsers(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), rongApps).ready()
	for _, id := range []string{"bob", "alice"} {
		a := ask(t, s.client, "PUT", s.urls["api"]+"/v1/apps/known/users/"+id, "{}", "Authorization", "Bearer "+apiToken)
		if a.status != 201 {
			t.Fatalf("%v", a)
		}
	}
	for path, form := range map[string]string{
		rongAdd: "userId=bob&blackUserId=alice&blackUserId=eve", "/user/blacklist/add.json": "userId=eve&blackUserId=alice",
		rongRemove: "userId=eve&blackUserId=alice", rongQuery: "userId=eve", "/user/whitelist/add.json": "userId=bob&whiteUserId=eve",
		"/user/whitesetting/set.json": "userId=eve&whiteSetting=1", "/user/whitesetting/query.json": "userId=eve",
	} {
		s.rongRefused(fresh("kknown"), path, form, [2]int{400, 400})
	}
	s.rongOK("kknown", rongAdd, "userId=bob&blackUserId=alice", rongOK)
	s.rongOK("kknown", rongRemove, "userId=bob&blackUserId=eve", rongOK)
	s.rongOK("kknown", rongQuery, "userId=bob", `{"code":200,"users":["alice"]}`)
}

var logged1000 = regexp.MustCompile(`(?m)^\{.*"msg":"request failed".*"listener":"api","route":"rongcloud .*"code":1000.*\}$`)

// TestAcceptR3Outage: without a database the vendor's 1000, once in the log, and
// nothing of what is behind it.
func TestAcceptR3Outage(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Server(t, nil)
	dsn := postgres.DSN("postgres")
	migrateUp(t, dsn)
	s := startSidecar(t, dsn, rongApps).ready()
	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := 0
	for path, form := range map[string]string{
		rongAdd: "userId=bob-private&blackUserId=alice-private", rongRemove: "userId=bob-private&blackUserId=alice-private", rongQuery: "userId=bob-private",
		"/user/whitesetting/set.json": "userId=bob-private&whiteSetting=1", "/user/whitesetting/query.json": "userId=bob-private",
	} {
		calls++
		s.rongRefused(fresh("kring"), path, form, [2]int{500, 1000})
	}
	logged := func() []string { return logged1000.FindAllString(s.stderr.String(), -1) }
	waitFor(t, "the log to arrive", func() bool { return len(logged()) >= calls })
	if got := logged(); len(got) != calls || strings.Contains(strings.Join(got, ""), "private") {
		t.Errorf("%d calls, in the log: %s", calls, strings.Join(got, "\n"))
	}
}
