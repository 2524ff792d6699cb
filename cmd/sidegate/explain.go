package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// explainer answers GET /v1/explain: why a message is, or was, delivered or not.
type explainer struct {
	filter func() *filter.Filter // the one in force
	log    *slog.Logger
	now    func() time.Time
}

// explainTimeout bounds one explanation, which reads up to four rows.
const explainTimeout = 5 * time.Second

// read implements the handler of a staff read.
func (x *explainer) read(r *http.Request) (any, error) {
	check, at, err := parseExplain(r.URL.RawQuery, x.now())
	if err != nil {
		return nil, problemOf(err)
	}
	// Who may not see the app learns nothing about it, not even that it is there.
	if !border.FromContext(r.Context()).MayApp(check.App) {
		return nil, border.Forbidden()
	}
	ctx, cancel := context.WithTimeout(r.Context(), explainTimeout)
	defer cancel()
	explained, err := x.filter().Explain(ctx, check, at)
	if err != nil {
		if p, ok := errors.AsType[border.Problem](problemOf(err)); ok && p.Status() >= http.StatusInternalServerError {
			x.log.WarnContext(ctx, "the past could not be read", "error", err)
		}
		return nil, problemOf(err)
	}
	for i := range explained.Lists {
		if err := explained.Lists[i].RowErr; err != nil {
			x.log.WarnContext(ctx, "an explanation lacks rows", "error", err)
			break
		}
	}
	return explanationOf(&check, &explained), nil
}

// problemOf turns an error of filter into what the client sees.
func problemOf(err error) error {
	if known, ok := errors.AsType[*filter.Error](err); ok {
		return border.Problem{Code: border.Code(known.Code), Detail: known.Detail}
	}
	return err
}

// explainParameters are the names that an explanation takes: those of a check,
// and at.
var explainParameters = []string{
	"app", "at", "at_least", "notify_blocked", "origin", "recipient", "room", "room_type", "sender", "verify",
}

// parseExplain reads the query of an explanation, as strictly as that of a check.
func parseExplain(raw string, now time.Time) (check filter.Check, at time.Time, err error) {
	q, err := parseStrictly(raw)
	if err != nil {
		return check, at, err
	}
	check = filter.Check{App: "default", Sender: q.Get("sender"), Recipient: q.Get("recipient"), Room: q.Get("room")}
	if q.Has("app") {
		check.App = q.Get("app")
	}
	if err := checkIDs(q); err != nil {
		return check, at, err
	}
	var ok bool
	if check.RoomType, ok = filter.ParseRoomType(q.Get("room_type")); !ok {
		return check, at, border.Problemf(border.CodeInvalidRoomType,
			"room_type is %s; it is direct, group or open", border.Quote(q.Get("room_type")))
	}
	for name, field := range map[string]*bool{"verify": &check.Verify, "notify_blocked": &check.NotifyBlocked} {
		if v := q.Get(name); q.Has(name) && v != "0" && v != "1" {
			return check, at, border.Problemf(border.CodeInvalidParameter, "%s is %s; it is 1 or 0", name, border.Quote(v))
		}
		*field = q.Get(name) == "1"
	}
	if check.FromServer = q.Has("origin"); check.FromServer && q.Get("origin") != "server" {
		return check, at, border.Problemf(border.CodeInvalidParameter,
			"origin is %s; the only origin is server", border.Quote(q.Get("origin")))
	}
	if at, err = parseAt(q, now); err != nil {
		return check, at, err
	}
	check.AtLeast, err = parseAtLeast(q, check.App)
	return check, at, err
}

// parseStrictly reads a query of which no parameter is unknown, repeated or
// written in a way that url.Values would drop.
func parseStrictly(raw string) (url.Values, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, border.Problemf(border.CodeInvalidParameter, "the query has a malformed percent-escape or a semicolon")
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		switch {
		case !slices.Contains(explainParameters, name):
			return nil, border.Problemf(border.CodeUnknownParameter,
				"%s is not a parameter; known are %s", border.Quote(name), strings.Join(explainParameters, ", "))
		case len(q[name]) > 1:
			return nil, border.Problemf(border.CodeUnknownParameter, "%s is given twice", name)
		}
	}
	return q, nil
}

func checkIDs(q url.Values) error {
	for _, id := range []struct {
		name     string
		required bool
		validate func(string) error
	}{{"sender", true, filter.ValidateUserID}, {"recipient", true, filter.ValidateUserID}, {"room", false, filter.ValidateRoomID}} {
		if !q.Has(id.name) && !id.required {
			continue
		}
		if !q.Has(id.name) {
			return border.Problemf(border.Code(filter.CodeInvalidUserID), "%s is missing", id.name)
		}
		if known, ok := errors.AsType[*filter.Error](id.validate(q.Get(id.name))); ok {
			return border.Problemf(border.Code(known.Code), "%s: %s", id.name, known.Detail)
		}
	}
	return nil
}

// parseAt reads the instant of the past; zero: none is given.
func parseAt(q url.Values, now time.Time) (time.Time, error) {
	if !q.Has("at") {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, q.Get("at"))
	switch {
	case err != nil || at.IsZero():
		return time.Time{}, border.Problemf(border.CodeInvalidParameter,
			"at is %s; it is a time like 2030-01-31T12:00:00Z (RFC 3339)", border.Quote(q.Get("at")))
	case at.After(now):
		return time.Time{}, border.Problemf(border.CodeInvalidParameter, "at is in the future, of which nothing is known")
	case q.Has("at_least"):
		return time.Time{}, border.Problemf(border.CodeInvalidParameter,
			"at and at_least exclude each other: the past is read from the database, which has every write")
	}
	return at, nil
}

func parseAtLeast(q url.Values, app string) (filter.Revision, error) {
	if !q.Has("at_least") {
		return filter.Revision{}, nil
	}
	revision, err := filter.ParseRevision(q.Get("at_least"))
	if err == nil && !revision.Of(app) {
		err = filter.Errorf(filter.CodeInvalidRevision, "the revision belongs to a list of another app")
	}
	return revision, err
}
