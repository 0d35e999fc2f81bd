package coretest

import (
	"fmt"

	"vetting/core"
)

// GiB is 2^30 bytes.
const GiB = 1 << 30

// Host returns a registered host; the n-th has the address 52:54:00:00:00:n.
func Host(n int) core.Host {
	return core.Host{
		MAC: MAC(n), Name: fmt.Sprintf("rack1-u%02d", n), Power: core.Power{Method: core.PowerManual},
		CreatedAt: Start(), UpdatedAt: Start(),
	}
}

// MAC returns the n-th address.
func MAC(n int) core.MAC { return core.MAC(fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8&0xff, n&0xff)) }

// Identity returns the identity of the n-th host.
func Identity(n int) core.Identity {
	return core.Identity{
		SMBIOSUUID:  fmt.Sprintf("6ba7b810-9dad-11d1-80b4-%012x", n),
		BoardSerial: fmt.Sprintf("BOARD%04d", n), MACs: []core.MAC{MAC(n)},
	}
}

// Inventory returns a small server: one CPU, two of four slots filled, a SATA and
// an NVMe disk, one network port.
func Inventory(n int) core.Inventory {
	id := Identity(n)

	return core.Inventory{
		System:  core.System{Manufacturer: "Example", Product: "Server 1", Serial: fmt.Sprintf("SYS%04d", n), UUID: id.SMBIOSUUID},
		Board:   core.Board{Manufacturer: "Example", Product: "Board 1", Serial: id.BoardSerial},
		Chassis: core.Chassis{Type: "Rack Mount"},
		BIOS:    core.BIOS{Vendor: "Example", Version: "1.2.3", Date: "01/02/2026", Mode: "uefi"},
		CPUs:    []core.CPU{{Socket: "CPU0", Manufacturer: "Example", Model: "Example CPU 8000", Cores: 8, Threads: 16, Online: 16}},
		Memory:  core.MemoryTotal{TotalBytes: 32 * GiB, UsableBytes: 32*GiB - 500<<20, Slots: 4, ECC: "multi-bit"},
		DIMMs: []core.DIMM{
			dimm("DIMM_A1", n), {Slot: "DIMM_A2"}, dimm("DIMM_B1", n), {Slot: "DIMM_B2"},
		},
		Disks: []core.Disk{
			{Name: "sda", Transport: "sata", Model: "Example HDD", Serial: fmt.Sprintf("HDD%04d", n), SizeBytes: 4000787030016, Rotational: true, SMART: true},
			{Name: "nvme0n1", Transport: "nvme", Model: "Example SSD", Serial: fmt.Sprintf("SSD%04d", n), SizeBytes: 960197124096, SMART: true},
		},
		NICs: []core.NIC{{Name: "eth0", MAC: MAC(n), Driver: "e1000e", SpeedMbps: 1000, Link: true, BootNIC: true}},
		PCI:  []core.PCIDevice{{Address: "0000:00:1f.2", Vendor: "8086", Device: "2922", Class: "010601", Name: "SATA controller"}},
	}
}

func dimm(slot string, n int) core.DIMM {
	return core.DIMM{
		Slot: slot, SizeBytes: 16 * GiB, Type: "DDR4", Manufacturer: "Example", PartNumber: "EX16G", Serial: fmt.Sprintf("%s-%d", slot, n),
		RatedMTs: 3200, ConfiguredMTs: 3200,
	}
}
