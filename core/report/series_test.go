package report_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
)

// Each evaluation gets the series of its own stage, try, rule and key, and one that
// was dropped comes back with the worst value.
func TestTrailsAreAttachedWhereTheyBelong(t *testing.T) {
	t.Parallel()

	at := coretest.Start()
	trail := func(stage core.StageName, attempt int, rule, key, limit string, low, high float64) report.Trail {
		return report.Trail{Stage: stage, Attempt: attempt, Trail: core.Trail{
			Rule: rule, Key: key, Limit: limit, Severity: core.Warning, Verdict: core.Pass, Count: 2, Min: low, Max: high, First: at, Last: at,
		}}
	}
	run := core.Run{Stages: []core.Stage{
		{Name: core.SMART, Phase: core.Done, Attempt: 2, Evaluations: []core.Evaluation{
			{Rule: "hot", Key: "a", Value: 50, Limit: "lte 55", Verdict: core.Pass},
			{Rule: "hot", Key: "b", Value: 60, Limit: "lte 55", Verdict: core.Fail},
			{Rule: "needed", Limit: "gt 0", Verdict: core.Error},
		}},
		{Name: core.Burn, Phase: core.Done, Attempt: 1, Evaluations: []core.Evaluation{{Rule: "hot", Key: "a", Value: 70, Limit: "lte 80", Verdict: core.Pass}}},
	}}

	r := report.Build(report.Input{Run: run})
	r.Attach([]report.Trail{
		trail(core.SMART, 1, "hot", "a", "lte 55", 1, 2), // of a try that does not count any more
		trail(core.SMART, 2, "hot", "a", "lte 55", 40, 50),
		trail(core.Burn, 1, "hot", "a", "lte 80", 60, 70),
		trail(core.Burn, 1, "slow", "fan", "gte 900", 1000, 1200),
		trail(core.Burn, 1, "near", "volt", "within_pct 5 of 12", 11.9, 12.1),
		trail(core.GPU, 1, "hot", "a", "lte 55", 1, 2), // of a stage that is not in the plan
	})

	type row struct {
		Stage         core.StageName
		Rule, Key     string
		Value         float64
		Low, High     float64
		HasValue, Has bool
	}

	var got []row

	for _, e := range r.Evaluations {
		line := row{Stage: e.Stage, Rule: e.Rule, Key: e.Key, HasValue: e.Value != nil, Has: e.Series != nil}
		if e.Value != nil {
			line.Value = *e.Value
		}

		if e.Series != nil {
			line.Low, line.High = e.Series.Min, e.Series.Max
		}

		got = append(got, line)
	}

	want := []row{
		{core.SMART, "hot", "a", 50, 40, 50, true, true},
		{core.SMART, "hot", "b", 60, 0, 0, true, false},
		{core.SMART, "needed", "", 0, 0, 0, true, false},
		{core.Burn, "hot", "a", 70, 60, 70, true, true},
		{core.Burn, "slow", "fan", 1000, 1000, 1200, true, true}, // the least is the worst
		{core.Burn, "near", "volt", 0, 11.9, 12.1, false, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASeriesSaysWhenItWasOutside(t *testing.T) {
	t.Parallel()

	at := coretest.Start()
	later := func(s int) time.Time { return at.Add(time.Duration(s) * time.Second) }

	got := report.NewSeries(&core.Trail{
		Count: 9, Bad: 4, Silent: 1, Min: 1, Max: 60, First: at, Last: later(9), Changed: 2, Breached: 2,
		Changes:  []core.TrailChange{{Time: later(3), Verdict: core.Fail}, {Time: later(5), Verdict: core.Pass}},
		Breaches: []core.TrailBreach{{From: later(2), To: later(5)}, {From: later(7)}},
	})
	want := report.Series{
		Count: 9, Bad: 4, Silent: 1, Min: 1, Max: 60, First: at, Last: later(9), Breached: 2, BadFrom: later(2), BadTo: later(5), Changed: 2, FailedAt: later(3),
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
