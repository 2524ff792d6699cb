package filter

// Invitees decides one invitation of many: the check names the app, the inviter
// as its sender and, if asked for, AtLeast. Decisions, which must be as long as
// invitees, receives the answers in their order. It returns what the app's policy
// makes of them; the zero Invitations mean that there is no such app. An app in
// shadow leaves nobody out: it includes, whatever it has set.
//
// An invitation is decided by the rules of messages in a room of its own, where
// both directions count whatever the mode is, users' allowlist mode counts if the
// app has it, and nothing is delivered silently: Deliver says whether a list
// stands against the invitation, and [ReasonRecipientBlockedSender] that the
// invitee blocks the inviter. Inviting oneself, and an inviter who is exempt, is
// never refused.
//
// Lists are read as in [Filter.Fanout]. Invitations are not counted as decisions.
func (f *Filter) Invitees(check Check, invitees []string, decisions []Decision) Invitations {
	lobby := Check{App: check.App, Sender: check.Sender, RoomType: Direct, AtLeast: check.AtLeast}
	f.spread(lobby, true, invitees, decisions[:len(invitees)])
	switch app := f.apps[check.App]; {
	case app == nil:
		return 0
	case app.shadow:
		return InvitationsInclude
	default:
		return app.invitations
	}
}
