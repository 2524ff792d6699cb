package kubetest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// TestTheExampleRuns is docs/how-to/kubernetes.md from its top to its end, without
// the cluster: the Job migrates, the page's SQL makes the users, the sidecar and the
// API server start as those users with what their containers have, a block is
// written to the one and enforced by the other.
func TestTheExampleRuns(t *testing.T) {
	admin := database(t)
	list := render(t, filepath.Join(kustomizeRoot, "example"))
	as := func(name string) runnable {
		for _, w := range workloads(list) {
			if w.name != name {
				continue
			}
			all := containers(w.pod)
			c := all[slices.IndexFunc(all, isOurs)]
			known := secrets(t)
			known["postgres-url"] = map[string]string{
				"sidegate-migrate": admin,
				"sidegate-api":     withUser(t, admin, "sidegate_server"),
				"chat":             withUser(t, admin, "sidegate_sidecar"),
			}[name]
			return given{list, nil, known}.prepare(t, w.pod, c)
		}
		t.Fatalf("there is no workload %s", name)
		return runnable{}
	}

	job := as("sidegate-migrate")
	if code, out := job.run(t, job.args...); code != 0 {
		t.Fatalf("the migration ends with %d: %s", code, out)
	}
	makeUsers(t, admin)
	chat, api := as("chat").serve(t), as("sidegate-api").serve(t)
	for _, running := range []serving{chat, api} {
		for _, probe := range []string{"/startupz", "/readyz"} {
			waitFor(t, probe, func() bool { return get(t, "http://"+running.listeners["ops"][0]+probe) == http.StatusOK })
		}
	}
	socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(chat.listeners["check"][0], "unix://"))
	}}}
	delivered := func() bool {
		var decision struct{ Deliver *bool }
		ask(t, socket, http.MethodGet, "http://localhost/v1/can-deliver?sender=alice&recipient=bob&room_type=direct", &decision)
		return *decision.Deliver
	}
	if !delivered() {
		t.Fatal("alice is withheld before bob has blocked her")
	}
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask(t, direct, http.MethodPut, "http://"+api.listeners["api"][0]+"/v1/apps/default/users/bob/blocks/alice", nil)
	waitFor(t, "the block", func() bool { return !delivered() })
}

// database starts a private Postgres and returns its address as administrator.
func database(t *testing.T) string {
	t.Helper()
	// Not t.TempDir: a socket's path is short, and Postgres may run as another user.
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pg := localpg.New(localpg.Options{Dir: filepath.Join(dir, "postgres")})
	t.Cleanup(func() {
		if err := pg.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	if err := pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return pg.DSN("postgres")
}

// withUser is an address with another user, who needs no password on the socket.
func withUser(t *testing.T, dsn, user string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Del("user")
	u.RawQuery, u.User = query.Encode(), url.User(user)
	return u.String()
}

// makeUsers runs the SQL of the page.
func makeUsers(t *testing.T, admin string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docsRoot, "how-to", "kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```sql[^\n]*\n(.*?)^```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no SQL")
	}
	db, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	if _, err := db.Exec(t.Context(), string(block[1])); err != nil {
		t.Fatalf("%v\n%s", err, block[1])
	}
}

// ask makes a request with the token of a backend and reads the answer into into,
// unless that is nil.
func ask(t *testing.T, client *http.Client, method, to string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+apiToken)
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s, %v", method, to, answer.StatusCode, body, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

// waitFor waits for a condition, however slow the machine is.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}
