package stage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"vetting/agent/probe"
	"vetting/core"
	"vetting/firmware/inventory"
)

// Firmware collects the versions of all firmware in the machine and compares
// identical parts with each other. Which versions are good is for the appliance's
// baseline to say.
func Firmware(m probe.Machine) Func {
	return func(ctx context.Context, env Env) core.Result {
		env.Progress("versions", 0, 0)

		if err := ctx.Err(); err != nil {
			return stopped(err)
		}

		items, err := m.Firmware(env.BootMAC)
		if err != nil {
			// InventoryCheck has made a finding of it.
			env.Log.Warn("something did not answer", slog.String("error", err.Error()))
		}

		result := core.Result{Firmware: items, SubSteps: firmwareSteps(items), Coverage: fmt.Sprintf("%d firmware versions read", len(items))}
		result.Findings = slices.Concat(microcodeFindings(inventory.Microcode(m.Root)), differing(items), updateFindings(inventory.Updates(m.Root)))
		result.Verdict = worst(result.Findings)

		if len(items) == 0 {
			result.Verdict = core.Unmeasurable
		}

		env.Progress("", 1, 0)

		return result
	}
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
