package report

import (
	"fmt"
	"strings"

	"vetting/core"
)

// Component is one part of the machine with what a technician needs to find it
// and a buyer to check it.
type Component struct {
	core.Part

	Vendor   string        `json:"vendor,omitempty"`
	Firmware string        `json:"firmware,omitempty"`
	Detail   string        `json:"detail,omitempty"`  // "16 GiB DDR4 3200 MT/s"
	Worst    core.Severity `json:"worst,omitempty"`   // of the findings about this part; empty: nothing was found
	WWN      string        `json:"wwn,omitempty"`     // disks
	Address  string        `json:"address,omitempty"` // MAC of a NIC
}

// ComponentsOf lists the parts of a machine, with the worst of the findings about each.
func ComponentsOf(inv *core.Inventory, findings []Finding) []Component {
	return componentsOf(inv, findings)
}

// componentsOf lists the parts: board, CPUs, populated memory slots, disks, NICs.
func componentsOf(inv *core.Inventory, findings []Finding) []Component {
	list := []Component{}

	if b := inv.Board; b != (core.Board{}) {
		list = append(list, Component{
			Part:   core.Part{Kind: "board", Model: b.Product, Serial: b.Serial},
			Vendor: b.Manufacturer, Firmware: inv.BIOS.Version, Detail: join(inv.BIOS.Vendor, inv.BIOS.Date),
		})
	}

	for i := range inv.CPUs {
		list = append(list, cpuComponent(&inv.CPUs[i]))
	}

	for i := range inv.DIMMs {
		if inv.DIMMs[i].SizeBytes > 0 {
			list = append(list, dimmComponent(&inv.DIMMs[i]))
		}
	}

	for i := range inv.Disks {
		list = append(list, diskComponent(&inv.Disks[i]))
	}

	for i := range inv.NICs {
		list = append(list, nicComponent(&inv.NICs[i]))
	}

	for i := range list {
		list[i].Worst = worst(list[i].Part, findings)
	}

	return list
}

func cpuComponent(c *core.CPU) Component {
	detail := fmt.Sprintf("%s, %s", count(c.Cores, "core", "cores"), count(c.Threads, "thread", "threads"))
	if c.Online != c.Threads {
		detail += fmt.Sprintf(", %d online", c.Online)
	}

	return Component{
		Part:   core.Part{Kind: "cpu", Slot: c.Socket, Model: c.Model, Serial: c.Serial},
		Vendor: c.Manufacturer, Firmware: c.Microcode, Detail: detail,
	}
}

func dimmComponent(d *core.DIMM) Component {
	detail := join(Bytes(d.SizeBytes), d.Type)
	if d.ConfiguredMTs > 0 {
		detail = join(detail, fmt.Sprintf("%d MT/s", d.ConfiguredMTs))
	}

	return Component{
		Part:   core.Part{Kind: "dimm", Slot: d.Slot, Model: d.PartNumber, Serial: d.Serial},
		Vendor: d.Manufacturer, Detail: detail,
	}
}

func diskComponent(d *core.Disk) Component {
	kind := d.Transport
	if d.Rotational {
		kind = join(kind, "rotating")
	}

	return Component{
		Part:     core.Part{Kind: "disk", Slot: d.Name, Model: d.Model, Serial: d.Serial},
		Firmware: d.Firmware, WWN: d.WWN, Detail: join(Bytes(d.SizeBytes), kind),
	}
}

func nicComponent(n *core.NIC) Component {
	link := "no link"
	if n.Link {
		link = "link up"
		if n.SpeedMbps > 0 {
			link = fmt.Sprintf("link %d Mb/s", n.SpeedMbps)
		}

		if n.FEC != "" {
			link += ", FEC " + n.FEC
		}
	}

	if n.BootNIC {
		link += ", boot NIC"
	}

	return Component{
		Part:     core.Part{Kind: "nic", Slot: n.Name, Model: n.Model},
		Firmware: n.Firmware, Address: string(n.MAC), Detail: strings.TrimPrefix(n.Driver+", "+link, ", "),
	}
}

// worst returns the worst severity among the findings about part.
func worst(part core.Part, findings []Finding) core.Severity {
	for _, f := range findings { // the worst come first
		same := f.Part.Kind == part.Kind && (f.Part.Serial != "" && f.Part.Serial == part.Serial ||
			f.Part.Serial == "" && f.Part.Slot != "" && f.Part.Slot == part.Slot)
		if same {
			return f.Severity
		}
	}

	return ""
}

// Bytes writes a size for people: "16 GiB", "953.9 GiB", "512 B".
func Bytes(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v := float64(n)
	i := 0

	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}

	text := fmt.Sprintf("%.1f", v)

	return strings.TrimSuffix(text, ".0") + " " + units[i]
}

// join puts a space between the words that are there.
func join(words ...string) string {
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
