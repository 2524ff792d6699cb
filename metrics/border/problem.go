package border

import (
	"encoding/json"
	"fmt"
)

// ContentType is the media type of a problem document (RFC 9457).
const ContentType = "application/problem+json"

// typeBase is where a person who follows the type of a problem lands: the
// reference page that [Reference] generates, at the heading of the code.
const typeBase = "https://github.com/sidegate/sidegate/blob/main/docs/reference/problems.md#"

// Code is the stable name of a problem: clients branch on it, so that it never
// changes its meaning.
type Code string

// Problem is one error answer. It is also an error, so that what refuses a
// request can return it as one.
type Problem struct {
	Code   Code
	Detail string // a plain sentence: what was wrong, where, what would be right
	Limit  int    // with limit_exceeded: the app's limit
	Size   int    // with limit_exceeded: entries in the list now
	// Report is JSON that says how far an import came; "" = none.
	Report string
}

// Problemf returns a Problem whose detail is formatted. What comes from a
// request goes through %q or [Quote]: it is hostile text.
func Problemf(code Code, format string, args ...any) Problem {
	return Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Error returns code and detail: text for a log.
func (p Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// Status returns the HTTP status of the problem: 500 for a code without an
// entry in the table, which is a mistake of ours and never the client's.
func (p Problem) Status() int {
	if k, ok := kinds[p.Code]; ok {
		return k.status
	}
	return kinds[CodeInternal].status
}

// RetryAfter reports whether the same request may succeed in a second.
func (p Problem) RetryAfter() bool { return kinds[p.Code].retry }

// JSON returns the problem document. A code that is not in the table becomes
// "internal": an unknown code would be a promise that nobody wrote down.
func (p Problem) JSON() []byte {
	k, ok := kinds[p.Code]
	if !ok {
		p = Problem{Code: CodeInternal, Detail: internalDetail}
		k = kinds[CodeInternal]
	}
	// Marshal cannot fail on strings and numbers; it replaces invalid UTF-8.
	doc, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   Code   `json:"code"`
		Limit  int    `json:"limit,omitempty"`
		Size   int    `json:"size,omitempty"`

		Report json.RawMessage `json:"report,omitempty"`
	}{typeBase + string(p.Code), k.title, k.status, p.Detail, p.Code, p.Limit, p.Size, json.RawMessage(p.Report)})
	return doc
}

// internalDetail is all that a client learns of a failure of ours.
const internalDetail = "the request failed for a reason of ours; the log of the process names it"

// Internal returns the answer to a failure of ours. Its cause is for the log.
func Internal() Problem { return Problem{Code: CodeInternal, Detail: internalDetail} }

// Unauthenticated returns the answer to a request without a credential that the
// listener knows. It is the same whatever is wrong with the credential: an answer
// that told a forged one from an expired one would help to forge.
func Unauthenticated(here Door) Problem {
	return Problemf(CodeUnauthenticated,
		"this path needs a credential of the %s listener: Authorization: Bearer TOKEN", here)
}

// Forbidden returns the answer to a request that its credential does not cover.
// It is the same whatever the reason, so that it tells neither which apps and
// users there are nor what would be needed.
func Forbidden() Problem {
	return Problem{Code: CodeForbidden, Detail: "the credential does not allow this"}
}

// Quote returns a piece of a request as a detail may show it: quoted, escaped
// and at most 64 bytes of it.
func Quote[T ~string | ~[]byte](text T) string {
	const most = 64
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}
