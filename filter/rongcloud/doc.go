// Package rongcloud serves the part of RongCloud's server API that is about block
// lists and allowlists, so that an app server, or the vendor's own SDK, works
// against sidegate by its base URL alone. It is pure translation: the lists, the
// allowlist mode and what they decide are package filter's.
//
// Sources: the vendor's pages "Add Users to Blocklist", "Query Blocklist Users"
// and their neighbours for the allowlist, "API Request Signature" and "Status
// Codes" (docs.rongcloud.io, docs.rongcloud.cn), and what its Go SDK 3.3.0 sends.
//
// # What is served
//
// POST with an application/x-www-form-urlencoded body, answered in JSON, at the
// exact paths /user/blocklist/{add,remove,query}.json, the same below
// /user/blacklist/, /user/whitelist/{add,remove,query}.json and
// /user/whitesetting/{set,query}.json. Anything else below these four is answered
// 404, another method 405, both in the vendor's envelope.
//
// # What is ours
//
// Where the vendor's pages are silent:
//
//   - Every wrong credential is answered 401 with code 1004 in one text, also an
//     App-Key that is not known and a header that is missing or sent twice: 1001,
//     "secret wrong", would tell that the key exists. The exceptions come after a
//     right signature: a timestamp out of the window and a nonce that was used
//     before say so.
//   - A nonce and a timestamp have at most 64 bytes and an id at most 256: code 1005.
//   - Blocking somebody twice, an id twice in a request, oneself and removing who
//     is not there are answered 200. More than 20 ids as sent, and a list that
//     would outgrow its limit, are code 1002 with HTTP 400, and nothing is stored.
//   - The size of a page counts without a pageToken too: how else would one begin
//     to read in small pages.
//   - A field that counts once and is sent twice is code 1002: whose list is meant
//     is not for us to guess. So is a whitesetting without whiteSetting.
//   - An app whose policy has no allowlist answers code 1010 with HTTP 430 to
//     whitelist and whitesetting alike.
//   - In an app with known users, an id that the directory lacks is code 400 with
//     HTTP 400. Whoever is to be taken off a list may be unknown: users leave.
//   - A database that does not answer is code 1000 with HTTP 500 and nothing was
//     stored; if the answer to a write was lost, code 1050 with HTTP 504: it may
//     have been stored, and repeating it is safe.
//
// # What a signature proves
//
// The vendor's signature covers the nonce and the timestamp, without a separator,
// and not the body: it proves that its sender knew the secret once. Only TLS before
// sidegate keeps it from being read and used for something else. MaxClockSkew and
// RefuseReplay narrow that, for clients which renew both.
//
// # Concurrency and shutdown
//
// A [Surface] is safe for concurrent use, starts nothing and needs no closing.
// Strings of a request are copied before anything keeps them.
//
// # Allowed imports
//
// Of this module filter, cache (the kinds of list), metrics/border; fasthttp,
// golang.org/x/time/rate, the standard library.
package rongcloud
