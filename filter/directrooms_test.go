package filter

import (
	"context"
	"errors"
	"testing"
	"time"
)

// fakeRooms is a RoomStore made of functions; a call without one fails the test.
type fakeRooms struct {
	t      testing.TB
	direct func(app string, pair Pair) (Room, error)
	peers  func(app, user string, peers []string) (map[string]Room, error)
	set    func(app string, pair Pair, id string) (Room, error)
	bans   func(BansQuery) ([]Block, error)
}

func (f *fakeRooms) DirectRoom(_ context.Context, app string, pair Pair) (Room, error) {
	if f.direct == nil {
		f.t.Fatal("the store was asked for a room")
	}
	return f.direct(app, pair)
}

func (f *fakeRooms) DirectRooms(_ context.Context, app, user string, peers []string) (map[string]Room, error) {
	if f.peers == nil {
		f.t.Fatal("the store was asked for rooms")
	}
	return f.peers(app, user, peers)
}

func (f *fakeRooms) SetDirectRoom(_ context.Context, app string, pair Pair, id string) (Room, error) {
	if f.set == nil {
		f.t.Fatal("the store was asked to set a room")
	}
	return f.set(app, pair, id)
}

func (f *fakeRooms) Bans(_ context.Context, query BansQuery) ([]Block, error) {
	if f.bans == nil {
		f.t.Fatal("the store was asked for bans")
	}
	return f.bans(query)
}

func directRooms(t testing.TB, store *fakeRooms) *DirectRooms {
	t.Helper()
	store.t = t
	rooms, err := NewDirectRooms(DirectRoomsOptions{Store: store, Apps: map[string]Policy{one: Default()}})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}

// TestPairHasNoOrder: the same two users have the same room, whoever asks.
func TestPairHasNoOrder(t *testing.T) {
	room := Room{ID: "r", CreatedAt: time.Unix(1, 0)}
	want := Pair{"Zoe", "bob"} // by bytes, capitals first
	rooms := directRooms(t, &fakeRooms{
		direct: func(app string, pair Pair) (Room, error) {
			if app != one || pair != want {
				t.Errorf("asked for the room of %v in %s", pair, app)
			}
			return room, nil
		},
		set: func(app string, pair Pair, id string) (Room, error) {
			if app != one || pair != want || id != "mine" {
				t.Errorf("asked to set the room of %v in %s to %s", pair, app, id)
			}
			return room, nil
		},
	})
	for _, pair := range []Pair{{"bob", "Zoe"}, {"Zoe", "bob"}} {
		found, err := rooms.Direct(context.Background(), one, pair)
		if err != nil || found != room {
			t.Errorf("%+v, %v", found, err)
		}
		set, err := rooms.SetDirect(context.Background(), one, pair, "mine")
		if err != nil || set != room {
			t.Errorf("%+v, %v", set, err)
		}
	}
}

func TestDirectRoomsRefuse(t *testing.T) {
	rooms := directRooms(t, &fakeRooms{})
	ctx := context.Background()
	for _, c := range []struct {
		app  string
		pair Pair
		code Code
	}{
		{"nobody's", Pair{"a", "b"}, CodeUnknownApp},
		{one, Pair{"a", "a"}, CodeInvalidUserID},
		{one, Pair{"a", ""}, CodeInvalidUserID},
		{one, Pair{"\xff", "a"}, CodeInvalidUserID},
	} {
		_, err := rooms.Direct(ctx, c.app, c.pair)
		wantCode(t, err, c.code)
		_, err = rooms.SetDirect(ctx, c.app, c.pair, "r")
		wantCode(t, err, c.code)
	}
	_, err := rooms.SetDirect(ctx, one, Pair{"a", "b"}, "")
	wantCode(t, err, CodeInvalidUserID)
	if _, err := NewDirectRooms(DirectRoomsOptions{}); err == nil {
		t.Error("made without a store")
	}
}

func TestOfPeersAndBans(t *testing.T) {
	away := Errorf(CodeStoreUnavailable, "away")
	var fails error
	rooms := directRooms(t, &fakeRooms{
		direct: func(string, Pair) (Room, error) { return Room{}, fails },
		set:    func(string, Pair, string) (Room, error) { return Room{}, fails },
		peers: func(app, user string, peers []string) (map[string]Room, error) {
			if app != one || user != "bob" || len(peers) != 2 {
				t.Errorf("asked for the rooms of %s with %v in %s", user, peers, app)
			}
			return map[string]Room{"alice": {ID: "r"}}, fails
		},
		bans: func(q BansQuery) ([]Block, error) {
			if want := (BansQuery{App: one, Actor: "bob", Source: "imkit", Limit: MaxBans}); q != want {
				t.Errorf("asked for %+v", q)
			}
			return []Block{{Owner: "room"}}, fails
		},
	})
	ctx := context.Background()
	found, err := rooms.OfPeers(ctx, one, "bob", []string{"alice", "carol"})
	if err != nil || len(found) != 1 || found["alice"].ID != "r" {
		t.Errorf("%v, %v", found, err)
	}
	if found, err := rooms.OfPeers(ctx, one, "nobody", nil); err != nil || found == nil || len(found) != 0 {
		t.Errorf("without peers: %v, %v", found, err)
	}
	if bans, err := rooms.Bans(ctx, one, "bob", "imkit"); err != nil || len(bans) != 1 {
		t.Errorf("%v, %v", bans, err)
	}
	fails = away
	_, e1 := rooms.OfPeers(ctx, one, "bob", []string{"alice", "carol"})
	_, e2 := rooms.Bans(ctx, one, "bob", "imkit")
	_, e3 := rooms.Direct(ctx, one, Pair{"a", "b"})
	_, e4 := rooms.SetDirect(ctx, one, Pair{"a", "b"}, "r")
	for _, err := range []error{e1, e2, e3, e4} {
		if !errors.Is(err, away) {
			t.Errorf("%v", err)
		}
	}
}
