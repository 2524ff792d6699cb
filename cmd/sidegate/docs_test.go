package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the pages for users, by path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	root, pages := moduleRoot(t), map[string]string{}
	read := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		pages[relative] = string(text)
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"} {
		read(filepath.Join(root, name))
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			read(path)
		}
		return err
	})
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	return pages
}

var (
	link     = regexp.MustCompile(`\]\(([^)#: ]+)(?:#([a-z0-9_-]+))?\)`)
	commands = regexp.MustCompile("(?m)^(?:\\$ )?(?:bin/)?sidegate ([a-z]+)|`sidegate ([a-z]+)")
)

// TestDocumentedLinksLead: every relative link leads to a file.
func TestDocumentedLinksLead(t *testing.T) {
	root := moduleRoot(t)
	for page, text := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, match[1])
			}
		}
	}
}

// TestDocumentedCommandsExist: every command that a page names is one.
func TestDocumentedCommandsExist(t *testing.T) {
	parser, err := newParser(&program{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range parser.Model.Children {
		known[c.Name] = true
	}
	found := 0
	for page, text := range documents(t) {
		for _, match := range commands.FindAllStringSubmatch(text, -1) {
			found++
			if name := match[1] + match[2]; !known[name] {
				t.Errorf("%s names the command %q, which there is not", page, name)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d commands were found", found)
	}
}

// TestEveryPageIsListed: whoever begins at the table of contents finds every page.
func TestEveryPageIsListed(t *testing.T) {
	pages := documents(t)
	listed := map[string]bool{}
	for page, text := range pages {
		if filepath.Base(page) != "README.md" {
			continue
		}
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			listed[filepath.Join(filepath.Dir(page), match[1])] = true
		}
	}
	for page := range pages {
		if strings.HasPrefix(page, "docs/") && !listed[page] && page != "docs/README.md" {
			t.Errorf("no README leads to %s", page)
		}
	}
}
