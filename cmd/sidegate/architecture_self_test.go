package main

import (
	"strings"
	"testing"
)

// TestArchitectureIsEnforced shows the rules a file that breaks each of them,
// and its sound neighbour.
func TestArchitectureIsEnforced(t *testing.T) {
	const sidegate = module + "/"
	imports := func(paths ...string) string {
		text := "package p\n"
		for _, p := range paths {
			name := ""
			if p == sidegate+"sync" {
				name = "blocksync "
			}
			text += "import " + name + "\"" + p + "\"\n"
		}
		return text
	}
	for _, tc := range []struct{ name, path, text, want string }{
		// Floors.
		{"leaf knows a leaf", "cache/x.go", imports(sidegate + "metrics"), "imports metrics, which does not stand below it"},
		{"leaf knows the decision", "cache/x.go", imports(sidegate + "filter"), "imports filter, which"},
		{"leaf's test knows the decision", "cache/x_test.go", imports(sidegate + "filter"), "imports filter, which"},
		{"decision knows the feed", "filter/x.go", imports(sidegate + "sync"), "imports sync, which"},
		{"feed knows the decision", "sync/x.go", imports(sidegate + "filter"), "imports filter, which"},
		{"core knows its door", "filter/x.go", imports(sidegate + "filter/server"), "imports filter/server, which"},
		{"door knows the store", "filter/server/x.go", imports(sidegate + "sync/postgres"), "imports sync/postgres, which"},
		{"store knows the door", "sync/postgres/x.go", imports(sidegate + "filter/server"), "imports filter/server, which"},
		{"anybody knows the program", "metrics/x.go", imports(sidegate + "cmd/sidegate/config"), "imports cmd/sidegate/config, which"},
		{"new package", "filter/sub/x.go", imports(), "stands on no floor"},
		{"folder of bench", "bench/history/x.go", imports(sidegate + "filter"), ""},
		{"down is fine", "filter/x.go", imports(sidegate + "cache"), ""},
		{"door on the core is fine", "filter/server/x.go", imports(sidegate+"filter", sidegate+"metrics/border"), ""},
		{"program knows all", "cmd/sidegate/x.go", imports(sidegate+"cache", sidegate+"sync", sidegate+"sync/postgres/localpg"), ""},
		{"program and pgtest", "cmd/sidegate/x.go", imports(sidegate + "sync/postgres/pgtest"), "imports sync/postgres/pgtest, which is for tests"},
		{"test and pgtest", "cmd/sidegate/x_test.go", imports(sidegate + "sync/postgres/pgtest"), ""},
		// What comes from elsewhere.
		{"ristretto in the decision", "filter/x.go", imports("github.com/dgraph-io/ristretto/v2"), "which only cache, bench may"},
		{"ristretto in a test", "filter/x_test.go", imports("github.com/dgraph-io/ristretto/v2"), "which only cache, bench may"},
		{"ristretto in cache", "cache/x.go", imports("github.com/dgraph-io/ristretto/v2"), ""},
		{"pgx in the feed", "sync/x.go", imports("github.com/jackc/pgx/v5"), "which only sync/postgres, bench may"},
		{"pgx below the store", "sync/postgres/localpg/x.go", imports("github.com/jackc/pgx/v5/pgconn"), ""},
		{"SQL in the program", "cmd/sidegate/x.go", imports("database/sql"), "which only sync/postgres may"},
		{"fasthttp in the core", "filter/x.go", imports("github.com/valyala/fasthttp"), "which only filter/server"},
		{"signed tokens at the door", "filter/server/x.go", imports("github.com/golang-jwt/jwt/v5"), "which only filter/server/jwtauth may"},
		{"keys in the program", "cmd/sidegate/x.go", imports("github.com/MicahParks/jwkset"), "which only filter/server/jwtauth may"},
		{"signed tokens in their place", "filter/server/jwtauth/x.go", imports("github.com/golang-jwt/jwt/v5"), ""},
		{"signed tokens and the listener", "filter/server/jwtauth/x.go", imports(sidegate + "filter/server"), "imports filter/server, which"},
		{"rates behind the door", "filter/x.go", imports("golang.org/x/time/rate"), "requests are held to a rate at the door"},
		{"dialect knows the door", "filter/rongcloud/x.go", imports(sidegate + "filter/server"), "imports filter/server, which"},
		{"dialect knows the store", "filter/rongcloud/x.go", imports(sidegate + "sync/postgres"), "imports sync/postgres, which"},
		{"dialect on the core is fine", "filter/rongcloud/x.go", imports(sidegate+"filter", sidegate+"cache", "github.com/valyala/fasthttp", "golang.org/x/time/rate"), ""},
		{"HTTP in the core", "filter/x.go", imports("net/http"), "the core does no I/O"},
		{"kong in a package", "metrics/x.go", imports("github.com/alecthomas/kong"), "which only cmd/sidegate may"},
		{"koanf in the program", "cmd/sidegate/x.go", imports("github.com/knadh/koanf/v2"), "which only cmd/sidegate/config may"},
		{"a path that begins alike", "filter/x.go", imports("github.com/jackc/pgxlike"), ""},
		{"testing", "filter/x.go", imports("testing"), "imports testing, which is for tests"},
		{"testing/synctest", "filter/x.go", imports("testing/synctest"), "which is for tests"},
		{"goleak", "filter/x.go", imports("go.uber.org/goleak"), "which is for tests"},
		{"testing in a test", "filter/x_test.go", imports("testing", "go.uber.org/goleak"), ""},
		{"testing in pgtest", "sync/postgres/pgtest/x.go", imports("testing"), ""},
		// Names.
		{"sync unnamed", "cmd/sidegate/x.go", "package p\nimport \"" + sidegate + "sync\"\n", "without the name blocksync"},
		{"sync by another name", "cmd/sidegate/x.go", "package p\nimport feed \"" + sidegate + "sync\"\n", "without the name blocksync"},
		{"standard sync", "cmd/sidegate/x.go", "package p\nimport \"sync\"\n", ""},
		{"dot import", "filter/x.go", "package p\nimport . \"fmt\"\n", "imports fmt as ."},
		{"driver by blank import", "sync/postgres/x.go", "package p\nimport _ \"github.com/jackc/pgx/v5/stdlib\"\n", "as _"},
		{"embed", "sync/postgres/x.go", "package p\nimport _ \"embed\"\n", ""},
		// The global registry.
		{"default registerer", "cache/x.go", prom + "var r = prometheus.DefaultRegisterer\n", "uses the global registry: prometheus.DefaultRegisterer"},
		{"must register", "cache/x.go", prom + "func f() { prometheus.MustRegister(nil) }\n", "prometheus.MustRegister"},
		{"renamed", "cache/x.go", "package p\nimport prom \"github.com/prometheus/client_golang/prometheus\"\nvar g = prom.DefaultGatherer\n", "prom.DefaultGatherer"},
		{"promauto", "cache/x.go", "package p\nimport \"github.com/prometheus/client_golang/prometheus/promauto\"\nvar c = promauto.NewCounter(x)\n", "promauto.NewCounter"},
		{"promauto on a registry", "cache/x.go", "package p\nimport \"github.com/prometheus/client_golang/prometheus/promauto\"\nvar c = promauto.With(r).NewCounter(x)\n", ""},
		{"handler", "metrics/x.go", "package p\nimport \"github.com/prometheus/client_golang/prometheus/promhttp\"\nvar h = promhttp.Handler()\n", "promhttp.Handler"},
		{"own registry", "cache/x.go", prom + "func f(r prometheus.Registerer) { r.MustRegister(nil) }\n", ""},
		// Sizes.
		{"long file", "cache/x.go", "package p\n" + strings.Repeat("//\n", 500), "has 501 lines, at most 500"},
		{"file at the ceiling", "cache/x.go", "package p\n" + strings.Repeat("//\n", 499), ""},
		{"long function", "cache/x.go", "package p\nfunc f() {\n" + strings.Repeat("_ = 0\n", 69) + "}\n", "f has 71 lines, at most 70"},
		{"function at the ceiling", "cache/x.go", "package p\nfunc f() {\n" + strings.Repeat("_ = 0\n", 68) + "}\n", ""},
		{"long test", "cache/x_test.go", "package p\nfunc f() {\n" + strings.Repeat("_ = 0\n", 100) + "}\n", ""},
		{"parameters", "cache/x.go", "package p\nfunc f(ctx context.Context, a, b int, c string, d, e bool) {}\n", "f has 5 parameters"},
		{"parameters at the ceiling", "cache/x.go", "package p\nfunc f(ctx context.Context, a, b int, c string, d bool) {}\n", ""},
		// Sleeping.
		{"sleep", "cache/x_test.go", "package p\nfunc f() {\n\ttime.Sleep(1)\n}\n", "sleeps in line 3"},
		{"sleep in a bubble", "cache/x_test.go", "package p\nfunc f() { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }\n", ""},
		{"sleep beside a bubble", "cache/x_test.go", "package p\nfunc f() { synctest.Test(t, func(t *testing.T) {}); time.Sleep(1) }\n", "sleeps in line 2"},
		{"the helper that waits", "cache/x_test.go", "package p\nfunc waitFor() { time.Sleep(1) }\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := parseSource(t, "", tc.path, []byte(tc.text))
			var wrong []string
			for _, r := range rules {
				wrong = append(wrong, r(s)...)
			}
			got := strings.Join(wrong, "\n")
			if tc.want == "" && got != "" {
				t.Errorf("a sound file is refused: %s", got)
			}
			if !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

const prom = "package p\nimport \"github.com/prometheus/client_golang/prometheus\"\n"
