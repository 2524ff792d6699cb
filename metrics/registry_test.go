package metrics

import (
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestNewRegistry(t *testing.T) {
	registry := New(Build{Version: "1.2.3", Revision: "abc", GoVersion: "go9"})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		byName[f.GetName()] = f
	}
	for _, name := range []string{"sidegate_build_info", "go_goroutines"} {
		if byName[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if runtime.GOOS == "linux" && byName["process_start_time_seconds"] == nil {
		t.Error("process_start_time_seconds is missing")
	}
	info := byName["sidegate_build_info"].GetMetric()
	if len(info) != 1 || info[0].GetGauge().GetValue() != 1 {
		t.Fatalf("build_info is %v", info)
	}
	labels := make(map[string]string)
	for _, l := range info[0].GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if labels["version"] != "1.2.3" || labels["revision"] != "abc" || labels["goversion"] != "go9" {
		t.Errorf("build_info has labels %v", labels)
	}
}

func TestRegistriesShareNothing(t *testing.T) {
	first, second := New(Build{}), New(Build{})
	own := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sidegate_own", Help: "h"})
	first.MustRegister(own)
	if err := second.Register(own); err != nil {
		t.Errorf("the second registry knows the first one's metrics: %v", err)
	}
}

func TestReadBuild(t *testing.T) {
	if b := ReadBuild(Build{Version: "v9", Revision: "r", Date: "d"}); b != (Build{"v9", "r", "d", runtime.Version()}) {
		t.Errorf("%+v", b)
	}
	if b := ReadBuild(Build{Version: "v9"}); b.Version != "v9" || b.Date == "" || b.GoVersion != runtime.Version() || b.Revision == "" {
		t.Errorf("%+v", b)
	}
	if b := ReadBuild(Build{}); b.Version == "" {
		t.Errorf("without a stamp the module's version counts: %+v", b)
	}
}
