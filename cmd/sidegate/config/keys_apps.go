package config

import (
	"fmt"

	"github.com/sidegate/sidegate/filter"
)

// policyField reads and writes one setting of a policy. A policy starts as its
// preset's, then every key that is set replaces its part: that is why these
// keys have no default of their own.
type policyField struct {
	set func(p *filter.Policy, v any)
	get func(p *filter.Policy) any
}

// appKeys are the keys below apps.<name>.
func appKeys() []*Key {
	keys := []*Key{
		{Path: "apps.*.preset", kind: enumKind(append([]string{""}, filter.Presets()...)...), Default: "",
			Doc: "The service whose behaviour the app starts from; the keys that follow then replace parts of it."},
		{Path: "apps.*.mode", kind: modeKind, policy: modeField,
			Doc: "Whose block counts: one_way = the recipient's, two_way = the sender's as well."},
		{Path: "apps.*.limit", kind: intKind(1, filter.MaxEntries), policy: limitField,
			Doc: "The most entries of a list. A process that serves the api listener sets it in the database at its start, where it binds every writer, plain SQL included. A lower limit keeps the lists that are longer and refuses additions."},
		{Path: "apps.*.on_unknown", kind: enumKind("error", "deliver", "withhold"), policy: unknownField,
			Doc: "The answer when a list is neither in memory nor loadable: error = 503, deliver = fail open, withhold = what the room does on a block."},
		{Path: "apps.*.allowlist", kind: boolKind, policy: allowlistField,
			Doc: "Whether users may turn their list round, so that in direct rooms they hear only from those on it."},
		{Path: "apps.*.exempt", kind: userIDsKind, policy: exemptField,
			Doc: "Moderators and system accounts: what they send is delivered whoever has blocked them."},
		{Path: "apps.*.invitations", kind: enumKind("include", "exclude"), policy: invitationsField,
			Doc: "What POST /v1/invitees does with those who block, or are blocked by, the inviter: include = everybody is allowed and they are named, exclude = they are left out. Every preset includes."},
		{Path: "apps.*.enforce", kind: boolKind, policy: enforceField,
			Doc: "false = a dry run: every message is delivered, the answer says what it would have been (would), and sidegate_shadow_mismatches_total counts. A list that is unknown delivers too, whatever on_unknown says. Every preset enforces."},
	}
	for t := filter.Direct; t <= filter.Open; t++ {
		keys = append(keys,
			&Key{Path: "apps.*.rooms." + t.String() + ".on_block", kind: enumKind("reject", "drop", "deliver_silently", "deliver"),
				policy: onBlockField(t), Doc: onBlockDoc[t]},
			&Key{Path: "apps.*.rooms." + t.String() + ".mode", kind: modeKind, policy: roomModeField(t),
				Doc: "The mode in these rooms, if it is not the app's."})
	}
	keys = append(keys,
		&Key{Path: "apps.*.known_users", kind: boolKind, Default: false,
			Doc: "Whether the dialects refuse ids that the user directory does not hold."},
		&Key{Path: "apps.*.history_retention", kind: durationKind(0, 36500*day), Default: 0,
			Doc: "How long the interval of an entry is kept after its end, for history and for decisions of the past; 0 = for ever. Removed by the processes that serve the api listener."})
	return append(keys, dialectKeys()...)
}

var onBlockDoc = map[filter.RoomType]string{
	filter.Direct: "What becomes of a message that a block stands against, in rooms of two: reject tells the sender, drop lets them believe it was sent, deliver_silently delivers without push and badge, deliver does not look at blocks.",
	filter.Group:  "The same in rooms of several members.",
	filter.Open:   "The same in public channels and broadcasts.",
}

// dialectKeys describe the vendors' APIs of an app.
func dialectKeys() []*Key {
	const rong, send, imkit = "apps.*.dialects.rongcloud.", "apps.*.dialects.sendbird.", "apps.*.dialects.imkit."
	keys := []*Key{
		{Path: rong + "app_key", kind: textKind, Doc: "The App-Key; it names the app, so no two apps share one."},
		{Path: rong + "app_secret", kind: secretKind, Doc: "The App Secret that signs requests."},
		{Path: rong + "rate", kind: countKind, Default: 100, Doc: "Requests a second; 0 = no limit."},
		{Path: rong + "max_clock_skew", kind: durationKind(0, 365*day), Default: "0s",
			Doc: "How far a request's timestamp may be from our clock; 0 = not looked at, because the vendor's own SDKs send seconds where milliseconds are documented, and some never renew it."},
		{Path: rong + "refuse_replay", kind: boolKind, Default: false,
			Doc: "Refuse a nonce that was seen before. Needs max_clock_skew: without it every nonce would have to be kept for ever."},
		{Path: send + "api_tokens", kind: secretsKind, Doc: "The Api-Tokens; they name the app, so no two apps share one."},
		{Path: send + "rate", kind: countKind, Default: 0, Doc: "Requests a second; 0 = no limit."},
		{Path: imkit + "client_keys", kind: secretsKind, Default: []any{}, Doc: "The client keys; they name the app, so no two apps share one."},
		{Path: imkit + "api_keys", kind: secretsKind, Default: []any{}, Doc: "The keys of the app's own server; no two apps share one."},
	}
	keys = append(keys, jwtKeys(imkit+"jwt")...)
	return append(keys,
		&Key{Path: imkit + "verify_url", kind: webKind, Default: "", Doc: "Who is asked whether a client token is good: https, or http on loopback. Instead of jwt."},
		&Key{Path: imkit + "cors_origins", kind: originsKind, Default: []any{}, Doc: "The web origins whose pages may call."},
		&Key{Path: imkit + "already_blocked", kind: enumKind("conflict", "upsert"), Default: "conflict",
			Doc: "The answer to a block that is there already: 409, or as if it were new."})
}

var (
	modeKind    = enumKind("one_way", "two_way")
	userIDsKind = kind{name: "list of user ids", parse: parseUserIDs, text: listText, schema: textsSchema}
)

// parseUserIDs does not repeat an id that it refuses: errors end in logs.
func parseUserIDs(raw any) (any, error) {
	ids, err := texts(raw)
	for i, id := range ids {
		if err := filter.ValidateUserID(id); err != nil {
			return nil, prefixed(fmt.Sprintf("entry %d is not a user id:", i+1), err)
		}
	}
	return ids, err
}

var (
	modeField = &policyField{
		set: func(p *filter.Policy, v any) { p.Mode, _ = filter.ParseMode(v.(string)) },
		get: func(p *filter.Policy) any { return p.Mode.String() },
	}
	limitField = &policyField{
		set: func(p *filter.Policy, v any) { p.Limit = v.(int) },
		get: func(p *filter.Policy) any { return p.Limit },
	}
	unknownField = &policyField{
		set: func(p *filter.Policy, v any) { p.OnUnknown, _ = filter.ParseOnUnknown(v.(string)) },
		get: func(p *filter.Policy) any { return p.OnUnknown.String() },
	}
	allowlistField = &policyField{
		set: func(p *filter.Policy, v any) { p.Allowlist = v.(bool) },
		get: func(p *filter.Policy) any { return p.Allowlist },
	}
	invitationsField = &policyField{
		set: func(p *filter.Policy, v any) { p.Invitations, _ = filter.ParseInvitations(v.(string)) },
		get: func(p *filter.Policy) any { return p.Invitations.String() },
	}
	enforceField = &policyField{
		set: func(p *filter.Policy, v any) { p.Shadow = !v.(bool) },
		get: func(p *filter.Policy) any { return !p.Shadow },
	}
	exemptField = &policyField{
		set: func(p *filter.Policy, v any) { p.Exempt = append([]string(nil), v.([]string)...) }, // nil if empty
		get: func(p *filter.Policy) any { return append([]string{}, p.Exempt...) },
	}
)

func onBlockField(t filter.RoomType) *policyField {
	return &policyField{
		set: func(p *filter.Policy, v any) { p.Rooms[t].OnBlock, _ = filter.ParseOnBlock(v.(string)) },
		get: func(p *filter.Policy) any { return p.Rooms[t].OnBlock.String() },
	}
}

func roomModeField(t filter.RoomType) *policyField {
	return &policyField{
		set: func(p *filter.Policy, v any) { p.Rooms[t].Mode, _ = filter.ParseMode(v.(string)) },
		get: func(p *filter.Policy) any {
			if p.Rooms[t].Mode == 0 {
				return nil // the app's mode: the key is left out
			}
			return p.Rooms[t].Mode.String()
		},
	}
}
