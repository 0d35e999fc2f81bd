//go:build linux

package lab

import (
	"fmt"
	"strings"
)

// Spec is the expected spec of the machine as it is, in the product's YAML.
func (m Machine) Spec() string {
	var b strings.Builder

	fmt.Fprintf(&b, "system:\n  manufacturer: %s\n  product: %s\n  serial: %s\n  uuid: %s\n",
		m.Identity.Manufacturer, m.Identity.Product, m.Identity.Serial, m.Identity.UUID)
	fmt.Fprintf(&b, "board:\n  serial: %s\n", m.Identity.BoardSerial)
	fmt.Fprintf(&b, "bios:\n  vendor: Lab Firmware\n  mode: %s\n", m.Firmware)

	m.specMemory(&b)

	if len(m.Disks) > 0 {
		b.WriteString("disks:\n")
	}

	for _, disk := range m.Disks {
		fmt.Fprintf(&b, "  - serial: %s\n    transport: %s\n    size: %d GiB\n", disk.Serial, disk.Bus, disk.Bytes>>30)

		if disk.Model != "" {
			fmt.Fprintf(&b, "    model: %s\n", disk.Model)
		}

		if disk.WWN != 0 {
			fmt.Fprintf(&b, "    wwn: %q\n", fmt.Sprintf("%016x", disk.WWN))
		}
	}

	fmt.Fprintf(&b, "nics:\n  - mac: %s\n", m.MAC)

	if m.Second != "" {
		fmt.Fprintf(&b, "  - mac: %s\n", m.Second)
	}

	if m.Cable {
		fmt.Fprintf(&b, "  - mac: %s\n  - mac: %s\n", m.end("1"), m.end("2"))
	}

	return b.String()
}

func (m Machine) specMemory(b *strings.Builder) {
	count := 0

	for _, dimm := range m.Identity.DIMMs {
		if dimm.MiB > 0 {
			count++
		}
	}

	if count == 0 {
		return
	}

	fmt.Fprintf(b, "memory:\n  dimms:\n    count: %d\n    slots:\n", count)

	for _, dimm := range m.Identity.DIMMs {
		if dimm.MiB == 0 {
			fmt.Fprintf(b, "      %s:\n        empty: true\n", dimm.Slot)

			continue
		}

		fmt.Fprintf(b, "      %s:\n        size: %d MiB\n        part_number: %s\n        serial: %q\n", dimm.Slot, dimm.MiB, dimm.Part, dimm.Serial)
	}
}
