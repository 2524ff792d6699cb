package harness

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counter makes nonces and ids that no other call of this process has.
var counter atomic.Int64

// Sign is RongCloud's rule: the secret, the nonce and the timestamp, without
// anything between them.
func Sign(secret, nonce, timestamp string) string {
	sum := sha1.Sum([]byte(secret + nonce + timestamp))
	return hex.EncodeToString(sum[:])
}

// RongCloud is a signed call with the header set of the pages, a nonce of its
// own and the time in milliseconds.
func (a App) RongCloud(path, form string) Call {
	nonce := strconv.FormatInt(counter.Add(1)+100_000, 10)
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return a.RongCloudSigned(path, form, nonce, timestamp)
}

// RongCloudSigned is RongCloud with a nonce and a timestamp that are given.
func (a App) RongCloudSigned(path, form, nonce, timestamp string) Call {
	return Call{Method: http.MethodPost, Path: path, Body: form}.
		With("App-Key", a.AppKey()).With("Nonce", nonce).With("Timestamp", timestamp).
		With("Signature", Sign(a.AppSecret(), nonce, timestamp)).
		With("Content-Type", "application/x-www-form-urlencoded")
}

// Form encodes a user and repeated ids, in the order in which they are given.
func Form(user, key string, ids ...string) string {
	var b strings.Builder
	b.WriteString("userId=" + url.QueryEscape(user))
	for _, id := range ids {
		b.WriteString("&" + key + "=" + url.QueryEscape(id))
	}
	return b.String()
}

// Black is Form with RongCloud's name of those who are added to a blocklist.
func Black(user string, ids ...string) string { return Form(user, "blackUserId", ids...) }

// RongCloudList reads a list of up to 1000 by RongCloud's query, as it comes
// without a token.
func (w *World) RongCloudList(t testing.TB, a App, user string) []string {
	t.Helper()
	got := w.Send(t, a.RongCloud("/user/blacklist/query.json", Form(user, "")))
	var page struct {
		Code  int
		Users *[]string
	}
	got.Decode(t, &page)
	if got.Status != http.StatusOK || page.Code != 200 || page.Users == nil {
		t.Fatalf("query: %v", got)
	}
	return *page.Users
}

// Sendbird is a call with the app's token.
func (a App) Sendbird(method, path, body string) Call {
	return Call{Method: method, Path: path, Body: body}.With("Api-Token", a.APIToken())
}

// SendbirdPath is the path of a user's list.
func SendbirdPath(user string) string { return "/v3/users/" + url.PathEscape(user) + "/block" }

// SendbirdBlock blocks one target.
func (a App) SendbirdBlock(user, target string) Call {
	body, _ := json.Marshal(map[string]string{"target_id": target}) // of strings
	return a.Sendbird(http.MethodPost, SendbirdPath(user), string(body))
}

// SendbirdUnblock ends it.
func (a App) SendbirdUnblock(user, target string) Call {
	return a.Sendbird(http.MethodDelete, SendbirdPath(user)+"/"+url.PathEscape(target), "")
}

// SendbirdPage is an answer to a list.
type SendbirdPage struct {
	Users []struct {
		UserID string `json:"user_id"`
	}
	Next *string
}

// SendbirdList reads a whole list in pages, newest first. Query holds further
// parameters.
func (w *World) SendbirdList(t testing.TB, a App, user, query string) []string {
	t.Helper()
	list := []string{}
	for token := ""; ; {
		path := SendbirdPath(user) + "?limit=100&" + query
		if token != "" {
			path += "&token=" + url.QueryEscape(token)
		}
		got := w.Send(t, a.Sendbird(http.MethodGet, strings.TrimSuffix(path, "&"), ""))
		var page SendbirdPage
		got.Decode(t, &page)
		if got.Status != http.StatusOK || page.Users == nil || page.Next == nil {
			t.Fatalf("list: %v", got)
		}
		for _, u := range page.Users {
			list = append(list, u.UserID)
		}
		if token = *page.Next; token == "" {
			return list
		}
	}
}

// Token signs a token of IMKit's user, good for an hour. Claims win over the
// usual ones; nil takes one out.
func (a App) Token(user string, claims map[string]any) string {
	all := map[string]any{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return HS256(a.TokenSecret(), all)
}

// HS256 signs claims, by the standard and by nobody's library.
func HS256(secret string, claims map[string]any) string {
	payload, _ := json.Marshal(claims) // of plain values
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// IMKit is a call of a user's client.
func (a App) IMKit(user, method, path string) Call {
	return Call{Method: method, Path: path}.With("IM-CLIENT-KEY", a.ClientKey()).With("IM-Authorization", a.Token(user, nil))
}

// IMKitAdmin is a call of the app's own server.
func (a App) IMKitAdmin(method, path string) Call {
	return Call{Method: method, Path: path}.With("IM-API-KEY", a.APIKey())
}

// MyBlock is IMKit's path of an entry on one's own list.
func MyBlock(target string) string { return "/blockStatus/my/" + url.PathEscape(target) }

// IMKitRow is an entry of IMKit's list.
type IMKitRow struct {
	Blockee struct {
		ID string `json:"_id"`
	} `json:"blockee"`
	Blocker string `json:"blocker"`
	Room    struct {
		ID string `json:"_id"`
	} `json:"room"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// IMKitRows reads a user's own list.
func (w *World) IMKitRows(t testing.TB, a App, user string) []IMKitRow {
	t.Helper()
	got := w.Send(t, a.IMKit(user, http.MethodGet, "/blockStatus/my"))
	var page struct {
		Result struct{ Data *[]IMKitRow }
	}
	got.Decode(t, &page)
	if got.Status != http.StatusOK || page.Result.Data == nil {
		t.Fatalf("list: %v", got)
	}
	return *page.Result.Data
}

// IMKitList reads the ids of a user's own list.
func (w *World) IMKitList(t testing.TB, a App, user string) []string {
	t.Helper()
	list := []string{}
	for _, row := range w.IMKitRows(t, a, user) {
		list = append(list, row.Blockee.ID)
	}
	return list
}

// ID returns an id that no other call returns, with a readable beginning.
func ID(name string) string { return name + "." + strconv.FormatInt(counter.Add(1), 10) }
