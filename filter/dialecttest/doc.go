// Package dialecttest uses the block-list APIs of RongCloud, Sendbird and IMKit
// as their clients do: over HTTP, on the built program, with a real Postgres and
// a second sidecar on the same database. It is a module of its own, so that what
// the vendors' SDKs need never reaches the program.
//
// The name of a test begins with the row of the compatibility matrix that it
// proves: TestR3_… is a proof of R3. "make dialects" runs everything and prints
// the matrix from what the run reports; package matrix holds the rows.
//
// Three kinds of tests stand beside one another:
//
//   - rules, in the files named after the vendor: each would fail if its rule
//     were taken out;
//   - exchanges, in testdata/ROW/*.http: requests as the vendors' pages print
//     them, with the answers, compared field by field with their types;
//   - the vendors' own SDKs: package rongcloudsdk, a process-wide singleton and
//     therefore a test binary of its own, and sendbird.js for Node.
//
// The tests know the program by what it prints, listens on and answers. None
// imports a package of it but localpg, which starts the Postgres.
package dialecttest
