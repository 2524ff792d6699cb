// Package packagetest reads what sidegate is packaged with by the readers of those
// who will run it: Docker Compose's own loader and schema, BuildKit's parser and
// linter, goreleaser's own configuration. It is a module of its own: what these need
// never reaches the program.
//
// It needs no engine, no network and no database, and builds nothing.
package packagetest
