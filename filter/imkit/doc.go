// Package imkit is IMKit's client API for block lists (imkit.io), on the lists of
// package filter: [Surface] is served by the api listener at /blockStatus/. It
// translates and keeps nothing but answers about tokens.
//
// # Sources
//
// The pages "Block a User", "List Blocked Users" and "Unblock a User" of IMKit's
// documentation, the Postman collection and older pages in the repository
// imkit/api-doc, and imkit/imkit-auth-server for the check of a token.
//
// # What is ours
//
// The vendor's pages are silent here, and another choice would fit them as well:
//
//   - updatedAt. An unblock answers with its own time, as the field table says and
//     the example does not. A block that was there already answers, with upsert,
//     with the time of the request; it is not stored, so that a list shows createdAt
//     twice.
//   - Room blocks. The answers to block and unblock have the shape of the user's
//     own, with the id of the room and, as blocker, the id of the user who asked,
//     "" with an API key. Whoever may block in a room is said by the claim
//     rooms_owned of a signed token: sidegate does not know who owns a room, nor
//     which rooms there are; ROOM_NOT_FOUND is about ids that no room can have,
//     ROOM_OR_USER_NOT_FOUND about users whom the directory lacks. A room shows
//     createdTimeMS 0 in lists.
//   - The bans that a user made in rooms stand in the user's own list, those made
//     with an API key in nobody's: they are kept with the author "", so that no user
//     sees a decision of the platform as their own, whatever id the platform's
//     server goes by.
//   - A full list is 400 BLOCK_LIMIT_EXCEEDED and not 409: clients take a 409 for
//     "blocked already".
//   - A database that is away, a write whose outcome is unknown and a token that
//     cannot be checked are 503 SERVICE_UNAVAILABLE with Retry-After; a write may be
//     repeated, and is then answered as a repetition. Any other failure is 500
//     INTERNAL_ERROR.
//   - 404 NOT_FOUND and 405 METHOD_NOT_ALLOWED for what is not called here, and the
//     names of problems of the listener, such as TOO_LARGE.
//   - "Bearer " before a token is left out of it. Without a key that names the app
//     a token is not looked at. A header that decides who asks must not be there
//     twice.
//   - A direct room that is missing, because rows were written with triggers off, is
//     shown with empty ids.
//
// # Concurrency and shutdown
//
// A [Surface] never changes after [New] and is safe for concurrent use; it starts
// nothing. A [Callback] is too; what it remembers is guarded by one lock, and no
// request is made under it. [Callback.Run] starts nothing either, it closes
// connections when its context has ended.
//
// # Allowed imports
//
// Of this module filter, cache (the kinds of list) and metrics/border; fasthttp;
// net/http to ask the app's own server; the standard library. Signed tokens are
// verified by whoever implements [Verifier].
package imkit
