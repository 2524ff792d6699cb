package config

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRandomConfigurations sets random sets of keys, prints what results and
// reads it again: whatever can be configured can be printed and means the same.
func TestRandomConfigurations(t *testing.T) {
	cases := slices.DeleteFunc(slices.Concat(keyCases, tlsCases, dialectCases), func(tc keyCase) bool {
		return !strings.HasPrefix(tc.key, "apps.") && (strings.Contains(tc.key, "jwt") || strings.Contains(tc.key, ".tls.")) || secret(tc.key) ||
			tc.key == "probe.interval" // with it the prober's keys have to fit each other
	})
	random := rand.New(rand.NewPCG(1, 2)) // the same sets each time
	for range 50 {
		d, set := document{}, []keyCase{}
		for _, tc := range cases {
			if random.IntN(3) == 0 && !strings.Contains(tc.key, ".dialects.") {
				d.set(tc.key, tc.yaml)
				set = append(set, tc)
			}
		}
		var b strings.Builder
		d.write(&b, "")
		c := load(t, Source{File: write(t, b.String())})
		for _, tc := range set {
			if got := tc.get(c); !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("%s = %v, want %v, in\n%s", tc.key, got, tc.want, b.String())
			}
		}
		printed, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := load(t, Source{File: write(t, string(printed))})
		again.origin, c.origin, again.Warnings, c.Warnings = nil, nil, nil, nil // they name the file
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("%s\nis printed as\n%s\nwhich means something else", b.String(), printed)
		}
	}
}

// secret reports whether a key's value is hidden when it is printed.
func secret(key string) bool {
	return strings.HasSuffix(key, "tokens") || strings.HasSuffix(key, "keys") || strings.HasSuffix(key, "headers") || strings.Contains(key, "secret") || key == "log.id_key" || key == "probe.token" || key == "postgres.url"
}

// TestOneFaultyKey: a wrong value in any one key is one fault, at its place,
// whatever else is set.
func TestOneFaultyKey(t *testing.T) {
	for _, tc := range slices.Concat(keyCases, tlsCases, dialectCases) {
		path := write(t, tc.file("{wrong: {}}"))
		_, err := Load(Source{File: path})
		want := strings.Replace(tc.key, "*", "acme", 1) + " at " + path + ":"
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s as a mapping: %v, want %s…", tc.key, err, want)
		}
	}
}
