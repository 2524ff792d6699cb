// Package warm keeps the memory of the cache in a file, so that a process that is
// started again begins with what the one before it knew: [File.Run] writes the file
// now and then and at the end, [File.Open] and [File.Stage] read it at the start.
//
// What stands in the file, and why it may be answered from, is the cache's to say
// (its DESIGN.md). This package owes that a file is there whole or not at all, that
// one process at a time writes it, that writing does not get in the way of answers,
// and that whatever is wrong with the file costs a cold start and nothing else.
package warm
