// Package scaling is the study of how the cost of a sidecar grows: with the lists
// that it holds, with connections, with cores, with changes while it is asked.
//
// # What is measured
//
// A sidecar in a process of its own, wired as cmd/sidegate does it from the check
// listener down, with package generator in the place of Postgres: ten million lists
// are in memory in seconds, and what is measured is the sidecar alone. Two sizes
// are measured a second time with the built program on a real Postgres, so that
// nobody has to take the generator's word for it.
//
// The program that runs the study is started once more for each sidecar: see
// [Sidecar]. Such a process has a control socket beside its check listener, on which
// it is told how many changes to make and asked what it holds.
//
// # What holds
//
// CPU time is the scheduler's, of the sidecar's process alone. Sizes, connections,
// cores and paces of changes take turns round by round. Memory is what the kernel
// calls resident, without the shared memory in which the generator keeps its index.
//
// # Stale answers
//
// A few witnesses change lists through the control socket, ask about them over
// HTTP, and hand what they saw to package history: an answer that does not show a
// change acknowledged longer ago than the answer's stated age is stale. For this
// the sidecar is set so that each answer states its age.
package scaling
