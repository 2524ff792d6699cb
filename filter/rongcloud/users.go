package rongcloud

import (
	"context"

	"github.com/sidegate/sidegate/filter"
)

// Users is what the surface asks of the directory.
type Users interface {
	// Lookup returns those of the users that are there, by id.
	Lookup(ctx context.Context, app string, ids []string) (map[string]filter.User, error)
}

// known refuses ids that the directory lacks, in apps that have one. The answer does
// not say which id it is: the field is enough for whoever wrote the request.
func (s *Surface) known(ctx context.Context, a *app, field string, ids ...string) error {
	if !a.KnownUsers {
		return nil
	}
	found, err := s.users.Lookup(ctx, a.Name, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := found[id]; !ok {
			return refusal{status: 400, code: codeUserUnknown, message: field + " is not a user of this app."}
		}
	}
	return nil
}
