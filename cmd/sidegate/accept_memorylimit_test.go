package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
)

// memoryGroup makes a control group whose processes may use so many bytes, below the
// group of this process, and returns its folder. Where that is not possible, the test
// is skipped: to make one takes root, and a tree that may be written to.
func memoryGroup(t *testing.T, limit int64) string {
	t.Helper()
	for _, place := range []struct{ hierarchy, mount, file string }{
		{":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // version 1
		{"0::", "/sys/fs/cgroup", "memory.max"},                        // version 2
	} {
		own := regexp.MustCompile(`(?m)^\d*` + place.hierarchy + `(/.*)$`).FindSubmatch(cgroups(t))
		if own == nil {
			continue
		}
		group := filepath.Join(place.mount, string(own[1]), "sidegate-test-"+strconv.Itoa(os.Getpid()))
		if err := os.Mkdir(group, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() {
			// The processes have ended; the kernel may need a moment to see it.
			waitFor(t, "the control group is removed", func() bool { return os.Remove(group) == nil })
		})
		// Not created: a folder without that file is no control group that limits memory.
		file, err := os.OpenFile(filepath.Join(group, place.file), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, err = file.WriteString(strconv.FormatInt(limit, 10))
		if err := errors.Join(err, file.Close()); err != nil {
			t.Skip("the control group takes no limit: ", err)
		}
		return group
	}
	t.Skip("no control group can be made here: it takes root and a writable /sys/fs/cgroup")
	return ""
}

func cgroups(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip("this system has no control groups: ", err)
	}
	return text
}

// startLimited is startSidecar in a control group.
func startLimited(t *testing.T, group, dsn string, environ ...string) *sidecar {
	t.Helper()
	cmd := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group, builtProgram(t), "serve", "--postgres-url", dsn)
	return bound(startCommand(t, t.TempDir(), append(append([]string{}, anyPort...), environ...), cmd))
}

// TestAcceptMemoryLimit starts the program under a memory limit of the system, as
// in a container: the memory for lists and the runtime's own limit follow from it.
func TestAcceptMemoryLimit(t *testing.T) {
	t.Parallel()
	const limit = 256 << 20
	group := memoryGroup(t, limit)
	dsn := database(t)

	t.Run("derived", func(t *testing.T) {
		s := startLimited(t, group, dsn, "GOMEMLIMIT=", "GOGC=").ready()
		m := s.samples()
		for name, want := range map[string]int64{
			"sidegate_memory_limit_bytes":   limit,
			"go_gc_gomemlimit_bytes":        limit / 10 * 9,
			"sidegate_cache_capacity_bytes": headroom.Memory{Soft: limit / 10 * 9}.CacheBytes(),
		} {
			if int64(m[name]) != want {
				t.Errorf("%s is %v, want %d", name, m[name], want)
			}
		}
		if said := s.stderr.String(); !strings.Contains(said, `"limit_from":"`+group+"/") || strings.Contains(said, "has room for") {
			t.Error("the log does not name the file that limits the process, or warns of what it has chosen itself")
		}
	})
	t.Run("given", func(t *testing.T) {
		s := startLimited(t, group, dsn, "GOMEMLIMIT=200MiB", "SIDEGATE_CACHE_MAX_BYTES=192MiB").ready()
		m := s.samples()
		if m["go_gc_gomemlimit_bytes"] != 200<<20 || m["sidegate_cache_capacity_bytes"] != 192<<20 {
			t.Errorf("GOMEMLIMIT is %v, the budget %v", m["go_gc_gomemlimit_bytes"], m["sidegate_cache_capacity_bytes"])
		}
		if !strings.Contains(s.stderr.String(), "more than the memory limit has room for") {
			t.Error("nothing warns of a budget that the limit has no room for")
		}
	})
}
