package filter

import (
	"strings"
	"testing"
)

func TestNamesAreInverses(t *testing.T) {
	for v := ModeOneWay; v <= ModeTwoWay; v++ {
		if got, ok := ParseMode(v.String()); !ok || got != v {
			t.Errorf("mode %q: %v, %v", v, got, ok)
		}
	}
	for v := OnBlockReject; v <= OnBlockDeliver; v++ {
		if got, ok := ParseOnBlock(v.String()); !ok || got != v {
			t.Errorf("on_block %q: %v, %v", v, got, ok)
		}
	}
	for v := OnUnknownError; v <= OnUnknownWithhold; v++ {
		if got, ok := ParseOnUnknown(v.String()); !ok || got != v {
			t.Errorf("on_unknown %q: %v, %v", v, got, ok)
		}
	}
	for v := Direct; v <= Open; v++ {
		if got, ok := ParseRoomType(v.String()); !ok || got != v {
			t.Errorf("room type %q: %v, %v", v, got, ok)
		}
	}
	for _, name := range []string{"", "Direct", "one-way", "TWO_WAY", "silently", "deliver ", "fail"} {
		_, mode := ParseMode(name)
		_, onBlock := ParseOnBlock(name)
		_, onUnknown := ParseOnUnknown(name)
		_, room := ParseRoomType(name)
		if mode || onBlock || onUnknown || room {
			t.Errorf("%q was taken for a name", name)
		}
	}
	if s := Mode(9).String() + OnBlock(9).String() + OnUnknown(9).String() + Mode(0).String(); s != "" {
		t.Errorf("values that do not exist are called %q", s)
	}
}

// TestPresetTable holds the presets to the table of what each service does.
func TestPresetTable(t *testing.T) {
	for _, c := range []struct {
		name                string
		mode                Mode
		direct, group, open OnBlock
		allowlist           bool
	}{
		{"", ModeOneWay, OnBlockDrop, OnBlockDeliverSilently, OnBlockDeliver, false},
		{"imkit", ModeTwoWay, OnBlockReject, OnBlockDeliver, OnBlockDeliver, false},
		{"rongcloud", ModeOneWay, OnBlockReject, OnBlockDeliver, OnBlockDeliver, true},
		{"sendbird", ModeOneWay, OnBlockDrop, OnBlockDeliverSilently, OnBlockDeliver, false},
	} {
		p, ok := Preset(c.name)
		want := Policy{
			Mode: c.mode, Limit: 3000, OnUnknown: OnUnknownError, Allowlist: c.allowlist,
			Rooms: Rooms{Direct: {OnBlock: c.direct}, Group: {OnBlock: c.group}, Open: {OnBlock: c.open}},
		}
		if !ok || p.Mode != want.Mode || p.Rooms != want.Rooms || p.Limit != want.Limit ||
			p.OnUnknown != want.OnUnknown || p.Allowlist != want.Allowlist || p.Exempt != nil || p.Invitations != InvitationsInclude {
			t.Errorf("%q: %+v, want %+v", c.name, p, want)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%q: %v", c.name, err)
		}
	}
	for _, name := range Presets() {
		if _, ok := Preset(name); !ok {
			t.Errorf("%q is listed and not known", name)
		}
	}
	if _, ok := Preset("IMKit"); ok {
		t.Error("a preset was found under another spelling")
	}
}

func TestValidateSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Policy)
		want  string
	}{
		"no mode":      {func(p *Policy) { p.Mode = 0 }, "mode must be one_way or two_way"},
		"bad mode":     {func(p *Policy) { p.Mode = 7 }, "mode must be one_way or two_way"},
		"no on_block":  {func(p *Policy) { p.Rooms[Group].OnBlock = 0 }, "rooms.group.on_block must be"},
		"bad on_block": {func(p *Policy) { p.Rooms[Open].OnBlock = 9 }, "rooms.open.on_block must be"},
		"bad room mode": {func(p *Policy) { p.Rooms[Direct].Mode = 9 },
			"rooms.direct.mode must be one_way or two_way, or absent"},
		"no limit":       {func(p *Policy) { p.Limit = 0 }, "limit must be between 1 and 3000, not 0"},
		"limit too high": {func(p *Policy) { p.Limit = 3001 }, "limit must be between 1 and 3000, not 3001"},
		"no on_unknown":  {func(p *Policy) { p.OnUnknown = 0 }, "on_unknown must be error, deliver or withhold"},
		"no invitations": {func(p *Policy) { p.Invitations = 0 }, "invitations must be include or exclude"},
		"bad exempt id": {func(p *Policy) { p.Exempt = []string{"system", "a\nsecret"} },
			"exempt, entry 2, is not a user id"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Default()
			c.spoil(&p)
			err := p.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("not one plain sentence: %q", err)
			}
		})
	}
	valid := Default()
	valid.Limit, valid.Rooms[Group].Mode, valid.Exempt = 1, ModeTwoWay, []string{"system"}
	if err := valid.Validate(); err != nil {
		t.Error(err)
	}
}

// TestModePerRoomType: a room type may have a mode of its own, in either
// direction; the others keep the app's.
func TestModePerRoomType(t *testing.T) {
	for app := ModeOneWay; app <= ModeTwoWay; app++ {
		for group := Mode(0); group <= ModeTwoWay; group++ {
			p := Default()
			p.Mode, p.Rooms[Group].Mode = app, group
			w, f := oneApp(t, p)
			w.put(blockList(one, "alice"), false, entries("bob")...)
			want := map[RoomType]Mode{Direct: app, Group: group}
			if group == 0 {
				want[Group] = app
			}
			for room, mode := range want {
				reason := ReasonAllowed
				if mode == ModeTwoWay {
					reason = ReasonSenderBlockedRecipient
				}
				check := direct("alice", "bob")
				check.RoomType = room
				if got := f.CanDeliver(check).Reason; got != reason {
					t.Errorf("app %v, group %q, in a %v room: %v, want %v", app, group, room, got, reason)
				}
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, one)
	good := map[string]Policy{one: Default()}
	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"no cache":       {Options{Apps: good}, "a cache is required"},
		"no apps":        {Options{Cache: w.cache}, "at least one app"},
		"foreign app":    {Options{Cache: w.cache, Apps: map[string]Policy{"other": Default()}}, `app "other": the cache was not made for it`},
		"bad policy":     {Options{Cache: w.cache, Apps: map[string]Policy{one: {}}}, `app "one": mode must be`},
		"negative bound": {Options{Cache: w.cache, Apps: good, SoftBound: -1}, "must be positive"},
		"negative wait":  {Options{Cache: w.cache, Apps: good, AtLeastTimeout: -1}, "must be positive"},
		"bounds crossed": {Options{Cache: w.cache, Apps: good, HardBound: DefaultSoftBound - 1}, "is below the soft bound"},
	} {
		if _, err := New(c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
