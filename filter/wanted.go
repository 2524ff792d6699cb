package filter

import "github.com/sidegate/sidegate/cache"

// wanted is what [Check.AtLeast] asks of the lists of a check, compared with the
// server that is followed when the check begins.
type wanted struct {
	asked   bool
	foreign bool // the revision is of another server
	all     bool // it asks the same of every list
	unseen  bool // and the feed has not come so far yet
	kind    cache.Kind
	owner   uint64 // hash of the list's owner, with the salt of the followed server
	salt    int64
	version int64
}

// wants works out what a revision asks.
func (f *Filter) wants(revision *Revision) wanted {
	if revision.IsZero() {
		return wanted{}
	}
	server := f.cache.Identity()
	w := wanted{
		asked: true, foreign: revision.Server != hashIdentity(server), all: revision.Mark != 0,
		kind: revision.Kind, owner: revision.Owner, salt: server.Salt, version: revision.Version,
	}
	w.unseen = w.all && !f.reached(server, revision.Mark)
	return w
}

// proof tells whether the followed server has answered since the request came
// in. What a revision of another server asks is settled by that, once for all
// the lists of a request: if the followed server still answers, the other one is
// of the past, and what is left of its writes is in every page read since
// following it began. If the other one is the newer, the read is refused by the
// cache, which compares identities.
type proof uint8

const (
	untried proof = iota
	proved
	refuted
)

func proofOf(err error) proof {
	if err != nil {
		return refuted
	}
	return proved
}

// need says what AtLeast asks of a list; named is false if it asks nothing of
// this one.
//
// A mark asks every list to be read, until the feed has come as far: from then on
// whatever is of the present server contains what came before the mark.
//
// Versions of two servers cannot be compared, nor, if the salt is another one,
// the hashes of the owners. So a revision of a server that is not the one
// followed asks something of every list of its kind that the decision needs: to
// be read, until one such read has proved the server, and from then on not to be
// from before it was followed.
func (e *evaluation) need(list listName) (need cache.Need, named bool) {
	w := &e.wanted
	switch {
	case !w.asked || !w.all && w.kind != list.kind:
		return cache.Need{}, false
	case w.foreign:
		return cache.Need{Force: e.server != proved}, true
	case w.all:
		return cache.Need{Force: w.unseen}, true
	case w.owner != cache.HashOwner(list.owner, w.salt):
		return cache.Need{}, false
	}
	return cache.Need{Version: w.version}, true
}
