package headroom

import (
	"io/fs"
	"math"
	"os"
	"runtime/debug"
)

// Memory is what the process may use, as it was found at the start. The zero value
// means that nothing limits it.
type Memory struct {
	// Limit is the memory that the system gives the process, in bytes; 0 = no
	// limit. Above it the process is killed, or made to wait.
	Limit int64
	// From is the file that says so, or GOMEMLIMIT if only that bounds the process;
	// "" = nothing does.
	From string
	// Soft is what the process should stay below, in bytes; 0 = no bound. It is nine
	// tenths of Limit, or GOMEMLIMIT where that is given and less.
	Soft int64
}

const (
	// Unlimited is what [Memory.CacheBytes] proposes where nothing limits the
	// process: room for some millions of lists, and nothing that a machine misses.
	Unlimited = 256 << 20
	// beside is what the process takes that does not grow with the lists, generously:
	// itself, its connections, and the room for garbage.
	beside = 64 << 20
	// leastShare of the soft bound goes to the lists, however little that is: a
	// budget of nothing would read every list from the database.
	leastShare = 8
)

// Find looks for the limits of this process: those of its control groups, of both
// versions, and GOMEMLIMIT. root is the root of the file system, os.DirFS("/"). What
// is not there or cannot be read limits nothing: other systems have no such files.
func Find(root fs.FS) Memory {
	given := int64(math.MaxInt64)
	if os.Getenv("GOMEMLIMIT") != "" {
		given = debug.SetMemoryLimit(-1) // as the runtime has read it; it changes nothing
	}
	return find(root, given)
}

// find is Find with the GOMEMLIMIT that is given; the highest number means none.
func find(root fs.FS, given int64) Memory {
	var m Memory
	m.Limit, m.From = cgroupLimit(root)
	m.Soft = m.Limit / 10 * 9
	if given < math.MaxInt64 && (m.Soft == 0 || given < m.Soft) {
		m.Soft = given
		if m.From == "" {
			m.From = "GOMEMLIMIT"
		}
	}
	return m
}

// CacheBytes is the budget for lists that the memory has room for, in bytes. A full
// cache makes a process of a quarter more than its budget, and of what stands beside
// it: that must stay below the soft bound.
func (m Memory) CacheBytes() int64 {
	if m.Soft == 0 {
		return Unlimited
	}
	return max((m.Soft-beside)/5*4, m.Soft/leastShare, 1)
}

// Holds reports whether a budget for lists can be used up within the memory: alone,
// with the quarter that a full cache takes besides.
func (m Memory) Holds(budget int64) bool {
	return m.Soft == 0 || budget <= m.Soft/5*4
}
