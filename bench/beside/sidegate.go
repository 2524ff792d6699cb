package beside

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
)

// token is of the member of staff who asks sidegate how far it has come.
const token = "bench"

// configuration is the program as it is delivered, with memory enough for all
// lists. Rooms of several members look at both lists, so that one process answers
// one way and two way.
const configuration = `
check: {listen: [%q]}
api: {listen: []}
ops: {listen: [%q], tokens: [{name: bench, token: ` + token + `, scopes: [staff]}]}
cache: {max_bytes: 1GiB}
apps: {` + seed.App + `: {rooms: {group: {mode: two_way}}}}
`

// startOwn starts sidegate and waits until it holds all lists.
func startOwn(ctx context.Context, w *world) error {
	address, err := freePort()
	if err != nil {
		return err
	}
	ops, err := freePort()
	if err != nil {
		return err
	}
	file := filepath.Join(w.env.Scratch, "sidegate.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, address, ops), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(w.env.Program, "serve", "--config", file, "--postgres-url", w.db.DSN)
	w.own, err = w.start(ctx, cmd, func() error {
		var page struct{ Cache struct{ Lists int } }
		if err := call(ctx, http.MethodGet, "http://"+ops+"/v1/status", nil, &page); err != nil {
			return err
		}
		if page.Cache.Lists < w.shape.Lists {
			return fmt.Errorf("%d of %d lists are in memory", page.Cache.Lists, w.shape.Lists)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sidegate: %w", err)
	}
	for _, way := range []struct {
		name, client, room string
		blocked            func(question) bool
	}{
		{ownOneWay, clientOneWay, "direct", func(q question) bool { return q.blocked }},
		{ownTwoWay, clientTwoWay, "group", question.either},
	} {
		asked := checks(w.questions, way.room)
		err := examine(ctx, address, sample(w.questions), asked, func(q question) string {
			return map[bool]string{false: `"reason":"allowed"`, true: `_blocked_`}[way.blocked(q)]
		})
		if err != nil {
			return fmt.Errorf("sidegate: %w", err)
		}
		w.enter(way.name, w.own, load.HTTPOptions{Address: address, Requests: asked})
		if way.room == "direct" {
			w.enter(ownDeep, w.own, load.HTTPOptions{Address: address, Requests: asked, Depth: depth})
		}
		w.program(way.client, w.own, client{kind: "fasthttp", address: address, twoWay: way.room == "group"})
	}
	return nil
}

// checks writes questions as requests to sidegate, and to the floor.
func checks(questions []question, room string) [][]byte {
	return requests(questions, func(q question) []byte {
		return fmt.Appendf(nil, "GET /v1/can-deliver?app="+seed.App+"&sender=%s&recipient=%s&room_type=%s HTTP/1.1\r\nHost: bench\r\n\r\n",
			q.sender, q.recipient, room)
	})
}

// startFloor starts the server that looks at nothing.
func startFloor(ctx context.Context, w *world) error {
	address, err := freePort()
	if err != nil {
		return err
	}
	program := filepath.Join(w.env.Scratch, "noop")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/sidegate/sidegate/bench/noop")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the no-op server: %w: %s", err, out)
	}
	p, err := w.start(ctx, exec.Command(program, "-tcp", address), load.Answers(ctx, "tcp", address))
	if err != nil {
		return err
	}
	asked := checks(w.questions, "direct")
	w.enter(floor, p, load.HTTPOptions{Address: address, Requests: asked})
	w.enter(floorDeep, p, load.HTTPOptions{Address: address, Requests: asked, Depth: depth})
	return nil
}
