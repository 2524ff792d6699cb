// Package sendbird is the block list of Sendbird's Chat Platform API v3, at its own
// paths: an app that blocks, unblocks and lists by that API changes the host that
// it calls and nothing else. It translates, and keeps nothing of its own: lists are
// package filter's and shared with all other doors, profiles come from the
// directory of users.
//
// # Sources
//
// The page "Block users" of the Platform API, its OpenAPI document, its tables of
// errors and rates, and what its npm client sends.
//
// # What is ours
//
// Where the vendor says nothing, this is what happens here; docs/how-to/sendbird.md
// tells it to users.
//
//   - A list is newest first. A request names at most 100 users (400203); entry
//     3001, or whatever the app allows, is refused with the same code, and nothing
//     of the request is stored.
//   - Blocking again is answered like the first time and leaves an expiry and a
//     note from elsewhere as they are. Unblocking somebody who is not blocked is {}.
//     Blocking oneself is 400112.
//   - target_id, user_ids and users may stand together: all are blocked. Who of
//     user_ids or users is there makes the answer a list, even of one. A body that
//     names nobody lacks a parameter (400105); null counts as absent. The user_id of
//     a body is never a target: old clients put the blocker there.
//   - A page token that is not one of ours is 400109, as an expired one.
//   - A path below /v3/users/ that is none of these, and a method that a path does
//     not take, are 400114; a path that cannot be decoded is 400404.
//   - A database that is away, a lost outcome and any failure of ours are HTTP 500
//     with 500901. Of a lost outcome it is not known whether it was stored; repeating
//     any call is safe.
//   - What is not acceptable HTTP (no length, too long, too late) keeps the status
//     that HTTP has for it.
//   - The rate is that of the whole app, in windows of a second. The four headers are
//     on every answer to a known token; Reset and RetryAfter count seconds.
//
// # Concurrency
//
// A [Surface] is safe for concurrent use and starts nothing. Nothing of a request
// is kept after it has been answered.
//
// # Allowed imports
//
// Of this module filter, cache (the kinds of list) and metrics/border; fasthttp,
// the standard library.
package sendbird
