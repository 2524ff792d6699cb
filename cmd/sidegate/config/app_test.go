package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// TestPresets: a preset is where an app starts; only the keys that are set
// replace a part of it, even where they say what the default says.
func TestPresets(t *testing.T) {
	imkit, _ := filter.Preset("imkit")
	rong, _ := filter.Preset("rongcloud")
	send, _ := filter.Preset("sendbird")
	change := func(p filter.Policy, edit func(*filter.Policy)) filter.Policy { edit(&p); return p }
	for _, tc := range []struct {
		app  string
		want filter.Policy
	}{
		{"{}", filter.Default()},
		{"{preset: ''}", filter.Default()},
		{"{preset: imkit}", imkit},
		{"{preset: rongcloud}", rong},
		{"{preset: sendbird}", send},
		{"{preset: imkit, mode: one_way}", change(imkit, func(p *filter.Policy) { p.Mode = filter.ModeOneWay })},
		{"{mode: two_way}", change(filter.Default(), func(p *filter.Policy) { p.Mode = filter.ModeTwoWay })},
		{"{preset: rongcloud, allowlist: false}", change(rong, func(p *filter.Policy) { p.Allowlist = false })},
		{"{allowlist: true, limit: 5, on_unknown: withhold}", change(filter.Default(), func(p *filter.Policy) {
			p.Allowlist, p.Limit, p.OnUnknown = true, 5, filter.OnUnknownWithhold
		})},
		{"{preset: sendbird, invitations: exclude}", change(send, func(p *filter.Policy) { p.Invitations = filter.InvitationsExclude })},
		{"{exempt: [system, 'mod 1']}", change(filter.Default(), func(p *filter.Policy) { p.Exempt = []string{"system", "mod 1"} })},
		{"{preset: imkit, rooms: {direct: {on_block: drop}, group: {on_block: reject, mode: one_way}}}", change(imkit, func(p *filter.Policy) {
			p.Rooms[filter.Direct].OnBlock = filter.OnBlockDrop
			p.Rooms[filter.Group] = filter.RoomPolicy{OnBlock: filter.OnBlockReject, Mode: filter.ModeOneWay}
		})},
		{"{rooms: {open: {on_block: deliver_silently}}}", change(filter.Default(), func(p *filter.Policy) {
			p.Rooms[filter.Open].OnBlock = filter.OnBlockDeliverSilently
		})},
	} {
		c := load(t, Source{File: write(t, "apps: {acme: "+tc.app+"}")})
		if got := c.Policies()["acme"]; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", tc.app, got, tc.want)
		}
		if got := c.Policies()["default"]; !reflect.DeepEqual(got, filter.Default()) {
			t.Errorf("%s changed the app default: %+v", tc.app, got)
		}
	}
}

func TestDefaultAppCanBeChanged(t *testing.T) {
	c := load(t, Source{File: write(t, "apps: {default: {preset: imkit, limit: 7}}")})
	if p := c.Policies()["default"]; len(c.Apps) != 1 || p.Mode != filter.ModeTwoWay || p.Limit != 7 {
		t.Errorf("%d apps, mode %v, limit %d; want 1, two_way, 7", len(c.Apps), p.Mode, p.Limit)
	}
}

// TestDialectsAreKept reads the contract's own example.
func TestDialectsAreKept(t *testing.T) {
	c := load(t, Source{File: write(t, `
apps:
  acme:
    preset: rongcloud
    known_users: true
    invitations: exclude
    dialects:
      rongcloud: {app_key: "k1", app_secret: "s1", rate: 100, max_clock_skew: 5m, refuse_replay: true}
      sendbird:  {api_tokens: ["t1"]}
      imkit:     {client_keys: ["ck1"], api_keys: ["admin1"], jwt: {secret: "s2", user_claim: "uid"}, cors_origins: ["https://a.example"], already_blocked: upsert}
  bare:
    dialects: {rongcloud: {app_key: k2, app_secret: s2}, imkit: {api_keys: [admin2], verify_url: "http://127.0.0.1:9/v"}}
`)})
	want := App{
		Preset: "rongcloud", KnownUsers: true,
		Dialects: Dialects{
			RongCloud: &RongCloud{AppKey: "k1", AppSecret: "s1", Rate: 100, MaxClockSkew: 5 * time.Minute, RefuseReplay: true},
			Sendbird:  &Sendbird{APITokens: []string{"t1"}},
			IMKit: &IMKit{
				ClientKeys: []string{"ck1"}, APIKeys: []string{"admin1"}, CORSOrigins: []string{"https://a.example"},
				JWT:            &JWT{Secret: "s2", UserClaim: "uid", Algorithms: []string{"HS256"}},
				AlreadyBlocked: "upsert",
			},
		},
	}
	got := c.Apps["acme"]
	if got.Policy.Invitations != filter.InvitationsExclude {
		t.Errorf("invitations: %v", got.Policy.Invitations)
	}
	got.Policy = filter.Policy{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got.Dialects.IMKit, want.Dialects.IMKit)
	}
	bare := c.Apps["bare"].Dialects
	if bare.RongCloud.Rate != 100 || bare.RongCloud.MaxClockSkew != 0 || bare.Sendbird != nil || bare.IMKit.JWT != nil ||
		bare.IMKit.AlreadyBlocked != "conflict" {
		t.Errorf("defaults of dialects: %+v, %+v, %+v", bare.RongCloud, bare.Sendbird, bare.IMKit)
	}
}

func TestJWT(t *testing.T) {
	for _, tc := range []struct {
		jwt        string
		algorithms []string
		fault      string
	}{
		{"secret: s", []string{"HS256"}, ""},
		{"secret: s, algorithms: [HS512]", []string{"HS512"}, ""},
		{"jwks_url: 'https://e.com/k'", []string{"RS256", "ES256", "EdDSA"}, ""},
		{"jwks_url: 'http://localhost:1/k'", []string{"RS256", "ES256", "EdDSA"}, ""},
		{"jwks_file: /k.json, algorithms: [ES384]", []string{"ES384"}, ""},
		{"public_key: PEM", []string{"RS256", "ES256", "EdDSA"}, ""},
		{"issuer: i", nil, "has no key; set one of jwks_url"},
		{"secret: s, public_key: PEM", nil, "has more than one key (public_key, secret)"},
		{"secret: s, algorithms: [RS256]", nil, `the algorithm "RS256" does not go with secret`},
		{"public_key: PEM, algorithms: [HS256]", nil, `the algorithm "HS256" does not go with public_key`},
		{"secret: s, algorithms: [none]", nil, `the algorithm "none" does not go with secret; write HS256, HS384 or HS512`},
		{"secret: s, user_claim: ''", nil, "user_claim is empty"},
		{"secret: ''", nil, "the secret is empty"},
		{"secret: 5", nil, "this is a number; put it in quotes"},
		{"secret: '***'", nil, "the placeholder of `config print`"},
		{"jwks_url: 'http://e.com/k'", nil, "this is neither https nor a loopback address"},
		{"jwks_url: 'https://user:pw@e.com/k'", nil, "this is not a URL"},
		{"secret: s, max_age: 5", nil, "5 has no unit"},
	} {
		c, err := Load(Source{File: write(t, "api: {jwt: {"+tc.jwt+"}}")})
		switch {
		case tc.fault != "":
			if err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("%s\ngot  %v\nwant %s", tc.jwt, err, tc.fault)
			}
		case err != nil || !slices.Equal(c.API.JWT.Algorithms, tc.algorithms):
			t.Errorf("%s: %+v, %v; want the algorithms %v", tc.jwt, c.API.JWT, err, tc.algorithms)
		case c.API.JWT.UserClaim != "sub" || c.API.JWT.AppClaim != "app" || c.API.JWT.ScopeClaim != "scope":
			t.Errorf("%s: claims are %+v", tc.jwt, c.API.JWT)
		}
	}
}
