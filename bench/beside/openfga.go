package beside

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
)

// model has one relation, and a check is one look at it.
const model = `{"schema_version":"1.1","type_definitions":[{"type":"user"},
	{"type":"inbox","relations":{"blocked":{"this":{}}},
	"metadata":{"relations":{"blocked":{"directly_related_user_types":[{"type":"user"}]}}}}]}`

// fgaQuestions is how many different questions OpenFGA is asked: so few that all can
// be asked once beforehand, after which its cache holds every answer.
const fgaQuestions = 2_000

// fgaShape is what OpenFGA holds in memory: what a write costs it grows with what
// is there.
func (w *world) fgaShape() seed.Shape {
	n := 2_000
	if w.env.Quick {
		n = 200
	}
	return seed.Shape{Lists: n, Entries: w.shape.Entries, Idle: n}
}

// startOpenFGA starts an OpenFGA in memory whose cache forgets nothing meanwhile,
// and gives it its lists.
func startOpenFGA(ctx context.Context, w *world) error {
	path, err := w.peer("openfga")
	if err != nil {
		return err
	}
	address, err := freePort()
	if err != nil {
		return err
	}
	grpc, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, "run", "--datastore-engine", "memory", "--http-addr", address, "--grpc-addr", grpc,
		"--playground-enabled=false", "--metrics-enabled=false", "--log-level", "error",
		"--check-query-cache-enabled", "--check-query-cache-ttl", "1h", "--check-cache-limit", "100000")
	p, err := w.start(ctx, cmd, func() error {
		return call(ctx, http.MethodGet, "http://"+address+"/healthz", nil, nil)
	})
	if err != nil {
		return err
	}
	shape := w.fgaShape()
	w.env.Log("filling OpenFGA with %d lists", shape.Lists)
	store, err := fillOpenFGA(ctx, "http://"+address+"/stores", shape)
	if err != nil {
		return fmt.Errorf("fill OpenFGA: %w", err)
	}
	questions := ask(shape, fgaQuestions)
	file := filepath.Join(w.env.Scratch, "openfga.txt")
	if err := save(file, questions); err != nil {
		return err
	}
	asked := requests(questions, func(q question) []byte {
		return post("/stores/"+store+"/check", fmt.Sprintf(`{"tuple_key":{"user":"user:%s","relation":"blocked","object":"inbox:%s"}}`, q.sender, q.recipient))
	})
	// All of them: now they are in the cache.
	err = examine(ctx, address, questions, asked, func(q question) string { return fmt.Sprintf(`"allowed":%v`, q.blocked) })
	if err != nil {
		return err
	}
	w.enter(fgaHTTP, p, load.HTTPOptions{Address: address, Requests: asked})
	w.program(fgaGRPC, p, client{kind: "openfga-grpc", address: grpc, questions: file, store: store})
	return nil
}

// fillOpenFGA makes a store, its model and its tuples, and returns the store's id.
func fillOpenFGA(ctx context.Context, stores string, shape seed.Shape) (id string, err error) {
	var store struct{ ID string }
	if err := call(ctx, http.MethodPost, stores, strings.NewReader(`{"name":"bench"}`), &store); err != nil {
		return "", err
	}
	at := stores + "/" + store.ID
	if err := call(ctx, http.MethodPost, at+"/authorization-models", strings.NewReader(model), nil); err != nil {
		return "", err
	}
	type tuple struct {
		User     string `json:"user"`
		Relation string `json:"relation"`
		Object   string `json:"object"`
	}
	const most = 100 // in one write
	tuples := make([]tuple, 0, most)
	for n := range shape.Lists * shape.Entries {
		i, j := n/shape.Entries, n%shape.Entries
		tuples = append(tuples, tuple{"user:" + seed.ID(shape.Target(i, j)), "blocked", "inbox:" + seed.ID(i)})
		if len(tuples) < most && n+1 < shape.Lists*shape.Entries {
			continue
		}
		body, err := json.Marshal(map[string]any{"writes": map[string]any{"tuple_keys": tuples}})
		if err != nil {
			return "", err
		}
		if err := call(ctx, http.MethodPost, at+"/write", strings.NewReader(string(body)), nil); err != nil {
			return "", err
		}
		tuples = tuples[:0]
	}
	return store.ID, nil
}
