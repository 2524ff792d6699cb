package beside

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
)

// command appends a command as Redis reads it.
func command(buf []byte, words ...string) []byte {
	buf = fmt.Appendf(buf, "*%d\r\n", len(words))
	for _, w := range words {
		buf = fmt.Appendf(buf, "$%d\r\n%s\r\n", len(w), w)
	}
	return buf
}

// key is the set that holds a list.
func key(owner string) string { return "b:" + owner }

// startRedis starts a Redis without persistence and gives it all lists, a set each.
func startRedis(ctx context.Context, w *world) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return absence("redis-server is not installed: the Debian package redis-server brings it")
	}
	address, err := freePort()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", w.env.Scratch)
	if w.redis, err = w.start(ctx, cmd, load.Answers(ctx, "tcp", address)); err != nil {
		return err
	}
	w.env.Log("filling Redis")
	if err := fillRedis(ctx, address, w.shape); err != nil {
		return fmt.Errorf("fill Redis: %w", err)
	}
	if w.figures.redis, err = redisInfo(ctx, address); err != nil {
		return fmt.Errorf("ask Redis for its memory: %w", err)
	}
	one, two := w.exchanges()
	for _, c := range []struct {
		name      string
		exchanges []exchange
	}{{redisOneWay, one}, {redisTwoWay, two}, {redisDeep, bundles(one, depth)}} {
		w.contestants = append(w.contestants, load.Contestant{Name: c.name, PIDs: w.redis.PIDs, Open: func(ctx context.Context) ([]load.Caller, error) {
			return openRedis(ctx, address, c.exchanges)
		}})
	}
	for _, kind := range []string{"go-redis", "rueidis"} {
		w.program(kind+", one way", w.redis, client{kind: kind, address: address})
		w.program(kind+", two way", w.redis, client{kind: kind, address: address, twoWay: true})
	}
	return nil
}

// exchanges are all questions, one way and two way.
func (w *world) exchanges() (one, two []exchange) {
	one, two = make([]exchange, len(w.questions)), make([]exchange, len(w.questions))
	digit := map[bool]string{false: ":0\r\n", true: ":1\r\n"}
	for i, q := range w.questions {
		there, back := command(nil, "SISMEMBER", key(q.recipient), q.sender), command(nil, "SISMEMBER", key(q.sender), q.recipient)
		one[i] = exchange{there, []byte(digit[q.blocked]), 1}
		two[i] = exchange{slices.Concat(there, back), []byte(digit[q.blocked] + digit[q.backward]), 1}
	}
	return one, two
}

// exchange is what is sent, what must come back, and how many operations it is.
type exchange struct {
	send, want []byte
	operations int
}

// bundles joins exchanges into as many bundles of n as there are.
func bundles(exchanges []exchange, n int) (out []exchange) {
	for ; len(exchanges) >= n; exchanges = exchanges[n:] {
		var b exchange
		for _, e := range exchanges[:n] {
			b.send, b.want, b.operations = append(b.send, e.send...), append(b.want, e.want...), b.operations+e.operations
		}
		out = append(out, b)
	}
	return out
}

// redisCaller asks over a bare socket. It implements [load.Caller].
type redisCaller struct {
	conn      net.Conn
	exchanges []exchange
	next      int
	buf       []byte
}

func openRedis(ctx context.Context, address string, exchanges []exchange) (out []load.Caller, err error) {
	var dialer net.Dialer
	for i := range callers {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			for _, c := range out {
				err = errors.Join(err, c.Close())
			}
			return nil, err
		}
		out = append(out, &redisCaller{conn: conn, exchanges: exchanges, next: i * len(exchanges) / callers, buf: make([]byte, 4<<10)})
	}
	return out, nil
}

// Do implements [load.Caller]. Every answer is compared with the right one.
func (c *redisCaller) Do() (int, error) {
	if c.next == len(c.exchanges) {
		c.next = 0
	}
	e := &c.exchanges[c.next]
	c.next++
	if _, err := c.conn.Write(e.send); err != nil {
		return 0, err
	}
	got := c.buf[:len(e.want)]
	if _, err := io.ReadFull(c.conn, got); err != nil {
		return 0, err
	}
	if !bytes.Equal(got, e.want) {
		return 0, fmt.Errorf("asked %q, Redis answered %q, and %q is right", e.send, got, e.want)
	}
	return e.operations, nil
}

// Close implements [load.Caller].
func (c *redisCaller) Close() error { return c.conn.Close() }

// fillRedis writes all lists, and reads the answers meanwhile.
func fillRedis(ctx context.Context, address string, shape seed.Shape) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	written := make(chan error, 1)
	go func() {
		out := bufio.NewWriterSize(conn, 1<<16)
		words := make([]string, 2+shape.Entries)
		var buf []byte
		for i := range shape.Lists {
			words[0], words[1] = "SADD", key(seed.ID(i))
			for j := range shape.Entries {
				words[2+j] = seed.ID(shape.Target(i, j))
			}
			buf = command(buf[:0], words...)
			if _, err := out.Write(buf); err != nil {
				break // Flush says it again
			}
		}
		written <- out.Flush()
	}()
	in, want := bufio.NewReaderSize(conn, 1<<16), fmt.Sprintf(":%d\r\n", shape.Entries)
	for range shape.Lists {
		line, err := in.ReadString('\n')
		if err == nil && line != want {
			err = fmt.Errorf("answered %q to a SADD of %d", line, shape.Entries)
		}
		if err != nil {
			_ = conn.Close() // ends the writer
			return errors.Join(err, <-written)
		}
	}
	return <-written
}

// redisMemory is what Redis says of its memory, in bytes.
type redisMemory struct {
	version   string
	used, rss float64
}

func redisInfo(ctx context.Context, address string) (m redisMemory, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return m, err
	}
	defer conn.Close()
	if _, err := conn.Write(command(nil, "INFO")); err != nil {
		return m, err
	}
	in := bufio.NewReader(conn)
	head, err := in.ReadString('\n')
	if err != nil {
		return m, err
	}
	size, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(head), "$"))
	if err != nil {
		return m, fmt.Errorf("answered %q to INFO", head)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return m, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = value
	}
	m.version = fields["redis_version"]
	used, err1 := strconv.ParseFloat(fields["used_memory"], 64)
	rss, err2 := strconv.ParseFloat(fields["used_memory_rss"], 64)
	m.used, m.rss = used, rss
	return m, errors.Join(err1, err2)
}
