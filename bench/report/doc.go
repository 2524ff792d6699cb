// Package report turns what studies found into pages: a JSON file a study, with
// every figure of every round; the charts as SVG; and RESULTS.md, made from all
// JSON files that are there, so that one study can be run again alone.
//
// # Nothing is left out
//
// [Targets] lists every target of the project in one place. RESULTS.md begins with
// all of them: one that no study has a row for is "not measured", one that is not
// met says by how much, and what limits it is a paragraph that somebody wrote in
// limits/ID.md. A row that falls short without such a paragraph, a row whose bound
// is not the one of its target, and a study that ended early are problems, which
// [Page.Problems] names; the program that measures then fails, after it has
// written everything.
//
// # What is published
//
// A file says on which kind of machine it was measured, when, and from which
// commit. It names no host and no path of it: texts of errors are cleaned of them
// by [Clean].
//
// # Charts
//
// Charts are drawn here, in plain SVG: bars with the range of the middle half of
// the rounds, or lines, on linear or logarithmic scales. They bring their own
// ground, light or dark as the reader's system is, so that they can be read on any
// page.
package report
