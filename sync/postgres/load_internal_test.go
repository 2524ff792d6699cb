package postgres

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sidegate/sidegate/cache"
)

// wire spells a row of loadSQL as the server would, in text or in binary.
func wire(format int16, l *cache.List, soon, until string) ([][]byte, []pgconn.FieldDescription) {
	targets := make([]string, len(l.Entries))
	for i, e := range l.Entries {
		targets[i] = e.Target
	}
	digits := func(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
	values := [][]byte{
		nil, []byte(l.Owner), digits(l.Version), digits(int64(l.Size)), digits(int64(l.Digest)),
		[]byte(strconv.FormatBool(l.Allowlist)[:1]), []byte(strings.Join(targets, "\n")), []byte(soon), []byte(until),
	}
	if format == pgx.BinaryFormatCode {
		values[2] = binary.BigEndian.AppendUint64(nil, uint64(l.Version))
		values[3] = binary.BigEndian.AppendUint32(nil, uint32(l.Size))
		values[4] = binary.BigEndian.AppendUint64(nil, l.Digest)
		values[5] = []byte{0}
		if l.Allowlist {
			values[5] = []byte{1}
		}
	}
	fields := make([]pgconn.FieldDescription, len(values))
	for i := range fields {
		fields[i].Format = format
	}
	return values, fields
}

func TestARowReadsTheSameInBothFormats(t *testing.T) {
	want := cache.List{Owner: "日本", Version: -1 << 62, Size: 3000, Digest: 1 << 63, Allowlist: true, Entries: []cache.Entry{
		{Target: "a"}, {Target: "b", Expires: 1<<63 - 1}, {Target: "ü", Expires: 7},
	}}
	var row pageRow
	for range 2 { // a row leaves nothing to the next
		for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
			var got cache.Loaded
			if err := row.read(wire(format, &want, "ü\nb", "7\n9223372036854775807")); err != nil {
				t.Fatal(err)
			}
			if err := row.handTo(&got); err != nil {
				t.Fatal(err)
			}
			if l := got.Lists[0]; l.Owner != want.Owner || l.Version != want.Version || l.Size != want.Size ||
				l.Digest != want.Digest || l.Allowlist != want.Allowlist || !slices.Equal(l.Entries, want.Entries) {
				t.Errorf("format %d: %+v", format, l)
			}
			empty := cache.List{Owner: "a"}
			if err := row.read(wire(format, &empty, "", "")); err != nil {
				t.Fatal(err)
			}
			if err := row.handTo(&got); err != nil || len(got.Lists[1].Entries) != 0 || got.Lists[1].Allowlist {
				t.Errorf("format %d: %+v, %v", format, got.Lists[1], err)
			}
		}
	}
}

func TestADamagedRowIsAnError(t *testing.T) {
	list := cache.List{Owner: "o", Entries: []cache.Entry{{Target: "a"}}}
	for name, spoil := range map[string]func(values [][]byte) [][]byte{
		"a column is missing":       func(v [][]byte) [][]byte { return v[1:] },
		"a number of five bytes":    func(v [][]byte) [][]byte { v[2] = []byte("12345"); return v },
		"no size":                   func(v [][]byte) [][]byte { v[3] = nil; return v },
		"an expiry too few":         func(v [][]byte) [][]byte { v[7] = []byte("a"); return v },
		"an expiry too many":        func(v [][]byte) [][]byte { v[8] = []byte("1"); return v },
		"an expiry that is no date": func(v [][]byte) [][]byte { v[7], v[8] = []byte("a"), []byte("x"); return v },
	} {
		var row pageRow
		values, fields := wire(pgx.BinaryFormatCode, &list, "", "")
		err := row.read(spoil(values), fields)
		if err == nil {
			err = row.handTo(new(cache.Loaded))
		}
		if err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// FuzzPageRow: whatever the columns of a row hold, the targets come out as a split
// at line feeds has them, and expiries beside those they belong to.
func FuzzPageRow(f *testing.F) {
	f.Add([]byte("owner"), []byte("a\nb"), []byte("b"), []byte("17"), []byte{0, 0, 0, 0, 0, 0, 0, 1}, true)
	f.Add([]byte(""), []byte("\n\n"), []byte("\n"), []byte("1\n"), []byte("-1"), false)
	f.Fuzz(func(t *testing.T, owner, targets, soon, until, version []byte, binaryFormat bool) {
		values, fields := wire(pgx.TextFormatCode, &cache.List{Owner: string(owner)}, string(soon), string(until))
		values[2], values[6] = version, targets
		if binaryFormat {
			fields[2].Format = pgx.BinaryFormatCode
		}
		before := bytes.Join(values, nil)
		var row pageRow
		var got cache.Loaded
		err := row.read(values, fields)
		if err == nil {
			err = row.handTo(&got)
		}
		if !bytes.Equal(before, bytes.Join(values, nil)) {
			t.Fatal("the row was written to")
		}
		if err != nil {
			return
		}
		dates := maps.Collect(func(yield func(string, int64) bool) {
			digits := lines(until)
			for i, target := range lines(soon) {
				at, err := strconv.ParseInt(digits[i], 10, 64)
				if err != nil || !yield(target, at) {
					t.Fatalf("%q is taken for a date", digits[i])
				}
			}
		})
		want := lines(targets)
		l := got.Lists[0]
		if l.Owner != string(owner) || len(l.Entries) != len(want) {
			t.Fatalf("%+v of %q", l, targets)
		}
		for i, e := range l.Entries {
			if e.Target != want[i] || e.Expires != dates[want[i]] {
				t.Fatalf("entry %d of %q is %+v", i, targets, e)
			}
		}
	})
}

// lines splits at line feeds; a last one ends a line and begins none.
func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
