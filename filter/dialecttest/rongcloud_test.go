package dialecttest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

// rcOK is RongCloud's only answer to a write.
const rcOK = `{"code":200}`

// rcError is RongCloud's envelope of an error. Older servers echo the path.
func rcError(code int) string {
	return fmt.Sprintf(`{"code":%d,"errorMessage":"<text>","?url":"<text>"}`, code)
}

var spellings = []string{"blocklist", "blacklist"}

func TestR1_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R1") }

func TestR1_BothSpellingsAddQueryAndRemoveOnOneList(t *testing.T) {
	w := harness.Shared(t)
	for _, add := range spellings {
		for _, query := range spellings {
			for _, remove := range spellings {
				user := harness.ID("bob")
				eve, mallory := harness.ID("eve"), harness.ID("mallory")
				w.Want(t, harness.Plain.RongCloud("/user/"+add+"/add.json", harness.Black(user, eve)), 200, rcOK)
				w.Want(t, harness.Plain.RongCloud("/user/"+add+"/add.json", harness.Black(user, mallory)), 200, rcOK)
				w.Want(t, harness.Plain.RongCloud("/user/"+query+"/query.json", harness.Form(user, "")), 200,
					fmt.Sprintf(`{"code":200,"users":[%q,%q]}`, mallory, eve))
				w.Want(t, harness.Plain.RongCloud("/user/"+remove+"/remove.json", harness.Black(user, eve, mallory)), 200, rcOK)
				w.Want(t, harness.Plain.RongCloud("/user/"+query+"/query.json", harness.Form(user, "")), 200, `{"code":200,"users":[]}`)
			}
		}
	}
}

func TestR1_EveryRepetitionOfAKeyCounts(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	var targets []string
	for range 20 {
		targets = append(targets, harness.ID("eve"))
	}
	w.Want(t, harness.Plain.RongCloud("/user/blacklist/add.json", harness.Black(user, targets...)), 200, rcOK)
	got := w.RongCloudList(t, harness.Plain, user)
	slices.Sort(got)
	slices.Sort(targets)
	wantList(t, "20 in one request", got, targets)
	w.Want(t, harness.Plain.RongCloud("/user/blacklist/remove.json", harness.Black(user, targets[:19]...)), 200, rcOK)
	wantList(t, "19 removed in one request", w.RongCloudList(t, harness.Plain, user), targets[19:])
}

func TestR1_AFormIsReadAsAForm(t *testing.T) {
	w := harness.Shared(t)
	n := harness.ID("")
	for _, c := range []struct{ name, form, target string }{
		{"a plus is a space", "userId=bob%s&blackUserId=b+2", "b 2"},
		{"an escaped plus is one", "userId=bob%s&blackUserId=b%%2B2", "b+2"},
		{"the order of keys is free", "blackUserId=x&userId=bob%s", "x"},
		{"escaped keys are keys", "user%%49d=bob%s&black%%55serId=y", "y"},
		{"keys of others are ignored", "extra=1&userId=bob%s&blackUserId=z&format=json", "z"},
		{"upper and lower case escapes", "userId=bob%s&blackUserId=%%c3%%a4%%C3%%96", "äÖ"},
	} {
		owner := n + harness.ID("")
		w.Want(t, harness.Plain.RongCloud("/user/blocklist/add.json", fmt.Sprintf(c.form, owner)), 200, rcOK)
		wantList(t, c.name, w.Targets(t, harness.Plain, "bob"+owner), []string{c.target})
	}
	call := harness.Plain.RongCloud("/user/blocklist/add.json", harness.Black("bob"+n, "w")).
		Without("Content-Type").With("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	w.Want(t, call, 200, rcOK)
	wantList(t, "a charset", w.Targets(t, harness.Plain, "bob"+n), []string{"w"})
}

func TestR1_RepeatingAWriteIsNoError(t *testing.T) {
	w := harness.Shared(t)
	user, eve := harness.ID("bob"), harness.ID("eve")
	for range 2 {
		w.Want(t, harness.Plain.RongCloud("/user/blacklist/add.json", harness.Black(user, eve, eve)), 200, rcOK)
		wantList(t, "added again", w.RongCloudList(t, harness.Plain, user), []string{eve})
	}
	for range 2 {
		w.Want(t, harness.Plain.RongCloud("/user/blacklist/remove.json", harness.Black(user, eve)), 200, rcOK)
		wantList(t, "removed again", w.RongCloudList(t, harness.Plain, user), []string{})
	}
}

// The vendor's own test adds a user to their own list and calls it a success; a
// user is never refused by themselves.
func TestR1_AddingOneselfIsAcceptedAndIgnored(t *testing.T) {
	w := harness.Shared(t)
	user, eve := harness.ID("bob"), harness.ID("eve")
	w.Want(t, harness.Ring.RongCloud("/user/blacklist/add.json", harness.Black(user, user)), 200, rcOK)
	wantList(t, "oneself alone", w.RongCloudList(t, harness.Ring, user), []string{})
	w.Want(t, harness.Ring.RongCloud("/user/blacklist/add.json", harness.Black(user, user, eve)), 200, rcOK)
	wantList(t, "oneself among others", w.RongCloudList(t, harness.Ring, user), []string{eve})
	if got := w.Node.Decide(t, harness.Question{App: harness.Ring, Sender: user, Recipient: user}); !got.Deliver || got.Reason != "self" {
		t.Errorf("to oneself: %+v", got)
	}
	w.Want(t, harness.Ring.RongCloud("/user/blacklist/remove.json", harness.Black(user, user)), 200, rcOK)
}

func TestR1_OtherMethodsAndPathsOfTheFamilyAreRefused(t *testing.T) {
	w := harness.Shared(t)
	user, eve := harness.ID("bob"), harness.ID("eve")
	get := harness.Plain.RongCloud("/user/blacklist/add.json?"+harness.Black(user, eve), "")
	get.Method = http.MethodGet
	if a := w.Send(t, get); a.Status != 405 {
		t.Errorf("GET: %v, want 405", a)
	}
	if a := w.Send(t, harness.Plain.RongCloud("/user/blacklist/rename.json", harness.Black(user, eve))); a.Status != 404 {
		t.Errorf("an unknown operation: %v, want 404", a)
	}
	wantList(t, "refused", w.RongCloudList(t, harness.Plain, user), []string{})
}

func TestR2_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R2") }

// plain and prefixed are the two sets of header names.
var headerSets = map[string][4]string{
	"plain":    {"App-Key", "Nonce", "Timestamp", "Signature"},
	"prefixed": {"RC-App-Key", "RC-Nonce", "RC-Timestamp", "RC-Signature"},
	"in lower case": {
		"app-key", "nonce", "timestamp", "signature"},
}

func signedWith(names [4]string, values [4]string, path, form string) harness.Call {
	c := harness.Call{Method: http.MethodPost, Path: path, Body: form}.With("Content-Type", "application/x-www-form-urlencoded")
	for i, name := range names {
		if values[i] != "" {
			c = c.With(name, values[i])
		}
	}
	return c
}

func TestR2_ThePublicTestVectorIsAccepted(t *testing.T) {
	w := harness.Shared(t)
	for name, names := range headerSets {
		user, eve := harness.ID("bob"), harness.ID("eve")
		values := [4]string{harness.Vector.AppKey(), harness.VectorNonce, harness.VectorTimestamp, harness.VectorSignature}
		if a := w.Send(t, signedWith(names, values, "/user/blocklist/add.json", harness.Black(user, eve))); a.Status != 200 {
			t.Errorf("%s: %v", name, a)
		}
		wantList(t, name, w.Targets(t, harness.Vector, user), []string{eve})
	}
}

func TestR2_WhatTheSDKsSendAsNonceAndTimestampIsAccepted(t *testing.T) {
	w := harness.Shared(t)
	now := time.Now()
	for name, c := range map[string][2]string{
		"milliseconds":              {"14314", fmt.Sprint(now.UnixMilli())},
		"seconds":                   {"14314", fmt.Sprint(now.Unix())},
		"a nonce of 19 digits":      {"1234567890123456789", fmt.Sprint(now.Unix())},
		"a decimal":                 {"123456.78901234567", fmt.Sprint(now.Unix())},
		"a long decimal":            {"0.12345678901234567890123", fmt.Sprint(now.UnixMilli())},
		"a process that never ends": {"777", "1408710653"},
	} {
		for range 3 { // Node's SDK has one nonce and one time per process
			user, eve := harness.ID("bob"), harness.ID("eve")
			if a := w.Send(t, harness.Plain.RongCloudSigned("/user/blacklist/add.json", harness.Black(user, eve), c[0], c[1])); a.Status != 200 {
				t.Errorf("%s: %v", name, a)
			}
			wantList(t, name, w.Targets(t, harness.Plain, user), []string{eve})
		}
	}
}

func TestR2_AWrongSignatureChangesNothing(t *testing.T) {
	w := harness.Shared(t)
	user, eve, mallory := harness.ID("bob"), harness.ID("eve"), harness.ID("mallory")
	w.Block(t, harness.Plain, user, eve)
	app := harness.Plain
	good := harness.Sign(app.AppSecret(), "14314", harness.VectorTimestamp)
	last := map[bool]string{true: "1", false: "0"}[strings.HasSuffix(good, "0")]
	for name, values := range map[string][4]string{
		"of another secret": {app.AppKey(), "14314", harness.VectorTimestamp, harness.Sign(harness.Other.AppSecret(), "14314", harness.VectorTimestamp)},
		"of another nonce":  {app.AppKey(), "14315", harness.VectorTimestamp, good},
		"of another time":   {app.AppKey(), "14314", "1408710653001", good},
		"one digit is off":  {app.AppKey(), "14314", harness.VectorTimestamp, good[:39] + last},
		"half of it":        {app.AppKey(), "14314", harness.VectorTimestamp, good[:20]},
		"the vendor's page": {app.AppKey(), "14314", "1408710653491", "45beb7cc7307889a8e711219a47b7cf6a5b000e8"},
		"separated":         {app.AppKey(), "14314", harness.VectorTimestamp, harness.Sign(app.AppSecret()+"&", "14314&", harness.VectorTimestamp)},
	} {
		for set, names := range headerSets {
			for path, form := range map[string]string{
				"/user/blocklist/add.json":    harness.Black(user, mallory),
				"/user/blacklist/remove.json": harness.Black(user, eve),
				"/user/blacklist/query.json":  harness.Form(user, ""),
				"/user/whitelist/add.json":    harness.Form(user, "whiteUserId", mallory),
				"/user/whitesetting/set.json": "userId=" + url.QueryEscape(user) + "&whiteSetting=1",
			} {
				a := w.Send(t, signedWith(names, values, path, form))
				if a.Status != 401 {
					t.Errorf("a signature %s, %s, %s: %v", name, set, path, a)
					continue
				}
				a.Want(t, 401, rcError(1004))
				if strings.Contains(a.Body, eve) {
					t.Errorf("a signature %s reveals the list: %v", name, a)
				}
			}
		}
	}
	wantList(t, "after wrong signatures", w.Targets(t, harness.Plain, user), []string{eve})
}

func TestR2_AMissingHeaderOrUnknownKeyIsRefused(t *testing.T) {
	w := harness.Shared(t)
	user, eve := harness.ID("bob"), harness.ID("eve")
	good := [4]string{harness.Plain.AppKey(), "14314", harness.VectorTimestamp, harness.Sign(harness.Plain.AppSecret(), "14314", harness.VectorTimestamp)}
	for i, name := range headerSets["plain"] {
		values := good
		values[i] = ""
		a := w.Send(t, signedWith(headerSets["plain"], values, "/user/blocklist/add.json", harness.Black(user, eve)))
		if a.Status != 401 || !strings.Contains(a.Body, `"code":10`) {
			t.Errorf("without %s: %v, want 401", name, a)
		}
	}
	values := good
	values[0] = "no-such-key"
	if a := w.Send(t, signedWith(headerSets["plain"], values, "/user/blocklist/add.json", harness.Black(user, eve))); a.Status != 401 {
		t.Errorf("an unknown App-Key: %v, want 401", a)
	}
	wantList(t, "refused", w.Targets(t, harness.Plain, user), []string{})
}

func TestR2_AClockWindowIsOptional(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	hour := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name, timestamp string
		status          int
	}{
		{"an hour ago, milliseconds", fmt.Sprint(hour.UnixMilli()), 401},
		{"an hour ago, seconds", fmt.Sprint(hour.Unix()), 401},
		{"in an hour", fmt.Sprint(hour.Add(2 * time.Hour).UnixMilli()), 401},
		{"now, milliseconds", fmt.Sprint(time.Now().UnixMilli()), 200},
		{"now, seconds", fmt.Sprint(time.Now().Unix()), 200},
		{"no number", "yesterday", 401},
	} {
		eve := harness.ID("eve")
		a := w.Send(t, harness.Window.RongCloudSigned("/user/blacklist/add.json", harness.Black(user, eve), harness.ID("1"), c.timestamp))
		if a.Status != c.status || c.status == 401 && harness.Match(rcError(1004), a.Body) != nil {
			t.Errorf("%s: %v, want %d", c.name, a, c.status)
		}
		if stored := slices.Contains(w.Targets(t, harness.Window, user), eve); stored != (c.status == 200) {
			t.Errorf("%s: stored is %v", c.name, stored)
		}
	}
}

func TestR2_RefusingAReplayIsOptional(t *testing.T) {
	w := harness.Shared(t)
	user, eve, mallory := harness.ID("bob"), harness.ID("eve"), harness.ID("mallory")
	now, nonce := fmt.Sprint(time.Now().UnixMilli()), harness.ID("1")
	once := harness.Replay.RongCloudSigned("/user/blacklist/add.json", harness.Black(user, eve), nonce, now)
	w.Want(t, once, 200, rcOK)
	w.Want(t, once, 401, rcError(1004))
	other := once
	other.Body = harness.Black(user, mallory) // the body is not signed: only the nonce tells
	w.Want(t, other, 401, rcError(1004))
	wantList(t, "after a replay", w.Targets(t, harness.Replay, user), []string{eve})
	w.Want(t, harness.Replay.RongCloudSigned("/user/blacklist/add.json", harness.Black(user, mallory), harness.ID("1"), now), 200, rcOK)
	wantList(t, "with a nonce of its own", w.Targets(t, harness.Replay, user), []string{mallory, eve})
}

// Two apps have the same user; whose list it is depends on the key alone.
func TestR2_TheAppKeyNamesTheApp(t *testing.T) {
	w := harness.Shared(t)
	user, eve := harness.ID("bob"), harness.ID("eve")
	form := harness.Black(user, eve) + "&appKey=" + harness.Other.AppKey() + "&app=" + string(harness.Other)
	w.Want(t, harness.Plain.RongCloud("/user/blacklist/add.json", form), 200, rcOK)
	wantList(t, "the app of the key", w.RongCloudList(t, harness.Plain, user), []string{eve})
	wantList(t, "another app", w.RongCloudList(t, harness.Other, user), []string{})
}
