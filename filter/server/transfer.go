package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// Transfers is what the api listener asks of [filter.Transfer].
type Transfers interface {
	CheckApp(app string) error
	Import(ctx context.Context, req filter.ImportRequest) (filter.ImportReport, error)
	Export(ctx context.Context, app string) (filter.RecordReader, error)
}

// transfers serves the lists of whole apps. Both routes are for the app's own
// server: they are about every user at once.
type transfers struct {
	all  Transfers
	door *door
}

const (
	exportPattern = "/v1/apps/{app}/export"
	importPattern = "/v1/apps/{app}/import"

	ndjsonType = "application/x-ndjson"
	csvType    = "text/csv"
)

func (t *transfers) routes() []*route {
	importing := newRoute(importPattern, 0, [methods]handler{methodPost: t.receive})
	importing.streams = true
	return []*route{newRoute(exportPattern, 0, [methods]handler{methodGet: t.export}), importing}
}

// app reads which app is meant and sees that the caller may touch all of it.
func (t *transfers) app(in *input) (string, error) {
	app, err := in.wholeApp()
	if err != nil {
		return "", err
	}
	return app, t.all.CheckApp(app)
}

// receive answers an import. It reads what it needs of the request and goes on
// with the connection.
func (t *transfers) receive(ctx *fasthttp.RequestCtx, in input) error {
	app, err := t.app(&in)
	if err != nil {
		return err
	}
	mode, err := parseImportMode(in.query)
	if err != nil {
		return err
	}
	csv, err := importFormat(&ctx.Request.Header)
	if err != nil {
		return err
	}
	f, err := framingOf(ctx.Request.Header.RawHeaders())
	if err != nil {
		return err
	}
	actor, base := strings.Clone(in.who.Actor()), in.base
	t.door.takeOver(ctx, in, f, func(resp *fasthttp.Response, body io.Reader) error {
		var lines filter.LineReader = &ndjsonReader{newLineSplitter(body)}
		if csv {
			lines = &csvReader{lines: newLineSplitter(body)}
		}
		report, err := t.all.Import(base, filter.ImportRequest{App: app, Lines: lines, Mode: mode, Actor: actor})
		return writeReport(resp, &report, err)
	})
	return nil
}

func parseImportMode(query []byte) (mode filter.ImportMode, err error) {
	seen := map[string]bool{}
	for len(query) > 0 {
		var name, value []byte
		name, value, query = cutPair(query)
		if len(name) == 0 && len(value) == 0 {
			continue
		}
		what := string(name)
		if what != "dry_run" && what != "atomic" || seen[what] {
			return 0, border.Problemf(border.CodeUnknownParameter,
				"%s is unknown or given twice; the parameters are dry_run and atomic", border.Quote(name))
		}
		seen[what] = true
		on := string(value) == "1"
		if !on && string(value) != "0" {
			return 0, border.Problemf(border.CodeInvalidParameter, "%s is %s; it is 0 or 1", what, border.Quote(value))
		}
		switch {
		case on && mode != filter.ImportLists:
			return 0, border.Problemf(border.CodeInvalidParameter, "dry_run and atomic exclude each other")
		case on && what == "dry_run":
			mode = filter.ImportCheck
		case on:
			mode = filter.ImportWhole
		}
	}
	return mode, nil
}

// importFormat finds out whether a body is CSV.
func importFormat(h *fasthttp.RequestHeader) (csv bool, err error) {
	if encoding := h.ContentEncoding(); len(encoding) > 0 {
		return false, border.Problemf(border.CodeUnsupportedMediaType,
			"Content-Encoding is %s; send the body as it is", border.Quote(encoding))
	}
	media, parameters, _ := bytes.Cut(h.ContentType(), []byte(";"))
	for one := range bytes.SplitSeq(parameters, []byte(";")) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(one), []byte("="))
		if bytes.EqualFold(name, []byte("charset")) && !bytes.EqualFold(bytes.Trim(value, `"`), []byte("utf-8")) {
			return false, border.Problemf(border.CodeUnsupportedMediaType,
				"the charset is %s; an import is in UTF-8", border.Quote(value))
		}
	}
	switch strings.ToLower(string(bytes.TrimSpace(media))) {
	case "", ndjsonType:
		return false, nil
	case csvType:
		return true, nil
	case "application/json":
		return false, border.Problemf(border.CodeUnsupportedMediaType,
			"an import is not one JSON document but one object a line; send it as %s", ndjsonType)
	}
	return false, border.Problemf(border.CodeUnsupportedMediaType,
		"Content-Type is %s; it must be %s or %s", border.Quote(media), ndjsonType, csvType)
}

// lineErrorJSON and reportJSON are a report as clients see it.
type lineErrorJSON struct {
	Line   int         `json:"line"`
	Code   filter.Code `json:"code"`
	Detail string      `json:"detail"`
}

type reportJSON struct {
	Lines     int             `json:"lines"`
	Created   int             `json:"created"`
	Updated   int             `json:"updated"`
	Unchanged int             `json:"unchanged"`
	Failed    int             `json:"failed"`
	Errors    []lineErrorJSON `json:"errors"`
	StoppedAt *int            `json:"stopped_at,omitempty"`
	Revision  string          `json:"revision,omitempty"`
}

// writeReport answers an import. One that did not come to its end is a problem,
// which carries the report of how far it came.
func writeReport(resp *fasthttp.Response, report *filter.ImportReport, err error) error {
	doc := reportJSON{
		Lines: report.Lines, Created: report.Created, Updated: report.Updated, Unchanged: report.Unchanged,
		Failed: report.Refused, Errors: make([]lineErrorJSON, len(report.Errors)),
	}
	for i, e := range report.Errors {
		doc.Errors[i] = lineErrorJSON(e)
	}
	if report.Stopped || err != nil {
		doc.StoppedAt = &report.Through
	}
	if !report.Revision.IsZero() {
		doc.Revision = report.Revision.String()
		resp.Header.Set(headerRevision, doc.Revision)
	}
	if err == nil {
		return writeJSON(resp, fasthttp.StatusOK, doc)
	}
	p, cause := importProblem(err)
	switch {
	case errors.Is(err, filter.ErrImportRefused):
		doc.StoppedAt = nil
	case p.Code == border.Code(filter.CodeTooLarge):
	default:
		p.Detail += fmt.Sprintf("; every line up to %d is stored or reported, and importing all again is harmless", report.Through)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode a report: %w", err)
	}
	p.Report = string(text)
	if cause != nil {
		return &reported{p, cause}
	}
	return p
}

// importProblem says what ended an import. The reading of its body fails with
// errors of the network, everything else with those that handlers return.
func importProblem(err error) (p border.Problem, cause error) {
	if errors.Is(err, filter.ErrImportRefused) {
		return border.Problemf(border.CodeImportRefused, "lines of an atomic import cannot be stored; the report names them"), nil
	}
	if p, cause = problemOf(err); p.Code == border.CodeInternal {
		if broken, ok := brokenBody(err); ok {
			return broken, nil
		}
	}
	return p, cause
}

// reported is a problem with a report and a cause for the log.
type reported struct {
	border.Problem
	cause error
}

// export answers all lists of an app. fasthttp asks for the body piece by piece
// in the goroutine of the connection, which this takes from the store.
func (t *transfers) export(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return noParameters()
	}
	app, err := t.app(&in)
	if err != nil {
		return err
	}
	csv, err := exportFormat(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	if err != nil {
		return err
	}
	media := ndjsonType
	if csv {
		media = csvType + "; charset=utf-8; header=present"
	}
	ctx.Response.Header.SetContentType(media)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	if ctx.IsHead() {
		return nil
	}
	begin, cancel := in.operation()
	defer cancel()
	reader, err := t.all.Export(begin, app)
	if err != nil {
		ctx.Response.Header.Del(fasthttp.HeaderCacheControl)
		return err
	}
	out := &exportBody{door: t.door, ctx: in.base, reader: reader, csv: csv}
	out.conn, _ = ctx.Conn().(*conn)
	if csv {
		out.buf = append([]byte(strings.Join(csvColumns, ",")), '\n')
	}
	ctx.Response.SetBodyStream(out, -1)
	return nil
}

// exportFormat finds out whether CSV is asked for. The first type of ours that a
// client names counts.
func exportFormat(accept []byte) (csv bool, err error) {
	if len(bytes.TrimSpace(accept)) == 0 {
		return false, nil
	}
	for one := range bytes.SplitSeq(accept, []byte(",")) {
		media, _, _ := bytes.Cut(one, []byte(";"))
		switch strings.ToLower(string(bytes.TrimSpace(media))) {
		case ndjsonType, "application/*", "*/*":
			return false, nil
		case csvType, "text/*":
			return true, nil
		}
	}
	return false, border.Problemf(border.CodeNotAcceptable,
		"Accept is %s; an export is %s, one object a line, or %s", border.Quote(accept), ndjsonType, csvType)
}

// exportBody is the body of an export.
type exportBody struct {
	door   *door
	ctx    context.Context // fasthttp hands a reader none
	conn   *conn
	reader filter.RecordReader
	csv    bool

	buf  []byte
	sent int
	err  error
}

// Read implements [io.Reader]. An error breaks the connection off, so that the
// client does not take a part for all.
func (e *exportBody) Read(p []byte) (int, error) {
	if e.sent == len(e.buf) && e.err == nil {
		e.fill()
	}
	n := copy(p, e.buf[e.sent:])
	if e.sent += n; n > 0 {
		return n, nil
	}
	return 0, e.err
}

func (e *exportBody) fill() {
	records, err := e.reader.Next(e.ctx)
	e.buf, e.sent = e.buf[:0], 0
	switch {
	case err != nil:
		e.err = err
		e.door.log.WarnContext(e.ctx, "export broken off", "listener", string(e.door.name), "route", exportPattern, "error", err)
	case len(records) == 0:
		e.err = io.EOF
	case e.conn != nil:
		// The time for a piece begins anew when there is one.
		e.err = e.conn.SetWriteDeadline(time.Now().Add(e.door.streamTimeout))
	}
	for i := range records {
		if e.csv {
			e.buf = appendCSV(e.buf, &records[i])
		} else {
			e.buf = appendRecord(e.buf, &records[i])
		}
	}
}

// Close implements [io.Closer].
func (e *exportBody) Close() error {
	e.reader.Close()
	return nil
}

// appendRecord renders a record as a line of JSON.
func appendRecord(b []byte, r *filter.Record) []byte {
	b = appendText(append(b, `{"owner":`...), r.Owner)
	if r.Target == "" {
		b = appendBool(append(b, `,"allowlist_mode":`...), r.Allowlist)
		return append(b, "}\n"...)
	}
	b = appendText(append(b, `,"target":`...), r.Target)
	b = append(append(b, `,"created_at":"`...), instant(r.CreatedAt)...)
	b = append(b, `","expires_at":`...)
	if r.ExpiresAt.IsZero() {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), instant(r.ExpiresAt)...), '"')
	}
	b = appendText(append(b, `,"note":`...), r.Note)
	if r.Kind != cache.KindBlock {
		b = append(append(append(b, `,"kind":"`...), r.Kind.String()...), '"')
	}
	return append(b, "}\n"...)
}

// appendText renders a string of JSON. The database holds valid UTF-8 only.
func appendText(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
