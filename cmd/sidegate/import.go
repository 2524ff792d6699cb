package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// importCmd streams a file to the api listener.
type importCmd struct {
	apiFlags
	File   string `arg:"" help:"The file; - reads the standard input."`
	App    string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
	Format string `default:"ndjson" enum:"ndjson,csv,mastodon,rongcloud,sendbird,imkit" placeholder:"FORMAT" help:"What the file is: ndjson (default) or csv as export writes them, or a list as mastodon, rongcloud, sendbird or imkit give it."`
	Owner  string `placeholder:"USER" help:"Whose list it is, for formats that do not say."`
	DryRun bool   `xor:"mode" help:"Store nothing, tell what would be stored."`
	Atomic bool   `xor:"mode" help:"Store everything or nothing; at most 100,000 lines."`
}

// importReport is what the server answers.
type importReport struct {
	Lines     int `json:"lines"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Errors    []struct {
		Line   int    `json:"line"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"errors"`
	StoppedAt *int `json:"stopped_at"`
}

// Run imports. Lines that were not stored are told one by one, and make the
// command fail.
func (c *importCmd) Run(ctx context.Context, p *program) error {
	if err := c.checkOwner(); err != nil {
		return err
	}
	api, err := c.client(p)
	if err != nil {
		return err
	}
	in, size, err := openInput(c.File, p)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	begun := p.now()
	meter := &meter{from: in, size: size, begun: begun, now: p.now}
	show := showProgress(p.stderr, meter)
	report, err := c.send(ctx, api, meter, begun)
	show.stop()
	if report != nil {
		c.tell(p, report, p.now().Sub(begun))
	}
	if err != nil {
		return err
	}
	switch {
	case report.StoppedAt != nil:
		return usageError{fmt.Errorf("%d lines were not stored, and what follows line %d was not looked at", report.Failed, *report.StoppedAt)}
	case report.Failed > 0:
		return usageError{fmt.Errorf("%d lines were not stored", report.Failed)}
	}
	return nil
}

func (c *importCmd) checkOwner() error {
	converter := converters[c.Format]
	switch {
	case converter.owned && c.Owner == "":
		return usageError{fmt.Errorf("--owner: a list of format %s does not say whose it is", c.Format)}
	case !converter.owned && c.Owner != "":
		return usageError{fmt.Errorf("--owner: every line of format %s says whose it is", c.Format)}
	}
	return nil
}

// openInput opens a file, or the standard input for "-", and returns its size if it
// is known.
func openInput(name string, p *program) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(p.stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, usageError{err}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, usageError{errors.Join(err, f.Close())}
	}
	if !info.Mode().IsRegular() {
		return f, 0, nil
	}
	return f, info.Size(), nil
}

// send streams the file, converted where that is needed, and returns the report,
// which an error may come with.
func (c *importCmd) send(ctx context.Context, api *client, in io.Reader, begun time.Time) (*importReport, error) {
	media := "application/x-ndjson"
	if c.Format == "csv" {
		media = "text/csv"
	}
	body, wait := in, func() error { return nil }
	if convert := converters[c.Format].convert; convert != nil {
		body, wait = converted(convert, in, c.Owner, begun)
	}
	resp, err := api.stream(ctx, call{method: http.MethodPost, path: appPath(c.App) + "/import", query: c.query()},
		body, http.Header{"Content-Type": {media}})
	if wrong := wait(); wrong != nil {
		// Lines before the mistake have been stored.
		err = usageError{fmt.Errorf("%s: %w", c.File, wrong)}
	}
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		var unread unreadError
		if errors.As(err, &unread) {
			return nil, usageError{unread} // nothing is wrong with the server
		}
		var refused *problem
		if errors.As(err, &refused) {
			return refused.Report, err
		}
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unreachableError{fmt.Errorf("read the answer of %s: %w", api.shown, err)}
	}
	report := new(importReport)
	return report, api.decode(text, report)
}

// converted runs a converter beside the request that sends its lines. wait ends
// it and returns what was wrong with the file.
func converted(convert convertFunc, in io.Reader, owner string, begun time.Time) (body io.Reader, wait func() error) {
	out, into := io.Pipe()
	done := make(chan error, 1)
	go func() {
		lines := newLineWriter(into, owner, begun)
		err := convert(bufio.NewReader(in), lines)
		if err == nil {
			err = lines.flush()
		}
		_ = into.CloseWithError(err) // never fails
		done <- err
	}()
	return out, func() error {
		_ = out.Close() // a server that stopped early reads no more
		if err := <-done; !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
		return nil
	}
}

func (c *importCmd) query() url.Values {
	q := url.Values{}
	if c.DryRun {
		q.Set("dry_run", "1")
	}
	if c.Atomic {
		q.Set("atomic", "1")
	}
	return q
}

// tell prints the lines that failed, and the sum.
func (c *importCmd) tell(p *program, r *importReport, took time.Duration) {
	for _, e := range r.Errors {
		_, _ = fmt.Fprintf(p.stderr, "line %d: %s (%s)\n", e.Line, printable(e.Detail), printable(e.Code))
	}
	what := "read"
	if c.DryRun {
		what = "checked and not stored"
	}
	seconds := max(took.Seconds(), 0.001)
	p.say("%d lines %s in %s (%.0f lines/s): %d created, %d updated, %d unchanged, %d failed.", r.Lines, what,
		took.Round(10*time.Millisecond), float64(r.Lines)/seconds, r.Created, r.Updated, r.Unchanged, r.Failed)
}

// appPath is the path of an app.
func appPath(app string) string { return "/v1/apps/" + url.PathEscape(app) }

// exportCmd writes all lists of an app.
type exportCmd struct {
	apiFlags
	App    string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
	Format string `default:"ndjson" enum:"ndjson,csv" placeholder:"FORMAT" help:"ndjson (default) or csv."`
	Output string `short:"o" default:"-" placeholder:"FILE" help:"Where to; - is the standard output (default). A file is there when it is complete."`
}

// Run exports.
func (c *exportCmd) Run(ctx context.Context, p *program) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	media := "application/x-ndjson"
	if c.Format == "csv" {
		media = "text/csv"
	}
	resp, err := api.stream(ctx, call{method: http.MethodGet, path: appPath(c.App) + "/export"}, nil, http.Header{"Accept": {media}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, media) {
		return api.strange(fmt.Errorf("its export is %q", got))
	}
	if c.Output == "-" {
		return api.copied(p.stdout, resp.Body)
	}
	part, err := os.CreateTemp(filepath.Dir(c.Output), ".sidegate-export-")
	if err != nil {
		return usageError{err}
	}
	err = api.copied(part, resp.Body)
	err = errors.Join(err, part.Close())
	if err == nil {
		err = os.Rename(part.Name(), c.Output)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}

// copied copies an answer. A part of it is not taken for all: the answer is
// chunked, and one that breaks off has no last chunk.
func (c *client) copied(to io.Writer, from io.Reader) error {
	if _, err := io.Copy(to, from); err != nil {
		return unreachableError{fmt.Errorf("the export of %s broke off: %w", c.shown, err)}
	}
	return nil
}
