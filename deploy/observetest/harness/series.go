package harness

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"
)

// Series returns the labels of every series that a selector has met since a time.
func (p *Prometheus) Series(match string, since time.Time) (list []map[string]string, err error) {
	err = p.ask("/api/v1/series", url.Values{"match[]": {match}, "start": {unix(since)}, "end": {unix(time.Now())}}, &list)
	return list, err
}

// Line is a series of a picture: what is known of it and how many of its points are
// numbers, and not the NaN of a division by nothing.
type Line struct {
	Labels  map[string]string
	Numbers int
}

// Lines evaluates an expression as a panel does, between two times. The last point is
// at the later one, so that what came last is in the picture.
func (p *Prometheus) Lines(expr string, from, to time.Time, step time.Duration) ([]Line, error) {
	var data struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Values []point           `json:"values"`
		} `json:"result"`
	}
	start := to.Add(-to.Sub(from).Truncate(step))
	err := p.ask("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {unix(start)}, "end": {unix(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, &data)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	lines := make([]Line, len(data.Result))
	for i, r := range data.Result {
		lines[i].Labels = r.Metric
		for _, v := range r.Values {
			if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
				lines[i].Numbers++
			}
		}
	}
	return lines, nil
}

// Post sends JSON to a listener and returns the status and the body. It may be
// called from any goroutine.
func (s *Sidecar) Post(listener, path, body string) (status int, answer string, err error) {
	return s.sendBody(listener, "POST", path, body)
}
