package rongcloudsdk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rongcloud/server-sdk-go/v3/sdk"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// client returns the SDK's only client, as an app has it that changed nothing but
// the address.
func client(t *testing.T) (*harness.World, *sdk.RongCloud) {
	t.Helper()
	w := harness.Shared(t)
	rc := sdk.NewRongCloud(harness.Ring.AppKey(), harness.Ring.AppSecret(), sdk.REGION_BJ, sdk.WithRongCloudURI(w.Node.URL("api")))
	t.Cleanup(func() {
		if keeps, ok := rc.GetHttpTransport().(interface{ CloseIdleConnections() }); ok {
			keeps.CloseIdleConnections()
		}
	})
	return w, rc
}

// wantCode wants the error that the SDK makes of an envelope.
func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	var result sdk.CodeResult
	if !errors.As(err, &result) || result.Code != code || result.ErrorMessage == "" {
		t.Errorf("%s: %v, want code %d with a message", what, err, code)
	}
}

func blacklist(t *testing.T, rc *sdk.RongCloud, user string) []string {
	t.Helper()
	got, err := rc.BlacklistGet(user)
	if err != nil {
		t.Fatal(err)
	}
	return got.Users
}

func wantList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: the list is %q, want %q", what, got, want)
	}
}

func TestR1_TheSDKAddsQueriesAndRemoves(t *testing.T) {
	w, rc := client(t)
	user, eve, mallory := harness.ID("bob"), harness.ID("eve"), harness.ID("mallory")
	for _, target := range []string{eve, mallory, eve} {
		if err := rc.BlacklistAdd(user, []string{target}); err != nil {
			t.Fatal(err)
		}
	}
	wantList(t, "added", blacklist(t, rc, user), []string{mallory, eve})
	wantList(t, "native", w.Targets(t, harness.Ring, user), []string{mallory, eve})
	q := harness.Question{App: harness.Ring, Sender: eve, Recipient: user}
	if got := w.Node.Decide(t, q); got.Deliver || got.Action != "reject" {
		t.Errorf("blocked: %+v", got)
	}
	for range 2 {
		if err := rc.BlacklistRemove(user, []string{eve}); err != nil {
			t.Fatal(err)
		}
	}
	wantList(t, "removed", blacklist(t, rc, user), []string{mallory})
	if got := w.Node.Decide(t, q); !got.Deliver {
		t.Errorf("unblocked: %+v", got)
	}
}

func TestR1_TheSDKAddsTwentyAtOnce(t *testing.T) {
	_, rc := client(t)
	user, targets := harness.ID("bob"), many(20)
	if err := rc.BlacklistAdd(user, targets); err != nil {
		t.Fatal(err)
	}
	got := blacklist(t, rc, user)
	slices.Sort(got)
	wantList(t, "twenty", got, targets)
}

func many(n int) []string {
	list := make([]string, n)
	prefix := harness.ID("u")
	for i := range list {
		list[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return list
}

// Its nonce has 18 or 19 digits, its timestamp is in seconds.
func TestR2_TheSDKsSignatureIsAccepted(t *testing.T) {
	_, rc := client(t)
	user := harness.ID("bob")
	for range 50 { // the length of the nonce varies
		if _, err := rc.BlacklistGet(user); err != nil {
			t.Fatal(err)
		}
	}
}

func TestR3_TheSDKSeesTooManyAsAnError(t *testing.T) {
	w, rc := client(t)
	user := harness.ID("bob")
	wantCode(t, "21 ids", rc.BlacklistAdd(user, many(21)), 1002)
	wantCode(t, "an empty id", rc.BlacklistAdd(user, []string{"x", ""}), 1002)
	wantList(t, "refused", w.Targets(t, harness.Ring, user), []string{})
}

func TestR4_TheSDKIsRefusedTheEntryAbove3000(t *testing.T) {
	w, rc := client(t)
	user := harness.ID("bob")
	for batch := range slices.Chunk(many(3000), 20) {
		if err := rc.BlacklistAdd(user, batch); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "the 3001st", rc.BlacklistAdd(user, []string{harness.ID("new")}), 1002)
	all := w.Targets(t, harness.Ring, user)
	if len(all) != 3000 {
		t.Fatalf("the list has %d entries", len(all))
	}
	wantList(t, "the first thousand", blacklist(t, rc, user), all[:1000])
}

func TestR6_TheSDKKeepsTheAllowlist(t *testing.T) {
	w, rc := client(t)
	user, friend, carol := harness.ID("bob"), harness.ID("friend"), harness.ID("carol")
	if err := rc.AddWhiteList(user, []string{friend, carol}); err != nil {
		t.Fatal(err)
	}
	if err := rc.RemoveWhiteList(user, []string{carol}); err != nil {
		t.Fatal(err)
	}
	got, err := rc.QueryWhiteList(user)
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "allowed", got.Users, []string{friend})
	// The SDK cannot switch the mode.
	a := w.Send(t, harness.Ring.RongCloud("/user/whitesetting/set.json", "userId="+user+"&whiteSetting=1"))
	if a.Status != 200 {
		t.Fatal(a)
	}
	for sender, want := range map[string]bool{friend: true, carol: false} {
		if got := w.Node.Decide(t, harness.Question{App: harness.Ring, Sender: sender, Recipient: user}); got.Deliver != want {
			t.Errorf("%s: %+v", sender, got)
		}
	}
}

func TestX1_TheSDKCarriesAnyID(t *testing.T) {
	w, rc := client(t)
	user := harness.ID("a/b %+?😀مرحبا")
	targets := []string{"a/b", "50%", "%2F", "a+b", "a b", " x ", "😀", "مرحبا", "a&b=c#d", strings.Repeat("é", 128)}
	for _, target := range targets {
		if err := rc.BlacklistAdd(user, []string{target}); err != nil {
			t.Fatalf("%q: %v", target, err)
		}
	}
	slices.Reverse(targets)
	wantList(t, "the SDK", blacklist(t, rc, user), targets)
	wantList(t, "native", w.Targets(t, harness.Ring, user), targets)
	wantList(t, "Sendbird", w.SendbirdList(t, harness.Ring, user, ""), targets)
	wantList(t, "IMKit", w.IMKitList(t, harness.Ring, user), targets)
}
