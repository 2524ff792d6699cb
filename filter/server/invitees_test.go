package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const inviteesPath = "/v1/invitees"

// invitingWorld has the app default, which includes, and acme, which excludes
// and has allowlists. In both bob blocks alice, and alice carol.
func invitingWorld(t testing.TB, change ...func(*filter.Options)) *world {
	w := newWorld(t, append([]func(*filter.Options){func(o *filter.Options) {
		p := o.Apps["acme"]
		p.Invitations, p.Allowlist = filter.InvitationsExclude, true
		o.Apps["acme"] = p
	}}, change...)...)
	for _, app := range []string{"default", "acme"} {
		w.put(app, cache.KindBlock, "bob", "alice", "moderator")
		w.put(app, cache.KindBlock, "alice", "carol")
	}
	// dave hears from those on his list alone, and erin is one of them.
	id := filter.ListID{App: "acme", Kind: cache.KindBlock, Owner: "dave"}
	w.lists[id] = cache.List{Owner: "dave", Version: 1, Digest: cache.ListDigest(true, nil), Allowlist: true}
	w.put("acme", cache.KindAllow, "dave", "erin")
	return w
}

func invite(app, inviter string, invitees ...string) string {
	list, _ := json.Marshal(append([]string{}, invitees...))
	return fmt.Sprintf(`{"app":%q,"inviter":%q,"invitees":%s}`, app, inviter, list)
}

// TestInvitees asks on a socket and compares answers to the letter.
func TestInvitees(t *testing.T) {
	r := runCheck(t, invitingWorld(t), Options{})
	const (
		bob   = `{"user":"bob","reason":"invitee_blocked_inviter"}`
		carol = `{"user":"carol","reason":"inviter_blocked_invitee"}`
		dave  = `{"user":"dave","reason":"not_on_allowlist"}`
	)
	for name, c := range map[string]struct{ body, want string }{
		"include": {
			invite("default", "alice", "dave", "carol", "bob", "alice"),
			`{"allowed":["dave","carol","bob","alice"],"excluded":[],"would_exclude":[` + carol + `,` + bob + `]}`,
		},
		"exclude": {
			invite("acme", "alice", "erin", "dave", "carol", "bob", "alice"),
			`{"allowed":["erin","alice"],"excluded":[` + dave + `,` + carol + `,` + bob + `]}`,
		},
		"include nobody":   {invite("default", "alice"), `{"allowed":[],"excluded":[],"would_exclude":[]}`},
		"exclude nobody":   {invite("acme", "alice"), `{"allowed":[],"excluded":[]}`},
		"nothing against":  {invite("default", "erin", "bob"), `{"allowed":["bob"],"excluded":[],"would_exclude":[]}`},
		"on the allowlist": {invite("acme", "erin", "dave"), `{"allowed":["dave"],"excluded":[]}`},
		"all excluded":     {invite("acme", "alice", "bob"), `{"allowed":[],"excluded":[` + bob + `]}`},
		"twice the same":   {invite("acme", "alice", "bob", "erin", "bob", "erin"), `{"allowed":["erin","erin"],"excluded":[` + bob + `,` + bob + `]}`},
		"a moderator":      {invite("acme", "moderator", "bob"), `{"allowed":["bob"],"excluded":[]}`},
		"ids with escapes": {invite("acme", "alice", `"\/ ü`), `{"allowed":["\"\\/ ü"],"excluded":[]}`},
		"no app":           {`{"invitees":["bob"],"inviter":"alice"}`, `{"allowed":["bob"],"excluded":[],"would_exclude":[` + bob + `]}`},
	} {
		if a := r.ask("POST", inviteesPath, c.body); a.status != 200 || a.body != c.want {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.want)
		}
	}
}

// TestInviteesOfTenThousand: everybody is in exactly one part, in order.
func TestInviteesOfTenThousand(t *testing.T) {
	w := invitingWorld(t)
	invitees := make([]string, maxFanout)
	var free, refused []string
	for i := range invitees {
		invitees[i] = fmt.Sprintf("%d\"\\é%s", i, strings.Repeat("x", i%60))
		if i%97 == 3 {
			w.put("acme", cache.KindBlock, invitees[i], "alice")
			refused = append(refused, invitees[i])
		} else {
			free = append(free, invitees[i])
		}
	}
	r := runCheck(t, w, Options{})
	var got struct {
		Allowed  []string
		Excluded []struct{ User, Reason string }
	}
	a := r.ask("POST", inviteesPath, invite("acme", "alice", invitees...))
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("%d %.300s: %v", a.status, a.body, err)
	}
	var excluded []string
	for _, e := range got.Excluded {
		excluded = append(excluded, e.User)
	}
	if !slices.Equal(got.Allowed, free) || !slices.Equal(excluded, refused) {
		t.Errorf("%d allowed of %d, %d excluded of %d", len(got.Allowed), len(free), len(excluded), len(refused))
	}
	if a := r.ask("POST", inviteesPath, invite("acme", "alice", slices.Concat(invitees, []string{"x"})...)); a.status != 413 || a.code(t) != "too_large" {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
}

// TestInviteesUnknown: who is not known is not taken for one whom nothing stands
// against; what on_unknown decided is said.
func TestInviteesUnknown(t *testing.T) {
	far := pageApart("bob")
	for _, c := range []struct {
		onUnknown     filter.OnUnknown
		include, some string
		exclude, more string
		none          int
	}{
		{filter.OnUnknownError, `["%[1]s","bob"],"excluded":[],"would_exclude":[{"user":"%[1]s","reason":"unknown"}]`, "",
			`[],"excluded":[{"user":"%[1]s","reason":"unknown"}]`, "", 503},
		{filter.OnUnknownDeliver, `["%[1]s","bob"],"excluded":[],"would_exclude":[]`, `,"degraded":true`,
			`["%[1]s"],"excluded":[]`, `,"degraded":true`, 200},
		{filter.OnUnknownWithhold, `["%[1]s","bob"],"excluded":[],"would_exclude":[{"user":"%[1]s","reason":"unknown"}]`, `,"degraded":true`,
			`[],"excluded":[{"user":"%[1]s","reason":"unknown"}]`, `,"degraded":true`, 200},
	} {
		w := invitingWorld(t, func(o *filter.Options) {
			for app, p := range o.Apps {
				p.OnUnknown = c.onUnknown
				o.Apps[app] = p
			}
		})
		r := runCheck(t, w, Options{})
		w.dark.Store(true)
		// bob invites himself, which needs no list, and one who is not known.
		want := `{"allowed":` + fmt.Sprintf(c.include, far) + c.some + `}`
		if a := r.ask("POST", inviteesPath, invite("default", "bob", far, "bob")); a.status != 200 || a.body != want {
			t.Errorf("%v, include: %d %s, want %s", c.onUnknown, a.status, a.body, want)
		}
		for _, app := range []string{"default", "acme"} {
			a := r.ask("POST", inviteesPath, invite(app, "bob", far))
			if a.status != c.none || a.status == 503 && (a.code(t) != "unknown" || a.header.Get("Retry-After") != "1") {
				t.Errorf("%v, %s, nobody is known: %d %s", c.onUnknown, app, a.status, a.body)
			}
			want := `{"allowed":` + fmt.Sprintf(c.exclude, far) + c.more + `}`
			if app == "acme" && a.status == 200 && a.body != want {
				t.Errorf("%v, exclude: %s, want %s", c.onUnknown, a.body, want)
			}
		}
		want = strings.Replace(`{"allowed":`+fmt.Sprintf(c.exclude, far)+c.more+`}`, `"allowed":[`, `"allowed":["bob",`, 1)
		want = strings.Replace(want, `["bob",]`, `["bob"]`, 1)
		if a := r.ask("POST", inviteesPath, invite("acme", "bob", "bob", far)); a.status != 200 || a.body != want {
			t.Errorf("%v, exclude, one known: %d %s, want %s", c.onUnknown, a.status, a.body, want)
		}
	}
}

// TestInviteesFreshness: the age of the answer, and a revision to wait for.
func TestInviteesFreshness(t *testing.T) {
	r := runCheck(t, invitingWorld(t, func(o *filter.Options) { o.SoftBound = time.Nanosecond }), Options{})
	if a := r.ask("POST", inviteesPath, invite("acme", "alice", "erin")); !strings.Contains(a.body, `"excluded":[],"stale_ms":`) {
		t.Errorf("old: %s", a.body)
	}
	list := filter.ListID{App: "default", Kind: cache.KindBlock, Owner: "bob"}
	seen, ahead := filter.NewRevision(primary, list, 1).String(), filter.NewRevision(primary, list, 9).String()
	list.App = "acme"
	foreign := filter.NewRevision(primary, list, 1).String()
	for _, c := range []struct {
		field, header string
		status        int
		want          string
	}{
		{seen, "", 200, "invitee_blocked_inviter"}, {"", seen, 200, "invitee_blocked_inviter"},
		{ahead, "", 503, "not_fresh_enough"}, {"", ahead, 503, "not_fresh_enough"},
		{foreign, "", 400, "invalid_revision"}, {"x", "", 400, "invalid_revision"}, {seen, seen, 400, "unknown_parameter"},
	} {
		body, header := `{"inviter":"alice","invitees":["bob"]}`, []string(nil)
		if c.field != "" {
			body = fmt.Sprintf(`{"inviter":"alice","invitees":["bob"],"at_least":%q}`, c.field)
		}
		if c.header != "" {
			header = []string{"Sidegate-At-Least", c.header}
		}
		if a := r.ask("POST", inviteesPath, body, header...); a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
}

// TestBadInvitees: a mistake is named with its place.
func TestBadInvitees(t *testing.T) {
	r := runCheck(t, invitingWorld(t), Options{})
	for _, c := range []struct{ body, code, says string }{
		{``, "invalid_json", "the body is empty"},
		{`{}`, "invalid_json", `invitees\" is missing; expected an array of user ids`},
		{`{"invitees":[]}`, "invalid_user_id", "inviter is missing"},
		{`{"invitees":[],"inviter":""}`, "invalid_user_id", "inviter: the user id is empty"},
		{`{"invitees":[],"inviter":1}`, "invalid_json", "is a number; expected a string"},
		{`{"invitees":[],"inviter":"a","inviter":"b"}`, "invalid_json", "given twice"},
		{`{"invitees":[],"inviter":"a","invitees":[]}`, "invalid_json", "given twice"},
		{`{"invitees":["b",""],"inviter":"a"}`, "invalid_user_id", "invitees[1]: the user id is empty"},
		{`{"invitees":["b",1],"inviter":"a"}`, "invalid_json", "invitees[1]: "},
		{`{"invitees":[],"inviter":"a","sender":"a"}`, "unknown_field", "known are app, at_least, invitees, inviter"},
		{`{"invitees":[],"inviter":"a","app":"none"}`, "unknown_app", "none"},
		{`{"invitees":[],"inviter":"a"}]`, "invalid_json", "nothing after the object"},
	} {
		a := r.ask("POST", inviteesPath, c.body)
		if a.status < 400 || a.status > 499 || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%.200s = %d %s; want %s that says %s", c.body, a.status, a.body, c.code, c.says)
		}
	}
	if a := r.ask("POST", inviteesPath+"?app=default", `{}`); a.code(t) != "unknown_parameter" {
		t.Errorf("in the query: %s", a.body)
	}
}
