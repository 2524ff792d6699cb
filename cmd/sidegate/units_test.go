package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

// units returns the unit files by name.
func units(t *testing.T) map[string]string {
	t.Helper()
	dir := filepath.Join(moduleRoot(t), "deploy", "systemd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

var (
	descriptorName = regexp.MustCompile(`(?m)^FileDescriptorName=(.*)$`)
	unitVariable   = regexp.MustCompile(`(?m)^Environment=(SIDEGATE_[A-Z_]+)=`)
)

// TestUnits: the sockets have the names of listeners, which is how they are known;
// the variables are keys; the command is one.
func TestUnits(t *testing.T) {
	all := units(t)
	var sockets []string
	for name, text := range all {
		if !strings.HasSuffix(name, ".socket") {
			continue
		}
		m := descriptorName.FindStringSubmatch(text)
		if m == nil || name != "sidegate-"+m[1]+".socket" || !strings.Contains(text, "\nService=sidegate.service\n") {
			t.Errorf("%s: %v", name, m)
			continue
		}
		sockets = append(sockets, m[1])
	}
	slices.Sort(sockets)
	if !slices.Equal(sockets, []string{"api", "check", "ops"}) {
		t.Errorf("there are sockets for %v", sockets)
	}
	service := all["sidegate.service"]
	for _, m := range unitVariable.FindAllStringSubmatch(service, -1) {
		if !slices.ContainsFunc(config.Keys(), func(k *config.Key) bool { return k.Env() == m[1] }) {
			t.Errorf("%s is no key", m[1])
		}
	}
	if !strings.Contains(service, "\nExecStart=/usr/local/bin/sidegate serve --config /etc/sidegate/sidegate.yaml\n") {
		t.Error("the command of the unit is not the one that the page installs")
	}
}

// TestUnitsAreVerified: systemd itself finds nothing wrong with them, and little
// that the service could still do to the machine.
func TestUnitsAreVerified(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("the units are verified by systemd-analyze, which is not installed")
	}
	dir := t.TempDir()
	verify, service := []string{"verify"}, ""
	for name, text := range units(t) {
		if strings.HasSuffix(name, ".sysusers") {
			continue
		}
		path := filepath.Join(dir, name)
		// A program that is there; nothing is started.
		text = strings.Replace(text, "/usr/local/bin/sidegate", builtProgram(t), 1)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if verify = append(verify, path); strings.HasSuffix(name, ".service") {
			service = path
		}
	}
	analyzed := func(args ...string) (string, bool) {
		t.Helper()
		out, err := exec.Command(analyze, args...).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), err == nil
	}
	if out, ok := analyzed(verify...); !ok || strings.Contains(out, dir) {
		t.Errorf("verify: %s", out)
	}
	// Exposure in tenths: below 2.0 of 10.
	out, ok := analyzed("security", "--no-pager", "--offline=true", "--threshold=20", service)
	if strings.Contains(out, "unrecognized option") {
		t.Skip("systemd-analyze is too old to judge a unit that is not installed")
	}
	if !ok {
		t.Errorf("security: %s", out)
	}
	t.Log(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:])

	// The judges see what is wrong.
	wrong := filepath.Join(dir, "wrong.service")
	if err := os.WriteFile(wrong, []byte("[Service]\nExecStart=/no/such/program\nTypo=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := analyzed("verify", wrong); !strings.Contains(out, "Typo") {
		t.Errorf("verify finds nothing wrong with nonsense: %s", out)
	}
	if out, ok := analyzed("security", "--no-pager", "--offline=true", "--threshold=20", wrong); ok {
		t.Errorf("a unit without any protection is good enough: %s", out)
	}
}

var (
	decisionPath = regexp.MustCompile(`(?m)^  path: /var/log/([a-z]+)/`)
	logsFolder   = regexp.MustCompile(`(?m)^LogsDirectory=(.*)$`)
)

// TestUnitLetsDecisionsBeWritten: the whole disk is read-only to the service, but for
// the folder that the page on the decision log writes to.
func TestUnitLetsDecisionsBeWritten(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "how-to", "decision-log.md"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := decisionPath.FindSubmatch(page)
	may := logsFolder.FindStringSubmatch(units(t)["sidegate.service"])
	if wanted == nil || may == nil || may[1] != string(wanted[1]) {
		t.Errorf("the page writes below /var/log/%s, the unit may write to %q", wanted, may)
	}
}

var (
	crashVariable = regexp.MustCompile(`(?m)^Environment=(GOTRACEBACK=.*)$`)
	staysDown     = regexp.MustCompile(`(?m)^RestartPreventExitStatus=(\d+)$`)
)

// TestAcceptCrashIsNoWrongConfiguration: Go ends a program that crashes with the code
// that a wrong configuration has, after which the unit starts nothing. SIGQUIT is such
// a crash.
func TestAcceptCrashIsNoWrongConfiguration(t *testing.T) {
	t.Parallel()
	service := units(t)["sidegate.service"]
	down := staysDown.FindStringSubmatch(service)
	if down == nil || down[1] != strconv.Itoa(exitUsage) {
		t.Fatalf("the unit stays down after %v", down)
	}
	environ := append(slices.Clone(anyPort), "SIDEGATE_POSTGRES_URL=postgres://127.0.0.1:1/none")
	for _, m := range crashVariable.FindAllStringSubmatch(service, -1) {
		environ = append(environ, m[1])
	}
	p := start(t, t.TempDir(), environ, "serve")
	p.printed(&p.stderr, regexp.MustCompile(`"msg":"sidegate serves"`))
	p.signal(syscall.SIGQUIT)
	if code := p.wait(); code == exitUsage {
		t.Errorf("a crash ends with %d, after which systemd does not start it again", code)
	}
}
