// Package memory measures what the lists weigh: bytes an entry with everything
// counted, what the process takes of the machine, whether the budget is kept
// under traffic for more than fits, and how often what is asked for is there.
//
// What is weighed lives in processes of its own, helpers, so that the memory of
// one is that of the cache alone. The lists come from a [cache.Loader] that
// computes them from the shape of package seed: a Postgres with the same lists
// gives the same pages, and would only take longer.
package memory
