package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docBlock is a fenced block of a page. What stands behind its fence says what is
// done with it:
//
//	sh                   is run, and has to end with 0
//	sh background        is started and left running until the end of the page
//	sh not run: REASON   is not run
//	console              lines behind "$ " are run and have to print what follows
//	output               is what the block before it has to print
//	sql                  is run on the page's database
//	yaml                 is a configuration that loads
//	yaml file=NAME       is the same, written to a file for the commands after it
//	yaml served          is the same, and sidegate is started again with it
//	json                 is JSON, or several lines of it
//	… file=NAME          is written to a file, in any language
//	text                 is only read
//
// Anything else needs "not run: REASON". In expected output "…" stands for
// anything, a time for any time, and spaces and ends of lines do not count.
type docBlock struct {
	page, text      string
	line            int // of the fence, from 1
	language        string
	file            string
	notRun          string
	served, running bool
}

func (b *docBlock) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var fence = regexp.MustCompile("^( *)```(.*)$")

// docBlocks takes the fenced blocks out of a page. A block may be indented, as in
// a list.
func docBlocks(page, text string) ([]docBlock, error) {
	var blocks []docBlock
	var open *docBlock
	var indent string
	for i, line := range strings.Split(text, "\n") {
		mark := fence.FindStringSubmatch(line)
		switch {
		case mark == nil && open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case mark == nil:
		case open != nil:
			blocks = append(blocks, *open)
			open = nil
		default:
			indent = mark[1]
			open = &docBlock{page: page, line: i + 1}
			if err := open.describe(mark[2]); err != nil {
				return nil, err
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%v: the block has no end", open)
	}
	return blocks, nil
}

// describe reads what stands behind the fence.
func (b *docBlock) describe(info string) error {
	info, b.notRun, _ = strings.Cut(info, " not run: ")
	words := strings.Fields(info)
	if len(words) == 0 {
		return fmt.Errorf("%v: the block does not say what it holds; see docBlock", b)
	}
	b.language = words[0]
	for _, word := range words[1:] {
		name, isFile := strings.CutPrefix(word, "file=")
		switch {
		case isFile:
			b.file = name
		case word == "served" && b.language == "yaml":
			b.served = true
		case word == "background" && b.language == "sh":
			b.running = true
		default:
			return fmt.Errorf("%v: what is %q? see docBlock", b, word)
		}
	}
	known := slices.Contains([]string{"sh", "console", "output", "sql", "yaml", "json", "text"}, b.language)
	if !known && b.notRun == "" && b.file == "" {
		return fmt.Errorf("%v: nobody can run %q; say why with: not run: REASON", b, b.language)
	}
	return nil
}

// steps takes a console block apart: each command, and what it has to print.
func (b *docBlock) steps() (steps [][2]string, err error) {
	for line := range strings.Lines(b.text) {
		if command, is := strings.CutPrefix(line, "$ "); is {
			steps = append(steps, [2]string{command})
			continue
		}
		if len(steps) == 0 {
			return nil, fmt.Errorf(`%v: a console block begins with "$ "`, b)
		}
		last := &steps[len(steps)-1]
		if strings.HasSuffix(last[0], "\\\n") && last[1] == "" {
			last[0] += line // the command goes on
			continue
		}
		last[1] += line
	}
	return steps, nil
}

var (
	docTime   = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`)
	docSpaces = regexp.MustCompile(`\s+`)
)

// shows reports whether a command printed what the page promises.
func shows(promised, printed string) bool {
	plain := func(s string) string {
		return docSpaces.ReplaceAllString(docTime.ReplaceAllString(s, "<time>"), "")
	}
	pattern := regexp.QuoteMeta(plain(promised))
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	return regexp.MustCompile("^(?s:" + pattern + ")$").MatchString(plain(printed))
}

// checkJSON reads a block that is one JSON value, or one a line.
func (b *docBlock) checkJSON() error {
	for d := json.NewDecoder(strings.NewReader(b.text)); ; {
		var value any
		switch err := d.Decode(&value); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%v: %w", b, err)
		}
	}
}

// TestDocBlocks: the reader of blocks sees what is wrong with them.
func TestDocBlocks(t *testing.T) {
	good := "a\n```sh\none\n```\n  ```yaml file=x.yaml served\n  two: 3\n  ```\n```java not run: needs a VM\n```\n"
	blocks, err := docBlocks("p.md", good)
	if err != nil || len(blocks) != 3 || blocks[1].text != "two: 3\n" || !blocks[1].served || blocks[1].file != "x.yaml" || blocks[2].notRun != "needs a VM" {
		t.Fatalf("%+v, %v", blocks, err)
	}
	for _, bad := range []string{"```\nx\n```", "```sh\nx", "```java\n```", "```sh twice\n```", "```yaml background\n```"} {
		if blocks, err := docBlocks("p.md", bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, blocks)
		}
	}
	b := docBlock{text: "$ one \\\n  two\nout …\n$ three\n"}
	if steps, err := b.steps(); err != nil || fmt.Sprintf("%q", steps) != `[["one \\\n  two\n" "out …\n"] ["three\n" ""]]` {
		t.Errorf("%q, %v", steps, err)
	}
	for _, tc := range []struct {
		promised, printed string
		want              bool
	}{
		{"a  b", "a b\n", true}, {"a … c", "a bb c", true}, {"a … c", "a bb d", false}, {"a.c", "abc", false},
		{"since 2030-01-31 09:00:00 UTC", "since 2026-11-22 07:45:01 UTC", true}, {`"at":"2030-01-31T09:00:00Z"`, `"at":"2026-01-01T01:02:03.456Z"`, true},
	} {
		if got := shows(tc.promised, tc.printed); got != tc.want {
			t.Errorf("%q for %q: %v", tc.printed, tc.promised, got)
		}
	}
}
