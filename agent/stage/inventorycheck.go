package stage

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/problem"
	"vetting/firmware/inventory"
)

// Ready waits until the machine's devices are all there, or ctx ends.
type Ready func(ctx context.Context) error

// InventoryCheck reads what the machine is made of. It judges nothing but the
// reading itself: a disk that does not say who it is, a PCI device that answers
// all ones, SMBIOS tables that break off. What should be there is for SpecValidate
// to say.
func InventoryCheck(m probe.Machine, ready Ready) Func {
	return func(ctx context.Context, env Env) core.Result {
		env.Progress("devices", 0, 0)

		if err := ready(ctx); err != nil {
			return stopped(err)
		}

		env.Progress("parts", 0.5, 0)

		inv, err := m.Inventory(env.BootMAC)
		result := core.Result{Verdict: core.Pass, Inventory: &inv, SubSteps: inventorySteps(&inv), Coverage: inventoryCoverage(&inv)}

		if err != nil {
			env.Log.Warn("something did not answer", slog.String("error", err.Error()))

			for fault := range strings.SplitSeq(err.Error(), "\n") {
				result.Findings = append(result.Findings, unanswered(fault, &inv))
			}
		}

		result.Findings = append(result.Findings, deadPCI(inv.PCI)...)
		result.Findings = append(result.Findings, disabledDIMMs(m)...)
		result.Verdict = worst(result.Findings)

		env.Log.Info("inventory read", slog.String("found", result.Coverage))
		env.Progress("", 1, 0)

		return result
	}
}

// stopped is the result of a stage that was told to end.
func stopped(err error) core.Result {
	return core.Result{Verdict: core.Error, Findings: []core.Finding{{
		Code: "stage/interrupted", Severity: core.Warning, Title: "The stage was stopped before its end", Evidence: err.Error(),
		Next: "Start the stage again.",
	}}}
}

// worst is fail when a finding is critical.
func worst(findings []core.Finding) core.Verdict {
	for _, f := range findings {
		if f.Severity == core.Critical {
			return core.Fail
		}
	}

	return core.Pass
}

// unanswered turns an error of the enumeration into a finding, with the disk it is
// about where it names one.
func unanswered(fault string, inv *core.Inventory) core.Finding {
	for _, d := range inv.Disks {
		if strings.Contains(fault, "identifying "+d.Name+":") {
			return core.Finding{
				Code: "inventory/disk-silent", Severity: core.Critical, Title: "A disk does not say who it is",
				Part: probe.DiskPart(d), Evidence: fault,
				Next: "Reseat the disk and its cable; replace the disk if it stays silent.",
			}
		}
	}

	return core.Finding{
		Code: "inventory/firmware-tables", Severity: core.Critical, Title: "The firmware's description of the machine cannot be read",
		Part: core.Part{Kind: "board", Model: inv.Board.Product, Serial: inv.Board.Serial}, Evidence: fault,
		Next: "Update the BIOS or load its defaults; the tables it hands out are damaged.",
	}
}

// deadPCI finds devices that fell off the bus: their configuration space reads all
// ones.
func deadPCI(devices []core.PCIDevice) (findings []core.Finding) {
	for _, d := range devices {
		if d.Vendor != "ffff" {
			continue
		}

		findings = append(findings, core.Finding{
			Code: "inventory/pci-dead", Severity: core.Critical, Title: "A PCI device does not answer any more",
			Part:     core.Part{Kind: "pci", Slot: d.Address},
			Evidence: fmt.Sprintf("%s reads vendor ffff, device %s", d.Address, d.Device),
			Next:     "Reseat the card in its slot; replace it if it stays silent.",
		})
	}

	return findings
}

// disabledDIMMs finds modules that the firmware read and left out. Tables that break
// off are a finding of their own.
func disabledDIMMs(m probe.Machine) (findings []core.Finding) {
	tables, err := m.Tables()
	if err != nil {
		return nil
	}

	for _, d := range inventory.Disabled(tables) {
		findings = append(findings, problem.Finding(problem.DIMMDisabled, "", core.InventoryCheck,
			core.Part{Kind: "dimm", Slot: d.Slot, Model: d.PartNumber, Serial: d.Serial},
			fmt.Sprintf("%s %s, serial %s, has no size", d.Manufacturer, d.PartNumber, d.Serial)))
	}

	return findings
}

func inventorySteps(inv *core.Inventory) []core.SubStep {
	step := func(name string, n int, summary string) core.SubStep {
		verdict := core.Pass
		if n == 0 {
			verdict = core.Unmeasurable
		}

		return core.SubStep{Name: name, Verdict: verdict, Summary: summary, Progress: 1}
	}

	populated := 0

	for _, d := range inv.DIMMs {
		if d.SizeBytes > 0 {
			populated++
		}
	}

	firmware := 0
	if inv.System.UUID != "" || inv.BIOS.Version != "" {
		firmware = 1
	}

	return []core.SubStep{
		step("system", firmware, strings.TrimSpace(inv.System.Manufacturer+" "+inv.System.Product+", booted by "+inv.BIOS.Mode)),
		step("cpus", len(inv.CPUs), cpuSummary(inv.CPUs)),
		step("memory", populated, fmt.Sprintf("%d of %d slots populated, %s", populated, len(inv.DIMMs), gib(inv.Memory.TotalBytes))),
		step("disks", len(inv.Disks), fmt.Sprintf("%d disks", len(inv.Disks))),
		step("nics", len(inv.NICs), fmt.Sprintf("%d network ports", len(inv.NICs))),
		step("pci", len(inv.PCI), fmt.Sprintf("%d PCI functions", len(inv.PCI))),
	}
}

func cpuSummary(cpus []core.CPU) string {
	cores, threads := 0, 0
	for _, c := range cpus {
		cores, threads = cores+c.Cores, threads+c.Threads
	}

	return fmt.Sprintf("%d sockets, %d cores, %d threads", len(cpus), cores, threads)
}

func inventoryCoverage(inv *core.Inventory) string {
	populated := 0

	for _, d := range inv.DIMMs {
		if d.SizeBytes > 0 {
			populated++
		}
	}

	return fmt.Sprintf("%d CPUs, %d DIMMs (%s), %d disks, %d NICs, %d PCI functions",
		len(inv.CPUs), populated, gib(inv.Memory.TotalBytes), len(inv.Disks), len(inv.NICs), len(inv.PCI))
}

// gib prints a size in GiB, as people count memory.
func gib(bytes uint64) string {
	const unit = 1 << 30
	if bytes%unit == 0 {
		return fmt.Sprintf("%d GiB", bytes/unit)
	}

	return fmt.Sprintf("%.1f GiB", float64(bytes)/unit)
}
