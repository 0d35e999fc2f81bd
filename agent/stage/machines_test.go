package stage_test

import (
	"testing"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/agent/stage"
	"vetting/core/problem"
)

// TestMachines plays the stages that only look over every recorded machine.
func TestMachines(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		for name, f := range map[string]stage.Func{
			"inventory-check": stage.InventoryCheck(r.Machine(), ready), "firmware-stage": stage.Firmware(r.Machine(), bootLogOf(r), &fakeTools{}), "smart": stage.SMART(r.Machine()),
		} {
			b := newBench(nil)
			result := run(t, b, f)

			machines.Golden(t, r, name, still(result), *update)

			if len(b.done) == 0 || b.done[len(b.done)-1] != 1 {
				t.Errorf("%s ends at %v", name, b.done)
			}

			for _, finding := range result.Findings {
				if _, ok := problem.Lookup(finding.Code); !ok || finding.Next == "" || finding.Evidence == "" {
					t.Errorf("%s finds %+v", name, finding)
				}
			}
		}
	})
}
