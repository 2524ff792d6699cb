package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sidegate/sidegate/bench/study"
)

// File is what one run of one study found, as it is kept.
type File struct {
	Study   string       `json:"study"`
	What    string       `json:"what"`
	Begun   time.Time    `json:"begun"`
	Seconds float64      `json:"seconds"`
	Machine Machine      `json:"machine"`
	Error   string       `json:"error,omitempty"` // what ended the study early
	Result  study.Result `json:"result"`
}

// folder of the files, in the folder of the report.
const folder = "results"

// names are of studies and charts: they become names of files.
var names = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Check reports what of a result cannot be kept: names that are not file names,
// and figures that are not numbers.
func (f File) Check() error {
	var errs []error
	for _, name := range append([]string{f.Study}, f.chartIDs()...) {
		if !names.MatchString(name) {
			errs = append(errs, fmt.Errorf("%q: names of studies and charts are lower-case words and hyphens", name))
		}
	}
	for _, r := range f.Result.Rows {
		if !names.MatchString(r.ID) {
			errs = append(errs, fmt.Errorf("%q: names of rows are lower-case words and hyphens", r.ID))
		}
		if len(r.Values) == 0 && r.Missing == "" {
			errs = append(errs, fmt.Errorf("row %s has neither a value nor a reason", r.ID))
		}
		values := slices.Clone(r.Values)
		for _, side := range []*study.Side{r.Own, r.Peer} {
			if side != nil {
				values = append(values, side.Values...)
			}
		}
		if slices.ContainsFunc(values, isNoNumber) {
			errs = append(errs, fmt.Errorf("row %s has a value that is no number: %v", r.ID, values))
		}
	}
	for _, c := range f.Result.Charts {
		if err := check(c); err != nil {
			errs = append(errs, fmt.Errorf("chart %s: %w", c.ID, err))
		}
	}
	return errors.Join(errs...)
}

func isNoNumber(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

func (f File) chartIDs() (ids []string) {
	for _, c := range f.Result.Charts {
		ids = append(ids, c.ID)
	}
	return ids
}

// Save writes results/STUDY.json and its charts under dir, instead of those of an
// earlier run.
func (f File) Save(dir string) error {
	if err := f.Check(); err != nil {
		return fmt.Errorf("save the results of %s: %w", f.Study, err)
	}
	dir = filepath.Join(dir, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save the results of %s: %w", f.Study, err)
	}
	path := filepath.Join(dir, f.Study+".json")
	before, err := read(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save the results of %s: %w", f.Study, err)
	}
	for _, id := range before.chartIDs() {
		if names.MatchString(id) && !slices.Contains(f.chartIDs(), id) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, id+".svg")))
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old charts of %s: %w", f.Study, err)
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("save the results of %s: %w", f.Study, err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("save the results of %s: %w", f.Study, err)
	}
	for _, c := range f.Result.Charts {
		if err := os.WriteFile(filepath.Join(dir, c.ID+".svg"), SVG(c), 0o644); err != nil {
			return fmt.Errorf("save the charts of %s: %w", f.Study, err)
		}
	}
	return nil
}

// Load reads all files under dir: first those of the studies that order names,
// then the rest by name.
func Load(dir string, order []string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, folder, "*.json"))
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(paths))
	for _, path := range paths {
		f, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("load results: %w", err)
		}
		files = append(files, f)
	}
	place := func(f File) int {
		if i := slices.Index(order, f.Study); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(files, func(a, b File) int {
		if c := place(a) - place(b); c != 0 {
			return c
		}
		return strings.Compare(a.Study, b.Study)
	})
	return files, nil
}

func read(path string) (f File, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// paths are file names with their folders, wherever they stand in a text.
var paths = regexp.MustCompile(`(^|[\s"'(=:])/(?:[^\s"'():/]+/)+([^\s"'():/]+)`)

// Clean makes the text of an error fit to be published: one line, and of paths
// only the last part.
func Clean(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	return paths.ReplaceAllString(line, "$1$2")
}
