package main

import (
	"net"
	"strings"
)

// greet tells the user of dev what runs where and what to try. Every line that
// begins with a command works when it is pasted into a shell.
func (p *program) greet(s *sidegate, token string) {
	p.say("\nsidegate is ready.\n")
	if s.check != nil {
		p.say("  check  %-28s decisions: for the chat server beside it", urls(s.check.Addrs()))
	}
	if s.api != nil {
		p.say("  api    %-28s block lists: for your app's backend, open to everyone in dev", urls(s.api.Addrs()))
	}
	if s.ops != nil {
		p.say("  ops    %-28s metrics and probes: for Prometheus, kubelet and staff", urls(s.ops.Addrs()))
	}
	p.say("\nIn the demo data Bob has blocked Alice. Try:\n")
	if s.check != nil {
		p.say("  curl %s", curl(s.check.Addrs()[0], "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct"))
	}
	if s.api != nil {
		p.say("  curl -X PUT %s", curl(s.api.Addrs()[0], "/v1/apps/default/users/carol/blocks/dave"))
	}
	if s.check != nil {
		p.say("  curl %s", curl(s.check.Addrs()[0], "/v1/can-deliver?sender=dave&recipient=carol&room_type=direct"))
	}
	// The line must work at every start, and the row stays from the first.
	if s.store.own { // another URL may hold a password
		p.say("  psql '%s' -c \"INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'erin', 'frank') ON CONFLICT DO NOTHING\"", s.cfg.Postgres.URL)
	}
	if s.ops != nil {
		p.say("  curl -H 'Authorization: Bearer %s' %s", token, curl(s.ops.Addrs()[0], "/v1/status"))
	}
	p.say("\nCtrl-C stops everything; the data stays for the next start.")
}

// urls lists addresses as a person reads them.
func urls(addrs []net.Addr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = "http://" + a.String()
		if a.Network() == "unix" {
			out[i] = "unix://" + a.String()
		}
	}
	return strings.Join(out, " ")
}

// curl is what follows curl on a command line, quoted for a shell.
func curl(a net.Addr, path string) string {
	if a.Network() == "unix" {
		return "--unix-socket '" + a.String() + "' 'http://localhost" + path + "'"
	}
	return "'http://" + a.String() + path + "'"
}
