package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/sync/postgres"
)

// auditing is a store whose turns a test decides.
type auditing func(period time.Duration, repair bool) (postgres.AuditTurn, error)

func (a auditing) AuditTurn(_ context.Context, period time.Duration, repair bool) (postgres.AuditTurn, error) {
	return a(period, repair)
}

// auditFor runs an auditor for a while of simulated time and returns its log.
func auditFor(t *testing.T, d time.Duration, reg prometheus.Registerer, turn func(*postgres.Auditor) auditing) string {
	t.Helper()
	var (
		log bytes.Buffer
		a   *postgres.Auditor
	)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	a, err := postgres.NewAuditor(postgres.AuditorOptions{
		Store:   auditing(func(period time.Duration, repair bool) (postgres.AuditTurn, error) { return turn(a)(period, repair) }),
		Metrics: postgres.NewAuditMetrics(reg), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Name:     func(id string) string { return "~" + id },
		Settings: postgres.AuditSettings{Period: time.Hour, Repair: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	return log.String()
}

func TestAuditorPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := 0
		var last time.Time
		auditFor(t, 10*time.Minute, nil, func(a *postgres.Auditor) auditing {
			return func(period time.Duration, repair bool) (postgres.AuditTurn, error) {
				turns++
				pause := time.Since(last)
				last = time.Now()
				switch {
				case turns == 1:
					time.Sleep(time.Second) // it is slow
					return postgres.AuditTurn{}, nil
				case turns == 2 && (pause < 5*time.Second || pause > 6*time.Second):
					t.Errorf("%v after a piece that took 1 s", pause)
				case turns == 3 && (pause < 100*time.Millisecond || pause > 200*time.Millisecond):
					t.Errorf("%v after a piece that took no time", pause)
				case turns == 4 && (pause < 7*time.Second || pause > 8*time.Second):
					t.Errorf("%v although told to wait for 7 s", pause)
				case turns == 5 && (pause < 30*time.Second || pause > 33*time.Second):
					t.Errorf("%v although others may have ended the round", pause)
				case turns == 5:
					a.Set(postgres.AuditSettings{Period: time.Minute})
				case turns == 6 && (pause != 0 || period != time.Minute || repair):
					t.Errorf("new settings after %v: %v, %v", pause, period, repair)
				case turns == 6:
					a.Set(postgres.AuditSettings{})
				case turns > 6:
					t.Error("it audits although it was switched off")
				}
				return postgres.AuditTurn{Wait: map[int]time.Duration{3: 7 * time.Second, 4: time.Hour, 5: time.Hour, 6: time.Hour}[turns]}, nil
			}
		})
		if turns != 6 {
			t.Errorf("%d turns", turns)
		}
	})
}

func TestAuditorReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, start := 0, time.Now()
		reg := prometheus.NewPedanticRegistry()
		log := auditFor(t, time.Hour, reg, func(*postgres.Auditor) auditing {
			return func(time.Duration, bool) (postgres.AuditTurn, error) {
				turns++
				turn := postgres.AuditTurn{Round: &postgres.AuditRound{Began: start, UnderWay: true}}
				switch turns {
				case 1:
					turn.Lists = 100
					for i := range 19 {
						turn.Damage = append(turn.Damage, postgres.Damage{App: "a", Kind: "block", Owner: fmt.Sprint("u", i), Reason: "size", Rows: 7, Repaired: true})
					}
				case 2:
					turn.Lists, turn.StartedOver = 10, true
					turn.Damage = []postgres.Damage{
						{App: "a", Kind: "block", Owner: "big", Reason: "limit", Rows: 3001},
						{App: "a", Kind: "block", Owner: "held", Reason: "feed"},
					}
				default:
					turn.Wait = time.Hour
					turn.Round = &postgres.AuditRound{Began: start, Ended: start.Add(time.Minute), Lists: 110, Damaged: 20, Repaired: 19, Oversize: 1}
				}
				return turn, nil
			}
		})
		for text, want := range map[string]int{
			"owner=~u": 19, // by the name that was asked for
			"size=0 rows=7 reason=size repaired=true": 19,
			"owner=~big":  1,
			"owner=~held": 0, // the twenty-first
			"set back":    1,
			"lists=110 damaged=20 repaired=19 oversize=1": 1,
			"level=ERROR": 20,
		} {
			if got := strings.Count(log, text); got != want {
				t.Errorf("%q is logged %d times, not %d:\n%s", text, got, want, log)
			}
		}
		expected := `
# HELP sidegate_db_audit_mismatches_total Lists that differed: somebody wrote to our tables past their triggers. Any is worth a look.
# TYPE sidegate_db_audit_mismatches_total counter
sidegate_db_audit_mismatches_total 20
# HELP sidegate_db_audit_oversize_lists Lists with more entries than any may have, in the last complete round. All entries count; only their owner can take some away.
# TYPE sidegate_db_audit_oversize_lists gauge
sidegate_db_audit_oversize_lists 1
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(expected),
			"sidegate_db_audit_mismatches_total", "sidegate_db_audit_oversize_lists"); err != nil {
			t.Error(err)
		}
		got := map[string]float64{}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			m := f.GetMetric()[0]
			got[strings.TrimPrefix(f.GetName(), "sidegate_db_audit_")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		if got["lists_total"] != 110 || got["repaired_total"] != 19 || got["period_seconds"] != 3600 ||
			got["last_round_timestamp_seconds"] != float64(start.Add(time.Minute).Unix()) ||
			got["round_started_timestamp_seconds"] != float64(start.Unix()) {
			t.Errorf("%v", got)
		}
	})
}

// Of a round that ended before this process began nothing is told, and nobody is
// missed who did not run.
func TestAuditorBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		start := time.Now()
		log := auditFor(t, time.Hour, reg, func(*postgres.Auditor) auditing {
			return func(time.Duration, bool) (postgres.AuditTurn, error) {
				return postgres.AuditTurn{Wait: time.Minute, Round: &postgres.AuditRound{
					Began: start.Add(-9 * time.Hour), Ended: start.Add(-8 * time.Hour), Damaged: 4}}, nil
			}
		})
		if log != "" {
			t.Errorf("logged %s", log)
		}
		want := fmt.Sprintf(`
# HELP sidegate_db_audit_last_round_timestamp_seconds When everything had last been compared, by whatever process, or when this process began, if that is later.
# TYPE sidegate_db_audit_last_round_timestamp_seconds gauge
sidegate_db_audit_last_round_timestamp_seconds %g
`, float64(start.Unix()))
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sidegate_db_audit_last_round_timestamp_seconds"); err != nil {
			t.Error(err)
		}
	})
}

func TestAuditorGoesOnAndLogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := 0
		log := auditFor(t, time.Minute, nil, func(*postgres.Auditor) auditing {
			return func(time.Duration, bool) (postgres.AuditTurn, error) {
				if turns++; turns <= 5 {
					return postgres.AuditTurn{}, errors.New("away")
				}
				return postgres.AuditTurn{Wait: time.Minute}, nil
			}
		})
		if turns != 7 || strings.Count(log, "\n") != 2 || strings.Count(log, "away") != 1 {
			t.Errorf("%d turns, logged:\n%s", turns, log)
		}
	})
}

func TestAuditorNeedsItsParts(t *testing.T) {
	if _, err := postgres.NewAuditor(postgres.AuditorOptions{}); err == nil {
		t.Error("an auditor of nothing")
	}
}

var _ postgres.Auditing = (*postgres.Store)(nil)
