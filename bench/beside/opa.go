package beside

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
)

// policy is the question in OPA's language: one look into the data.
const policy = `package sidegate
default allow := true
allow := false if data.lists[input.recipient][input.sender]
`

// opaShape is what OPA holds: its memory for all lists would be many gigabytes.
func (w *world) opaShape() seed.Shape {
	n := min(w.shape.Lists, 100_000)
	if w.env.Quick {
		n = 2_000
	}
	return seed.Shape{Lists: n, Entries: w.shape.Entries, Idle: n}
}

// startOPA starts an OPA without logs of decisions and gives it the policy and its
// lists, as sets: objects whose keys are the entries.
func startOPA(ctx context.Context, w *world) error {
	path, err := w.peer("opa")
	if err != nil {
		return err
	}
	address, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, "run", "--server", "--addr", address, "--log-level", "error", "--skip-version-check")
	p, err := w.start(ctx, cmd, load.Answers(ctx, "tcp", address))
	if err != nil {
		return err
	}
	shape := w.opaShape()
	w.env.Log("filling OPA with %d lists", shape.Lists)
	text, policyText := io.Pipe()
	go func() { _, _ = io.WriteString(policyText, policy); _ = policyText.Close() }()
	if err := call(ctx, http.MethodPut, "http://"+address+"/v1/policies/sidegate", text, nil); err != nil {
		return fmt.Errorf("give OPA its policy: %w", err)
	}
	lists, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(writeLists(writer, shape)) }()
	if err := call(ctx, http.MethodPut, "http://"+address+"/v1/data/lists", lists, nil); err != nil {
		return fmt.Errorf("give OPA its lists: %w", err)
	}
	questions := ask(shape, len(w.questions))
	asked := requests(questions, func(q question) []byte {
		return post("/v1/data/sidegate/allow", fmt.Sprintf(`{"input":{"sender":%q,"recipient":%q}}`, q.sender, q.recipient))
	})
	err = examine(ctx, address, sample(questions), asked, func(q question) string {
		return map[bool]string{false: `"result":true`, true: `"result":false`}[q.blocked]
	})
	if err != nil {
		return err
	}
	w.enter(opaREST, p, load.HTTPOptions{Address: address, Requests: asked})
	return nil
}

// writeLists writes all lists of a shape as one JSON object.
func writeLists(to io.Writer, shape seed.Shape) error {
	out := bufio.NewWriter(to)
	for i := range shape.Lists {
		fmt.Fprintf(out, "%c%q:", separator(i), seed.ID(i))
		for j := range shape.Entries {
			fmt.Fprintf(out, "%c%q:true", separator(j), seed.ID(shape.Target(i, j)))
		}
		fmt.Fprint(out, "}")
	}
	fmt.Fprint(out, "}")
	return out.Flush()
}

// separator comes before member i of an object.
func separator(i int) rune {
	if i == 0 {
		return '{'
	}
	return ','
}
