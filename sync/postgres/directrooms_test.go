package postgres_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// roomID is the id of the room of a pair as the schema promises it, reckoned
// here.
func roomID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint32(len(p)))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

func TestDirectRoom(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	pair := filter.Pair{A: "alice", B: "böb/%"}
	room, err := f.DirectRoom(t.Context(), "default", pair)
	if err != nil || room.ID != roomID("default", "alice", "böb/%") || room.CreatedAt.IsZero() {
		t.Errorf("%+v, %v; want %s", room, err, roomID("default", "alice", "böb/%"))
	}
	f.edit(add("böb/%", "alice")) // the first block of a pair finds it there
	if again, err := f.DirectRoom(t.Context(), "default", pair); err != nil || again != room {
		t.Errorf("%+v, %v", again, err)
	}
	if other, err := f.DirectRoom(t.Context(), "other", pair); err != nil || other.ID == room.ID {
		t.Errorf("another app has the same room: %+v, %v", other, err)
	}

	set, err := f.SetDirectRoom(t.Context(), "default", pair, "mine")
	if err != nil || set.ID != "mine" || !set.CreatedAt.Equal(room.CreatedAt) {
		t.Errorf("%+v, %v", set, err)
	}
	f.edit(filter.Edit{List: blockList("böb/%"), Remove: []string{"alice"}, Source: "x"})
	f.edit(add("alice", "böb/%"))
	if kept, err := f.DirectRoom(t.Context(), "default", pair); err != nil || kept != set {
		t.Errorf("an id of the deployer's is lost: %+v, %v", kept, err)
	}
	if fresh, err := f.SetDirectRoom(t.Context(), "default", filter.Pair{A: "x", B: "y"}, "r2"); err != nil || fresh.ID != "r2" {
		t.Errorf("%+v, %v", fresh, err)
	}
}

func TestDirectRooms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice", "zoe"))
	f.edit(add("carl", "alice"))
	rooms, err := f.DirectRooms(t.Context(), "default", "bob", []string{"alice", "zoe", "carl", "nobody"})
	if err != nil || len(rooms) != 2 ||
		rooms["alice"].ID != roomID("default", "alice", "bob") || rooms["zoe"].ID != roomID("default", "bob", "zoe") {
		t.Errorf("%+v, %v", rooms, err)
	}
}

func TestBans(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ban := func(room, target, actor, source string) {
		f.edit(filter.Edit{
			List: filter.ListID{App: "default", Kind: cache.KindRoom, Owner: room}, Source: source, Actor: actor,
			Add: []filter.Addition{{Target: target}},
		})
	}
	ban("r1", "alice", "bob", "imkit")
	ban("r2", "carl", "bob", "imkit")
	ban("r1", "dave", "admin", "imkit")
	ban("r1", "erin", "bob", "native")
	f.edit(add("bob", "frank"))
	ban("r3", "gone", "bob", "imkit")
	f.exec(`update sidegate.block set expires_at = now() - interval '1 s' where target = 'gone'`)
	bans, err := f.Bans(t.Context(), filter.BansQuery{App: "default", Actor: "bob", Source: "imkit", Limit: 10})
	if err != nil || len(bans) != 2 || bans[0].Owner != "r2" || bans[0].Target != "carl" || bans[1].Owner != "r1" || bans[1].Target != "alice" {
		t.Errorf("%+v, %v", bans, err)
	}
	if bans, err := f.Bans(t.Context(), filter.BansQuery{App: "default", Actor: "bob", Source: "imkit", Limit: 1}); err != nil || len(bans) != 1 {
		t.Errorf("%+v, %v", bans, err)
	}
}
