package dialecttest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

func TestS4_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/S4") }

func TestS4_ABodyThatIsWrongIsAnsweredByItsCode(t *testing.T) {
	w := harness.Shared(t)
	jay := harness.ID("Jay")
	for body, codes := range map[string][]int{
		`{}`:                         {400105},
		`{"target":"Tom"}`:           {400105},
		`{"target_id":""}`:           {400105, 400111},
		`{"user_ids":[]}`:            {400105, 400111},
		`{"users":[]}`:               {400105, 400111},
		`{"target_id":7}`:            {400100},
		`{"target_id":null}`:         {400100, 400105},
		`{"target_id":true}`:         {400100},
		`{"target_id":["Tom"]}`:      {400100},
		`{"target_id":{"a":"Tom"}}`:  {400100},
		`{"user_ids":"Tom"}`:         {400102},
		`{"user_ids":{"0":"Tom"}}`:   {400102},
		`{"user_ids":[7]}`:           {400100},
		`{"user_ids":["Tom",null]}`:  {400100},
		`{"users":"Tom"}`:            {400102},
		`{"users":[7]}`:              {400100, 400103},
		`{"users":[{"user_id":7}]}`:  {400100},
		`{"users":[{"name":"Tom"}]}`: {400105},
		``:                           {400105, 400402, 400403},
		`{`:                          {400403},
		`{"target_id":"Tom"`:         {400403},
		`{"target_id":"Tom"} x`:      {400403},
		`target_id=Tom`:              {400403},
		`["Tom"]`:                    {400103, 400403},
		`"Tom"`:                      {400103, 400403},
		"{\"target_id\":\"\xff\"}":   {400403, 400111, 400151},
		`{"target_id":"a\u0001"}`:    {400111, 400151},
		`{"target_id":"` + strings.Repeat("x", 257) + `"}`: {400110, 400305},
		`{"target_id":"` + jay + `"}`:                      {400112},
	} {
		a := w.Send(t, harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(jay), body))
		wantSB(t, body, a, codes...)
	}
	wantList(t, "refused", w.Targets(t, harness.Plain, jay), []string{})
	long := harness.SendbirdPath(strings.Repeat("x", 257))
	wantSB(t, "an owner of 257 bytes", w.Send(t, harness.Plain.Sendbird(http.MethodPost, long, `{"target_id":"Tom"}`)), 400110, 400305)
	wantSB(t, "an owner that is no UTF-8", w.Send(t, harness.Plain.Sendbird(http.MethodPost, "/v3/users/%FF/block", `{"target_id":"Tom"}`)), 400111, 400114, 400151, 400404)
}

func TestS4_AFullListRefusesWhole(t *testing.T) {
	w := harness.Shared(t)
	jay := harness.ID("Jay")
	for batch := range slices.Chunk(many(2980), 100) {
		do(t, w, "block", harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(jay), `{"user_ids":`+quoted(batch...)+`}`))
	}
	a := w.Send(t, harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(jay), `{"user_ids":`+quoted(many(21)...)+`}`))
	var body struct {
		Error bool
		Code  int
	}
	if a.Decode(t, &body); a.Status != 400 || !body.Error || harness.Match(sbError(body.Code), a.Body) != nil {
		t.Errorf("more than fit: %v, want Sendbird's envelope", a)
	}
	if n := len(w.Targets(t, harness.Plain, jay)); n != 2980 {
		t.Errorf("the list has %d entries", n)
	}
}

func TestS4_UnknownUsersAreNotFoundIfTheAppKnowsItsUsers(t *testing.T) {
	w := harness.Shared(t)
	jay, tom, nobody := harness.ID("Jay"), harness.ID("Tom"), harness.ID("nobody")
	w.Register(t, harness.Strict, harness.Profile{Nickname: "x"}, jay, tom)
	const notFound = `{"message":"\"User\" not found.","code":400201,"error":true}`
	w.Want(t, harness.Strict.SendbirdBlock(jay, nobody), 400, notFound)
	w.Want(t, harness.Strict.Sendbird(http.MethodPost, harness.SendbirdPath(jay), `{"user_ids":`+quoted(tom, nobody)+`}`), 400, notFound)
	wantList(t, "refused", w.Targets(t, harness.Strict, jay), []string{})
	w.Want(t, harness.Strict.SendbirdBlock(nobody, tom), 400, notFound)
	w.Want(t, sbList(harness.Strict, nobody, ""), 400, notFound)
	if a := w.Send(t, harness.Strict.SendbirdBlock(jay, tom)); a.Status != 200 {
		t.Errorf("known users: %v", a)
	}
	w.Want(t, harness.Plain.SendbirdBlock(jay, nobody), 200, sbUser(nobody))
}

func TestS4_MoreThanTheRateIs500910WithItsHeaders(t *testing.T) {
	w := harness.Shared(t)
	jay := harness.ID("Jay")
	a := flood(t, w, 429, func() harness.Call { return sbList(harness.Slow, jay, "") })
	if err := harness.Match(sbError(500910), a.Body); err != nil {
		t.Errorf("%v: %v", err, a)
	}
	for name, form := range map[string]string{
		"X-RateLimit-Limit":      `^\d+;w=\d+$`,
		"X-RateLimit-Remaining":  `^0$`,
		"X-RateLimit-Reset":      `^\d+$`,
		"X-RateLimit-RetryAfter": `^\d+$`,
	} {
		if got := a.Header.Get(name); !regexp.MustCompile(form).MatchString(got) {
			t.Errorf("%s is %q, want %s", name, got, form)
		}
	}
}

func TestS5_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/S5") }

func TestS5_OneToOneIsSilentAndGroupsAreDeliveredWithoutNotification(t *testing.T) {
	w := harness.Shared(t)
	jay, tom := harness.ID("Jay"), harness.ID("Tom")
	w.Want(t, harness.Bird.SendbirdBlock(jay, tom), 200, sbUser(tom))
	quiet := harness.Verdict{Deliver: true, Action: "deliver", Reason: "recipient_blocked_sender"}
	loud := quiet
	loud.Notify = true
	for _, c := range []struct {
		name string
		q    harness.Question
		want harness.Verdict
	}{
		{"1-to-1: the sender is not told", harness.Question{Sender: tom, Recipient: jay}, dropped},
		{"1-to-1, notifications on: no difference", harness.Question{Sender: tom, Recipient: jay, More: "notify_blocked=1"}, dropped},
		{"1-to-1, the other way", harness.Question{Sender: jay, Recipient: tom}, harness.Allowed},
		{"1-to-N, and a 1-to-1 that has gained members", harness.Question{Sender: tom, Recipient: jay, Room: "group"}, quiet},
		{"1-to-N, notifications on in this channel", harness.Question{Sender: tom, Recipient: jay, Room: "group", More: "notify_blocked=1"}, loud},
		{"1-to-N, the other way", harness.Question{Sender: jay, Recipient: tom, Room: "group"}, harness.Allowed},
	} {
		c.q.App = harness.Bird
		if got := w.Node.Decide(t, c.q); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		w.Sidecar.Decides(t, c.q, c.want)
	}
}

func TestS5_InvitationsLeaveBlockedUsersOutIfTheAppSaysSo(t *testing.T) {
	w := harness.Shared(t)
	jay, tom, ann, joe := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann"), harness.ID("Joe")
	for _, app := range []harness.App{harness.Bird, harness.Exclude} {
		w.Want(t, app.SendbirdBlock(jay, tom), 200, sbUser(tom))
		w.Want(t, app.SendbirdBlock(ann, jay), 200, sbUser(jay))
	}
	ask := func(app harness.App) string {
		return fmt.Sprintf(`{"app":%q,"inviter":%q,"invitees":%s}`, app, jay, quoted(tom, joe, ann))
	}
	filtered := fmt.Sprintf(`[{"user":%q,"reason":"<text>"},{"user":%q,"reason":"<text>"}]`, tom, ann)
	w.Node.Ask(t, "/v1/invitees", ask(harness.Bird)).Want(t, 200,
		fmt.Sprintf(`{"allowed":%s,"excluded":[],"would_exclude":%s}`, quoted(tom, joe, ann), filtered))
	w.Node.Ask(t, "/v1/invitees", ask(harness.Exclude)).Want(t, 200,
		fmt.Sprintf(`{"allowed":%s,"excluded":%s}`, quoted(joe), filtered))
}

func TestS5_MessagesOfTheBlockedTimeStayHiddenAfterTheUnblock(t *testing.T) {
	w := harness.Shared(t)
	jay, tom := harness.ID("Jay"), harness.ID("Tom")
	w.Want(t, harness.Bird.SendbirdBlock(jay, tom), 200, sbUser(tom))
	w.Want(t, harness.Bird.SendbirdUnblock(jay, tom), 200, `{}`)
	past := w.History(t, harness.Bird, jay, tom)
	if len(past) != 1 || past[0].UnblockedAt == nil {
		t.Fatalf("the history is %+v", past)
	}
	began, ended := past[0].BlockedAt, *past[0].UnblockedAt
	times := []time.Time{began.Add(-time.Hour), began.Add(ended.Sub(began) / 2), ended.Add(time.Microsecond)}
	ask := func(room, sender, recipient string) harness.Answer {
		var messages []string
		for _, at := range times {
			messages = append(messages, fmt.Sprintf(`{"sender":%q,"sent_at":%q}`, sender, at.UTC().Format(time.RFC3339Nano)))
		}
		return w.Node.Ask(t, "/v1/visible", fmt.Sprintf(`{"app":"bird","recipient":%q,"room_type":%q,"messages":[%s]}`, recipient, room, strings.Join(messages, ",")))
	}
	ask("direct", tom, jay).Want(t, 200, `{"visible":[true,false,true]}`)
	ask("direct", jay, tom).Want(t, 200, `{"visible":[true,true,true]}`)
	ask("group", tom, jay).Want(t, 200, `{"visible":[true,true,true]}`)
	if got := w.Node.Decide(t, harness.Question{App: harness.Bird, Sender: tom, Recipient: jay}); got != harness.Allowed {
		t.Errorf("a new message: %+v", got)
	}
}
