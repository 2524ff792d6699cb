package postgres

import (
	"context"

	"github.com/sidegate/sidegate/filter"
)

const (
	directRoomSQL    = `select sidegate.direct_room($1::text, $2::text, $3::text)`
	setDirectRoomSQL = `select sidegate.set_direct_room($1::text, $2::text, $3::text, $4::text)`

	directRoomsSQL = `select coalesce(json_agg(json_build_object(
	         'peer', t.peer, 'room', json_build_object('id', r.id, 'created', sidegate.micros(r.created_at)))), '[]')
	  from unnest($3::text[]) t(peer)
	  join sidegate.room r on (r.app, r.a, r.b) =
	       ($1::text, least($2::text collate "C", t.peer), greatest($2::text collate "C", t.peer))`

	bansSQL = `with bans as (
	select b, owner, created_at, place from sidegate.block b
	 where app = $1::text and kind = 'room' and actor = $2::text and source = $3::text and ` + notOver + `
	 order by created_at desc, place desc, owner desc limit $4::int
)
select coalesce(json_agg(json_build_object('owner', owner, 'block', sidegate.block_json(b))
       order by created_at desc, place desc, owner desc), '[]') from bans`
)

type roomJSON struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
}

func (r *roomJSON) room() filter.Room { return filter.Room{ID: r.ID, CreatedAt: instant(r.Created)} }

// DirectRoom finds or makes the room of a pair, as [filter.RoomStore] asks.
// Errors are those of [Store.Edit].
func (s *Store) DirectRoom(ctx context.Context, app string, pair filter.Pair) (filter.Room, error) {
	var answer roomJSON
	if err := s.write(ctx, &answer, directRoomSQL, app, pair.A, pair.B); err != nil {
		return filter.Room{}, writeError("find a direct room", err)
	}
	return answer.room(), nil
}

// SetDirectRoom gives the room of a pair another id, as [filter.RoomStore] asks.
// Errors are those of [Store.Edit].
func (s *Store) SetDirectRoom(ctx context.Context, app string, pair filter.Pair, id string) (filter.Room, error) {
	var answer roomJSON
	if err := s.write(ctx, &answer, setDirectRoomSQL, app, pair.A, pair.B, id); err != nil {
		return filter.Room{}, writeError("set a direct room", err)
	}
	return answer.room(), nil
}

// DirectRooms finds the rooms of a user, as [filter.RoomStore] asks. Errors are
// those of [Store.List].
func (s *Store) DirectRooms(ctx context.Context, app, user string, peers []string) (map[string]filter.Room, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var answer []struct {
		Peer string   `json:"peer"`
		Room roomJSON `json:"room"`
	}
	if err := readJSON(ctx, s.reads, &answer, directRoomsSQL, app, user, peers); err != nil {
		return nil, readError("find direct rooms", err)
	}
	rooms := make(map[string]filter.Room, len(answer))
	for i := range answer {
		rooms[answer[i].Peer] = answer[i].Room.room()
	}
	return rooms, nil
}

// Bans reads whom an actor has banned from rooms, as [filter.RoomStore] asks.
// Errors are those of [Store.List].
func (s *Store) Bans(ctx context.Context, query filter.BansQuery) ([]filter.Block, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var answer []ownedJSON
	err := readJSON(ctx, s.reads, &answer, bansSQL, query.App, query.Actor, query.Source, query.Limit)
	if err != nil {
		return nil, readError("read the bans of an actor", err)
	}
	return owned(answer), nil
}
