package machines_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/core"
)

// shape is a sort of machine that probes must cope with.
type shape struct {
	name string
	of   func(inv *core.Inventory, r *collect.Recording) bool
}

// shapes are those of which one at least must be in the collection.
func shapes() []shape {
	return []shape{
		{"two sockets of Intel", func(inv *core.Inventory, r *collect.Recording) bool {
			return twoSockets(inv) && made(r, "GenuineIntel")
		}},
		{"two sockets of AMD", func(inv *core.Inventory, r *collect.Recording) bool {
			return twoSockets(inv) && made(r, "AuthenticAMD")
		}},
		{"one socket in a board for two", func(inv *core.Inventory, _ *collect.Recording) bool {
			return len(inv.CPUs) == 1 && strings.HasPrefix(inv.Board.Product, "X11DP")
		}},
		{"arm64", func(_ *core.Inventory, r *collect.Recording) bool { return holds(r, "proc/cpuinfo", "CPU implementer") }},
		{"neither PCI nor SMBIOS", func(inv *core.Inventory, r *collect.Recording) bool {
			return len(inv.PCI) == 0 && inv.BIOS.Version == "" && len(inv.Disks) > 0 && !inv.System.Virtual && len(inv.CPUs) > 0
		}},
		{"nothing but NVMe", func(inv *core.Inventory, _ *collect.Recording) bool {
			return len(inv.Disks) > 8 && !slices.ContainsFunc(inv.Disks, func(d core.Disk) bool { return d.Transport != "nvme" })
		}},
		{"SAS behind an expander, over two paths", func(inv *core.Inventory, r *collect.Recording) bool {
			return matches(r, "sys/class/sas_expander/*") &&
				slices.ContainsFunc(inv.Disks, func(d core.Disk) bool { return d.Transport == "sas" && len(d.OtherPaths) > 0 })
		}},
		{"disks behind a RAID controller", func(inv *core.Inventory, _ *collect.Recording) bool {
			return driven(inv, "megaraid_sas") && slices.ContainsFunc(inv.Disks, func(d core.Disk) bool { return !d.SMART })
		}},
		{"GPUs, with the vendor's driver", func(inv *core.Inventory, _ *collect.Recording) bool {
			return len(inv.GPUs) > 1 && driven(inv, "nvidia")
		}},
		{"more nodes than sockets", func(inv *core.Inventory, _ *collect.Recording) bool {
			return len(inv.Nodes) > len(inv.CPUs) && len(inv.CPUs) > 1
		}},
		{"laptop", func(inv *core.Inventory, r *collect.Recording) bool {
			return inv.Chassis.Type == "notebook" && matches(r, "sys/class/power_supply/BAT*")
		}},
		{"cores of two kinds", func(_ *core.Inventory, r *collect.Recording) bool {
			sizes := map[string]bool{}
			for _, name := range glob(r, "sys/devices/system/cpu/cpu*/cache/index2/size") {
				sizes[text(r, name)] = true
			}

			return len(sizes) > 1
		}},
		{"mini PC whose maker filled in next to nothing", func(inv *core.Inventory, _ *collect.Recording) bool {
			return inv.System.Serial == "" && inv.System.UUID == "" && inv.Chassis.Type == "desktop" && len(inv.NICs) == 1
		}},
		{"desktop without ECC", func(inv *core.Inventory, _ *collect.Recording) bool {
			return inv.Chassis.Type == "desktop" && inv.Memory.ECC == "none" && inv.Memory.Slots == 4
		}},
		{"a BMC", func(inv *core.Inventory, _ *collect.Recording) bool { return inv.BMC != nil && inv.BMC.Firmware != "" }},
		{"virtual machine with firmware and a BMC", func(inv *core.Inventory, _ *collect.Recording) bool {
			return inv.System.Virtual && inv.BMC != nil && inv.BIOS.Version != ""
		}},
		{"virtual machine without firmware", func(inv *core.Inventory, _ *collect.Recording) bool {
			return inv.System.Virtual && inv.BIOS.Version == "" && len(inv.NICs) > 0
		}},
		{"virtual machine with a GPU handed through", func(inv *core.Inventory, _ *collect.Recording) bool {
			return inv.System.Virtual && len(inv.GPUs) > 0
		}},
		{"recorded without rights", func(inv *core.Inventory, r *collect.Recording) bool {
			return strings.Contains(r.Origin, "without rights") && len(inv.Disks) > 0 && len(inv.DIMMs) == 0
		}},
	}
}

func twoSockets(inv *core.Inventory) bool { return len(inv.CPUs) == 2 && !inv.System.Virtual }

func text(r *collect.Recording, name string) string {
	content, err := r.Root.ReadFile(name)
	if err != nil {
		return ""
	}

	return string(content)
}

func holds(r *collect.Recording, name, words string) bool {
	return strings.Contains(text(r, name), words)
}

func made(r *collect.Recording, vendor string) bool { return holds(r, "proc/cpuinfo", vendor) }

func glob(r *collect.Recording, pattern string) []string {
	names, err := fs.Glob(r.Root, pattern)
	if err != nil {
		return nil
	}

	return names
}

func matches(r *collect.Recording, pattern string) bool { return len(glob(r, pattern)) > 0 }

func driven(inv *core.Inventory, driver string) bool {
	return slices.ContainsFunc(inv.PCI, func(d core.PCIDevice) bool { return d.Driver == driver })
}

// TestShapes: the collection has a machine of every sort that probes must cope with,
// and one of each origin.
func TestShapes(t *testing.T) {
	found, origins := map[string][]string{}, map[string]int{}

	for _, name := range machines.Names(t) {
		r := machines.Open(t, name)

		// What a disk of a recording without rights does not answer is no matter here.
		inv, _ := r.Machine().Inventory("") //nolint:errcheck // see above

		origin, _, _ := strings.Cut(r.Origin, ": ")
		origins[origin]++

		for _, s := range shapes() {
			if s.of(&inv, r) {
				found[s.name] = append(found[s.name], name)
			}
		}
	}

	for _, s := range shapes() {
		t.Logf("%s: %s", s.name, strings.Join(found[s.name], ", "))

		if len(found[s.name]) == 0 {
			t.Errorf("no machine is of the shape %q", s.name)
		}
	}

	for _, origin := range []string{"recorded", "published", "made"} {
		if origins[origin] == 0 {
			t.Errorf("no machine is %s", origin)
		}
	}
}
