// Package history judges what a system answered: clients record every write and
// every read with its times, some fault strikes, and afterwards [History.Check]
// finds each answer that cannot be true.
//
// # What is judged
//
// A list of an owner has one linear history: the order of its writes, which one
// writer at a time makes and which therefore do not overlap. Every answer about
// the list has to fit a place in that history, such that
//
//   - it is not before the newest write acknowledged before the read began, less
//     the age that the answer claimed for itself;
//   - it is not behind a write that began after the read had ended;
//   - it is not before a place that the same answerer has shown in the same epoch
//     to a read that was over before this one began: lists do not go back;
//   - it is not before the write whose token the read carried;
//   - what is on the list there is what was answered, be it one entry or all.
//
// The places of an answer are a range, and of those that fit the first is taken:
// it leaves the most room for what comes later, so if the first leads to a
// contradiction then every other does. That makes one pass enough: linear in the
// answers and writes of an owner, once they are sorted by time.
//
// # What "may or may not" does
//
// A write whose outcome nobody learnt may take effect at any moment after it
// began, even after its writer has gone on, or never. From then on nothing is
// held against an answer about that entry. A writer therefore leaves the entry
// alone afterwards and takes another: a history of doubtful writes would prove
// nothing. [Report.Decisive] says how much it does prove. A write that was
// refused is one that did not happen: if it did, answers will not fit.
//
// Acknowledged writes that an operator gave up, as in a failover that lost the
// tail of the log, are to be recorded as unknown.
//
// # What it cannot see
//
// Only what was read. A list that is wrong between two reads is not noticed, and
// an answer that was not given is counted and never wrong.
package history
