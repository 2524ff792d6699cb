package main

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestAcceptDev is the first hour with sidegate: start it with nothing
// configured, paste what it prints, stop it, come back to one's data, and lose
// nothing and leave nothing behind even when it is killed.
func TestAcceptDev(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	environ := devEnviron(t)

	first := startDev(t, dir, environ)
	lines := first.commands()
	for i, want := range []string{
		`^{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}$`,
		`^{"owner":"carol","target":"dave",.*"revision":"[^"]+"}$`,
		`^{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}$`,
		`^INSERT 0 1$`,
		`^{.*"sync":{"state":"synced",.*}$`,
	} {
		if got := paste(t, lines[i]); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s\nprinted %s\nwant    %s", lines[i], got, want)
		}
	}
	erin := question{sender: "frank", recipient: "erin"}
	first.enforced(erin, dropped) // the INSERT that was pasted
	first.block("default", "gina", "hank")

	second := start(t, dir, anyPort, "dev")
	if code := second.wait(); code != exitStore || !strings.Contains(second.stderr.String(), "in use") {
		t.Errorf("a second dev on the same data ended with code %d and printed %s", code, &second.stderr)
	}

	first.interrupt()
	if code := first.wait(); code != exitOK {
		t.Errorf("after Ctrl-C the exit code is %d", code)
	}
	first.leftNothing()

	killed := startDev(t, dir, environ)
	for _, line := range killed.commands() {
		paste(t, line) // they work a second time
	}
	for _, q := range []question{erin, {sender: "hank", recipient: "gina"}, {sender: "dave", recipient: "carol"}} {
		if got := killed.decide(q); got != dropped {
			t.Errorf("after a restart %+v is decided as %+v", q, got)
		}
	}
	killed.signal(syscall.SIGKILL)
	killed.wait()
	waitFor(t, "Postgres ends with the program that was killed", func() bool { return len(killed.remains()) == 0 })

	// Who rotates logs sends this signal to serve; to dev it is the terminal's end.
	logging := slices.Concat(environ, []string{"SIDEGATE_DECISION_LOG_PATH=" + filepath.Join(t.TempDir(), "decisions")})
	hungUp := startDev(t, dir, logging)
	hungUp.signal(syscall.SIGHUP)
	hungUp.wait()
	waitFor(t, "Postgres ends with the terminal", func() bool { return len(hungUp.remains()) == 0 })

	third := startDev(t, dir, environ)
	if got := third.decide(erin); got != dropped {
		t.Errorf("after a kill %+v is decided as %+v", erin, got)
	}
	third.signal(syscall.SIGTERM)
	if code := third.wait(); code != exitOK {
		t.Errorf("after SIGTERM the exit code is %d", code)
	}
	third.leftNothing()
}

// devEnviron is empty, unless somebody else uses the default ports.
func devEnviron(t *testing.T) []string {
	for _, address := range []string{"127.0.0.1:7070", "127.0.0.1:7071", "127.0.0.1:7072"} {
		if !isFree(address) {
			t.Logf("%s is in use here, so this run takes other ports than the default ones", address)
			return []string{"SIDEGATE_CHECK_LISTEN=127.0.0.1:0", "SIDEGATE_API_LISTEN=127.0.0.1:0", "SIDEGATE_OPS_LISTEN=127.0.0.1:0"}
		}
	}
	return nil
}

// dev is a run of "sidegate dev".
type dev struct {
	*sidecar
	dir string
}

var listenerLine = regexp.MustCompile(`(?m)^  (check|api|ops) +(http://\S+) +\S`)

// startDev returns when the greeting has been printed whole.
func startDev(t *testing.T, dir string, environ []string) *dev {
	t.Helper()
	p := start(t, dir, environ, "dev")
	p.printed(&p.stdout, regexp.MustCompile(`(?m)^Ctrl-C stops everything.*\n`))
	urls := map[string]string{}
	for _, m := range listenerLine.FindAllStringSubmatch(p.stdout.String(), -1) {
		urls[m[1]] = m[2]
	}
	if len(urls) != 3 {
		t.Fatalf("the greeting names the listeners %v, want three", urls)
	}
	return &dev{newSidecar(p, urls), dir}
}

var commandLine = regexp.MustCompile(`(?m)^  ((?:curl|psql) .*)$`)

// commands returns the commands of the greeting.
func (d *dev) commands() (lines []string) {
	d.t.Helper()
	for _, m := range commandLine.FindAllStringSubmatch(d.stdout.String(), -1) {
		lines = append(lines, m[1])
	}
	if len(lines) != 5 {
		d.t.Fatalf("the greeting has the commands %q, want five", lines)
	}
	return lines
}

// paste runs a line as a shell does and returns what it prints.
func paste(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.TrimSpace(string(out))
}

var psqlPort = regexp.MustCompile(`[?&]port=(\d+)`)

// leftNothing checks that everything which the run had started has ended.
func (d *dev) leftNothing() {
	d.t.Helper()
	if !strings.HasSuffix(d.stdout.String(), "\nStopped.\n") {
		d.t.Error("the last word is not that everything has stopped")
	}
	if left := d.remains(); len(left) > 0 {
		d.t.Errorf("still there: %v", left)
	}
}

// remains lists what is left of a run: listeners, and processes that work in
// its data directory, as every process of Postgres does.
func (d *dev) remains() (left []string) {
	addresses := []string{net.JoinHostPort("127.0.0.1", psqlPort.FindStringSubmatch(d.stdout.String())[1])}
	for _, address := range d.urls {
		u, err := url.Parse(address)
		if err != nil {
			d.t.Fatal(err)
		}
		addresses = append(addresses, u.Host)
	}
	return append(slices.DeleteFunc(addresses, isFree), processesIn(d.t, filepath.Join(d.dir, ".sidegate"))...)
}

// processesIn lists the processes that work in a directory. There is no such
// list but on Linux; elsewhere the port of Postgres has to do.
func processesIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		// Who has ended meanwhile, or is another's, is not ours.
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			found = append(found, link+" → "+cwd)
		}
	}
	return found
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	return err == nil && l.Close() == nil
}
