//go:build e2e && linux

package main_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	profiles "vetting/core/profile"
	"vetting/core/route"
)

// TestStubbornFirmwareComesHome: machines whose boot order is the network alone, so that their
// firmware never goes on to the disk. The one of BIOS gets there at once; that of UEFI begins
// anew, as a person or a watchdog has it do, until the appliance has found what works. It is a
// campaign of make endure.
func TestStubbornFirmwareComesHome(t *testing.T) {
	if os.Getenv("WAYS_HOME") == "" {
		t.Skip("not asked for")
	}

	rack := openRack(t)

	for i, c := range []struct {
		firmware lab.Firmware
		ways     []core.Home
	}{
		{lab.BIOS, []core.Home{core.HomeDisk}},
		{lab.UEFI, []core.Home{core.HomeMissing, core.HomeMissing, core.HomeExit, core.HomeExit, core.HomeDisk}},
	} {
		t.Run(string(c.firmware), func(t *testing.T) {
			machine := lab.Sample(c.firmware, byte(70+i))
			machine.Stubborn = true
			s := plug(t, rack, machine)
			s.register(core.PowerManual)

			began := time.Now()
			process := s.powerOn()

			for i, way := range c.ways {
				if sent := s.sentHome(began); sent != way {
					t.Errorf("it is sent home by %q, want %q", sent, way)
				}

				ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
				_, err := process.Output.Await(ctx, lab.LocalDiskBanner)

				cancel()

				switch last := i == len(c.ways)-1; {
				case last && err != nil:
					t.Fatalf("it is not at home: %v", err)
				case !last && err == nil:
					t.Fatalf("it is at home by %s already: this machine is not stubborn", way)
				case !last:
					began = time.Now()

					if err := s.Reset(s.ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// TestGRUBStartsTheDisk of a machine that starts what is signed alone, for which an operator
// has chosen so. The firmware, which would go on to the disk itself, is not asked. It is part
// of the same campaign.
func TestGRUBStartsTheDisk(t *testing.T) {
	if os.Getenv("WAYS_HOME") == "" {
		t.Skip("not asked for")
	}

	rack := openRack(t)
	s := plug(t, rack, lab.Sample(lab.UEFI, 73))
	s.register(core.PowerManual)

	if err := rack.API.SetLoader(s.ctx, s.MAC, core.LoaderShim); err != nil {
		t.Fatal(err)
	}

	if err := rack.API.SetHome(s.ctx, s.MAC, core.HomeDisk); err != nil {
		t.Fatal(err)
	}

	process := s.powerOn()
	if _, err := process.Output.Await(s.ctx, lab.LocalDiskBanner); err != nil {
		t.Fatal(err)
	}

	if said := process.Output.String(); strings.Count(said, "BdsDxe: loading") != 1 || !strings.Contains(said, "vetting: no vetting waits for this machine") {
		t.Errorf("its firmware went there:\n%s", said)
	}
}

// sentHome waits until the machine was sent to its own disk in a boot, and says by which way.
func (s subject) sentHome(began time.Time) core.Home {
	s.t.Helper()

	for {
		trace, err := s.rack.API.BootTrace(s.ctx, s.MAC)
		if err != nil {
			s.t.Fatal(err)
		}

		for _, step := range trace.Steps {
			if step.Time.After(began) && (step.Kind == "tftp-missing" && step.Detail == core.NoBoot || step.Kind == "script" && step.Detail == "local") {
				s.t.Logf("%s after the start it is sent home by %q", step.Time.Sub(began).Round(time.Second), trace.Home)

				return trace.Home
			}
		}

		select {
		case <-s.ctx.Done():
			s.t.Fatal("it was not sent home")
		case <-time.After(time.Second):
		}
	}
}

// TestAMachineThatHasPassedStartsAnew from its own disk, by way of the network, which is
// before the disk in its boot order. It is a campaign of make endure.
func TestAMachineThatHasPassedStartsAnew(t *testing.T) {
	if os.Getenv("AFTER_A_PASS") == "" {
		t.Skip("not asked for")
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
