// Package observetest looks at the program as an operator does: a real Prometheus
// scrapes two running processes, with the alert rules of deploy/prometheus loaded,
// and what the pages under docs/runbooks warn of is done to them: Postgres is
// killed, frozen, a process dies, a file is spoilt. Each alert must fire, and
// clear when the cause is gone.
//
// What needs no program stands beside it: every alert has a test of promtool, a
// page and the annotations it must have, and the files for the operator are made
// from the very rules.
//
// It is a module of its own, in the manner of filter/dialecttest; the tests know
// the program by what it prints, listens on and answers. None imports a package of
// it but localpg, which starts the Postgres. "make alerts" runs everything.
//
// # Time
//
// The rules are written for minutes and days. The Prometheus of these tests loads
// them with every duration divided by [harness.Shorter]; see
// [harness.ShortenRules] for what that is and what it leaves alone.
package observetest
