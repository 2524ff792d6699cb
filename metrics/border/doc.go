// Package border holds what every HTTP listener of sidegate does alike, whichever
// HTTP library serves it: it names addresses and binds their sockets, compares
// tokens, says who may touch which list, renders problem documents and knows
// which listener serves a path.
// The check and api listeners run on fasthttp, the ops listener on net/http;
// without this package each of them would have its own idea of a bad token.
//
// It imports the standard library only, starts no goroutine and holds no state:
// every value is immutable once made and safe for concurrent use.
package border
