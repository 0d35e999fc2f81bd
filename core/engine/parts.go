package engine

import (
	"errors"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
)

// maxPartsKept bounds the parts of one inventory that are remembered.
const maxPartsKept = 1024

// compareParts remembers which host has which part, and finds those that another
// host was said to have: a part that was moved, a copy, or a firmware that tells
// every machine the same.
func (c *change) compareParts(l *life, row *core.Stage, found *core.Inventory) error {
	for i, part := range identified(found) {
		if i == maxPartsKept {
			return nil
		}

		other, err := c.otherOwner(l.run.Host, part)
		if err != nil {
			return err
		}

		if other != nil {
			row.Findings = append(row.Findings, problem.Finding(problem.HostDuplicatePart, core.Warning, row.Name, part, fmt.Sprintf(
				"%s %s was found in %s on %s (run %s)", part.Kind, part.Serial, other.HostName, other.Seen.Format("2006-01-02"), other.Run)))
		}

		err = c.Put(core.TablePart, partKey(part), core.PartOwner{
			Part: part, Host: l.run.Host, HostName: l.run.HostName, Run: l.run.ID, Seen: c.now,
		})
		if err != nil {
			return err
		}
	}

	return c.comparePorts(l, row, found)
}

// otherOwner returns who else has a part on record; nil when nobody, or nobody
// who is still registered.
func (c *change) otherOwner(host core.MAC, part core.Part) (*core.PartOwner, error) {
	var owner core.PartOwner

	err := c.Get(core.TablePart, partKey(part), &owner)

	switch {
	case errors.Is(err, core.ErrNotFound), err == nil && owner.Host == host:
		return nil, nil //nolint:nilnil // nobody else has it, and no fault
	case err != nil:
		return nil, err
	}

	_, err = c.host(owner.Host)
	if errors.Is(err, core.ErrNotFound) {
		return nil, nil //nolint:nilnil // likewise
	}

	return &owner, err
}

// comparePorts finds network ports whose address is registered for another host.
func (c *change) comparePorts(l *life, row *core.Stage, found *core.Inventory) error {
	for i := range found.NICs {
		nic := &found.NICs[i]

		holder, err := c.host(nic.MAC)
		if errors.Is(err, core.ErrNotFound) || err == nil && holder.MAC == l.run.Host {
			continue
		}

		if err != nil {
			return err
		}

		part := core.Part{Kind: "nic", Slot: nic.Name, Model: nic.Model, Serial: string(nic.MAC)}
		row.Findings = append(row.Findings, problem.Finding(problem.HostDuplicatePart, core.Warning, row.Name, part,
			fmt.Sprintf("the address %s is registered for %s", nic.MAC, holder.Name)))
	}

	return nil
}

func partKey(p core.Part) string {
	return clip(p.Kind, 32) + "/" + clip(p.Serial, 160) + "/" + clip(p.Model, 160)
}

// identified lists the parts of a machine that tell a serial number. What comes
// and goes with a stick does not count.
func identified(found *core.Inventory) (parts []core.Part) {
	add := func(p core.Part) {
		if p.Serial != "" {
			parts = append(parts, p)
		}
	}

	add(core.Part{Kind: "system", Model: found.System.Product, Serial: found.System.Serial})
	add(core.Part{Kind: "board", Model: found.Board.Product, Serial: found.Board.Serial})

	for i := range found.DIMMs {
		d := &found.DIMMs[i]
		add(core.Part{Kind: "dimm", Slot: d.Slot, Model: d.PartNumber, Serial: d.Serial})
	}

	for i := range found.Disks {
		if d := &found.Disks[i]; !d.Removable && d.Transport != "usb" {
			add(core.Part{Kind: "disk", Slot: d.Name, Model: d.Model, Serial: d.Serial})
		}
	}

	return parts
}
