package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/prober"
)

// probed runs a probe against an api listener until its metrics are as they are
// waited for, ends it as Ctrl-C does, and reads what it prints as JSON. A machine
// that has no time for us has all the time it needs.
func probed(t *testing.T, api *sidecar, enough func(seen map[string]float64) bool, args ...string) (probeJSON, *process) {
	t.Helper()
	p := start(t, t.TempDir(), []string{"SIDEGATE_TOKEN=" + apiToken}, append([]string{"probe", "--json", "--api-url", api.urls["api"],
		"--interval", "50ms", "--duration", "0", "--listen", "127.0.0.1:0"}, args...)...)
	ops := newSidecar(p, map[string]string{"ops": p.printed(&p.stderr, regexp.MustCompile(`metrics: (http://\S+)/metrics`))[1]})
	waitFor(t, "the probe has seen enough", func() bool { return enough(ops.samples()) })
	p.interrupt()
	p.wait()
	var report probeJSON
	if err := json.Unmarshal([]byte(p.stdout.String()), &report); err != nil {
		t.Fatal(err)
	}
	return report, p
}

// code is the exit code of a process that has ended.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// windowsOf is how many windows were measured of a target.
func windowsOf(seen map[string]float64, target string) float64 {
	return seen[`sidegate_probe_window_seconds_count{sidecar="`+target+`"}`]
}

// violationsOf is how often a target broke a rule, and whether that is shown at all.
func violationsOf(seen map[string]float64, kind prober.Kind, target string) (n float64, there bool) {
	n, there = seen[fmt.Sprintf(`sidegate_probe_violations_total{kind="%s",sidecar="%s"}`, kind, target)]
	return n, there
}

// patient makes the bound of a probe so wide that only a wrong answer breaks it, and no
// busy machine.
const patient = "--soft-bound=20s"

// noneLeft fails the test if a prober has left an entry on a list.
func noneLeft(t *testing.T, dsn string) {
	t.Helper()
	if left := psql(t, dsn, "SELECT owner, target FROM sidegate.block WHERE owner LIKE 'sidegate-probe-%' OR target LIKE 'sidegate-probe-%'"); left != "" {
		t.Errorf("left behind are\n%s", left)
	}
}

// TestAcceptProbe: two sidecars on one database, one of them on a socket, are clean,
// and nothing is left on any list.
func TestAcceptProbe(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	api := startSidecar(t, dsn, "").ready()
	socket := filepath.Join(t.TempDir(), "s.sock")
	startSidecar(t, dsn, "", "SIDEGATE_API_LISTEN=", "SIDEGATE_CHECK_LISTEN=unix://"+socket).ready()
	report, p := probed(t, api, func(seen map[string]float64) bool {
		return windowsOf(seen, api.urls["check"]) > 5 && windowsOf(seen, "unix://"+socket) > 5
	}, "--target", api.urls["check"], "--target", "unix://"+socket, patient)
	if p.code() != exitOK || report.Verdict != prober.Clean || len(report.Targets) != 2 || report.Writes.Acknowledged < 5 {
		t.Fatalf("exit code %d: %+v", p.code(), report)
	}
	for _, target := range report.Targets {
		if target.Seen == 0 || target.Reads < target.Seen || target.MaxMS < target.P50MS || target.Silent || target.Behind {
			t.Errorf("%+v", target)
		}
	}
	noneLeft(t, dsn)
	if n := psql(t, dsn, "SELECT count(*) FROM sidegate.owner WHERE owner LIKE 'sidegate-probe-%'"); n != "6" {
		t.Errorf("there are %s heads of lists, 6 are meant", n)
	}
}

// TestAcceptProbeEnds: a probe whose time is over prints a page.
func TestAcceptProbeEnds(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	api := startSidecar(t, dsn, "").ready()
	got := runProgram(t, []string{"SIDEGATE_TOKEN=" + apiToken, "SIDEGATE_CHECK_URL=" + api.urls["check"]},
		"probe", "--api-url", api.urls["api"], "--interval", "20ms", "--duration", "1s", patient)
	if got.code != exitOK || !strings.HasPrefix(got.stdout, "CLEAN: every write") || !strings.Contains(got.stdout, "\nTARGET ") {
		t.Errorf("%+v", got)
	}
	noneLeft(t, dsn)
}

// TestAcceptProbeFrozen: a sidecar that is frozen is not reached, and not wrong; the
// other one is clean all the same.
func TestAcceptProbeFrozen(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	api := startSidecar(t, dsn, "").ready()
	other := startSidecar(t, dsn, "", "SIDEGATE_API_LISTEN=").ready()
	other.signal(syscall.SIGSTOP)
	report, p := probed(t, api, func(seen map[string]float64) bool {
		return windowsOf(seen, api.urls["check"]) > 5 && seen[`sidegate_probe_unanswered_total{sidecar="`+other.urls["check"]+`"}`] > 0
	}, "--target", api.urls["check"], "--target", other.urls["check"], "--timeout", "1s", "--soft-bound", "2s")
	other.signal(syscall.SIGCONT)
	if p.code() != exitUnreachable || report.Verdict != prober.Unreached || !strings.Contains(p.stderr.String(), "not every target was reached") {
		t.Fatalf("exit code %d: %+v", p.code(), report)
	}
	if here, there := report.Targets[0], report.Targets[1]; here.Silent || here.Behind || !there.Silent || there.Unreached == 0 || len(report.Violations) > 0 {
		t.Errorf("%+v", report)
	}
	noneLeft(t, dsn)
}

// liar stands before a sidecar and spoils its answers.
type liar struct {
	front string
	lies  atomic.Int64
}

// lie puts a proxy in front of a check listener; spoil may change the question, and
// returns what is answered in place of the answer, "" for nothing.
func lie(t *testing.T, s *sidecar, spoil func(query url.Values, answer string) string) *liar {
	t.Helper()
	l := &liar{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if query.Has("at_least") {
			if instead := spoil(query, ""); instead == "ignore" {
				l.lies.Add(1)
				query.Del("at_least")
			}
		}
		resp, err := http.Get(s.urls["check"] + r.URL.Path + "?" + query.Encode())
		if err != nil {
			http.Error(w, "no answer", http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body) // what is broken off is no decision
		if instead := spoil(query, string(text)); instead != "" {
			l.lies.Add(1)
			text = []byte(instead)
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(text)
	}))
	t.Cleanup(front.Close)
	l.front = front.URL
	return l
}

const (
	saidAllowed = `{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"}`
	saidBlocked = `{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}`
)

// TestAcceptProbeFindsLies: of two ways to the same sidecar the one with a liar in
// between is found out, by the kind of its lie, and the other is clean.
func TestAcceptProbeFindsLies(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	api := startSidecar(t, dsn, "").ready()
	// This one is cut off from the database, and says so: its feed polls nothing.
	behind := startSidecar(t, dsn, "", "SIDEGATE_API_LISTEN=", "SIDEGATE_SYNC_POLL_INTERVAL=1m", "SIDEGATE_SYNC_SOFT_BOUND=1m").ready()

	var mu sync.Mutex
	shown := map[string]bool{} // the lists on which somebody was once
	for _, tc := range []struct {
		name    string
		sidecar *sidecar
		kind    prober.Kind
		spoil   func(query url.Values, answer string) string
	}{
		{"old and does not say so", api, prober.TooOld, func(_ url.Values, answer string) string {
			if strings.Contains(answer, "recipient_blocked_sender") {
				return saidAllowed
			}
			return ""
		}},
		{"back to what was before", api, prober.FellBack, func(query url.Values, answer string) string {
			mu.Lock()
			defer mu.Unlock()
			list := query.Get("recipient")
			if !strings.Contains(answer, "recipient_blocked_sender") {
				return ""
			}
			if shown[list] = !shown[list]; shown[list] {
				return ""
			}
			return saidAllowed
		}},
		{"at_least is ignored", behind, prober.AtLeast, func(query url.Values, _ string) string {
			if query.Has("at_least") {
				return "ignore"
			}
			return ""
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			liar := lie(t, tc.sidecar, tc.spoil)
			report, p := probed(t, api, func(seen map[string]float64) bool {
				n, _ := violationsOf(seen, tc.kind, liar.front)
				return n > 0
			}, "--target", api.urls["check"], "--target", liar.front, "--soft-bound", "500ms")
			if p.code() != exitWithheld || report.Verdict != prober.Wrong || len(report.Targets) != 2 || liar.lies.Load() == 0 {
				t.Fatalf("exit code %d after %d lies: %+v", p.code(), liar.lies.Load(), report)
			}
			if good := report.Targets[0]; len(good.Violations) > 0 {
				t.Errorf("accused is %+v", good)
			}
			if report.Targets[1].Violations[tc.kind] == 0 || len(report.Violations) == 0 || report.Violations[0].Target != liar.front {
				t.Errorf("found %+v", report)
			}
			if !strings.Contains(p.stderr.String(), "a probe was answered wrongly") {
				t.Errorf("the log says %s", &p.stderr)
			}
		})
	}
	noneLeft(t, dsn)
}

// TestAcceptProbeServed: a process that serves probes itself and another one, and
// leaves nothing behind when it is stopped.
func TestAcceptProbeServed(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	other := startSidecar(t, dsn, "", "SIDEGATE_API_LISTEN=").ready()
	s := startSidecar(t, dsn, "apps: {probe: {}}\ncheck: {tokens: [a-token-of-the-check-listener]}\n"+
		"probe: {interval: 20ms, app: probe, token: a-token-of-the-check-listener}").ready()
	two := startSidecar(t, dsn, "probe: {interval: 20ms, targets: ['"+other.urls["check"]+"']}").ready()
	for _, at := range []struct {
		*sidecar
		target string
	}{{s, ownTarget}, {two, other.urls["check"]}} {
		waitFor(t, "windows are measured", func() bool {
			seen := at.samples()
			for _, kind := range []prober.Kind{prober.TooOld, prober.AtLeast, prober.FellBack} {
				if n, there := violationsOf(seen, kind, at.target); !there || n != 0 {
					t.Fatalf("%v violations of the kind %s (%t)", n, kind, there)
				}
			}
			return windowsOf(seen, at.target) > 5 && seen[`sidegate_probe_writes_total{outcome="acknowledged"}`] > 5
		})
		at.signal(syscall.SIGTERM)
		if code := at.wait(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
	}
	noneLeft(t, dsn)
	if got := psql(t, dsn, "SELECT DISTINCT app, source FROM sidegate.history ORDER BY 1"); got != "default|probe\nprobe|probe" {
		t.Errorf("history says %q", got)
	}
}

// TestProbeUsage: what cannot be probed is said before anything is written.
func TestProbeUsage(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"deliver":true,"notify":true,"action":"deliver","reason":"room_not_filtered"}`)
	}))
	defer odd.Close()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"title":"no such app","status":404,"code":"unknown_app"}`)
	}))
	defer refuses.Close()
	const nowhere = "http://127.0.0.1:1"
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"--interval 1ms", exitUsage, "from 10ms to 5m0s"},
		{"--interval 6m", exitUsage, "from 10ms to 5m0s"},
		{"--duration -1s", exitUsage, "--duration"},
		{"--target ftp://x", exitUsage, "no address of a listener"},
		{"--target " + nowhere + " --target " + nowhere, exitUsage, "named twice"},
		{"--target dns:nobody", exitUsage, "dns:NAME:PORT"},
		{"--token x --token-file " + token, exitUsage, "choose one"},
		{"--token-file " + token, exitUsage, "does not hold one token"},
		{"--check-token-file /nowhere", exitUsage, "--check-token-file"},
		{"--token-file /dev/zero", exitUsage, "/dev/zero is larger than 4MiB"},
		{"--target " + odd.URL, exitUsage, "not decided by block lists alone"},
		{"--target " + refuses.URL, exitUsage, "unknown_app"},
		{"--listen nowhere --target " + nowhere, exitUsage, "--listen"},
		{"--target " + nowhere, exitUnreachable, "no sidegate answers"},
	} {
		got := command(t, nil, append([]string{"probe", "--api-url", nowhere, "--check-url", nowhere}, strings.Fields(tc.args)...)...)
		if got.code != tc.code || !strings.Contains(got.stderr, tc.want) {
			t.Errorf("%s: %+v", tc.args, got)
		}
	}
}

// TestNamedTargets: the addresses behind a name keep their places while they are
// there, and nobody takes a place over unnoticed.
func TestNamedTargets(t *testing.T) {
	targets, err := newProbeTargets([]string{"dns+https:pods:7070"}, "default", dialing{})
	if err != nil {
		t.Fatal(err)
	}
	named := targets.named[0]
	var addrs []netip.Addr
	named.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return addrs, nil }
	for i, tc := range []struct{ addrs, want string }{
		{"10.0.0.2 10.0.0.1 10.0.0.2", "#1=10.0.0.1 #2=10.0.0.2"},
		{"10.0.0.2 10.0.0.3", "#2=10.0.0.2 #3=10.0.0.3"},
		{"10.0.0.2 10.0.0.3 fd00::1", "#1=fd00::1 #2=10.0.0.2 #3=10.0.0.3"},
		{"fd00::1", "#1=fd00::1"},
	} {
		addrs = nil
		for text := range strings.FieldsSeq(tc.addrs) {
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		found, err := targets.find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			number := 0
			if _, err := fmt.Sscanf(f.Name, "dns+https:pods:7070#%d", &number); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("#%d=%s", number, named.places[number].at))
		}
		if text := strings.Join(got, " "); text != tc.want {
			t.Errorf("look %d: %s, want %s", i, text, tc.want)
		}
	}
	if transport := named.places[1].client.http.Transport.(*http.Transport); transport.TLSClientConfig.ServerName != "pods" {
		t.Errorf("the certificate has to be for %q", transport.TLSClientConfig.ServerName)
	}
	targets.close()
}
