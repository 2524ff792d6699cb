package preload

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/seed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMeasuresWhatIsThere measures COPY and reads on a small database. That the
// figures are plausible is all that a busy machine allows to ask.
func TestMeasuresWhatIsThere(t *testing.T) {
	dir, err := os.MkdirTemp("", "preload-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // PostgreSQL runs as another user if we are root
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	shape := seed.Shape{Lists: 2000, Entries: 7, Idle: 50}
	db, err := seed.Open(t.Context(), dir, shape, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	c, err := copyAll(t.Context(), db)
	if err != nil || c.took <= 0 || c.database <= 0 {
		t.Errorf("COPY: %+v, %v", c, err)
	}
	db.Shape.Lists++ // now the rows are too few
	if _, err := copyAll(t.Context(), db); err == nil {
		t.Error("a COPY that lacks a list is taken for whole")
	}
	db.Shape.Lists--
	cells, err := costs(t.Context(), db, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range cells {
		if len(row) != len(costHead) || row[1] == "0" {
			t.Errorf("%q", row)
		}
	}
	if len(cells) != len(forms(shape))+1 {
		t.Errorf("%d rows for %d forms and a miss", len(cells), len(forms(shape)))
	}
}

func TestTheLogSaysWhenAllIsInMemory(t *testing.T) {
	const line = `time=2026-01-01T00:00:00Z level=INFO msg="all lists are in memory" lists=10 entries=%d bytes=1219 seconds=1.5e-01` + "\n"
	shape := seed.Shape{Lists: 10, Entries: 3}
	var s start
	if s.read("level=INFO msg=\"it serves\"\n", shape, time.Now()) == nil {
		t.Error("another line is taken for it")
	}
	if err := s.read(fmt.Sprintf(line, 30), shape, time.Now()); err != nil || s.loading != 150*time.Millisecond {
		t.Errorf("%v, %v", s.loading, err)
	}
	if s.read(fmt.Sprintf(line, 29), shape, time.Now()) == nil {
		t.Error("one entry too few is taken for all")
	}
}

func TestMemoryIsReadInBytes(t *testing.T) {
	const status = "Name:\tsidegate\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n"
	if peak, final := kilobytes(status, "VmHWM"), kilobytes(status, "VmRSS"); peak != 2<<20 || final != 1<<20 || kilobytes(status, "VmSwap") != 0 {
		t.Errorf("%v, %v", peak, final)
	}
}

// sized is a size at which every start took as long as it says.
func sized(lists int, all, loading, copying time.Duration) sizes {
	s := sizes{shape: seed.Shape{Lists: lists, Entries: 10}}
	for range rounds {
		s.starts = append(s.starts, start{all: all, loading: loading, first: all / 4, peak: 3 << 20, final: 2 << 20})
		s.copies = append(s.copies, bare{took: copying})
	}
	return s
}

func TestRows(t *testing.T) {
	all := []sizes{
		sized(1000, 2*time.Second, time.Second, time.Second),
		sized(2000, 3*time.Second, time.Second, time.Second),
		sized(4000, 7*time.Second, 4*time.Second, 2*time.Second),
	}
	want := map[string]float64{"preload-rate": 0.5, "preload-rss": 1.5, "preload-serving": 0.25, "growth-start": 2}
	for _, row := range append(all[2].rows(), growth(all)) {
		if len(row.Values) != rounds || row.Values[0] != want[row.ID] {
			t.Errorf("%s: %v, want %v", row.ID, row.Values, want[row.ID])
		}
		met, _ := row.Met()
		if met != (row.ID == "preload-serving") {
			t.Errorf("%s is met: %v", row.ID, met)
		}
	}
	if row := growth(all[:2]); row.Missing == "" || len(row.Values) != 0 {
		t.Errorf("two sizes make a slope of slopes: %+v", row)
	}
	if table := startTable(all); len(table.Cells) != 3 || len(table.Cells[0]) != len(table.Head) {
		t.Errorf("%+v", table)
	}
	if table := all[2].effect(); len(table.Cells) != 3 || len(table.Cells[2]) != len(table.Head) {
		t.Errorf("%+v", table)
	}
	if chart := startChart(all); len(chart.Lines) != 2 || len(chart.Lines[0].Points) != 3 || !strings.Contains(chart.Note, "limited by") {
		t.Errorf("%+v", chart)
	}
}
