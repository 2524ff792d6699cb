package study

import (
	"context"
	"slices"
	"time"
)

// Study measures one matter.
type Study struct {
	Name string // lower case; selects it on the command line
	What string // one line, for the list of studies
	// Run measures. An error ends this study; rows returned beside it count.
	Run func(ctx context.Context, env *Env) (Result, error)
}

// Env is what a study is given.
type Env struct {
	// Quick asks for a glance of some seconds: fewer rounds, less data. What it
	// yields is not judged.
	Quick bool
	// Program is the path of the built sidegate.
	Program string
	// Peers is the folder with the programs that are compared with: openfga,
	// opa and so on; a missing one is a row that says so.
	Peers string
	// Data is a folder that is kept between runs, for databases that take long
	// to fill; see package seed.
	Data string
	// Scratch is a folder that is removed after the study.
	Scratch string
	// Log tells whoever waits what is going on.
	Log func(format string, args ...any)
}

// Rounds returns how often what is compared is measured in turn.
func (e *Env) Rounds() int {
	if e.Quick {
		return 3
	}
	return 7
}

// Round returns how long one measurement of a round takes.
func (e *Env) Round() time.Duration {
	if e.Quick {
		return 300 * time.Millisecond
	}
	return 2 * time.Second
}

// Result is what a study found.
type Result struct {
	Rows   []Row    `json:"rows"`
	Tables []Table  `json:"tables,omitempty"`
	Charts []Chart  `json:"charts,omitempty"`
	Notes  []string `json:"notes,omitempty"` // paragraphs of Markdown: conditions, profiles, findings
}

// Row is one target and what was measured for it.
type Row struct {
	// ID names the row for good: lower-case words and hyphens.
	ID   string `json:"id"`
	What string `json:"what"`
	Unit string `json:"unit"` // of Values: "ns", "× no-op", "bytes/entry"
	// Values are the measured figures, one a round, in the terms of the bound.
	Values []float64 `json:"values"`
	// AtMost and AtLeast are the bounds that the median is held to; nil: none. A
	// row without a bound is shown and not judged.
	AtMost  *float64 `json:"at_most,omitempty"`
	AtLeast *float64 `json:"at_least,omitempty"`
	// Own and Peer are what Values are ratios of, one a round, if they are.
	Own  *Side `json:"own,omitempty"`
	Peer *Side `json:"peer,omitempty"`
	// Missing says why there are no values: a peer that is not installed.
	Missing string `json:"missing,omitempty"`
}

// Side is one of two that are compared.
type Side struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
}

// AtMost makes an upper bound.
func AtMost(v float64) *float64 { return &v }

// AtLeast makes a lower bound.
func AtLeast(v float64) *float64 { return &v }

// Ratio fills the values of a row with own ÷ peer, round by round.
func (r Row) Ratio(own, peer Side) Row {
	r.Own, r.Peer = &own, &peer
	r.Values = make([]float64, min(len(own.Values), len(peer.Values)))
	for i := range r.Values {
		r.Values[i] = own.Values[i] / peer.Values[i]
	}
	return r
}

// Median returns the middle of the values, 0 if there are none.
func Median(values []float64) float64 { return quantile(values, 0.5) }

// Quartiles returns the values between which the middle half of them lies.
func Quartiles(values []float64) (low, high float64) {
	return quantile(values, 0.25), quantile(values, 0.75)
}

// quantile interpolates between the two values next to it.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// Met reports whether the median keeps the bounds, and by which share of the
// bound it falls short if not. A row without values is not met.
func (r Row) Met() (met bool, short float64) {
	if len(r.Values) == 0 {
		return false, 0
	}
	m := Median(r.Values)
	switch {
	case r.AtMost != nil && m > *r.AtMost:
		return false, m / *r.AtMost - 1
	case r.AtLeast != nil && m < *r.AtLeast:
		return false, 1 - m / *r.AtLeast
	}
	return true, 0
}

// Table is figures that are shown as they are.
type Table struct {
	Title string     `json:"title"`
	Head  []string   `json:"head"`
	Cells [][]string `json:"cells"`
}

// Chart is drawn beside the results.
type Chart struct {
	ID    string `json:"id"` // of its file: ID.svg
	Title string `json:"title"`
	Note  string `json:"note,omitempty"` // what limits it, where the data came from
	X     Axis   `json:"x"`
	Y     Axis   `json:"y"`
	// Lines are drawn over X; Bars, one each, instead of lines if there are any.
	Lines []Line `json:"lines,omitempty"`
	Bars  []Bar  `json:"bars,omitempty"`
}

// Axis is a scale with its name and unit.
type Axis struct {
	Name string `json:"name"`
	Log  bool   `json:"log,omitempty"`
}

// Line is points that belong together.
type Line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// Bar is one value with the range of the middle half of its rounds.
type Bar struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Low   float64 `json:"low,omitempty"`
	High  float64 `json:"high,omitempty"`
	Own   bool    `json:"own,omitempty"` // it is sidegate's, and drawn so
}
