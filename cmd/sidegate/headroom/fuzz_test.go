package headroom

import (
	"math"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzCgroupLimit: whatever a kernel, or a container runtime that plays one, writes
// into these files, what is found is a limit that one of them holds, or none; and no
// group leads out of the tree that is mounted.
func FuzzCgroupLimit(f *testing.F) {
	f.Add("0::/a/b\n", mountV2, "max\n", "134217728\n")
	f.Add("4:memory:/docker/1\n3:cpu:/x\n", mountV1Memory+mountV1CPU, "9223372036854771712\n", "1024")
	f.Add("0::/../../x\n", `30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw`, "-1", "0")
	f.Add("0::a/../../../b\n", `30 23 0:26 /a\040b /c\134\040 rw - cgroup2 x y`, "00017", "+5")
	f.Fuzz(func(t *testing.T, groups, mounts, group, above string) {
		trees := hierarchies(files(map[string]string{"proc/self/mountinfo": mounts}))
		tree := fstest.MapFS{}
		for name, text := range map[string]string{"proc/self/cgroup": groups, "proc/self/mountinfo": mounts} {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
		for line := range strings.Lines(groups) {
			for _, h := range trees {
				_, below, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "::")
				folders := h.groups(below)
				for i, folder := range folders {
					if base := path.Clean(h.mount); base != "." && folder != base && !strings.HasPrefix(folder, base+"/") && base != "/" {
						t.Fatalf("the group %q of %+v is looked for in %q", below, h, folder)
					}
					text := above
					if i == 0 {
						text = group
					}
					for _, file := range h.files {
						tree[path.Join(folder, file)] = &fstest.MapFile{Data: []byte(text)}
					}
				}
			}
		}
		limit, from := cgroupLimit(tree)
		if limit < 0 || limit >= unlimited || (limit == 0) != (from == "") {
			t.Fatalf("the limit is %d by %q", limit, from)
		}
		if limit > 0 && readLimit(tree, from[1:]) != limit {
			t.Fatalf("the limit is %d by %q, which says %q", limit, from, tree[from[1:]].Data)
		}
		if m := find(tree, math.MaxInt64); m.CacheBytes() < 1 || limit > beside*2 && m.CacheBytes() > limit {
			t.Fatalf("of %d bytes %d are for lists", limit, m.CacheBytes())
		}
	})
}
