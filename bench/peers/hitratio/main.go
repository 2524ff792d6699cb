// Command hitratio replays a trace through a cache that holds one entry an owner,
// ristretto or otter, within a budget of real memory, and prints how often the
// owner asked for was there. It is a module of its own, so that what it compares
// with stays out of sidegate's, and it does not depend on the other peers.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
)

// task is what the command line asks for.
type task struct {
	trace   []byte // users, four bytes each
	lists   int    // users below this number have a list
	entries int    // of each
	budget  int64  // bytes that the heap may grow by
}

// found is what a replay came to. Questions are counted from the middle on.
type found struct {
	Questions int64
	Hits      int64
	Heap      int64 // by which it really grew
	Kept      int64 // owners in memory at the end
	Passes    int   // replays it took to find out how much fits
}

// keeper is a cache of lists by owner, an owner without a list included.
type keeper interface {
	get(owner uint64) bool
	// set keeps a list; bytes is what its words take.
	set(owner uint64, list []uint64, bytes int64)
	// settle waits until what was asked before has been done.
	settle()
	kept() int64
	close()
}

// open makes a keeper of a capacity in bytes, as it counts them itself.
var open = map[string]func(capacity int64) (keeper, error){"ristretto": openRistretto, "otter": openOtter}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "hitratio:", err)
		os.Exit(1)
	}
}

func run() error {
	var t task
	name := flag.String("cache", "", "ristretto or otter")
	file := flag.String("trace", "", "the file of users that are asked for, four bytes each, little-endian")
	flag.IntVar(&t.lists, "lists", 0, "users below this number have a list")
	flag.IntVar(&t.entries, "entries", 10, "entries of each list")
	flag.Int64Var(&t.budget, "budget", 64<<20, "bytes that the heap may grow by")
	flag.Parse()
	if open[*name] == nil {
		return fmt.Errorf("-cache %q: want ristretto or otter", *name)
	}
	var err error
	if t.trace, err = os.ReadFile(*file); err != nil {
		return err
	}
	if len(t.trace) < 8 {
		return errors.New("the trace is empty")
	}
	out, err := t.fit(open[*name])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// fit replays with a smaller or larger capacity until the heap grows by the budget,
// within 3 %: what a cache calls its size is not what it takes.
func (t task) fit(open func(int64) (keeper, error)) (out found, err error) {
	capacity := t.budget
	for pass := 1; ; pass++ {
		if out, err = t.replay(open, capacity); err != nil {
			return out, err
		}
		out.Passes = pass
		off := float64(out.Heap)/float64(t.budget) - 1
		if off > -0.03 && off < 0.03 || pass == 4 {
			return out, nil
		}
		next := int64(float64(capacity) / (1 + off))
		if next > 8*capacity { // everything is in
			return out, nil
		}
		capacity = next
	}
}

func (t task) replay(open func(int64) (keeper, error), capacity int64) (out found, err error) {
	before := heap()
	k, err := open(capacity)
	if err != nil {
		return out, err
	}
	defer k.close()
	const settleAfter = 256 // misses; without, some of what is set would be dropped
	misses := 0
	for at := 0; at < len(t.trace); at += 4 {
		user := int(binary.LittleEndian.Uint32(t.trace[at:]))
		owner := mix(uint64(user))
		hit := k.get(owner)
		if at >= len(t.trace)/2 {
			out.Questions++
			if hit {
				out.Hits++
			}
		}
		if hit {
			continue
		}
		var list []uint64
		if user < t.lists {
			list = make([]uint64, t.entries)
		}
		k.set(owner, list, int64(8*len(list)))
		if misses++; misses%settleAfter == 0 {
			k.settle()
		}
	}
	k.settle()
	out.Heap, out.Kept = heap()-before, k.kept()
	runtime.KeepAlive(t.trace)
	return out, nil
}

// mix spreads numbers as a hash of an id would.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// heap is what lives on the heap.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
