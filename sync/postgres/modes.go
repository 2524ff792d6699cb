package postgres

import (
	"context"
)

const modesSQL = `select json_build_object('identity', sidegate.identity(), 'modes', (
	select json_agg(coalesce(o.allowlist, false) order by t.n)
	  from unnest($2::text[]) with ordinality t(owner, n)
	  left join sidegate.owner o
	    on (o.app, o.kind, o.owner_hash, o.owner) = ($1::text, 'block', sidegate.owner_hash(t.owner), t.owner)))`

// AllowlistMode tells who is in allowlist mode, as [filter.BlockStore] asks.
// Errors are those of [Store.List].
func (s *Store) AllowlistMode(ctx context.Context, app string, owners []string) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var answer struct {
		Identity whoJSON `json:"identity"`
		Modes    []bool  `json:"modes"`
	}
	err := readJSON(ctx, s.reads, &answer, modesSQL, app, owners)
	if err == nil {
		_, err = answer.Identity.identity()
	}
	if err != nil {
		return nil, readError("read allowlist mode", err)
	}
	return answer.Modes, nil
}
