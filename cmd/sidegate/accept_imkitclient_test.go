package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

// imkitSecret signs the tokens of acme's users.
const imkitSecret = "the-secret-that-signs-for-acme-clients"

const imkitFile = `
apps:
  acme:
    preset: imkit
    dialects: {imkit: {client_keys: [ck1], api_keys: [admin1], jwt: {secret: ` + imkitSecret + `}, cors_origins: ["https://chat.acme.example"]}}
  strict:
    preset: imkit
    known_users: true
    limit: 2
    dialects: {imkit: {client_keys: [ck2], jwt: {secret: ` + imkitSecret + `}, already_blocked: upsert}}
`

// clientToken is a token as an app gives it to a user: it names neither app nor
// scope. More claims are pairs.
func clientToken(user string, more ...any) string {
	c := map[string]any{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	for i := 0; i < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return strings.TrimPrefix(signed(imkitSecret, hs256Header, c), "Bearer ")
}

// imkit sends a request as the vendor's pages do; headers are pairs.
func (s *sidecar) imkit(method, path, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.urls["api"]+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// imkitClient is a user of an app who holds a token.
type imkitClient struct {
	*sidecar
	header []string
}

func (s *sidecar) clientOf(clientKey, user string, more ...any) imkitClient {
	return imkitClient{s, []string{"IM-CLIENT-KEY", clientKey, "IM-Authorization", clientToken(user, more...)}}
}

func (c imkitClient) call(method, path string) answer {
	c.t.Helper()
	return c.imkit(method, path, "", c.header...)
}

// statusRow is what a client reads of a row. Pointers tell what was not there.
type statusRow struct {
	AppID   *string
	Blockee *struct {
		Key       *string `json:"_id"`
		AvatarURL *string `json:"avatarUrl"`
		Nickname  *string
		ID        *string
		LastLogin *int64 `json:"lastLoginTimeMS"`
	}
	Blocker              json.RawMessage
	Room                 json.RawMessage
	CreatedAt, UpdatedAt *string
}

// imkitTime is a time to the millisecond, in UTC.
var imkitTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// check complains about a row that a client could not read.
func (r *statusRow) check(t *testing.T, of string) {
	t.Helper()
	if r.Blockee == nil || r.Blockee.Key == nil || r.Blockee.AvatarURL == nil || r.Blockee.Nickname == nil || r.Blockee.ID == nil ||
		r.Blockee.LastLogin == nil || r.CreatedAt == nil || r.UpdatedAt == nil || *r.Blockee.Key != *r.Blockee.ID {
		t.Fatalf("a row lacks something: %s", of)
	}
	if !imkitTime.MatchString(*r.CreatedAt) || !imkitTime.MatchString(*r.UpdatedAt) || *r.UpdatedAt < *r.CreatedAt {
		t.Errorf("times of %s", of)
	}
}

// one reads the answer to block or unblock, whose room is a text.
func (a answer) one(t *testing.T) (row statusRow, room string) {
	t.Helper()
	var body struct {
		RC     *int
		RM     string
		Result *statusRow
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != 200 || body.RC == nil || *body.RC != 0 || body.RM != "OK" || body.Result == nil {
		t.Fatalf("%v, %v", a, err)
	}
	row = *body.Result
	row.check(t, a.body)
	if row.AppID == nil || json.Unmarshal(row.Room, &room) != nil {
		t.Fatalf("appID or room of %v", a)
	}
	return row, room
}

// imkitRoom is a room as lists show it.
type imkitRoom struct {
	Key       string `json:"_id"`
	RoomType  string `json:"roomType"`
	ID        string `json:"id"`
	CreatedMS *int64 `json:"createdTimeMS"`
}

// many reads the answer to a list, whose rooms are objects and which has no appID.
func (a answer) many(t *testing.T) (rows []statusRow, rooms []imkitRoom) {
	t.Helper()
	var body struct {
		RC     *int
		RM     string
		Result *struct{ Data *[]statusRow }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != 200 || body.RC == nil || *body.RC != 0 || body.RM != "OK" ||
		body.Result == nil || body.Result.Data == nil {
		t.Fatalf("%v, %v", a, err)
	}
	for _, row := range *body.Result.Data {
		row.check(t, a.body)
		var room imkitRoom
		if err := json.Unmarshal(row.Room, &room); err != nil || row.AppID != nil || room.Key != room.ID || room.CreatedMS == nil {
			t.Fatalf("appID or room in %v", a)
		}
		rooms = append(rooms, room)
	}
	return *body.Result.Data, rooms
}

func blockees(rows []statusRow) (ids []string) {
	for _, r := range rows {
		ids = append(ids, *r.Blockee.ID)
	}
	return ids
}

// refused complains unless an answer is this error of the vendor's table.
func (a answer) refused(t *testing.T, status int, rm, code, message string) {
	t.Helper()
	want := fmt.Sprintf(`{"RC":%d,"RM":%q,"error":{"code":%q,"message":%q}}`, status, rm, code, message)
	if a.status != status || a.body != want {
		t.Errorf("%v\nwant %d %s", a, status, want)
	}
}

func (a answer) is401(t *testing.T) {
	t.Helper()
	a.refused(t, 401, "Unauthorized", "INVALID_TOKEN", "Invalid or expired token")
}

func (a answer) is403(t *testing.T) {
	t.Helper()
	a.refused(t, 403, "Access denied", "INSUFFICIENT_PERMISSIONS", "You don't have permission to access this resource")
}

// TestIMKitPage: the configuration that the page shows is one that is read as it
// says.
func TestIMKitPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "how-to", "imkit.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml served\n")
	yaml, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page shows no configuration")
	}
	file := filepath.Join(t.TempDir(), "sidegate.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if k := cfg.Apps["acme"].Dialects.IMKit; k == nil || len(k.ClientKeys) != 1 || k.JWT == nil || len(cfg.Warnings) > 0 {
		t.Errorf("the configuration of the page is read as %+v, with %q", k, cfg.Warnings)
	}
}
