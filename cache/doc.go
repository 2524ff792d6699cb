// Package cache keeps the block sets of all apps in memory: immutable pages,
// reached through a flat directory, stepped by changes, evicted by ristretto.
//
// # Guarantee
//
// A list read from memory contains every change that was applied before the
// read began, and [View.Age] bounds how old it can be. What is not in memory is
// "not known", never "empty". Consistency is per list: two reads of two lists
// are two reads.
//
// # Who does what
//
// The directory of page pointers is the one truth of what can be reached.
// [Directory.Load] and [Cache.Apply] fill slots, under the lock of the hash's
// shard; anybody may clear one. Readers take no lock: they load a pointer.
// Ristretto holds the byte budget and decides what stays; it stores no page, and
// its callbacks can only clear a slot. The accountant, one goroutine of
// [Cache.Run], is its only caller. The keeper, the other one, loads ahead what
// fits and reads suspect pages again, in two streams that it waits for. The gate
// says of each page that is missed, at once, whether it will be read: a slow
// database makes lists unknown and has nobody wait for nothing ([LoadLimits]). A
// [Loader] hands what it reads to an [Intake], which checks it and keeps
// fingerprints only.
//
// [Cache.Sample] compares a page with the database and changes nothing, for whoever
// wants to know whether all of this works; [Sample.Renew] replaces it like any load.
//
// # Invariants
//
//	D1 A page is answered from only if it was in its slot, or was the result of
//	   a load that the caller joined before it ended.
//	D2 Slots are filled only by publish and apply, under the shard's lock.
//	D3 No two loads of one hash are under way; a load is registered before its
//	   query; every change of its epoch that is applied since is replayed over
//	   its rows.
//	D4 A page of the present epoch holds, for every owner, a version at or above
//	   every change applied. It follows from D2 and D3 if a change is applied
//	   only when later queries on that server see it: true of a polled feed.
//	D5 The epoch of a page says when the whole page was proved; a change of one
//	   owner proves nothing about the others.
//	D6 When the accountant is idle, what is reachable is accounted for, and the
//	   other way round. At any moment what is reachable and not accounted for is
//	   at most a tenth of the budget, and what pages that were read again grew by.
//
// # Start and stop
//
// [New] starts nothing. [Cache.Run] blocks until its context ends and waits for
// what it started. Readers may go on after it; nothing is evicted any more then.
//
// DESIGN.md says what was refused and why.
package cache
