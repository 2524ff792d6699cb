//go:build !unix

package main

import (
	"context"
	"errors"
)

// privateDatabase is not there: what starts, watches and ends a private Postgres
// speaks of users, process groups and signals as Unix has them.
type privateDatabase struct{}

// startPrivate says what to do instead.
func startPrivate(context.Context, *program, string) (*privateDatabase, error) {
	return nil, usageError{errors.New("dev has no private Postgres on this system: give it yours with --postgres-url")}
}

func (*privateDatabase) stop(context.Context) error { return nil }
func (*privateDatabase) keep(context.Context)       {}

// DSN is never asked for: there is no database to ask.
func (*privateDatabase) DSN(string) string { return "" }
