package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is a type of value: how it is read, and how it is printed again.
type kind struct {
	name string // for the reference: "duration"
	// parse reads what YAML makes of the value (string, int, bool, []any, …).
	// Its error says what is wrong and what would be right; it never holds a
	// secret.
	parse func(raw any) (any, error)
	// text turns a variable or a flag into what YAML would make of it; nil =
	// the text itself.
	text func(s string) (any, error)
	// show turns the value into what is printed, without secrets; nil = as it is.
	show func(v any) any
	// secret says that the value is one, or holds one: it may stand in a file of
	// its own.
	secret bool
	// opens says that the value is the path of a file, which a server reads.
	opens bool
	// schema describes what YAML may hold, in the words of JSON Schema.
	schema schema
}

// list reports whether a value is a list.
func (k *kind) list() bool { return strings.HasPrefix(k.name, "list of ") }

// The kinds that need no parameter. Only those that hold something to hide or
// whose value is not what people write have a show.
var (
	textKind    = kind{name: "text", parse: func(raw any) (any, error) { return text(raw) }, schema: textSchema}
	boolKind    = kind{name: "true or false", parse: parseBool, text: boolText, schema: boolSchema}
	textsKind   = kind{name: "list of text", parse: func(raw any) (any, error) { return texts(raw) }, text: listText, schema: textsSchema}
	secretKind  = kind{name: "secret", parse: parseSecret, show: redact, secret: true, schema: secretSchema}
	secretsKind = kind{name: "list of secrets", parse: parseSecrets, text: listText, show: redactAll, secret: true, schema: secretsSchema}
	listenKind  = kind{name: "list of addresses", parse: parseListen, text: listText, show: showListen, schema: listenSchema}
	tokensKind  = kind{name: "list of tokens", parse: parseTokens, text: listText, show: showTokens, schema: tokensSchema}
	dsnKind     = kind{name: "Postgres URL", parse: parseDSN, secret: true,
		show: func(v any) any { return redactDSN(v.(string)) }, schema: dsnSchema}
	fileKind     = kind{name: "file", parse: func(raw any) (any, error) { return nonEmpty(raw) }, opens: true, schema: fileSchema}
	webKind      = kind{name: "URL", parse: parseWeb, schema: webSchema}
	originsKind  = kind{name: "list of origins", parse: parseOrigins, text: listText, schema: textsSchema}
	durationShow = func(v any) any { return formatDuration(v.(time.Duration)) }
)

// durationKind accepts durations from low to high, both included.
func durationKind(low, high time.Duration) kind {
	parse := func(raw any) (any, error) {
		if n, ok := raw.(int); ok {
			raw = strconv.Itoa(n) // so that a number without a unit is named as that
		}
		s, ok := raw.(string)
		if !ok {
			return nil, fmt.Errorf("this is %s; write a duration such as 100ms, 2s or 5m", typeName(raw))
		}
		d, err := parseDuration(s)
		if err == nil && (d < low || d > high) {
			err = fmt.Errorf("%s is out of range; write %s to %s", s, formatDuration(low), formatDuration(high))
		}
		return d, err
	}
	return kind{name: "duration", parse: parse, show: durationShow, schema: durationSchema}
}

// sizeKind accepts sizes of at least low bytes.
func sizeKind(low int64) kind {
	parse := func(raw any) (any, error) {
		if n, ok := raw.(int); ok {
			raw = strconv.Itoa(n)
		}
		s, ok := raw.(string)
		if !ok {
			return nil, fmt.Errorf("this is %s; write a size such as 256MiB", typeName(raw))
		}
		n, err := ParseSize(s)
		if err == nil && n < low {
			err = fmt.Errorf("%s is too small; write at least %s", s, FormatSize(low))
		}
		return n, err
	}
	return kind{name: "size", parse: parse, show: showSize, schema: sizeSchema(low)}
}

// autoText is how [Auto] is written.
const autoText = "auto"

// autoSizeKind accepts sizes of at least low bytes, and the word auto.
func autoSizeKind(low int64) kind {
	size := sizeKind(low)
	parse := func(raw any) (any, error) {
		if raw == autoText {
			return Auto, nil
		}
		v, err := size.parse(raw)
		if err != nil {
			err = fmt.Errorf("%w, or %s", err, autoText)
		}
		return v, err
	}
	show := func(v any) any {
		if v == Auto {
			return autoText
		}
		return size.show(v)
	}
	word := schema{"const": autoText}
	return kind{name: "size or " + autoText, parse: parse, show: show, schema: schema{"anyOf": []any{word, size.schema}}}
}

func showSize(v any) any {
	n := v.(int64)
	if text := FormatSize(n); text != strconv.FormatInt(n, 10) {
		return text
	}
	return n // a number without quotes
}

// intKind accepts whole numbers from low to high, both included.
func intKind(low, high int) kind {
	parse := func(raw any) (any, error) {
		n, ok := raw.(int)
		if !ok {
			return nil, fmt.Errorf("this is %s; write a whole number", typeName(raw))
		}
		if n < low || n > high {
			return nil, fmt.Errorf("%d is out of range; write %d to %d", n, low, high)
		}
		return n, nil
	}
	read := func(s string) (any, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	}
	return kind{name: fmt.Sprintf("%d to %d", low, high), parse: parse, text: read, schema: rangeSchema(low, high)}
}

// countKind accepts whole numbers from 0.
var countKind = func() kind {
	k := intKind(0, 1e9)
	k.name = "whole number"
	return k
}()

// enumKind accepts the values alone.
func enumKind(values ...string) kind {
	parse := func(raw any) (any, error) {
		s, err := text(raw)
		if err != nil {
			return nil, err
		}
		if slices.Contains(values, s) {
			return s, nil
		}
		// Of a short word almost any other is near: two edits at most.
		if best, edits := nearest(s, values); edits <= 2 && best != "" {
			return nil, fmt.Errorf("%q is not known: did you mean %q?", s, best)
		}
		return nil, fmt.Errorf("%q is not known; write %s", s, oneOf(values))
	}
	return kind{name: oneOf(values), parse: parse, schema: enumSchema(values)}
}

// parseBool takes YAML's own truth values alone. In YAML 1.1 yes and on were
// true as well; guessing that here would hide a typing error.
func parseBool(raw any) (any, error) {
	if b, ok := raw.(bool); ok {
		return b, nil
	}
	return nil, fmt.Errorf("this is %s; write true or false without quotes", typeName(raw))
}

// boolText takes what Go takes: 1, t, true and so on, as people write variables.
func boolText(s string) (any, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return nil, fmt.Errorf("%q is neither true nor false", s)
	}
	return b, nil
}

// listText splits at commas. The empty text is the empty list, so that a
// listener can be switched off by an empty variable.
func listText(s string) (any, error) {
	if strings.TrimSpace(s) == "" {
		return []any{}, nil
	}
	var list []any
	for part := range strings.SplitSeq(s, ",") {
		list = append(list, strings.TrimSpace(part))
	}
	return list, nil
}

// text accepts a string. Numbers and truth values are refused although they
// could be converted: 007 would arrive as 7.
func text(raw any) (string, error) {
	if s, ok := raw.(string); ok {
		return s, nil
	}
	return "", fmt.Errorf("this is %s; write text, in quotes if it looks like something else", typeName(raw))
}

func nonEmpty(raw any) (string, error) {
	s, err := text(raw)
	if err == nil && s == "" {
		err = errors.New("this is empty")
	}
	return s, err
}

// texts accepts a list of different, non-empty strings, or one string alone.
func texts(raw any) ([]string, error) {
	list, err := entries(raw)
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(list))
	for i, entry := range list {
		s, err := nonEmpty(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if slices.Contains(out, s) {
			return nil, fmt.Errorf("entry %d stands there twice", i+1)
		}
		out = append(out, s)
	}
	return out, nil
}

// entries accepts a list; one entry may stand without its brackets.
func entries(raw any) ([]any, error) {
	switch v := raw.(type) {
	case []any:
		return v, nil
	case string:
		return []any{v}, nil
	}
	return nil, fmt.Errorf("this is %s; write a list in brackets", typeName(raw))
}

// parseListen accepts addresses. That no two listeners share one is checked when
// all are known.
func parseListen(raw any) (any, error) {
	list, err := entries(raw)
	if err != nil {
		return nil, err
	}
	out := make([]Address, 0, len(list))
	if len(list) == 1 && list[0] == "" {
		return out, nil // "" switches the listener off, as [] does
	}
	for i, entry := range list {
		s, err := text(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		a, err := ParseAddress(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func showListen(v any) any {
	out := []any{}
	for _, a := range v.([]Address) {
		out = append(out, a.String())
	}
	return out
}

// parseTokens accepts the entries of one listener. A token that stands there
// twice is refused even under two names: taking one of them away, as when it has
// leaked, would leave the door open.
func parseTokens(raw any) (any, error) {
	list, err := entries(raw)
	if err != nil {
		return nil, err
	}
	out := make([]Token, 0, len(list))
	for i, entry := range list {
		t, err := parseToken(entry, i)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		for _, other := range out {
			if other.Name == t.Name {
				return nil, fmt.Errorf("entry %d: the name %q stands there twice", i+1, t.Name)
			}
			if t.File == "" && other.File == "" && other.SHA256 == t.SHA256 {
				return nil, fmt.Errorf("entry %d is the same token as %q", i+1, other.Name)
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// parseSecret accepts any text but the placeholder. What it may hold is the
// vendor's to say, since the other side has it already.
func parseSecret(raw any) (any, error) {
	s, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("this is %s; put it in quotes", typeName(raw))
	}
	if s == "" || s == Redacted {
		return nil, prefixed("the secret", checkSecret(s))
	}
	return s, nil
}

// parseSecrets accepts keys that travel in a header.
func parseSecrets(raw any) (any, error) {
	list, err := texts(raw)
	for i, s := range list {
		if err := checkSecret(s); err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
	}
	return list, err
}

// parseWeb accepts a URL that a secret may travel to: https, or http to this
// machine. The empty text means none.
func parseWeb(raw any) (any, error) {
	s, err := text(raw)
	if err != nil || s == "" {
		return s, err
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("this is not a URL such as https://example.com/keys")
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return s, nil
	}
	return nil, errors.New("this is neither https nor a loopback address; what is sent there must not be read on the way")
}

// parseOrigins accepts web origins as browsers send them: scheme and host,
// without a path.
func parseOrigins(raw any) (any, error) {
	list, err := texts(raw)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.Scheme+"://"+u.Host != s {
			return nil, fmt.Errorf("%q is not an origin; write scheme and host alone, such as https://chat.example.com", s)
		}
	}
	return list, nil
}

// typeName says what YAML made of a value, never the value itself: it may be
// a secret in the wrong place.
func typeName(raw any) string {
	switch raw.(type) {
	case nil:
		return "empty"
	case string:
		return "text"
	case bool:
		return "a truth value"
	case int, int64, uint64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "a mapping"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("a %T", raw)
}

// oneOf writes a choice for a sentence: a, b or c.
func oneOf(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = v
		if v == "" {
			quoted[i] = `""`
		}
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}
