package preload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
)

// copySQL is the floor: what the lists are, in the order in which they lie there.
const copySQL = `copy (select owner, target from sidegate.block where app = '` + seed.App + `' and kind = 'block') to stdout`

// lines counts the lines that are written to it.
type lines int64

// Write implements [io.Writer].
func (n *lines) Write(p []byte) (int, error) {
	*n += lines(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

var _ io.Writer = new(lines)

// bare is one bare COPY.
type bare struct {
	took     time.Duration
	database time.Duration // CPU of its backend
	probe    time.Duration // median of other queries meanwhile
}

// copyAll reads all rows by COPY and keeps none.
func copyAll(ctx context.Context, db *seed.Database) (out bare, err error) {
	conn, err := pgx.Connect(ctx, db.DSN)
	if err != nil {
		return out, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	pid := int(conn.PgConn().PID())
	before, err := load.CPU(pid)
	if err != nil {
		return out, err
	}
	others, err := askMeanwhile(ctx, db)
	if err != nil {
		return out, err
	}
	var n lines
	begun := time.Now()
	_, err = conn.PgConn().CopyTo(ctx, &n, copySQL)
	out.took = time.Since(begun)
	out.probe = others.end()
	if err != nil {
		return out, err
	}
	if want := lines(db.Shape.Lists * db.Shape.Entries); n != want {
		return out, fmt.Errorf("COPY returned %d rows, want %d", n, want)
	}
	after, err := load.CPU(pid)
	out.database = after - before
	return out, err
}

// databaseCPU is what the processes of a server that serve connections, or keep
// house, have used since they were started.
func databaseCPU(db *seed.Database) (sum time.Duration) {
	for _, pid := range backends(db) {
		used, err := load.CPU(pid)
		if err == nil { // it may have ended, as who keeps house does now and then
			sum += used
		}
	}
	return sum
}

func backends(db *seed.Database) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(db.PID()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// meanwhile asks the database for the header of one list, again and again.
type meanwhile struct {
	stop  context.CancelFunc
	ended chan []float64
}

// probeEvery is how often.
const probeEvery = 10 * time.Millisecond

func askMeanwhile(ctx context.Context, db *seed.Database) (*meanwhile, error) {
	conn, err := pgx.Connect(ctx, db.DSN)
	if err != nil {
		return nil, err
	}
	asking, stop := context.WithCancel(ctx)
	m := &meanwhile{stop: stop, ended: make(chan []float64, 1)}
	go func() {
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		var took []float64
		for i := 0; ; i++ {
			select {
			case <-asking.Done():
				m.ended <- took
				return
			case <-tick.C:
			}
			begun := time.Now()
			var version int64
			owner := seed.ID(i * 7919 % db.Shape.Lists)
			err := conn.QueryRow(ctx, `select version from sidegate.owner
				where app = $1 and kind = 'block' and owner_hash = sidegate.owner_hash($2) and owner = $2`, seed.App, owner).Scan(&version)
			if err == nil {
				took = append(took, float64(time.Since(begun)))
			}
		}
	}()
	return m, nil
}

// end stops asking and returns the median of what an answer took.
func (m *meanwhile) end() time.Duration {
	m.stop()
	return time.Duration(median(<-m.ended))
}
