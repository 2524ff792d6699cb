package inprocess

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

func hashOf(id string) uint64  { return cache.HashOwner(id, server.Salt) }
func printOf(id string) uint64 { return uint64(cache.PrintOf(id)) }

// contestant is one way to answer questions. Ask answers some, from number i on,
// and returns how many and to how many of them the answer was "blocked", so that
// nothing can be left out and every way can be seen to say the same.
type contestant struct {
	name string
	ask  func(i int) (asked, blocked int)
}

// some is how many questions a contestant answers between two looks at the clock.
const some = 1 << 14

// each makes a contestant of a way to answer one question.
func each(name string, q questions, one func(sender, recipient string) bool) contestant {
	return contestant{name, func(i int) (asked, blocked int) {
		for k := range some {
			if one(q.at(i + k)) {
				blocked++
			}
		}
		return some, blocked
	}}
}

func oneWay(d *cache.Directory) func(sender, recipient string) bool {
	return func(sender, recipient string) bool {
		v, ok := d.Find(recipient)
		if !ok {
			panic("inprocess: a page is not in memory")
		}
		return v.Contains(sender)
	}
}

func twoWay(c *cache.Cache) func(sender, recipient string) bool {
	d := c.Directory(seed.App, cache.KindBlock)
	return func(sender, recipient string) bool {
		both := [2]cache.Lookup{
			{Directory: d, Owner: recipient, Target: cache.PrintOf(sender)},
			{Directory: d, Owner: sender, Target: cache.PrintOf(recipient)},
		}
		c.FindAll(both[:])
		return both[0].View.Has(both[0].Target) || both[1].View.Has(both[1].Target)
	}
}

func check(f *filter.Filter) func(sender, recipient string) bool {
	return func(sender, recipient string) bool {
		d := f.CanDeliver(filter.Check{App: seed.App, Sender: sender, Recipient: recipient, RoomType: filter.Direct})
		return isBlock(d.Reason)
	}
}

func isBlock(r filter.Reason) bool {
	return r == filter.ReasonRecipientBlockedSender || r == filter.ReasonSenderBlockedRecipient
}

// batches answers a thousand questions at a time.
func batches(f *filter.Filter, q questions) contestant {
	checks := make([]filter.Check, 1000)
	decisions := make([]filter.Decision, len(checks))
	return contestant{"batch of 1,000", func(i int) (asked, blocked int) {
		for j := range checks {
			sender, recipient := q.at(i + j)
			checks[j] = filter.Check{App: seed.App, Sender: sender, Recipient: recipient, RoomType: filter.Direct, API: filter.APIBatch}
		}
		f.Batch(checks, decisions)
		for j := range decisions {
			if isBlock(decisions[j].Reason) {
				blocked++
			}
		}
		return len(checks), blocked
	}}
}

// byTwo asks from two goroutines.
func byTwo(c contestant) contestant {
	return contestant{c.name + ", two goroutines", func(i int) (asked, blocked int) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 8 {
					c.ask(i)
				}
			})
		}
		wg.Wait()
		return 16 * some, 0
	}}
}

// bodies are fan-outs of a message to recipients drawn at random.
func bodies(q questions, n, recipients int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		var b strings.Builder
		sender, _ := q.at(i * recipients)
		fmt.Fprintf(&b, `{"app":%q,"sender":%q,"room_type":"group","recipients":[`, seed.App, sender)
		for j := range recipients {
			_, recipient := q.at(i*recipients + j)
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%q", recipient)
		}
		b.WriteString("]}")
		out[i] = []byte(b.String())
	}
	return out
}

// fanouts sends them over a connection and reads the answers.
func fanouts(conn net.Conn, bodies [][]byte, recipients int) contestant {
	requests := make([][]byte, len(bodies))
	for i, body := range bodies {
		requests[i] = fmt.Appendf(nil, "POST /v1/can-deliver/fanout HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	answers, turn := bufio.NewReaderSize(conn, 1<<16), 0
	return contestant{"fan-out of 10,000 over HTTP", func(int) (asked, blocked int) {
		turn++
		if _, err := conn.Write(requests[turn%len(requests)]); err != nil {
			panic(fmt.Sprintf("inprocess: send a fan-out: %v", err))
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			panic(fmt.Sprintf("inprocess: fan-out: %v", err))
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
			panic(fmt.Sprintf("inprocess: fan-out: status %d, %v", answer.StatusCode, err))
		}
		return recipients, 0
	}}
}
