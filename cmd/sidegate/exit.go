package main

import (
	"errors"
	"fmt"
	"strings"
)

// The exit codes, a contract with scripts.
const (
	exitOK          = 0
	exitWithheld    = 1 // check and replay with --exit-code, probe, and db audit
	exitUsage       = 2 // command line, configuration, a request or credential that is refused
	exitUnreachable = 3 // no server answered, or it is not ready
	exitStore       = 4 // the server's store, or a migration
)

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// unreachableError: there was no answer that could be used.
type unreachableError struct{ error }

func (e unreachableError) Unwrap() error { return e.error }

// storeError: the database did not do what was asked.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

// errWithheld ends a check whose message is withheld, a replay that found
// differences, and a probe that found wrong answers. What was found was printed;
// there is nothing to add.
var errWithheld = errors.New("withheld")

// errDamaged ends an audit that leaves damage behind. It was printed, and what helps.
var errDamaged = errors.New("damaged")

// exitCode returns the code that an error ends the process with.
func exitCode(err error) int {
	var (
		usage       usageError
		unreachable unreachableError
		store       storeError
		refused     *problem
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errWithheld), errors.Is(err, errDamaged):
		return exitWithheld
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &unreachable):
		return exitUnreachable
	case errors.As(err, &store):
		return exitStore
	case errors.As(err, &refused):
		return refused.exitCode()
	}
	return exitStore
}

// fail prints an error, each of its lines as a message, and returns the exit code.
func (p *program) fail(err error) int {
	code := exitCode(err)
	if code > exitWithheld {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			_, _ = fmt.Fprintf(p.stderr, "sidegate: %s\n", line)
		}
	}
	return code
}
