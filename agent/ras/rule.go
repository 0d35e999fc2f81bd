package ras

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// corrected ranks errors that were corrected: none belongs on a new machine. ECC
// errors hit 8 % of DIMMs in a year (Schroeder et al., 2009), so that one within a
// day is no accident; ten in a day is where mcelog(8) acts.
func corrected(n uint64, used bool) core.Severity {
	const many = 10

	if used && n < many {
		return core.Warning
	}

	return core.Critical
}

// severity ranks the growth of a counter while a stage ran. used is the policy for
// machines that have a life behind them. The empty severity is nothing to tell.
func (d *Delta) severity(stage core.StageName, used bool) core.Severity {
	switch d.Kind {
	case MemoryCorrected, ThresholdEvent:
		return corrected(d.Earlier+d.Grew(), used)
	case PCIeCorrected:
		return d.link()
	case MemoryUncorrected, MemoryPoisoned, MachineCheck, DeferredError, PCIeUncorrected, SASLink:
		return core.Critical
	case DiskErrors:
		// Questions that a disk does not know count as well. Our own are known and left
		// out; the kernel's are asked when a disk is found, those of smartctl in SMART,
		// and where other programs run, theirs at any time.
		if d.Shared || stage == core.InventoryCheck || stage == core.Firmware || stage == core.SMART {
			return core.Info
		}

		return core.Warning
	case NICLink:
		if stage == core.InventoryCheck {
			return "" // ports are being brought up
		}

		if stage == core.Network { // it judges the links of ports while it tests them, and takes some down itself
			return core.Info
		}

		return core.Warning
	default:
		return core.Warning
	}
}

// link ranks errors that a PCIe link corrected. The specification allows one in 10^12
// bits (PCIe 6.2, 4.2.1); sound links have next to none. Less than a minute tells
// nothing about a rate.
func (d *Delta) link() core.Severity {
	const (
		allowed = 1e-12 // errors in a bit
		enough  = time.Minute
	)

	n, seconds := float64(d.Grew()), d.Over.Seconds()

	switch {
	case d.Over >= enough && d.Rate > 0 && n > allowed*d.Rate*seconds:
		return core.Critical
	case d.Storm, d.Over >= stormMinutes*time.Minute && n > stormErrors*d.Over.Minutes():
		return core.Critical
	default:
		return core.Warning
	}
}

// narrowed tells of links that have other widths than before: they were trained anew.
// Speeds are not compared, since many devices lower theirs at rest.
func narrowed(before, after Snapshot, stage core.StageName, virtual bool) (found []core.Finding) {
	severity := core.Severity("")
	if virtual {
		severity = core.Info
	}

	for _, address := range slices.Sorted(maps.Keys(after.Widths)) {
		if was, known := before.Widths[address]; known && was != after.Widths[address] {
			found = append(found, problem.Finding("ras/pcie-link-width", severity, stage, core.Part{Kind: "pci", Slot: address},
				fmt.Sprintf("the link of %s had %d lanes when %s began and has %d now", address, was, stage, after.Widths[address])))
		}
	}

	return found
}

// judge makes a finding of a counter that grew.
func (d *Delta) judge(stage core.StageName, used bool) (f core.Finding, ok bool) {
	severity := d.severity(stage, used)
	if severity == "" {
		return f, false
	}

	evidence := fmt.Sprintf("%s went from %d to %d during %s", d.Name, d.Before, d.Value, stage)
	if d.Earlier > 0 {
		evidence += fmt.Sprintf("; by %d more within a day before", d.Earlier)
	}

	if d.Storm {
		evidence += fmt.Sprintf("; more than %d a minute for %d minutes", stormErrors, stormMinutes)
	}

	if d.Own > 0 {
		evidence += fmt.Sprintf("; without %d that were the agent's own questions", d.Own)
	}

	if d.With != "" {
		evidence += "; the other end of the link is " + d.With
	}

	return problem.Finding("ras/"+string(d.Kind), severity, stage, d.Part, evidence), true
}
