package spec_test

import (
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
	"vetting/core/spec"
)

// rack is an inventory of a server with a card behind a switch.
func rack() core.Inventory {
	inv := coretest.Inventory(1)
	inv.Nodes = []core.Node{{ID: 0, CPUs: "0-7", MemoryBytes: 64 << 30}, {ID: 1, CPUs: "8-15", MemoryBytes: 65 << 30}}
	inv.Memory.Controllers = 2
	inv.Clock = &core.Clock{Year: 2026, OffSeconds: 3}
	inv.PCI = []core.PCIDevice{
		// A root port always looks slow: its own figures are those of the link below.
		{Address: "0000:00:01.0", Class: "060400", LinkSpeed: "8.0 GT/s", LinkWidth: 8, MaxSpeed: "16.0 GT/s", MaxWidth: 16},
		{Address: "0000:01:00.0", Class: "060400", Parent: "0000:00:01.0", LinkSpeed: "8.0 GT/s", LinkWidth: 8, MaxSpeed: "8.0 GT/s", MaxWidth: 8},
		{Address: "0000:02:00.0", Class: "060400", Parent: "0000:01:00.0", LinkSpeed: "2.5 GT/s", LinkWidth: 4, MaxSpeed: "8.0 GT/s", MaxWidth: 4},
		{Address: "0000:03:00.0", Class: "010802", Parent: "0000:02:00.0", LinkSpeed: "2.5 GT/s", LinkWidth: 4, MaxSpeed: "8.0 GT/s", MaxWidth: 4},
		{Address: "0000:00:02.0", Class: "060400", LinkSpeed: "8.0 GT/s", LinkWidth: 8, MaxSpeed: "8.0 GT/s", MaxWidth: 8},
		{Address: "0000:04:00.0", Class: "020000", Slot: "SLOT3", Parent: "0000:00:02.0", LinkSpeed: "8.0 GT/s", LinkWidth: 8, MaxSpeed: "16.0 GT/s", MaxWidth: 16},
		{Address: "0000:00:1f.2", Class: "010601"},
	}

	return inv
}

// TestPlatform: each rule about the platform, broken by the least, and kept by all
// else.
func TestPlatform(t *testing.T) {
	clean := rack()
	if r := spec.General(&clean); len(r.Findings) != 0 {
		t.Fatalf("a healthy server: %+v", r.Findings)
	}

	for name, c := range map[string]struct {
		change   func(*core.Inventory)
		want     spec.Spec
		code     string
		severity core.Severity
		evidence string
	}{
		"lanes lost in the slot":    {func(i *core.Inventory) { i.PCI[5].LinkWidth = 4 }, spec.Spec{}, problem.SpecLinkWidth, core.Critical, "0000:04:00.0 runs at x4"},
		"lanes lost above a switch": {func(i *core.Inventory) { i.PCI[1].LinkWidth = 4 }, spec.Spec{}, problem.SpecLinkWidth, core.Critical, "0000:01:00.0 runs at x4"},
		"lanes lost below a switch": {func(i *core.Inventory) { i.PCI[3].LinkWidth = 2 }, spec.Spec{}, problem.SpecLinkWidth, core.Critical, "0000:03:00.0 runs at x2"},
		"a slow network card":       {func(i *core.Inventory) { i.PCI[5].LinkSpeed = "5.0 GT/s" }, spec.Spec{}, problem.SpecLinkSpeed, core.Critical, "0000:04:00.0 runs at 5.0 GT/s"},
		"a node without its memory": {func(i *core.Inventory) { i.Nodes[0].MemoryBytes = 48 << 30 }, spec.Spec{}, problem.SpecNodesUnequal, core.Warning, "node 0 has 48.0 GiB"},
		"errors nobody counts":      {func(i *core.Inventory) { i.Memory.Controllers = 0 }, spec.Spec{}, problem.SpecECCUnseen, core.Warning, "multi-bit"},
		"errors nobody counts, but the spec wants": {
			func(i *core.Inventory) { i.Memory.Controllers = 0 }, spec.Spec{Memory: spec.Memory{ECC: spec.Want{Any: []string{"true"}}}}, problem.SpecECCUnseen, core.Critical, "no EDAC driver",
		},
		"an empty cell":       {func(i *core.Inventory) { i.Clock.Year = 2019 }, spec.Spec{}, problem.SpecClock, core.Warning, "the year 2019"},
		"a clock a day ahead": {func(i *core.Inventory) { i.Clock.OffSeconds = 86401 }, spec.Spec{}, problem.SpecClock, core.Warning, "86401 seconds"},
		"a clock a day late":  {func(i *core.Inventory) { i.Clock.OffSeconds = -86401 }, spec.Spec{}, problem.SpecClock, core.Warning, "-86401 seconds"},
		"a hidden part": {
			func(i *core.Inventory) { i.Disks[0].NativeBytes = i.Disks[0].SizeBytes + 512 }, spec.Spec{}, problem.SpecDiskHidden, core.Critical, "512 bytes",
		},
		"memory that the firmware kept": {
			func(i *core.Inventory) { i.Memory.RAMBytes = i.Memory.TotalBytes/100*97 - 1 }, spec.Spec{}, problem.SpecMemoryUsable, core.Warning, "was given 31.0 GiB",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inv := rack()
			c.change(&inv)

			found := spec.Compare(c.want, &inv).Findings
			if len(found) != 1 || found[0].Code != c.code || found[0].Severity != c.severity || !strings.Contains(found[0].Evidence, c.evidence) {
				t.Errorf("%+v", found)
			}
		})
	}

	// What is no fault.
	for name, change := range map[string]func(*core.Inventory){
		"a resting disk":                  func(i *core.Inventory) { i.PCI[3].LinkSpeed = "2.5 GT/s" },
		"a resting GPU":                   func(i *core.Inventory) { i.PCI[5].Class, i.PCI[5].LinkSpeed = "030200", "2.5 GT/s" },
		"a resting accelerator":           func(i *core.Inventory) { i.PCI[5].Class, i.PCI[5].LinkSpeed = "120000", "2.5 GT/s" },
		"a link nobody tells of":          func(i *core.Inventory) { i.PCI[5].LinkWidth, i.PCI[5].LinkSpeed = 0, "" },
		"a port nobody tells of":          func(i *core.Inventory) { i.PCI[5].LinkWidth, i.PCI[4].MaxWidth = 1, 0 },
		"a bridge that is not there":      func(i *core.Inventory) { i.PCI[5].Parent, i.PCI[5].LinkWidth = "0000:99:00.0", 1 },
		"bridges in a ring":               func(i *core.Inventory) { i.PCI[0].Parent = "0000:02:00.0" },
		"a BMC counts the errors":         func(i *core.Inventory) { i.Memory.Controllers, i.BMC = 0, &core.Management{Firmware: "1"} },
		"an old agent":                    func(i *core.Inventory) { i.Memory.Controllers, i.Nodes, i.Clock = 0, nil, nil },
		"no ECC to count":                 func(i *core.Inventory) { i.Memory.Controllers, i.Memory.ECC = 0, "none" },
		"a node of memory without CPUs":   func(i *core.Inventory) { i.Nodes[0].CPUs, i.Nodes[0].MemoryBytes = "", 1<<30 },
		"a node without the kernel's GiB": func(i *core.Inventory) { i.Nodes[0].MemoryBytes = 56 << 30 },
		"a clock a day off":               func(i *core.Inventory) { i.Clock.OffSeconds = 86400 },
		"all of the disk is seen":         func(i *core.Inventory) { i.Disks[0].NativeBytes = i.Disks[0].SizeBytes },
		"a virtual machine": func(i *core.Inventory) {
			i.System.Virtual, i.PCI[5].LinkWidth, i.Memory.Controllers, i.Clock.Year, i.Nodes[0].MemoryBytes = true, 1, 0, 1970, 1
		},
	} {
		inv := rack()
		change(&inv)

		if found := spec.General(&inv).Findings; len(found) != 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
