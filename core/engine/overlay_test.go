package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
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

// A GPU that was not worked is a declared skip, unless the profile or the spec wants
// compute: then the appliance takes no skip for it, whatever the agent says.
func TestGPUsThatMustCompute(t *testing.T) {
	withGPU := func(c *engine.Config) {
		c.Stages = core.Pipeline()
		c.Profiles = []core.Profile{{Name: "quick", Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.GPU, core.Reporting}}}
	}

	for name, tt := range map[string]struct {
		spec   string
		config map[string]string
		want   core.Verdict
	}{
		"nobody asks":      {want: core.Skip},
		"the profile asks": {config: map[string]string{profile.GPURequire: "yes"}, want: core.Error},
		"the spec asks":    {spec: "gpu: {require_compute: true, count: 2}", want: core.Error},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, coretest.NewLedger(), withGPU)
				r.host(1)

				if tt.spec != "" {
					if _, err := r.SetSpec(t.Context(), "op", coretest.MAC(1), tt.spec); err != nil {
						t.Fatal(err)
					}
				}

				run, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Overrides: core.Override{Config: tt.config}})
				if err != nil {
					t.Fatal(err)
				}

				synctest.Wait()

				if tt.spec != "" && run.Profile.Config[profile.GPUCount] != "2" {
					t.Errorf("the settings: %v", run.Profile.Config)
				}

				m := r.machine(1)
				m.boot()

				for _, result := range []core.Result{m.passing(core.InventoryCheck), {Seq: 2, Stage: core.GPU, Verdict: core.Skip, SkipReason: "compute NOT tested", Coverage: "1 GPU"}} {
					if _, err := m.send(result); err != nil {
						t.Fatal(err)
					}
				}

				if row := r.run(run.ID).Stages[1]; row.Verdict != tt.want {
					t.Errorf("%s: %+v", row.Verdict, row.Findings)
				}
			})
		})
	}
}

// The number of power supplies that the spec expects is asked of the stage PSU, unless the
// profile or the host asks for more.
func TestPowerSuppliesThatTheSpecExpects(t *testing.T) {
	withPSU := func(c *engine.Config) {
		c.Stages = core.Pipeline()
		c.Profiles = []core.Profile{{
			Name: "quick", Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.PSU, core.Reporting}, Config: map[string]string{profile.PSUExpect: "0"},
		}}
	}

	for name, tt := range map[string]struct {
		spec   string
		config map[string]string
		want   string
	}{
		"no spec":                      {want: "0"},
		"a spec that does not say":     {spec: "cpus: {count: 1}", want: "0"},
		"the spec asks":                {spec: "psus: {count: 2}", want: "2"},
		"the spec asks for more":       {spec: "psus: {count: 4}", config: map[string]string{profile.PSUExpect: "2"}, want: "4"},
		"the host asks for more of it": {spec: "psus: {count: 2}", config: map[string]string{profile.PSUExpect: "3"}, want: "3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, coretest.NewLedger(), withPSU)
				r.host(1)

				if tt.spec != "" {
					if _, err := r.SetSpec(t.Context(), "op", coretest.MAC(1), tt.spec); err != nil {
						t.Fatal(err)
					}
				}

				run, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Overrides: core.Override{Config: tt.config}})
				if err != nil {
					t.Fatal(err)
				}

				if got := run.Profile.Config[profile.PSUExpect]; got != tt.want {
					t.Errorf("PSU.expect is %q, want %q", got, tt.want)
				}
			})
		})
	}
}
