package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

// platformGeneral makes the checks on what the platform tells of itself: links of
// cards, NUMA nodes, who would hear of a memory error, the clock. A virtual machine
// has none of it.
func (r *Result) platformGeneral(want *Spec, got *core.Inventory) {
	r.hidden(got)

	if got.System.Virtual {
		return
	}

	r.links(got)
	r.nodes(got)
	r.observed(want, got)
	r.clock(got)
}

// links compares each link with the best that both of its ends can do (stages.md
// §3.3). A link belongs to the end that is farther from the CPU: a card, or the
// upper port of a switch. Root ports and the lower ports of switches tell of the
// link below them, which is judged there; alone they always look slow.
func (r *Result) links(got *core.Inventory) {
	devices := map[string]*core.PCIDevice{}
	for i := range got.PCI {
		devices[got.PCI[i].Address] = &got.PCI[i]
	}

	for i := range got.PCI {
		d := &got.PCI[i]

		above := devices[d.Parent]
		if above == nil || d.LinkWidth == 0 || d.MaxWidth == 0 || above.MaxWidth == 0 || bridge(d) && depth(d, devices)%2 == 0 {
			continue
		}

		part := core.Part{Kind: "pci", Slot: d.Address, Model: d.Name}
		if d.Slot != "" {
			part.Slot = d.Slot
		}

		if best := min(d.MaxWidth, above.MaxWidth); d.LinkWidth < best {
			r.find(problem.SpecLinkWidth, core.Critical, part, fmt.Sprintf(
				"%s runs at x%d; it can do x%d and the port above it, %s, x%d", d.Address, d.LinkWidth, d.MaxWidth, above.Address, above.MaxWidth))
		}

		cur, best := gigatransfers(d.LinkSpeed), min(gigatransfers(d.MaxSpeed), gigatransfers(above.MaxSpeed))
		if cur > 0 && cur < best && !resting(d) {
			r.find(problem.SpecLinkSpeed, core.Critical, part, fmt.Sprintf(
				"%s runs at %s; it can do %s and the port above it, %s, %s", d.Address, d.LinkSpeed, d.MaxSpeed, above.Address, above.MaxSpeed))
		}
	}
}

// bridge: PCI class 06 04.
func bridge(d *core.PCIDevice) bool { return strings.HasPrefix(d.Class, "0604") }

// depth counts the bridges above a function: at an even depth a bridge is a root
// port or the lower port of a switch.
func depth(d *core.PCIDevice, devices map[string]*core.PCIDevice) (n int) {
	const deepest = 32

	for at := devices[d.Parent]; at != nil && n < deepest; at = devices[at.Parent] {
		n++
	}

	return n
}

// resting reports whether a device slows its link down when it has nothing to do:
// display controllers, accelerators and NVMe disks. Their speed is judged under
// load.
func resting(d *core.PCIDevice) bool {
	return slices.ContainsFunc([]string{"03", "12", "0108"}, func(class string) bool { return strings.HasPrefix(d.Class, class) })
}

// gigatransfers reads "8.0 GT/s"; 0 for anything else.
func gigatransfers(speed string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSuffix(speed, " GT/s"), 64)
	if err != nil {
		return 0
	}

	return v
}

// nodes looks for NUMA nodes that got much less memory than others: channels filled
// unequally, or a module that was left out at boot.
func (r *Result) nodes(got *core.Inventory) {
	var with []core.Node

	for _, n := range got.Nodes {
		if n.CPUs != "" {
			with = append(with, n)
		}
	}

	if len(with) < 2 {
		return
	}

	least := slices.MinFunc(with, func(a, b core.Node) int { return compare(a.MemoryBytes, b.MemoryBytes) })
	most := slices.MaxFunc(with, func(a, b core.Node) int { return compare(a.MemoryBytes, b.MemoryBytes) })

	// What the kernel and the boot image take comes off one node.
	const slack = 1 << 30

	if least.MemoryBytes+slack < most.MemoryBytes/8*7 {
		r.find(problem.SpecNodesUnequal, core.Warning, core.Part{Kind: "memory", Slot: fmt.Sprintf("node %d", least.ID)}, fmt.Sprintf(
			"node %d has %.1f GiB, node %d %.1f GiB", least.ID, float64(least.MemoryBytes)/(1<<30), most.ID, float64(most.MemoryBytes)/(1<<30)))
	}
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// observed looks whether anybody would hear of a memory error: the kernel's driver
// for the memory controller, or a BMC with its event log. An agent that tells of no
// NUMA node does not tell of them either.
func (r *Result) observed(want *Spec, got *core.Inventory) {
	corrects := got.Memory.ECC == "single-bit" || got.Memory.ECC == "multi-bit"
	if !corrects || len(got.Nodes) == 0 || got.Memory.Controllers > 0 || got.BMC != nil {
		return
	}

	severity := core.Warning
	if want.Memory.ECC.asked() && want.Memory.ECC.yes() {
		severity = want.Memory.ECC.severe(core.Critical)
	}

	r.find(problem.SpecECCUnseen, severity, core.Part{Kind: "memory"},
		fmt.Sprintf("ECC is %s; no EDAC driver found a memory controller and there is no BMC", got.Memory.ECC))
}

// hidden looks for disks that show less than they have.
func (r *Result) hidden(got *core.Inventory) {
	for i := range got.Disks {
		if d := &got.Disks[i]; d.NativeBytes > d.SizeBytes {
			r.find(problem.SpecDiskHidden, core.Critical, diskPart(d), fmt.Sprintf(
				"%s shows %d bytes of %d; %d bytes are hidden", d.Name, d.SizeBytes, d.NativeBytes, d.NativeBytes-d.SizeBytes))
		}
	}
}

// clock looks for a clock that lost its time: an empty cell.
func (r *Result) clock(got *core.Inventory) {
	const oldest, day = 2020, 24 * 60 * 60

	if got.Clock == nil {
		return
	}

	if off := got.Clock.OffSeconds; got.Clock.Year < oldest || off > day || off < -day {
		r.find(problem.SpecClock, core.Warning, core.Part{Kind: "board", Model: got.Board.Product, Serial: got.Board.Serial},
			fmt.Sprintf("the machine's own clock said the year %d and was %d seconds off", got.Clock.Year, got.Clock.OffSeconds))
	}
}
