package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// fakeTransfers reads an import to its end, with the service's own report of
// lines that are wrong in themselves, and exports what it holds.
type fakeTransfers struct {
	mu       sync.Mutex
	got      []filter.Record
	lines    []int
	wrong    []filter.LineError
	req      filter.ImportRequest
	read     chan int // told the number of each line; may be nil
	fail     error
	panics   bool
	exported []filter.Record
	begun    chan struct{} // told that an export begins; may be nil
	failAt   int           // of the pieces of an export; 0 = none
	closed   int
}

func (f *fakeTransfers) CheckApp(app string) error {
	if app == "ghost" {
		return filter.Errorf(filter.CodeUnknownApp, "the app is not configured")
	}
	return nil
}

func (f *fakeTransfers) Import(_ context.Context, req filter.ImportRequest) (filter.ImportReport, error) {
	if f.panics {
		panic("a mistake of ours")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.req, f.got, f.lines, f.wrong = req, nil, nil, nil
	var report filter.ImportReport
	for {
		r, line, err := req.Lines.Next()
		var wrong *filter.Error
		switch {
		case errors.As(err, &wrong):
			report.Refused++
			report.Errors = append(report.Errors, filter.LineError{Line: line, Code: wrong.Code, Detail: wrong.Detail})
		case err == io.EOF:
			f.wrong = report.Errors
			return report, f.fail
		case err != nil:
			report.Stopped = true
			return report, fmt.Errorf("import: %w", err)
		default:
			f.got, f.lines = append(f.got, r), append(f.lines, line)
			report.Created++
		}
		report.Lines++
		report.Through = line
		if f.read != nil {
			f.read <- line
		}
	}
}

func (f *fakeTransfers) Export(context.Context, string) (filter.RecordReader, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	if f.begun != nil {
		f.begun <- struct{}{}
	}
	return &fakeExport{f: f}, nil
}

type fakeExport struct {
	f    *fakeTransfers
	next int
}

func (e *fakeExport) Next(context.Context) ([]filter.Record, error) {
	e.next++
	if e.next == e.f.failAt {
		return nil, &filter.Error{Code: filter.CodeStoreUnavailable, Detail: "gone", Err: io.ErrUnexpectedEOF}
	}
	if e.next > len(e.f.exported) {
		return nil, nil
	}
	return e.f.exported[e.next-1 : e.next], nil
}

func (e *fakeExport) Close() {
	e.f.mu.Lock()
	defer e.f.mu.Unlock()
	e.f.closed++
}

func runTransfers(t testing.TB, f *fakeTransfers, opts Options) *running {
	t.Helper()
	opts.Transfers = f
	return runAPI(t, &fakeLists{}, opts)
}

const (
	importPath = "/v1/apps/acme/import"
	exportPath = "/v1/apps/acme/export"
)

// chunked writes an import in chunks of a size.
func chunked(target, body string, size int, header ...string) string {
	var raw strings.Builder
	raw.WriteString(request("POST", target, "", append(header, "Transfer-Encoding", "chunked")...))
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&raw, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return raw.String() + "0\r\n\r\n"
}

const twoLines = `{"owner":"bob","target":"alice"}` + "\n" + `{"owner":"bob","target":"carl"}` + "\n"

func TestImportTakesABodyHoweverItIsFramed(t *testing.T) {
	f := &fakeTransfers{}
	r := runTransfers(t, f, Options{})
	const want = `{"lines":2,"created":2,"updated":0,"unchanged":0,"failed":0,"errors":[]}`
	for name, raw := range map[string]string{
		"a length":           request("POST", importPath, twoLines, "Content-Type", "application/x-ndjson"),
		"a length, no type":  fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", importPath, len(twoLines), twoLines),
		"one chunk":          chunked(importPath, twoLines, 1<<20),
		"chunks of a byte":   chunked(importPath, twoLines, 1),
		"a charset":          chunked(importPath, twoLines, 9, "Content-Type", `application/x-ndjson; charset="UTF-8"`),
		"no last line end":   chunked(importPath, strings.TrimSpace(twoLines), 7),
		"windows line ends":  chunked(importPath, strings.ReplaceAll(twoLines, "\n", "\r\n\r\n"), 7),
		"a byte order mark":  chunked(importPath, "\ufeff"+twoLines, 9),
		"atomic and not dry": chunked(importPath+"?dry_run=0&atomic=1", twoLines, 5),
		"asked before":       request("POST", importPath, twoLines, "Content-Type", "application/x-ndjson", "X", "y"),
	} {
		all := r.send(raw+smuggled, 0)
		if len(all) != 1 || all[0].status != 200 || all[0].body != want || !all[0].closes {
			t.Errorf("%s: %+v", name, all)
			continue
		}
		documented(t, "POST", importPath, all[0])
		if len(f.got) != 2 || f.got[1] != (filter.Record{Owner: "bob", Target: "carl", KeepExpiry: true, KeepNote: true}) || f.req.App != "acme" {
			t.Errorf("%s: got %+v", name, f.got)
		}
	}
	expect := "POST " + importPath + " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(twoLines), twoLines)
	if all := r.send(expect, 0); len(all) != 2 || all[0].status != 100 || all[1].body != want {
		t.Errorf("may I send it: %+v", all)
	}
	if a := r.ask("POST", importPath, ""); a.status != 200 || !strings.HasPrefix(a.body, `{"lines":0`) {
		t.Errorf("nothing: %d %s", a.status, a.body)
	}
	// No other route has become laxer beside it.
	for _, target := range []string{exportPath, bobsPath + ":batch", "/v1/apps/acme/import/"} {
		if all := r.send(chunked(target, twoLines, 9), 0); len(all) != 1 || all[0].status != 411 {
			t.Errorf("chunked %s: %+v", target, all)
		}
	}
}

func TestImportRefusesWhatItCannotRead(t *testing.T) {
	f := &fakeTransfers{}
	r := runTransfers(t, f, Options{})
	head := "POST " + importPath + " HTTP/1.1\r\nHost: h\r\n"
	for name, c := range map[string]struct {
		raw    string
		status int
		code   string
	}{
		"JSON":                   {request("POST", importPath, `[]`), 415, "unsupported_media_type"},
		"a picture":              {request("POST", importPath, `x`, "Content-Type", "image/png"), 415, "unsupported_media_type"},
		"gzip":                   {request("POST", importPath, `x`, "Content-Type", "text/csv", "Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		"another charset":        {request("POST", importPath, `x`, "Content-Type", "text/csv; header=present; charset=latin1"), 415, "unsupported_media_type"},
		"an unknown parameter":   {chunked(importPath+"?dryrun=1", twoLines, 9), 400, "unknown_parameter"},
		"a parameter twice":      {chunked(importPath+"?atomic=1&atomic=1", twoLines, 9), 400, "unknown_parameter"},
		"a parameter that is no": {chunked(importPath+"?atomic=yes", twoLines, 9), 400, "invalid_parameter"},
		"dry and atomic":         {chunked(importPath+"?atomic=1&dry_run=1", twoLines, 9), 400, "invalid_parameter"},
		"an app that is none":    {chunked("/v1/apps/ghost/import", twoLines, 9), 404, "unknown_app"},
		"length and chunked":     {head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		"identity":               {head + "Transfer-Encoding: identity\r\n\r\n", 411, "length_required"},
		"a folded line":          {head + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400, "bad_request"},
		"a chunk without size":   {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, "bad_request"},
		"a GET":                  {request("GET", importPath, ""), 405, "method_not_allowed"},
		"a CSV without owner":    {chunked(importPath, "target\nx\n", 9, "Content-Type", "text/csv"), 400, "unknown_field"},
		"a CSV with more":        {chunked(importPath, "owner,target,x\n", 9, "Content-Type", "text/csv"), 400, "unknown_field"},
		"a CSV with two owners":  {chunked(importPath, "owner,owner\n", 9, "Content-Type", "text/csv"), 400, "unknown_field"},
		"a header without end":   {chunked(importPath, "\"owner\n", 9, "Content-Type", "text/csv"), 400, "invalid_parameter"},
	} {
		all := r.send(c.raw, 1)
		if len(all) != 1 || all[0].status != c.status || all[0].code(t) != c.code {
			t.Errorf("%s: %+v, want %d %s", name, all, c.status, c.code)
		}
		if len(f.got) != 0 {
			t.Errorf("%s: %+v came through", name, f.got)
		}
	}
}

// TestImportOfHalfABody: lines that arrived whole count, the piece of one that a
// lost connection leaves does not, although it is a valid line.
func TestImportOfHalfABody(t *testing.T) {
	f := &fakeTransfers{}
	r := runTransfers(t, f, Options{})
	for name, raw := range map[string]string{
		"a length": "POST " + importPath + " HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\nowner,target\nbob,alice\nbob,al",
		"chunks":   "POST " + importPath + " HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\nowner,target\nbob,alice\nbob,al\r\n",
	} {
		nc := r.dial()
		if _, err := io.WriteString(nc, raw); err != nil {
			t.Fatal(err)
		}
		if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a, err := readAnswer(bufio.NewReader(nc), false)
		if err != nil || a.status != 400 || a.code(t) != "bad_request" || !strings.Contains(a.body, `"stopped_at":2`) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		documented(t, "POST", importPath, a)
		if len(f.got) != 1 || f.got[0].Target != "alice" {
			t.Errorf("%s: stored %+v", name, f.got)
		}
		_ = nc.Close()
	}
}

// TestImportAnswersBeforeTheBodyEnds: the answer reaches a client who has far more
// to send than sockets hold, even one who reads nothing until all is sent.
func TestImportAnswersBeforeTheBodyEnds(t *testing.T) {
	r := runTransfers(t, &fakeTransfers{}, Options{})
	const size = 32 << 20
	nc := r.dial()
	defer nc.Close()
	// The first line is no header, and ends the import.
	begin := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\nx\n", importPath, size)
	if _, err := io.WriteString(nc, begin+strings.Repeat("\n", size-len("x\n"))); err != nil {
		t.Fatalf("sending: %v", err)
	}
	a, err := readAnswer(bufio.NewReader(nc), false)
	if err != nil || a.status != 400 || a.code(t) != "unknown_field" || !a.closes {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestImportHearsNobodyOutForEver: who goes on sending slowly after the answer
// loses the connection.
func TestImportHearsNobodyOutForEver(t *testing.T) {
	r := runTransfers(t, &fakeTransfers{}, Options{StreamTimeout: 50 * time.Millisecond, DrainTimeout: time.Hour})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, "POST "+importPath+" HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\nx\n"); err != nil {
		t.Fatal(err)
	}
	if a, err := readAnswer(bufio.NewReader(nc), false); err != nil || a.status != 400 {
		t.Errorf("%+v, %v", a, err)
	}
	r.stop() // returns, long before DrainTimeout
}

// TestImportOfASlowClient: each 64 kB have their time, however many there are, and
// a client that falls silent loses the connection with an answer.
func TestImportOfASlowClient(t *testing.T) {
	f := &fakeTransfers{}
	r := runTransfers(t, f, Options{StreamTimeout: 100 * time.Millisecond})
	all := r.send("POST "+importPath+" HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"+twoLines, 0)
	if len(all) != 1 || all[0].status != 408 || all[0].code(t) != "request_timeout" || !all[0].closes {
		t.Errorf("silence: %+v", all)
	}
	if len(f.got) != 2 {
		t.Errorf("before it: %+v", f.got)
	}
	begin := "POST " + importPath + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
	if a, err := trickle(r, begin); err != nil || a.status != 408 {
		t.Errorf("a byte now and then: %+v, %v", a, err)
	}
}

// TestImportOfASlowStore: the time that storing takes is not the client's. The
// store here takes longer for a line than all may take to arrive.
func TestImportOfASlowStore(t *testing.T) {
	const pace = 50 * time.Millisecond
	f := &fakeTransfers{read: make(chan int)}
	r := runTransfers(t, f, Options{StreamTimeout: pace, ReadTimeout: pace})
	line := `{"owner":"bob","target":"alice","note":"` + strings.Repeat("n", 1000) + `"}` + "\n"
	const lines = 300 // more than one read takes
	var slow sync.WaitGroup
	slow.Go(func() {
		tick := time.NewTicker(2 * pace)
		defer tick.Stop()
		for n := range lines {
			if n == 10 || n == 100 || n == 250 {
				<-tick.C
				<-tick.C
			}
			<-f.read
		}
	})
	all := r.send(chunked(importPath, strings.Repeat(line, lines), 1000), 0)
	slow.Wait()
	if len(all) != 1 || all[0].status != 200 || !strings.HasPrefix(all[0].body, `{"lines":300,"created":300,`) {
		t.Errorf("%+v", all)
	}
}

// TestImportTellsTheStoresFailure with what was done, and nothing of the database.
func TestImportTellsTheStoresFailure(t *testing.T) {
	down := &filter.Error{Code: filter.CodeStoreUnavailable, Detail: "the database is away", Err: errors.New("SQLSTATE 57P01")}
	for _, c := range []struct {
		f      *fakeTransfers
		status int
		code   string
		report string
	}{
		{&fakeTransfers{fail: fmt.Errorf("import: %w", down)}, 503, "store_unavailable", `"report":{"lines":3,"created":2,"updated":0,"unchanged":0,"failed":1,"errors":[{"line":3,`},
		{&fakeTransfers{fail: fmt.Errorf("import: %w", filter.ErrImportRefused)}, 422, "import_refused", `"errors":[{"line":3,`},
		{&fakeTransfers{fail: filter.Errorf(filter.CodeTooLarge, "too many")}, 413, "too_large", ""},
		{&fakeTransfers{fail: errors.New("SQLSTATE 42P01")}, 500, "internal", ""},
		{&fakeTransfers{panics: true}, 500, "internal", ""},
	} {
		r := runTransfers(t, c.f, Options{})
		all := r.send(chunked(importPath, twoLines+"x\n", 9), 0)
		if len(all) != 1 || all[0].status != c.status || all[0].code(t) != c.code || !strings.Contains(all[0].body, c.report) {
			t.Errorf("%d: %+v", c.status, all)
			continue
		}
		documented(t, "POST", importPath, all[0])
		if strings.Contains(all[0].body, "SQLSTATE") || strings.Contains(r.log.String(), "SQLSTATE") != (c.f.fail != nil && strings.Contains(fmt.Sprint(c.f.fail), "SQLSTATE")) {
			t.Errorf("%d: answer %s, log %s", c.status, all[0].body, r.log)
		}
		r.stop()
	}
}

// TestImportEndsWithTheListener: one that is under way when draining is over loses
// its connection, and nothing of it goes on.
func TestImportEndsWithTheListener(t *testing.T) {
	f := &fakeTransfers{read: make(chan int, 10)}
	r := runTransfers(t, f, Options{DrainTimeout: 20 * time.Millisecond})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, "POST "+importPath+" HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"+twoLines); err != nil {
		t.Fatal(err)
	}
	<-f.read
	<-f.read
	r.stop()
	if _, err := io.ReadAll(nc); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the connection stands: %v", err)
		}
	}
}

var exported = []filter.Record{
	{Kind: cache.KindAllow, Owner: "bob", Target: "a,b", CreatedAt: noon, Note: "say \"hi\"\nthere "},
	{Owner: `q"\`, Target: "ü😀", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour), Note: "\t\x7f"},
	{Kind: cache.KindRoom, Owner: "r", Target: "#/%+ ", CreatedAt: noon.Truncate(time.Second)},
	{Owner: "bob", Allowlist: true},
}

const exportedJSON = `{"owner":"bob","target":"a,b","created_at":"2031-01-31T11:00:00.123456Z","expires_at":null,"note":"say \"hi\"\u000athere ","kind":"allow"}
{"owner":"q\"\\","target":"ü😀","created_at":"2031-01-31T11:00:00.123456Z","expires_at":"2031-01-31T12:00:00.123456Z","note":"\u0009\u007f"}
{"owner":"r","target":"#/%+ ","created_at":"2031-01-31T11:00:00Z","expires_at":null,"note":"","kind":"room"}
{"owner":"bob","allowlist_mode":true}
`

const exportedCSV = `owner,target,created_at,expires_at,note,kind,allowlist_mode
bob,"a,b",2031-01-31T11:00:00.123456Z,,"say ""hi""
there ",allow,
"q""\",ü😀,2031-01-31T11:00:00.123456Z,2031-01-31T12:00:00.123456Z,"` + "\t\x7f" + `",,
r,"#/%+ ",2031-01-31T11:00:00Z,,,room,
bob,,,,,,true
`

func inUTC(r filter.Record) filter.Record {
	r.CreatedAt, r.ExpiresAt = r.CreatedAt.UTC(), r.ExpiresAt.UTC()
	return r
}

// TestTransfersCountForTheApp: they are about no single owner, so that the rate of
// owners does not bind them, and the rate of the app does.
func TestTransfersCountForTheApp(t *testing.T) {
	for rate, bound := range map[Rate]bool{{PerOwner: 1}: false, {PerApp: 1}: true} {
		r := runTransfers(t, &fakeTransfers{exported: exported}, Options{Rate: rate})
		refused := 0
		for range 30 {
			if a := r.send(request("GET", exportPath, ""), 1)[0]; a.status == 429 {
				refused++
			}
		}
		if bound != (refused > 0) {
			t.Errorf("%+v: %d of 30 are refused", rate, refused)
		}
	}
}

func TestExportWritesWhatImportReads(t *testing.T) {
	f := &fakeTransfers{exported: exported}
	r := runTransfers(t, f, Options{})
	for _, c := range []struct{ accept, want, media string }{
		{"", exportedJSON, "application/x-ndjson"}, {"*/*", exportedJSON, "application/x-ndjson"},
		{"application/x-ndjson", exportedJSON, "application/x-ndjson"},
		{"text/csv", exportedCSV, "text/csv"}, {"application/json, Text/CSV;q=0.5", exportedCSV, "text/csv"},
	} {
		a := r.send(request("GET", exportPath, "", "Accept", c.accept), 1)[0]
		if a.status != 200 || a.body != c.want || !strings.HasPrefix(a.header.Get("Content-Type"), c.media) || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d %v\n%s\nwant\n%s", c.accept, a.status, a.header, a.body, c.want)
		}
		all := r.send(chunked(importPath, a.body, 11, "Content-Type", c.media), 0)
		if len(all) != 1 || all[0].status != 200 || len(f.got) != len(exported) {
			t.Fatalf("%s back: %+v, %+v", c.media, all, f.wrong)
		}
		for i := range exported {
			if want := inUTC(exported[i]); f.got[i] != want {
				t.Errorf("%s: %+v became %+v", c.media, exported[i], f.got[i])
			}
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(exportedJSON), "\n") {
		documented(t, "GET", exportPath, answer{status: 200, header: map[string][]string{"Content-Type": {"application/x-ndjson"}}, body: line})
	}
	if a := r.send(request("HEAD", exportPath, ""), 1)[0]; a.status != 200 || a.body != "" {
		t.Errorf("HEAD: %+v", a)
	}
	if a := r.get(exportPath, "Accept", "application/json"); a.status != 406 || a.code(t) != "not_acceptable" {
		t.Errorf("JSON: %d %s", a.status, a.body)
	}
	if a := r.get(exportPath + "?x=1"); a.status != 400 {
		t.Errorf("a parameter: %d", a.status)
	}
	r.stop()
	if f.closed != 5 {
		t.Errorf("%d of 5 exports were closed", f.closed)
	}
}

// TestExportThatBreaksOff is not taken for a complete one, and gives its
// connection to the database back; so does one whose client has gone.
func TestExportThatBreaksOff(t *testing.T) {
	f := &fakeTransfers{exported: exported, failAt: 3}
	r := runTransfers(t, f, Options{})
	nc := r.dial()
	defer nc.Close()
	if _, err := io.WriteString(nc, request("GET", exportPath, "")); err != nil {
		t.Fatal(err)
	}
	if a, err := readAnswer(bufio.NewReader(nc), false); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%+v, %v", a, err)
	}
	big := &fakeTransfers{begun: make(chan struct{})}
	for range 20_000 {
		big.exported = append(big.exported, filter.Record{Owner: "bob", Target: "alice", Note: strings.Repeat("n", 1000)})
	}
	other := runTransfers(t, big, Options{StreamTimeout: 50 * time.Millisecond, DrainTimeout: time.Hour})
	gone, deaf := other.dial(), other.dial()
	defer deaf.Close()
	for _, nc := range []net.Conn{gone, deaf} { // neither reads
		if _, err := io.WriteString(nc, request("GET", exportPath, "")); err != nil {
			t.Fatal(err)
		}
	}
	<-big.begun
	<-big.begun
	_ = gone.Close()
	r.stop()
	other.stop() // returns, long before DrainTimeout
	if f.closed != 1 || big.closed != 2 {
		t.Errorf("closed: %d of 1, %d of 2", f.closed, big.closed)
	}
	fails := &fakeTransfers{fail: &filter.Error{Code: filter.CodeStoreUnavailable, Detail: "busy", Err: io.EOF}}
	if a := runTransfers(t, fails, Options{}).get(exportPath); a.status != 503 || a.code(t) != "store_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
