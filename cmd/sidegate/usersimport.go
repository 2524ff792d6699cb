package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// batchLines is the most users that the server takes at once.
	batchLines = 1000
	// batchBytes keeps a batch below what the server takes, 4 MB, however much
	// longer encoding makes it: at worst sixfold.
	batchBytes = 512 << 10
	// longestLine is more than the largest user there can be, in any spelling.
	longestLine = 512 << 10
)

// usersImportCmd writes many users.
type usersImportCmd struct {
	apiFlags
	File string `arg:"" help:"One JSON object a line, with \"user\" and the fields of a user; - reads the standard input."`
	App  string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
}

// Help is shown by users import --help.
func (*usersImportCmd) Help() string {
	return "A line is stored or reported with its number; the others go on. A user who comes twice is the later line's.\n\n" +
		`  {"user":"bob","nickname":"Bob","is_online":true,"metadata":{"plan":"gold"}}`
}

// Run imports. It reads as it sends, so that memory does not grow with the file.
func (c *usersImportCmd) Run(ctx context.Context, p *program) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	in := p.stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return usageError{err}
		}
		defer file.Close()
		in = file
	}
	i := &userImport{p: p, api: api, path: usersPath(c.App) + ":batch", seen: map[string]bool{}}
	begun := p.now()
	err = i.read(ctx, in)
	i.report(p.now().Sub(begun))
	switch {
	case err != nil:
		return err
	case i.bad > 0:
		return usageError{fmt.Errorf("%d of %d lines were not stored", i.bad, i.lines)}
	}
	return nil
}

// userImport is an import under way.
type userImport struct {
	p    *program
	api  *client
	path string

	batch []numbered
	bytes int             // of the batch
	seen  map[string]bool // users of the batch

	lines, created, updated, bad int
}

// numbered is a line that holds a user, and its number in the file.
type numbered struct {
	number int
	text   json.RawMessage
}

// read sends batch after batch. Its error says that the import could not go on.
func (i *userImport) read(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), longestLine)
	number := 0
	for lines.Scan() {
		number++
		text := lines.Bytes()
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors write it
		}
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		i.lines++
		if err := i.add(ctx, numbered{number, bytes.Clone(text)}); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("line %d has more than %d bytes, which no user has; the import ends before it", number+1, longestLine)
		}
		return errors.Join(i.flush(ctx), usageError{err})
	}
	return i.flush(ctx)
}

// add puts a line into the batch. Only what the batch needs is read of it: what a
// user may hold is the server's to say.
func (i *userImport) add(ctx context.Context, line numbered) error {
	var u struct {
		User string `json:"user"`
	}
	if err := json.Unmarshal(line.text, &u); err != nil {
		i.refuse(line.number, fmt.Sprintf("not a user as JSON: %v", err))
		return nil
	}
	// A batch names nobody twice.
	if i.seen[u.User] || len(i.batch) == batchLines || i.bytes+len(line.text) > batchBytes {
		if err := i.flush(ctx); err != nil {
			return err
		}
	}
	i.seen[u.User] = true
	i.batch, i.bytes = append(i.batch, line), i.bytes+len(line.text)
	return nil
}

func (i *userImport) flush(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	err := i.send(ctx, i.batch)
	i.batch, i.bytes = i.batch[:0], 0
	clear(i.seen)
	return err
}

// send stores lines. Of a batch that is refused, halves are tried until every line
// that is to blame stands alone: the server says which it is in words for people,
// and the words may change.
func (i *userImport) send(ctx context.Context, lines []numbered) error {
	texts := make([]json.RawMessage, len(lines))
	for n := range lines {
		texts[n] = lines[n].text
	}
	_, body, err := i.api.do(ctx, call{method: http.MethodPost, path: i.path, body: map[string]any{"put": texts}})
	var refused *problem
	switch {
	case err == nil:
		var done struct{ Created, Updated int }
		if err := i.api.decode(body, &done); err != nil {
			return err
		}
		i.created, i.updated = i.created+done.Created, i.updated+done.Updated
		return nil
	case !errors.As(err, &refused) || refused.Status != http.StatusBadRequest && refused.Status != http.StatusRequestEntityTooLarge:
		// It is not about the lines: all others would fare no better.
		return fmt.Errorf("lines from %d on may not be stored; repeating the import is safe: %w", lines[0].number, err)
	case len(lines) == 1:
		i.refuse(lines[0].number, refused.Error())
		return nil
	}
	half := len(lines) / 2
	if err := i.send(ctx, lines[:half]); err != nil {
		return err
	}
	return i.send(ctx, lines[half:])
}

// refuse reports a line on the standard error, so that what is printed stays the
// total.
func (i *userImport) refuse(number int, why string) {
	i.bad++
	_, _ = fmt.Fprintf(i.p.stderr, "line %d: %s\n", number, why) // whoever closed it does not want it
}

// report prints the total and the rate.
func (i *userImport) report(took time.Duration) {
	stored := i.created + i.updated
	rate := ""
	if took > 0 {
		rate = fmt.Sprintf(", %.0f a second", float64(stored)/took.Seconds())
	}
	i.p.say("%d users stored: %d new, %d replaced; %d lines refused. %s%s.",
		stored, i.created, i.updated, i.bad, took.Round(time.Millisecond), rate)
}
