// Package beside measures one check by sidegate beside what a team would use
// instead: Redis, Postgres, OPA and OpenFGA, and beside the floor, a fasthttp
// server that looks at nothing. All run on this machine, hold the same lists and
// are asked the same random questions, in turn, round by round; every answer of
// the peers' clients is compared with the right one.
//
// # Like with like
//
// What a server costs is its CPU time for one operation, asked over bare sockets
// by a client that costs the same for all. What a chat server sees is a rate, and
// there the library is a part of the price. The targets hold sidegate over bare
// sockets to Redis by go-redis, which flatters whoever is asked over bare sockets;
// beside them stand, without a bound, the same by a library each (sidegate by
// fasthttp's client), both over bare sockets, and the CPU time of both sides
// together, which unlike a rate is the same on a machine that has other work.
//
// # What favours whom
//
// Where a peer cannot reasonably hold all lists, it holds fewer, which favours
// it, and the result says how many. Redis keeps no persistence, PostgreSQL does not
// sync, OPA and OpenFGA log nothing; OpenFGA answers from its cache. A peer that is
// not installed, or does not start, is a row that says so.
package beside
