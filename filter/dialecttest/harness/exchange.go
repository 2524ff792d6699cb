package harness

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the answers that come into the files of exchanges")

// An exchange is a request and its answer, as a file in testdata holds them:
//
//	### what it shows
//	POST /user/blocklist/add.json
//	Auth: rongcloud acme
//	Content-Type: application/x-www-form-urlencoded
//
//	userId=a{n}&blackUserId=b
//
//	HTTP 200 application/json; charset=utf-8
//
//	{"code": 200}
//
// Auth stands for the credentials of an app: "rongcloud APP", "sendbird APP",
// "imkit APP USER", "imkit-admin APP" or "native". {n} is a number that no other
// run has. The answer is a pattern of [Match]. "HTTP *" ends a request that only
// prepares others: its answer is not looked at.
type exchange struct {
	title   string
	request []string // first line and header fields
	body    string
	status  string
	kind    string // Content-Type
	answer  string
}

var answerLine = regexp.MustCompile(`(?m)^HTTP (\*|\d{3})(?: (.*))?$`)

// parseExchanges reads a file.
func parseExchanges(text string) (list []exchange, err error) {
	for i, part := range strings.Split("\n"+strings.TrimSpace(text), "\n### ") {
		if i == 0 {
			if strings.TrimSpace(part) != "" {
				return nil, fmt.Errorf("the file does not begin with ###")
			}
			continue
		}
		title, rest, _ := strings.Cut(part, "\n")
		at := answerLine.FindStringSubmatchIndex(rest)
		if at == nil {
			return nil, fmt.Errorf("%s: no line says HTTP and a status", title)
		}
		head, body, _ := strings.Cut(strings.TrimSpace(rest[:at[0]]), "\n\n")
		e := exchange{title: title, request: strings.Split(head, "\n"), body: body, status: rest[at[2]:at[3]], answer: strings.TrimSpace(rest[at[1]:])}
		if at[4] >= 0 {
			e.kind = rest[at[4]:at[5]]
		}
		list = append(list, e)
	}
	return list, nil
}

func (e exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n%s\n\n", e.title, strings.Join(e.request, "\n"))
	if e.body != "" {
		b.WriteString(e.body + "\n\n")
	}
	b.WriteString(strings.TrimSpace("HTTP "+e.status+" "+e.kind) + "\n\n")
	if e.answer != "" {
		b.WriteString(e.answer + "\n\n")
	}
	return b.String()
}

// call is the request of an exchange as it goes over the wire.
func (e exchange) call(fill func(string) string) (Call, error) {
	method, path, _ := strings.Cut(fill(e.request[0]), " ")
	c := Call{Method: method, Path: path, Body: fill(e.body)}
	for _, line := range e.request[1:] {
		name, value, _ := strings.Cut(fill(line), ": ")
		if name != "Auth" {
			c = c.With(name, value)
			continue
		}
		signed, err := credentials(value, c)
		if err != nil {
			return c, err
		}
		for _, h := range signed.Header {
			if h[0] != "Content-Type" { // that is the file's to say
				c = c.With(h[0], h[1])
			}
		}
	}
	return c, nil
}

func credentials(auth string, c Call) (Call, error) {
	words := strings.Fields(auth)
	if auth == "native" {
		return Native(c.Method, c.Path, ""), nil
	}
	if len(words) < 2 {
		return c, fmt.Errorf("Auth: %s names no app", auth)
	}
	app := App(words[1])
	switch {
	case words[0] == "rongcloud":
		return app.RongCloud(c.Path, ""), nil
	case words[0] == "sendbird":
		return app.Sendbird(c.Method, c.Path, ""), nil
	case words[0] == "imkit-admin":
		return app.IMKitAdmin(c.Method, c.Path), nil
	case words[0] == "imkit" && len(words) == 3:
		return app.IMKit(words[2], c.Method, c.Path), nil
	}
	return c, fmt.Errorf("Auth: %s is not known", auth)
}

// Exchanges sends the requests of every file of a folder and compares the
// answers.
func (w *World) Exchanges(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.http"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges in %s (%v)", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) { w.exchangeFile(t, file) })
	}
}

func (w *World) exchangeFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseExchanges(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	n := strconv.FormatInt(counter.Add(1), 10)
	var written strings.Builder
	for _, e := range list {
		c, err := e.call(func(s string) string { return strings.ReplaceAll(s, "{n}", n) })
		if err != nil {
			t.Fatalf("%s: %s: %v", file, e.title, err)
		}
		got := w.Send(t, c)
		if *update {
			e.take(got, n)
		} else if err := e.check(got, n); err != nil {
			t.Errorf("%s: %v\nthe answer is %v\n%s", e.title, err, got, got.Header.Get("Content-Type"))
		}
		written.WriteString(e.String())
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimSpace(written.String())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares an answer with the file.
func (e exchange) check(got Answer, n string) error {
	if e.status == "*" {
		if got.Status >= 500 || got.Status == 401 || got.Status == 403 {
			return fmt.Errorf("the preparation failed")
		}
		return nil
	}
	if strconv.Itoa(got.Status) != e.status {
		return fmt.Errorf("the status is not %s", e.status)
	}
	// A vendor that does not say which charset it sends is matched by any.
	if kind := got.Header.Get("Content-Type"); !strings.EqualFold(kind, e.kind) && !strings.HasPrefix(strings.ToLower(kind), e.kind+";") {
		return fmt.Errorf("the Content-Type is %q, want %q", kind, e.kind)
	}
	return Match(strings.ReplaceAll(e.answer, "{n}", n), got.Body)
}

// take makes an answer the one of the file. What a wildcard stands for stays one.
func (e *exchange) take(got Answer, n string) {
	if e.status == "*" {
		return
	}
	e.status = strconv.Itoa(got.Status)
	if kind := got.Header.Get("Content-Type"); !strings.HasPrefix(strings.ToLower(kind), e.kind+";") {
		e.kind = kind
	}
	pattern, _ := decode(strings.ReplaceAll(e.answer, "{n}", n)) // nothing, if it is new
	value, err := decode(got.Body)
	if err != nil {
		e.answer = got.Body
		return
	}
	e.answer = strings.ReplaceAll(indent(merge(pattern, value)), n, "{n}")
}

// merge returns the value with the pattern's wildcards where they hold.
func merge(pattern, value any) any {
	switch value := value.(type) {
	case map[string]any:
		names, _ := pattern.(map[string]any)
		merged := map[string]any{}
		for name, v := range value {
			if p, ok := names["?"+name]; ok {
				merged["?"+name] = merge(p, v)
			} else {
				merged[name] = merge(names[name], v)
			}
		}
		return merged
	case []any:
		items, _ := pattern.([]any)
		merged := make([]any, len(value))
		for i, v := range value {
			var p any
			if i < len(items) {
				p = items[i]
			}
			merged[i] = merge(p, v)
		}
		return merged
	}
	if kind, ok := pattern.(string); ok && wildcards[kind] != nil && wildcards[kind](value) {
		return kind
	}
	return value
}
