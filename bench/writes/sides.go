package writes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
)

// side is one way to write. Run writes with so many callers for a while and
// returns how many writes there were, how long it took, and what was used of the
// CPU besides by Postgres: by the client and by what stands between.
type side struct {
	name string
	run  func(ctx context.Context, callers int, length time.Duration) (shot, error)
}

// shot is one measurement.
type shot struct {
	writes     int
	took       time.Duration
	front, own time.Duration // CPU of what stands before Postgres, and of the client
	cluster    time.Duration // CPU of Postgres
}

func (s shot) rate() float64 { return float64(s.writes) / s.took.Seconds() }

func (s shot) micros(d time.Duration) float64 { return float64(d.Microseconds()) / float64(s.writes) }

// bench is the bare transaction, driven by pgbench.
func bench(tool, dir, dsn string, lists int) (side, error) {
	file := filepath.Join(dir, "bare.sql")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(script, "$LISTS", strconv.Itoa(lists))), 0o644); err != nil {
		return side{}, err
	}
	return side{"pgbench", func(ctx context.Context, callers int, length time.Duration) (shot, error) {
		// It measures whole seconds only, so it is given a number of transactions,
		// and the first run tells how many fit.
		begun, total := time.Now(), shot{}
		for share := max(1, 200/callers); time.Since(begun) < length; share *= 2 {
			cmd := osexec.CommandContext(ctx, tool, "--no-vacuum", "--protocol=prepared", "--file="+file,
				"--client="+strconv.Itoa(callers), "--jobs="+strconv.Itoa(min(callers, 2)), "--transactions="+strconv.Itoa(share), dsn)
			out, err := cmd.CombinedOutput()
			if err != nil {
				return shot{}, fmt.Errorf("pgbench: %w: %s", err, out)
			}
			n, rate, err := parsed(string(out))
			if err != nil {
				return shot{}, err
			}
			total.writes += n
			total.took += time.Duration(float64(n) / rate * float64(time.Second))
			total.own += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		return total, nil
	}}, nil
}

// parsed reads what pgbench prints: the transactions, and their rate without the
// time for connecting.
func parsed(out string) (n int, rate float64, err error) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "number of transactions actually processed: "); ok {
			digits, _, _ := strings.Cut(strings.TrimSpace(rest), "/")
			n, err = strconv.Atoi(digits)
		} else if rest, ok := strings.CutPrefix(line, "tps = "); ok {
			digits, _, _ := strings.Cut(rest, " ")
			rate, err = strconv.ParseFloat(digits, 64)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("pgbench says %q: %w", line, err)
		}
	}
	if n == 0 || rate == 0 {
		return 0, 0, fmt.Errorf("pgbench says %q", out)
	}
	return n, rate, nil
}

// fresh numbers targets, so that none is on a list already.
var fresh atomic.Int64

func target() string { return "target-" + strconv.FormatInt(fresh.Add(1), 36) }

func owner(lists int) string { return "user-" + strconv.Itoa(rand.IntN(lists)) }

// loop lets callers write until the time is over.
func loop(ctx context.Context, callers int, length time.Duration, write func() error) (shot, error) {
	var (
		wg     sync.WaitGroup
		writes atomic.Int64
		failed atomic.Pointer[error]
	)
	begun, used := time.Now(), ownCPU()
	for range callers {
		wg.Go(func() {
			for time.Since(begun) < length && ctx.Err() == nil && failed.Load() == nil {
				if err := write(); err != nil {
					failed.Store(&err)
					return
				}
				writes.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return shot{}, *err
	}
	if writes.Load() == 0 {
		return shot{}, errors.Join(ctx.Err(), errors.New("nothing was written"))
	}
	return shot{writes: int(writes.Load()), took: time.Since(begun), own: ownCPU() - used}, nil
}

// store is the store, in this process.
func store(s *postgres.Store, lists int) side {
	return side{"store", func(ctx context.Context, callers int, length time.Duration) (shot, error) {
		return loop(ctx, callers, length, func() error {
			_, err := s.Edit(ctx, filter.Edit{
				List: filter.ListID{App: "default", Kind: cache.KindBlock, Owner: owner(lists)},
				Add:  []filter.Addition{{Target: target(), Keep: true}}, Source: "native",
			})
			return err
		})
	}}
}

// api is the built program, asked over HTTP with a PUT for each block.
func api(program *load.Process, address string, lists int) side {
	client := &fasthttp.HostClient{Addr: address, MaxConns: 256, ReadTimeout: 10 * time.Second}
	return side{"api", func(ctx context.Context, callers int, length time.Duration) (shot, error) {
		before, err := load.CPU(program.PIDs()...)
		if err != nil {
			return shot{}, err
		}
		taken, err := loop(ctx, callers, length, func() error {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			req.Header.SetMethod("PUT")
			req.SetRequestURI("http://" + address + "/v1/apps/default/users/" + url.PathEscape(owner(lists)) + "/blocks/" + target())
			if err := client.Do(req, resp); err != nil {
				return err
			}
			if resp.StatusCode() != 201 {
				return fmt.Errorf("a block was answered %d: %s", resp.StatusCode(), resp.Body())
			}
			return nil
		})
		if err != nil {
			return shot{}, err
		}
		after, err := load.CPU(program.PIDs()...)
		taken.front = after - before
		return taken, err
	}}
}
