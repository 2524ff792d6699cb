package dialecttest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

// databaseText is what no client may see of the store.
var databaseText = regexp.MustCompile(`(?i)postgres|pgx|sqlstate|sidegate\.|dial |connect|\.sock|5432`)

// wantFault wants a server fault in the vendor's envelope: one of some codes, and
// nothing about the database.
func wantFault(t *testing.T, what string, a harness.Answer, envelope func(code int) string, codes ...int) {
	t.Helper()
	if a.Status/100 != 5 || databaseText.MatchString(a.Body) || !slices.ContainsFunc(codes, func(code int) bool {
		return harness.Match(envelope(code), a.Body) == nil
	}) {
		t.Errorf("%s: %v, want a server fault with one of %v", what, a, codes)
	}
}

func TestR3_WithoutADatabaseTheFaultHasTheEnvelope(t *testing.T) {
	w := harness.Shared(t)
	bob, eve, mallory := harness.ID("bob"), harness.ID("eve"), harness.ID("mallory")
	w.Block(t, harness.Plain, bob, eve)
	w.Outage(t, func() {
		for path, form := range map[string]string{
			"/user/blocklist/add.json":    harness.Black(bob, mallory),
			"/user/blacklist/remove.json": harness.Black(bob, eve),
			"/user/blacklist/query.json":  harness.Form(bob, ""),
		} {
			wantFault(t, path, w.Send(t, harness.Plain.RongCloud(path, form)), rcError, 1000, 1050)
		}
		// The credentials are known without it.
		w.Want(t, harness.Plain.RongCloud("/user/blacklist/query.json", "userId="+bob).Without("Signature").With("Signature", "00"), 401, rcError(1004))
		w.Want(t, harness.Plain.RongCloud("/user/blacklist/query.json", ""), 400, rcError(1002))
		if got := w.Node.Decide(t, harness.Question{App: harness.Plain, Sender: eve, Recipient: bob}); got != dropped {
			t.Errorf("a decision from memory: %+v", got)
		}
	})
	wantList(t, "after the outage", w.RongCloudList(t, harness.Plain, bob), []string{eve})
}

func TestS4_WithoutADatabaseTheFaultHasTheEnvelope(t *testing.T) {
	w := harness.Shared(t)
	jay, tom, ann := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann")
	w.Block(t, harness.Plain, jay, tom)
	w.Outage(t, func() {
		for name, c := range map[string]harness.Call{
			"block": harness.Plain.SendbirdBlock(jay, ann), "unblock": harness.Plain.SendbirdUnblock(jay, tom), "list": sbList(harness.Plain, jay, ""),
		} {
			wantFault(t, name, w.Send(t, c), sbError, 500601, 500602, 500901)
		}
		wantSB(t, "a wrong token", w.Send(t, sbList(harness.Plain, jay, "").Without("Api-Token").With("Api-Token", "x")), 400401)
	})
	wantList(t, "after the outage", w.SendbirdList(t, harness.Plain, jay, ""), []string{tom})
}

func TestI2_WithoutADatabaseTheFaultHasTheEnvelope(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc, ddd := harness.ID("aaa"), harness.ID("ccc"), harness.ID("ddd")
	w.Block(t, harness.Plain, aaa, ccc)
	w.Outage(t, func() {
		for name, c := range map[string]harness.Call{
			"block": harness.Plain.IMKit(aaa, "POST", harness.MyBlock(ddd)), "unblock": harness.Plain.IMKit(aaa, "DELETE", harness.MyBlock(ccc)),
			"list": harness.Plain.IMKit(aaa, "GET", "/blockStatus/my"),
		} {
			// The pages have no server fault; the status is the RC, as in all others.
			wantFault(t, name, w.Send(t, c), func(rc int) string {
				return fmt.Sprintf(`{"RC":%d,"RM":"<text>","error":{"code":"<text>","message":"<text>"}}`, rc)
			}, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
		}
	})
	wantList(t, "after the outage", w.IMKitList(t, harness.Plain, aaa), []string{ccc})
}
