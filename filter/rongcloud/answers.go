package rongcloud

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

// The vendor's codes that occur. A success has 200.
const (
	codeOK           = 200
	codeUserUnknown  = 400
	codeNotFound     = 404
	codeNotAllowed   = 405
	codeInternal     = 1000
	codeBadParameter = 1002
	codeSignature    = 1004
	codeTooLong      = 1005
	codeTooMany      = 1008
	codeNoAllowlist  = 1010
	codeTimeout      = 1050
)

// refusal is an answer that is none of success. It is also an error, so that what
// refuses a request can return it as one.
type refusal struct {
	status  int // of HTTP
	code    int
	message string // a plain sentence for whoever wrote the client
}

// Error returns code and message: text for a log.
func (r refusal) Error() string { return fmt.Sprintf("%d: %s", r.code, r.message) }

// badf refuses a parameter.
func badf(format string, args ...any) refusal {
	return refusal{status: 400, code: codeBadParameter, message: fmt.Sprintf(format, args...)}
}

// done is the answer to a write.
type done struct {
	Code int `json:"code"`
}

// refuse answers with a refusal. Nothing that was written before counts. The header
// of a request that could not be read names no path of ours, and none is made up.
func (s *Surface) refuse(req *fasthttp.RequestCtx, r refusal) {
	path := pathOf(&req.Request.Header)
	if !s.Owns(path) {
		path = nil
	}
	if r.status == fasthttp.StatusTooManyRequests {
		req.Response.Header.Set(fasthttp.HeaderRetryAfter, "1") // a second's worth is there again by then
	}
	write(&req.Response, r.status, struct {
		Code    int    `json:"code"`
		Message string `json:"errorMessage"`
		URL     string `json:"url,omitempty"`
	}{r.code, r.message, string(path)})
}

// write answers with a value that can always be encoded: numbers and strings.
func write(resp *fasthttp.Response, status int, value any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // no browser reads it as a page, and ids stay as they are
	_ = enc.Encode(value)
	resp.SetStatusCode(status)
	resp.Header.SetContentType("application/json; charset=utf-8")
	resp.SetBodyRaw(bytes.TrimSuffix(body.Bytes(), []byte("\n")))
}

// refusalOf turns the error of a call into what the client sees, and logs what only
// we can do something about. It may hold text of the database: the log is where
// that belongs.
func (s *Surface) refusalOf(ctx context.Context, c call, err error) refusal {
	var (
		own   refusal
		known *filter.Error
	)
	if errors.As(err, &own) {
		return own
	}
	level := slog.LevelError
	own = refusal{status: 500, code: codeInternal, message: "The request failed for a reason of ours."}
	if errors.As(err, &known) {
		switch known.Code {
		case filter.CodeLimitExceeded:
			return badf("The list holds %d users and may hold %d; nothing was added.", known.Size, known.Limit)
		case filter.CodeReplayed:
			return refusal{status: 401, code: codeSignature, message: "Nonce has been used before; nothing was done."}
		case filter.CodeInvalidCursor:
			return badf("pageToken is none of this list; pass next of the page before unchanged.")
		case filter.CodeInvalidUserID, filter.CodeConflictingBatch, filter.CodeSelfBlock:
			return badf("%s.", known.Detail)
		case filter.CodeStoreUnavailable:
			level, own.message = slog.LevelWarn, "The database does not answer; nothing was changed, try again."
		case filter.CodeOutcomeUnknown:
			level = slog.LevelWarn
			own = refusal{status: 504, code: codeTimeout,
				message: "The database did not confirm in time; it may have been stored, repeating it is safe."}
		}
	}
	s.log.Log(ctx, level, "request failed",
		"listener", string(border.DoorAPI), "route", name+" "+c.path, "code", own.code, "error", err)
	return own
}

// refusalOfDoor is how the vendor's clients read what the door refuses.
func refusalOfDoor(p border.Problem) refusal {
	message := p.Detail + "."
	switch {
	case p.Status() >= fasthttp.StatusInternalServerError:
		return refusal{status: 500, code: codeInternal, message: message}
	case p.Code == border.CodeTooLarge, p.Code == border.CodeHeaderTooLarge:
		return refusal{status: 400, code: codeTooLong, message: message}
	}
	return refusal{status: 400, code: codeBadParameter, message: message}
}

// detailOf returns the sentence of a filter error that is for the client.
func detailOf(err error) string {
	var e *filter.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "not valid"
}
