// Package localpg runs a private PostgreSQL from the server binaries that are
// installed on this machine, for `sidegate dev` and for tests that stop, kill,
// freeze and promote a real server.
//
// # Who may reach it
//
// A cluster listens on a Unix socket, without a password, in a directory that
// only its own account may enter (0700), and on one loopback port, where it asks
// for a random password (scram-sha-256) kept in a file of mode 0600. On a
// shared machine anybody can connect to loopback; nobody else gets in.
//
// # Whose it is
//
// One [Server] at a time owns a directory: it holds a file lock from Start to
// Stop, so that a second process gets [ErrInUse] at once instead of a
// corrupted guess. PostgreSQL refuses to run as root; started by root, it runs
// as the owner of an existing data directory, else as postgres, else as nobody.
//
// # How it ends
//
// The server runs in a process group of its own: Ctrl-C at the terminal reaches
// the program that started it and not the database, which the program then stops
// after its last user. Stop asks for a fast shutdown and waits. If the program is
// killed outright, Linux tells the postmaster (SIGQUIT, an immediate shutdown
// that ends within 5 s even when backends hang; the next start recovers from
// the log). Other systems have no such signal: there the server stays, and the
// next Start says which process to end.
//
// One goroutine per life of the postmaster starts it, reaps it and ends with
// it; Stop and Kill wait for that goroutine.
package localpg
