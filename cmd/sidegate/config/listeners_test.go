package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestTakeOver: what somebody else has bound stands in place of the addresses, for
// the checks and for the configurations that come after, and a change is still told
// by what is written.
func TestTakeOver(t *testing.T) {
	const db = "postgres: {url: 'postgres://h/d'}\n"
	open := []Address{{Network: "tcp", Address: "0.0.0.0:7070"}}
	running := load(t, Source{File: write(t, db)})
	if err := running.TakeOver("check", open, "the socket"); err != nil {
		t.Fatal(err)
	}
	if err := running.CheckServe(); err == nil || !strings.Contains(err.Error(), "the socket: 0.0.0.0:7070 can be reached") {
		t.Errorf("an open socket without a credential: %v", err)
	}
	if err := running.TakeOver("chek", open, "the socket"); err == nil {
		t.Error("a listener that is none was taken over")
	}
	next, changes, err := load(t, Source{File: write(t, db+"check: {tokens: [t]}")}).Next(running)
	if err != nil || !reflect.DeepEqual(next.Check.Listen, open) || len(changes.Waiting) > 0 {
		t.Errorf("after a reload: %v, %v, %v", next.Check.Listen, changes, err)
	}
	if err := next.CheckServe(); err != nil {
		t.Errorf("with a token: %v", err)
	}
	_, changes, err = load(t, Source{File: write(t, db+"check: {listen: '127.0.0.1:1'}")}).Next(running)
	if err != nil || !reflect.DeepEqual(changes.Waiting, []string{"check.listen"}) {
		t.Errorf("after a change of the address: %v, %v", changes, err)
	}
}

// TestHalfACertificate: the other half is asked for, where the first stands.
func TestHalfACertificate(t *testing.T) {
	for _, tc := range []struct{ file, missing string }{
		{"{cert_file: /c}", "key_file"}, {"{key_file: /k}", "cert_file"}, {"{client_ca_file: /a, key_file: /k}", "cert_file"},
	} {
		for _, listener := range []string{"check", "api", "ops"} {
			_, err := Load(Source{File: write(t, listener+": {tls: "+tc.file+"}")})
			if err == nil || !strings.Contains(err.Error(), listener+".tls."+tc.missing+" is missing") || !strings.Contains(err.Error(), "sidegate.yaml:1") {
				t.Errorf("%s %s: %v", listener, tc.file, err)
			}
		}
	}
}

// TestMutualIsACredential: of the listener that asks for it, and of no other.
func TestMutualIsACredential(t *testing.T) {
	exposed := func(file string) string {
		c := load(t, Source{File: write(t, file)})
		var all []string
		for _, l := range c.listeners() {
			for _, err := range c.checkExposed(l) {
				all = append(all, err.Error())
			}
		}
		return strings.Join(all, "\n")
	}
	const files = "cert_file: /c, key_file: /k"
	for file, want := range map[string]string{
		"check: {listen: ':1', tls: {" + files + ", client_ca_file: /a}}":        "",
		"api: {listen: ':1', tls: {" + files + ", client_ca_file: /a}}":          "",
		"check: {listen: ':1', tls: {" + files + "}}":                            "check.listen",
		"check: {listen: ':1'}\napi: {tls: {" + files + ", client_ca_file: /a}}": "check.listen",
	} {
		if got := exposed(file); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", file, got)
		}
	}
}
