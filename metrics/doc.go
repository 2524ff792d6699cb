// Package metrics holds what an operator looks at: the registry, the rules that
// names and labels of metrics follow, and the ops listener on which probes,
// metrics and staff reads are served.
//
// Metrics are declared in the package whose work they count and registered with
// the registry that [New] makes; there is no global one. No user id is ever a
// label (Invariant 13): [Lint] refuses labels named like one, and families with
// more series than a closed set of labels can make.
//
// The ops listener runs on net/http, away from the listeners that serve the hot
// path, so that a scrape or a profile shares nothing with a decision.
//
// # Concurrency and shutdown
//
// Constructors start nothing. [Ops.Run] owns the goroutines of the listener. When
// its context ends it accepts nothing more and returns once all requests are
// answered; after [DrainTimeout] it closes the connections of those that are not,
// which cancels the context of their handlers.
//
// # Allowed imports
//
// Of this module only metrics/border; the Prometheus client, the standard
// library.
package metrics
