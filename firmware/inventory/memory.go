package inventory

import (
	"fmt"

	"vetting/core"
)

// DIMMs decodes type 17 (DSP0134 §7.18), a DIMM for each slot. Locators that
// occur twice get their bank in front, or a number behind, so that each names one
// slot (Supermicro X11DPi BIOS 3.3 repeats them).
func DIMMs(all []Structure) (dimms []core.DIMM) {
	for _, s := range OfType(all, typeMemory) {
		if systemMemory(all, s.Word(0x04)) {
			dimms = append(dimms, dimm(s))
		}
	}

	unique(dimms)

	return dimms
}

func dimm(s Structure) core.DIMM {
	d := core.DIMM{Slot: s.Text(0x10), Bank: s.Text(0x11), SizeBytes: dimmSize(s)}
	if d.SizeBytes == 0 {
		return d // what an empty slot says of type and speed is a leftover
	}

	d.Type, d.Manufacturer, d.Serial, d.PartNumber = memoryType(s.Byte(0x12)), s.Text(0x17), s.Text(0x18), s.Text(0x1a)
	d.RatedMTs, d.ConfiguredMTs = speed(s, 0x15, 0x54), speed(s, 0x20, 0x58)

	return d
}

// Disabled lists the slots whose module told the firmware its serial number and is
// switched off all the same: such a slot has no size.
func Disabled(all []Structure) (slots []core.DIMM) {
	names := slotNames(all)

	for _, s := range OfType(all, typeMemory) {
		if !systemMemory(all, s.Word(0x04)) || dimmSize(s) != 0 || s.Text(0x18) == "" || s.Text(0x1a) == "" {
			continue
		}

		slots = append(slots, core.DIMM{
			Slot: names[s.Handle], Bank: s.Text(0x11), Manufacturer: s.Text(0x17), Serial: s.Text(0x18), PartNumber: s.Text(0x1a),
		})
	}

	return slots
}

// dimmSize: 0 empty, FFFFh unknown, 7FFFh see the extended size in MiB; bit 15
// gives the unit of the rest, KiB or MiB.
func dimmSize(s Structure) uint64 {
	const unknown, extended, kilo = 0xffff, 0x7fff, 0x8000

	switch size := s.Word(0x0c); {
	case size == 0 || size == unknown:
		return 0
	case size == extended:
		return uint64(s.DWord(0x1c)&0x7fffffff) << 20
	case size&kilo != 0:
		return uint64(size&^uint16(kilo)) << 10
	default:
		return uint64(size) << 20
	}
}

// speed reads a 16-bit speed that says FFFFh when it stands in the 32 bits at wide.
func speed(s Structure, narrow, wide int) int {
	if v := s.Word(narrow); v != 0xffff {
		return int(v)
	}

	return int(s.DWord(wide) & 0x7fffffff)
}

// memoryType names DSP0134 table 78.
func memoryType(kind byte) string {
	names := map[byte]string{
		0x07: "RAM", 0x0f: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM", 0x18: "DDR3", 0x1a: "DDR4",
		0x1b: "LPDDR", 0x1c: "LPDDR2", 0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x1f: "NVDIMM", 0x20: "HBM", 0x21: "HBM2",
		0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3",
	}

	return names[kind]
}

// systemMemory reports whether a memory device belongs to an array of system
// memory: flash, video and cache arrays have type 17 structures as well. Where the
// array cannot be found the device counts.
func systemMemory(all []Structure, array uint16) bool {
	const system = 3

	for _, s := range OfType(all, typeArray) {
		if s.Handle == array {
			return s.Byte(0x05) == system || s.Byte(0x05) == 0
		}
	}

	return true
}

func unique(dimms []core.DIMM) {
	count := func(slot string) (n int) {
		for _, d := range dimms {
			if d.Slot == slot {
				n++
			}
		}

		return n
	}

	repeated := map[string]bool{}

	for _, d := range dimms {
		repeated[d.Slot] = d.Slot == "" || count(d.Slot) > 1
	}

	for i, d := range dimms {
		if repeated[d.Slot] && d.Bank != "" {
			dimms[i].Slot = d.Bank + "/" + d.Slot
		}
	}

	clear(repeated)

	for _, d := range dimms {
		repeated[d.Slot] = d.Slot == "" || count(d.Slot) > 1
	}

	for i, d := range dimms {
		if repeated[d.Slot] {
			dimms[i].Slot = fmt.Sprintf("%s#%d", d.Slot, i)
		}
	}
}

// Memory sums up types 16 and 17: slots, the DIMMs' sizes and the kind of error
// correction of the array.
func Memory(all []Structure) (total core.MemoryTotal) {
	dimms := DIMMs(all)
	total.Slots = len(dimms)

	for _, d := range dimms {
		total.TotalBytes += d.SizeBytes
	}

	slots := 0

	for _, s := range OfType(all, typeArray) {
		if s.Byte(0x05) != 3 {
			continue
		}

		slots += int(s.Word(0x0d))

		if total.ECC == "" {
			total.ECC = errorCorrection(s.Byte(0x06))
		}
	}

	total.Slots = max(total.Slots, slots)

	return total
}

// errorCorrection names DSP0134 table 73.
func errorCorrection(kind byte) string {
	names := map[byte]string{3: "none", 4: "parity", 5: "single-bit", 6: "multi-bit", 7: "crc"}

	return names[kind]
}
