package engine

import (
	"errors"

	"vetting/core"
	"vetting/core/report"
)

// writeReport records what stands at this moment. A report larger than a record
// may be is written without the evaluations, firmware checks and sub-steps, which the run keeps.
func (c *change) writeReport(l *life) error {
	in := report.Input{Host: l.host, Run: l.run, Appliance: c.engine.Appliance, Now: c.now}
	if c.engine.Retention != nil {
		policy := c.engine.Retention()
		in.Retention = &policy
	}

	err := c.Get(core.TableInventory, string(l.run.ID), &in.Inventory)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	var firmware core.FirmwareSnapshot

	err = c.Get(core.TableFirmware, firmwareOfRun+string(l.run.ID), &firmware)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	in.Checks = firmware.Checks

	if in.Waivers, err = c.waivers(l.run.Host); err != nil {
		return err
	}

	if in.Notes, err = c.notes(l.run.Host); err != nil {
		return err
	}

	full := report.Build(in)

	err = c.Put(core.TableReport, string(l.run.ID), full)
	if !errors.Is(err, core.ErrInvalid) {
		return err
	}

	full.Evaluations, full.Checks = full.Evaluations[:0], nil

	for i := range full.Stages {
		full.Stages[i].SubSteps = full.Stages[i].SubSteps[:0]
	}

	return c.Put(core.TableReport, string(l.run.ID), full)
}
