package sendbird

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// code is a number of the vendor's table of errors.
type code int

// The codes that occur here.
const (
	codeNotString code = 400100
	codeNotList   code = 400102
	codeNotJSON   code = 400103 // a JSON object was wanted
	codeMissing   code = 400105
	codePage      code = 400109
	codeTooLong   code = 400110
	codeInvalid   code = 400111
	codeSame      code = 400112
	codeRange     code = 400113
	codeResource  code = 400114
	codeNotFound  code = 400201
	codeTooMany   code = 400203
	codeToken     code = 400401
	codeBody      code = 400403
	codeURL       code = 400404
	codeServer    code = 500901
	codeRate      code = 500910
)

// fault is an error that a client sees.
type fault struct {
	code    code
	message string
	status  int // of HTTP, where it is not that of the code
}

// faultf returns a fault. What comes from a request is no part of its message.
func faultf(c code, format string, args ...any) fault {
	return fault{code: c, message: fmt.Sprintf(format, args...)}
}

var (
	errToken  = faultf(codeToken, "The API token is missing or not valid.")
	errUser   = faultf(codeNotFound, `"User" not found.`)
	errSelf   = faultf(codeSame, "A user cannot block themselves.")
	errServer = faultf(codeServer, "Something went wrong on the server; the request can be repeated.")
)

// Error returns code and message: text for a log.
func (f fault) Error() string { return fmt.Sprintf("%d: %s", f.code, f.message) }

// http is the status of an answer. The vendor's is 400 for all that is wrong with a
// request, whatever HTTP has in store for it.
func (f fault) http() int {
	switch {
	case f.status != 0:
		return f.status
	case f.code == codeRate:
		return fasthttp.StatusTooManyRequests
	case f.code == codeServer:
		return fasthttp.StatusInternalServerError
	}
	return fasthttp.StatusBadRequest
}

// refuse answers with an error, and logs it if only we can do something about it.
// The error may hold text of the database; the log is where that belongs.
func (s *Surface) refuse(ctx context.Context, req *fasthttp.RequestCtx, call string, err error) {
	f, cause := faultOf(err)
	if cause != nil {
		level := slog.LevelError
		var known *filter.Error
		if errors.As(cause, &known) {
			level = slog.LevelWarn
		}
		s.log.Log(ctx, level, "request failed",
			"listener", string(border.DoorAPI), "route", Name+" "+call, "code", int(f.code), "error", cause)
	}
	f.write(&req.Response)
}

// faultOf turns what a handler returned into what the client sees. cause is what
// the log must have, nil if the client's mistake is all there is to it.
func faultOf(err error) (f fault, cause error) {
	var known *filter.Error
	if errors.As(err, &f) {
		return f, nil
	}
	if !errors.As(err, &known) {
		return errServer, err
	}
	switch known.Code {
	case filter.CodeSelfBlock:
		return errSelf, nil
	case filter.CodeLimitExceeded:
		return faultf(codeTooMany, "The user has blocked %d users; at most %d are allowed. Nothing was stored.", known.Size, known.Limit), nil
	case filter.CodeInvalidCursor:
		return faultf(codePage, "\"token\" is not a page token of this list; begin again without one."), nil
	case filter.CodeInvalidUserID:
		return faultf(codeInvalid, "A value is not valid UTF-8, or has a control character."), nil
	}
	return errServer, err
}

// Fail answers a request that did not come to an end in Serve. Proxies and clients act
// on the status of such an answer, so it stays that of HTTP.
func (s *Surface) Fail(req *fasthttp.RequestCtx, problem border.Problem) {
	f := fault{message: problem.Detail, status: problem.Status()}
	switch {
	case f.status >= fasthttp.StatusInternalServerError:
		f = errServer
	case problem.Code == border.CodeTooLarge || problem.Code == border.CodeHeaderTooLarge:
		f.code = codeTooLong
	default:
		f.code = codeBody
	}
	f.write(&req.Response)
}

// write answers in the order of the fields that the page shows; clients that compare
// text have seen it so.
func (f fault) write(resp *fasthttp.Response) {
	if f.code == codeRate {
		// Beside the vendor's header, for clients and proxies that know HTTP alone.
		resp.Header.Set(fasthttp.HeaderRetryAfter, "1")
	}
	// Text and numbers can be encoded.
	_ = write(resp, f.http(), struct {
		Message string `json:"message"`
		Code    code   `json:"code"`
		Error   bool   `json:"error"`
	}{f.message, f.code, true})
}

var contentType = []byte("application/json; charset=utf-8")

// write answers with a value. Nothing is escaped that JSON does not want escaped:
// an id is to be found in an answer as it is.
func write(resp *fasthttp.Response, status int, value any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	resp.SetStatusCode(status)
	resp.Header.SetContentTypeBytes(contentType)
	resp.SetBodyRaw(bytes.TrimSuffix(body.Bytes(), []byte("\n")))
	return nil
}
