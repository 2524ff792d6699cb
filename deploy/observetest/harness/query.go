package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Sample is one series of an answer with its newest value.
type Sample struct {
	Labels map[string]string // with __name__, if the series has a name
	Value  float64
}

// Alert is an alert that is pending or firing.
type Alert struct {
	Name        string
	State       string // pending or firing
	Labels      map[string]string
	Annotations map[string]string
}

// Query evaluates an expression now. A scalar comes as one sample without labels.
func (p *Prometheus) Query(expr string) ([]Sample, error) {
	var data struct {
		Kind   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if err := p.ask("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	if data.Kind == "scalar" {
		var value point
		err := json.Unmarshal(data.Result, &value)
		return []Sample{{Value: float64(value)}}, err
	}
	var rows []struct {
		Metric map[string]string `json:"metric"`
		Value  point             `json:"value"`
	}
	if err := json.Unmarshal(data.Result, &rows); err != nil {
		return nil, fmt.Errorf("query %s: a %s: %w", expr, data.Kind, err)
	}
	samples := make([]Sample, len(rows))
	for i, r := range rows {
		samples[i] = Sample{r.Metric, float64(r.Value)}
	}
	return samples, nil
}

// QueryRange evaluates an expression as a panel does, over the time from back until
// now, and returns how many points each series has.
func (p *Prometheus) QueryRange(expr string, back, step time.Duration) (points []int, err error) {
	now := time.Now()
	var data struct {
		Result []struct {
			Values []point `json:"values"`
		} `json:"result"`
	}
	err = p.ask("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {unix(now.Add(-back))}, "end": {unix(now)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, &data)
	for _, r := range data.Result {
		points = append(points, len(r.Values))
	}
	return points, err
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', 3, 64) }

// Alerts returns all alerts that are pending or firing.
func (p *Prometheus) Alerts() ([]Alert, error) {
	var data struct {
		Alerts []struct {
			State       string            `json:"state"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"alerts"`
	}
	if err := p.ask("/api/v1/alerts", nil, &data); err != nil {
		return nil, err
	}
	alerts := make([]Alert, len(data.Alerts))
	for i, a := range data.Alerts {
		alerts[i] = Alert{a.Labels["alertname"], a.State, a.Labels, a.Annotations}
	}
	return alerts, nil
}

// Firing returns the alerts of a name that fire.
func (p *Prometheus) Firing(name string) ([]Alert, error) {
	all, err := p.Alerts()
	var firing []Alert
	for _, a := range all {
		if a.Name == name && a.State == "firing" {
			firing = append(firing, a)
		}
	}
	return firing, err
}

// WaitFiring waits until an alert of that name fires for every one of the
// processes, and returns one. Without processes any alert of that name will do.
func (p *Prometheus) WaitFiring(t testing.TB, name string, of ...*Sidecar) Alert {
	t.Helper()
	var found []Alert
	WaitFor(t, name+" fires", func() bool {
		var err error
		found, err = p.Firing(name)
		have := map[string]bool{}
		for _, a := range found {
			have[a.Labels["instance"]] = true
		}
		for _, s := range of {
			if !have[s.Instance()] {
				return false
			}
		}
		return err == nil && len(found) > 0
	})
	return found[0]
}

// WaitClear waits until no alert of that name and severity fires or is about to.
// An empty severity is any.
func (p *Prometheus) WaitClear(t testing.TB, severity string, names ...string) {
	t.Helper()
	for _, name := range names {
		WaitFor(t, name+" clears", func() bool {
			all, err := p.Alerts()
			return err == nil && !slices.ContainsFunc(all, func(a Alert) bool {
				return a.Name == name && (severity == "" || a.Labels["severity"] == severity)
			})
		})
	}
}

// Unhealthy returns what is wrong with the rules that are loaded, one line for
// each that could not be evaluated the last time.
func (p *Prometheus) Unhealthy() (wrong []string, loaded int, err error) {
	var data struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
			} `json:"rules"`
		} `json:"groups"`
	}
	err = p.ask("/api/v1/rules", nil, &data)
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			loaded++
			if r.Health != "ok" {
				wrong = append(wrong, r.Name+" is "+r.Health+": "+r.LastError)
			}
		}
	}
	return wrong, loaded, err
}

// WaitQuery waits until an expression has an answer, and returns it.
func (p *Prometheus) WaitQuery(t testing.TB, expr string) (found []Sample) {
	t.Helper()
	WaitFor(t, "an answer to "+expr, func() bool {
		var err error
		found, err = p.Query(expr)
		if err != nil && strings.Contains(err.Error(), "bad_data") {
			t.Fatal(err) // waiting does not mend an expression
		}
		return err == nil && len(found) > 0
	})
	return found
}

// point is a time and a value, as Prometheus writes them: [1.5, "2"].
type point float64

// UnmarshalJSON implements [json.Unmarshaler].
func (p *point) UnmarshalJSON(text []byte) error {
	var pair [2]any
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	value, ok := pair[1].(string)
	if !ok {
		return errors.New("not a point: " + string(text))
	}
	v, err := strconv.ParseFloat(value, 64)
	*p = point(v)
	return err
}

// ask calls the HTTP API. It may be called from any goroutine.
func (p *Prometheus) ask(path string, query url.Values, into any) error {
	resp, err := p.client.Get(p.URL + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or the read failed
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Kind  string `json:"errorType"`
		Error string `json:"error"`
		Data  any    `json:"data"`
	}{Data: into}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%s: %w: %s", resp.Status, err, text)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", resp.Status, answer.Kind, answer.Error)
	}
	return nil
}
