//go:build e2e && linux

package main_test

import (
	"strings"
	"testing"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// TestE2ENetwork vets a machine with two ports, of which one is registered: traffic goes
// over both, each byte verified, and the second port gets its address from the appliance.
func TestE2ENetwork(t *testing.T) {
	machine := lab.Sample(lab.BIOS, 11)
	machine.Second = "52:54:00:77:11:02"

	s := plug(t, openRack(t), machine)
	s.register(core.PowerManual)
	s.expectItself()

	run := s.mustPass(s.vet())

	for _, stage := range run.Stages {
		if stage.Name != core.Network {
			continue
		}

		for _, step := range stage.SubSteps {
			t.Logf("%s: %s, %s", step.Name, step.Verdict, step.Summary)
		}

		for _, f := range stage.Findings {
			t.Logf("%s %s: %s", f.Severity, f.Code, f.Evidence)
		}

		if stage.Verdict != core.Pass || !strings.Contains(stage.Coverage, "2 of 2 ports with a link tested") || strings.Contains(stage.Coverage, " 0 B verified") {
			t.Errorf("%s: %s", stage.Verdict, stage.Coverage)
		}

		return
	}

	t.Error("the run had no stage Network")
}
