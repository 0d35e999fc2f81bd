package canned

import (
	"errors"
	"fmt"
	"time"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
)

// hot is the rule of the scene.
func hot() core.Rule {
	return core.Rule{
		ID: "disk-temperature", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLTE, Value: 55, Severity: core.Warning, Count: 2,
	}
}

// MeasuredRun has samples, trails and evaluations; MeasuredKey is one of its keys.
const (
	MeasuredRun = core.RunID("01JD4X00000000000000000013")
	MeasuredKey = "disk/ZC1A7C9F1R5/temperature_celsius"
)

// measured writes the samples of a run, and what the rules saw of them: one disk
// got too hot for a while.
func measured(txn core.Txn, scene Scene) error {
	if scene != Full {
		return nil
	}

	var run core.Run

	if err := txn.Get(core.TableRun, string(MeasuredRun), &run); err != nil {
		return err
	}

	run.Rules = []core.Rule{hot()}
	start := run.Stages[3].StartedAt
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	temperatures := []float64{44, 50, 56, 54, 57, 58, 59, 50}

	var faults []error

	for i, t := range temperatures {
		faults = append(faults, txn.Put(core.TableSamples, fmt.Sprintf("%s/%06d/%012d", run.ID, 1, i+1), core.SampleBatch{
			Run: run.ID, Epoch: 1, Seq: uint64(i + 1), Stage: core.SMART, Attempt: 1, Samples: []core.Sample{ //nolint:gosec // small
				{Time: at(i), Key: MeasuredKey, Value: t, Unit: "°C", Stage: core.SMART},
				{Time: at(i), Key: "disk/S64G7C9F1R5/temperature_celsius", Value: 34, Unit: "°C", Stage: core.SMART},
			},
		}))
	}

	run.Stages[3].Evaluations = []core.Evaluation{
		{Rule: "disk-temperature", Key: "disk/S64G7C9F1R5/temperature_celsius", Value: 34, Limit: "lte 55", Verdict: core.Pass, Severity: core.Warning},
		{Rule: "disk-temperature", Key: MeasuredKey, Value: 59, Limit: "lte 55", Verdict: core.Fail, Severity: core.Warning},
	}

	broken := problem.Finding(problem.ThresholdBreach, core.Warning, core.SMART, core.Part{Kind: "disk", Serial: "ZC1A7C9F1R5"},
		MeasuredKey+" is 59, must be at most 55 (rule disk-temperature)") // as the engine has it
	broken.Title, broken.Subject = catalogue.Breach(&run.Stages[3].Evaluations[1]), "disk-temperature "+MeasuredKey
	run.Stages[3].Findings = []core.Finding{broken}

	trails := []core.Trail{
		{
			Rule: "disk-temperature", Key: "disk/S64G7C9F1R5/temperature_celsius", Limit: "lte 55", Severity: core.Warning, Verdict: core.Pass,
			Count: 8, Min: 34, Max: 34, First: at(0), Last: at(7),
		},
		{
			Rule: "disk-temperature", Key: MeasuredKey, Limit: "lte 55", Severity: core.Warning, Verdict: core.Fail,
			Count: 8, Bad: 4, Silent: 1, Min: 44, Max: 59, First: at(0), Last: at(7), Changed: 2, Breached: 2,
			Changes: []core.TrailChange{{Time: at(5), Verdict: core.Fail}, {Time: at(7), Verdict: core.Pass}},
			Breaches: []core.TrailBreach{
				{From: at(2), To: at(3), Samples: []core.TrailSample{{Time: at(1), Value: 50}, {Time: at(2), Value: 56}}},
				{From: at(4), To: at(7), Samples: []core.TrailSample{{Time: at(4), Value: 57}}},
			},
		},
	}

	return errors.Join(append(faults, txn.Put(core.TableRun, string(run.ID), run),
		txn.Put(core.TableTrail, core.TrailKey(run.ID, core.SMART, 1, 0), trails[:1]),
		txn.Put(core.TableTrail, core.TrailKey(run.ID, core.SMART, 1, 1), trails[1:]))...)
}
