package gate

import (
	"vetting/agent/wire"
	"vetting/core"
)

func cache(c wire.Cache) core.Cache {
	return core.Cache{Level: c.Level, Type: name(c.Type), SizeBytes: c.SizeBytes, Count: c.Count}
}

func thread(t wire.Thread) core.Thread {
	return core.Thread{CPU: t.CPU, Core: t.Core, APIC: t.APIC, Node: t.Node}
}

func slot(s wire.Slot) core.Slot {
	return core.Slot{Name: name(s.Name), Type: name(s.Type), Lanes: s.Lanes, InUse: s.InUse, Address: name(s.Address)}
}

func supply(p wire.Supply) core.Supply {
	return core.Supply{
		Slot: name(p.Slot), Model: name(p.Model), Manufacturer: name(p.Manufacturer), PartNumber: name(p.PartNumber),
		Serial: name(p.Serial), Revision: name(p.Revision), Watts: p.Watts, Present: p.Present,
	}
}

// management translates a BMC; none stays none.
func management(b *wire.Management) *core.Management {
	if b == nil {
		return nil
	}

	return &core.Management{
		Interface: name(b.Interface), Manufacturer: b.Manufacturer, Product: b.Product,
		Firmware: name(b.Firmware), IPMI: name(b.IPMI), MAC: core.MAC(b.MAC),
	}
}

func tpm(t *wire.TPM) *core.TPM {
	if t == nil {
		return nil
	}

	return &core.TPM{Version: name(t.Version), Manufacturer: name(t.Manufacturer), Firmware: name(t.Firmware)}
}

func node(n wire.Node) core.Node {
	return core.Node{ID: n.ID, CPUs: name(n.CPUs), MemoryBytes: n.MemoryBytes}
}

func graphics(g wire.Graphics) core.Graphics {
	return core.Graphics{
		Address: name(g.Address), Vendor: name(g.Vendor), Name: name(g.Name), Driver: name(g.Driver),
		UUID: name(g.UUID), VBIOS: name(g.VBIOS), MemoryBytes: g.MemoryBytes,
	}
}

func usbDevice(d wire.USBDevice) core.USBDevice {
	return core.USBDevice{
		Path: name(d.Path), Vendor: name(d.Vendor), Product: name(d.Product), Name: name(d.Name), Serial: name(d.Serial), SpeedMbps: d.SpeedMbps,
	}
}

func clock(c *wire.Clock) *core.Clock {
	if c == nil {
		return nil
	}

	return &core.Clock{Year: c.Year, OffSeconds: c.OffSeconds}
}

func transceiver(t *wire.Transceiver) *core.Transceiver {
	if t == nil {
		return nil
	}

	return &core.Transceiver{Kind: name(t.Kind), Vendor: name(t.Vendor), Part: name(t.Part), Serial: name(t.Serial)}
}
