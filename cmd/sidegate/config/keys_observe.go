package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// observeKeys are the keys of what is told about the work: the log of decisions and
// traces.
func observeKeys() []*Key {
	return []*Key{
		{Path: "decision_log.path", kind: textKind, Default: "",
			Doc: "The file that decisions are appended to, one line of JSON each; - is the standard output. Empty = off. A SIGHUP to serve opens it anew."},
		{Path: "decision_log.sample", kind: shareKind, Default: 0,
			Doc: "The share of plain deliveries that is recorded, 0 to 1. Everything else is recorded in any case."},
		{Path: "decision_log.rate", kind: countKind, Default: 10_000,
			Doc: "The most records a second, with as many at once; 0 = no limit. What comes beyond it is counted in sidegate_decision_log_dropped_total."},
		{Path: "decision_log.user_ids", kind: enumKind("hashed", "plain"), Default: "hashed",
			Doc: "How users and rooms are named: by a hash under log.id_key, or by their ids, which are personal data."},
		{Path: "tracing.endpoint", kind: endpointKind, Default: "",
			Doc: "Where spans of requests to the api listener are sent: the URL of an OTLP/HTTP receiver, such as http://collector:4318. Empty = what OTEL_EXPORTER_OTLP_ENDPOINT says, and off without that."},
		{Path: "tracing.sample", kind: shareKind, Default: 1,
			Doc: "The share of traces begun here that is sent, 0 to 1. Of a trace that a client began, the client has decided."},
		{Path: "tracing.headers", kind: headersKind, Default: []any{},
			Doc: "Headers for the receiver, name=value each; the values are secret."},
	}
}

var (
	idKeyKind    = kind{name: "secret", parse: parseIDKey, show: redact, secret: true, schema: idKeySchema}
	shareKind    = numberKind(1)
	endpointKind = kind{name: "URL", parse: parseEndpoint, schema: webSchema}
	headersKind  = kind{name: "list of headers", parse: parseHeaders, text: listText, show: showHeaders, secret: true, schema: headersSchema}

	idKeySchema   = schema{"type": "string", "minLength": idKeyBytes, "not": notASecret}
	headersSchema = listSchema(schema{"type": "string", "pattern": headerPattern, "not": schema{"pattern": variable.String()}})
)

// idKeyBytes is the length of the shortest key: one that is shorter can be tried.
const idKeyBytes = 16

func parseIDKey(raw any) (any, error) {
	s, err := parseSecret(raw)
	if err == nil && len(s.(string)) < idKeyBytes {
		err = fmt.Errorf("the secret has fewer than %d bytes, so that it can be guessed", idKeyBytes)
	}
	return s, err
}

// headerPattern is name=value, as OTEL_EXPORTER_OTLP_HEADERS has it.
const headerPattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+=[ -~]+$"

var header = regexp.MustCompile(headerPattern)

// numberKind accepts numbers from 0 to high, which may be fractions.
func numberKind(high int) kind {
	parse := func(raw any) (any, error) {
		var f float64
		switch n := raw.(type) {
		case int:
			f = float64(n)
		case float64:
			f = n
		default:
			return nil, fmt.Errorf("this is %s; write a number from 0 to %d", typeName(raw), high)
		}
		if !(f >= 0 && f <= float64(high)) {
			return nil, fmt.Errorf("%v is out of range; write 0 to %d", f, high)
		}
		return f, nil
	}
	return kind{
		name: fmt.Sprintf("0 to %d", high), parse: parse, text: numberText,
		schema: schema{"type": "number", "minimum": 0, "maximum": high},
	}
}

func numberText(s string) (any, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	return f, nil
}

// parseEndpoint accepts a URL, also of a machine nearby without TLS: a span holds
// neither a secret nor an id.
func parseEndpoint(raw any) (any, error) {
	s, err := text(raw)
	if err != nil || s == "" {
		return s, err
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("this is not a URL such as http://collector:4318")
	}
	return s, nil
}

// parseHeaders accepts headers. An error repeats none: its value is a secret.
func parseHeaders(raw any) (any, error) {
	list, err := texts(raw)
	for i, s := range list {
		if !header.MatchString(s) {
			return nil, fmt.Errorf("entry %d is not name=value", i+1)
		}
		if _, value, _ := strings.Cut(s, "="); value == Redacted {
			return nil, fmt.Errorf("entry %d holds the placeholder of `config print`, not a secret", i+1)
		}
	}
	return list, err
}

// showHeaders shows the names.
func showHeaders(v any) any {
	out := []any{}
	for _, s := range v.([]string) {
		name, _, _ := strings.Cut(s, "=")
		out = append(out, name+"="+Redacted)
	}
	return out
}
