package warm

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	server   = cache.Identity{System: 7, Timeline: 1, Salt: 3}
	position = blocksync.Position{Xmin: 5, Xmax: 9}
)

// load is a database in which bob has blocked alice.
func load(_ context.Context, _ string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	out := cache.Loaded{Identity: server}
	if h := cache.HashOwner("bob", server.Salt); kind == cache.KindBlock && r.Lo <= h && h <= r.Hi {
		e := []cache.Entry{{Target: "alice"}}
		out.Lists = []cache.List{{Owner: "bob", Version: 1, Size: 1, Digest: cache.ListDigest(false, e), Entries: e}}
		out.Count = 1
	}
	return out, nil
}

// journal is a log that is read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), text)
}

// run is a process with a warm file.
type run struct {
	*File
	cache *cache.Cache
	log   journal
	place func() (cache.Identity, blocksync.Position, bool)
}

func begin(t *testing.T, path string, change ...func(*Options)) *run {
	t.Helper()
	r := &run{}
	opts := Options{Path: path, Metrics: NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.NewTextHandler(&r.log, nil))}
	for _, f := range change {
		f(&opts)
	}
	r.File = New(opts)
	var err error
	if r.cache, err = cache.New(cache.Options{
		MaxBytes: 1 << 20, Apps: []string{"a"}, Loader: cache.Whole(load), Warm: r.Open(), Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	}); err != nil {
		t.Fatal(err)
	}
	r.place = func() (cache.Identity, blocksync.Position, bool) { return server, position, r.cache.Synced() }
	r.Attach(r.cache, func() (cache.Identity, blocksync.Position, bool) { return r.place() })
	t.Cleanup(r.unlock)
	return r
}

// follows has bob's list in memory.
func (r *run) follows(t *testing.T) *run {
	t.Helper()
	r.cache.Reset(server, r.cache.Now())
	if v, err := r.cache.Directory("a", cache.KindBlock).Load(t.Context(), "bob", cache.Need{}); err != nil || !v.Contains("alice") {
		t.Fatalf("bob's list: %v", err)
	}
	return r
}

// end runs it until it has written the last file.
func (r *run) end(t *testing.T) {
	t.Helper()
	ended, end := context.WithCancel(context.Background())
	end()
	if err := r.Run(ended); err != nil {
		t.Fatal(err)
	}
}

func (r *run) refusals(cause string) float64 {
	return testutil.ToFloat64(r.opts.Metrics.refused[cause])
}

func TestAFileIsWrittenAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "warm")
	first := begin(t, path)
	if first.log.count("there is no warm file yet") != 1 {
		t.Error("the first start does not say that it is one")
	}
	first.end(t) // before it follows anything: nothing is known
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a process that knew nothing has written a file: %v", err)
	}
	first = begin(t, path).follows(t)
	if err := os.WriteFile(path+".new", []byte("left by one that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	first.end(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if got := testutil.ToFloat64(first.opts.Metrics.bytes); got != float64(info.Size()) {
		t.Errorf("%v bytes are told of %d", got, info.Size())
	}
	second := begin(t, path)
	left, ok := second.Stage(t.Context())
	if !ok || left.Server != server || left.Position.String() != position.String() || left.Through.String() != position.String() {
		t.Fatalf("%+v, %v", left, ok)
	}
	second.cache.Resume(second.cache.Now(), nil)
	second.Accept()
	if v, ok := second.cache.Directory("a", cache.KindBlock).Find("bob"); !ok || !v.Contains("alice") {
		t.Error("bob's list is not in memory")
	}
	if testutil.ToFloat64(second.opts.Metrics.pages) != 1 || second.log.count("started warm") != 1 {
		t.Error("nobody is told")
	}
}

// Whatever is wrong with a file is told by its cause and costs nothing else.
func TestAFileThatCannotBeUsed(t *testing.T) {
	good := filepath.Join(t.TempDir(), "warm")
	begin(t, good).follows(t).end(t)
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte, mode fs.FileMode) func(path string) error {
		return func(path string) error {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				return err
			}
			return os.Chmod(path, mode)
		}
	}
	flip := func(at int) []byte {
		out := bytes.Clone(content)
		out[at] ^= 4
		return out
	}
	for name, c := range map[string]struct {
		lay   func(path string) error
		cause string
	}{
		"empty":         {write(nil, 0o600), causeDamaged},
		"another file":  {write([]byte(strings.Repeat("sidegate: warm?\n", 100)), 0o600), causeDamaged},
		"a bit":         {write(flip(len(content)/2), 0o600), causeDamaged},
		"cut off":       {write(content[:len(content)-9], 0o600), causeDamaged},
		"other version": {write(flip(16), 0o600), causeFormat},
		"byte order":    {write(flip(24), 0o600), causeFormat},
		"everybody's":   {write(content, 0o602), causeUnreadable},
		"a folder":      {func(path string) error { return os.Mkdir(path, 0o700) }, causeUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "warm")
			if err := c.lay(path); err != nil {
				t.Fatal(err)
			}
			r := begin(t, path)
			if _, ok := r.Stage(t.Context()); ok || r.refusals(c.cause) != 1 || r.log.count("cause="+c.cause) != 1 {
				t.Errorf("used: %v, refused as %s: %v", ok, c.cause, r.refusals(c.cause))
			}
			r.follows(t)
		})
	}
	r := begin(t, filepath.Join(t.TempDir(), "nowhere", "warm"))
	if r.refusals(causeUnreadable) != 1 {
		t.Error("a folder that is not there is taken for a first start")
	}
}

func TestTheFollowersCausesHaveWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "warm")
	begin(t, path).follows(t).end(t)
	for _, cause := range causes[5:] {
		r := begin(t, path)
		if _, ok := r.Stage(t.Context()); !ok {
			t.Fatal("the file is not used")
		}
		r.Refuse(cause)
		if reasons[cause] == nil || r.refusals(cause) != 1 || r.cache.Stats().Pages != 0 {
			t.Errorf("%s: %v, %v", cause, reasons[cause], r.cache.Stats())
		}
		r.unlock()
	}
}

// Of two processes with one path, one has it at a time.
func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "warm")
	first, second := begin(t, path).follows(t), begin(t, path).follows(t)
	if second.refusals(causeLocked) != 1 {
		t.Error("two processes have one file")
	}
	second.save(t.Context(), nil)
	second.save(t.Context(), nil)
	if _, err := os.Stat(path); !os.IsNotExist(err) || testutil.ToFloat64(second.opts.Metrics.errors) != 2 || second.log.count("cannot be written") != 1 {
		t.Errorf("%v, %v errors", err, testutil.ToFloat64(second.opts.Metrics.errors))
	}
	first.end(t)
	second.save(t.Context(), nil)
	if second.silent || testutil.ToFloat64(second.opts.Metrics.saved) == 0 {
		t.Error("the second does not write although the first is gone")
	}
}

// A file that cannot be written leaves the one before it as it was.
func TestTheFileBeforeStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "warm")
	r := begin(t, path).follows(t)
	r.save(t.Context(), nil)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path+".new/full", 0o700); err != nil { // as a full disk: no file can be made
		t.Fatal(err)
	}
	r.save(t.Context(), nil)
	if err := os.RemoveAll(path + ".new"); err != nil {
		t.Fatal(err)
	}
	// Following has moved on to another server, or the time is up.
	calls := 0
	r.place = func() (cache.Identity, blocksync.Position, bool) {
		other := server
		other.Timeline += uint32(calls)
		calls++
		return other, position, true
	}
	r.save(t.Context(), nil)
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	calls = 0
	r.save(late, nil)
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("half a file is left: %v", err)
	}
	if testutil.ToFloat64(r.opts.Metrics.errors) != 1 {
		t.Errorf("%v errors, want the disk's", testutil.ToFloat64(r.opts.Metrics.errors))
	}
}
