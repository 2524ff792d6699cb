package harness

import (
	"strings"
	"testing"
)

func TestShortenRules(t *testing.T) {
	short, err := ShortenRules([]byte(`
groups:
  - name: a
    interval: 30s
    rules:
      - record: slo:sli_error:ratio_rate5m
        expr: sum(rate(x_total[5m])) / sum(rate(y_total[1h:30s] offset 3d)) > 30
      - alert: A
        expr: time() - x > 30
        for: 2m
        keep_firing_for: 1h
        annotations: {summary: in 5m}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"interval: 500ms", "record: slo:sli_error:ratio_rate5m", "rate(x_total[5000ms])", "[60000ms:500ms] offset 4320000ms)) > 30",
		"time() - x > 30", "for: 2000ms", "keep_firing_for: 60000ms", "summary: in 5m",
	} {
		if !strings.Contains(string(short), want) {
			t.Errorf("%q is missing in\n%s", want, short)
		}
	}
	for _, wrong := range []string{"groups: [{interval: soon}]", "groups: [{rules: [1]}]", "groups: 1"} {
		if _, err := ShortenRules([]byte(wrong)); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}
