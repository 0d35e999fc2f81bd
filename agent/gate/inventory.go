package gate

import (
	"vetting/agent/wire"
	"vetting/core"
)

// inventory translates what a machine is made of, each string made fit.
func inventory(in *wire.Inventory) *core.Inventory {
	if in == nil {
		return nil
	}

	return &core.Inventory{
		System: core.System{
			Manufacturer: name(in.System.Manufacturer), Product: name(in.System.Product), Version: name(in.System.Version),
			Serial: name(in.System.Serial), UUID: name(in.System.UUID), SKU: name(in.System.SKU),
			Virtual: in.System.Virtual,
		},
		Board: core.Board{
			Manufacturer: name(in.Board.Manufacturer), Product: name(in.Board.Product),
			Version: name(in.Board.Version), Serial: name(in.Board.Serial),
		},
		Chassis: core.Chassis{
			Manufacturer: name(in.Chassis.Manufacturer), Type: name(in.Chassis.Type),
			Serial: name(in.Chassis.Serial), AssetTag: name(in.Chassis.AssetTag),
		},
		BIOS: core.BIOS{
			Vendor: name(in.BIOS.Vendor), Version: name(in.BIOS.Version), Date: name(in.BIOS.Date),
			Mode: name(in.BIOS.Mode), SecureBoot: in.BIOS.SecureBoot,
		},
		Memory: core.MemoryTotal{
			TotalBytes: in.Memory.TotalBytes, UsableBytes: in.Memory.UsableBytes,
			Slots: in.Memory.Slots, ECC: name(in.Memory.ECC), RAMBytes: in.Memory.RAMBytes, Controllers: in.Memory.Controllers,
		},
		CPUs: each(in.CPUs, cpu), DIMMs: each(in.DIMMs, dimm), Disks: each(in.Disks, disk),
		NICs: each(in.NICs, nic), PCI: each(in.PCI, pci), Firmware: each(in.Firmware, firmware),
		Slots: each(in.Slots, slot), PSUs: each(in.PSUs, supply), BMC: management(in.BMC), TPM: tpm(in.TPM), Clock: clock(in.Clock),
		Nodes: each(in.Nodes, node), GPUs: each(in.GPUs, graphics), USB: each(in.USB, usbDevice),
	}
}

func cpu(c wire.CPU) core.CPU {
	return core.CPU{
		Socket: name(c.Socket), Manufacturer: name(c.Manufacturer), Model: name(c.Model), Serial: name(c.Serial),
		Cores: c.Cores, Threads: c.Threads, Online: c.Online, MaxMHz: c.MaxMHz, Microcode: name(c.Microcode),
		PPIN: name(c.PPIN), Caches: each(c.Caches, cache), Logical: each(c.Logical, thread),
	}
}

func dimm(d wire.DIMM) core.DIMM {
	return core.DIMM{
		Slot: name(d.Slot), Bank: name(d.Bank), SizeBytes: d.SizeBytes, Type: name(d.Type),
		Manufacturer: name(d.Manufacturer), PartNumber: name(d.PartNumber), Serial: name(d.Serial),
		RatedMTs: d.RatedMTs, ConfiguredMTs: d.ConfiguredMTs,
	}
}

func disk(d wire.Disk) core.Disk {
	return core.Disk{
		Name: name(d.Name), Transport: name(d.Transport), Model: name(d.Model), Serial: name(d.Serial),
		WWN: name(d.WWN), Firmware: name(d.Firmware), SizeBytes: d.SizeBytes, LogicalBlock: d.LogicalBlock,
		PhysBlock: d.PhysBlock, Rotational: d.Rotational, RPM: d.RPM, Removable: d.Removable,
		Path: name(d.Path), SMART: d.SMART, Bay: name(d.Bay), NativeBytes: d.NativeBytes, OtherPaths: each(d.OtherPaths, name),
	}
}

func nic(n wire.NIC) core.NIC {
	return core.NIC{
		Name: name(n.Name), MAC: core.MAC(n.MAC), Driver: name(n.Driver), Firmware: name(n.Firmware),
		PCIAddress: name(n.PCIAddress), Model: name(n.Model), SpeedMbps: n.SpeedMbps,
		MaxSpeedMbps: n.MaxSpeedMbps, Link: n.Link, BootNIC: n.BootNIC,
		Wakes: n.Wakes, FEC: name(n.FEC), Transceiver: transceiver(n.Transceiver),
	}
}

func pci(p wire.PCIDevice) core.PCIDevice {
	return core.PCIDevice{
		Address: name(p.Address), Vendor: name(p.Vendor), Device: name(p.Device), Class: name(p.Class),
		Name: name(p.Name), Driver: name(p.Driver), NUMANode: p.NUMANode,
		LinkSpeed: name(p.LinkSpeed), LinkWidth: p.LinkWidth, MaxSpeed: name(p.MaxSpeed), MaxWidth: p.MaxWidth,
		Parent: name(p.Parent), Slot: name(p.Slot), AER: p.AER,
	}
}
