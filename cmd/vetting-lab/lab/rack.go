//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec" //nolint:depguard // only to look whether a program is installed
	"strings"

	"vetting/core/route"
	"vetting/netboot/trial"
)

// Rack is a segment with an appliance and an operator's access to it.
type Rack struct {
	*Segment

	Appliance *Appliance
	API       *API
	guests    []*Guest
}

// OpenRack sets a rack up. The end of ctx stops what runs in it; Close takes it
// down.
func OpenRack(ctx context.Context, options ApplianceOptions) (*Rack, error) {
	if err := installed(trial.QEMU); err != nil {
		return nil, err
	}

	segment, err := OpenSegment()
	if err != nil {
		return nil, err
	}

	r := &Rack{Segment: segment}

	if r.Appliance, err = segment.Appliance(ctx, options); err != nil {
		return nil, errors.Join(err, r.Close())
	}

	if r.API, err = r.Appliance.API(ctx, route.Operate); err != nil {
		return nil, errors.Join(err, r.Close())
	}

	return r, nil
}

// installed returns an error that says what to do when a program is missing.
func installed(programs ...string) error {
	var missing []string

	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}

	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s; run: make deps", strings.Join(missing, ", "))
	}

	return nil
}

// Add plugs machines into the rack, switched off.
func (r *Rack) Add(machines ...Machine) ([]*Guest, error) {
	var added []*Guest

	for _, machine := range machines {
		guest, err := r.Guest(machine)
		if err != nil {
			return nil, err
		}

		added = append(added, guest)
		r.guests = append(r.guests, guest)
	}

	return added, nil
}

// Close switches everything off and takes the rack down.
func (r *Rack) Close() error {
	for _, guest := range r.guests {
		guest.PowerOff()
	}

	var faults []error
	if r.Appliance != nil {
		faults = append(faults, r.Appliance.Close())
	}

	return errors.Join(append(faults, r.Segment.Close())...)
}

// Sample is the i-th machine (0 to 255) of a rack of samples: every one with an
// identity of its own, two DIMMs in four slots, a SATA and an NVMe disk.
func Sample(firmware Firmware, i byte) Machine {
	name := fmt.Sprintf("%s-%d", firmware, i)

	return Machine{
		Name:     name,
		Firmware: firmware,
		MAC:      fmt.Sprintf("52:54:00:7e:57:%02x", i),
		Identity: Identity{
			UUID:         fmt.Sprintf("4c4c4544-0051-4810-8031-0000000000%02x", i),
			Manufacturer: "Lab Systems",
			Product:      "LS-120",
			Serial:       fmt.Sprintf("LS%04d", i),
			BoardSerial:  fmt.Sprintf("LB%04d", i),
			AssetTag:     fmt.Sprintf("rack-%02d", i),
			DIMMs: []DIMM{
				{Slot: "DIMM_A1", MiB: 256, Maker: "Lab Memory", Part: "LM-256-2666", Serial: fmt.Sprintf("A1%04d", i)},
				{Slot: "DIMM_A2"},
				{Slot: "DIMM_B1", MiB: 256, Maker: "Lab Memory", Part: "LM-256-2666", Serial: fmt.Sprintf("B1%04d", i)},
				{Slot: "DIMM_B2"},
			},
		},
		Disks: []Disk{
			{Bus: SATA, Model: "LAB SSD 480", Serial: fmt.Sprintf("LABS%04d", i), WWN: 0x5000c500a0000000 + uint64(i), Bytes: 480 << 30},
			{Bus: NVMe, Serial: fmt.Sprintf("LABN%04d", i), Bytes: 960 << 30},
		},
	}
}
