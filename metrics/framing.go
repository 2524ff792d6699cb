package metrics

import (
	"net/http"
	"strings"

	"github.com/sidegate/sidegate/metrics/border"
)

// checkFraming refuses bodies whose end two readers of a connection could see in
// different places: net/http takes a chunked one that has a length as well, and
// goes by the chunks. No read of the ops listener has a body at all.
func checkFraming(r *http.Request) (p border.Problem, ok bool) {
	switch {
	case len(r.TransferEncoding) > 0:
		return border.Problemf(border.CodeLengthRequired, "send the body with a Content-Length, without Transfer-Encoding"), false
	case r.ContentLength > 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return border.Problemf(border.CodeUnexpectedBody, "a %s takes no body", r.Method), false
	case r.ContentLength > maxBody:
		return border.Problemf(border.CodeTooLarge, "the body has %d bytes, more than any path takes", r.ContentLength), false
	}
	return border.Problem{}, true
}

// maxBody is the most bytes a request to the ops listener may have.
const maxBody = 64 << 10

// exact reports whether a path, as it was sent, is spelled in the one way that is
// routed. No path of ours holds anything that needs an escape, and ServeMux would
// decode it, or send the client to what it makes of "//" and "..": there must not
// be one form of a path that is looked at and another that is served.
func exact(path string) bool {
	if strings.ContainsRune(path, '%') || strings.Contains(path, "//") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}
