package blocksync

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/cache"
)

// TestWhereItStands: the figures that one process is compared with another by.
func TestWhereItStands(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	w.follower.opts.Metrics = NewMetrics(reg)
	w.follower.opts.Metrics.observe(w.follower)
	want := func(when, position, database, server, schema, state string) {
		t.Helper()
		one := "1"
		if server == "" {
			one = "0"
		}
		err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP sidegate_sync_position The transaction id up to which the database's changes are in memory; 0 = nothing yet. Between processes that follow the same server, whoever stays behind the others misses changes.
# TYPE sidegate_sync_position gauge
sidegate_sync_position `+position+`
# HELP sidegate_sync_server_info 1; the labels name the schema and the life of the server that is followed, both as hashes. Processes on one database with different servers do not see the same writes. 0 = none yet.
# TYPE sidegate_sync_server_info gauge
sidegate_sync_server_info{database="`+database+`",server="`+server+`"} `+one+`
# HELP sidegate_schema_version Version of the schema that the database has, as it was seen last; 0 = none, or not seen yet.
# TYPE sidegate_schema_version gauge
sidegate_schema_version `+schema+`
# HELP sidegate_schema_version_needed Version of the schema that this program needs. Any other is not followed.
# TYPE sidegate_schema_version_needed gauge
sidegate_schema_version_needed 2
`), "sidegate_sync_position", "sidegate_sync_server_info", "sidegate_schema_version", "sidegate_schema_version_needed")
		if err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if got := w.follower.Status().State.String(); got != state {
			t.Errorf("%s: the state is %s", when, got)
		}
	}
	step := func(poll func(Position) (Batch, error)) {
		w.source.set(poll)
		_ = w.once(t) // what it did is what is looked at
	}
	want("before the first poll", "0", "", "", "0", "starting")
	step(func(Position) (Batch, error) { return Batch{}, nil })
	want("no schema", "0", "", "", "0", "wrong_server")
	step(at(5, 9))
	want("synced", "9", name(server.Salt), name(server), "1", "synced")
	step(func(from Position) (Batch, error) {
		b, err := at(9, 11)(from)
		b.Schema = 3
		return b, err
	})
	want("migrated under it", "9", name(server.Salt), name(server), "3", "wrong_server")

	// The same schema on another life of the server, and another database.
	promoted, other := server, cache.Identity{Salt: server.Salt + 1}
	promoted.Timeline++
	if name(promoted.Salt) != name(server.Salt) || name(promoted) == name(server) || name(other.Salt) == name(server.Salt) {
		t.Error("databases and servers cannot be told apart by their names")
	}
}
