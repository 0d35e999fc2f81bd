package engine

import (
	"vetting/core"
	"vetting/core/threshold"
)

// trailsPerRecord bounds one record of trails, far below what the ledger takes.
const trailsPerRecord = 64

// judgeSamples evaluates what was measured while the stage ran, and keeps the
// trail of every rule and key, and what was measured in short.
func (c *change) judgeSamples(l *life, row *core.Stage, measured []core.Sample) error {
	if err := c.keepFigures(l, row, measured); err != nil {
		return err
	}

	row.Evaluations = threshold.Evaluate(l.run.Rules, row.Name, measured)
	trails := threshold.Trails(l.run.Rules, row.Name, measured)

	for n := 0; len(trails) > 0; n++ {
		some := trails[:min(len(trails), trailsPerRecord)]
		trails = trails[len(some):]

		if err := c.Put(core.TableTrail, core.TrailKey(l.run.ID, row.Name, row.Attempt, n), some); err != nil {
			return err
		}
	}

	return nil
}

// judgeCut evaluates a stage that was cut off before the agent could say how it
// ended.
func (c *change) judgeCut(l *life, row *core.Stage) error {
	measured, err := readStageSamples(c, standing{run: l.run.ID, stage: row.Name, attempt: row.Attempt})
	if err != nil {
		return err
	}

	return cmpErr(c.judgeSamples(l, row, measured), func() error {
		trim(row, budget(len(l.run.Stages)))

		return nil
	})
}
