// Package warm is the study of starting with the memory of the process before: how
// long it takes until everything is in memory, and how many rows are read for it,
// beside a start that reads all lists.
//
// A cold start and a warm one take turns, round by round, each a process of its own,
// the built program as it is delivered. What the first leaves when it is told to end
// is what the second begins with; in between, while nobody follows, lists change.
// Rows are counted by Postgres itself.
package warm
