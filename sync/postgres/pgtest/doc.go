// Package pgtest gives tests a real PostgreSQL.
//
// The tests of a package share one private cluster, started by the first test
// that asks and stopped by [Main], which a package's TestMain calls. Each test
// gets a database of its own, so tests may run in parallel: [Database] an empty
// one with the current schema, [Empty] one without. A test that stops, kills or
// freezes the server takes a cluster of its own, by [Server].
//
// Where no server is installed tests fail, in one sentence that says what to
// install: a skipped test would look like a passed one.
//
// Roles belong to a cluster, not to a database: tests of one package share the
// roles that the schema makes.
package pgtest
