package server

import (
	"errors"
	"fmt"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// checkRules are those of the check listener.
func checkRules(d *door, f *filter.Filter, auth border.Authenticator) *rules {
	return &rules{
		routes: append((&checks{filter: f, door: d}).routes(), describe()),
		auth:   auth, open: true, filter: f,
	}
}

// apiRules are those of the api listener.
func apiRules(d *door, lists BlockLists, opts Options) (*rules, error) {
	if lists == nil {
		return nil, errors.New("server: api listener: block lists are required")
	}
	if err := checkSurfaces(opts.Surfaces); err != nil {
		return nil, fmt.Errorf("server: api listener: %w", err)
	}
	by := &rules{auth: opts.Auth, open: opts.Open, surfaces: opts.Surfaces}
	by.rates = newRates(opts.Rate, opts.Metrics.rateLimited(filter.APINative))
	by.routes = (&blocks{lists: lists, door: d}).routes()
	if opts.Rooms != nil {
		by.routes = append(by.routes, (&rooms{direct: opts.Rooms, door: d}).routes()...)
	}
	if opts.Users != nil {
		by.routes = append(by.routes, (&users{directory: opts.Users, door: d}).routes()...)
	}
	if opts.Transfers != nil {
		by.routes = append(by.routes, (&transfers{all: opts.Transfers, door: d}).routes()...)
	}
	by.routes = append(by.routes, describe())
	return by, nil
}

// ReloadCheck exchanges what decides and who may ask, on the check listener, while
// it serves. A request is answered by what was there when it began, every later one
// by f. The metrics of f must be those of the filter that the listener was made
// with.
func (l *Listener) ReloadCheck(f *filter.Filter, auth border.Authenticator) {
	l.door.rules.Store(checkRules(l.door, f, auth))
}

// ReloadAPI exchanges what [NewAPI] was given, on the api listener, while it
// serves: the lists and, of the options, Auth, Open, Rate, Surfaces, Rooms, Users
// and Transfers; the others stay as they are. A request is answered by what was
// there when it began. An error leaves everything in force. A rate that has not
// changed goes on counting where it was.
func (l *Listener) ReloadAPI(lists BlockLists, opts Options) error {
	opts.Metrics = l.opts.Metrics
	by, err := apiRules(l.door, lists, opts)
	if err != nil {
		return err
	}
	if old := l.door.rules.Load(); old.rates.rate() == opts.Rate {
		by.rates = old.rates
	}
	l.door.rules.Store(by)
	return nil
}
