package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// tokenBytes is the entropy of a token: as much as its hash keeps.
const tokenBytes = 32

type tokenCmd struct {
	Stdin bool `help:"Do not make a token: read one from the standard input, as one line, and print its hash."`
	JSON  bool `name:"json" help:"Print JSON."`
}

// Help is shown by token --help.
func (*tokenCmd) Help() string {
	return "Prints a new random token and its hash. Give the token to the client, and the hash, with its sha256:, to the " +
		"tokens of a listener: whoever reads the configuration then learns no token. Nothing is stored."
}

// Run makes a token, or hashes one.
func (c *tokenCmd) Run(p *program) error {
	plain, err := c.plain(p)
	if err != nil {
		return err
	}
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(plain)))
	if c.Stdin {
		plain = "" // whoever has typed it knows it; a terminal need not show it again
	}
	if c.JSON {
		text, err := json.Marshal(struct {
			Token  string `json:"token,omitempty"`
			SHA256 string `json:"sha256"`
		}{plain, sum})
		if err != nil {
			return fmt.Errorf("encode a token: %w", err)
		}
		p.say("%s", text)
		return nil
	}
	if plain != "" {
		p.say("token:  %s", plain)
	}
	p.say("sha256: %s", sum)
	return nil
}

func (c *tokenCmd) plain(p *program) (string, error) {
	if !c.Stdin {
		random := make([]byte, tokenBytes)
		_, _ = rand.Read(random) // never fails: it ends the process instead
		return base64.RawURLEncoding.EncodeToString(random), nil
	}
	line, err := bufio.NewReader(io.LimitReader(p.stdin, 8<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", usageError{fmt.Errorf("read a token: %w", err)}
	}
	plain := strings.TrimSpace(line)
	if plain == "" || strings.ContainsFunc(plain, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", usageError{errors.New("the standard input holds no token: one line of ASCII without spaces")}
	}
	return plain, nil
}
