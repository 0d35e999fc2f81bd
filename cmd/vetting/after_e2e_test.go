//go:build e2e && linux

package main_test

import (
	"context"
	"os"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	profiles "vetting/core/profile"
	"vetting/core/route"
)

// TestAMachineThatHasPassedStartsAnew from its own disk, by way of the network, which is
// before the disk in its boot order. It is a campaign of make endure.
func TestAMachineThatHasPassedStartsAnew(t *testing.T) {
	if os.Getenv("AFTER_A_PASS") == "" {
		return
	}

	const why = "this test is about what comes after"

	rack := openRack(t)

	for i, firmware := range []lab.Firmware{lab.BIOS, lab.UEFI} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()

		s := plug(t, rack, lab.Sample(firmware, byte(60+i)))
		s.register(core.PowerManual)

		started, err := rack.API.Start(ctx, s.MAC, route.RunStart{Profile: profile, Scale: scale, Overrides: &core.Override{
			Config: map[string]string{profiles.AfterRun: "reboot"},
			Skip: map[core.StageName]string{
				core.SMART: why, core.CPUStress: why, core.Memory: why, core.Storage: why, core.Network: why, core.Burn: why,
			},
		}})
		if err != nil {
			t.Fatal(err)
		}

		s.powerOn()

		run, err := rack.API.Await(ctx, started.ID, func(run route.Run) bool { return run.State.Over() || run.State == core.StateFailedHolding })
		if err != nil || run.State != core.StateCompleted {
			t.Fatalf("%s: the run is in %s (%v)", firmware, run.State, err)
		}

		if _, err := s.Process().Output.Await(ctx, lab.LocalDiskBanner); err != nil {
			t.Errorf("%s: %v", firmware, err)
		}

		if !s.On() {
			t.Errorf("%s: the machine is off", firmware)
		}

		s.PowerOff()
	}
}
