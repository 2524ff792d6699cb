// Package server is the native HTTP API: the check listener, which answers
// decisions, and the api listener, on which block lists and the directory of users
// are edited and read. It translates; what is decided and written is package
// filter's.
//
// # The border
//
// What arrives is hostile until it has passed here:
//
//   - Routes are matched on the bytes of the path as they were sent. A path that
//     carries ids is split at its slashes first and decoded after, so that an id
//     may hold a slash; nothing is ever matched in decoded form.
//   - Bodies have a known length: chunked ones are refused and the connection is
//     closed. A limit holds per route, before a byte of the body is read. An
//     import alone has no limit and may be chunked: it is read while it arrives,
//     at a pace that the client must keep, and ends its connection (takeover.go).
//   - Who may do what is settled before anything is looked up, by scopes that open
//     a route and by the app and owner in its path. Refusals have one text, so
//     that they tell nothing about what is behind them.
//   - Unknown and repeated parameters and fields are refused: a typo must not
//     pass as "not blocked".
//   - A string borrowed from a request ends with the handler (Invariant 10).
//     borrow.go is the one place that makes them.
//   - No text of the database and no stack reaches a client (Invariant 12).
//
// # The hot path
//
// A decision from memory allocates nothing between the bytes of the request and
// those of the answer: arguments are decoded where they lie, answers are rendered
// before there is a question. Prometheus, logs and interfaces are off that path.
//
// The one request that a sidecar hears over and over, a GET of a decision with
// nothing unusual about it, does not even come to fasthttp: it is answered beneath
// it, when the connection is read (quick.go). Everything else goes to fasthttp as
// it came, so that there is one place where requests are refused; what quick takes
// can be read in one way only (plain.go), and is answered as fasthttp would.
//
// TLS lies beneath both (tls.go): the handshake is made in the goroutine of the
// connection, in the time that a request may take to arrive, and what reads requests
// does not know of it.
//
// # Concurrency and shutdown
//
// Constructors start nothing. [Listener.Run] owns the accept loops and one
// goroutine for each connection, and waits for those that an import adds. When its context ends it stops accepting, lets
// requests under way finish with "Connection: close", closes idle connections, ends
// imports where they are after half of [Options.DrainTimeout], each answered with the
// line it has reached, and at its end cancels what is left and closes the rest; it
// returns when every goroutine has ended.
//
// # Allowed imports
//
// Of this module filter, filter/decisionlog (what is written down), cache (the kinds
// of list), metrics/border; fasthttp,
// golang.org/x/time/rate, the Prometheus client, the standard library. Signed
// tokens are verified beside it, in jwtauth, which it does not know.
package server
