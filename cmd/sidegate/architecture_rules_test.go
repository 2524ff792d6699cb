package main

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// rules return what is wrong with a file, one sentence each.
var rules = []func(source) []string{floorRule, borderRule, nameRule, registryRule, sizeRule, sleepRule}

// floors says what of this module each package may import. Imports run down
// only: what stands lower can be understood, tested and replaced without
// knowing what stands on it.
var floors = map[string][]string{
	// 1: leaves.
	"cache":          {},
	"metrics":        {"metrics/border"},
	"metrics/border": {},
	// 2: to decide and to keep up do not know each other: the cache is where
	// they meet.
	"filter": {"cache"},
	"sync":   {"cache"},
	// 3: each speaks one outside language, and none another's.
	"filter/server": {"filter", "filter/decisionlog", "cache", "metrics", "metrics/border"},
	// What the doors write down: below them, and above what they decide. It knows
	// neither HTTP nor the configuration.
	"filter/decisionlog": {"filter", "metrics/border"},
	// Beside its listener, not in it: two libraries and a fetch over the network
	// stay out of the package that holds the hot path, and dialects will have
	// use for it.
	"filter/server/jwtauth": {"filter", "metrics", "metrics/border"},
	// The vendors' APIs: each translates, and knows neither the listener that hands
	// it requests nor the others.
	"filter/imkit":          {"filter", "cache", "metrics/border"},
	"filter/rongcloud":      {"filter", "cache", "metrics/border"},
	"filter/sendbird":       {"filter", "cache", "metrics/border"},
	"sync/postgres":         {"sync", "filter", "cache"},
	"sync/postgres/localpg": {},
	"sync/postgres/pgtest":  {"sync/postgres", "sync/postgres/localpg"},
	// 4: knows all names, wires everything.
	"cmd/sidegate":          {"*"},
	"cmd/sidegate/config":   {"filter", "cmd/sidegate/tlsfiles"},
	"cmd/sidegate/tlsfiles": {},
	"cmd/sidegate/systemd":  {},
	"cmd/sidegate/headroom": {},
	"cmd/sidegate/tracing":  {"metrics/border"},
	"cmd/sidegate/prober":   {}, // judges answers, whoever asks
	"cmd/sidegate/warm":     {"cache", "sync"},
	"deploy/image":          {"bench/load", "sync/postgres/localpg"}, // starts the program from outside
	"deploy/release":        {},                                      // reads binaries
	"bench":                 {"*"},
	"bench/history":         {},
	"bench/linear":          {},
	"docs/tutorial/chat":    {}, // a client, which knows us over HTTP alone
	// Who looks from outside: by the names of the metrics alone.
	"deploy/grafana/generate": {},
}

// forTests may be imported by any test, and by nothing else.
const forTests = "sync/postgres/pgtest"

// floorRule holds imports within the module to the floors. It binds tests too:
// a test that needs a higher floor belongs on that floor.
func floorRule(s source) (wrong []string) {
	allowed, known := floors[s.pkg]
	if within(s.pkg, "bench") {
		allowed, known = floors["bench"], true // whatever folders it makes
	}
	if !known {
		return []string{"the package stands on no floor; give it one in the table of this test and in .golangci.yml"}
	}
	for _, imported := range s.imports() {
		inner, ours := strings.CutPrefix(imported.path, module+"/")
		switch {
		case !ours || inner == s.pkg:
		case inner == forTests:
			if !s.test {
				wrong = append(wrong, "imports "+inner+", which is for tests")
			}
		case s.test && inner == "sync/postgres/localpg" && strings.HasPrefix(s.pkg, "sync/postgres"):
		case !slices.Contains(allowed, inner) && !slices.Contains(allowed, "*"):
			wrong = append(wrong, "imports "+inner+", which does not stand below it")
		}
	}
	return wrong
}

// borders says where a package from elsewhere may be imported. Each is kept in
// one place, so that it can be replaced there.
var borders = []struct {
	path string // and everything below it
	only []string
	why  string
}{
	{"github.com/dgraph-io/ristretto", []string{"cache", "bench"}, "it decides what stays in memory, never what is true; only cache knows how to ask it"},
	{"github.com/jackc/pgx", []string{"sync/postgres", "bench"}, "every line of SQL has one safety argument, and it is made there"},
	{"database/sql", []string{"sync/postgres"}, "every line of SQL has one safety argument, and it is made there"},
	{"github.com/pressly/goose", []string{"sync/postgres"}, "the schema belongs to the store"},
	{"github.com/valyala/fasthttp", []string{"filter/server", "filter/imkit", "filter/rongcloud", "filter/sendbird", "bench"}, "its strings end with the handler; nobody else must be able to keep one"},
	{"github.com/golang-jwt/jwt", []string{"filter/server/jwtauth"}, "who is let in by a signed token is argued in one place"},
	{"github.com/MicahParks/jwkset", []string{"filter/server/jwtauth"}, "who is let in by a signed token is argued in one place"},
	{"golang.org/x/time", []string{"filter/server", "filter/rongcloud", "filter/decisionlog", "cache"}, "requests are held to a rate at the door, records at their file, page reads at their gate, and nothing behind them"},
	{"go.opentelemetry.io/otel", []string{"cmd/sidegate/tracing"}, "who is told of requests is the program's choice; the others know a trace by its two ids"},
	{"github.com/alecthomas/kong", []string{"cmd/sidegate"}, "the command line is the program's, not a package's"},
	{"github.com/anishathalye/porcupine", []string{"bench"}, "the program does not judge itself"},
	{"github.com/knadh/koanf", []string{"cmd/sidegate/config"}, "packages take options; only the program reads configuration"},
	{"net/http", []string{"metrics", "filter/server", "filter/imkit", "cmd/sidegate", "bench", "docs/tutorial"}, "the core does no I/O"},
}

// onlyTests are never imported outside tests.
var onlyTests = []string{"testing", "go.uber.org/goleak", "pgregory.net/rapid", "net/http/httptest"}

func borderRule(s source) (wrong []string) {
	for _, imported := range s.imports() {
		for _, b := range borders {
			if within(imported.path, b.path) && !slices.ContainsFunc(b.only, func(pkg string) bool { return within(s.pkg, pkg) }) {
				wrong = append(wrong, fmt.Sprintf("imports %s, which only %s may: %s", imported.path, strings.Join(b.only, ", "), b.why))
			}
		}
		if s.test || s.pkg == forTests {
			continue
		}
		if slices.ContainsFunc(onlyTests, func(p string) bool { return within(imported.path, p) }) {
			wrong = append(wrong, "imports "+imported.path+", which is for tests")
		}
	}
	return wrong
}

// nameRule: the folder sync holds the package blocksync and is imported under
// that name, written out, so that nobody reads it as the standard library's.
func nameRule(s source) (wrong []string) {
	for _, imported := range s.imports() {
		if imported.path == module+"/sync" && imported.name != "blocksync" {
			wrong = append(wrong, "imports sync without the name blocksync")
		}
		if imported.name == "." || imported.name == "_" && path.Base(imported.path) != "embed" {
			wrong = append(wrong, "imports "+imported.path+" as "+imported.name)
		}
	}
	return wrong
}

// registryRule: metrics belong to the registry that is handed in. On the global
// one two of our objects in one process, as in tests, would collide.
func registryRule(s source) (wrong []string) {
	const client = "github.com/prometheus/client_golang/prometheus"
	names := map[string]string{}
	for _, imported := range s.imports() {
		names[imported.local()] = imported.path
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		global := false
		switch names[x.Name] {
		case client:
			global = slices.Contains([]string{"DefaultRegisterer", "DefaultGatherer", "Register", "MustRegister", "Unregister"}, sel.Sel.Name)
		case client + "/promauto":
			global = sel.Sel.Name != "With" && sel.Sel.Name != "Factory"
		case client + "/promhttp":
			global = sel.Sel.Name == "Handler"
		}
		if global {
			wrong = append(wrong, "uses the global registry: "+x.Name+"."+sel.Sel.Name)
		}
		return true
	})
	return wrong
}

// The ceilings. Those of functions are for the program: a test may be a table.
const (
	maxFile     = 500
	maxFunction = 70
	maxParams   = 4 // besides the context
)

func sizeRule(s source) (wrong []string) {
	if s.lines > maxFile {
		wrong = append(wrong, fmt.Sprintf("has %d lines, at most %d", s.lines, maxFile))
	}
	if s.test {
		return wrong
	}
	for _, f := range s.functions() {
		if n := s.length(f); n > maxFunction {
			wrong = append(wrong, fmt.Sprintf("%s has %d lines, at most %d", f.Name.Name, n, maxFunction))
		}
		if n := params(f); n > maxParams {
			wrong = append(wrong, fmt.Sprintf("%s has %d parameters besides the context, at most %d", f.Name.Name, n, maxParams))
		}
	}
	return wrong
}

// sleepRule: a test waits for what it needs. It sleeps only where time is not
// real, in a bubble of testing/synctest, or in the one helper that waits.
func sleepRule(s source) (wrong []string) {
	if !s.test {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			return n.Name.Name != "waitFor"
		case *ast.CallExpr:
			if isCall(n, "synctest", "Test") {
				return false
			}
			if isCall(n, "time", "Sleep") {
				wrong = append(wrong, fmt.Sprintf("sleeps in line %d", s.fset.Position(n.Pos()).Line))
			}
		}
		return true
	})
	return wrong
}

func isCall(call *ast.CallExpr, pkg, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

type importSpec struct{ path, name string }

// local is the name that the import has in the file.
func (i importSpec) local() string {
	if i.name != "" {
		return i.name
	}
	return path.Base(i.path)
}

func (s source) imports() (list []importSpec) {
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has let it through: it is quoted
		}
		name := ""
		if spec.Name != nil {
			name = spec.Name.Name
		}
		list = append(list, importSpec{imported, name})
	}
	return list
}

func (s source) functions() (list []*ast.FuncDecl) {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			list = append(list, f)
		}
	}
	return list
}

// length is the number of lines of a function, its signature included.
func (s source) length(f *ast.FuncDecl) int {
	return s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
}

// params counts the parameters that are not the context.
func params(f *ast.FuncDecl) (n int) {
	for _, field := range f.Type.Params.List {
		if sel, ok := field.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Context" {
			continue
		}
		n += max(1, len(field.Names))
	}
	return n
}

// within reports whether an import path or a folder is parent or lies below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}
