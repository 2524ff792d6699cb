// Package writes measures what a block costs beside the least that a database
// can do for it: a transaction of pgbench that inserts one row into a table with
// the columns and the primary key of sidegate.block, and updates one row of a
// table of headers. Neither has a constraint, another index or a trigger.
//
// Both sides write to one Postgres that is as durable as a real one: fsync,
// synchronous_commit and full_page_writes are on. The lists are the same, so is
// the number of callers, and each write goes to a list drawn at random. The bare
// transaction takes four round trips, as an application would make it.
package writes
