// Package study is the contract between the program that measures, `go run
// ./bench`, and what it measures: one package a study, each with a value of type
// [Study].
//
// # What a figure is worth
//
// Machines are shared and noisy: a rate or a percentile of one run means nothing
// alone. What is compared is therefore measured in turn, round by round, in one
// run, and the comparison is a ratio of each round; a [Row] keeps all rounds, and
// is judged by their median. CPU time of a process, allocations and bytes hold
// better than wall time and come before it.
//
// A row is never left out because it fell short. What could not be measured is a
// row too, that says why.
package study
