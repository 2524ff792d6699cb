package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// export reads all of the app default; between is called after the first piece.
func (f *fixture) export(between func()) (records []filter.Record, pieces int) {
	f.t.Helper()
	r, err := f.Export(f.t.Context(), "default")
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	for {
		piece, err := r.Next(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		if len(piece) == 0 {
			return records, pieces
		}
		records = append(records, piece...)
		if pieces++; pieces == 1 && between != nil {
			between()
		}
	}
}

func TestExportHoldsEverythingOfOneInstantOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var all []filter.Record
	for i := range 250 {
		for j := range 10 {
			r := record(fmt.Sprint("owner-", i), fmt.Sprint("t", j))
			r.CreatedAt, r.Note = noon, fmt.Sprint(i, j)
			all = append(all, r)
		}
	}
	all = append(all, filter.Record{Kind: cache.KindRoom, Owner: "r", Target: "x", CreatedAt: noon},
		filter.Record{Kind: cache.KindAllow, Owner: "owner-1", Target: "x", CreatedAt: noon},
		filter.Record{Kind: cache.KindBlock, Owner: "owner-1", Allowlist: true},
		filter.Record{Kind: cache.KindBlock, Owner: "only-a-mode", Allowlist: true})
	f.imports(filter.ImportWhole, all...)
	f.exec(`insert into sidegate.block (app, owner, target) values ('other', 'owner-1', 'stranger')`)
	f.exec(`insert into sidegate.block (owner, app, target, expires_at) values ('owner-1', 'default', 'over', now() - interval '1 s')`)

	records, pieces := f.export(func() {
		f.exec(`delete from sidegate.block`)
		f.exec(`insert into sidegate.block (app, owner, target) values ('default', 'late', 'x')`)
	})
	seen := map[filter.Record]int{}
	for _, r := range records {
		r.CreatedAt = r.CreatedAt.UTC()
		seen[r]++
	}
	for _, r := range all {
		if seen[r] != 1 {
			t.Errorf("%+v is there %d times", r, seen[r])
		}
	}
	if len(records) != len(all) || pieces < 4 {
		t.Errorf("%d records in %d pieces, want %d", len(records), pieces, len(all))
	}
	for i, r := range records {
		if (r.Target == "") != (i >= len(records)-2) {
			t.Errorf("record %d is %+v; modes come last", i, r)
		}
	}
}

func TestExportOfNothingAndExportsThatAreTooMany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if records, _ := f.export(nil); len(records) != 0 {
		t.Errorf("%+v", records)
	}
	var open []filter.RecordReader
	for range 2 {
		r, err := f.Export(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	if _, err := f.Export(t.Context(), "default"); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("a third export: %v", err)
	}
	open[0].Close()
	open[0].Close()
	if records, _ := f.export(nil); len(records) != 0 {
		t.Errorf("%+v", records)
	}
	open[1].Close()
}

func TestExportNoticesThatTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProxy(t, f.dsn)
	r, err := openStore(t, p.dsn).Export(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p.mode.Store(swallow)
	begun := time.Now()
	_, err = r.Next(t.Context())
	if plain(t, err); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}
