package engine

import (
	"errors"
	"slices"

	"vetting/core"
)

// expectedDisks lists the disks that the agent should find: those of the spec
// that have a serial, those of the last inventory, and those armed for this run.
func (c *change) expectedDisks(l *life) ([]core.ExpectedDisk, error) {
	var disks []core.ExpectedDisk

	add := func(d core.ExpectedDisk) {
		if d.Serial != "" && !slices.ContainsFunc(disks, func(o core.ExpectedDisk) bool { return o.Serial == d.Serial }) {
			d.Armed = slices.Contains(l.run.Armed, d.Serial)
			disks = append(disks, d)
		}
	}

	inventory, err := c.lastInventory(l)
	if err != nil {
		return nil, err
	}

	for i := range inventory.Disks {
		d := &inventory.Disks[i]
		add(core.ExpectedDisk{Serial: d.Serial, WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes})
	}

	if want, err := c.engine.ParseSpec(l.run.SpecYAML); l.run.SpecYAML != "" && err == nil {
		for i := range want.Disks {
			for _, d := range want.Disks[i].Expected() {
				add(d)
			}
		}
	}

	for _, serial := range l.run.Armed {
		add(core.ExpectedDisk{Serial: serial})
	}

	return disks, nil
}

// lastInventory is this run's, or that of the host's last run, or empty.
func (c *change) lastInventory(l *life) (inventory core.Inventory, err error) {
	for _, run := range []core.RunID{l.run.ID, l.host.LastRun} {
		if run == "" {
			continue // the host's first run
		}

		err = c.Get(core.TableInventory, string(run), &inventory)
		if !errors.Is(err, core.ErrNotFound) {
			return inventory, err
		}
	}

	return core.Inventory{}, nil
}
