package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sidegate/sidegate/bench/study"
)

// bars draws one bar a line, with its name before and its value behind it.
func (d *drawing) bars(c study.Chart) {
	const (
		row   = 28.0
		thick = 17.0
	)
	nameWidth, valueWidth := 0.0, 0.0
	var values []float64
	for _, b := range c.Bars {
		nameWidth = max(nameWidth, textWidth(b.Name))
		valueWidth = max(valueWidth, textWidth(Figure(b.Value))*1.1)
		values = append(values, b.Value)
		if b.High > b.Value {
			values = append(values, b.High)
		}
		if b.Low > 0 && b.Low < b.Value {
			values = append(values, b.Low)
		}
	}
	left := margin + nameWidth + 10
	x := newScale(c.X.Log, values, left, width-margin-valueWidth-14)
	if x.log { // a power of ten: the shorter the axis, the more it flatters the least
		x.lo = math.Pow(10, math.Floor(math.Log10(0.9*slices.Min(values))))
	}
	top := d.y
	bottom := top + row*float64(len(c.Bars)) + 4
	for _, v := range x.ticks() {
		d.rule("grid", x.at(v), top, x.at(v), bottom)
		d.text(x.at(v), bottom+16, "soft", "middle", tick(v))
	}
	zero := x.from
	if !x.log {
		zero = x.at(0)
	}
	for i, b := range c.Bars {
		y := top + row*float64(i) + row/2 + 2
		class := "bar"
		if b.Own {
			class = "own"
		}
		from, to := min(zero, x.at(b.Value)), max(zero, x.at(b.Value))
		d.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%g" rx="2"/>`, class, from, y-thick/2, to-from, thick)
		end := to
		if b.Low > 0 && b.High > b.Low {
			end = max(to, x.at(b.High))
			d.rule("range", x.at(b.Low), y, x.at(b.High), y)
			d.rule("range", x.at(b.Low), y-3, x.at(b.Low), y+3)
			d.rule("range", x.at(b.High), y-3, x.at(b.High), y+3)
		}
		d.text(left-8, y+4.5, "name", "end", b.Name)
		d.text(end+7, y+4.5, "value", "start", Figure(b.Value))
	}
	d.rule("axis", zero, top, zero, bottom)
	d.y = bottom + 36
	d.text((left+x.to)/2, d.y, "soft", "middle", axisName(c.X))
}

// lines draws lines over a plane, with a legend above it.
func (d *drawing) lines(c study.Chart) {
	const high = 280.0
	d.legend(c.Lines)
	var xs, ys []float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	d.text(margin, d.y, "soft", "start", axisName(c.Y))
	top := d.y + 14
	bottom := top + high
	y := newScale(c.Y.Log, ys, bottom, top)
	labels := 0.0
	for _, v := range y.ticks() {
		labels = max(labels, textWidth(tick(v)))
	}
	left := margin + labels + 8
	x := newScale(c.X.Log, xs, left, width-margin-10)
	if c.X.Log { // no bar needs a length here
		x.lo, x.hi = slices.Min(xs), max(slices.Max(xs), slices.Min(xs)*10)
	}
	for _, v := range y.ticks() {
		d.rule("grid", left, y.at(v), x.to, y.at(v))
		d.text(left-8, y.at(v)+4.5, "soft", "end", tick(v))
	}
	for _, v := range x.ticks() {
		d.rule("grid", x.at(v), top, x.at(v), bottom)
		d.text(x.at(v), bottom+17, "soft", "middle", tick(v))
	}
	d.rule("axis", left, bottom, x.to, bottom)
	d.rule("axis", left, top, left, bottom)
	for i, l := range c.Lines {
		d.line(i, l, x, y)
	}
	d.y = bottom + 38
	d.text((left+x.to)/2, d.y, "soft", "middle", axisName(c.X))
}

// line draws one, with a dot at each point: what lies between was not measured.
func (d *drawing) line(i int, l study.Line, x, y scale) {
	points := slices.Clone(l.Points)
	slices.SortStableFunc(points, func(a, b [2]float64) int {
		switch {
		case a[0] < b[0]:
			return -1
		case a[0] > b[0]:
			return 1
		}
		return 0
	})
	var path []string
	for _, p := range points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p[0]), y.at(p[1])))
	}
	d.printf(`<polyline class="line s%d" points="%s"/>`, i, strings.Join(path, " "))
	for _, p := range points {
		d.printf(`<circle class="d%d" cx="%.1f" cy="%.1f" r="3.5"/>`, i, x.at(p[0]), y.at(p[1]))
	}
}

// legend names the lines, in as many rows as it takes.
func (d *drawing) legend(lines []study.Line) {
	if len(lines) == 1 && lines[0].Name == "" {
		return
	}
	const swatch, gap = 22.0, 18.0
	d.y += 4
	at := margin
	for i, l := range lines {
		need := swatch + 6 + textWidth(l.Name)
		if at > margin && at+need > width-margin {
			at = margin
			d.y += lineHeight
		}
		d.printf(`<line class="line s%d" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, i, at, d.y-4.5, at+swatch, d.y-4.5)
		d.printf(`<circle class="d%d" cx="%.1f" cy="%.1f" r="3.5"/>`, i, at+swatch/2, d.y-4.5)
		d.text(at+swatch+6, d.y, "name", "start", l.Name)
		at += need + gap
	}
	d.y += lineHeight + 6
}
