package observetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// vocabulary is what expressions may speak of: the names of metrics, each with the
// labels that its series have.
type vocabulary map[string]map[string]bool

// addable are labels that Prometheus's own configuration may add to every series,
// and that the one of the tests does not.
var addable = []string{"cluster"}

// check returns what is wrong with an expression, one sentence each.
func (v vocabulary) check(expr string) (wrong []string) {
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			wrong = append(wrong, v.selector(n)...)
		case *parser.AggregateExpr:
			wrong = append(wrong, v.mentions(n.Expr, "by or without", n.Grouping)...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				wrong = append(wrong, v.mentions(n, "on or ignoring", n.VectorMatching.MatchingLabels)...)
				wrong = append(wrong, v.mentions(n, "group_left or group_right", n.VectorMatching.Include)...)
			}
		}
		return nil
	})
	return wrong
}

func (v vocabulary) selector(s *parser.VectorSelector) (wrong []string) {
	name := s.Name
	known, ok := v[name]
	if !ok {
		return []string{fmt.Sprintf("nothing is called %q", name)}
	}
	for _, m := range s.LabelMatchers {
		if m.Name != model.MetricNameLabel && !known[m.Name] && !slices.Contains(addable, m.Name) {
			wrong = append(wrong, fmt.Sprintf("%s has no label %q", name, m.Name))
		}
	}
	return wrong
}

// mentions looks for labels on anything that an expression selects; label_replace
// may make one.
func (v vocabulary) mentions(expr parser.Expr, where string, names []string) (wrong []string) {
	var there []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			for label := range v[n.Name] {
				there = append(there, label)
			}
		case *parser.Call:
			if n.Func.Name == "label_replace" {
				there = append(there, strings.Trim(n.Args[1].String(), `"`))
			}
		}
		return nil
	})
	for _, name := range names {
		if !slices.Contains(there, name) && !slices.Contains(addable, name) {
			wrong = append(wrong, fmt.Sprintf("%s: nothing in %s has the label %q", where, expr, name))
		}
	}
	return wrong
}

// TestVocabularyFinds: the check that follows finds what it is there for.
func TestVocabularyFinds(t *testing.T) {
	v := vocabulary{
		"sidegate_decisions_total": {"outcome": true, "pod": true},
		"sidegate_build_info":      {"version": true, "pod": true},
	}
	for expr, want := range map[string]string{
		`sum by (outcome) (rate(sidegate_decisions_total[5m]))`:                           "",
		`sum by (cluster) (sidegate_decisions_total{cluster="a"})`:                        "",
		`sum by (made) (label_replace(sidegate_build_info, "made", "$1", "pod", "(.*)"))`: "",
		`sidegate_decisions_total * on (pod) group_left (version) sidegate_build_info`:    "",
		`rate(sidegate_decision_total[5m])`:                                               `nothing is called "sidegate_decision_total"`,
		`sidegate_decisions_total{result="drop"}`:                                         `sidegate_decisions_total has no label "result"`,
		`sum by (result) (rate(sidegate_decisions_total[5m]))`:                            `has the label "result"`,
		`sidegate_decisions_total * on (node) sidegate_build_info`:                        `has the label "node"`,
		`sidegate_decisions_total * on (pod) group_left (release) sidegate_build_info`:    `has the label "release"`,
		`sum(rate(sidegate_decisions_total[5m])`:                                          "unclosed left parenthesis",
		`rate(sidegate_decisions_total)`:                                                  "expected type range vector",
		`mad_over_time(sidegate_decisions_total[5m])`:                                     "not enabled",
	} {
		got := strings.Join(v.check(expr), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s\nis answered with %q, want %q", expr, got, want)
		}
	}
}
