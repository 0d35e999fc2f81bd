package engine

import (
	"fmt"
	"slices"
	"strconv"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// maxUnpacked bounds the memory that all overlays of a run may take on its machine.
const maxUnpacked = 2 << 30

func noOverlay(name string) error {
	return core.NewProblem(core.ErrNotFound, problem.OverlayUnknown, fmt.Sprintf(
		"There is no overlay %.64q; vetting overlay list shows those that there are.", name))
}

// overlays returns the overlays of a run that is being made, with the custom stages
// that are for its profile, each with the stage that it follows there.
func (e *Engine) overlays(run *core.Run) (all []core.Overlay, err error) {
	var unpacked int64

	seen := map[string]string{}

	for _, name := range profile.Overlays(&run.Profile) {
		o, err := e.Overlay(name)
		if err != nil {
			return nil, err
		}

		o.Scripts = slices.DeleteFunc(slices.Clone(o.Scripts), func(s core.Script) bool {
			return len(s.Profiles) > 0 && !slices.Contains(s.Profiles, run.Profile.Name)
		})

		for i := range o.Scripts {
			s := &o.Scripts[i]

			if other, twice := seen[s.Name]; twice {
				return nil, core.NewProblem(core.ErrInvalid, problem.OverlayClash, fmt.Sprintf(
					"The overlays %s and %s both have a custom stage %s; leave one of them out.", other, o.Name, s.Name))
			}

			seen[s.Name], s.Stage = o.Name, followed(run.Stages, s.After)
		}

		if unpacked += o.Unpacked; unpacked > maxUnpacked {
			return nil, core.NewProblem(core.ErrInvalid, problem.OverlayClash, fmt.Sprintf(
				"The overlays of this run have more than %d MiB unpacked; a machine keeps them in its memory.", maxUnpacked>>20))
		}

		all = append(all, o)
	}

	return all, nil
}

// followed is the stage of a plan that a custom stage follows: the one that it names, or
// where that is not run here the last one that the agent does. There always is one:
// InventoryCheck can be neither left out nor skipped.
func followed(plan []core.Stage, after core.StageName) core.StageName {
	last := core.InventoryCheck

	for i := range plan {
		s := &plan[i]
		if s.Phase == core.Done || s.Name.ByAppliance() {
			continue
		}

		if last = s.Name; last == after {
			break
		}
	}

	return last
}

// judgeScripts refuses the result of a stage in which a custom stage that belongs there
// was not heard of: an agent that knows none would leave it out without a word.
func judgeScripts(overlays []core.Overlay, row *core.Stage) {
	for i := range overlays {
		for _, s := range overlays[i].Scripts {
			said := slices.ContainsFunc(row.SubSteps, func(step core.SubStep) bool { return step.Name == core.ScriptStep(s.Name) })
			if s.Stage != row.Name || said {
				continue
			}

			row.Findings = append(row.Findings, problem.Finding(problem.CustomUnheard, "", row.Name, core.Part{},
				fmt.Sprintf("custom stage %s of the overlay %s left no word in %s", s.Name, overlays[i].Name, row.Name)))

			if row.Verdict != core.Fail {
				row.Verdict, row.SkipReason = core.Error, ""
			}
		}
	}
}

// askOfStages puts what the spec of a run wants of GPUs and power supplies into the settings
// of the stages that look at them, where it is more than the profile wants. A spec that
// cannot be read is for SpecValidate to tell.
func (e *Engine) askOfStages(run *core.Run) {
	if run.SpecYAML == "" {
		return
	}

	want, err := e.ParseSpec(run.SpecYAML)
	if err != nil {
		return
	}

	if want.GPU.RequireCompute {
		run.Profile.Config[profile.GPURequire] = "yes"
	}

	for setting, count := range map[string]int{profile.GPUCount: want.GPU.Count, profile.PSUExpect: want.PSUs.Count} {
		if n, err := strconv.Atoi(run.Profile.Config[setting]); count > 0 && (err != nil || n < count) {
			run.Profile.Config[setting] = strconv.Itoa(count)
		}
	}
}
