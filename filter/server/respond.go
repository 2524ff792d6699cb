package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

var (
	jsonType    = []byte("application/json")
	problemType = []byte(border.ContentType)
)

// writeJSON answers with a value that the caller made and that can be encoded.
func writeJSON(resp *fasthttp.Response, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	resp.SetStatusCode(status)
	resp.Header.SetContentTypeBytes(jsonType)
	resp.SetBodyRaw(body)
	return nil
}

// writeProblem answers with a problem document.
func writeProblem(resp *fasthttp.Response, p border.Problem) {
	resp.SetStatusCode(p.Status())
	resp.Header.SetContentTypeBytes(problemType)
	switch {
	case p.RetryAfter():
		resp.Header.Set(fasthttp.HeaderRetryAfter, "1")
	case p.Code == border.CodeUnauthenticated:
		resp.Header.Set(fasthttp.HeaderWWWAuthenticate, "Bearer")
	}
	resp.SetBodyRaw(p.JSON())
}

// problemOf turns what a handler returned into what the client sees. cause is
// what the log must have, nil if the client's mistake is all there is to it.
func problemOf(err error) (p border.Problem, cause error) {
	var known *filter.Error
	var both *reported
	switch {
	case errors.As(err, &both):
		return both.Problem, both.cause
	case errors.As(err, &p):
		return p, nil
	case errors.As(err, &known):
		p = border.Problem{Code: border.Code(known.Code), Detail: known.Detail, Limit: known.Limit, Size: known.Size}
		if p.Status() >= fasthttp.StatusInternalServerError {
			cause = err
		}
		return p, cause
	}
	return border.Internal(), err
}

// located says where in an array of the request a mistake is.
func located(array string, i int, err error) error {
	p, cause := problemOf(err)
	if cause != nil {
		return err
	}
	p.Detail = place(array, i) + ": " + p.Detail
	return p
}

func place(array string, i int) string { return fmt.Sprintf("%s[%d]", array, i) }

// fail answers a request that a handler gave up, and logs what only we can do
// something about. The error may hold text of the database; the log is where
// that belongs.
func (d *door) fail(op context.Context, resp *fasthttp.Response, r *route, err error) {
	p, cause := problemOf(err)
	if cause != nil {
		level := slog.LevelWarn
		if p.Code == border.CodeInternal {
			level = slog.LevelError
		}
		d.log.Log(op, level, "request failed",
			"listener", string(d.name), "route", r.label(), "code", string(p.Code), "error", cause)
	}
	writeProblem(resp, p)
}
