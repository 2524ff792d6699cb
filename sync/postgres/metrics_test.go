package postgres_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

func TestMetricsShowThePools(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	store, err := postgres.Open(t.Context(), postgres.Options{URL: pgtest.Database(t), Metrics: postgres.NewMetrics(reg)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Edit(t.Context(), add("bob", "alice")); err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	// Three states in each of five pools, and five more values of each.
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 5*3+5*5 {
		t.Errorf("%d values, %v", n, err)
	}
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"sidegate_db_pool_connections writes idle": 1, "sidegate_db_pool_connections sync idle": 0,
		"sidegate_db_pool_max_connections loads": 4, "sidegate_db_pool_acquires_total writes": 1,
		"sidegate_db_pool_opened_connections_total writes": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	store.Close()
	store.Close()
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 0 {
		t.Errorf("a closed store shows %d values, %v", n, err)
	}
}
