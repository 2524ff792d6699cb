package rongcloud

import (
	"context"

	"github.com/sidegate/sidegate/filter"
)

// The values of whiteSetting: which list decides who reaches a user.
const (
	settingBlock = "0"
	settingAllow = "1"
)

// errNoAllowlist is the answer of an app whose policy has no allowlist: one could be
// kept there and would never count.
func errNoAllowlist() refusal {
	return refusal{status: 430, code: codeNoAllowlist, message: "The allowlist is not enabled for this app."}
}

// owners returns the users whose mode a request is about.
func (r request) owners() ([]string, error) {
	if !r.app.Allowlist {
		return nil, errNoAllowlist()
	}
	return r.form.ids(fieldUser)
}

// setting reads which list shall decide.
func (f form) setting() (allow bool, err error) {
	switch setting, err := f.optional(fieldSetting); {
	case err != nil:
		return false, err
	case setting == "":
		return false, missing(fieldSetting)
	case setting != settingBlock && setting != settingAllow:
		return false, badf("%s must be %s or %s.", fieldSetting, settingBlock, settingAllow)
	default:
		return setting == settingAllow, nil
	}
}

// setMode lets the allowlist of users decide, or their block list again, which was
// kept meanwhile.
func (s *Surface) setMode(ctx context.Context, r request) (any, error) {
	owners, err := r.owners()
	if err != nil {
		return nil, err
	}
	allow, err := r.form.setting()
	if err != nil {
		return nil, err
	}
	if err := s.known(ctx, r.app, fieldUser, owners...); err != nil {
		return nil, err
	}
	return done{codeOK}, s.lists.SetAllowlistMode(ctx, filter.ModeChange{
		App: r.app.Name, Owners: owners, On: allow, Once: r.once,
	})
}

// modes is the answer to a query of modes. The vendor writes the setting as a
// string.
type modes struct {
	Code  int        `json:"code"`
	Users []userMode `json:"users"`
}

type userMode struct {
	User    string `json:"userId"`
	Setting string `json:"whiteSetting"`
}

// queryMode tells the mode of users in their order.
func (s *Surface) queryMode(ctx context.Context, r request) (any, error) {
	owners, err := r.owners()
	if err != nil {
		return nil, err
	}
	if err := s.known(ctx, r.app, fieldUser, owners...); err != nil {
		return nil, err
	}
	if err := s.use(ctx, r); err != nil {
		return nil, err
	}
	on, err := s.lists.AllowlistMode(ctx, r.app.Name, owners)
	if err != nil {
		return nil, err
	}
	answer := modes{Code: codeOK, Users: make([]userMode, len(owners))}
	for i, owner := range owners {
		answer.Users[i] = userMode{User: owner, Setting: settingBlock}
		if on[i] {
			answer.Users[i].Setting = settingAllow
		}
	}
	return answer, nil
}
