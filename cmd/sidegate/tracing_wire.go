package main

import (
	"github.com/sidegate/sidegate/cmd/sidegate/tracing"
)

// The variables of OpenTelemetry that switch tracing on when tracing.endpoint does
// not. The others are read by its library.
var otlpVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// doors says what a server gets of the process that it runs in.
func (p *program) doors(api bool) open {
	o := open{api: api, stdout: p.stdout}
	for _, name := range otlpVariables {
		o.otlp = o.otlp || p.getenv(name) != ""
	}
	o.otlp = o.otlp && p.getenv("OTEL_SDK_DISABLED") != "true"
	return o
}

// buildTracing makes what sends spans, if there is somebody to send them to and an
// api listener to tell of.
func (s *sidegate) buildTracing(doors open) {
	c := &s.cfg.Tracing
	if len(s.cfg.API.Listen) == 0 || c.Endpoint == "" && !doors.otlp {
		return
	}
	s.tracing = tracing.New(tracing.Options{
		Endpoint: c.Endpoint, Headers: c.Headers, Sample: c.Sample, Version: build().Version, Logger: s.log,
	})
}
