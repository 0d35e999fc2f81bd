package canned

import "vetting/core"

// Evil is text that wants to be anything but text.
const Evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{7*7}}\x1b[31mred\x1b]0;t\x07\u202egnp.exe\u200b\r\nevent: run\ndata: forged javascript:alert(3) =cmd|' /C calc'!A0"

// server is the inventory of a common two-socket machine.
func server(maker, product, serial string) core.Inventory {
	inv := core.Inventory{
		System:  core.System{Manufacturer: maker, Product: product, Serial: serial},
		Board:   core.Board{Manufacturer: maker, Product: "06WXJT", Serial: "CN" + serial},
		Chassis: core.Chassis{AssetTag: "A-10442"},
		BIOS:    core.BIOS{Vendor: maker, Version: "2.17.2", Date: "2024-01-15", Mode: "uefi"},
		Memory:  core.MemoryTotal{TotalBytes: 64 << 30, Slots: 8, ECC: "multi-bit"},
		Firmware: []core.FirmwareItem{
			{Part: core.Part{Kind: "board"}, Name: "BIOS", Version: "2.17.2", Date: "2024-01-15"},
			{Part: core.Part{Kind: "cpu", Slot: "CPU1"}, Name: "microcode", Version: "0x2007006"},
			{Part: core.Part{Kind: "disk", Slot: "sda", Serial: "ZC1A" + serial}, Name: "disk", Version: "SN02"},
		},
		PCI: []core.PCIDevice{{Address: "0000:03:00.0", Vendor: "102b", Device: "0536", Class: "030000", Name: "Matrox G200eR2"}},
	}

	for _, socket := range []string{"CPU1", "CPU2"} {
		inv.CPUs = append(inv.CPUs, core.CPU{Socket: socket, Manufacturer: "Intel", Model: "Xeon Gold 6130", Cores: 16, Threads: 32, Online: 32, Microcode: "0x2007006"})
	}

	for _, slot := range []string{"A1", "A2", "B1", "B2"} {
		inv.DIMMs = append(inv.DIMMs, core.DIMM{
			Slot: slot, SizeBytes: 16 << 30, Type: "DDR4", Manufacturer: "Samsung", PartNumber: "M393A2K43DB3-CWE",
			Serial: "D" + slot + serial, RatedMTs: 3200, ConfiguredMTs: 2666,
		})
	}

	inv.DIMMs = append(inv.DIMMs, core.DIMM{Slot: "A3"}, core.DIMM{Slot: "A4"})
	inv.Disks = []core.Disk{
		{Name: "sda", Transport: "sata", Model: "ST4000NM000A-2HZ100", Serial: "ZC1A" + serial, WWN: "5000c500a1b2c3d4", Firmware: "SN02", SizeBytes: 4000787030016, Rotational: true, SMART: true},
		{Name: "nvme0n1", Transport: "nvme", Model: "SAMSUNG MZQL21T9HCJR-00A07", Serial: "S64G" + serial, WWN: "36344730546026830025384500000001", Firmware: "GDC5602Q", SizeBytes: 1920383410176, SMART: true},
	}
	inv.NICs = []core.NIC{
		{Name: "eth0", MAC: Host, Driver: "ixgbe", Model: "Intel X540-AT2", Firmware: "0x800005ac", SpeedMbps: 10000, Link: true, BootNIC: true},
		{Name: "eth1", MAC: "52:54:00:00:01:11", Driver: "ixgbe", Model: "Intel X540-AT2", Firmware: "0x800005ac"},
	}

	return inv
}

func evilInventory() core.Inventory {
	part := core.Part{Kind: Evil, Slot: Evil, Model: Evil, Serial: Evil}

	return core.Inventory{
		System: core.System{Manufacturer: Evil, Product: Evil, Serial: Evil}, Board: core.Board{Manufacturer: Evil, Product: Evil, Serial: Evil},
		Chassis: core.Chassis{AssetTag: Evil}, BIOS: core.BIOS{Vendor: Evil, Version: Evil, Date: Evil},
		CPUs:     []core.CPU{{Socket: Evil, Manufacturer: Evil, Model: Evil, Serial: Evil, Microcode: Evil}},
		DIMMs:    []core.DIMM{{Slot: Evil, SizeBytes: 1 << 30, Type: Evil, Manufacturer: Evil, PartNumber: Evil, Serial: Evil}},
		Disks:    []core.Disk{{Name: Evil, Transport: Evil, Model: Evil, Serial: Evil, WWN: Evil, Firmware: Evil}},
		NICs:     []core.NIC{{Name: Evil, MAC: Evil, Driver: Evil, Firmware: Evil, Model: Evil}},
		PCI:      []core.PCIDevice{{Address: Evil, Vendor: "10de", Device: Evil, Class: "030200", Name: Evil}},
		Firmware: []core.FirmwareItem{{Part: part, Name: Evil, Version: Evil, Date: Evil}},
	}
}
