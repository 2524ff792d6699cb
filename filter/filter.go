package filter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// The defaults of [Options].
const (
	DefaultSoftBound      = 2 * time.Second
	DefaultHardBound      = 5 * time.Minute
	DefaultLoadTimeout    = 150 * time.Millisecond
	DefaultAtLeastTimeout = 250 * time.Millisecond
)

// Options configure a [Filter].
type Options struct {
	// Cache holds the lists; it must have been made for all apps. Required.
	Cache *cache.Cache
	// Apps are the tenants by name, at least one.
	Apps map[string]Policy
	// SoftBound is the age past which an answer says how old it is. Zero
	// means DefaultSoftBound. It should be well above the poll interval, or
	// every answer calls itself stale.
	SoftBound time.Duration
	// HardBound is the age past which memory is not answered from. Zero
	// means DefaultHardBound; it must not be below SoftBound.
	HardBound time.Duration
	// LoadTimeout bounds how long one check waits for lists that are not in
	// memory, all of them together. Zero means DefaultLoadTimeout. A read
	// that the check itself carries out has the cache's own deadline.
	LoadTimeout time.Duration
	// AtLeastTimeout takes the place of LoadTimeout for the list that
	// Check.AtLeast names: who asks for a write to be seen would rather wait.
	// Zero means DefaultAtLeastTimeout.
	AtLeastTimeout time.Duration
	// Reached tells whether everything that the followed server had committed
	// before a transaction began is in the cache. It is asked by checks that
	// carry the revision of an import; nil: such checks always read.
	Reached func(server cache.Identity, mark uint64) bool
	// Evidence is asked by Explain and Visible for the rows behind a decision,
	// now or in the past; nil: they fail. No check ever asks it.
	Evidence EvidenceStore
	// Metrics counts decisions; nil counts where nobody looks.
	Metrics *Metrics
}

// Filter decides. It is safe for concurrent use.
type Filter struct {
	cache   *cache.Cache
	apps    map[string]*app
	soft    time.Duration
	hard    time.Duration
	load    time.Duration
	atLeast time.Duration
	metrics *Metrics
	store   EvidenceStore
	reached func(server cache.Identity, mark uint64) bool
}

// app is a policy made ready: what a check would have to look up is looked up.
type app struct {
	rooms     [Open + 1]room
	lobby     room // where invitations are decided, see Invitees
	exempt    map[string]struct{}
	onUnknown OnUnknown
	lists     [cache.Kinds]*cache.Directory
	// invitations says who hears of what is decided in the lobby.
	invitations Invitations
	shadow      bool // its decisions are not obeyed
}

// room is what holds in the rooms of one type.
type room struct {
	onBlock OnBlock
	twoWay  bool
	// allowlist: a user's allowlist mode counts here. It is a matter of
	// direct rooms only; in all others it neither stops a message nor puts
	// the user's blocks to sleep.
	allowlist bool
}

// New makes a Filter out of valid policies. It starts nothing.
func New(opts Options) (*Filter, error) {
	f := &Filter{
		cache: opts.Cache, apps: make(map[string]*app, len(opts.Apps)), metrics: opts.Metrics, store: opts.Evidence,
		reached: opts.Reached,
		soft:    orDefault(opts.SoftBound, DefaultSoftBound), hard: orDefault(opts.HardBound, DefaultHardBound),
		load:    orDefault(opts.LoadTimeout, DefaultLoadTimeout),
		atLeast: orDefault(opts.AtLeastTimeout, DefaultAtLeastTimeout),
	}
	switch {
	case f.cache == nil:
		return nil, errors.New("filter: a cache is required")
	case len(opts.Apps) == 0:
		return nil, errors.New("filter: at least one app is required")
	case min(f.soft, f.load, f.atLeast) <= 0:
		return nil, errors.New("filter: bounds and timeouts must be positive")
	case f.hard < f.soft:
		return nil, fmt.Errorf("filter: the hard bound (%v) is below the soft bound (%v)", f.hard, f.soft)
	}
	if f.metrics == nil {
		f.metrics = NewMetrics(nil)
	}
	if f.reached == nil {
		f.reached = func(cache.Identity, uint64) bool { return false }
	}
	for name, policy := range opts.Apps {
		ready, err := prepare(opts.Cache, name, &policy)
		if err != nil {
			return nil, fmt.Errorf("filter: app %q: %w", name, err)
		}
		f.apps[name] = ready
	}
	return f, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func prepare(c *cache.Cache, name string, p *Policy) (*app, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	a := &app{onUnknown: p.OnUnknown, exempt: make(map[string]struct{}, len(p.Exempt)), invitations: p.Invitations, shadow: p.Shadow}
	for t := Direct; t <= Open; t++ {
		a.rooms[t] = room{
			onBlock:   p.Rooms[t].OnBlock,
			twoWay:    p.mode(t) == ModeTwoWay,
			allowlist: p.Allowlist && t == Direct,
		}
	}
	// Either side's block refuses an invitation, whatever the mode is for messages.
	a.lobby = room{onBlock: OnBlockReject, twoWay: true, allowlist: p.Allowlist}
	for _, id := range p.Exempt {
		a.exempt[id] = struct{}{}
	}
	for kind := range cache.Kind(cache.Kinds) {
		if a.lists[kind] = c.Directory(name, kind); a.lists[kind] == nil {
			return nil, errors.New("the cache was not made for it")
		}
	}
	return a, nil
}

// HasApp reports whether the app is configured.
func (f *Filter) HasApp(app string) bool { return f.apps[app] != nil }

// CanDeliver decides one check. The ids in it must be valid ([ValidateUserID])
// and AtLeast, if set, of this app ([Revision.Of]); callers check that where
// the request comes in, because only there can the mistake be named.
//
// It answers from memory if the lists it needs are there. Otherwise it waits
// for the database, about [Options.LoadTimeout] at the most, and what is not
// known by then is answered as the app's [OnUnknown] says.
func (f *Filter) CanDeliver(check Check) Decision {
	// One check in sampleEvery is timed: reading the clock twice would cost
	// more than the decision. The generator is per thread, nothing is shared.
	if rand.Uint32()%sampleEvery != 0 {
		d := f.decide(&check, nil)
		f.metrics.count(&check, &d)
		return d
	}
	begun := time.Now()
	d := f.decide(&check, nil)
	f.metrics.observe(check.API, time.Since(begun))
	f.metrics.count(&check, &d)
	return d
}
