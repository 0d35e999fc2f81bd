package report

import (
	"fmt"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// Gap is something that was not tested, and why. The list of gaps stands on the
// first page, next to the verdict.
type Gap struct {
	Stage core.StageName `json:"stage,omitempty"`
	What  string         `json:"what"` // "CPUStress", "disk writes on 2 of 3 disks (S1, S2)"
	Why   string         `json:"why"`
	Parts []string       `json:"parts,omitempty"` // all of them, where What names only the first
}

// Words returns the gap as one line: "GPU compute NOT tested: …".
func (g Gap) Words() string { return g.What + " NOT tested: " + g.Why }

// Untested lists what a run did not test of the machine that it found, as its report does.
func Untested(run *core.Run, found *core.Inventory) []Gap {
	return gapsOf(&Input{Run: *run, Inventory: *found})
}

// gapsOf lists what the run did not test: stages outside the plan, skipped,
// never reached or broken, and parts of the machine no stage vouches for.
func gapsOf(in *Input) []Gap {
	gaps := []Gap{}

	if scale := runOf(in).Scale; scale != 1 {
		gaps = append(gaps, Gap{What: "full durations", Why: scaleNote(scale)})
	}

	specless := in.Run.SpecYAML == "" && in.Run.StageAt(core.SpecValidate) >= 0

	for _, name := range core.Pipeline() {
		gap, ok := stageGap(&in.Run, name)
		if said := specless && name == core.SpecValidate && in.Run.Stages[in.Run.StageAt(name)].Verdict == core.Skip; ok && !said {
			gaps = append(gaps, gap)
		}
	}

	gaps = append(gaps, customGaps(&in.Run)...)
	gaps = append(gaps, diskGaps(in)...)
	gaps = append(gaps, gpuGaps(in)...)
	gaps = append(gaps, supplyGaps(in)...)

	if specless {
		gaps = append(gaps, Gap{
			Stage: core.SpecValidate, What: "comparison with an expected spec",
			Why: "the host has no expected spec, so a missing part cannot be noticed",
		})
	}

	return gaps
}

// stageGap says what is missing of one stage of the pipeline.
func stageGap(run *core.Run, name core.StageName) (gap Gap, ok bool) {
	gap = Gap{Stage: name, What: string(name)}

	i := run.StageAt(name)
	if i < 0 {
		gap.Why = "not part of profile " + run.Profile.Name

		return gap, true
	}

	st := &run.Stages[i]

	switch {
	case st.Phase == core.Active && name != core.Reporting:
		gap.Why = "still under way"
	case st.Phase != core.Done && name != core.Reporting:
		gap.Why = "not reached"
	case st.Verdict == core.Skip && st.SkipReason != "":
		gap.Why = "skipped: " + st.SkipReason
	case st.Verdict == core.Skip:
		gap.Why = "skipped without a declared reason"
	case st.Verdict == core.Error:
		gap.Why = "the test itself broke, so it proves nothing"
	case st.Verdict == core.Unmeasurable:
		gap.Why = "this platform cannot tell"
	default:
		return Gap{}, false
	}

	return gap, true
}

// customGaps lists the custom stages that tested nothing, and those that were never run:
// what a stage that ended before its time leaves behind is not a word of them.
func customGaps(run *core.Run) (gaps []Gap) {
	for i := range run.Stages {
		for _, step := range run.Stages[i].SubSteps {
			if !strings.HasPrefix(step.Name, core.ScriptStep("")) || step.Verdict != core.Skip && step.Verdict != core.Unmeasurable {
				continue
			}

			why := string(step.Verdict)
			if step.Summary != "" {
				why = step.Summary
			}

			gaps = append(gaps, Gap{Stage: run.Stages[i].Name, What: "custom stage " + strings.TrimPrefix(step.Name, core.ScriptStep("")), Why: why})
		}
	}

	for i := range run.Overlays {
		for _, script := range run.Overlays[i].Scripts {
			if why := unheard(run, &script); why != "" {
				gaps = append(gaps, Gap{Stage: script.Stage, What: "custom stage " + script.Name, Why: why})
			}
		}
	}

	return gaps
}

// unheard says why there is no word of a custom stage; empty: there is one.
func unheard(run *core.Run, script *core.Script) string {
	at := run.StageAt(script.Stage)
	if at < 0 {
		return fmt.Sprintf("not run: %s is not part of this run", script.Stage)
	}

	switch st := &run.Stages[at]; {
	case slices.ContainsFunc(st.SubSteps, func(s core.SubStep) bool { return s.Name == core.ScriptStep(script.Name) }):
		return ""
	case st.Phase == core.Active:
		return fmt.Sprintf("it follows %s, which is still under way", st.Name)
	case st.Phase != core.Done:
		return fmt.Sprintf("not run: %s, which it follows, was not reached", st.Name)
	default:
		return fmt.Sprintf("not run: %s, which it follows, ended in %s before it", st.Name, st.Verdict)
	}
}

// diskGaps lists the disks whose surface was not written, and those that do not
// answer SMART.
func diskGaps(in *Input) []Gap {
	var unwritten, sampled, mute []string

	disks := in.Inventory.Disks
	stored, destructive := stagePassed(&in.Run, core.Storage), profile.Destructive(&in.Run.Profile)

	for i := range disks {
		d := &disks[i]

		if !stored || !destructive || !slices.Contains(in.Run.Armed, d.Serial) {
			unwritten = append(unwritten, diskName(d))
		} else if in.Run.Profile.Config[profile.StorageExtent] != "full" {
			sampled = append(sampled, diskName(d))
		}

		if !d.SMART {
			mute = append(mute, diskName(d))
		}
	}

	var gaps []Gap

	if len(unwritten) > 0 {
		gaps = append(gaps, Gap{Stage: core.Storage, What: diskList("disk write", unwritten, len(disks)), Why: whyUnwritten(in, stored), Parts: unwritten})
	}

	if len(sampled) > 0 {
		gaps = append(gaps, Gap{
			Stage: core.Storage, What: diskList("writing beyond a sample", sampled, len(disks)),
			Why: "the profile writes a sample of each disk (Storage.extent)", Parts: sampled,
		})
	}

	if len(mute) > 0 {
		gaps = append(gaps, Gap{
			Stage: core.SMART, What: diskList("disk self-monitoring (SMART)", mute, len(disks)),
			Why: "the device does not answer SMART reads", Parts: mute,
		})
	}

	return gaps
}

func whyUnwritten(in *Input, stored bool) string {
	switch {
	case in.Run.StageAt(core.Storage) < 0:
		return "the Storage stage is not part of profile " + in.Run.Profile.Name + "; nothing was written to any disk"
	case len(in.Run.Armed) == 0:
		return "no disk was armed, and a disk that is not armed is never written to"
	case !profile.Destructive(&in.Run.Profile):
		return "profile " + in.Run.Profile.Name + " reads disks and writes to none (Storage.mode)"
	case !stored:
		return "the Storage stage did not pass"
	default:
		return "not armed, and a disk that is not armed is never written to"
	}
}

func stagePassed(run *core.Run, name core.StageName) bool {
	i := run.StageAt(name)

	return i >= 0 && run.Stages[i].Phase == core.Done && run.Stages[i].Verdict == core.Pass
}

// diskList writes "disk write on 2 of 3 disks (S1, S2)"; long lists are cut.
func diskList(what string, names []string, total int) string {
	const most = 8

	shown := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		shown += fmt.Sprintf(" and %d more", len(names)-most)
	}

	return fmt.Sprintf("%s on %d of %s (%s)", what, len(names), count(total, "disk", "disks"), shown)
}

func diskName(d *core.Disk) string {
	if d.Serial != "" {
		return d.Serial
	}

	return d.Name + ", no serial"
}

// gpuGaps lists the GPUs and accelerators that no GPU stage has passed. In a stage that did
// not pass as a whole, each GPU is a step of its own.
func gpuGaps(in *Input) []Gap {
	if stagePassed(&in.Run, core.GPU) {
		return nil
	}

	var (
		gaps  []Gap
		steps []core.SubStep
	)

	if i := in.Run.StageAt(core.GPU); i >= 0 && in.Run.Stages[i].Phase == core.Done {
		steps = in.Run.Stages[i].SubSteps
	}

	for i := range in.Inventory.PCI {
		dev := &in.Inventory.PCI[i]

		tested := slices.ContainsFunc(steps, func(s core.SubStep) bool { return s.Name == dev.Address && s.Verdict == core.Pass })
		if tested || !dev.Computes() {
			continue
		}

		name := dev.Name
		if name == "" {
			name = dev.Vendor + ":" + dev.Device
		}

		gaps = append(gaps, Gap{
			Stage: core.GPU, What: fmt.Sprintf("compute of the GPU at %s (%s)", dev.Address, name),
			Why: "GPU present, compute NOT tested: no GPU stage passed in this run",
		})
	}

	return gaps
}

// supplyGaps tells of power supplies that nobody saw while the machine was under load.
func supplyGaps(in *Input) []Gap {
	if !stagePassed(&in.Run, core.PSU) {
		return nil
	}

	for _, f := range in.Run.Stages[in.Run.StageAt(core.PSU)].Findings {
		if f.Code == problem.PSUUnobservable {
			return []Gap{{Stage: core.PSU, What: "the state of the power supplies", Why: "not observed: " + f.Evidence}}
		}
	}

	return nil
}
