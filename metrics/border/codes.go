package border

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The codes that the listeners themselves return.
const (
	CodeBadRequest           Code = "bad_request"
	CodeUnknownParameter     Code = "unknown_parameter"
	CodeInvalidParameter     Code = "invalid_parameter"
	CodeInvalidRoomType      Code = "invalid_room_type"
	CodeUnknownField         Code = "unknown_field"
	CodeInvalidJSON          Code = "invalid_json"
	CodeUnexpectedBody       Code = "unexpected_body"
	CodeUnauthenticated      Code = "unauthenticated"
	CodeForbidden            Code = "forbidden"
	CodeNotFound             Code = "not_found"
	CodeWrongListener        Code = "wrong_listener"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeNotAcceptable        Code = "not_acceptable"
	CodeImportRefused        Code = "import_refused"
	CodeInvalidConfiguration Code = "invalid_configuration"
	CodeRequestTimeout       Code = "request_timeout"
	CodeLengthRequired       Code = "length_required"
	CodeTooLarge             Code = "too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeRateLimited          Code = "rate_limited"
	CodeHeaderTooLarge       Code = "header_too_large"
	CodeInternal             Code = "internal"
	CodeOverloaded           Code = "overloaded"
	CodeNotReady             Code = "not_ready"
	CodeUnknown              Code = "unknown"
	CodeNotFreshEnough       Code = "not_fresh_enough"
)

// kind is what all problems of one code have in common.
type kind struct {
	status int
	title  string
	retry  bool // the same request may succeed in a second: Retry-After: 1
}

// kinds is the one table of codes: those above and, by name, those of package
// filter, which this package must not import. The reference page is made of it.
var kinds = map[Code]kind{
	CodeBadRequest:       {400, "The request is not well-formed HTTP", false},
	CodeUnknownParameter: {400, "A query parameter is unknown or repeated", false},
	CodeInvalidParameter: {400, "A parameter has a value that is not allowed", false},
	CodeInvalidRoomType:  {400, "The room type is missing or none of direct, group and open", false},
	CodeUnknownField:     {400, "A field of the JSON body is unknown", false},
	CodeInvalidJSON:      {400, "The body is not the JSON object that is expected", false},
	CodeUnexpectedBody:   {400, "The request has a body, and its method takes none", false},
	"invalid_user_id":    {400, "A user id is missing or not valid", false},
	"self_block":         {400, "Nobody can be on their own list", false},
	"invalid_expiry":     {400, "The expiry is not a time in the future", false},
	"invalid_note":       {400, "The note is not valid", false},
	"invalid_revision":   {400, "The revision is not one of ours, or of another app", false},
	"invalid_cursor":     {400, "The cursor is not one of ours, or of another list", false},
	"invalid_limit":      {400, "The limit is out of its range", false},
	"conflicting_batch":  {400, "A batch names an id twice", false},
	"invalid_user":       {400, "A field of a user is not valid", false},

	CodeUnauthenticated: {401, "A valid credential is required", false},
	CodeForbidden:       {403, "The credential does not allow this", false},

	CodeNotFound:      {404, "There is nothing at this path", false},
	CodeWrongListener: {404, "Another listener serves this path", false},
	"unknown_app":     {404, "The app is not configured", false},
	"block_not_found": {404, "The target is not on the list", false},
	"user_not_found":  {404, "The directory does not hold the user", false},

	CodeMethodNotAllowed: {405, "The path does not take this method", false},
	CodeNotAcceptable:    {406, "There is no answer of a type that is accepted", false},
	CodeRequestTimeout:   {408, "The request did not arrive in time", false},

	"limit_exceeded":      {409, "The list is full; nothing was stored", false},
	"directory_read_only": {409, "The users are kept elsewhere; nothing was stored", false},

	CodeLengthRequired: {411, "Chunked bodies are refused; a length is required", false},
	CodeTooLarge:       {413, "The body is too large", false},

	CodeUnsupportedMediaType: {415, "The body must be of the type that the path takes", false},
	CodeImportRefused:        {422, "Lines of an atomic import cannot be stored; nothing was stored", false},
	CodeInvalidConfiguration: {422, "The configuration cannot be reloaded; what was in force stays in force", false},
	CodeRateLimited:          {429, "Too many requests a second for the app or for one owner; nothing was done", true},
	CodeHeaderTooLarge:       {431, "The header is too large", false},

	CodeInternal:        {500, "The request failed for a reason of ours", false},
	CodeOverloaded:      {503, "Too many connections are open", true},
	CodeNotReady:        {503, "The process is not ready", true},
	CodeUnknown:         {503, "There is no decision: a list that is needed is not known", true},
	CodeNotFreshEnough:  {503, "The write that was asked for has not been seen in time", true},
	"store_unavailable": {503, "The database does not take requests; nothing was stored", true},
	"outcome_unknown":   {503, "The connection was lost before the answer; repeating is safe", true},
}

// Codes returns every code of the table, sorted by status and name.
func Codes() []Code {
	codes := make([]Code, 0, len(kinds))
	for code := range kinds {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(a, b Code) int {
		if d := kinds[a].status - kinds[b].status; d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
	return codes
}

// Reference returns the reference page of all problems in Markdown. Every code
// has a heading of its own, which the type of a problem points to.
func Reference() []byte {
	var page strings.Builder
	page.WriteString("# Problems\n\nErrors of native routes are `application/problem+json` (RFC 9457). " +
		"`code` is stable; `title` and `detail` are for people and may change.\n")
	for _, code := range Codes() {
		k := kinds[code]
		fmt.Fprintf(&page, "\n## %s\n\n%d %s. %s.", code, k.status, http.StatusText(k.status), k.title)
		if k.retry {
			page.WriteString(" Comes with `Retry-After`.")
		}
		page.WriteString("\n")
	}
	return []byte(page.String())
}
