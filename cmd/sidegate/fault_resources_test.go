package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// smallDisk makes a file system of that size, on which the server can keep a
// database, and returns where. It takes root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := pgtest.Dir(t)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "sidegate-test", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be made here, which takes root: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return dir
}

// filler takes what room there is, until it is removed.
func filler(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 1<<20)
	for {
		_, err := f.Write(piece)
		switch {
		case err == nil:
		case !errors.Is(err, syscall.ENOSPC):
			t.Fatal(err)
		case len(piece) > 512:
			piece = piece[:len(piece)/2]
		default:
			return
		}
	}
}

// TestFaultDiskFull: the disk on which the lists stand has no room left. Writes are
// refused and nothing of them is stored, answers come from memory and stay fresh.
// The log of the server is on another disk: without room for that a server ends, as
// in TestFaultPostmasterKilled.
func TestFaultDiskFull(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	disk := smallDisk(t, "32m")
	server := pgtest.Server(t, nil)
	admin := server.DSN("postgres")
	data, err := os.Stat(psql(t, admin, "SHOW data_directory"))
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(disk, "lists")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	owner := data.Sys().(*syscall.Stat_t)
	if err := os.Chown(place, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	psql(t, admin, fmt.Sprintf("CREATE TABLESPACE small LOCATION '%s'", place), "CREATE DATABASE small TABLESPACE small")
	w := newFaultSceneOn(t, server, "small", faultConfiguration).crowded()
	file := filepath.Join(disk, "filler")
	var refused int
	w.endures(4, func(int) struck {
		before := w.refused(w.lists...)
		filler(t, file)
		return struck{
			cut: w.sidecars,
			held: func() bool {
				filler(t, file+"2") // what was freed meanwhile
				return w.refused(w.lists...) >= before+20
			},
			repair: func() {
				refused += w.refused(w.lists...) - before
				w.do(errors.Join(os.Remove(file), os.Remove(file+"2")))
			},
		}
	})
	w.report(fmt.Sprintf("%d writes were refused; checks went on from memory, and no hit waited", refused))
}

// TestFaultListLocked: somebody locks the header of one list and goes for coffee.
// Writes to that list are refused after some tries, those to others go on, also
// those that share a connection or a transaction with it.
func TestFaultListLocked(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newFaultScene(t, faultConfiguration).crowded()
	var refused int
	w.endures(5, func(round int) struck {
		l := w.lists[round] // of a writer by the API
		waitFor(t, "there is a header to lock", func() bool { return l.newest.Load() != nil })
		holder := w.session(fmt.Sprintf("BEGIN; SELECT FROM sidegate.owner WHERE owner = '%s' FOR UPDATE;", l.owner))
		before := w.refused(l)
		others := w.progress(10)
		return struck{
			held: func() bool { return w.refused(l) >= before+2 && others() },
			repair: func() {
				refused += w.refused(l) - before
				w.do(sayNothing(holder, "ROLLBACK;"))
			},
		}
	})
	w.report(fmt.Sprintf("%d writes to the locked list were refused; every writer got on with its other lists", refused))
}

func sayNothing(s *sqlSession, statements string) error {
	_, err := s.say(statements, 0)
	return err
}

// feedReads is how many rows of the feed have been read by an index, and how many
// written.
func (w *faultRun) feedReads() (read, written float64) {
	w.t.Helper()
	line := psql(w.t, w.dsn, "SELECT coalesce(idx_tup_fetch, 0) + seq_tup_read || ' ' || n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'sidegate' AND relname = 'change'")
	_, err := fmt.Sscan(line, &read, &written)
	w.do(err)
	return read, written
}

// perChange lets the crowd write for a while and returns how often each row of the
// feed was read.
func (w *faultRun) perChange() float64 {
	w.t.Helper()
	const enough = 600
	readBefore, before := w.feedReads()
	waitFor(w.t, "the feed grows", func() bool { _, now := w.feedReads(); return now >= before+enough })
	read, written := w.feedReads()
	return (read - readBefore) / (written - before)
}

// TestFaultLongTransaction: a transaction stays open while others write. A poll
// still reads what is new: nothing is late and nothing costs more. With the query
// that first comes to mind, "all that my last snapshot did not see, from the oldest
// transaction on", every poll reads everything since then.
func TestFaultLongTransaction(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newFaultScene(t, faultConfiguration).crowded()
	w.healed()
	idle := w.perChange()
	var held float64
	w.endures(1, func(int) struck {
		open := w.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(), count(*) FROM sidegate.block \\g /dev/null\n")
		held = w.perChange()
		return struck{repair: func() { w.do(sayNothing(open, "ROLLBACK;")) }}
	})
	if held > 2*idle+2 {
		t.Errorf("each change was read %.1f times with an open transaction, %.1f times without", held, idle)
	}
	w.report(fmt.Sprintf("each change was read %.1f times while a transaction was open, %.1f times before", held, idle))

	// The guard is off.
	w.begin()
	w.session("BEGIN; SELECT pg_current_xact_id() \\g /dev/null\n")
	psql(t, w.dsn, `CREATE OR REPLACE FUNCTION sidegate.changes_since(first xid8, running xid8[], at_most bigint) RETURNS SETOF sidegate.change
		LANGUAGE sql STABLE AS 'SELECT c.* FROM sidegate.change c WHERE c.x >= coalesce((SELECT min(r) FROM unnest(running) r), first) LIMIT at_most'`)
	if naive := w.perChange(); naive < 4*held {
		t.Errorf("with the other query each change was read %.1f times: this proves little", naive)
	} else {
		t.Logf("with the other query each change was read %.1f times", naive)
	}
	w.quiet()
}

// strangers are owners of whom the crowd knows nothing: so many that they fill many
// pages.
const strangers = 4000

// storm asks a sidecar for lists as they are now, each in a page of its own, until
// stop is closed. Every answer has to be read in the database.
func (w *faultRun) storm(s *watched, stop chan struct{}, tokens []string) *sync.WaitGroup {
	var asking sync.WaitGroup
	for i := range 32 {
		asking.Go(func() {
			for n := i; ; n += 37 {
				select {
				case <-stop:
					return
				default:
				}
				n %= len(tokens)
				q := question{sender: "x", recipient: fmt.Sprint("stranger", n), atLeast: tokens[n]}
				if _, err := s.request("GET", "check", q.path()); err != nil {
					w.complain("%v", err)
					return
				}
			}
		})
	}
	return &asking
}

// TestFaultLoadsSaturated: all connections for reading lists hang, on a table that
// somebody has locked, and many more reads want one. The feed has a connection of
// its own: memory stays as fresh as ever, and hits do not notice.
func TestFaultLoadsSaturated(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newFaultScene(t, faultConfiguration, "SIDEGATE_CHECK_AT_LEAST_TIMEOUT=500ms")
	psql(t, w.dsn, fmt.Sprintf("INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'stranger' || n, 'x' FROM generate_series(0, %d) n", strangers-1))
	// A revision that no list has come to: memory is never new enough for it.
	salt, err := strconv.ParseInt(psql(t, w.dsn, "SELECT hash_salt FROM sidegate.meta"), 10, 64)
	w.do(err)
	revision, err := filter.ParseRevision(w.sidecars[0].block("default", "stranger0", "y"))
	w.do(err)
	revision.Version += 1000
	var tokens []string
	for i := range strangers {
		revision.Owner = cache.HashOwner(fmt.Sprint("stranger", i), salt)
		tokens = append(tokens, revision.String())
	}
	w.crowded()
	const hanging = `sidegate_db_pool_connections{pool="loads",state="acquired"}`
	w.endures(4, func(int) struck {
		lock := w.session("BEGIN; LOCK TABLE sidegate.block IN ACCESS EXCLUSIVE MODE;")
		stop := make(chan struct{})
		var storms []*sync.WaitGroup
		for _, s := range w.sidecars {
			storms = append(storms, w.storm(s, stop, tokens))
		}
		end := sync.OnceFunc(func() {
			close(stop)
			for _, storm := range storms {
				storm.Wait()
			}
		})
		t.Cleanup(end)
		return struck{
			held: func() bool {
				for _, s := range w.sidecars {
					waitFor(t, "every connection for reading hangs", func() bool { return s.samples()[hanging] >= 4 })
					for range 10 {
						s.polled()
					}
				}
				return true
			},
			repair: func() {
				end()
				w.do(sayNothing(lock, "ROLLBACK;"))
			},
		}
	})
	psql(t, w.dsn, "DELETE FROM sidegate.block WHERE owner LIKE 'stranger%'")
	w.report("every connection for reading lists hung, and each sidecar went on polling")
}

// TestFaultConnectionsUsedUp: others have taken every connection that the server
// allows, and those of the sidecars have broken.
func TestFaultConnectionsUsedUp(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	server := pgtest.Server(t, map[string]string{"max_connections": "40"})
	w := newFaultSceneOn(t, server, "postgres", faultConfiguration).crowded()
	var most int
	w.endures(3, func(int) struck {
		var others []*sqlSession
		take := func() {
			for {
				s, err := openSession(t.Context(), w.dsn)
				if err != nil {
					return // that was the last
				}
				others = append(others, s)
			}
		}
		take()
		stale := agesShow(w.sidecars)
		return struck{
			// Whoever is quicker has the connection, so it may take some turns until
			// the sidecars have none.
			held: func() bool {
				_, err := others[0].say("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'sidegate';", 1)
				w.do(err)
				take()
				return stale()
			},
			repair: func() {
				most = max(most, len(others))
				for _, s := range others {
					_ = s.close()
				}
			},
		}
	})
	w.report(fmt.Sprintf("others held up to %d connections, all that there were; healed by itself when they let go", most))
}
