package headroom

import (
	"math"
	"testing"
	"testing/fstest"
)

const (
	mib  = 1 << 20
	none = math.MaxInt64 // no GOMEMLIMIT
)

// files makes a file system of texts by their paths.
func files(texts map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range texts {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

const (
	mountV2       = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1Memory = "35 30 0:31 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
	mountV1CPU    = "36 30 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
)

// TestCgroupLimit: the trees are those of real systems, in short.
func TestCgroupLimit(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		limit int64
		from  string
	}{
		{name: "no such files, as on other systems"},
		{
			name: "version 2 in a container with a namespace",
			files: map[string]string{
				"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/memory.max": "134217728\n", "sys/fs/cgroup/memory.high": "max\n",
			},
			limit: 128 * mib, from: "/sys/fs/cgroup/memory.max",
		},
		{
			name: "version 2 without a limit",
			files: map[string]string{
				"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "max\n",
			},
		},
		{
			name: "a slice is limited more than its service",
			files: map[string]string{
				"proc/self/cgroup": "0::/chat.slice/sidegate.service\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/chat.slice/sidegate.service/memory.max": "536870912\n",
				"sys/fs/cgroup/chat.slice/memory.max":                  "268435456\n",
			},
			limit: 256 * mib, from: "/sys/fs/cgroup/chat.slice/memory.max",
		},
		{
			name: "the kernel slows down before it kills",
			files: map[string]string{
				"proc/self/cgroup": "0::/s\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/s/memory.max": "536870912\n", "sys/fs/cgroup/s/memory.high": "402653184\n",
			},
			limit: 384 * mib, from: "/sys/fs/cgroup/s/memory.high",
		},
		{
			name: "version 1 beside an empty version 2",
			files: map[string]string{
				"proc/self/cgroup":    "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n",
				"proc/self/mountinfo": mountV1CPU + mountV1Memory + "40 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
				"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "67108864\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes":            "9223372036854771712\n",
			},
			limit: 64 * mib, from: "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
		},
		{
			name: "version 1 in a container that sees the host's path",
			files: map[string]string{
				"proc/self/cgroup":                           "4:memory:/docker/abc\n",
				"proc/self/mountinfo":                        "35 30 0:31 /docker/abc /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n",
			},
			limit: 64 * mib, from: "/sys/fs/cgroup/memory/memory.limit_in_bytes",
		},
		{
			name: "a group of which the mounted one is not the beginning",
			files: map[string]string{
				"proc/self/cgroup":             "0::/docker/abcdef\n",
				"proc/self/mountinfo":          "30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				"sys/fs/cgroup/memory.max":     "67108864\n",
				"sys/fs/cgroup/def/memory.max": "1\n",
			},
			limit: 64 * mib, from: "/sys/fs/cgroup/memory.max",
		},
		{
			name: "a group outside the namespace",
			files: map[string]string{
				"proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/memory.max": "67108864\n",
			},
			limit: 64 * mib, from: "/sys/fs/cgroup/memory.max",
		},
		{
			name: "systemd escapes a dash, the kernel its backslash",
			files: map[string]string{
				"proc/self/cgroup":           "0::/a\\x2db/c\n",
				"proc/self/mountinfo":        "30 23 0:26 /a\\134x2db /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				"sys/fs/cgroup/c/memory.max": "67108864\n",
			},
			limit: 64 * mib, from: "/sys/fs/cgroup/c/memory.max",
		},
		{
			name: "text that is none of this",
			files: map[string]string{
				"proc/self/cgroup":         "\n0:\n0::/\n",
				"proc/self/mountinfo":      "\n30 23\n - cgroup2\n" + mountV2,
				"sys/fs/cgroup/memory.max": "lots\n",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			limit, from := cgroupLimit(files(tc.files))
			if limit != tc.limit || from != tc.from {
				t.Errorf("%d from %q, want %d from %q", limit, from, tc.limit, tc.from)
			}
		})
	}
}

// limited is a file system that limits the process to some bytes.
func limited(text string) fstest.MapFS {
	return files(map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2, "sys/fs/cgroup/memory.max": text})
}

func TestFind(t *testing.T) {
	const file = "/sys/fs/cgroup/memory.max"
	for _, tc := range []struct {
		name  string
		limit string
		given int64
		want  Memory
	}{
		{"nothing", "max", none, Memory{}},
		{"a limit", "1000", none, Memory{Limit: 1000, From: file, Soft: 900}},
		{"GOMEMLIMIT alone", "max", 500, Memory{From: "GOMEMLIMIT", Soft: 500}},
		{"a lower GOMEMLIMIT", "1000", 500, Memory{Limit: 1000, From: file, Soft: 500}},
		// As when it is copied from the limit of the container.
		{"a higher GOMEMLIMIT", "1000", 1000, Memory{Limit: 1000, From: file, Soft: 900}},
	} {
		if got := find(limited(tc.limit), tc.given); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// TestCacheBytes holds the proposal to what docs/how-to/sizing.md promises of a full
// cache: a process of a quarter more, and 64 MiB.
func TestCacheBytes(t *testing.T) {
	if got := (Memory{}).CacheBytes(); got != Unlimited {
		t.Errorf("without a limit %d", got)
	}
	last := int64(0)
	for limit := int64(16 * mib); limit <= 1<<40; limit += limit / 8 {
		m := find(limited("max"), limit/10*9)
		got := m.CacheBytes()
		if got < last {
			t.Errorf("a limit of %d MiB gives %d bytes, a lower one gave %d", limit/mib, got, last)
		}
		if !m.Holds(got) {
			t.Errorf("a limit of %d MiB does not hold its own proposal", limit/mib)
		}
		// Below, the process itself leaves too little; what it gets is a beginning.
		if process := got + got/4 + beside; limit >= 96*mib && process > m.Soft {
			t.Errorf("a limit of %d MiB: %d MiB for lists make a process of %d MiB", limit/mib, got/mib, process/mib)
		}
		if got < m.Soft/leastShare {
			t.Errorf("a limit of %d MiB leaves only %d bytes", limit/mib, got)
		}
		last = got
	}
}

func TestHolds(t *testing.T) {
	m := Memory{Soft: 1000}
	for budget, want := range map[int64]bool{1: true, 800: true, 801: false, 1 << 40: false} {
		if m.Holds(budget) != want {
			t.Errorf("%d bytes: %v", budget, !want)
		}
	}
	if !(Memory{}).Holds(1 << 60) {
		t.Error("no limit refuses a budget")
	}
}
