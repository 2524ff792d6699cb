// Package jwtauth lets users, servers and staff in by signed tokens (JWT, RFC
// 7519): [Authenticator] is a border.Authenticator that verifies what an
// Authorization header carries and turns its claims into a principal.
//
// # What a token must be
//
// RFC 8725 lists how verifiers have been fooled; each line here is one of its
// lessons, and has a test that forges such a token.
//
//   - The algorithm is one of a fixed list. "none" is never in it, and a list
//     holds either the algorithms of a shared secret or those of public keys:
//     with both, the public key, which everybody has, would do as a secret.
//   - A key verifies the algorithms of its own type and curve only, and only the
//     one that its JWK names, if it names one.
//   - Keys come from the configuration and from nowhere else. What a token says
//     about keys (jku, x5u, jwk, x5c) is not read, its kid only selects.
//   - A token with a critical header (crit) is refused: we know of no extension.
//   - exp is required; nbf counts if it is there; iss and aud are compared if
//     they are configured; with a bound on the age iat is required. Clocks may
//     differ by [Skew].
//   - The app comes from a claim. Without one the token is for no app.
//   - Scopes come from a claim. Without one the token may do nothing.
//   - A client token of a dialect ([Authenticator.Client]) is held to all of this
//     but app and scopes: the request names the app, and what such a token may do
//     is the dialect's to say. It must name a user.
//
// # Keys that are fetched
//
// A set of keys is fetched from the one URL that is configured, without following
// redirects, by [Authenticator.Run] and by nobody else: at its start, then every
// ten minutes, and when a token names a key that is not known, at most once a
// minute. The last good set stays in use whatever becomes of the URL. A request
// with an unknown key waits for a fetch that is under way, at most one second;
// no request begins one of its own.
//
// # Concurrency and shutdown
//
// [New] starts nothing. Run blocks until its context ends; afterwards tokens are
// still verified with the keys there are. Everything is safe for concurrent use.
//
// # Allowed imports
//
// Of this module filter (what a user id is) and metrics/border; the two libraries
// for JWT and JWK, which are imported nowhere else; the Prometheus client; the
// standard library.
package jwtauth
