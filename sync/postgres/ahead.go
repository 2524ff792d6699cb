//go:build !nextschema

package postgres

import "github.com/pressly/goose/v3"

// ahead is by how many steps this program is ahead of the folder migrations; see
// the other file that declares it.
const ahead = 0

func stepsAhead() []goose.ProviderOption { return nil }
