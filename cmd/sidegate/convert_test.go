package main

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var convertedAt = time.Date(2031, 1, 31, 12, 0, 0, 0, time.UTC)

// convertText runs a converter and returns what it wrote.
func convertText(format, text string) (string, error) {
	var out strings.Builder
	lines := newLineWriter(&out, "bob", convertedAt)
	err := converters[format].convert(bufio.NewReader(strings.NewReader(text)), lines)
	_ = lines.flush() // into memory
	return out.String(), err
}

const (
	firstLine  = `{"owner":"bob","target":"u1","created_at":"2031-01-31T11:59:00Z"}` + "\n"
	secondLine = `{"owner":"bob","target":"u2","created_at":"2031-01-31T11:58:59.999999Z"}` + "\n"
)

func TestConverters(t *testing.T) {
	const row = `{"blockee":{"_id":"ccc","nickname":"Cathy","id":"ccc"},"blocker":"aaa","room":{"_id":"2bec","roomType":"direct"},"createdAt":"2021-08-04T15:18:10.735Z"}`
	const imkitLine = `{"owner":"aaa","target":"ccc","created_at":"2021-08-04T15:18:10.735Z"}` + "\n"
	for _, c := range []struct {
		name, format, text, want, wrong string
	}{
		{"without a header", "mastodon", "u1\nu2\n", firstLine + secondLine, ""},
		{"with a header and more columns", "mastodon", "\ufeffHide notifications,Account address\r\nfalse,u1\r\n,\r\ntrue,u2", firstLine + secondLine, ""},
		{"nothing", "mastodon", "", "", ""},
		{"a row too short", "mastodon", "x,Account address\na,u1\nb\n", firstLine, "line 3 has 1 columns"},
		{"not CSV", "mastodon", "u1\n\"u2\n", firstLine, "quote"},

		{"one answer", "rongcloud", `{"code":200,"users":["u1","u2"]}`, firstLine + secondLine, ""},
		{"several answers", "rongcloud", `{"code":200,"users":["u1"]}` + "\n" + `{"code":200,"users":["u2"]}`, firstLine + secondLine, ""},
		{"an empty list", "rongcloud", `{"code":200,"users":[]}`, "", ""},
		{"an error", "rongcloud", `{"code":1002,"errorMessage":"x"}`, "", "its code is 1002"},
		{"no list", "rongcloud", `{"code":200}`, "", "no answer with a list"},
		{"an empty file", "rongcloud", "", "", "the file is empty"},
		{"a broken second answer", "rongcloud", `{"code":200,"users":["u1"]}{"co`, firstLine, "answer 2: "},

		{"pages", "sendbird", `{"users":[{"user_id":"u1","nickname":"x"}],"next":"t"} {"users":[{"user_id":"u2"}],"next":""}`, firstLine + secondLine, ""},
		{"an error", "sendbird", `{"message":"\"User\" not found.","code":400201,"error":true}`, "", "no answer with a list"},
		{"ids that are no text", "sendbird", `{"users":[{"user_id":7}]}`, "", "answer 1: "},

		{"a list", "imkit", `{"RC":0,"RM":"OK","result":{"data":[` + row + `]}}`, imkitLine, ""},
		{"an empty list", "imkit", `{"RC":0,"RM":"OK","result":{"data":[]}}`, "", ""},
		{"a group", "imkit", `{"RC":0,"result":{"data":[` + strings.Replace(row, `"direct"`, `"group"`, 1) + `]}}`,
			`{"owner":"2bec","target":"ccc","created_at":"2021-08-04T15:18:10.735Z","kind":"room"}` + "\n", ""},
		{"a list of a room", "imkit", `{"RC":0,"result":{"data":[{"blockee":{"id":"c"},"blocker":{"_id":"a"},"room":{"id":"r","roomType":"group"},"createdAt":"2021-08-04T15:18:10Z"}]}}`,
			`{"owner":"r","target":"c","created_at":"2021-08-04T15:18:10Z","kind":"room"}` + "\n", ""},
		{"an error", "imkit", `{"RC":401,"RM":"Unauthorized","error":{"code":"INVALID_TOKEN"}}`, "", "its RC is 401"},
		{"no list", "imkit", `{"RC":0,"result":{}}`, "", "no answer with a list"},
	} {
		got, err := convertText(c.format, c.text)
		if got != c.want || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s, %s: %q, %v, want %q, %s", c.format, c.name, got, err, c.want, c.wrong)
		}
	}
}

// fuzzConverter: whatever the file, no panic, and whole lines of JSON or none.
func fuzzConverter(f *testing.F, format string, seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, _ := convertText(format, text) // an error is an answer
		if out != "" && !strings.HasSuffix(out, "\n") {
			t.Errorf("the last line has no end: %q", out)
		}
		for line := range strings.Lines(out) {
			var l importLine
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.CreatedAt.IsZero() {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
}

func FuzzConvertMastodon(f *testing.F) {
	fuzzConverter(f, "mastodon", "Account address,Hide\na@b.c,true\n", "a@b.c\n")
}

func FuzzConvertRongCloud(f *testing.F) {
	fuzzConverter(f, "rongcloud", `{"code":200,"users":["a"]}`)
}

func FuzzConvertSendbird(f *testing.F) {
	fuzzConverter(f, "sendbird", `{"users":[{"user_id":"a"}],"next":""}`)
}

func FuzzConvertIMKit(f *testing.F) {
	fuzzConverter(f, "imkit", `{"RC":0,"result":{"data":[{"blockee":{"_id":"a"},"blocker":"b","room":{"roomType":"group","id":"r"},"createdAt":"2021-08-04T15:18:10Z"}]}}`)
}
