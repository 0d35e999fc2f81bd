package engine

import (
	"cmp"
	"errors"
	"slices"

	"vetting/core"
)

// expectedDisks lists the disks that the agent may find: those of the host's last run,
// with what the spec says of them, those that the spec or the operator who armed them
// names, and those of this run's own inventory. The last never say who an armed disk is:
// what this run saw first proves nothing about it.
func (c *change) expectedDisks(l *life) ([]core.ExpectedDisk, error) {
	var disks []core.ExpectedDisk

	add := func(d core.ExpectedDisk) {
		i := slices.IndexFunc(disks, func(o core.ExpectedDisk) bool { return o.Serial == d.Serial })

		switch {
		case d.Serial == "":
		case i < 0:
			disks = append(disks, d)
		case !d.Known:
			o := &disks[i]
			o.WWN, o.Model, o.SizeBytes = cmp.Or(d.WWN, o.WWN), cmp.Or(d.Model, o.Model), cmp.Or(d.SizeBytes, o.SizeBytes)
			o.Known, o.Armed = false, o.Armed || d.Armed
		}
	}

	known := func(run core.RunID) error {
		inventory, err := c.inventoryOf(run)

		for i := range inventory.Disks {
			d := &inventory.Disks[i]
			add(core.ExpectedDisk{Serial: d.Serial, WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, Known: true})
		}

		return err
	}

	if l.host.LastRun != l.run.ID {
		if err := known(l.host.LastRun); err != nil {
			return nil, err
		}
	}

	if want, err := c.engine.ParseSpec(l.run.SpecYAML); l.run.SpecYAML != "" && err == nil {
		for i := range want.Disks {
			for _, d := range want.Disks[i].Expected() {
				add(d)
			}
		}
	}

	for _, serial := range l.run.Armed {
		add(core.ExpectedDisk{Serial: serial, Armed: true})
	}

	return disks, known(l.run.ID)
}

// inventoryOf is what a run found, or empty.
func (c *change) inventoryOf(run core.RunID) (inventory core.Inventory, err error) {
	if run == "" {
		return inventory, nil // the host's first run
	}

	if err = c.Get(core.TableInventory, string(run), &inventory); errors.Is(err, core.ErrNotFound) {
		err = nil
	}

	return inventory, err
}
