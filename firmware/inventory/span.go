package inventory

import (
	"cmp"
	"slices"
)

// Span is a range of physical addresses that a memory device answers for: SMBIOS
// type 20 (DSP0134 §7.21), or type 19 for a whole array.
type Span struct {
	Slot       string // of the DIMM; empty for an array
	Start, End uint64 // bytes; End is the last byte
	Interleave int    // position in the interleave, from 1; 0: not told or none
	Depth      int    // rows in an interleave; 0: none
}

// Spans lists which DIMM answers for which addresses, where the firmware tells it,
// and else for which addresses the arrays do. Slots are named as by DIMMs.
func Spans(all []Structure) (spans []Span) {
	names := slotNames(all)

	for _, s := range OfType(all, typeDeviceMap) {
		start, end, ok := addresses(s, 0x13)
		if !ok {
			continue
		}

		spans = append(spans, Span{
			Slot: names[s.Word(0x0c)], Start: start, End: end, Interleave: told(s.Byte(0x11)), Depth: told(s.Byte(0x12)),
		})
	}

	if len(spans) == 0 {
		for _, s := range OfType(all, typeArrayMap) {
			if start, end, ok := addresses(s, 0x0f); ok {
				spans = append(spans, Span{Start: start, End: end})
			}
		}
	}

	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })

	return spans
}

// addresses reads start and end, in KiB, or in bytes at wide where both say
// FFFFFFFFh.
func addresses(s Structure, wide int) (start, end uint64, ok bool) {
	const kib, elsewhere = 10, 0xffffffff

	first, last := s.DWord(0x04), s.DWord(0x08)
	start, end = uint64(first)<<kib, uint64(last)<<kib+(1<<kib-1)

	if first == elsewhere {
		start, end = s.QWord(wide), s.QWord(wide+8)
	}

	return start, end, end > start
}

// told: FFh is "unknown".
func told(v byte) int {
	if v == 0xff {
		return 0
	}

	return int(v)
}

// slotNames names the memory devices by handle, as DIMMs does.
func slotNames(all []Structure) map[uint16]string {
	dimms, names := DIMMs(all), map[uint16]string{}

	for _, s := range OfType(all, typeMemory) {
		if systemMemory(all, s.Word(0x04)) && len(dimms) > 0 {
			names[s.Handle], dimms = dimms[0].Slot, dimms[1:]
		}
	}

	return names
}
