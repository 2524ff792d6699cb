package server

import (
	"context"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// DirectRooms is what the api listener asks of [filter.DirectRooms].
type DirectRooms interface {
	SetDirect(ctx context.Context, app string, pair filter.Pair, id string) (filter.Room, error)
}

// rooms lets the app's own server say which room two users have in the chat
// server, for the dialects that show it.
type rooms struct {
	direct DirectRooms
	door   *door
}

// roomLimit is the most bytes of a body with three ids, escaped to the last byte.
const roomLimit = 16 << 10

func (r *rooms) routes() []*route {
	return []*route{newRoute("/v1/apps/{app}/rooms/direct", roomLimit, [methods]handler{methodPut: r.put})}
}

// directRoomJSON is a direct room as clients see it.
type directRoomJSON struct {
	Users     [2]string `json:"users"`
	ID        string    `json:"id"`
	CreatedAt string    `json:"created_at"`
}

func (r *rooms) put(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return noParameters()
	}
	app, err := in.wholeApp()
	if err != nil {
		return err
	}
	pair, id, err := parseRoom(ctx.Request.Body())
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	room, err := r.direct.SetDirect(op, app, pair, id)
	if err != nil {
		return err
	}
	return writeJSON(&ctx.Response, fasthttp.StatusOK, directRoomJSON{
		Users: [2]string{pair.A, pair.B}, ID: room.ID, CreatedAt: instant(room.CreatedAt),
	})
}

// parseRoom reads the body of a PUT into strings of their own.
func parseRoom(body []byte) (pair filter.Pair, id string, err error) {
	var users []string
	var hasUsers, hasID bool
	o := object{buf: body}
	for o.next() {
		switch string(o.name) {
		case "users":
			if hasUsers {
				o.twice()
			}
			hasUsers = true
			for some := o.array(); some; some = o.more() {
				users = append(users, strings.Clone(o.text()))
			}
		case "id":
			if hasID {
				o.twice()
			}
			hasID = true
			id = strings.Clone(o.text())
		default:
			o.unknown("users, id")
		}
	}
	switch {
	case o.err != nil:
		return filter.Pair{}, "", o.err
	case len(users) != 2:
		return filter.Pair{}, "", border.Problemf(border.Code(filter.CodeInvalidUserID),
			"users has %d ids; a direct room has two different users", len(users))
	}
	return filter.Pair{A: users[0], B: users[1]}, id, nil
}
