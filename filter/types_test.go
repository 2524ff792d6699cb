package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestNamesAreStable: these words are in answers, metrics and logs of others.
func TestNamesAreStable(t *testing.T) {
	var reasons, causes, actions []string
	for r := range Reason(Reasons) {
		reasons = append(reasons, r.String())
	}
	for c := range Cause(Causes) {
		causes = append(causes, c.String())
	}
	for a := ActionDeliver; a <= ActionDrop; a++ {
		actions = append(actions, a.String())
	}
	if want := strings.Fields("self exempt unverified_origin banned_in_room room_not_filtered not_on_allowlist " +
		"recipient_blocked_sender sender_blocked_recipient allowed unknown"); !slices.Equal(reasons, want) {
		t.Errorf("reasons %v, want %v", reasons, want)
	}
	if want := strings.Fields("none not_loaded not_synced stale not_fresh_enough unknown_app " +
		"invalid_room_type"); !slices.Equal(causes, want) {
		t.Errorf("causes %v, want %v", causes, want)
	}
	if want := strings.Fields("deliver reject drop"); !slices.Equal(actions, want) {
		t.Errorf("actions %v, want %v", actions, want)
	}
	if APINative.String() != "native" || RoomType(9).String() != "RoomType(9)" {
		t.Error(APINative, RoomType(9))
	}
}

func TestErrorKeepsItsCause(t *testing.T) {
	cause := errors.New(`duplicate key value violates "block_pkey"`)
	err := &Error{Code: CodeStoreUnavailable, Detail: "the database did not answer", Err: cause}
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "store_unavailable: the database did not answer: duplicate") {
		t.Error(err)
	}
	if strings.Contains(err.Detail, "block_pkey") {
		t.Error("the database speaks in Detail")
	}
	if bare := Errorf(CodeSelfBlock, "%d users", 1); bare.Error() != "self_block: 1 users" || bare.Unwrap() != nil {
		t.Error(bare)
	}
}
