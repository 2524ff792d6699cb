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

// Print writes the rows and tables of a result for a terminal, in columns.
func Print(w io.Writer, result study.Result) error {
	rows := make([][]string, 0, len(result.Rows))
	for _, r := range result.Rows {
		rows = append(rows, []string{r.ID, measured(r), bound(r), verdict(r)})
	}
	var out bytes.Buffer
	columns(&out, rows)
	for _, t := range result.Tables {
		fmt.Fprintf(&out, "  %s\n", t.Title)
		columns(&out, append([][]string{t.Head}, t.Cells...))
	}
	_, err := w.Write(out.Bytes())
	return err
}

// columns writes lines whose cells stand below each other.
func columns(out *bytes.Buffer, lines [][]string) {
	var widths []int
	for _, line := range lines {
		for i, c := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, line := range lines {
		text := "  "
		for i, c := range line {
			text += c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2)
		}
		fmt.Fprintln(out, strings.TrimRight(text, " "))
	}
}
