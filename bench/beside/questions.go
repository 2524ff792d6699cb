package beside

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/sidegate/sidegate/bench/seed"
)

// question is what every server is asked: by its ids, with the right answers.
type question struct {
	recipient, sender string
	blocked           bool // recipient has blocked sender: one way
	backward          bool // sender has blocked recipient
}

// either is the right answer two way.
func (q question) either() bool { return q.blocked || q.backward }

// ask draws questions about the lists of a shape.
func ask(shape seed.Shape, n int) []question {
	out := make([]question, n)
	for i, p := range shape.Pairs(1, n) {
		out[i] = question{
			recipient: seed.ID(p.Recipient), sender: seed.ID(p.Sender),
			blocked: p.Blocked, backward: shape.Has(p.Sender, p.Recipient),
		}
	}
	return out
}

// save writes questions down for the programs of the peers.
func save(path string, questions []question) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	digit := map[bool]int{true: 1}
	out := bufio.NewWriter(f)
	for _, q := range questions {
		fmt.Fprintln(out, q.recipient, q.sender, digit[q.blocked], digit[q.either()])
	}
	return out.Flush()
}

// requests writes each question as the bytes that a server expects.
func requests(questions []question, write func(question) []byte) [][]byte {
	out := make([][]byte, len(questions))
	for i, q := range questions {
		out[i] = write(q)
	}
	return out
}

// post writes a POST of JSON.
func post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}
