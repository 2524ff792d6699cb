package memory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// besideRedis compares bytes an entry with those of Redis for the same lists.
func besideRedis(ctx context.Context, env *study.Env, own []float64) (study.Row, error) {
	row := study.Row{ID: "bytes-vs-redis", What: "an entry of lists of 10, beside Redis sets of the same ids", Unit: "× Redis", AtMost: study.AtMost(0.125)}
	name, each := "Redis, SADD of the same ids", redisStated
	program, err := exec.LookPath("redis-server")
	if err != nil {
		name = "Redis 7.0.15 as measured elsewhere, for want of redis-server here"
	} else {
		shape := shapes(env.Quick)[0]
		env.Log("memory: the same lists in Redis")
		used, err := redisBytes(ctx, program, env.Scratch, shape)
		if err != nil {
			return row, fmt.Errorf("redis: %w", err)
		}
		each = used / float64(shape.Lists*shape.Entries)
	}
	peer := make([]float64, len(own))
	for i := range peer {
		peer[i] = each
	}
	return row.Ratio(study.Side{Name: "sidegate", Unit: "bytes/entry", Values: own}, study.Side{Name: name, Unit: "bytes/entry", Values: peer}), nil
}

// redisBytes starts a Redis, gives it the lists of a shape as sets, and returns
// by how many bytes its used_memory grew.
func redisBytes(ctx context.Context, program, scratch string, shape seed.Shape) (grown float64, err error) {
	socket := filepath.Join(scratch, "redis.sock")
	server, err := load.StartProcess(exec.CommandContext(ctx, program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", scratch))
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	if err := server.Await(ctx, load.Answers(ctx, "unix", socket)); err != nil {
		return 0, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	answers := bufio.NewReader(conn)
	before, err := usedMemory(conn, answers)
	if err != nil {
		return 0, err
	}
	if err := addAll(conn, answers, shape); err != nil {
		return 0, err
	}
	after, err := usedMemory(conn, answers)
	return after - before, err
}

// addAll sends an SADD a list, a thousand at a time.
func addAll(conn io.Writer, answers *bufio.Reader, shape seed.Shape) error {
	const bundle = 1000
	for from := 0; from < shape.Lists; from += bundle {
		to := min(from+bundle, shape.Lists)
		request := []byte(nil)
		for i := from; i < to; i++ {
			request = fmt.Appendf(request, "*%d\r\n$4\r\nSADD\r\n", 2+shape.Entries)
			for j := -1; j < shape.Entries; j++ {
				user := i
				if j >= 0 {
					user = shape.Target(i, j)
				}
				request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(seed.ID(user)), seed.ID(user))
			}
		}
		if _, err := conn.Write(request); err != nil {
			return err
		}
		for range to - from {
			line, err := answers.ReadString('\n')
			if err != nil {
				return err
			}
			if strings.TrimSpace(line) != ":"+strconv.Itoa(shape.Entries) {
				return fmt.Errorf("SADD of %d targets was answered %q", shape.Entries, line)
			}
		}
	}
	return nil
}

// usedMemory asks Redis what it has allocated.
func usedMemory(conn io.Writer, answers *bufio.Reader) (float64, error) {
	if _, err := io.WriteString(conn, "INFO memory\r\n"); err != nil {
		return 0, err
	}
	head, err := answers.ReadString('\n')
	if err != nil {
		return 0, err
	}
	size, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
	if err != nil {
		return 0, fmt.Errorf("INFO was answered %q", head)
	}
	text := make([]byte, size+2)
	if _, err := io.ReadFull(answers, text); err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "used_memory:")
	if !ok {
		return 0, errors.New("INFO does not tell used_memory")
	}
	line, _, _ := strings.Cut(rest, "\r\n")
	return strconv.ParseFloat(line, 64)
}
