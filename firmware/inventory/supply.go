package inventory

import (
	"strconv"

	"vetting/core"
)

// PSUs decodes type 39 (DSP0134 §7.40), power supplies. One without a location is
// named after its number.
func PSUs(all []Structure) (supplies []core.Supply) {
	const present, unknown = 1 << 1, 0x8000

	for i, s := range OfType(all, typeSupply) {
		p := core.Supply{
			Slot: s.Text(0x05), Model: s.Text(0x06), Manufacturer: s.Text(0x07), Serial: s.Text(0x08), PartNumber: s.Text(0x0a),
			Revision: s.Text(0x0b), Present: s.Word(0x0e)&present != 0,
		}

		if watts := s.Word(0x0c); watts != unknown {
			p.Watts = int(watts)
		}

		if p.Slot == "" {
			p.Slot = "PSU" + strconv.Itoa(i+1)
		}

		supplies = append(supplies, p)
	}

	return supplies
}
