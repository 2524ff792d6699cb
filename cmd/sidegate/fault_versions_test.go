package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres"
)

// runBuilt runs a command of a program that was built another way.
func runBuilt(t *testing.T, path string, args ...string) outcome {
	t.Helper()
	p := startCommand(t, t.TempDir(), anyPort, exec.Command(path, args...))
	code := p.wait()
	return outcome{code, p.stdout.String(), p.stderr.String()}
}

// TestFaultTwoVersions: a fleet is upgraded while it is used. The next release,
// whose schema has one more step, migrates under the programs of this one, and
// serves beside them; the feed holds what those do not know. Then the schema says
// that it serves them no longer.
func TestFaultTwoVersions(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	const newer = postgres.SchemaVersion + 1
	next := builtWith(t, "nextschema")
	w := newServersRun(t).crowded()
	dsn := w.server.DSN("postgres")
	if got := runBuilt(t, next, "serve", "--postgres-url", dsn); got.code != exitStore || !hasLine(got.stderr, "this program needs", "sidegate migrate up") {
		t.Errorf("the next release on the schema of this one: %+v", got)
	}
	w.healed()
	w.round(func() struck {
		if got := runBuilt(t, next, "migrate", "up", "--postgres-url", dsn); got.code != exitOK {
			t.Fatalf("migrate up: %+v", got)
		}
		return struck{repair: func() {}}
	})
	w.healed()
	if got := runProgram(t, nil, "migrate", "up", "--postgres-url", dsn); got.code != exitStore || !hasLine(got.stderr, strconv.Itoa(newer), "use a newer sidegate") {
		t.Errorf("this release migrates what it does not know: %+v", got)
	}

	w.quiet()
	n, address := startNetwork(t, w.server.TCPDSN("postgres"))
	young := &watched{sidecar: startSidecarOf(t, next, address, faultConfiguration).ready(), name: "the next release"}
	old := w.sidecars
	w.networks, w.sidecars = append(w.networks, n), append(w.sidecars, young)
	young.loaded()
	w.give(&apiHand{w.faultWorld, young.sidecar}, 8)
	w.begin()
	waitFor(t, "every writer gets on", w.progress(10))
	if known := psql(t, dsn, "SELECT count(*) FROM sidegate.change WHERE op = 'N'"); known == "0" {
		t.Error("nothing in the feed was new to anybody")
	}
	for range chaosRounds(3) {
		w.healed()
		w.round(func() struck { return w.noLongerServed(dsn, newer, old) })
	}
	w.healed()
	w.report("both served while the schema changed, and what was new in the feed cost a reload; " +
		"the older ones stopped following when the schema said so, and answered from memory")
}

// noLongerServed lets the schema say that it serves only the newer program. Who is
// older keeps what it has, and says how old that is; the newer one goes on. Writes
// by an older one go on too, the schema still takes them, and what is new in the feed
// costs the writer a reload: so its answers may wait for the database, which is there.
func (w *serversRun) noLongerServed(dsn string, newer int, old []*watched) struck {
	w.t.Helper()
	served := psql(w.t, dsn, "SELECT serves_from FROM sidegate.meta")
	psql(w.t, dsn, fmt.Sprintf("UPDATE sidegate.meta SET serves_from = %d", newer))
	refused := func() bool { return old[0].refused() && old[1].refused() }
	return struck{
		held: both(refused, agesShow(old)),
		repair: func() {
			if young := w.sidecars[len(old)]; young.refused() {
				w.t.Errorf("%s is refused as well", young.name)
			}
			psql(w.t, dsn, "UPDATE sidegate.meta SET serves_from = "+served)
		},
	}
}
