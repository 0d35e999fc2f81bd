package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"vetting/agent/gpu"
	"vetting/agent/probe"
	"vetting/agent/psu"
	"vetting/core"
	"vetting/core/problem"
	"vetting/firmware/inventory"
)

// Firmware collects the versions of all firmware in the machine and compares
// identical parts with each other. Which versions are good is for the appliance's
// baseline to say.
//
// bootLog returns the kernel's messages since it booted. tools are those of overlays, of
// which NVIDIA's tells the vBIOS of its GPUs: nothing else does before their driver is loaded.
func Firmware(m probe.Machine, bootLog func() []string, tools GPUTools) Func {
	return func(ctx context.Context, env Env) core.Result {
		env.Progress("versions", 0, 0)

		if err := ctx.Err(); err != nil {
			return stopped(err)
		}

		items, err := m.Firmware(env.BootMAC)
		if err != nil {
			// InventoryCheck has made a finding of it, and the coverage names a TPM.
			env.Log.Warn("something did not answer", slog.String("error", err.Error()))
		}

		items = append(items, supplyItems(m, env.Log)...)
		items, unread := nvidiaItems(ctx, m, tools, env, items)

		if ctx.Err() != nil {
			return stopped(ctx.Err())
		}

		loaded := loadedMicrocode(items, bootLog())
		slots := m.FirmwareSlots()

		result := core.Result{
			Firmware: items, Settings: append(inventory.Settings(m.Root), slotSettings(slots)...),
			SubSteps: firmwareSteps(items), Coverage: fmt.Sprintf("%d firmware versions read", len(items)),
		}
		result.Findings = slices.Concat(microcodeFindings(inventory.Microcode(m.Root)), loaded, differing(items),
			updateFindings(inventory.Updates(m.Root)), slotFindings(slots), engineFindings(m.Root))
		result.Verdict = worst(result.Findings)

		if errors.Is(err, probe.ErrTPM) {
			result.Coverage += ", TPM NOT read"
		}

		if unread {
			result.Coverage += ", vBIOS of NVIDIA's GPUs NOT read"
		}

		if len(items) == 0 {
			result.Verdict = core.Unmeasurable
		}

		env.Progress("", 1, 0)

		return result
	}
}

// supplyItems lists the revisions of the power supplies: what their FRU says (Platform
// Management FRU Information Storage Definition 1.3 §12, product version), or PMBus
// (MFR_REVISION), or SMBIOS type 39.
func supplyItems(m probe.Machine, log *slog.Logger) (items []core.FirmwareItem) {
	tables, err := inventory.ReadSMBIOS(m.Root)
	if err != nil {
		tables = nil // InventoryCheck has made a finding of it
	}

	supplies, err := psu.Supplies(m.Root, m.BMC, inventory.PSUs(tables))
	if err != nil {
		log.Warn("the BMC does not tell all of the power supplies", slog.String("error", err.Error()))
	}

	for i := range supplies {
		if version := supplies[i].ID.Version; version != "" {
			items = append(items, core.FirmwareItem{Part: supplies[i].Part(), Name: "PSU", Version: version})
		}
	}

	return items
}

// nvidiaItems adds the vBIOS of NVIDIA's GPUs, where an overlay brings nvidia-smi, or puts
// what it tells in the place of what is known. unread says that it should have told and did
// not.
func nvidiaItems(ctx context.Context, m probe.Machine, tools GPUTools, env Env, items []core.FirmwareItem) (all []core.FirmwareItem, unread bool) {
	smi := tools.Find(env.Overlays, "nvidia-smi")
	x := &gpuExam{machine: m, tools: tools, env: env}

	if smi == "" {
		return items, false
	}

	if x.find(); len(x.of("10de")) == 0 {
		return items, false
	}

	env.Progress("vBIOS", 0, 0)

	if err := tools.Prepare(env.Overlays); err != nil {
		env.Log.Warn("something of the overlays could not be loaded", slog.String("error", err.Error()))
	}

	cards, _, err := x.ask(ctx, smi)
	if err != nil {
		env.Log.Warn("nvidia-smi does not tell the vBIOS", slog.String("error", err.Error()))

		return items, true
	}

	for _, u := range x.of("10de") {
		i := slices.IndexFunc(cards, func(c gpu.Card) bool { return c.Address == u.Address })
		if i < 0 || cards[i].VBIOS == "" {
			unread = true

			continue
		}

		items = slices.DeleteFunc(items, func(item core.FirmwareItem) bool { return item.Part.Kind == "gpu" && item.Part.Slot == u.Address })
		part := core.Part{Kind: "gpu", Slot: u.Address, Model: cards[i].Model, Serial: cards[i].Serial}

		if part.Serial == "" {
			part.Serial = cards[i].UUID
		}

		items = append(items, core.FirmwareItem{Part: part, Name: "vBIOS", Version: cards[i].VBIOS})
	}

	return items, unread
}

func firmwareSteps(items []core.FirmwareItem) (steps []core.SubStep) {
	for _, item := range items {
		steps = append(steps, core.SubStep{
			Name: strings.TrimSpace(item.Name + " " + item.Part.Slot), Part: item.Part, Verdict: core.Pass,
			Summary: strings.TrimSpace(item.Version + " " + item.Date), Progress: 1,
		})
	}

	return steps
}

// microcodeFindings: cores of one machine must run the same microcode.
func microcodeFindings(revisions map[int]string) []core.Finding {
	cpus := map[string][]int{}
	for cpu, revision := range revisions {
		cpus[revision] = append(cpus[revision], cpu)
	}

	if len(cpus) < 2 {
		return nil
	}

	var seen []string

	for revision, list := range cpus {
		slices.Sort(list)
		seen = append(seen, fmt.Sprintf("%s on CPU %s", revision, strings.Trim(fmt.Sprint(list), "[]")))
	}

	slices.Sort(seen)

	return []core.Finding{{
		Code: "firmware/microcode-differs", Severity: core.Critical, Title: "The CPUs run different microcode",
		Part: core.Part{Kind: "cpu"}, Evidence: strings.Join(seen, "; "),
		Next: "Update the BIOS; if the difference stays, the CPUs are of different steppings: fit a matching pair.",
	}}
}

// differing compares parts of one kind and model with each other.
func differing(items []core.FirmwareItem) (findings []core.Finding) {
	type group struct{ name, kind, model string }

	versions, order := map[group][]core.FirmwareItem{}, []group{}

	for _, item := range items {
		g := group{item.Name, item.Part.Kind, item.Part.Model}
		if item.Part.Model == "" || item.Part.Kind == "cpu" || item.Part.Kind == "board" {
			continue
		}

		if versions[g] == nil {
			order = append(order, g)
		}

		versions[g] = append(versions[g], item)
	}

	for _, g := range order {
		list := versions[g]
		if !slices.ContainsFunc(list, func(i core.FirmwareItem) bool { return i.Version != list[0].Version }) {
			continue
		}

		var seen []string
		for _, item := range list {
			seen = append(seen, item.Part.Slot+" has "+item.Version)
		}

		findings = append(findings, core.Finding{
			Code: "firmware/versions-differ", Severity: core.Warning, Title: "Identical parts run different firmware",
			Part: core.Part{Kind: g.kind, Model: g.model}, Evidence: strings.Join(seen, "; "),
			Next: "Bring all of them to the same version.",
		})
	}

	return findings
}

// updateFindings: an update that the firmware tried and did not finish.
func updateFindings(updates []inventory.Update) (findings []core.Finding) {
	for _, u := range updates {
		if u.Status == 0 {
			continue
		}

		findings = append(findings, core.Finding{
			Code: "firmware/update-failed", Severity: core.Warning, Title: "The last firmware update did not succeed",
			Part:     core.Part{Kind: "board", Slot: u.Class},
			Evidence: fmt.Sprintf("ESRT entry %s: version %s, last attempt status %d", u.Class, u.Version, u.Status),
			Next:     "Repeat the firmware update of this part.",
		})
	}

	return findings
}

// loadedMicrocode: where somebody's initrd brings newer microcode than the BIOS has,
// sysfs tells that one. What the BIOS loads is what is listed and judged; the kernel's
// log tells it, as "Updated early from: 0x0b600032" (6.7 on) or as "updated early:
// 0xf0 -> 0xf4, date = 2023-02-23".
func loadedMicrocode(items []core.FirmwareItem, log []string) []core.Finding {
	var before, line string

	for _, row := range log {
		_, after, ok := strings.Cut(row, "microcode: ")
		if !ok {
			continue
		}

		if from, is := strings.CutPrefix(after, "Updated early from: "); is {
			before, line = from, after
		} else if change, is := strings.CutPrefix(after, "updated early: "); is {
			from, _, _ := strings.Cut(change, " -> ")
			before, line = from, after
		}
	}

	before = shortRevision(before)
	if before == "" {
		return nil
	}

	changed := false

	for i := range items {
		if item := &items[i]; item.Name == "microcode" && shortRevision(item.Version) != before {
			item.Version, changed = before, true
		}
	}

	if !changed {
		return nil
	}

	return []core.Finding{problem.Finding(problem.FirmwareMicrocodeLoaded, "", core.Firmware, core.Part{Kind: "cpu"}, "the kernel says: "+line)}
}

// shortRevision writes a revision as sysfs does: 0x0b600032 is 0xb600032. Empty: it
// is none.
func shortRevision(text string) string {
	digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), "0x")
	if !ok || digits == "" || len(digits) > 8 || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}

	return "0x" + strings.TrimLeft(digits, "0")
}

// slotSettings lists what the firmware slots of NVMe disks hold.
func slotSettings(list []probe.SlotsOf) (settings []core.FirmwareSetting) {
	for i := range list {
		s := &list[i]
		for n, revision := range s.Revisions {
			if revision != "" {
				settings = append(settings, core.FirmwareSetting{Part: s.Part, Group: "nvme", Name: fmt.Sprintf("firmware-slot-%d", n+1), Value: revision})
			}
		}
	}

	return settings
}

// slotFindings: a disk that will run other firmware once it was switched off is not the
// one that was tested.
func slotFindings(list []probe.SlotsOf) (findings []core.Finding) {
	for i := range list {
		s := &list[i]
		if next := s.Pending(); next != "" {
			findings = append(findings, problem.Finding(problem.FirmwarePending, "", core.Firmware, s.Part,
				fmt.Sprintf("slot %d with %s runs, the next reset takes slot %d with %s", s.Active, s.Revisions[s.Active-1], s.Next, next)))
		}
	}

	return findings
}

// engineFindings: a management engine that says itself that it is not well.
func engineFindings(root fs.FS) []core.Finding {
	status, ok := inventory.MEStatus(root)
	if !ok {
		return nil
	}

	trouble := inventory.METrouble(status)
	if trouble == "" {
		return nil
	}

	return []core.Finding{problem.Finding(problem.FirmwareMETrouble, "", core.Firmware, core.Part{Kind: "board", Slot: "ME"},
		fmt.Sprintf("status register 0x%08x: %s", status, trouble))}
}
