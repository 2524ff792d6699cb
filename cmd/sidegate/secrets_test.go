package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// A comparison that ends at the first byte that differs tells by its time how much
// of a guess was right. So what a request brings is compared with a secret by
// crypto/subtle, over hashes, and by nothing else. Whether an expression holds a
// secret no tool can know; its name says it here, and a name that says so where there
// is none is worth a line below.

// secretWords are parts of the names of what must not be known.
var secretWords = []string{"token", "secret", "password", "signature", "credential", "apikey", "clientkey", "hash", "sha256", "mac", "sum"}

// comparedAsTheyAre are the places where such names are compared, and why the time
// that it takes tells nobody anything.
var comparedAsTheyAre = map[string]string{
	"filter/sendbird/tokens.go add":                "two secrets of the configuration, when it is read",
	"filter/server/jwtauth/key.go checkAlgorithms": "a truth value: whether there is a secret",
}

// doors are the packages that hear requests.
var doors = []string{"filter/server", "filter/server/jwtauth", "filter/rongcloud", "filter/sendbird", "filter/imkit", "metrics", "metrics/border"}

// equalities are functions that compare as == does.
var equalities = []string{"bytes.Equal", "bytes.Compare", "bytes.EqualFold", "strings.EqualFold", "strings.Compare", "slices.Equal", "slices.Contains", "reflect.DeepEqual", "maps.Equal"}

// secretName returns the name by which an expression seems to hold a secret; "" if
// it does not. What is made of it by a call is the call's: len(secret) is none.
func secretName(e ast.Expr) string {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	case *ast.IndexExpr:
		return secretName(e.X)
	case *ast.SliceExpr:
		return secretName(e.X)
	case *ast.ParenExpr:
		return secretName(e.X)
	case *ast.StarExpr:
		return secretName(e.X)
	case *ast.CallExpr: // a conversion
		if f, ok := e.Fun.(*ast.Ident); ok && f.Name == "string" && len(e.Args) == 1 {
			return secretName(e.Args[0])
		}
	}
	if slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(strings.ToLower(name), word) }) {
		return name
	}
	return ""
}

// isConstant reports whether an operand is written there: to be compared with "" or
// nil is no guess.
func isConstant(e ast.Expr) bool {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name == "nil" || id.Name == "true" || id.Name == "false"
	}
	_, literal := e.(*ast.BasicLit)
	return literal
}

// plainComparisons returns what is compared in a function in the ordinary way though
// it seems to be a secret.
func plainComparisons(s source, f *ast.FuncDecl) (found []string) {
	report := func(at token.Pos, operands ...ast.Expr) {
		if slices.ContainsFunc(operands, isConstant) {
			return
		}
		for _, e := range operands {
			if name := secretName(e); name != "" {
				found = append(found, fmt.Sprintf("%s %s: line %d compares %s", s.path, f.Name.Name, s.fset.Position(at).Line, name))
				return
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				report(n.OpPos, n.X, n.Y)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && secretName(n.Tag) != "" {
				report(n.Switch, n.Tag)
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && slices.Contains(equalities, pkg.Name+"."+sel.Sel.Name) {
					report(n.Lparen, n.Args...)
				}
			}
		}
		return true
	})
	return found
}

// TestSecretsAreComparedInConstantTime reads what the doors are made of.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	used, subtle := map[string]bool{}, 0
	for _, s := range sources(t, moduleRoot(t)) {
		if s.test || !slices.Contains(doors, s.pkg) {
			continue
		}
		for _, i := range s.file.Imports {
			if i.Path.Value == `"crypto/subtle"` {
				subtle++
			}
		}
		for _, f := range s.functions() {
			for _, found := range plainComparisons(s, f) {
				place := s.path + " " + f.Name.Name
				if used[place] = true; comparedAsTheyAre[place] == "" {
					t.Errorf("%s; use crypto/subtle, or say in comparedAsTheyAre why not", found)
				}
			}
		}
	}
	for place := range comparedAsTheyAre {
		if !used[place] {
			t.Errorf("%s compares nothing any more; take it out of comparedAsTheyAre", place)
		}
	}
	if subtle < 4 {
		t.Errorf("only %d files use crypto/subtle: the walk is wrong", subtle)
	}
}

// TestPlainComparisonsAreFound: the test above would see them.
func TestPlainComparisonsAreFound(t *testing.T) {
	for text, want := range map[string]bool{
		`got == t.secret`:                            true,
		`string(token) != want`:                      true,
		`bytes.Equal(sum[:], wanted)`:                true,
		`h.apiToken == header`:                       true,
		`slices.Contains(a.tokens, given)`:           true,
		`strings.EqualFold(signature, wanted)`:       true,
		`(hashes[i]) == other`:                       true,
		`secret == ""`:                               false,
		`len(secret) == n`:                           false,
		`password != nil`:                            false,
		`user == owner`:                              false,
		`subtle.ConstantTimeCompare(sum, hash) == 1`: false,
	} {
		s := parseSource(t, "", "filter/server/x.go", []byte("package server\nfunc f() bool { return "+text+" }\n"))
		if found := plainComparisons(s, s.functions()[0]); (len(found) > 0) != want {
			t.Errorf("%s: found %q", text, found)
		}
	}
}
