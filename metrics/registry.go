package metrics

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build says which program is running.
type Build struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"` // of the source; "unknown" without version control
	Date      string `json:"date"`     // of the revision, RFC 3339; "unknown" likewise
	GoVersion string `json:"go_version"`
}

// ReadBuild returns what the binary knows of itself. What the linker has stamped
// wins, as in a release, or in an image that is built from sources without their
// history; what is empty is read from the module and its version control.
func ReadBuild(stamped Build) Build {
	b := Build{Version: stamped.Version, Revision: "unknown", Date: "unknown", GoVersion: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.read(info)
	}
	if stamped.Revision != "" {
		b.Revision = stamped.Revision
	}
	if stamped.Date != "" {
		b.Date = stamped.Date
	}
	return b
}

// read takes over what the compiler has noted.
func (b *Build) read(info *debug.BuildInfo) {
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	var modified bool
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		b.Revision += "-modified"
	}
}

// New returns a registry that holds the metrics of the process and the Go
// runtime and sidegate_build_info. It is safe for concurrent use.
func New(b Build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sidegate_build_info",
		Help: "Always 1; the labels name the running build. Join it to other metrics to compare versions.",
		ConstLabels: prometheus.Labels{
			"version": b.Version, "revision": b.Revision, "goversion": b.GoVersion,
		},
	})
	info.Set(1)
	registry.MustRegister(
		info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}
