package inventory

import (
	"fmt"

	"vetting/core"
)

// Slots decodes type 9 (DSP0134 §7.10), expansion slots.
func Slots(all []Structure) (slots []core.Slot) {
	const inUse, none = 4, 0xff

	for _, s := range OfType(all, typeSlot) {
		slot := core.Slot{Name: s.Text(0x04), Type: slotType(s.Byte(0x05)), Lanes: slotLanes(s.Byte(0x06)), InUse: s.Byte(0x07) == inUse}

		// Segment FFFFh, bus and function FFh: the slot is empty, or nobody knows.
		if bus, function := s.Byte(0x0f), s.Byte(0x10); slot.InUse && len(s.Data) >= 0x11 && (bus != none || function != none) {
			slot.Address = fmt.Sprintf("%04x:%02x:%02x.%d", s.Word(0x0d), bus, function>>3, function&7)
		}

		if slot.Name != "" {
			slots = append(slots, slot)
		}
	}

	return slots
}

// slotType names the kinds of DSP0134 table 46 that servers and PCs of today have.
func slotType(kind byte) string {
	switch {
	case kind == 0x06:
		return "PCI"
	case kind == 0x14, kind == 0x15:
		return "M.2"
	case kind == 0x16:
		return "M.2 key E"
	case kind == 0x17:
		return "M.2 key M"
	case kind == 0x1f, kind == 0x20, kind == 0x24:
		return "U.2"
	case kind == 0x26, kind == 0x27, kind == 0x28:
		return "OCP NIC 3.0"
	case kind >= 0xa5 && kind <= 0xaa:
		return "PCIe 1"
	case kind >= 0xab && kind <= 0xb0:
		return "PCIe 2"
	case kind >= 0xb1 && kind <= 0xb6:
		return "PCIe 3"
	case kind >= 0xb8 && kind <= 0xbd:
		return "PCIe 4"
	case kind >= 0xbe && kind <= 0xc3:
		return "PCIe 5"
	case kind >= 0xc5 && kind <= 0xc6:
		return "EDSFF"
	default:
		return ""
	}
}

// slotLanes: DSP0134 table 47; 0 where the width is not one in lanes.
func slotLanes(width byte) int {
	lanes := map[byte]int{0x08: 1, 0x09: 2, 0x0a: 4, 0x0b: 8, 0x0c: 12, 0x0d: 16, 0x0e: 32}

	return lanes[width]
}
