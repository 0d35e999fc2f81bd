//go:build e2e && linux

package main_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/bmc"
	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// losesASupply boots a machine whose BMC answers over KCS, and whose second power supply
// loses its input thirty seconds after somebody first asked for its state. The stage PSU
// names it, with its serial number, and the run is held, which the machine's own screen says
// as well.
func losesASupply(t *testing.T, rack *lab.Rack, machine lab.Machine) {
	const why = "this test is about PSU"

	machine.BMC = bmc.New(bmc.LosesInput(1, 30*time.Second))
	machine.Identity.Supplies = []string{"PSU1", "PSU2"}
	machine.Disks = nil
	machine.Screen = true

	s := plug(t, rack, machine)
	s.register(core.PowerManual)

	run, err := rack.API.Start(s.ctx, s.MAC, route.RunStart{
		Profile: profile, Scale: scale,
		Overrides: &core.Override{
			Config: map[string]string{"PSU.duration": "1h", "PSU.expect": "2"}, // 36 s
			Skip: map[core.StageName]string{
				core.SMART: why, core.CPUStress: why, core.Memory: why, core.Storage: why, core.Network: why, core.Burn: why,
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}

	s.powerOn()

	at := s.await(run.ID, never)

	i := slices.IndexFunc(at.Stages, func(stage route.Stage) bool { return stage.Name == core.PSU })
	if at.State != core.StateFailedHolding || i < 0 || at.Stages[i].Verdict != core.Fail {
		t.Fatalf("the run is in %s: %+v", at.State, at.Stages)
	}

	stage := at.Stages[i]
	t.Logf("%s", stage.Coverage)

	named := func(f core.Finding) bool {
		return f.Code == "psu/input-lost" && f.Severity == core.Critical && f.Part == core.Part{Kind: "psu", Slot: "PSU2", Model: "LP-800", Serial: "LP0000002"} &&
			!strings.Contains(f.Evidence, "from the first look") && f.Next != ""
	}
	if !slices.ContainsFunc(stage.Findings, named) || !strings.Contains(stage.Coverage, "2 of 2 power supplies observed") {
		t.Errorf("%s: %+v", stage.Coverage, stage.Findings)
	}

	if slices.ContainsFunc(stage.Findings, func(f core.Finding) bool { return f.Part.Slot == "PSU1" }) {
		t.Errorf("the other supply is blamed: %+v", stage.Findings)
	}

	s.saysThatItFailed(run.ID)
}

// seesItsSupplies looks whether the stage PSU of a run saw both healthy supplies.
func seesItsSupplies(t *testing.T, run route.Run) {
	t.Helper()

	i := slices.IndexFunc(run.Stages, func(stage route.Stage) bool { return stage.Name == core.PSU })
	if i < 0 || !strings.Contains(run.Stages[i].Coverage, "2 of 2 power supplies observed") || len(run.Stages[i].Findings) > 0 {
		t.Errorf("%+v", run.Stages)
	}
}
