package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// line is one connection to a listener, kept over exchanges of its rules.
type line struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

func (r *running) line(t *testing.T) *line {
	nc := r.dial()
	t.Cleanup(func() { _ = nc.Close() })
	return &line{t, nc, bufio.NewReader(nc)}
}

func (l *line) ask(raw string) answer {
	l.t.Helper()
	if _, err := io.WriteString(l.nc, raw); err != nil {
		l.t.Fatal(err)
	}
	a, err := readAnswer(l.in, false)
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

// TestReloadCheck: a connection that stays open is answered by what is in force,
// whoever reads its requests: with a credential asked for or without.
func TestReloadCheck(t *testing.T) {
	w := blockedWorld(t)
	var l *Listener
	r := run(t, Options{}, func(o Options) (_ *Listener, err error) { l, err = NewCheck(w.filter, o); return l, err })
	rejecting := filter.Default()
	rejecting.Rooms[filter.Direct].OnBlock = filter.OnBlockReject
	other, err := filter.New(filter.Options{Cache: w.cache, Apps: map[string]filter.Policy{"default": rejecting}, Metrics: filter.NewMetrics(nil)})
	if err != nil {
		t.Fatal(err)
	}
	asked := people{"t1": {Scopes: border.ScopeApp}}
	conn := r.line(t)
	steps := []struct {
		filter *filter.Filter
		auth   border.Authenticator
		raw    string
		status int
		want   string
	}{
		{w.filter, nil, plainOnes[0], 200, `"action":"drop"`},
		{other, nil, plainOnes[0], 200, `"action":"reject"`},
		{other, asked, plainOnes[0], 401, "unauthenticated"},
		{other, asked, strings.Replace(plainOnes[0], "\r\n\r\n", "\r\nAuthorization: Bearer t1\r\n\r\n", 1), 200, `"action":"reject"`},
		{w.filter, nil, plainOnes[0], 200, `"action":"drop"`},
	}
	for round := range 3 {
		for i, s := range steps {
			l.ReloadCheck(s.filter, s.auth)
			if a := conn.ask(s.raw); a.status != s.status || !strings.Contains(a.body, s.want) || a.closes {
				t.Errorf("round %d, step %d: %d %s, want %d with %s", round, i, a.status, a.body, s.status, s.want)
			}
		}
	}
}

// TestReloadAPI: routes, surfaces and credentials are those of the last exchange;
// one that cannot be is refused whole.
func TestReloadAPI(t *testing.T) {
	var l *Listener
	named := func(name string) *fakeLists {
		return &fakeLists{get: func(context.Context, filter.ListID, string) (filter.Block, error) {
			return filter.Block{Note: name}, nil
		}}
	}
	r := run(t, Options{Open: true}, func(o Options) (_ *Listener, err error) { l, err = NewAPI(named("first"), o); return l, err })
	conn := r.line(t)
	const target = "/v1/apps/default/users/bob/blocks/alice"
	get := request("GET", target, "")
	if a := conn.ask(get); !strings.Contains(a.body, "first") {
		t.Errorf("before: %d %s", a.status, a.body)
	}
	surface := &vendor{func(_ context.Context, req *fasthttp.RequestCtx) string {
		req.SetBodyString("the vendor")
		return "/vendor/x"
	}}
	if err := l.ReloadAPI(named("second"), Options{Open: true, Surfaces: []Surface{surface}}); err != nil {
		t.Fatal(err)
	}
	if err := l.ReloadAPI(named("third"), Options{Open: true, Surfaces: []Surface{surface, surface}}); err == nil {
		t.Error("two surfaces of one name were taken")
	}
	if a := conn.ask(get); !strings.Contains(a.body, "second") {
		t.Errorf("after: %d %s", a.status, a.body)
	}
	if a := conn.ask(request("GET", "/vendor/x", "")); a.body != "the vendor" {
		t.Errorf("the new surface: %d %s", a.status, a.body)
	}
	if err := l.ReloadAPI(named("fourth"), Options{Auth: twoCredentials()}); err != nil {
		t.Fatal(err)
	}
	if a := conn.ask(get); a.status != 401 {
		t.Errorf("without the credential: %d %s", a.status, a.body)
	}
	if a := conn.ask(request("GET", "/vendor/x", "")); a.code(t) != "not_found" {
		t.Errorf("the surface that is gone: %d %s", a.status, a.body)
	}
}

// TestReloadFinishesWithTheOld: a request that is under way ends by the rules that
// it began with.
func TestReloadFinishesWithTheOld(t *testing.T) {
	var l *Listener
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := &fakeLists{get: func(context.Context, filter.ListID, string) (filter.Block, error) {
		close(entered)
		<-leave
		return filter.Block{Note: "old"}, nil
	}}
	r := run(t, Options{Open: true}, func(o Options) (_ *Listener, err error) { l, err = NewAPI(slow, o); return l, err })
	conn := r.line(t)
	answered := make(chan answer, 1)
	go func() { answered <- conn.ask(request("GET", "/v1/apps/default/users/bob/blocks/alice", "")) }()
	<-entered
	if err := l.ReloadAPI(&fakeLists{}, Options{Auth: twoCredentials()}); err != nil {
		t.Fatal(err)
	}
	close(leave)
	if a := <-answered; a.status != 200 || !strings.Contains(a.body, "old") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestReloadKeepsCounting: reloading must not be a way round a rate.
func TestReloadKeepsCounting(t *testing.T) {
	opts := Options{Open: true, Rate: Rate{PerApp: 1}, Metrics: NewMetrics(prometheus.NewRegistry())}
	var l *Listener
	run(t, opts, func(o Options) (_ *Listener, err error) { l, err = NewAPI(&fakeLists{}, o); return l, err })
	before := l.door.rules.Load().rates
	if err := l.ReloadAPI(&fakeLists{}, opts); err != nil || l.door.rules.Load().rates != before {
		t.Errorf("the same rate counts anew, %v", err)
	}
	opts.Rate.PerApp = 2
	if err := l.ReloadAPI(&fakeLists{}, opts); err != nil || l.door.rules.Load().rates.rate() != opts.Rate {
		t.Errorf("the new rate is not in force, %v", err)
	}
	opts.Rate = Rate{}
	if err := l.ReloadAPI(&fakeLists{}, opts); err != nil || l.door.rules.Load().rates != nil {
		t.Errorf("there is still a rate, %v", err)
	}
}
