package rongcloud

import (
	"testing"
)

// TestModes: set, asked for, set back; the setting is a string in the answer.
func TestModes(t *testing.T) {
	w := newWorld(t)
	const query, set = "/user/whitesetting/query.json", "/user/whitesetting/set.json"
	w.good(w.post(query, "userId=00"), `{"code":200,"users":[{"userId":"00","whiteSetting":"0"}]}`)
	w.good(w.post(set, "userId=a&userId=b&userId=a&whiteSetting=1"), `{"code":200}`)
	w.good(w.post(query, "userId=c&userId=b&userId=a&userId=b"),
		`{"code":200,"users":[{"userId":"c","whiteSetting":"0"},{"userId":"b","whiteSetting":"1"},{"userId":"a","whiteSetting":"1"}]}`)
	w.good(w.post(set, "userId=b&whiteSetting=0"), `{"code":200}`)
	w.good(w.post(query, "userId=a&userId=b"),
		`{"code":200,"users":[{"userId":"a","whiteSetting":"1"},{"userId":"b","whiteSetting":"0"}]}`)
	if w.modes["acme a"] != true || w.modes["acme b"] != false || len(w.edits) != 0 {
		t.Errorf("%v %v", w.modes, w.edits)
	}
}

// TestNoAllowlist: an app without one says so, whatever it is asked about it.
func TestNoAllowlist(t *testing.T) {
	plain := acme()
	plain.Allowlist = false
	w := newWorld(t, plain)
	for _, path := range []string{
		"/user/whitesetting/set.json", "/user/whitesetting/query.json",
		"/user/whitelist/add.json", "/user/whitelist/remove.json", "/user/whitelist/query.json",
	} {
		for _, body := range []string{"userId=a&whiteUserId=b&whiteSetting=1", ""} {
			w.refused(w.post(path, body), 430, 1010)
		}
	}
	if len(w.modes) > 0 || len(w.edits) > 0 {
		t.Errorf("stored %v %v", w.modes, w.edits)
	}
	w.good(w.post(addPath, addBody), `{"code":200}`)
}
