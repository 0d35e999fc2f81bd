package memory

import (
	"encoding/binary"
	"slices"

	"vetting/core"
	"vetting/firmware/inventory"
)

// SMBIOS types (DSP0134).
const (
	typeMemoryDevice = 17
	typeMappedDevice = 20
)

// Board knows which DIMMs answer for which physical addresses, as far as the
// firmware tells.
type Board struct{ spans []span }

type span struct {
	Range

	dimm core.Part
}

// ReadBoard joins SMBIOS types 20 (§7.21: a device's addresses) and 17. Firmware
// since SMBIOS 2.5 need not have type 20; then nothing is known.
func ReadBoard(tables []inventory.Structure) (b Board) {
	devices := inventory.OfType(tables, typeMemoryDevice)
	dimms := inventory.DIMMs(tables)

	parts := map[uint16]core.Part{}

	if len(devices) == len(dimms) { // else some belong to no system memory, and the order is not known
		for i, d := range dimms {
			parts[devices[i].Handle] = dimmPart(d)
		}
	}

	for _, s := range inventory.OfType(tables, typeMappedDevice) {
		r, ok := mapped(s)
		if part, known := parts[s.Word(0x0c)]; ok && known {
			b.spans = append(b.spans, span{r, part})
		}
	}

	return b
}

func dimmPart(d core.DIMM) core.Part {
	return core.Part{Kind: "dimm", Slot: d.Slot, Model: d.PartNumber, Serial: d.Serial}
}

// mapped reads the addresses of type 20: in KiB, or in bytes behind FFFFFFFFh.
func mapped(s inventory.Structure) (r Range, ok bool) {
	const extended, kib = 0xffffffff, 10

	start, end := s.DWord(0x04), s.DWord(0x08)
	if start == extended {
		if len(s.Data) < 0x23 {
			return r, false
		}

		r = Range{binary.LittleEndian.Uint64(s.Data[0x13:]), binary.LittleEndian.Uint64(s.Data[0x1b:]) + 1}
	} else {
		r = Range{uint64(start) << kib, (uint64(end) + 1) << kib}
	}

	return r, r.End > r.Start
}

// At returns the DIMMs that may hold an address: several where they are
// interleaved, none where the firmware does not tell.
func (b Board) At(address uint64) (parts []core.Part) {
	for _, s := range b.spans {
		if address >= s.Start && address < s.End && !slices.Contains(parts, s.dimm) {
			parts = append(parts, s.dimm)
		}
	}

	return parts
}
