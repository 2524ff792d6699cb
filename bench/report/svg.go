package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sidegate/sidegate/bench/study"
)

// Measures of every chart, in pixels at its natural size.
const (
	width    = 760.0
	margin   = 24.0
	fontSize = 13.0
	// letter is about the width of one in the fonts below, a little too wide so
	// that no label is cut.
	letter     = 0.58 * fontSize
	lineHeight = 18.0
)

// style says how everything looks, in light and in dark. Readers have different
// fonts: the first that is there is taken.
const style = `<style>
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","DejaVu Sans",Arial,sans-serif;font-size:13px;fill:#1f2328}
.title{font-size:16px;font-weight:600}
.value{font-weight:600}
.soft{fill:#59636e;font-size:12px}
.ground{fill:#ffffff;stroke:#d1d9e0}
.grid{stroke:#e3e7ec;stroke-width:1}
.axis{stroke:#8c959f;stroke-width:1}
.bar{fill:#9aa4af}
.own{fill:#0a69da}
.range{stroke:#1f2328;stroke-width:1.5}
.line{fill:none;stroke-width:2.25;stroke-linejoin:round}
.s0{stroke:#0a69da}.s1{stroke:#c2410c}.s2{stroke:#0f7b4f}.s3{stroke:#8250df}.s4{stroke:#9a6700}.s5{stroke:#bf3989}
.d0{fill:#0a69da}.d1{fill:#c2410c}.d2{fill:#0f7b4f}.d3{fill:#8250df}.d4{fill:#9a6700}.d5{fill:#bf3989}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}
.soft{fill:#9aa5b1}
.ground{fill:#0d1117;stroke:#3d444d}
.grid{stroke:#262c36}
.axis{stroke:#656c76}
.bar{fill:#5a646f}
.own{fill:#4493f8}
.range{stroke:#f0f6fc}
.s0{stroke:#4493f8}.s1{stroke:#f0883e}.s2{stroke:#3fb950}.s3{stroke:#ab7df8}.s4{stroke:#d29922}.s5{stroke:#db61a2}
.d0{fill:#4493f8}.d1{fill:#f0883e}.d2{fill:#3fb950}.d3{fill:#ab7df8}.d4{fill:#d29922}.d5{fill:#db61a2}
}
</style>
`

// colours is how many lines can be told apart.
const colours = 6

// SVG draws a chart that [File.Check] has nothing against.
func SVG(c study.Chart) []byte {
	d := &drawing{}
	d.y = margin + 16
	for _, line := range wrap(c.Title, (width-2*margin)/(letter*16/fontSize)) {
		d.text(margin, d.y, "title", "start", line)
		d.y += lineHeight + 2
	}
	if len(c.Bars) > 0 {
		d.bars(c)
	} else {
		d.lines(c)
	}
	if c.Note != "" {
		d.y += 4
		for _, line := range wrap(c.Note, (width-2*margin)/(letter*12/fontSize)) {
			d.y += lineHeight - 2
			d.text(margin, d.y, "soft", "start", line)
		}
	}
	height := d.y + margin - 6
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`+"\n",
		width, height, width, height, escape(c.Title))
	out.WriteString(style)
	fmt.Fprintf(&out, `<rect class="ground" x="0.5" y="0.5" width="%g" height="%g" rx="6"/>`+"\n", width-1, height-1)
	out.Write(d.out.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// check reports why a chart cannot be drawn.
func check(c study.Chart) error {
	if len(c.Bars) == 0 && len(c.Lines) == 0 {
		return errors.New("it has neither a bar nor a line")
	}
	if len(c.Bars) == 0 && len(c.Lines) > colours {
		return fmt.Errorf("it has %d lines, at most %d can be told apart", len(c.Lines), colours)
	}
	var xs, ys []float64
	for _, b := range c.Bars {
		xs = append(xs, b.Value)
	}
	for _, l := range c.Lines {
		if len(l.Points) == 0 {
			return fmt.Errorf("the line %q has no point", l.Name)
		}
		for _, p := range l.Points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	for _, a := range []struct {
		axis   study.Axis
		values []float64
	}{{c.X, xs}, {c.Y, ys}} {
		if slices.ContainsFunc(a.values, isNoNumber) {
			return fmt.Errorf("a value of %q is no number", a.axis.Name)
		}
		if a.axis.Log && len(a.values) > 0 && slices.Min(a.values) <= 0 {
			return fmt.Errorf("a value of %q is not positive, which a logarithmic scale has no place for", a.axis.Name)
		}
	}
	return nil
}

// drawing is the inside of a picture; y is how far down it has come.
type drawing struct {
	out bytes.Buffer
	y   float64
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.out, format+"\n", args...) }

func (d *drawing) text(x, y float64, class, anchor, text string) {
	d.printf(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, escape(text))
}

func (d *drawing) rule(class string, x1, y1, x2, y2 float64) {
	d.printf(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func escape(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(text)) // a bytes.Buffer takes everything
	return out.String()
}

// axisName adds to the name of an axis how it is to be read.
func axisName(a study.Axis) string {
	if a.Log {
		return a.Name + " (logarithmic)"
	}
	return a.Name
}

func textWidth(s string) float64 { return letter * float64(utf8.RuneCountInString(s)) }

// wrap breaks a text into lines of about so many letters.
func wrap(text string, letters float64) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && float64(utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word)) > letters {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
