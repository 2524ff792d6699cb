package main

import "testing"

const twoApps = `
apps:
  default: {}
  mutual: {mode: two_way}
`

// TestAcceptDecisions: bob has blocked alice, in an app of one way and in one of
// two. What became of their messages depends on the app, the room and on who
// writes to whom; the rest of the world is not concerned.
func TestAcceptDecisions(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), twoApps).ready()
	for _, app := range []string{"default", "mutual"} {
		s.block(app, "bob", "alice")
	}
	s.block("mutual", "carol", "dave") // in one app alone

	mutual := verdict{Action: "drop", Reason: "sender_blocked_recipient"}
	silent := verdict{Deliver: true, Action: "deliver", Reason: "recipient_blocked_sender"}
	silentBack := verdict{Deliver: true, Action: "deliver", Reason: "sender_blocked_recipient"}
	open := verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "room_not_filtered"}
	self := verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "self"}
	for _, tc := range []struct {
		q    question
		want verdict
	}{
		{question{"alice", "bob", "direct", "default", ""}, dropped},
		{question{"bob", "alice", "direct", "default", ""}, allowed},
		{question{"alice", "bob", "group", "default", ""}, silent},
		{question{"bob", "alice", "group", "default", ""}, allowed},
		{question{"alice", "bob", "open", "default", ""}, open},
		{question{"bob", "alice", "open", "default", ""}, open},

		{question{"alice", "bob", "direct", "mutual", ""}, dropped},
		{question{"bob", "alice", "direct", "mutual", ""}, mutual},
		{question{"alice", "bob", "group", "mutual", ""}, silent},
		{question{"bob", "alice", "group", "mutual", ""}, silentBack},
		{question{"alice", "bob", "open", "mutual", ""}, open},
		{question{"bob", "alice", "open", "mutual", ""}, open},

		{question{"alice", "bob", "direct", "", ""}, dropped}, // no app means default
		{question{"bob", "bob", "direct", "default", ""}, self},
		{question{"alice", "carol", "direct", "default", ""}, allowed},
		{question{"dave", "carol", "direct", "default", ""}, allowed}, // lists of two apps never meet
		{question{"dave", "carol", "direct", "mutual", ""}, dropped},
	} {
		if got := s.decide(tc.q); got != tc.want {
			t.Errorf("%+v\ngot  %+v\nwant %+v", tc.q, got, tc.want)
		}
	}

	if a := s.must("DELETE", "api", blockPath("default", "bob", "alice")); a.status != 200 {
		t.Errorf("unblock: %v", a)
	}
	if got := s.decide(question{sender: "alice", recipient: "bob"}); got != allowed {
		t.Errorf("after the unblock: %+v", got)
	}
	if got := s.decide(question{sender: "alice", recipient: "bob", app: "mutual"}); got != dropped {
		t.Errorf("the unblock in one app reached the other: %+v", got)
	}
}
