package filter

import "github.com/sidegate/sidegate/cache"

// Lists lie anywhere in memory, and a list that no CPU cache holds takes longer to
// get at than all the rules together. So those that the rules will probably ask for
// are looked up before the rules are asked, together. What is looked up in vain
// costs a lookup and never an answer: whether a list counts is for the rules to
// say.

// stride is how many checks are looked ahead for at a time: what they bring has to
// stay in the CPU's first cache until the rules have their turn.
const stride = 32

// likely says which block lists the rules will probably ask for.
func (r *room) likely(check *Check) (recipient, sender bool) {
	if r.onBlock == OnBlockDeliver || check.FromServer && !check.Verify {
		return false, false
	}
	return true, r.twoWay
}

// lookAhead looks up both block lists of a check that will probably need both.
// One list alone is looked up when a rule asks for it: nothing waits beside it.
func (e *evaluation) lookAhead() {
	if _, both := e.room.likely(&e.check); !both {
		return
	}
	blocks := e.app.lists[cache.KindBlock]
	pair := [2]cache.Lookup{
		{Directory: blocks, Owner: e.check.Recipient, Target: e.printOfSender()},
		{Directory: blocks, Owner: e.check.Sender, Target: e.printOfRecipient()},
	}
	e.filter.cache.FindAll(pair[:])
	e.recipient.take(&pair[0])
	e.sender.blocks.take(&pair[1])
}

// lookAheadOf looks up the block lists of some recipients of one message.
func (e *evaluation) lookAheadOf(recipients []string, ahead []cache.Lookup) {
	for i, recipient := range recipients {
		ahead[i].Directory, ahead[i].Owner, ahead[i].Target = e.app.lists[cache.KindBlock], recipient, e.printOfSender()
	}
	e.filter.cache.FindAll(ahead)
}

// batchAhead is what was looked up for the next checks of a batch.
type batchAhead struct {
	now     cache.Instant // before
	lookups [2 * stride]cache.Lookup
	made    int
	// Of each check, in which of lookups its lists stand, -1: in none.
	recipient, sender [stride]int8
}

// look looks up what some checks will probably need, at most stride of them.
func (b *batchAhead) look(f *Filter, checks []Check) {
	b.now, b.made = f.cache.Now(), 0
	for i := range checks {
		check := &checks[i]
		b.recipient[i], b.sender[i] = -1, -1
		app := f.apps[check.App]
		if app == nil || check.RoomType < Direct || check.RoomType > Open || check.AtLeast.Mark != 0 {
			// Whether memory will do for a mark is asked when the check begins:
			// what was looked up before may be from before it would.
			continue
		}
		recipient, sender := app.rooms[check.RoomType].likely(check)
		print := cache.PrintOf(check.Sender)
		if recipient {
			b.recipient[i] = b.add(app, check.Recipient, print)
		}
		if sender {
			b.sender[i] = b.add(app, check.Sender, cache.PrintOf(check.Recipient))
		}
	}
	f.cache.FindAll(b.lookups[:b.made])
}

func (b *batchAhead) add(app *app, owner string, target cache.Print) int8 {
	l := &b.lookups[b.made]
	l.Directory, l.Owner, l.Target = app.lists[cache.KindBlock], owner, target
	b.made++
	return int8(b.made - 1)
}

// take gives an evaluation that has begun check i of those what was looked up for
// it.
func (b *batchAhead) take(e *evaluation, i int) {
	if at := b.recipient[i]; at >= 0 {
		e.recipient.take(&b.lookups[at])
		e.senderPrint = b.lookups[at].Target
	}
	if at := b.sender[i]; at >= 0 {
		e.sender.blocks.take(&b.lookups[at])
		e.recipientPrint = b.lookups[at].Target
	}
}

// alike remembers what the rules said to a recipient of a message, so that they
// are not asked again about one of whom they would be told the same. Of a recipient
// they are told who it is, where that is the sender; how old the list is; whether
// its owner is in allowlist mode; whether the sender is on it; and whether the
// recipient is on the sender's. Recipients who differ in the last two alone are
// alike, the others ask the rules themselves.
type alike struct {
	now       cache.Instant // the answers are of this instant: the sender's lists grow older
	learnt    [kinds]bool
	decisions [kinds]Decision
}

// A recipient's kind is made of what those who are alike may differ in.
const (
	blocksSender    = 1 << iota // the sender is on the recipient's list
	blockedBySender             // the recipient is on the sender's list
	kinds           = 1 << iota
	unlike          = -1
)

// kindOf returns the kind of a recipient, or unlike.
func (e *evaluation) kindOf(recipient string, l *cache.Lookup) int {
	switch {
	case !l.Found, e.wanted.asked, recipient == e.check.Sender:
		return unlike
	case l.View.Age(e.now) > e.filter.soft:
		return unlike // its age is part of the answer
	case e.room.allowlist && l.View.Allowlist():
		return unlike // there is one more list to ask
	}
	kind := 0
	if !l.View.None() && l.View.Has(e.printOfSender()) {
		kind = blocksSender
	}
	if e.room.twoWay {
		blocks := &e.sender.blocks
		if blocks.state < known {
			return unlike // nobody has needed it yet
		}
		if blocks.state == known && !blocks.view.None() && blocks.view.Has(cache.PrintOf(recipient)) {
			kind |= blockedBySender
		}
	}
	return kind
}

// of returns what the rules said to a recipient of a kind at this instant.
func (a *alike) of(kind int, now cache.Instant) (d Decision, ok bool) {
	if kind == unlike || a.now != now || !a.learnt[kind] {
		return Decision{}, false
	}
	return a.decisions[kind], true
}

// learn remembers a decision, unless it says how old it is. Of what kind the
// recipient is was asked before the rules and again behind them: if an entry has
// expired in between, nobody knows which of the two they saw.
func (a *alike) learn(kind, still int, now cache.Instant, d Decision) {
	if kind == unlike || kind != still || d.Stale != 0 {
		return
	}
	if a.now != now {
		*a = alike{now: now}
	}
	a.learnt[kind], a.decisions[kind] = true, d
}
