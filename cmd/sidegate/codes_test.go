package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// scene is where codes are provoked.
type scene struct {
	t     *testing.T
	whole *served // everything is there
	dark  *served // its database has never answered, and one owner may be asked about once a second
}

const codesFile = `
api: {tokens: [root, {name: acme, token: acme, apps: [acme]}]%s}
ops: {tokens: [{name: staff, token: staff, scopes: [staff]}]}
apps: {acme: {}, tiny: {limit: 1}}
`

// provocations holds for every code how it is provoked. Whoever adds a code adds
// a line.
var provocations = map[border.Code]func(s *scene) answer{
	"bad_request":       func(s *scene) answer { return s.raw(border.DoorCheck, "GET /v1/can-deliver HTTP/1.1\r\n\r\n") },
	"unknown_parameter": func(s *scene) answer { return s.check("sender=a&recipient=b&room_type=direct&x=1") },
	"invalid_parameter": func(s *scene) answer { return s.check("sender=a&recipient=b&room_type=direct&verify=2") },
	"invalid_room_type": func(s *scene) answer { return s.check("sender=a&recipient=b&room_type=x") },
	"unknown_field":     func(s *scene) answer { return s.post(`{"sendr":"a"}`) },
	"invalid_json":      func(s *scene) answer { return s.post(`[]`) },
	"unexpected_body":   func(s *scene) answer { return s.api("DELETE", "/blocks/x", `{}`) },
	"invalid_user_id":   func(s *scene) answer { return s.check("sender=&recipient=b&room_type=direct") },
	"self_block":        func(s *scene) answer { return s.api("PUT", "/blocks/bob", "") },
	"invalid_expiry":    func(s *scene) answer { return s.api("PUT", "/blocks/x", `{"expires_at":"2001-01-01T00:00:00Z"}`) },
	"invalid_note":      func(s *scene) answer { return s.api("PUT", "/blocks/x", `{"note":"`+strings.Repeat("n", 1025)+`"}`) },
	"invalid_revision":  func(s *scene) answer { return s.check("sender=a&recipient=b&room_type=direct&at_least=x") },
	"invalid_cursor":    func(s *scene) answer { return s.api("GET", "/blocks?cursor=x", "") },
	"invalid_limit":     func(s *scene) answer { return s.api("GET", "/blocks?limit=0", "") },
	"conflicting_batch": func(s *scene) answer { return s.api("POST", "/blocks:batch", `{"add":["x"],"remove":["x"]}`) },
	"invalid_user": func(s *scene) answer {
		return s.api("PUT", "", `{"nickname":"`+strings.Repeat("n", filter.MaxNicknameBytes+1)+`"}`)
	},

	"unauthenticated": func(s *scene) answer { return s.whole.ask("GET", border.DoorOps, "/v1/status", "") },
	"forbidden": func(s *scene) answer {
		return s.whole.ask("GET", border.DoorAPI, listOf("default", "bob")+"/blocks", "", "Authorization", "Bearer acme")
	},
	"not_found":          func(s *scene) answer { return s.whole.ask("GET", border.DoorOps, "/nowhere", "") },
	"wrong_listener":     func(s *scene) answer { return s.whole.ask("GET", border.DoorCheck, "/metrics", "") },
	"unknown_app":        func(s *scene) answer { return s.check("app=ghost&sender=a&recipient=b&room_type=direct") },
	"block_not_found":    func(s *scene) answer { return s.api("DELETE", "/blocks/nobody", "") },
	"user_not_found":     func(s *scene) answer { return s.api("GET", "", "") },
	"method_not_allowed": func(s *scene) answer { return s.whole.ask("PATCH", border.DoorCheck, "/v1/can-deliver", "") },
	"not_acceptable": func(s *scene) answer {
		return s.whole.ask("GET", border.DoorAPI, "/v1/apps/acme/export", "", "Authorization", "Bearer root", "Accept", "image/png")
	},
	"import_refused": func(s *scene) answer {
		return s.whole.ask("POST", border.DoorAPI, "/v1/apps/acme/import?atomic=1", `{"owner":"a","target":"a"}`,
			"Authorization", "Bearer root", "Content-Type", "application/x-ndjson")
	},
	"invalid_configuration": func(s *scene) answer {
		s.dark.configure("apps: {acme: {limt: 1}}")
		return s.dark.ask("POST", border.DoorOps, "/v1/reload", "", "Authorization", "Bearer staff")
	},
	"request_timeout": func(s *scene) answer {
		url := s.listener(faulty{}, server.Options{ReadTimeout: 50 * time.Millisecond})
		return rawAnswer(s.t, url, "GET /v1/ap")
	},
	"limit_exceeded": func(s *scene) answer {
		s.whole.ask("PUT", border.DoorAPI, listOf("tiny", "bob")+"/blocks/1", "", "Authorization", "Bearer root")
		return s.whole.ask("PUT", border.DoorAPI, listOf("tiny", "bob")+"/blocks/2", "", "Authorization", "Bearer root")
	},
	"directory_read_only": func(s *scene) answer {
		psql(s.t, s.whole.cfg.Postgres.URL, `create or replace view sidegate.profile as
			select 'acme' collate "C" as app, 'bob' collate "C" as id, 'Bob' as nickname, '' as avatar_url, '' as profile_url, false as is_online,
			       null::timestamptz as last_login_at, null::timestamptz as last_seen_at, null::jsonb as metadata, null::timestamptz as updated_at`)
		return s.api("PUT", "", `{}`)
	},
	"length_required": func(s *scene) answer {
		return s.raw(border.DoorCheck, "POST /v1/can-deliver HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	},
	"too_large": func(s *scene) answer { return s.post(strings.Repeat(" ", 17<<10)) },
	"unsupported_media_type": func(s *scene) answer {
		return s.whole.ask("POST", border.DoorCheck, "/v1/can-deliver", "{}", "Content-Type", "x")
	},
	"rate_limited": func(s *scene) (a answer) {
		for range 100 { // as long as seconds go by between two
			if a = s.dark.ask("GET", border.DoorAPI, listOf("acme", "often")+"/blocks", "", "Authorization", "Bearer root"); a.status == http.StatusTooManyRequests {
				break
			}
		}
		return a
	},
	"header_too_large": func(s *scene) answer {
		return s.raw(border.DoorCheck, "GET / HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 9<<10)+"\r\n\r\n")
	},

	"internal": func(s *scene) answer {
		url := s.listener(faulty{err: errors.New(`ERROR: relation "sidegate.secret" does not exist (SQLSTATE 42P01)`)}, server.Options{})
		return ask(s.t, s.whole.client, "GET", url+listOf("acme", "bob")+"/blocks", "")
	},
	"overloaded": func(s *scene) answer {
		url := s.listener(faulty{}, server.Options{Concurrency: 1})
		first, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = first.Close() }()
		var a answer
		waitFor(s.t, "the first connection is there", func() bool {
			a = rawAnswer(s.t, url, "GET /v1/nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			return a.status == http.StatusServiceUnavailable
		})
		return a
	},
	"not_ready": func(s *scene) answer { return s.dark.ask("GET", border.DoorOps, "/readyz", "") },
	"unknown": func(s *scene) answer {
		return s.dark.ask("GET", border.DoorCheck, "/v1/can-deliver?sender=a&recipient=b&room_type=direct", "")
	},
	"not_fresh_enough": func(s *scene) answer {
		written := s.api("PUT", "/blocks/later", "")
		revision, err := filter.ParseRevision(written.header.Get("Sidegate-Revision"))
		if err != nil {
			s.t.Fatal(err)
		}
		revision.Version += 1000 // a write that has yet to be made
		return s.check("app=acme&sender=a&recipient=bob&room_type=direct&at_least=" + revision.String())
	},
	"store_unavailable": func(s *scene) answer {
		return s.dark.ask("PUT", border.DoorAPI, listOf("acme", "bob")+"/blocks/x", "", "Authorization", "Bearer root")
	},
	"outcome_unknown": func(s *scene) answer {
		url := s.listener(faulty{err: &filter.Error{
			Code: filter.CodeOutcomeUnknown, Detail: "the connection was lost", Err: io.ErrUnexpectedEOF,
		}}, server.Options{})
		return ask(s.t, s.whole.client, "PUT", url+listOf("acme", "bob")+"/blocks/x", "")
	},
}

func (s *scene) check(query string) answer {
	return s.whole.ask("GET", border.DoorCheck, "/v1/can-deliver?"+query, "")
}

func (s *scene) post(body string) answer {
	return s.whole.ask("POST", border.DoorCheck, "/v1/can-deliver", body)
}

// api asks about bob of acme.
func (s *scene) api(method, suffix, body string) answer {
	return s.whole.ask(method, border.DoorAPI, listOf("acme", "bob")+suffix, body, "Authorization", "Bearer root")
}

func (s *scene) raw(door border.Door, raw string) answer {
	return rawAnswer(s.t, s.whole.urls[door], raw)
}

func rawAnswer(t *testing.T, url, raw string) answer {
	t.Helper()
	c := &rawConn{address: strings.TrimPrefix(url, "http://")}
	defer c.close()
	a, err := c.try(raw)
	if err != nil {
		t.Fatalf("%.100q: %v", raw, err)
	}
	return a
}

// faulty are block lists of which each answer is an error.
type faulty struct {
	server.BlockLists
	err error
}

func (f faulty) Block(context.Context, filter.BlockRequest) (filter.BlockResult, error) {
	return filter.BlockResult{}, f.err
}

func (f faulty) List(context.Context, filter.ListRequest) (filter.ListResult, error) {
	return filter.ListResult{}, f.err
}

// listener serves lists on a real api listener, for what the whole program cannot
// be brought to within a test, and returns its URL.
func (s *scene) listener(lists server.BlockLists, opts server.Options) string {
	s.t.Helper()
	opts.Listen = []border.Address{{Network: "tcp", Address: "127.0.0.1:0"}}
	opts.Open, opts.Logger = true, slog.New(slog.DiscardHandler)
	l, err := server.NewAPI(lists, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	s.t.Cleanup(func() {
		s.whole.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run = %v", err)
		}
	})
	return "http://" + l.Addrs()[0].String()
}

// TestEveryCodeOverHTTP provokes every code that there is: one that no request
// can bring about would be a promise that nobody keeps.
func TestEveryCodeOverHTTP(t *testing.T) {
	s := &scene{
		t:     t,
		whole: serveHere(t, pgtest.Database(t), fmt.Sprintf(codesFile, "")).started(t),
		dark:  serveHere(t, "postgres://127.0.0.1:1/none?connect_timeout=1", fmt.Sprintf(codesFile, ", rate: {per_owner: 1}")),
	}
	for _, code := range border.Codes() {
		provoke := provocations[code]
		if provoke == nil {
			t.Errorf("%s is in the table of codes, and nobody has said how to provoke it", code)
			continue
		}
		a := provoke(s)
		want := border.Problem{Code: code}
		if got := a.problem(t); got != string(code) || a.status != want.Status() {
			t.Errorf("%s: the answer is %v", code, a)
		}
		if again := a.header.Get("Retry-After"); (again != "") != want.RetryAfter() {
			t.Errorf("%s: Retry-After is %q", code, again)
		}
		for _, ours := range []string{"SQLSTATE", "relation", "goroutine", "127.0.0.1", "EOF", ".go:"} {
			if strings.Contains(a.body, ours) {
				t.Errorf("%s shows what is for the log: %v", code, a)
			}
		}
	}
	for code := range provocations {
		if (border.Problem{Code: code}).Status() == http.StatusInternalServerError && code != border.CodeInternal {
			t.Errorf("%s is provoked, and no code", code)
		}
	}
}
