package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
)

const metricsHead = `# Metrics

<!-- Made by "make docs" from the metrics that the program registers; changes by hand are lost. -->

The ops listener serves them at ` + "`/metrics`" + `, in the text format of Prometheus, or as protobuf to a scraper that asks for it. Beside them stand those of the Go runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `).
No label ever holds the id of a user or of a room: the values of every label are a closed set.

| name | type | labels | what it says |
|---|---|---|---|
`

// everyPart configures a program that has all the parts that are off unless they
// are asked for, so that it registers every metric there is.
func everyPart(database string) map[string]string {
	return map[string]string{"postgres.url": database, "api.jwt.secret": strings.Repeat("x", 64), "probe.interval": "1s"}
}

// announceTLS registers the metrics of certificates in a program that has none:
// they would have to lie in files.
func announceTLS(s *sidegate) { tlsfiles.NewMetrics(s.registry).Announce("ops") }

// metricsReference describes every metric of ours. They are read off a program
// that is built, with all its parts, and never run: no database is needed.
func metricsReference() (string, error) {
	cfg, err := config.Load(config.Source{Flags: everyPart("postgres://localhost/sidegate")})
	if err != nil {
		return "", fmt.Errorf("reference of the metrics: %w", err)
	}
	s, err := buildSidegate(context.Background(), cfg, slog.New(slog.DiscardHandler), open{})
	if err != nil {
		return "", fmt.Errorf("reference of the metrics: %w", err)
	}
	defer s.store.Close()
	announceTLS(s)
	families, err := s.registry.Gather()
	if err != nil {
		return "", fmt.Errorf("reference of the metrics: %w", err)
	}
	var b strings.Builder
	b.WriteString(metricsHead)
	for _, f := range families { // sorted by name
		if strings.HasPrefix(f.GetName(), "sidegate_") {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
				strings.Join(labelNames(f), ", "), strings.ReplaceAll(f.GetHelp(), "|", `\|`))
		}
	}
	return b.String(), nil
}

// labelNames returns the labels of a family, sorted, as code.
func labelNames(f *dto.MetricFamily) (names []string) {
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if name := "`" + l.GetName() + "`"; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
