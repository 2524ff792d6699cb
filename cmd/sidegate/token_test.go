package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

var tokenLines = regexp.MustCompile(`^token:  ([A-Za-z0-9_-]{43})\nsha256: (sha256:[0-9a-f]{64})\n$`)

// TestToken: what is printed works where it is meant to stand.
func TestToken(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		got := command(t, nil, "token")
		found := tokenLines.FindStringSubmatch(got.stdout)
		if got.code != exitOK || found == nil || seen[found[1]] {
			t.Fatalf("%+v", got)
		}
		seen[found[1]] = true
		if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(found[1]))); found[2] != want {
			t.Errorf("the hash is %s, want %s", found[2], want)
		}
		file := filepath.Join(t.TempDir(), "sidegate.yaml")
		if err := os.WriteFile(file, []byte("api: {tokens: ['"+found[2]+"']}\nops: {tokens: ['"+found[1]+"']}"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Source{File: file})
		if err != nil {
			t.Fatal(err)
		}
		if c.API.Tokens[0].SHA256 != c.Ops.Tokens[0].SHA256 {
			t.Error("token and hash are not the same credential")
		}
	}
}

func TestTokenInJSON(t *testing.T) {
	got := command(t, nil, "token", "--json")
	var doc struct{ Token, SHA256 string }
	if err := json.Unmarshal([]byte(got.stdout), &doc); err != nil || fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(doc.Token))) != doc.SHA256 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestTokenFromStdin: a token that is there already is hashed, and not shown.
func TestTokenFromStdin(t *testing.T) {
	const hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
	hashOf := func(in io.Reader, args ...string) outcome {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), append([]string{"token", "--stdin"}, args...), &program{stdin: in, stdout: &stdout, stderr: &stderr})
		return outcome{code, stdout.String(), stderr.String()}
	}
	for _, in := range []string{"secret", "secret\n", " secret \r\n", "secret\nmore"} {
		if got := hashOf(strings.NewReader(in)); got.code != exitOK || got.stdout != "sha256: "+hash+"\n" {
			t.Errorf("%q: %+v", in, got)
		}
	}
	if got := hashOf(strings.NewReader("secret"), "--json"); got.stdout != `{"sha256":"`+hash+"\"}\n" {
		t.Errorf("%+v", got)
	}
	for name, in := range map[string]io.Reader{
		"nothing": strings.NewReader(""), "an empty line": strings.NewReader("\nsecret"), "two words": strings.NewReader("a b"),
		"another script": strings.NewReader("sécret"), "a broken pipe": iotest.ErrReader(errors.New("broken")),
	} {
		if got := hashOf(in); got.code != exitUsage || got.stdout != "" || got.stderr == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
