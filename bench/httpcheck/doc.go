// Package httpcheck measures what a check over HTTP costs beside the floor, a
// fasthttp server that looks at nothing: over TCP and over a Unix socket, one
// request at a time and sixteen, one way and two way, with random pairs and with
// metrics on. The data is that of package seed.
//
// What is compared is the server's CPU time for one request; rates are shown
// beside it. Both servers are processes of their own, asked in turn by the same
// client with the same bytes.
//
// # Allowed imports
//
// The packages of bench, the standard library.
package httpcheck
