package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

func (r *Result) memory(want *Memory, got *core.Inventory) {
	r.check("memory", core.Part{Kind: "memory"},
		sizeAtLeast("total", problem.SpecMemoryTotal, want.Total, got.Memory.TotalBytes, 0, core.Critical))

	if want.ECC.asked() {
		r.check("memory", core.Part{Kind: "memory"}, ecc(&want.ECC, got.Memory.ECC))
	}

	named := r.slots(want.DIMMs.Slots, got)
	r.dimmCount(&want.DIMMs, got, named)

	for i := range got.DIMMs {
		d := &got.DIMMs[i]
		if d.SizeBytes > 0 {
			r.check("memory.dimms."+d.Slot, dimmPart(d), dimmFields(&want.DIMMs.Each, d)...)
		}
	}
}

// ecc compares whether errors are corrected: SMBIOS type 16 "none" and "parity"
// do not, the others that are told do.
func ecc(want *Want, got string) field {
	has := got != "none" && got != "parity"

	return field{
		path: "ecc", code: problem.SpecECC, want: yesNo(want.yes()), got: got, ok: got != "" && has == want.yes(),
		severity: want.severe(core.Critical),
	}
}

// slots compares the slots that the spec names, and returns how many of them
// should hold a module but do not.
func (r *Result) slots(want map[string]DIMM, got *core.Inventory) (missing int) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		w := want[name]
		path := "memory.dimms.slots." + name
		d := slotNamed(got, name)

		switch {
		case w.Empty:
			r.Compared++

			if d != nil && d.SizeBytes > 0 {
				r.differ(field{
					path: path, code: problem.SpecDIMMExtra, want: "empty", got: dimmWords(&w, d), severity: core.Warning, part: dimmPart(d),
				})
			}
		case d == nil || d.SizeBytes == 0:
			missing++
			r.Compared++
			r.missing(problem.SpecDIMMMissing, slot{
				path: path, want: dimmWords(&w, nil), severity: core.Critical, part: core.Part{Kind: "dimm", Slot: name, Model: w.PartNumber.String(), Serial: w.Serial.String()},
			})
		default:
			r.check(path, dimmPart(d), dimmFields(&w, d)...)
		}
	}

	return missing
}

func slotNamed(got *core.Inventory, name string) *core.DIMM {
	for i := range got.DIMMs {
		if like(name, got.DIMMs[i].Slot) {
			return &got.DIMMs[i]
		}
	}

	return nil
}

// dimmCount compares how many modules there are. Those missing in slots that the
// spec names were told already.
func (r *Result) dimmCount(want *DIMMs, got *core.Inventory, named int) {
	if !want.Count.asked() {
		return
	}

	r.Compared++

	present := 0

	var empty []string

	for i := range got.DIMMs {
		if got.DIMMs[i].SizeBytes > 0 {
			present++
		} else {
			empty = append(empty, got.DIMMs[i].Slot)
		}
	}

	f := exactly("memory.dimms.count", problem.SpecDIMMExtra, want.Count, present, core.Critical)
	f.got, f.part = strconv.Itoa(present), core.Part{Kind: "dimm"}
	low, _ := want.Count.bounds()

	switch missing := int(min(low, maxCount)) - present; { //nolint:gosec // maxCount at most
	case f.ok:
	case missing <= 0: // more, or a number between those asked for
		f.severity = want.Count.severe(core.Warning)
		r.differ(f)
	default:
		r.Diffs = append(r.Diffs, core.SpecDiff{Path: f.path, Expected: f.want, Actual: f.got, Severity: f.severity, Part: f.part})

		for n := present + named + 1; n <= present+missing; n++ {
			r.dimmMissing(want, f.want, n, present, present+missing, empty)
		}
	}
}

// dimmMissing names the n-th of the modules that there should be at least as
// missing, by the slots where it could be.
func (r *Result) dimmMissing(want *DIMMs, expected string, n, present, least int, empty []string) {
	part := core.Part{Kind: "dimm", Slot: fmt.Sprintf("DIMM %d of %d", n, least), Model: want.Each.PartNumber.String()}
	evidence := fmt.Sprintf("memory.dimms.count: expected %s, found %d", expected, present)

	switch {
	case len(empty) == least-present && n-present <= len(empty):
		part.Slot = empty[n-present-1]
		evidence += "; slot " + part.Slot + " is empty"
	case len(empty) > 0:
		evidence += "; empty slots: " + strings.Join(empty, ", ")
	default:
		evidence += "; the platform reports no empty slot, so the module may be dead or its slot not seen"
	}

	r.find(problem.SpecDIMMMissing, want.Count.severe(core.Critical), part, evidence)
}

func dimmFields(want *DIMM, d *core.DIMM) []field {
	speed := d.ConfiguredMTs
	if speed == 0 {
		speed = d.RatedMTs
	}

	return []field{
		sizeExactly("size", problem.SpecDIMMSize, want.Size, d.SizeBytes, core.Critical),
		text("type", problem.SpecDIMM, want.Type, d.Type, core.Critical),
		text("manufacturer", problem.SpecDIMM, want.Manufacturer, d.Manufacturer, core.Warning),
		text("part_number", problem.SpecDIMM, want.PartNumber, d.PartNumber, core.Warning),
		text("serial", problem.SpecDIMM, want.Serial, d.Serial, core.Warning),
		atLeast("speed_mts", problem.SpecDIMMSlow, want.SpeedMTs, speed, core.Warning),
	}
}

func dimmPart(d *core.DIMM) core.Part {
	return core.Part{Kind: "dimm", Slot: d.Slot, Model: d.PartNumber, Serial: d.Serial}
}

// dimmWords describes a module as found, or as wanted when none was.
func dimmWords(want *DIMM, found *core.DIMM) string {
	size, kind, number := want.Size.say(sizeWords), want.Type.String(), want.PartNumber.String()
	if found != nil {
		size, kind, number = Size(found.SizeBytes).String(), found.Type, found.PartNumber
	}

	words := []string{"a DIMM"}
	if size != "" {
		words = []string{size}
	}

	for _, w := range []string{kind, number} {
		if w != "" {
			words = append(words, w)
		}
	}

	return strings.Join(words, " ")
}

// memoryGeneral looks for modules that run below their rating, are mixed or of
// unequal size, and for memory that the machine does not hand out.
func (r *Result) memoryGeneral(got *core.Inventory) {
	sizes, numbers := map[string]int{}, map[string]int{}

	for i := range got.DIMMs {
		d := &got.DIMMs[i]
		if d.SizeBytes == 0 {
			continue
		}

		sizes[Size(d.SizeBytes).String()]++

		if d.PartNumber != "" {
			numbers[d.PartNumber]++
		}

		if d.ConfiguredMTs > 0 && d.ConfiguredMTs < d.RatedMTs {
			r.find(problem.SpecDIMMSlow, core.Warning, dimmPart(d),
				fmt.Sprintf("%s runs at %d MT/s, rated for %d", d.Slot, d.ConfiguredMTs, d.RatedMTs))
		}
	}

	if len(sizes) > 1 {
		r.find(problem.SpecDIMMUnequal, core.Warning, core.Part{Kind: "memory"}, "sizes: "+tally(sizes))
	}

	if len(numbers) > 1 {
		r.find(problem.SpecDIMMMixed, core.Warning, core.Part{Kind: "memory"}, "part numbers: "+tally(numbers))
	}

	r.usable(&got.Memory)
}

// usable judges from 8 GiB upward what the firmware hands out of the memory, or what
// the kernel has of it where the firmware's map is not told: below, what they keep
// for themselves is too large a part.
func (r *Result) usable(m *core.MemoryTotal) {
	const (
		judgedFrom = 8 << 30
		reserved   = 384 << 20
	)

	given, kept := m.UsableBytes, uint64(reserved)
	if m.RAMBytes > 0 {
		given, kept = m.RAMBytes, 0
	}

	if m.TotalBytes < judgedFrom || given == 0 || given+kept >= m.TotalBytes/100*97 {
		return
	}

	r.find(problem.SpecMemoryUsable, core.Warning, core.Part{Kind: "memory"},
		fmt.Sprintf("the modules add up to %s, the kernel was given %.1f GiB", Size(m.TotalBytes), float64(given)/(1<<30)))
}

func tally(counts map[string]int) string {
	words := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d of %s", counts[name], name))
	}

	return strings.Join(words, ", ")
}
