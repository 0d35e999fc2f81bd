package agent

import (
	"vetting/agent/wire"
	"vetting/core"
)

// inventory translates what a machine is made of.
func inventory(in *core.Inventory) *wire.Inventory {
	if in == nil {
		return nil
	}

	return &wire.Inventory{
		System: wire.System{
			Manufacturer: name(in.System.Manufacturer), Product: name(in.System.Product), Version: name(in.System.Version),
			Serial: name(in.System.Serial), UUID: name(in.System.UUID), SKU: name(in.System.SKU),
			Virtual: in.System.Virtual,
		},
		Board: wire.Board{
			Manufacturer: name(in.Board.Manufacturer), Product: name(in.Board.Product),
			Version: name(in.Board.Version), Serial: name(in.Board.Serial),
		},
		Chassis: wire.Chassis{
			Manufacturer: name(in.Chassis.Manufacturer), Type: name(in.Chassis.Type),
			Serial: name(in.Chassis.Serial), AssetTag: name(in.Chassis.AssetTag),
		},
		BIOS: wire.BIOS{
			Vendor: name(in.BIOS.Vendor), Version: name(in.BIOS.Version), Date: name(in.BIOS.Date),
			Mode: name(in.BIOS.Mode), SecureBoot: in.BIOS.SecureBoot,
		},
		Memory: wire.MemoryTotal{
			TotalBytes: in.Memory.TotalBytes, UsableBytes: in.Memory.UsableBytes,
			Slots: in.Memory.Slots, ECC: name(in.Memory.ECC), RAMBytes: in.Memory.RAMBytes, Controllers: in.Memory.Controllers,
		},
		CPUs: each(in.CPUs, wire.MaxParts, cpu), DIMMs: each(in.DIMMs, wire.MaxParts, dimm), Disks: each(in.Disks, wire.MaxParts, disk),
		NICs: each(in.NICs, wire.MaxParts, nic), PCI: each(in.PCI, wire.MaxParts, pci), Firmware: each(in.Firmware, wire.MaxParts, firmware),
		Slots: each(in.Slots, wire.MaxParts, slot), PSUs: each(in.PSUs, wire.MaxParts, supply), BMC: management(in.BMC), TPM: tpm(in.TPM), Clock: clock(in.Clock),
		Nodes: each(in.Nodes, wire.MaxParts, node), GPUs: each(in.GPUs, wire.MaxParts, graphics), USB: each(in.USB, wire.MaxParts, usbDevice),
	}
}

func cpu(c core.CPU) wire.CPU {
	return wire.CPU{
		Socket: name(c.Socket), Manufacturer: name(c.Manufacturer), Model: name(c.Model), Serial: name(c.Serial),
		Cores: c.Cores, Threads: c.Threads, Online: c.Online, MaxMHz: c.MaxMHz, Microcode: name(c.Microcode),
		PPIN: name(c.PPIN), Caches: each(c.Caches, wire.MaxParts, cache), Logical: each(c.Logical, wire.MaxParts, thread),
	}
}

func dimm(d core.DIMM) wire.DIMM {
	return wire.DIMM{
		Slot: name(d.Slot), Bank: name(d.Bank), SizeBytes: d.SizeBytes, Type: name(d.Type),
		Manufacturer: name(d.Manufacturer), PartNumber: name(d.PartNumber), Serial: name(d.Serial),
		RatedMTs: d.RatedMTs, ConfiguredMTs: d.ConfiguredMTs,
	}
}

func disk(d core.Disk) wire.Disk {
	return wire.Disk{
		Name: name(d.Name), Transport: name(d.Transport), Model: name(d.Model), Serial: name(d.Serial),
		WWN: name(d.WWN), Firmware: name(d.Firmware), SizeBytes: d.SizeBytes, LogicalBlock: d.LogicalBlock,
		PhysBlock: d.PhysBlock, Rotational: d.Rotational, RPM: d.RPM, Removable: d.Removable,
		Path: name(d.Path), SMART: d.SMART, Bay: name(d.Bay), NativeBytes: d.NativeBytes, OtherPaths: each(d.OtherPaths, wire.MaxParts, name),
	}
}

func nic(n core.NIC) wire.NIC {
	return wire.NIC{
		Name: name(n.Name), MAC: mac(n.MAC), Driver: name(n.Driver), Firmware: name(n.Firmware),
		PCIAddress: name(n.PCIAddress), Model: name(n.Model), SpeedMbps: n.SpeedMbps,
		MaxSpeedMbps: n.MaxSpeedMbps, Link: n.Link, BootNIC: n.BootNIC,
		Wakes: n.Wakes, FEC: name(n.FEC), Transceiver: transceiver(n.Transceiver),
	}
}

func pci(p core.PCIDevice) wire.PCIDevice {
	return wire.PCIDevice{
		Address: name(p.Address), Vendor: name(p.Vendor), Device: name(p.Device), Class: name(p.Class),
		Name: name(p.Name), Driver: name(p.Driver), NUMANode: p.NUMANode,
		LinkSpeed: name(p.LinkSpeed), LinkWidth: p.LinkWidth, MaxSpeed: name(p.MaxSpeed), MaxWidth: p.MaxWidth,
		Parent: name(p.Parent), Slot: name(p.Slot), AER: p.AER,
	}
}
