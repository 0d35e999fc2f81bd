//go:build e2e && linux

package main_test

import (
	"slices"
	"strings"
	"testing"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// writesWhatIsArmed arms two of six disks on four buses: one that is blank, and one with
// somebody's system on it. The second is refused, and nothing is written to either,
// until an operator overrides the probe for it; then both are written, and no other. The
// same run has a custom stage that tries to reach disks and tokens.
func writesWhatIsArmed(t *testing.T, rack *lab.Rack, machine lab.Machine) {
	const (
		blank, full = "LABS1101", "LABS1102"
		size        = 1 << 30
		why         = "this test is about Storage"
	)

	machine.Disks = []lab.Disk{
		{Bus: lab.SATA, Model: "LAB SSD 1", Serial: blank, WWN: 0x5000c500b0000001, Bytes: size, Blank: true},
		{Bus: lab.SATA, Model: "LAB SSD 1", Serial: full, WWN: 0x5000c500b0000002, Bytes: size},
		{Bus: lab.SATA, Model: "LAB SSD 1", Serial: "LABS1103", WWN: 0x5000c500b0000003, Bytes: size, Blank: true},
		{Bus: lab.NVMe, Serial: "LABN1104", Bytes: size, Blank: true},
		{Bus: lab.VirtIO, Serial: "LABV1105", Bytes: size},
		{Bus: lab.USB, Serial: "LABU1106", Bytes: size, Blank: true},
	}

	s := plug(t, rack, machine, blank, full)
	s.register(core.PowerManual)
	s.expectItself()

	start := route.RunStart{
		Profile: profile, Scale: scale, Armed: []string{blank, full},
		Overrides: &core.Override{
			Config: map[string]string{"Storage.mode": "destructive", "Storage.finish": "keep", "Boot.overlays": "acme"},
			Skip:   map[core.StageName]string{core.SMART: why, core.CPUStress: why, core.Memory: why, core.Network: why, core.Burn: why, core.PSU: why},
		},
	}

	started, err := rack.API.Start(s.ctx, s.MAC, start)
	if err != nil {
		t.Fatal(err)
	}

	s.powerOn()

	run := s.await(started.ID, never)
	if run.State != core.StateFailedHolding || !refusedFor(run, full) {
		t.Fatalf("the run is in %s: %+v", run.State, run.Stages)
	}

	if err := rack.API.OverrideWipe(s.ctx, run.ID, "scratch", full); err != nil {
		t.Fatal(err)
	}

	if _, err := rack.API.Await(s.ctx, run.ID, func(run route.Run) bool { return run.State != core.StateFailedHolding }); err != nil {
		t.Fatal(err)
	}

	run = s.mustPass(run.ID)
	s.hasCustomStage(run)

	stored := run.Stages[slices.IndexFunc(run.Stages, func(s route.Stage) bool { return s.Name == core.Storage })]
	if !strings.Contains(stored.Coverage, "2 written and verified") || stored.Attempt != 2 {
		t.Errorf("attempt %d: %s", stored.Attempt, stored.Coverage)
	}

	touched, err := s.Touched()
	if err != nil || !slices.Equal(touched, []string{blank, full}) {
		t.Errorf("written: %q, %v", touched, err)
	}
}

// refusedFor reports whether Storage failed for the data on a disk.
func refusedFor(run route.Run, serial string) bool {
	for _, stage := range run.Stages {
		for _, finding := range stage.Findings {
			if stage.Name == core.Storage && stage.Verdict == core.Fail && finding.Code == "storage/foreign-data" && finding.Part.Serial == serial {
				return true
			}
		}
	}

	return false
}
