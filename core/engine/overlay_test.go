package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/profile"
)

// acme is an overlay with custom stages that follow these stages.
func acme(after ...core.StageName) core.Overlay {
	o := core.Overlay{Name: "acme", SHA256: "ab", Manifest: "cd", Unpacked: 1 << 20}
	for i, stage := range after {
		o.Scripts = append(o.Scripts, core.Script{Name: "check-" + string('a'+rune(i)), File: "stages/x", After: stage, Timeout: time.Minute})
	}

	return o
}

// asking starts a run of the first host with overlays.
func (r *rig) asking(names string) (core.RunID, error) {
	r.t.Helper()

	run, err := r.StartRun(r.t.Context(), coretest.MAC(1), core.StartRun{
		Profile: "quick", Who: "op", Overrides: core.Override{Config: map[string]string{profile.BootOverlays: names}},
	})
	synctest.Wait()

	return run.ID, err
}

func inRigWith(t *testing.T, test func(t *testing.T, r *rig), overlays ...core.Overlay) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), withOverlays(overlays...))
		r.host(1)
		test(t, r)
	})
}

// A run keeps the overlays as they were when it was made: what boots, what the agent is
// told and what the report says are the same.
func TestOverlaysAreFrozenIntoTheRun(t *testing.T) {
	inRigWith(t, func(t *testing.T, r *rig) {
		id, err := r.asking("acme")
		if err != nil {
			t.Fatal(err)
		}

		d := r.Decide(core.BootClient{MAC: coretest.MAC(1)})
		if len(d.Overlays) != 1 || d.Overlays[0].SHA256 != "ab" {
			t.Errorf("the decision: %+v", d)
		}

		reply := r.machine(1).boot()
		if len(reply.Overlays) != 1 || reply.HostName == "" {
			t.Fatalf("the claim: %+v", reply)
		}

		var stages []core.StageName
		for _, s := range reply.Overlays[0].Scripts {
			stages = append(stages, s.Stage)
		}

		// Of four stages SMART is the last that the agent runs, and there is no Burn.
		if want := []core.StageName{core.InventoryCheck, core.SMART, core.SMART}; !slices.Equal(stages, want) {
			t.Errorf("the custom stages follow %v", stages)
		}

		if run := r.run(id); len(run.Overlays) != 1 {
			t.Errorf("the run: %+v", run.Overlays)
		}
	}, acme(core.InventoryCheck, core.Burn, ""))
}

func TestOverlaysThatCannotBeHad(t *testing.T) {
	large, twin := acme(), acme("")
	large.Name, large.Unpacked = "large", 3<<30
	twin.Name = "twin"

	for names, code := range map[string]string{"other": "overlay/unknown", "acme,twin": "overlay/clash", "large": "overlay/clash", "../acme": "profile/invalid"} {
		t.Run(names, func(t *testing.T) {
			inRigWith(t, func(t *testing.T, r *rig) {
				if _, err := r.asking(names); err == nil || !strings.Contains(codeOf(err), code) && !strings.Contains(err.Error(), "Boot.overlays") {
					t.Errorf("%v, want %s", err, code)
				}
			}, acme(""), large, twin)
		})
	}
}

// A custom stage of which the result does not speak was not run, whatever else the stage
// says: an agent that knows no custom stages passes nothing.
func TestACustomStageThatWasNotHeardOf(t *testing.T) {
	step := core.SubStep{Name: "custom/check-a", Verdict: core.Pass, Progress: 1}

	tests := map[string]struct {
		steps   []core.SubStep
		verdict core.Verdict // of the stage, as the agent says
		want    core.Verdict
	}{
		"not a word":         {nil, core.Pass, core.Error},
		"another one":        {[]core.SubStep{{Name: "custom/check-b", Verdict: core.Pass, Progress: 1}}, core.Pass, core.Error},
		"a stage that fails": {nil, core.Fail, core.Fail},
		"it passed":          {[]core.SubStep{step}, core.Pass, core.Pass},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inRigWith(t, func(t *testing.T, r *rig) {
				id, err := r.asking("acme")
				if err != nil {
					t.Fatal(err)
				}

				m := r.machine(1)
				m.boot()

				result := m.passing(core.InventoryCheck)
				result.Verdict, result.SubSteps = tt.verdict, tt.steps

				if _, err := m.send(result); err != nil {
					t.Fatal(err)
				}

				row := r.run(id).Stages[0]
				unheard := slices.ContainsFunc(row.Findings, func(f core.Finding) bool { return f.Code == "custom/not-run" })

				if row.Verdict != tt.want || unheard != (name != "it passed") {
					t.Errorf("%s: %+v", row.Verdict, row.Findings)
				}
			}, acme(core.InventoryCheck))
		})
	}
}

// A custom stage that is for other profiles is no part of the run.
func TestACustomStageOfOtherProfiles(t *testing.T) {
	o := acme("", "")
	o.Scripts[0].Profiles = []string{"soak"}

	inRigWith(t, func(t *testing.T, r *rig) {
		id, err := r.asking("acme")
		if err != nil {
			t.Fatal(err)
		}

		if scripts := r.run(id).Overlays[0].Scripts; len(scripts) != 1 || scripts[0].Name != "check-b" {
			t.Errorf("%+v", scripts)
		}
	}, o)
}
