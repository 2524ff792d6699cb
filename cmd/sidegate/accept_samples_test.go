package main

import (
	"fmt"
	"net/http"
	"testing"
)

// restoredOwners is how many lists a restore replaces. They lie in at least three
// pages, whatever the hashes: a directory begins with 16.
const restoredOwners = 24

// restoredData replaces the entry of every list by another one, as a restore of data
// alone does: with the triggers off, headers and rows together, no version changed.
const restoredData = `begin;
	set local session_replication_role = replica;
	delete from sidegate.block where target = 'alice';
	insert into sidegate.block (app, owner, target) select 'default', 'o' || i, 'eve' from generate_series(1, %d) i;
	update sidegate.owner o set digest = (select bit_xor(sidegate.entry_digest(b.target, b.expires_at)) from sidegate.block b
	  where (b.app, b.kind, b.owner_hash, b.owner) = (o.app, o.kind, o.owner_hash, o.owner)) where o.owner ~ '^o[0-9]';
	commit`

// TestAcceptDataOnlyRestore: nothing tells anybody of such a restore, and as long as
// nobody samples, everybody goes on answering from what was before. As soon as one
// process that may write does, all answer right: also the one that samples nothing.
func TestAcceptDataOnlyRestore(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	configuration := func(samples int) string {
		return fmt.Sprintf("%saudit: {samples: %d, period: 0s}\n", reloadable(0), samples)
	}
	writer := startSidecar(t, dsn, configuration(0)).ready()
	reader := startSidecar(t, dsn, configuration(0), "SIDEGATE_API_LISTEN=").ready()
	both := [...]*sidecar{writer, reader}
	from := func(sender string, i int) question {
		return question{sender: sender, recipient: fmt.Sprint("o", i)}
	}
	for i := range restoredOwners {
		writer.block("default", fmt.Sprint("o", i+1), "alice")
	}
	for i := range restoredOwners {
		for _, s := range both {
			s.enforced(from("alice", i+1), dropped)
		}
	}

	psql(t, dsn, fmt.Sprintf(restoredData, restoredOwners))
	// A change that was made after it has come: so has all that was going to.
	writer.block("default", "later", "alice")
	reader.enforced(question{sender: "alice", recipient: "later"}, dropped)
	for i := range restoredOwners {
		for _, s := range both {
			if old, fresh := s.decide(from("alice", i+1)), s.decide(from("eve", i+1)); old != dropped || fresh != allowed {
				t.Fatalf("without an audit, o%d is answered as restored: %+v, %+v; who has told?", i+1, old, fresh)
			}
		}
	}

	writer.configure(configuration(100))
	if a := writer.reload(); a.status != http.StatusOK {
		t.Fatal(a)
	}
	for i := range restoredOwners {
		for _, s := range both {
			s.enforced(from("alice", i+1), allowed)
			s.enforced(from("eve", i+1), dropped)
		}
	}
	told, heard := writer.samples(), reader.samples()
	if told[`sidegate_audit_suspects_total{scope="fleet"}`] != 1 || told[`sidegate_audit_mismatches_total{cause="content"}`] < 3 {
		t.Errorf("the writer has told the fleet %v times after %v pages",
			told[`sidegate_audit_suspects_total{scope="fleet"}`], told[`sidegate_audit_mismatches_total{cause="content"}`])
	}
	if heard["sidegate_audit_samples_total"] != 0 || heard[`sidegate_sync_epochs_total{cause="identity"}`] != 1 {
		t.Errorf("the sidecar has taken %v samples and started over %v times because of another identity",
			heard["sidegate_audit_samples_total"], heard[`sidegate_sync_epochs_total{cause="identity"}`])
	}
}
