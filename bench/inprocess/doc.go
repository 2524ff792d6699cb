// Package inprocess measures lookups, checks, fan-outs and batches without a
// database and, but for the fan-out, without HTTP: what the answer itself costs.
//
// The lists are made up by a [cache.Loader], 1M of 10 entries, and 1M users have
// none. Questions are drawn at random, so that hardly any page is in the CPU's
// caches (cold), or are 64 that are asked again and again (hot). Ids lie in memory
// in the order in which they are asked for, as those of requests do.
//
// Floors are measured in the same turns: a flat index, which is an open hash table
// of owners over one array of fingerprints and knows nothing of versions, changes
// and eviction, and splitting the body of a fan-out into its ids.
package inprocess
