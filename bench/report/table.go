package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sidegate/sidegate/bench/study"
)

// table is a Markdown table.
type table struct {
	width int
	out   bytes.Buffer
}

func newTable(head ...string) *table {
	t := &table{width: len(head)}
	t.add(head...)
	t.out.WriteString(strings.Repeat("|---", t.width) + "|\n")
	return t
}

// add writes a row; cells that are missing are empty, and those that are too many
// come last in one.
func (t *table) add(cells ...string) {
	for len(cells) < t.width {
		cells = append(cells, "")
	}
	if len(cells) > t.width {
		cells = append(cells[:t.width-1:t.width-1], strings.Join(cells[t.width-1:], " "))
	}
	for _, c := range cells {
		t.out.WriteString("| " + cell(c) + " ")
	}
	t.out.WriteString("|\n")
}

func (t *table) String() string { return t.out.String() }

// cell keeps a text within its cell.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// Print writes rows for a terminal, in columns.
func Print(w io.Writer, rows []study.Row) error {
	lines := [][]string{}
	for _, r := range rows {
		lines = append(lines, []string{r.ID, measured(r), bound(r), verdict(r)})
	}
	var widths [4]int
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, line := range lines {
		var out strings.Builder
		for i, c := range line {
			out.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
		if _, err := fmt.Fprintln(w, "  "+strings.TrimRight(out.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
