package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// inClass has a profile whose one rule compares with the hosts of the class.
func inClass(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		test(t, newRig(t, coretest.NewLedger(), func(c *engine.Config) {
			c.MaxConcurrent = 20
			c.Profiles[0].Rules = []core.Rule{{
				ID: "like-the-others", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpWithinPct, Value: 10,
				Of: "baseline", Severity: core.Critical,
			}}
		}))
	})
}

// vet vets the n-th host, whose disk has this temperature in SMART.
func (r *rig) vet(n int, celsius float64) core.Run {
	r.t.Helper()

	if r.find(n) == nil {
		host := coretest.Host(n)
		host.Class = "r640"

		if _, err := r.RegisterHost(r.t.Context(), "op", host); err != nil {
			r.t.Fatal(err)
		}
	}

	id := r.start(n)
	m := r.machine(n)
	state := m.boot().State

	for slices.Contains(core.Pipeline(), core.StageName(state)) {
		res := m.passing(core.StageName(state))
		if res.Stage == core.SMART {
			for i, v := range []float64{celsius - 1, celsius + 1, celsius} {
				res.Measurements = append(res.Measurements, core.Sample{
					Time: coretest.Start().Add(time.Duration(i) * time.Second), Key: "disk/sda/temperature_celsius", Value: v,
				})
			}
		}

		next, err := m.send(res)
		if err != nil {
			r.t.Fatal(err)
		}

		state = next
	}

	return r.run(id)
}

// limitOf is how the rule reads in what came of SMART, and its verdict.
func limitOf(run core.Run) (limit string, verdict core.Verdict) {
	row := run.Stages[run.StageAt(core.SMART)]
	if len(row.Evaluations) != 1 {
		return fmt.Sprint(row.Evaluations), ""
	}

	return row.Evaluations[0].Limit, row.Evaluations[0].Verdict
}

func TestAHostIsComparedWithThoseOfItsClassThatPassed(t *testing.T) {
	inClass(t, func(t *testing.T, r *rig) {
		for n := 1; n <= 5; n++ {
			run := r.vet(n, float64(30+n))

			if limit, verdict := limitOf(run); verdict != core.Unmeasurable || run.State != core.StateCompleted {
				t.Fatalf("host %d of five, in %s: %s %s", n, run.State, limit, verdict)
			}
		}

		const want = "within_pct 10 of 33 (median of 5 hosts of r640)"

		run := r.vet(6, 50)
		if limit, verdict := limitOf(run); limit != want || verdict != core.Fail || run.State != core.StateFailedHolding {
			t.Errorf("a hot one in %s: %s %s", run.State, limit, verdict)
		}

		if base := run.Rules[0].Baseline; base != (core.Baseline{Value: 33, From: "median of 5 hosts of r640"}) {
			t.Errorf("frozen: %+v", base)
		}

		// It failed, so it is nobody to compare with; and what a run compares with
		// stays as it was when the run was created.
		waiting := coretest.Host(7)
		waiting.Class = "r640"

		if _, err := r.RegisterHost(t.Context(), "op", waiting); err != nil {
			t.Fatal(err)
		}

		frozen := r.start(7)

		if limit, verdict := limitOf(r.vet(8, 35)); limit != want || verdict != core.Pass {
			t.Errorf("after one that failed: %s %s", limit, verdict)
		}

		if limit, _ := limitOf(r.vet(9, 34)); limit != "within_pct 10 of 33.5 (median of 6 hosts of r640)" {
			t.Errorf("after one more: %s", limit)
		}

		if base := r.run(frozen).Rules[0].Baseline; base.Value != 33 {
			t.Errorf("a run that waits: %+v", base)
		}
	})
}

func TestTheGoldenHostOfAClass(t *testing.T) {
	inClass(t, func(t *testing.T, r *rig) {
		r.vet(1, 40)

		class := core.Class{Name: "r640", Golden: coretest.MAC(77)}
		if _, err := r.SetClass(t.Context(), "op", class); codeOf(err) != "host/not-found" {
			t.Errorf("a golden host that there is not: %v", err)
		}

		class.Golden = coretest.MAC(1)
		if _, err := r.SetClass(t.Context(), "op", class); err != nil {
			t.Fatal(err)
		}

		if limit, verdict := limitOf(r.vet(2, 41)); limit != "within_pct 10 of 40 (golden host rack1-u01)" || verdict != core.Pass {
			t.Errorf("%s %s", limit, verdict)
		}
	})
}

func TestAClassWhoseNameGoesOnIsAnotherClass(t *testing.T) {
	inClass(t, func(t *testing.T, r *rig) {
		for n := 1; n <= 4; n++ {
			r.vet(n, 40)
		}

		other := coretest.Host(5)
		other.Class = "r640/b"

		if _, err := r.RegisterHost(t.Context(), "op", other); err != nil {
			t.Fatal(err)
		}

		r.vet(5, 40)

		if limit, verdict := limitOf(r.vet(6, 40)); limit != "within_pct 10 of the baseline, which is not known yet" || verdict != core.Unmeasurable {
			t.Errorf("%s %s", limit, verdict)
		}
	})
}
