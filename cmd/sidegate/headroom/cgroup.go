package headroom

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// unlimited is the least number that means no limit: version 1 has no word for it
// and shows the highest number of pages, in bytes.
const unlimited = math.MaxInt64 >> 2

// A hierarchy is a mounted tree of control groups that can limit memory.
type hierarchy struct {
	mount string   // where it is mounted, without the leading slash
	root  string   // the group that is mounted there: in a container often its own
	files []string // those of a group that hold a limit
}

// cgroupLimit returns the lowest limit that a control group puts on the memory of
// this process, and the file that says so; 0 = none.
//
// The group's own file is not enough: a pod is limited above its containers, a
// slice above its services.
func cgroupLimit(root fs.FS) (limit int64, from string) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, ""
	}
	trees := hierarchies(root)
	for line := range strings.Lines(string(text)) {
		// 4:memory:/group with version 1, 0::/group with version 2.
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		tree, ok := trees[controllers(parts[1])]
		if !ok {
			continue
		}
		for _, group := range tree.groups(parts[2]) {
			for _, file := range tree.files {
				name := path.Join(group, file)
				if n := readLimit(root, name); n > 0 && (limit == 0 || n < limit) {
					limit, from = n, "/"+name
				}
			}
		}
	}
	return limit, from
}

// controllers tells the hierarchies apart that matter here: that of version 2, which
// names no controllers, and that of version 1 that limits memory.
func controllers(list string) string {
	for name := range strings.SplitSeq(list, ",") {
		if name == "memory" {
			return name
		}
	}
	if list == "" {
		return ""
	}
	return "other"
}

// hierarchies finds where the trees are mounted, by their controllers.
func hierarchies(root fs.FS) map[string]hierarchy {
	trees := map[string]hierarchy{}
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return trees
	}
	for line := range strings.Lines(string(text)) {
		// 36 35 98:0 /group /sys/fs/cgroup/memory rw,… optional… - cgroup cgroup rw,memory
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		fields, more := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(more) < 3 {
			continue
		}
		tree := hierarchy{root: unescape.Replace(fields[3]), mount: strings.TrimPrefix(unescape.Replace(fields[4]), "/")}
		switch {
		case more[0] == "cgroup2":
			// Above memory.high the kernel makes the process wait for memory to
			// be freed: there is no use in being up there.
			tree.files = []string{"memory.max", "memory.high"}
			trees[""] = tree
		case more[0] == "cgroup" && controllers(more[2]) == "memory":
			tree.files = []string{"memory.limit_in_bytes"}
			trees["memory"] = tree
		}
	}
	return trees
}

// unescape turns back what the kernel writes for characters that would end a field.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// groups returns the folder of a group and those of all groups above it, as far as
// they are mounted. A group that is not below the mounted one is named by somebody
// outside the container: what is mounted then is the container's own.
func (h hierarchy) groups(group string) (folders []string) {
	below, ok := strings.CutPrefix(path.Clean(group), strings.TrimSuffix(h.root, "/"))
	if !ok || below != "" && below[0] != '/' || strings.HasPrefix(below, "/..") {
		below = ""
	}
	for below = strings.Trim(below, "/"); below != "" && below != "."; below = path.Dir(below) {
		folders = append(folders, path.Join(h.mount, below))
	}
	return append(folders, h.mount)
}

// readLimit reads a limit in bytes; 0 = none.
func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= unlimited {
		return 0 // "max", or the highest number there is
	}
	return n
}
