package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// These tests hold the source tree to its architecture. They read every Go file
// as text, so a file for another system or one that does not build counts too.
// .golangci.yml says a part of it again, for editors.

const module = "github.com/sidegate/sidegate"

// source is one Go file.
type source struct {
	path  string // from the root of the module, with slashes
	pkg   string // its folder; "" = the root
	test  bool
	lines int
	file  *ast.File
	fset  *token.FileSet
}

// parseSource reads a file; text may be nil to read it from the disk.
func parseSource(t *testing.T, root, path string, text []byte) source {
	t.Helper()
	if text == nil {
		var err error
		if text, err = os.ReadFile(filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	pkg := filepath.ToSlash(filepath.Dir(path))
	if pkg == "." {
		pkg = ""
	}
	return source{
		path: filepath.ToSlash(path), pkg: pkg, test: strings.HasSuffix(path, "_test.go"),
		lines: strings.Count(string(text), "\n"), file: file, fset: fset,
	}
}

// sources reads every Go file of the module, nested modules excepted.
func sources(t *testing.T, root string) (list []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin" {
				return filepath.SkipDir
			}
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") {
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			list = append(list, parseSource(t, root, relative, nil))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestArchitecture(t *testing.T) {
	list := sources(t, moduleRoot(t))
	if len(list) < 50 {
		t.Fatalf("only %d Go files were found: the walk is wrong", len(list))
	}
	for _, s := range list {
		for _, r := range rules {
			for _, violation := range r(s) {
				t.Errorf("%s: %s", s.path, violation)
			}
		}
	}
}

// TestMedians: a few long files and functions are right where they are; most
// must be short enough to be seen whole.
func TestMedians(t *testing.T) {
	var files, functions []int
	for _, s := range sources(t, moduleRoot(t)) {
		if s.test {
			continue
		}
		files = append(files, s.lines)
		for _, f := range s.functions() {
			functions = append(functions, s.length(f))
		}
	}
	slices.Sort(files)
	slices.Sort(functions)
	if m := files[len(files)/2]; m > 120 {
		t.Errorf("the median file has %d lines, want at most 120", m)
	}
	if m := functions[len(functions)/2]; m > 10 {
		t.Errorf("the median function has %d lines, want at most 10", m)
	}
}

// topLevel is everything that may stand at the top of the repository.
var topLevel = strings.Fields(`cmd filter cache sync metrics deploy bench docs .ci .github
	Makefile go.mod go.sum README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE .golangci.yml .gitignore .gitattributes`)

func TestTopLevel(t *testing.T) {
	root := moduleRoot(t)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains(topLevel, e.Name()) || e.Name() == ".git" {
			continue
		}
		// What is not in the repository, such as an editor's folder, is nobody's
		// business. Where git cannot tell, it counts as being in it.
		cmd := exec.Command("git", "ls-files", "--", e.Name())
		cmd.Dir = root
		if tracked, err := cmd.Output(); err != nil || len(tracked) > 0 {
			t.Errorf("%s stands at the top of the repository; only these may: %s", e.Name(), strings.Join(topLevel, " "))
		}
	}
}
