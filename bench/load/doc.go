// Package load measures servers beside each other: it drives each with the same
// number of callers, in turn, round by round, and reads what the server's process
// has used of the CPU meanwhile.
//
// # What is measured, and what holds
//
// A [Contestant] is a way to ask one server. [Turns] opens its callers, lets every
// contestant have one round, then every one the next, in an order that shifts by
// one each time, so that a machine that becomes slower for a while becomes slower
// for all of them. What is to be believed afterwards are [Ratios] of two
// contestants of the same turn, and the CPU time of a server for one operation: it
// leaves out the time that the host gives to others. Rates alone say as much
// about the machine, and about the client, which shares its cores, as about the
// server.
//
// # Load
//
// Load is closed: each [Caller] asks again once it has its answer. [HTTPCaller]
// sends requests that were written before the round over a bare socket and looks
// at no more of an answer than it takes to find its end, so that the client costs
// little and costs the same for all. Of every sixteenth exchange the time is
// taken.
//
// # Concurrency and shutdown
//
// Turns owns the goroutines of a round and waits for them. A [Process] is ended by
// Stop, which waits for it. Nothing outlives either.
//
// # Allowed imports
//
// The standard library.
package load
