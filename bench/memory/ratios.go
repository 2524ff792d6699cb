package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// contest is one trace through several caches of the same size in real memory.
type contest struct {
	what   string
	shape  seed.Shape
	s      float64
	budget int64
}

func contests(quick bool) []contest {
	if quick {
		return []contest{{"one user in ten has a list", seed.Shape{Lists: 10_000, Entries: 10, Idle: 90_000}, 1.01, 2 << 20}}
	}
	few, all := seed.Shape{Lists: 100_000, Entries: 10, Idle: 900_000}, seed.Shape{Lists: 1_000_000, Entries: 10}
	return []contest{
		{"one user in ten has a list", few, 1.01, 16 << 20},
		{"one user in ten has a list", few, 1.01, 4 << 20},
		{"one user in ten has a list", few, 1.2, 4 << 20},
		{"every user has a list", all, 1.01, 32 << 20},
		{"every user has a list", all, 1.2, 32 << 20},
	}
}

// peer is what the peers' program found.
type peer struct{ Questions, Hits, Heap, Kept int64 }

// ratios asks caches the same questions and compares how often they knew.
func ratios(ctx context.Context, env *study.Env, out *study.Result) error {
	table := study.Table{
		Title: "Hit ratio of caches of the same real size: lists of 10, owners drawn by Zipf's law, counted from the middle of the trace on",
		Head: []string{"users", "s", "budget", "sidegate", "ristretto, an entry an owner", "otter v2, an entry an owner",
			"heap of each", "owners that each can answer for"},
	}
	row := study.Row{ID: "hit-ratio", What: "hit ratio beside otter v2 with an entry an owner, same trace, same real memory", Unit: "× otter"}
	var own, other []float64
	length := 1_000_000
	if env.Quick {
		length = 100_000
	}
	program := filepath.Join(env.Peers, "hitratio")
	if _, err := os.Stat(program); err != nil {
		row.Missing = "the peers' program hitratio is not built: `make bench-peers`"
	}
	for n, c := range contests(env.Quick) {
		env.Log("memory: hit ratio, %s, s = %v, %s", c.what, c.s, mib(c.budget))
		file := filepath.Join(env.Scratch, fmt.Sprintf("ratio-%d.trace", n))
		if err := draw(file, c.shape, c.s, length); err != nil {
			return err
		}
		f, err := measure[toAsk, asked](ctx, "memory-traffic", toAsk{Shape: c.shape, Budget: c.budget, Trace: file})
		if err != nil {
			return err
		}
		ratio := float64(f.Hits) / float64(f.Questions)
		cells := []string{c.what, fmt.Sprint(c.s), mib(c.budget), share(float64(f.Hits), float64(f.Questions))}
		heaps, owners := mib(f.Heap), fmt.Sprint(f.Stats.Pages*int64(c.shape.Users())/f.Stats.Slots)
		for _, name := range []string{"ristretto", "otter"} {
			if row.Missing != "" {
				cells = append(cells, "not built")
				continue
			}
			p, err := askPeer(ctx, program, name, file, c)
			if err != nil {
				return err
			}
			cells = append(cells, share(float64(p.Hits), float64(p.Questions)))
			heaps, owners = heaps+", "+mib(p.Heap), owners+", "+fmt.Sprint(p.Kept)
			if name == "otter" {
				own, other = append(own, ratio), append(other, float64(p.Hits)/float64(p.Questions))
			}
		}
		table.Cells = append(table.Cells, append(cells, heaps, owners))
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	out.Rows = append(out.Rows, row.Ratio(study.Side{Name: "sidegate", Unit: "hits/question", Values: own}, study.Side{Name: "otter v2", Unit: "hits/question", Values: other}))
	out.Tables = append(out.Tables, table)
	out.Notes = append(out.Notes, `The peers keep one entry an owner, the ten fingerprints or nothing, under the owner's hash; what is left out is what they would need to follow changes: a version and a digest each. Their capacity is adjusted until the heap grows by the budget, so that their own cost an entry is counted as ours is. A user without a list costs them an entry and us none.`)
	return nil
}

// askPeer replays a trace through a peer.
func askPeer(ctx context.Context, program, name, file string, c contest) (out peer, err error) {
	cmd := exec.CommandContext(ctx, program, "-cache", name, "-trace", file, "-lists", strconv.Itoa(c.shape.Lists),
		"-entries", strconv.Itoa(c.shape.Entries), "-budget", strconv.FormatInt(c.budget, 10))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return out, fmt.Errorf("%s through the trace: %w", name, err)
	}
	return out, nil
}
