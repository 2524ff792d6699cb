// Command sidegate decides whether a chat message may be delivered, from block
// lists that it holds in memory and keeps equal to Postgres.
package main

import "os"

func main() {
	os.Exit(execute(os.Args[1:]))
}
