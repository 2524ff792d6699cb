package main

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logCall is a call of a logger in the program.
type logCall struct {
	at      string
	level   string // "" = it is only known when it is made
	message string
	keys    []string
}

// logMethods are the methods of slog.Logger that write a line, with the place of the
// message among their arguments.
var logMethods = map[string]struct {
	level   string
	message int
}{
	"Debug": {"debug", 0}, "Info": {"info", 0}, "Warn": {"warn", 0}, "Error": {"error", 0},
	"DebugContext": {"debug", 1}, "InfoContext": {"info", 1}, "WarnContext": {"warn", 1}, "ErrorContext": {"error", 1},
	"Log": {"", 2},
}

// loggerNames are what loggers are called, so that calls of them are found without
// knowing types.
var loggerNames = []string{"log", "logger", "Logger", "slog"}

// logCalls returns the calls of loggers in a file, and what is wrong with them.
func logCalls(s source) (calls []logCall, wrong []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && isLogger(field.Type) {
			for _, name := range field.Names {
				if !slices.Contains(loggerNames, name.Name) {
					wrong = append(wrong, "a logger is called "+name.Name)
				}
			}
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(loggerNames, lastName(sel.X)) {
			return true
		}
		method, ok := logMethods[sel.Sel.Name]
		if !ok || len(call.Args) <= method.message {
			return true
		}
		c := logCall{at: s.path + ":" + strconv.Itoa(s.fset.Position(call.Pos()).Line), level: method.level}
		if c.message, ok = literal(call.Args[method.message]); !ok {
			wrong = append(wrong, c.at+": the message is not a constant")
		}
		wrong = append(wrong, c.readKeys(call.Args[method.message+1:])...)
		calls = append(calls, c)
		return true
	})
	return calls, wrong
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// readKeys reads what follows a message: keys and values in turn, or slog.Any(key, …).
func (c *logCall) readKeys(args []ast.Expr) (wrong []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if call, ok := arg.(*ast.CallExpr); ok && len(call.Args) == 2 && lastName(call.Fun) == "Any" {
			arg = call.Args[0]
		} else {
			i++ // its value
		}
		key, ok := literal(arg)
		switch {
		case !ok:
			wrong = append(wrong, c.at+": a key is not a constant")
		case !snakeCase.MatchString(key) || !knownLogKey(key):
			wrong = append(wrong, c.at+": "+key+" is not in the list of keys in docs_logs.go")
		default:
			c.keys = append(c.keys, key)
		}
	}
	return wrong
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// lastName is the name behind the last dot.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func isLogger(e ast.Expr) bool {
	star, ok := e.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Logger" && lastName(sel.X) == "slog"
}

// programSources are the files whose lines users see.
func programSources(t *testing.T) (list []source) {
	for _, s := range sources(t, moduleRoot(t)) {
		top, _, _ := strings.Cut(s.pkg, "/")
		if !s.test && top != "bench" && top != "docs" && path.Base(s.pkg) != "pgtest" {
			list = append(list, s)
		}
	}
	return list
}

// TestLogCatalogue: every message at warn and above is in the table with its level
// and its keys, and the table has no other.
func TestLogCatalogue(t *testing.T) {
	levels, keys := map[string][]string{}, map[string][]string{}
	used := map[string]bool{}
	for _, s := range programSources(t) {
		calls, wrong := logCalls(s)
		for _, w := range wrong {
			t.Errorf("%s: %s", s.path, w)
		}
		for _, c := range calls {
			for _, key := range c.keys {
				used[key] = true
			}
			switch c.level {
			case "debug", "info":
				continue
			case "":
				levels[c.message] = append(levels[c.message], "error", "warn")
			default:
				levels[c.message] = append(levels[c.message], c.level)
			}
			keys[c.message] = append(keys[c.message], c.keys...)
		}
	}
	if len(levels) < 10 {
		t.Fatalf("only %d messages were found", len(levels))
	}
	for message := range levels {
		i := slices.IndexFunc(logMessages, func(m logMessage) bool { return m.message == message })
		if i < 0 {
			t.Errorf("%q is not in the catalogue (docs_logs.go)", message)
			continue
		}
		m := logMessages[i]
		if got := strings.Join(unique(levels[message]), " "); got != m.levels {
			t.Errorf("%q is logged at %s, in the catalogue at %s", message, got, m.levels)
		}
		if got := unique(keys[message]); !slices.Equal(got, m.keys) {
			t.Errorf("%q has the keys %q, in the catalogue %q", message, got, m.keys)
		}
		if !strings.HasSuffix(m.means, ".") || !strings.HasSuffix(m.do, ".") {
			t.Errorf("%q is not explained", message)
		}
	}
	for i, m := range logMessages {
		if levels[m.message] == nil {
			t.Errorf("%q is in the catalogue and nowhere in the code", m.message)
		}
		if i > 0 && logMessages[i-1].message >= m.message {
			t.Errorf("%q is not in its place", m.message)
		}
	}
	for _, k := range logKeys {
		if !used[k.name] {
			t.Errorf("no line has the key %s", k.name)
		}
	}
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// TestLogCatalogueSees: the test above finds what it is there for.
func TestLogCatalogueSees(t *testing.T) {
	const text = `package x
import "log/slog"
type s struct { l *slog.Logger }
func (s *s) f(log *slog.Logger, m string) {
	log.Warn(m)
	log.Error("a", "notAKey", 1)
	log.WarnContext(ctx, "b", slog.Any("error", nil), m, 2)
	s.opts.Logger.Log(ctx, level, "c", "error", err)
	err.Error()
}`
	calls, wrong := logCalls(parseSource(t, "", "x/x.go", []byte(text)))
	if len(calls) != 4 || calls[2].message != "b" || calls[3].message != "c" || !slices.Equal(calls[3].keys, []string{"error"}) {
		t.Errorf("%+v", calls)
	}
	all := strings.Join(wrong, "\n")
	for _, want := range []string{"a logger is called l", "x.go:5: the message is not a constant", "notAKey is not in the list", "x.go:7: a key is not a constant"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
}
