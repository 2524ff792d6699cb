package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// readLines reads lines as an import does. It returns what was wrong by line, and
// the error that ended reading.
func readLines(r filter.LineReader) (records []filter.Record, wrong map[int]filter.Code, err error) {
	wrong = map[int]filter.Code{}
	for {
		record, line, err := r.Next()
		var one *filter.Error
		switch {
		case err == nil:
			records = append(records, record)
		case errors.As(err, &one):
			wrong[line] = one.Code
		default:
			return records, wrong, err
		}
	}
}

func jsonLines(body string) filter.LineReader {
	return &ndjsonReader{newLineSplitter(strings.NewReader(body))}
}

func csvLines(body string) filter.LineReader {
	return &csvReader{lines: newLineSplitter(strings.NewReader(body))}
}

func TestLinesOfJSON(t *testing.T) {
	keep := filter.Record{Owner: "a", Target: "b", KeepExpiry: true, KeepNote: true}
	for _, c := range []struct {
		line string
		want filter.Record
		code filter.Code
	}{
		{`{"owner":"a","target":"b"}`, keep, ""},
		{` { "target" : "b" , "owner":"\u0061" } `, keep, ""},
		{`{"owner":"a","target":"b","created_at":null,"expires_at":null,"note":null}`, filter.Record{Owner: "a", Target: "b"}, ""},
		{`{"owner":"a","target":"b","created_at":"2020-01-02T04:04:05+01:00","expires_at":"2031-01-31T11:00:00.123456Z","note":"n","kind":"allow"}`,
			filter.Record{Kind: cache.KindAllow, Owner: "a", Target: "b", CreatedAt: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), ExpiresAt: noon.UTC(), Note: "n"}, ""},
		{`{"owner":"a","allowlist_mode":true}`, filter.Record{Owner: "a", Allowlist: true}, ""},
		{`{"owner":"a","allowlist_mode":false,"kind":"block"}`, filter.Record{Owner: "a"}, ""},
		{`{"owner":"a","target":""}`, filter.Record{}, "invalid_user_id"},
		{`{"owner":"a"}`, filter.Record{}, "invalid_user_id"},
		{`{"owner":"a","target":"b","kind":"mute"}`, filter.Record{}, "invalid_line"},
		{`{"owner":"a","target":"b","allowlist_mode":true}`, filter.Record{}, "invalid_line"},
		{`{"owner":"a","kind":"allow","allowlist_mode":true}`, filter.Record{}, "invalid_line"},
		{`{"owner":"a","target":"b","created_at":"yesterday"}`, filter.Record{}, "invalid_created_at"},
		{`{"owner":"a","target":"b","created_at":"0001-01-01T00:00:00Z"}`, filter.Record{}, "invalid_created_at"},
		{`{"owner":"a","target":"b","expires_at":"tomorrow"}`, filter.Record{}, "invalid_expiry"},
		{`{"owner":"a","target":"b","Note":"n"}`, filter.Record{}, "unknown_field"},
		{`{"owner":"a","owner":"b","target":"b"}`, filter.Record{}, "invalid_json"},
		{`{"owner":"a","target":7}`, filter.Record{}, "invalid_json"},
		{`{"owner":"a","target":"b"}}`, filter.Record{}, "invalid_json"},
		{`[]`, filter.Record{}, "invalid_json"},
		{`{"owner":"a","target":"` + strings.Repeat("b", maxLine) + `"}`, filter.Record{}, "invalid_line"},
		{`{"owner":"a","target":"` + strings.Repeat("b", 3*paceBytes) + `"}`, filter.Record{}, "invalid_line"},
	} {
		// A line stands between two that are right, and never spoils them.
		good := `{"owner":"x","target":"y"}`
		records, wrong, err := readLines(jsonLines(good + "\n" + c.line + "\n\n" + good))
		if err != io.EOF || c.code == "" && (len(records) != 3 || inUTC(records[1]) != c.want) ||
			c.code != "" && (len(records) != 2 || wrong[2] != c.code || len(wrong) != 1) {
			t.Errorf("%.100s: %+v, %v, %v, want %+v %s", c.line, records, wrong, err, c.want, c.code)
		}
	}
}

func TestLinesOfCSV(t *testing.T) {
	for _, c := range []struct {
		name, body string
		targets    string
		wrong      map[int]filter.Code
	}{
		{"plain", "owner,target\na,b\na,c", "b c", nil},
		{"other order, quoted header", "\"target\",\"owner\"\r\nb,a\r\n\r\nc,a\r\n", "b c", nil},
		{"quotes and line ends", "owner,target,note\na,\"b,\"\"1\"\"\",\"one\ntwo\"\na,c,", `b,"1" c`, nil},
		{"too few and too many", "owner,target\na\na,b,c\na,d\n", "d", map[int]filter.Code{2: "invalid_line", 3: "invalid_line"}},
		{"stray quotes", "owner,target\na,b\"c\na,d\na\"d,e\na,f\n", "d f", map[int]filter.Code{2: "invalid_line", 4: "invalid_line"}},
		{"something behind a quote", "owner,target\na,\"b\"c\na,f\n", "f", map[int]filter.Code{2: "invalid_line"}},
		{"an opening quote behind a stray one", "owner,target\na\"x,\"b\na,c\n\"a\",\"d\"\r\n", "c d", map[int]filter.Code{2: "invalid_line"}},
		{"an opening quote behind a closed field", "owner,target\n\"a\"x,\"b\na,e\na,\"f\"\n", "e f", map[int]filter.Code{2: "invalid_line"}},
		{"a quote without end", "owner,target\na,f\na,\"b\nc", "f", map[int]filter.Code{3: "invalid_line"}},
		{"a mode", "owner,target,allowlist_mode\na,,true\na,,maybe\na,b,\n", " b", map[int]filter.Code{3: "invalid_line"}},
		{"nothing", "", "", nil},
		{"a header alone", "owner,target\n", "", nil},
	} {
		records, wrong, err := readLines(csvLines(c.body))
		var targets []string
		for _, r := range records {
			targets = append(targets, r.Target)
		}
		if err != io.EOF || strings.Join(targets, " ") != c.targets || len(wrong) != len(c.wrong) {
			t.Errorf("%s: %q, %v, %v", c.name, targets, wrong, err)
		}
		for line, code := range c.wrong {
			if wrong[line] != code {
				t.Errorf("%s: line %d is %q, want %s", c.name, line, wrong[line], code)
			}
		}
	}
	// What a quote without an end has swallowed is told line by line.
	swallowed := csvLines("owner,target\na,\"b\na,c\na,d")
	if _, line, err := swallowed.Next(); line != 2 || !strings.Contains(fmt.Sprint(err), "lines 2 to 4 are left out") {
		t.Errorf("line %d: %v", line, err)
	}
	// A quote in the wrong place costs 16 kB, and never what is behind them.
	long := "owner,target\na,\"b\n" + strings.Repeat("a,x\n", maxLine/4) + "a,f\n"
	records, wrong, err := readLines(csvLines(long))
	if err != io.EOF || wrong[2] != filter.CodeInvalidLine || len(records) == 0 || records[len(records)-1].Target != "f" {
		t.Errorf("%d records, %v, %v", len(records), wrong, err)
	}
	noted, wrong, _ := readLines(csvLines("owner,target,note\r\na,b,\"1\r\n2\r\"\r\n"))
	if len(noted) != 1 || noted[0].Note != "1\r\n2\r" {
		t.Errorf("line ends in a note: %+v, %v", noted, wrong)
	}
	kept, _, _ := readLines(csvLines("owner,target,expires_at,note\na,b,,\n"))
	silent, _, _ := readLines(csvLines("owner,target\na,b\n"))
	if kept[0].KeepNote || kept[0].KeepExpiry || !silent[0].KeepNote || !silent[0].KeepExpiry {
		t.Errorf("an empty cell says none, a column that is not there says nothing: %+v, %+v", kept, silent)
	}
}

// sameAgain complains if what was read does not survive being written and read.
func sameAgain(t *testing.T, records []filter.Record) {
	t.Helper()
	for _, r := range records {
		if r.CreatedAt = r.CreatedAt.UTC().Truncate(time.Microsecond); r.CreatedAt.IsZero() {
			r.CreatedAt = noon.UTC()
		}
		r.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Microsecond)
		r.KeepExpiry, r.KeepNote = false, false
		if filter.ValidateUserID(r.Owner) != nil || r.Target != "" && filter.ValidateUserID(r.Target) != nil ||
			!bytes.Equal([]byte(r.Note), []byte(strings.ToValidUTF8(r.Note, ""))) ||
			r.CreatedAt.Year() > 9999 || r.ExpiresAt.Year() > 9999 || len(r.Note) > filter.MaxNoteBytes {
			continue // never stored, so never exported
		}
		if r.Target == "" {
			r.CreatedAt, r.ExpiresAt, r.Note = time.Time{}, time.Time{}, ""
		}
		one, wrong, err := readLines(jsonLines(string(appendRecord(nil, &r))))
		if err != io.EOF || len(one) != 1 || inUTC(one[0]) != r {
			t.Errorf("JSON: %+v became %+v, %v, %v", r, one, wrong, err)
		}
		if r.Target == "" && !r.Allowlist {
			continue // an export has no such line
		}
		one, wrong, err = readLines(csvLines(strings.Join(csvColumns, ",") + "\n" + string(appendCSV(nil, &r))))
		if err != io.EOF || len(one) != 1 || inUTC(one[0]) != r {
			t.Errorf("CSV: %+v became %+v, %v, %v", r, one, wrong, err)
		}
	}
}

func FuzzLinesOfJSON(f *testing.F) {
	f.Add(exportedJSON)
	f.Add(twoLines + `{"owner":"a","allowlist_mode":false}`)
	f.Fuzz(func(t *testing.T, body string) {
		records, wrong, err := readLines(jsonLines(body))
		if err != io.EOF || len(records)+len(wrong) > strings.Count(body, "\n")+1 {
			t.Errorf("%d records, %d errors, %v", len(records), len(wrong), err)
		}
		sameAgain(t, records)
	})
}

func FuzzLinesOfCSV(f *testing.F) {
	f.Add(exportedCSV)
	f.Add("owner,target,note\na,b,\"\"\"\"\n")
	f.Fuzz(func(t *testing.T, body string) {
		records, _, err := readLines(csvLines(body))
		if err != io.EOF && len(records) > 0 {
			t.Errorf("%d records before %v", len(records), err)
		}
		sameAgain(t, records)
	})
}
