package packagetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeFile = "../compose/compose.yaml"

// compose loads the file as "docker compose config" does: against the schema, with
// variables filled in and every reference followed.
func compose(t *testing.T, environ ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{composeFile}, cli.WithEnv(environ))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func service(t *testing.T, p *types.Project, name string) types.ServiceConfig {
	t.Helper()
	s, err := p.GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestComposeStartsInOrder: the database answers before the schema is made, which is
// there before sidegate starts, which is ready before it is scraped.
func TestComposeStartsInOrder(t *testing.T) {
	p := compose(t)
	for _, want := range []struct{ name, after, condition string }{
		{"migrate", "postgres", types.ServiceConditionHealthy},
		{"sidegate", "migrate", types.ServiceConditionCompletedSuccessfully},
		{"prometheus", "sidegate", types.ServiceConditionHealthy},
	} {
		if got := service(t, p, want.name).DependsOn[want.after].Condition; got != want.condition {
			t.Errorf("%s starts after %s is %q, want %q", want.name, want.after, got, want.condition)
		}
	}
	if service(t, p, "postgres").HealthCheck == nil {
		t.Error("nothing says when Postgres is healthy; sidegate's image says it itself")
	}
	if got := service(t, p, "migrate").Restart; got != "no" {
		t.Errorf("the migration restarts: %q", got)
	}
}

// TestComposeConfines: what is ours may not write, has no capability and gets none.
func TestComposeConfines(t *testing.T) {
	p := compose(t)
	for _, name := range []string{"migrate", "sidegate", "prometheus"} {
		s := service(t, p, name)
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: read-only %v, drops %v, %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
	}
	for _, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", s.Name, port.Published, port.HostIP)
			}
		}
	}
	if service(t, p, "sidegate").MemLimit == 0 {
		t.Error("sidegate has no memory limit to size its cache by")
	}
}

// TestComposeFindsItsFiles: the Dockerfile, and what is mounted.
func TestComposeFindsItsFiles(t *testing.T) {
	p := compose(t)
	for _, s := range p.Services {
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", s.Name, v.Source)
			}
		}
	}
}

// TestComposeConfiguresSidegate: the program itself takes the variables of both
// containers, with the passwords of the file and with others.
func TestComposeConfiguresSidegate(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sidegate")
	build := exec.Command("go", "build", "-o", program, "./cmd/sidegate")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, environ := range [][]string{nil, {"POSTGRES_PASSWORD=other", "SIDEGATE_API_TOKEN=other-a", "SIDEGATE_CHECK_TOKEN=other-b"}} {
		p := compose(t, environ...)
		for _, name := range []string{"migrate", "sidegate"} {
			cmd := exec.Command(program, "config", "validate")
			for key, value := range service(t, p, name).Environment {
				cmd.Env = append(cmd.Env, key+"="+*value)
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s with %v: %v: %s", name, environ, err, out)
			}
			// The network of a compose file is this machine's own: no certificate
			// is there to be shown.
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "warning: ") && !strings.Contains(line, "postgres need not prove to be the database") {
					t.Errorf("%s with %v: %s", name, environ, line)
				}
			}
		}
		address := *service(t, p, "sidegate").Environment["SIDEGATE_POSTGRES_URL"]
		password := *service(t, p, "postgres").Environment["POSTGRES_PASSWORD"]
		if !strings.Contains(address, ":"+password+"@postgres:5432/") {
			t.Errorf("sidegate goes to %s, the password of the database is %s", address, password)
		}
	}
}

// TestComposeScrapes: Prometheus takes its configuration and the rules beside it.
func TestComposeScrapes(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: the configuration of Prometheus is not read")
	}
	text, err := os.ReadFile("../compose/prometheus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("../prometheus/rules")
	if err != nil {
		t.Fatal(err)
	}
	here := strings.ReplaceAll(string(text), "/etc/prometheus/rules", rules)
	if here == string(text) {
		t.Fatal("the configuration does not name the folder of the rules")
	}
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "config", file).CombinedOutput(); err != nil || strings.Contains(string(out), "0 rules found") {
		t.Errorf("%v: %s", err, out)
	}
}
