package spec

import (
	"slices"

	"vetting/core"
)

// Learn returns the spec that a machine with this inventory fulfils, and that
// others of its model are to fulfil: serial numbers, addresses and slots of disks
// are left out, parts alike are counted. What the platform did not tell is not
// expected.
func Learn(got *core.Inventory) Spec {
	s := Spec{
		System:  System{Manufacturer: is(got.System.Manufacturer), Product: is(got.System.Product), SKU: is(got.System.SKU)},
		Board:   Board{Manufacturer: is(got.Board.Manufacturer), Product: is(got.Board.Product)},
		Chassis: Board{Manufacturer: is(got.Chassis.Manufacturer), Product: is(got.Chassis.Type)},
		BIOS:    BIOS{Vendor: is(got.BIOS.Vendor), Version: is(got.BIOS.Version)},
		Memory:  Memory{Total: isSize(got.Memory.TotalBytes), DIMMs: learnDIMMs(got.DIMMs)},
	}

	if got.BIOS.Mode != "" {
		s.BIOS.Mode, s.BIOS.SecureBoot = is(got.BIOS.Mode), isFlag(got.BIOS.SecureBoot)
	}

	if got.Memory.ECC != "" {
		s.Memory.ECC = isFlag(got.Memory.ECC != "none" && got.Memory.ECC != "parity")
	}

	if len(got.CPUs) > 0 {
		first := &got.CPUs[0]
		s.CPUs = CPUs{Count: isNumber(len(got.CPUs)), Model: is(first.Model), Cores: isNumber(first.Cores), Threads: isNumber(first.Threads)}
	}

	s.Disks, s.NICs, s.PCI = learnDisks(got.Disks), learnNICs(got.NICs), learnPCI(got.PCI)

	return s
}

// learnDIMMs says what all modules have in common, and names the slots where they
// are not alike.
func learnDIMMs(dimms []core.DIMM) DIMMs {
	var (
		out   DIMMs
		each  *DIMM
		alike = true
		n     = 0
	)

	for i := range dimms {
		if dimms[i].SizeBytes == 0 {
			continue
		}

		d := learnDIMM(&dimms[i])
		alike = alike && (each == nil || d.alike(each))
		each = &d
		n++
	}

	out.Count = isNumber(n)

	switch {
	case each == nil:
		return out
	case alike:
		out.Each = *each

		return out
	}

	out.Slots = map[string]DIMM{}

	for i := range dimms {
		if dimms[i].SizeBytes > 0 && dimms[i].Slot != "" {
			out.Slots[dimms[i].Slot] = learnDIMM(&dimms[i])
		}
	}

	return out
}

func learnDIMM(d *core.DIMM) DIMM {
	speed := d.ConfiguredMTs
	if speed == 0 {
		speed = d.RatedMTs
	}

	return DIMM{
		Size: isSize(d.SizeBytes), Type: is(d.Type), Manufacturer: is(d.Manufacturer), PartNumber: is(d.PartNumber), SpeedMTs: isNumber(speed),
	}
}

func (d *DIMM) alike(other *DIMM) bool {
	return alike(d.Size, other.Size) && alike(d.Type, other.Type) && alike(d.Manufacturer, other.Manufacturer) &&
		alike(d.PartNumber, other.PartNumber) && alike(d.SpeedMTs, other.SpeedMTs)
}

// tallied counts parts alike: it adds part to list, or one to the count of the
// entry that is the same but for its count.
func tallied[T any](list []T, part T, same func(a, b *T) bool, counted func(*T) *Want) []T {
	i := slices.IndexFunc(list, func(known T) bool { return same(&known, &part) })
	if i < 0 {
		*counted(&part) = isNumber(1)

		return append(list, part)
	}

	n, _ := counted(&list[i]).bounds()
	*counted(&list[i]) = isNumber(int(n) + 1) //nolint:gosec // as many as there are parts

	return list
}

func learnDisks(disks []core.Disk) (out []Disk) {
	for i := range disks {
		d := &disks[i]
		if d.Removable || d.Transport == "usb" {
			continue // the stick it was booted from, a virtual medium
		}

		part := Disk{
			Model: is(d.Model), Firmware: is(d.Firmware), Transport: is(d.Transport), Size: isSize(d.SizeBytes), Rotational: isFlag(d.Rotational),
		}
		out = tallied(out, part, func(a, b *Disk) bool {
			return alike(a.Model, b.Model) && alike(a.Firmware, b.Firmware) && alike(a.Transport, b.Transport) && alike(a.Size, b.Size) &&
				alike(a.Rotational, b.Rotational)
		}, func(d *Disk) *Want { return &d.Count })
	}

	return out
}

func learnNICs(nics []core.NIC) (out []NIC) {
	for i := range nics {
		n := &nics[i]
		part := NIC{Model: is(n.Model), Driver: is(n.Driver), Firmware: is(n.Firmware)}

		if n.Link { // else nothing was plugged into the port
			part.SpeedMbps, part.FEC, part.Link = isNumber(n.SpeedMbps), is(n.FEC), isFlag(true)
		}

		out = tallied(out, part, func(a, b *NIC) bool {
			return alike(a.Model, b.Model) && alike(a.Driver, b.Driver) && alike(a.Firmware, b.Firmware) && alike(a.SpeedMbps, b.SpeedMbps) &&
				alike(a.FEC, b.FEC) && alike(a.Link, b.Link)
		}, func(n *NIC) *Want { return &n.Count })
	}

	return out
}

// learnPCI counts the devices that somebody put into the machine on purpose:
// storage, network, display and accelerators (PCI base classes 01, 02, 03, 12 of
// the PCI Code and ID Assignment Specification).
func learnPCI(devices []core.PCIDevice) (out []PCI) {
	for i := range devices {
		d := &devices[i]
		if len(d.Class) < 2 || !slices.Contains([]string{"01", "02", "03", "12"}, d.Class[:2]) {
			continue
		}

		out = tallied(out, PCI{Name: is(d.Name), Vendor: is(d.Vendor), Device: is(d.Device)}, func(a, b *PCI) bool {
			return alike(a.Name, b.Name) && alike(a.Vendor, b.Vendor) && alike(a.Device, b.Device)
		}, func(p *PCI) *Want { return &p.Count })
	}

	return out
}
