package engine

import (
	"errors"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/spec"
)

// resolve carries a stage of the appliance out, in the write that reached it: the
// agent never sees it.
func (c *change) resolve(l *life) error {
	row := l.row()

	var err error

	if row.Name == core.SpecValidate {
		err = c.validateSpec(l, row)
	} else {
		wrapUp(l, row)
	}

	if err != nil {
		return err
	}

	row.Progress = 1
	trim(row, budget(len(l.run.Stages)))

	return c.end(l, row)
}

// validateSpec compares the inventory of this run with the expected spec.
func (c *change) validateSpec(l *life, row *core.Stage) error {
	var found core.Inventory

	err := c.Get(core.TableInventory, string(l.run.ID), &found)
	if errors.Is(err, core.ErrNotFound) {
		row.Verdict = core.Error
		row.Findings = []core.Finding{problem.Finding(problem.SpecNoInventory, "", row.Name, core.Part{}, "no inventory of this run")}

		return nil
	}

	if err != nil {
		return err
	}

	if l.run.SpecYAML == "" {
		general := spec.General(&found)
		row.Findings, row.Verdict = general.Findings, core.Skip
		row.SkipReason = "the host has no expected spec; only the general checks were made"
		row.Coverage = "compared with no spec"

		if general.Critical() {
			row.Verdict, row.SkipReason = core.Fail, ""
		}

		return nil
	}

	want, err := c.engine.ParseSpec(l.run.SpecYAML)
	if err != nil {
		row.Verdict = core.Error
		row.Findings = []core.Finding{problem.Finding(problem.SpecInvalid, "", row.Name, core.Part{}, clip(err.Error(), maxNote))}

		return nil //nolint:nilerr // the finding tells it; the run goes on to its hold
	}

	r := spec.Compare(want, &found)
	row.Diffs, row.Findings, row.Verdict = r.Diffs, r.Findings, core.Pass
	row.Coverage = fmt.Sprintf("%d of %d fields of the spec as expected", r.Compared-len(r.Diffs), r.Compared)

	if r.Critical() {
		row.Verdict = core.Fail
	}

	return nil
}

// wrapUp judges the run as a whole: it passes if each stage passed or was skipped
// for a declared reason, and something was tested.
func wrapUp(l *life, row *core.Stage) {
	row.Verdict = core.Pass
	tested := 0

	for i := range l.run.Stages {
		switch s := &l.run.Stages[i]; {
		case s.Name == core.Reporting:
		case s.Verdict == core.Pass:
			tested++
		case s.Verdict != core.Skip:
			row.Verdict = core.Error
			row.Findings = append(row.Findings, problem.Finding(problem.RunStageUnmeasurable, "", row.Name, core.Part{},
				fmt.Sprintf("%s ended with %s", s.Name, s.Verdict)))
		}
	}

	if tested == 0 && row.Verdict == core.Pass {
		row.Verdict = core.Error
		row.Findings = append(row.Findings, problem.Finding(problem.RunNothingTested, "", row.Name, core.Part{}, "every stage was skipped"))
	}
}
