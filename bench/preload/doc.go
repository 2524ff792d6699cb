// Package preload is the study of starting: how fast a serving sidecar fills its
// memory from Postgres, beside a bare COPY of the same rows that is read to its
// end and thrown away; what that takes of memory, and of the database while others
// use it; and what one page read costs.
//
// COPY and start take turns, round by round. Each start is a process of its own,
// the built program as it is delivered, so that its resident memory is that of the
// cache and nothing else.
package preload
