package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestDocumentedBlocksRun: whoever follows a page from its top to its end sees
// what the page says. Every page has a database and a sidegate of its own, as
// "make run" starts it.
func TestDocumentedBlocksRun(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the same is run without the race detector")
	}
	for page, text := range documents(t) {
		if page == "CHANGELOG.md" || strings.HasPrefix(page, "docs/reference/") {
			continue // made from what other tests run, or history
		}
		t.Run(strings.ReplaceAll(page, "/", "_"), func(t *testing.T) {
			t.Parallel()
			blocks, err := docBlocks(page, text)
			if err != nil {
				t.Fatal(err)
			}
			r := &docReader{t: t, dir: pgtest.Dir(t)}
			for i := len(blocks) - 1; i >= 0; i-- { // a file may be shown after its use
				r.write(blocks[i].file, blocks[i].text)
			}
			for i := range blocks {
				r.read(&blocks[i])
			}
		})
	}
}

// docReader is somebody who follows one page.
type docReader struct {
	t       *testing.T
	dir     string
	dsn     string
	serving *process
	places  *strings.Replacer // from what the page says to where it is
	printed string            // by the block before
}

// read does what a block says.
func (r *docReader) read(b *docBlock) {
	r.t.Helper()
	r.write(b.file, b.text)
	if b.notRun != "" {
		return
	}
	switch b.language {
	case "sh":
		r.printed = r.shell(b, b.text)
	case "output":
		if !shows(b.text, r.printed) {
			r.t.Errorf("%v: promised\n%s\nprinted\n%s", b, b.text, r.printed)
		}
	case "console":
		steps, err := b.steps()
		if err != nil {
			r.t.Fatal(err)
		}
		for _, step := range steps {
			if got := r.shell(b, step[0]); step[1] != "" && !shows(step[1], got) {
				r.t.Errorf("%v: %spromised\n%s\nprinted\n%s", b, step[0], step[1], got)
			}
		}
	case "sql":
		r.start("")
		r.printed = psql(r.t, r.dsn, b.text)
	case "json":
		if err := b.checkJSON(); err != nil {
			r.t.Error(err)
		}
	case "yaml":
		r.configuration(b)
	}
}

// write writes a file of the page's directory; "" is none.
func (r *docReader) write(name, text string) {
	r.t.Helper()
	if name == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// configuration loads a block and serves it, if it says so. A manifest is another
// test's.
func (r *docReader) configuration(b *docBlock) {
	r.t.Helper()
	if regexp.MustCompile(`(?m)^kind:`).MatchString(b.text) {
		return
	}
	name := b.file
	if name == "" {
		name = "block.yaml"
		r.write(name, b.text)
	}
	file := filepath.Join(r.dir, name)
	if _, err := config.Load(config.Source{File: file}); err != nil {
		r.t.Errorf("%v: %v\n%s", b, err, b.text)
	}
	if b.served {
		r.start(file)
	}
}

// docGreeting finds what runs where, and the token of staff.
var docGreeting = regexp.MustCompile(`(?s)check +http://(\S+).*api +http://(\S+).*ops +http://(\S+).*Authorization: Bearer (\S+)'.*Ctrl-C stops everything`)

// start starts sidegate as "make run" does, but on free ports and on the shared
// server, unless it runs already and no other configuration is asked for.
func (r *docReader) start(file string) {
	r.t.Helper()
	if r.serving != nil && file == "" {
		return
	}
	if r.serving != nil {
		r.serving.signal(syscall.SIGTERM)
		r.serving.wait()
	} else {
		r.dsn = pgtest.Database(r.t)
		if err := os.Mkdir(filepath.Join(r.dir, "bin"), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.Symlink(builtProgram(r.t), filepath.Join(r.dir, "bin", "sidegate")); err != nil {
			r.t.Fatal(err)
		}
	}
	args := []string{"dev", "--postgres-url", r.dsn}
	if file != "" {
		args = append(args, "--config", file)
	}
	r.serving = start(r.t, r.dir, []string{
		"SIDEGATE_CHECK_LISTEN=127.0.0.1:0,unix://" + r.socket(), "SIDEGATE_API_LISTEN=127.0.0.1:0", "SIDEGATE_OPS_LISTEN=127.0.0.1:0",
		"SIDEGATE_CHECK_AT_LEAST_TIMEOUT=10s", "SIDEGATE_LOG_FORMAT=json",
	}, args...)
	greeting := r.serving.printed(&r.serving.stdout, docGreeting)
	r.places = strings.NewReplacer(
		"127.0.0.1:7070", greeting[1], "127.0.0.1:7071", greeting[2], "127.0.0.1:7072", greeting[3],
		"/run/sidegate/sidegate.sock", r.socket(), "127.0.0.1:8080", freeAddress(r.t), "go run ./", "go -C "+moduleRoot(r.t)+" run ./", "SIDEGATE_TOKEN=…", "SIDEGATE_TOKEN="+greeting[4],
	)
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *docReader) socket() string { return filepath.Join(r.dir, "s.sock") }

// docPatience is the longest that a block may take.
const docPatience = 2 * time.Minute

// shell runs commands in the page's directory and returns what they print. What
// one block exports the next one has.
func (r *docReader) shell(b *docBlock, commands string) string {
	r.t.Helper()
	r.start("")
	ctx, cancel := context.WithTimeout(r.t.Context(), docPatience)
	defer cancel()
	const environ = ".environ" // what the blocks before have exported
	script := fmt.Sprintf("[ ! -f %[1]s ] || . ./%[1]s\n%[2]s\n", environ, r.places.Replace(commands))
	if b.running {
		ctx = r.t.Context()
	} else {
		script += "declare -px > " + environ + "\n"
	}
	cmd := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", script)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"), "DATABASE_URL="+r.dsn,
		r.places.Replace("SIDEGATE_CHECK_URL=http://127.0.0.1:7070"), r.places.Replace("SIDEGATE_API_URL=http://127.0.0.1:7071"),
		r.places.Replace("SIDEGATE_OPS_URL=http://127.0.0.1:7072"))
	// A group of its own, so that what a shell starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if b.running {
		if err := cmd.Start(); err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended, and it with it
		return ""
	}
	if err := cmd.Run(); err != nil {
		r.t.Errorf("%v: %v\n%s\n%s%s", b, err, commands, &stdout, &stderr)
	}
	return stdout.String()
}
