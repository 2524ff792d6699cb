package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// cluster is a directory with everything needed to run a server on it.
type cluster struct {
	layout
	install
	account
	opts Options
}

// openCluster decides whom to run as and with which binaries, and says so when
// the existing data fits neither. It changes nothing.
func openCluster(ctx context.Context, l layout, f finder, opts Options) (cluster, error) {
	a, err := chooseAccount(l.data())
	if err != nil {
		return cluster{}, err
	}
	made, err := l.madeBy()
	if err != nil {
		return cluster{}, err
	}
	in, err := f.choose(ctx, made)
	if errors.Is(err, ErrVersion) {
		err = fmt.Errorf("%s: %w", l.data(), err)
	}
	return cluster{layout: l, install: in, account: a, opts: opts}, err
}

// exists reports whether the data directory has been made. It is renamed into
// place when complete: a half-made one is never under this name.
func (c cluster) exists() bool {
	_, err := os.Stat(c.data())
	return err == nil
}

// create makes an empty cluster: UTF8, whose byte order of text equals that of Go,
// trust on the socket and a password on TCP.
func (c cluster) create(ctx context.Context) error {
	return c.build(ctx, func(dir string) *exec.Cmd {
		args := []string{
			"-D", dir, "-U", superuser, "--encoding=UTF8", "--locale=C", "--no-instructions",
			"--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", c.password(),
		}
		if !c.opts.Durable {
			args = append(args, "--no-sync")
		}
		return c.command(ctx, "initdb", args...)
	})
}

// copyFrom makes a standby of the server at the URL.
func (c cluster) copyFrom(ctx context.Context, primary string) error {
	return c.build(ctx, func(dir string) *exec.Cmd {
		args := []string{
			"-D", dir, "-d", primary, "--write-recovery-conf",
			"--wal-method=stream", "--checkpoint=fast", "--no-password",
		}
		if !c.opts.Durable {
			args = append(args, "--no-sync")
		}
		return c.command(ctx, "pg_basebackup", args...)
	})
}

// build runs a tool that fills a new data directory and moves it to its name when
// the tool has succeeded.
func (c cluster) build(ctx context.Context, tool func(dir string) *exec.Cmd) error {
	dir := c.data() + ".new"
	// What is there was left by an attempt that was killed: the caller holds the
	// lock, so nobody is filling it now.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := c.account.mkdir(dir); err != nil {
		return err
	}
	cmd := tool(dir)
	out := &tail{next: c.opts.Log}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if err == nil {
		return os.Rename(dir, c.data())
	}
	err = c.explain(fmt.Errorf("%s: %w: %s", cmd.Args[0], err, out), dir)
	return errors.Join(err, os.RemoveAll(dir))
}

// explain replaces the error of a tool that may not use a path by the reason.
func (c cluster) explain(err error, path string) error {
	if !c.drop || !strings.Contains(strings.ToLower(err.Error()), fs.ErrPermission.Error()) {
		return err
	}
	if reason := c.reach(path); reason != nil {
		return reason
	}
	return err
}

// postmaster returns the command that runs the server in the foreground.
func (c cluster) postmaster(e endpoint) *exec.Cmd {
	settings := map[string]string{
		"listen_addresses":        loopback,
		"port":                    strconv.Itoa(e.port),
		"unix_socket_directories": `"` + strings.ReplaceAll(e.socketDir, `"`, `""`) + `"`,
		"unix_socket_permissions": "0700",
		"cluster_name":            "sidegate",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
	}
	if !c.opts.Durable {
		// The operating system keeps written pages when the server is killed, so
		// even kill -9 loses nothing; a power cut does.
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, c.opts.Settings)
	args := []string{"-D", c.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	// Not bound to a context: the server ends by Stop or Kill.
	return c.command(context.Background(), "postgres", args...)
}

// command returns a tool set up to run as the account, out of reach of the
// terminal's Ctrl-C.
func (c cluster) command(ctx context.Context, tool string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.tool(tool), args...)
	cmd.Args[0] = tool
	// Our own working directory may be one that the account cannot enter, and
	// initdb changes back to it.
	cmd.Dir = "/"
	// Nothing of our environment: PGDATA and the like would redirect the tools,
	// and secrets meant for us would show in the server's /proc/PID/environ.
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.gid)}
	}
	return cmd
}
