package main

// A row of the compatibility matrix: what must hold of a dialect. A test proves
// it by beginning its name with the row's: TestR3_….
type row struct{ name, dialect, holds string }

var rows = []row{
	{"R1", "RongCloud", "both spellings × add, remove, query; form body; repeated keys; {\"code\":200}"},
	{"R2", "RongCloud", "both header sets; the SHA-1 rule; seconds and ms; any nonce; bad signature 401/1004"},
	{"R3", "RongCloud", "too many ids, missing or empty parameters, empty body: 400/1002 with errorMessage and url"},
	{"R4", "RongCloud", "3000 counted over distinct ids; more is refused whole"},
	{"R5", "RongCloud", "newest first, size ≤ 1000, opaque pageToken, next only if more, first 1000 without a token"},
	{"R6", "RongCloud", "allowlist family and whitesetting; the blocklist sleeps in allowlist mode"},
	{"R7", "RongCloud", "one way, private only; server senders exempt unless verified; rate 429/1008"},
	{"S1", "Sendbird", "target_id: the user; user_ids, users: {users,next}; body user_id ignored beside a target"},
	{"S2", "Sendbird", "both directions, limit 1–100, default 10, token, user_ids filter, next \"\" at the end"},
	{"S3", "Sendbird", "unblock {}; path ids decoded after the split; Api-Token in any case; bad token 400401"},
	{"S4", "Sendbird", "error envelope and codes; 429/500910 with the X-RateLimit headers"},
	{"S5", "Sendbird", "1:1 silent and one way; 1:N without notification; invitations; hidden interval"},
	{"I1", "IMKit", "three routes, RC/RM envelope, room a text on block and unblock, an object in the list"},
	{"I2", "IMKit", "401, 403, 404, 400, 409; conflict or upsert; unblock returns the row"},
	{"I3", "IMKit", "two way in direct rooms, groups untouched; one room for a pair"},
	{"X1", "all", "one shared list; ids are opaque UTF-8; lists of two apps never meet"},
	{"X2", "all", "in force at once where it was written, elsewhere within the lag; unblock likewise"},
}
