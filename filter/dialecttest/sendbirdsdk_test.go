package dialecttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

// sdkCall is a call of Sendbird's SDK; see sendbird.js.
type sdkCall struct {
	Method string `json:"method"`
	Args   []any  `json:"args"`
}

// sdkOutcome is what came of it.
type sdkOutcome struct {
	Status int
	Data   json.RawMessage
	Body   json.RawMessage
}

// fetched is the SDK, fetched once for all tests.
var fetched struct {
	once sync.Once
	skip string
	err  error
}

// unreachable is how npm says that it cannot reach a registry, or that the registry
// is out of order.
var unreachable = regexp.MustCompile(`code (EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E403|E404|E429|E5\d\d)`)

// fetch makes sure that the SDK is there, in the version of the lock file. A
// registry that does not answer is no fault of the program's: then the tests are
// skipped, and say so. What answers with other contents than the lock file wants
// fails them.
func fetch(t *testing.T) {
	t.Helper()
	fetched.once.Do(func() {
		for _, program := range []string{"node", "npm"} {
			if _, err := exec.LookPath(program); err != nil {
				fetched.skip = program + " is not installed: Sendbird's SDK was not run. Install Node 18 or newer with npm."
				return
			}
		}
		if _, err := os.Stat("node_modules/sendbird-platform-sdk/package.json"); err == nil {
			return
		}
		// npm itself tries again.
		out, err := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=2").CombinedOutput()
		switch {
		case err == nil:
		case unreachable.Match(out):
			fetched.skip = fmt.Sprintf("the npm registry does not answer: Sendbird's SDK was not run.\n%s", out)
		default:
			fetched.err = fmt.Errorf("npm ci could not install Sendbird's SDK: %w\n%s", err, out)
		}
	})
	if fetched.skip != "" {
		t.Skip(fetched.skip)
	}
	if fetched.err != nil {
		t.Fatal(fetched.err)
	}
}

// sdk makes calls of the SDK, one after another.
func sdk(t *testing.T, w *harness.World, calls ...sdkCall) []sdkOutcome {
	t.Helper()
	fetch(t)
	input, err := json.Marshal(map[string]any{"base": w.Node.URL("api"), "calls": calls})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "sendbird.js")
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("node sendbird.js: %v\n%s", err, &stderr)
	}
	var outcomes []sdkOutcome
	if err := json.Unmarshal(stdout.Bytes(), &outcomes); err != nil || len(outcomes) != len(calls) {
		t.Fatalf("%v: %s", err, &stdout)
	}
	return outcomes
}

func sdkBlock(token, user string, data map[string]any, more ...string) sdkCall {
	options := map[string]any{"blockUserData": data}
	for _, m := range more {
		options[m] = true
	}
	return sdkCall{"blockUser", []any{token, user, options}}
}

func sdkList(token, user string, options map[string]any) sdkCall {
	return sdkCall{"listBlockedUsers", []any{token, user, options}}
}

func sdkUnblock(token, user, target string) sdkCall {
	return sdkCall{"unblockUserById", []any{token, user, target}}
}

func (o sdkOutcome) want(t *testing.T, what string, status int, pattern string) {
	t.Helper()
	if err := harness.Match(pattern, string(o.Body)); err != nil || o.Status != status {
		t.Errorf("%s: %d %s (%v), want %d %s", what, o.Status, o.Body, err, status, pattern)
	}
}

// users are the ids that the SDK has found in an answer, and its next.
func (o sdkOutcome) users(t *testing.T) (list []string, next string) {
	t.Helper()
	var data harness.SendbirdPage
	if err := json.Unmarshal(o.Data, &data); err != nil || o.Status != 200 || data.Users == nil || data.Next == nil {
		t.Fatalf("%v: %d %s, which the SDK makes %s of", err, o.Status, o.Body, o.Data)
	}
	for _, u := range data.Users {
		list = append(list, u.UserID)
	}
	return list, *data.Next
}

func TestS1_TheSDKBlocks(t *testing.T) {
	w := harness.Shared(t)
	token := harness.Bird.APIToken()
	jay, tom, ann, joe := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann"), harness.ID("Joe")
	got := sdk(t, w,
		sdkBlock(token, jay, map[string]any{"target_id": tom}, "model"),
		sdkBlock(token, jay, map[string]any{"target_id": tom, "user_id": jay}, "model"),
		sdkBlock(token, jay, map[string]any{"user_ids": []string{ann, joe}}))
	got[0].want(t, "one", 200, sbUser(tom))
	got[1].want(t, "again", 200, sbUser(tom))
	got[2].want(t, "two", 200, sbUsers("", ann, joe))
	if list := w.Targets(t, harness.Bird, jay); len(list) != 3 {
		t.Errorf("the list is %q", list)
	}
	if v := w.Node.Decide(t, harness.Question{App: harness.Bird, Sender: tom, Recipient: jay}); v != dropped {
		t.Errorf("blocked: %+v", v)
	}
}

func TestS2_TheSDKReadsAListInPages(t *testing.T) {
	w := harness.Shared(t)
	token, jay, targets := harness.Bird.APIToken(), harness.ID("Jay"), many(25)
	for _, target := range targets {
		w.Block(t, harness.Bird, jay, target)
	}
	want := reversed(targets)
	got := sdk(t, w,
		sdkList(token, jay, map[string]any{}),
		sdkList(token, jay, map[string]any{"limit": 100}),
		sdkList(token, jay, map[string]any{"userIds": want[3] + "," + want[7]}))
	ten, next := got[0].users(t)
	wantList(t, "by default", ten, want[:10])
	all, end := got[1].users(t)
	wantList(t, "limit 100", all, want)
	two, _ := got[2].users(t)
	wantList(t, "filtered", two, []string{want[3], want[7]})
	if next == "" || end != "" {
		t.Errorf("next is %q after ten and %q at the end", next, end)
	}
	for next != "" && len(ten) <= len(want) {
		var page []string
		page, next = sdk(t, w, sdkList(token, jay, map[string]any{"limit": 6, "token": next}))[0].users(t)
		ten = append(ten, page...)
	}
	wantList(t, "page by page", ten, want)
}

func TestS3_TheSDKUnblocks(t *testing.T) {
	w := harness.Shared(t)
	token := harness.Bird.APIToken()
	jay, tom := harness.ID("Jay/a b%+😀"), harness.ID("Tom/?#مرحبا%2F")
	got := sdk(t, w,
		sdkBlock(token, jay, map[string]any{"target_id": tom}, "model"),
		sdkList(token, jay, map[string]any{}),
		sdkUnblock(token, jay, tom),
		sdkUnblock(token, jay, tom),
		sdkList(token, jay, map[string]any{}))
	got[0].want(t, "blocked", 200, sbUser(tom))
	got[1].want(t, "listed", 200, sbUsers("", tom))
	got[2].want(t, "unblocked", 200, `{}`)
	got[3].want(t, "unblocked again", 200, `{}`)
	got[4].want(t, "nobody is left", 200, `{"users":[],"next":""}`)
	wantList(t, "native", w.Targets(t, harness.Bird, jay), []string{})
}

func TestS4_TheSDKSeesTheErrors(t *testing.T) {
	w := harness.Shared(t)
	token, jay := harness.Bird.APIToken(), harness.ID("Jay")
	got := sdk(t, w,
		sdkBlock("wrong", jay, map[string]any{"target_id": "Tom"}, "model"),
		sdkBlock(token, jay, map[string]any{}),
		sdkBlock(token, jay, map[string]any{"target_id": jay}, "model"),
		sdkBlock(token, jay, map[string]any{"user_ids": []int{7}}, "model"),
		sdkBlock(harness.Strict.APIToken(), jay, map[string]any{"target_id": harness.ID("nobody")}, "model"))
	got[0].want(t, "a wrong token", 400, sbError(400401))
	got[1].want(t, "no target", 400, sbError(400105))
	got[2].want(t, "oneself", 400, sbError(400112))
	got[3].want(t, "a number for an id", 400, sbError(400100))
	got[4].want(t, "an unknown user", 400, `{"message":"\"User\" not found.","code":400201,"error":true}`)
	wantList(t, "refused", w.Targets(t, harness.Bird, jay), []string{})
}
