package imkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// okJSON is the envelope of a result.
type okJSON struct {
	RC     int    `json:"RC"`
	RM     string `json:"RM"`
	Result any    `json:"result"`
}

// errorJSON is the envelope of an error. RC is the HTTP status.
type errorJSON struct {
	RC    int    `json:"RC"`
	RM    string `json:"RM"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// refusal is an error as the vendor's clients read it.
type refusal struct {
	status            int
	rm, code, message string
}

// Error implements error.
func (r *refusal) Error() string { return r.code }

// The vendor's errors; texts are part of them.
var (
	errUnauthorized = &refusal{401, "Unauthorized", "INVALID_TOKEN", "Invalid or expired token"}
	errForbidden    = &refusal{403, "Access denied", "INSUFFICIENT_PERMISSIONS", "You don't have permission to access this resource"}
	errNoUser       = &refusal{404, "User not found", "USER_NOT_FOUND", "The specified user does not exist"}
	errNoBlock      = &refusal{404, "Block relationship not found", "BLOCK_NOT_FOUND", "No block relationship exists with this user"}
	errSelf         = &refusal{400, "Cannot block yourself", "SELF_BLOCK_FORBIDDEN", "Users cannot block themselves"}
	errInvalidUser  = &refusal{400, "Invalid user ID", "INVALID_USER_ID", "The specified user ID is not valid"}
	errAlready      = &refusal{409, "User already blocked", "USER_ALREADY_BLOCKED", "This user is already in your block list"}
)

// Ours, in the vendor's form; of the first two the vendor has the codes.
var (
	errNoRoom       = &refusal{404, "Room not found", "ROOM_NOT_FOUND", "The specified room does not exist"}
	errNoRoomOrUser = &refusal{404, "Room not found", "ROOM_OR_USER_NOT_FOUND", "The specified room or user does not exist"}
	errNotFound     = &refusal{404, "Not found", "NOT_FOUND", "There is nothing at this path"}
	errMethod       = &refusal{405, "Method not allowed", "METHOD_NOT_ALLOWED", "The path does not take this method"}
	errFull         = &refusal{400, "Block list full", "BLOCK_LIMIT_EXCEEDED", "The block list is full; nothing was stored"}
	errInternal     = &refusal{500, "Internal server error", "INTERNAL_ERROR", "The request failed for a reason of the server's"}
	errUnavailable  = &refusal{503, "Service unavailable", "SERVICE_UNAVAILABLE", "The service cannot answer at the moment; try again"}
)

// unverified says that it could not be found out whom a token names.
type unverified struct{ err error }

func (e *unverified) Error() string { return fmt.Sprintf("verify a client token: %v", e.err) }
func (e *unverified) Unwrap() error { return e.err }

// refusalOf turns what went wrong into what the client sees.
func refusalOf(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if _, ok := errors.AsType[*unverified](err); ok {
		return errUnavailable
	}
	known, ok := errors.AsType[*filter.Error](err)
	if !ok {
		return errInternal
	}
	switch known.Code {
	case filter.CodeInvalidUserID:
		return errInvalidUser
	case filter.CodeSelfBlock:
		return errSelf
	case filter.CodeBlockNotFound:
		return errNoBlock
	case filter.CodeLimitExceeded:
		return errFull
	case filter.CodeStoreUnavailable, filter.CodeOutcomeUnknown:
		return errUnavailable
	}
	return errInternal
}

// refusalFor gives a problem of the listener the vendor's form.
func refusalFor(p border.Problem) *refusal {
	return &refusal{p.Status(), fasthttp.StatusMessage(p.Status()), strings.ToUpper(string(p.Code)), p.Detail}
}

func writeRefusal(req *fasthttp.RequestCtx, r *refusal) {
	answer := errorJSON{RC: r.status, RM: r.rm}
	answer.Error.Code, answer.Error.Message = r.code, r.message
	if r.status == fasthttp.StatusServiceUnavailable {
		req.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
	}
	_ = write(req, r.status, answer) // strings and numbers can always be encoded
}

// write answers with a value. HTML is not escaped: avatars are URLs, which people
// read in logs of their own.
func write(req *fasthttp.RequestCtx, status int, value any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	h := &req.Response.Header
	h.SetContentType("application/json; charset=utf-8")
	h.Set(fasthttp.HeaderCacheControl, "no-store") // a list is one user's affair, and must be the latest
	req.SetStatusCode(status)
	req.Response.SetBodyRaw(bytes.TrimSuffix(body.Bytes(), []byte("\n")))
	return nil
}

// profileJSON is a user as lists show them.
type profileJSON struct {
	Key         string `json:"_id"`
	AvatarURL   string `json:"avatarUrl"`
	Nickname    string `json:"nickname"`
	ID          string `json:"id"`
	LastLoginMS int64  `json:"lastLoginTimeMS"`
}

// roomJSON is a room as lists show it.
type roomJSON struct {
	Key       string `json:"_id"`
	Type      string `json:"roomType"`
	ID        string `json:"id"`
	CreatedMS int64  `json:"createdTimeMS"`
}

func directRoom(r filter.Room) roomJSON {
	return roomJSON{r.ID, filter.Direct.String(), r.ID, millis(r.CreatedAt)}
}

// groupRoom is a room of which no more than the id is known.
func groupRoom(id string) roomJSON { return roomJSON{id, filter.Group.String(), id, 0} }

// writtenJSON is the answer to block and unblock.
type writtenJSON struct {
	AppID     string      `json:"appID"`
	Blockee   profileJSON `json:"blockee"`
	Blocker   string      `json:"blocker"`
	Room      string      `json:"room"`
	CreatedAt string      `json:"createdAt"`
	UpdatedAt string      `json:"updatedAt"`
}

// entryJSON is an entry of the user's own list.
type entryJSON struct {
	Blockee   profileJSON `json:"blockee"`
	Blocker   string      `json:"blocker"`
	Room      roomJSON    `json:"room"`
	CreatedAt string      `json:"createdAt"`
	UpdatedAt string      `json:"updatedAt"`
}

// banJSON is an entry of the list of a room.
type banJSON struct {
	Blockee   profileJSON `json:"blockee"`
	Blocker   profileJSON `json:"blocker"`
	Room      roomJSON    `json:"room"`
	CreatedAt string      `json:"createdAt"`
	UpdatedAt string      `json:"updatedAt"`
}

// dataJSON is the result of a list.
type dataJSON[T any] struct {
	Data []T `json:"data"` // never null
}

// instant is how the vendor writes a time: RFC 3339 in UTC with milliseconds.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// millis is a time in milliseconds since 1970, 0 if it is not known.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
