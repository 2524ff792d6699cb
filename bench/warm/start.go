package warm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// configuration is the program as it is delivered, with room for all lists and for
// the last file to be written.
const configuration = `
check: {listen: []}
api: {listen: []}
ops: {listen: [%q]}
cache: {max_bytes: 1GiB, warm_file: %q}
shutdown_timeout: 9s
log: {format: text}
apps: {` + seed.App + `: {}}
`

// start is one start of the program until all lists are in memory.
type start struct {
	ready time.Duration // until /readyz was green
	all   time.Duration // until all lists were in memory as well
	own   time.Duration // CPU of the program
	rows  float64       // of lists and headers, and changes, that were read
	end   time.Duration // from SIGTERM to the end of the process
	file  float64       // bytes of the file that it left
}

// all is what the program logs when its memory is full, and warmed when it has taken
// over that of another.
var (
	all    = regexp.MustCompile(`msg="all lists are in memory".* entries=(\d+)`)
	warmed = regexp.MustCompile(`msg="started warm`)
)

// startOnce starts the program, waits until all of so many entries are in memory,
// and ends it.
func startOnce(ctx context.Context, env *study.Env, db *seed.Database, entries int, warm bool) (out start, err error) {
	address, err := freePort(ctx)
	if err != nil {
		return out, err
	}
	config, file := filepath.Join(env.Scratch, "sidegate.yaml"), filepath.Join(env.Scratch, "warm")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, address, file), 0o600); err != nil {
		return out, err
	}
	before, err := rowsRead(ctx, db)
	if err != nil {
		return out, err
	}
	begun := time.Now()
	p, err := load.StartProcess(exec.Command(env.Program, "serve", "--config", config, "--postgres-url", db.DSN))
	if err != nil {
		return out, err
	}
	defer p.Stop()
	err = out.await(ctx, p, "http://"+address+"/readyz", begun)
	if err == nil {
		err = judge(p.Output(), entries, warm)
	}
	if err != nil {
		return out, err
	}
	if out.own, err = load.CPU(p.PID()); err != nil {
		return out, err
	}
	told := time.Now()
	p.Stop()
	out.end = time.Since(told)
	after, err := rowsRead(ctx, db)
	if err != nil {
		return out, err
	}
	out.rows = after - before
	info, err := os.Stat(file)
	if err != nil {
		return out, fmt.Errorf("it left no warm file: %w: %s", err, p.Output())
	}
	out.file = float64(info.Size())
	return out, nil
}

// lookEvery is how exactly a start is timed.
const lookEvery = 2 * time.Millisecond

// await waits until the process is ready and all is in memory.
func (s *start) await(ctx context.Context, p *load.Process, readyz string, begun time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if s.ready == 0 && isGreen(ctx, readyz) {
			s.ready = time.Since(begun)
		}
		if s.all == 0 && all.MatchString(p.Output()) {
			s.all = time.Since(begun)
		}
		if s.ready > 0 && s.all > 0 {
			s.all = max(s.all, s.ready)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not get ready: %w: %s", ctx.Err(), p.Output())
		}
	}
}

// judge holds a start against what it was to be.
func judge(log string, entries int, warm bool) error {
	found := all.FindStringSubmatch(log)
	if want := strconv.Itoa(entries); found == nil || found[1] != want {
		return fmt.Errorf("%q entries are in memory, want %s: %s", found, want, log)
	}
	if warmed.MatchString(log) != warm {
		return fmt.Errorf("the start was not the one that was to be measured: %s", log)
	}
	return nil
}

func isGreen(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close()) == nil && answer.StatusCode == http.StatusOK
}

// rowsRead is how many rows of lists, headers and changes the database has handed
// out, from tables and from indices. Sessions report when they end, so those of the
// program are waited for.
func rowsRead(ctx context.Context, db *seed.Database) (rows float64, err error) {
	conn, err := pgx.Connect(ctx, db.DSN)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for others := 1; others > 0; {
		if err := conn.QueryRow(ctx, `select count(*) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and backend_type in ('client backend', 'parallel worker')`).Scan(&others); err != nil {
			return 0, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	// What an index only scan reads is never fetched from the table.
	err = conn.QueryRow(ctx, `select sum(seq_tup_read + greatest(coalesce(idx_tup_fetch, 0),
		coalesce((select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0)))::float8
		from pg_stat_user_tables t where schemaname = 'sidegate' and relname in ('owner', 'block', 'change')`).Scan(&rows)
	return rows, err
}

// change runs statements that change lists while nobody follows.
func change(ctx context.Context, db *seed.Database, statements ...string) (err error) {
	conn, err := pgx.Connect(ctx, db.DSN)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// late is what is on so many lists while a warm start is measured, and not before.
func late(lists int) (add, remove string) {
	var owners strings.Builder
	for i := range lists {
		if i > 0 {
			owners.WriteString(", ")
		}
		fmt.Fprintf(&owners, "('%s')", seed.ID(i))
	}
	return fmt.Sprintf("insert into sidegate.block (app, owner, target) select '%s', o, 'late' from (values %s) v(o)", seed.App, &owners),
		fmt.Sprintf("delete from sidegate.block where app = '%s' and kind = 'block' and target = 'late' and owner in (values %s)", seed.App, &owners)
}

// freePort returns an address that nothing listens on.
func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
