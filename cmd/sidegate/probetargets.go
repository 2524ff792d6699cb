package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sidegate/sidegate/cmd/sidegate/prober"
	"github.com/sidegate/sidegate/metrics/border"
)

// dnsTarget begins the address of targets that a name stands for, as that of a
// headless service does: dns:NAME:PORT, or dns+https:NAME:PORT.
const dnsTarget, dnsSecretTarget = "dns:", "dns+https:"

// probeTargets are the sidecars that a prober asks.
type probeTargets struct {
	app   string
	how   dialing
	fixed []prober.Target
	named []*namedTargets
	open  []*client // those of fixed
}

// newProbeTargets reads addresses: http(s)://host:port, unix:///path, or names.
// Nothing is asked yet.
func newProbeTargets(addresses []string, app string, how dialing) (*probeTargets, error) {
	how.keep = true
	t := &probeTargets{app: app, how: how}
	for i, address := range addresses {
		if slices.Contains(addresses[:i], address) {
			return nil, usageError{fmt.Errorf("the target %s is named twice", address)}
		}
		if strings.HasPrefix(address, dnsTarget) || strings.HasPrefix(address, dnsSecretTarget) {
			named, err := newNamedTargets(address)
			if err != nil {
				return nil, err
			}
			t.named = append(t.named, named)
			continue
		}
		c, err := newClient(address, how)
		if err != nil {
			return nil, err
		}
		t.add(address, c)
	}
	return t, nil
}

// add adds a target that stays.
func (t *probeTargets) add(name string, c *client) {
	t.open = append(t.open, c)
	t.fixed = append(t.fixed, prober.Target{Name: name, Ask: (&probeAsker{c, t.app}).ask})
}

// find implements prober.Options.Find.
func (t *probeTargets) find(ctx context.Context) ([]prober.Target, error) {
	all := slices.Clone(t.fixed)
	for _, n := range t.named {
		found, err := n.find(ctx, t)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// close closes the connections.
func (t *probeTargets) close() {
	for _, c := range t.open {
		c.http.CloseIdleConnections()
	}
	for _, n := range t.named {
		for _, place := range n.places {
			place.client.http.CloseIdleConnections()
		}
	}
}

// namedTargets are those that a name stands for at the moment. Each has a place,
// which gives it its name: addresses come and go without end, places do not.
type namedTargets struct {
	address, scheme, host, port string
	places                      map[int]namedTarget
	lookup                      func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

type namedTarget struct {
	at     netip.Addr
	client *client
}

func newNamedTargets(address string) (*namedTargets, error) {
	n := &namedTargets{address: address, scheme: "http", places: map[int]namedTarget{}, lookup: net.DefaultResolver.LookupNetIP}
	rest, secret := strings.CutPrefix(address, dnsSecretTarget)
	if secret {
		n.scheme = "https"
	} else {
		rest = strings.TrimPrefix(address, dnsTarget)
	}
	var err error
	if n.host, n.port, err = net.SplitHostPort(rest); err != nil || n.host == "" || n.port == "" {
		return nil, usageError{fmt.Errorf("%q names no targets; write dns:NAME:PORT, or dns+https:NAME:PORT", address)}
	}
	return n, nil
}

// find looks the name up. A place that has become free is taken again at a later
// look at the earliest, so that one place never has two targets in turn unnoticed.
func (n *namedTargets) find(ctx context.Context, t *probeTargets) ([]prober.Target, error) {
	addrs, err := n.lookup(ctx, "ip", n.host)
	if err != nil {
		return nil, unreachableError{fmt.Errorf("look up %s: %w", n.address, err)}
	}
	var gone []int
	for number, place := range n.places {
		if !slices.Contains(addrs, place.at) {
			gone = append(gone, number)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, addr := range slices.Compact(addrs) {
		if n.has(addr) {
			continue
		}
		how := t.how
		how.serverName = n.host
		c, err := newClient(n.scheme+"://"+net.JoinHostPort(addr.String(), n.port), how)
		if err != nil {
			return nil, err
		}
		number := 1
		for n.places[number].client != nil {
			number++
		}
		n.places[number] = namedTarget{addr, c}
	}
	for _, number := range gone {
		n.places[number].client.http.CloseIdleConnections()
		delete(n.places, number)
	}
	var found []prober.Target
	for number, place := range n.places {
		found = append(found, prober.Target{Name: fmt.Sprintf("%s#%d", n.address, number), Ask: (&probeAsker{place.client, t.app}).ask})
	}
	slices.SortFunc(found, func(a, b prober.Target) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func (n *namedTargets) has(addr netip.Addr) bool {
	for _, place := range n.places {
		if place.at == addr {
			return true
		}
	}
	return false
}

// probeAsker asks one sidecar.
type probeAsker struct {
	client *client
	app    string
}

// errNotByLists: what a probe finds out says nothing about block lists.
var errNotByLists = errors.New("messages between two users are not decided by block lists alone in this app; probe another one")

// ask implements prober.Target.
func (a *probeAsker) ask(ctx context.Context, q prober.Question) (prober.Answer, error) {
	query := url.Values{"sender": {q.Sender}, "recipient": {q.Recipient}, "room_type": {"direct"}, "app": {a.app}}
	if q.AtLeast != "" {
		query.Set("at_least", q.AtLeast)
	}
	_, body, err := a.client.do(ctx, call{method: http.MethodGet, path: "/v1/can-deliver", query: query})
	if refused, ok := errors.AsType[*problem](err); ok &&
		(refused.Code == string(border.CodeUnknown) || refused.Code == string(border.CodeNotFreshEnough)) {
		return prober.Answer{}, fmt.Errorf("%w: %w", prober.ErrUnknown, refused)
	}
	if err != nil {
		return prober.Answer{}, err
	}
	var d decision
	if err := a.client.decode(body, &d); err != nil {
		return prober.Answer{}, err
	}
	reason := d.Reason
	if d.Would != nil {
		reason = d.Would.Reason // the app is tried out; its lists are followed all the same
	}
	said := prober.Answer{Age: staleAge(d.StaleMS)}
	switch reason {
	case "recipient_blocked_sender":
		said.Blocked = true
	case "allowed":
	case "unknown":
		return prober.Answer{}, prober.ErrUnknown
	default:
		return prober.Answer{}, usageError{fmt.Errorf("%w (reason %s)", errNotByLists, printable(reason))}
	}
	return said, nil
}
