package harness

import (
	"fmt"
	"strings"
)

// App is a tenant of the configuration. Its credentials follow from its name.
type App string

// The apps. Each has all three dialects, so that every rule is asked about beside
// the others, and differs from Plain in what its comment says.
const (
	Plain    App = "acme"     // no preset, no rate
	Other    App = "umbra"    // another tenant, whose lists nobody of Plain may see
	Ring     App = "ring"     // preset rongcloud
	Bird     App = "bird"     // preset sendbird
	Kit      App = "kit"      // preset imkit, with a page in a browser
	Strict   App = "strict"   // known_users
	Upsert   App = "upsert"   // a second block in IMKit's dialect is no conflict
	Exclude  App = "exclude"  // preset sendbird, invitations leave blocked users out
	Slow     App = "slow"     // five requests a second in each dialect that has a rate
	Default  App = "standard" // RongCloud's rate is not configured
	Window   App = "window"   // a timestamp may be a minute off
	Replay   App = "replay"   // no nonce twice
	Pages    App = "pages"    // the literal ids of the vendors' pages
	Ids      App = "ids"      // ids that are hard to carry
	Verified App = "verified" // IMKit's client tokens are checked by the app's own service
	Vector   App = "vector"   // the credentials of RongCloud's public test vector
)

// The public test vector of RongCloud's signature.
const (
	VectorSecret    = "Y1W2MeFwwwRxa0"
	VectorNonce     = "14314"
	VectorTimestamp = "1408710653000"
	VectorSignature = "30be0bbca9c9b2e27578701e9fda2358a814c88f"
)

// Origin is the web page that may call [Kit] from a browser.
const Origin = "https://chat.example.com"

// NativeToken opens the native routes of the api listener, for every app.
const NativeToken = "token-of-the-dialect-tests"

// AppKey is RongCloud's name of the app.
func (a App) AppKey() string { return "k-" + string(a) }

// AppSecret signs RongCloud's requests.
func (a App) AppSecret() string {
	if a == Vector {
		return VectorSecret
	}
	return "s-" + string(a)
}

// APIToken is Sendbird's credential.
func (a App) APIToken() string { return "t-" + string(a) }

// ClientKey is what IMKit's clients name the app with.
func (a App) ClientKey() string { return "ck-" + string(a) }

// APIKey is IMKit's credential of the app's own server.
func (a App) APIKey() string { return "admin-" + string(a) }

// TokenSecret signs the tokens of IMKit's users.
func (a App) TokenSecret() string { return "the-secret-that-signs-the-tokens-of-" + string(a) }

// configuration is the file that both processes start from.
func configuration(verifyURL string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "api:\n  tokens: [%q]\napps:\n", NativeToken)
	for _, a := range []struct {
		app                   App
		top                   string
		rongcloud, sendbird   string
		imkit                 string
		withoutTokensOfItsOwn bool
	}{
		{app: Plain}, {app: Other}, {app: Pages}, {app: Ids}, {app: Vector},
		{app: Ring, top: "preset: rongcloud"},
		{app: Bird, top: "preset: sendbird"},
		{app: Kit, top: "preset: imkit", imkit: fmt.Sprintf("cors_origins: [%q]", Origin)},
		{app: Strict, top: "known_users: true"},
		{app: Upsert, imkit: "already_blocked: upsert"},
		{app: Exclude, top: "preset: sendbird\n    invitations: exclude"},
		{app: Slow, rongcloud: "rate: 5", sendbird: "rate: 5"},
		{app: Default, rongcloud: "max_clock_skew: 0s"},
		{app: Window, rongcloud: "rate: 0, max_clock_skew: 1m"},
		{app: Replay, rongcloud: "rate: 0, max_clock_skew: 1h, refuse_replay: true"},
		{app: Verified, imkit: fmt.Sprintf("verify_url: %q", verifyURL), withoutTokensOfItsOwn: true},
	} {
		fmt.Fprintf(&b, "  %s:\n", a.app)
		if a.top != "" {
			fmt.Fprintf(&b, "    %s\n", a.top)
		}
		if a.rongcloud == "" {
			a.rongcloud = "rate: 0" // a test may be quicker than the vendor's client
		}
		imkit := []string{fmt.Sprintf("client_keys: [%q], api_keys: [%q]", a.app.ClientKey(), a.app.APIKey())}
		if !a.withoutTokensOfItsOwn {
			imkit = append(imkit, fmt.Sprintf("jwt: {secret: %q, user_claim: sub}", a.app.TokenSecret()))
		}
		if a.imkit != "" {
			imkit = append(imkit, a.imkit)
		}
		sendbird := fmt.Sprintf("api_tokens: [%q]", a.app.APIToken())
		if a.sendbird != "" {
			sendbird += ", " + a.sendbird
		}
		fmt.Fprintf(&b, "    dialects:\n      rongcloud: {app_key: %q, app_secret: %q, %s}\n      sendbird: {%s}\n      imkit: {%s}\n",
			a.app.AppKey(), a.app.AppSecret(), a.rongcloud, sendbird, strings.Join(imkit, ", "))
	}
	return b.String()
}
