// Package linear judges whether block lists behave as if there were one copy of
// each, to which one request after the other is made, although several clients
// write to the same list through several processes at a time.
//
// [github.com/sidegate/sidegate/bench/history] needs the order of the writes to a
// list and therefore one writer for each. Here the order is not known: porcupine
// searches one that explains every answer. It is found if there is one, which
// takes long for many requests at once; so keep the lists many and short.
//
// # The model of a list
//
// A set of targets, a version that each change raises by one, and a limit. Every
// answer must fit the list at one moment between the request and its answer:
//
//   - an addition says whether the entry is new, and the version; over the limit
//     it is refused with the size;
//   - a removal says whether there was an entry, and the version;
//   - a list has a set and a version, or "not modified" for a version;
//   - a decision that carries a token may be answered from memory, which lags
//     behind, but never from before the token's write. So its moment is one since
//     that write was requested, and the version is then at least the token's.
//
// # Unknown outcomes
//
// Nobody knows when a request whose answer was lost takes effect, or whether it
// does. As is usual, it ends never: then it may come after everything, which is
// the same as not at all. It cannot have had a version that another change was
// answered with, which keeps the search short.
//
// A request that was refused is one that did not happen: leave it out, and if it did
// happen, other answers will not fit.
package linear
