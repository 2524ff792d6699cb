package rongcloud

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// The fields of the vendor's forms. Others are ignored: SDKs send more.
const (
	fieldUser    = "userId"
	fieldBlock   = "blackUserId"
	fieldAllow   = "whiteUserId"
	fieldSetting = "whiteSetting"
	fieldToken   = "pageToken"
	fieldSize    = "size"
)

var fields = []string{fieldUser, fieldBlock, fieldAllow, fieldSetting, fieldToken, fieldSize}

// maxIDs is the most ids of one request, as they were sent.
const maxIDs = 20

// form is what a request says: the values of each field, in their order. Its
// strings are its own.
type form map[string][]string

// readForm reads the body of a request. Without a Content-Type it is taken for the
// form that every call wants; what says that it is something else is not.
func readForm(req *fasthttp.Request) (form, error) {
	if kind := req.Header.ContentType(); len(kind) > 0 && !isForm(kind) {
		return nil, badf("The body is %s; it must be application/x-www-form-urlencoded, in UTF-8.", quote(kind))
	}
	if encoding := req.Header.ContentEncoding(); len(encoding) > 0 {
		return nil, badf("The body has the Content-Encoding %s; send it as it is.", quote(encoding))
	}
	return parseForm(req.Body())
}

// isForm takes the media type of forms in UTF-8, which is what it means without a
// charset too; text in another one would be read as other ids. Other parameters
// say nothing of a form.
func isForm(kind []byte) bool {
	media, rest, _ := bytes.Cut(kind, []byte(";"))
	if !bytes.EqualFold(bytes.TrimSpace(media), []byte("application/x-www-form-urlencoded")) {
		return false
	}
	for len(rest) > 0 {
		var parameter []byte
		parameter, rest, _ = bytes.Cut(rest, []byte(";"))
		key, value, _ := bytes.Cut(bytes.TrimSpace(parameter), []byte("="))
		value = bytes.Trim(value, `"`)
		if bytes.EqualFold(key, []byte("charset")) &&
			!bytes.EqualFold(value, []byte("utf-8")) && !bytes.EqualFold(value, []byte("utf8")) {
			return false
		}
	}
	return true
}

// parseForm decodes a form. A semicolon is no separator, and a percent sign that is
// none of an escape is refused.
func parseForm(body []byte) (form, error) {
	f := form{}
	for len(body) > 0 {
		var pair []byte
		pair, body, _ = bytes.Cut(body, []byte("&"))
		before, after, _ := bytes.Cut(pair, []byte("="))
		field, err := url.QueryUnescape(string(before))
		if err != nil {
			return nil, badf("The body has a malformed percent-escape in the name of a field.")
		}
		if !slices.Contains(fields, field) {
			continue
		}
		value, err := url.QueryUnescape(string(after))
		if err != nil {
			return nil, badf("%s has a malformed percent-escape.", field)
		}
		f[field] = append(f[field], value)
	}
	return f, nil
}

// optional returns a field that counts once, "" if it is empty or not there.
func (f form) optional(field string) (string, error) {
	switch values := f[field]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", badf("%s is given more than once.", field)
}

// user returns whose list it is about.
func (f form) user() (string, error) {
	id, err := f.optional(fieldUser)
	if err != nil {
		return "", err
	}
	return id, checkID(fieldUser, id)
}

// ids returns the ids of a field that may be repeated, each once, in the order in
// which they were first named.
func (f form) ids(field string) ([]string, error) {
	values := f[field]
	if len(values) == 0 {
		return nil, missing(field)
	}
	if len(values) > maxIDs {
		return nil, badf("%s is given %d times; at most %d are allowed.", field, len(values), maxIDs)
	}
	ids := make([]string, 0, len(values))
	for _, id := range values {
		if err := checkID(field, id); err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// checkID looks at one id and says what is wrong with it, without repeating it.
func checkID(field, id string) error {
	if id == "" {
		return missing(field)
	}
	if len(id) > filter.MaxIDBytes {
		return tooLong(field, len(id), filter.MaxIDBytes)
	}
	if err := filter.ValidateUserID(id); err != nil {
		return badf("%s: %s.", field, detailOf(err))
	}
	return nil
}

func missing(field string) refusal { return badf("%s is required.", field) }

func tooLong(field string, have, most int) refusal {
	return refusal{status: 400, code: codeTooLong,
		message: fmt.Sprintf("%s has %d bytes; at most %d are allowed.", field, have, most)}
}

// quote shows a piece of a request, cut and escaped.
func quote(text []byte) string {
	const most = 64
	return fmt.Sprintf("%q", strings.ToValidUTF8(string(text[:min(most, len(text))]), "?"))
}
