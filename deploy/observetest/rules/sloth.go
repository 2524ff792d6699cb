package rules

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"
)

var slothTemplate = template.Must(template.New("sloth").Parse(head + `#
# The same objectives for sloth, which makes rules and alerts of its own from
# them. Load either its rules or sidegate-slo.yaml, and in both cases
# sidegate-recording.yaml, which the objective of freshness counts by.
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata:
  name: sidegate
spec:
  service: sidegate
  slos:{{range .}}
    - name: {{.Name}}
      objective: {{.Objective}}
      description: {{printf "%q" .Means}}
      sli:
        events:
          errorQuery: '{{.Query .Errors}}'
          totalQuery: '{{.Query .Total}}'
      alerting:
        name: {{.Alert}}
        annotations:
          summary: {{.Summary}}, and the error budget does not last.
          runbook_url: https://github.com/sidegate/sidegate/blob/main/docs/runbooks/{{.Page}}.md
        pageAlert: {labels: {severity: page}}
        ticketAlert: {labels: {severity: ticket}}
{{end}}`))

// Query is an expression as sloth wants it: one series, {{.window}} for the window.
func (o objective) Query(expr string) string {
	return fmt.Sprintf("sum(%s)", fill(expr, "{{.window}}"))
}

// Sloth is slo/sidegate.sloth.yaml.
func Sloth() ([]byte, error) {
	var b bytes.Buffer
	err := slothTemplate.Execute(&b, objectives)
	return []byte(strings.ReplaceAll(b.String(), "\n\n", "\n")), err
}
