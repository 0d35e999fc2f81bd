package agent

import (
	"vetting/agent/wire"
	"vetting/core"
)

func cache(c core.Cache) wire.Cache {
	return wire.Cache{Level: c.Level, Type: name(c.Type), SizeBytes: c.SizeBytes, Count: c.Count}
}

func thread(t core.Thread) wire.Thread {
	return wire.Thread{CPU: t.CPU, Core: t.Core, APIC: t.APIC, Node: t.Node}
}

func slot(s core.Slot) wire.Slot {
	return wire.Slot{Name: name(s.Name), Type: name(s.Type), Lanes: s.Lanes, InUse: s.InUse, Address: name(s.Address)}
}

func supply(p core.Supply) wire.Supply {
	return wire.Supply{
		Slot: name(p.Slot), Model: name(p.Model), Manufacturer: name(p.Manufacturer), PartNumber: name(p.PartNumber),
		Serial: name(p.Serial), Revision: name(p.Revision), Watts: p.Watts, Present: p.Present,
	}
}

// management translates a BMC; none stays none.
func management(b *core.Management) *wire.Management {
	if b == nil {
		return nil
	}

	return &wire.Management{
		Interface: name(b.Interface), Manufacturer: b.Manufacturer, Product: b.Product,
		Firmware: name(b.Firmware), IPMI: name(b.IPMI), MAC: mac(b.MAC),
	}
}

func tpm(t *core.TPM) *wire.TPM {
	if t == nil {
		return nil
	}

	return &wire.TPM{Version: name(t.Version), Manufacturer: name(t.Manufacturer), Firmware: name(t.Firmware)}
}

func node(n core.Node) wire.Node {
	return wire.Node{ID: n.ID, CPUs: name(n.CPUs), MemoryBytes: n.MemoryBytes}
}

func graphics(g core.Graphics) wire.Graphics {
	return wire.Graphics{
		Address: name(g.Address), Vendor: name(g.Vendor), Name: name(g.Name), Driver: name(g.Driver),
		UUID: name(g.UUID), VBIOS: name(g.VBIOS), MemoryBytes: g.MemoryBytes,
	}
}

func usbDevice(d core.USBDevice) wire.USBDevice {
	return wire.USBDevice{
		Path: name(d.Path), Vendor: name(d.Vendor), Product: name(d.Product), Name: name(d.Name), Serial: name(d.Serial), SpeedMbps: d.SpeedMbps,
	}
}

func clock(c *core.Clock) *wire.Clock {
	if c == nil {
		return nil
	}

	return &wire.Clock{Year: c.Year, OffSeconds: c.OffSeconds}
}

func transceiver(t *core.Transceiver) *wire.Transceiver {
	if t == nil {
		return nil
	}

	return &wire.Transceiver{Kind: name(t.Kind), Vendor: name(t.Vendor), Part: name(t.Part), Serial: name(t.Serial)}
}
