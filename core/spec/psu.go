package spec

import (
	"strconv"

	"vetting/core"
	"vetting/core/problem"
)

// supplies compares the number of power supplies with what the board's tables (SMBIOS type
// 39) say of those that are there. Boards that have no such table are left to the stage PSU;
// so is the verdict, since tables may say what was there when the board was made.
func (r *Result) supplies(want *PSUs, got *core.Inventory) {
	there := 0

	for i := range got.PSUs {
		if got.PSUs[i].Present {
			there++
		}
	}

	if want.Count == 0 || there == 0 {
		return
	}

	r.Compared++

	if there < want.Count {
		r.differ(field{
			path: "psus.count", code: problem.SpecPSUMissing, want: strconv.Itoa(want.Count), got: strconv.Itoa(there), severity: core.Warning,
			part: core.Part{Kind: "psu"},
		})
	}
}

// LearnPSUs adds how many power supplies the stage PSU of a run saw at work, where it passed.
// What SMBIOS says is not learned: where nothing else tells of supplies, all machines of the
// model would be expected to show what none of them can.
func (s *Spec) LearnPSUs(stages []core.Stage) {
	for i := range stages {
		st := &stages[i]
		if st.Name != core.PSU || st.Phase != core.Done || st.Verdict != core.Pass {
			continue
		}

		slots := map[string]bool{}

		for _, step := range st.SubSteps {
			if step.Part.Kind == "psu" && step.Name == step.Part.Slot { // a custom stage may speak of one, too
				slots[step.Name] = true
			}
		}

		s.PSUs.Count = min(len(slots), MaxPSUs)
	}
}
