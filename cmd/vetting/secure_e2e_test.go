//go:build e2e && linux

package main_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// startsSigned boots a machine whose firmware has Secure Boot on, with Microsoft's keys,
// of which nothing is known yet. It refuses the unsigned loader, is given the shim when
// it goes on to HTTP boot, and comes as far as the agent. Then it is reset: now the
// shim is the first that it is offered, over TFTP, and GRUB uses the TCP ports of the
// boot before once more.
func startsSigned(t *testing.T, rack *lab.Rack, machine lab.Machine) {
	machine.Secure = true
	s := plug(t, rack, machine)
	s.register(core.PowerManual)

	id := s.vet()
	run := s.await(id, func(run route.Run) bool { return run.Agent.Version != "" })

	if !run.Agent.SecureBoot || run.Agent.Firmware != "uefi" {
		t.Fatalf("the agent says of its machine %+v", run.Agent)
	}

	s.timeline("power-on to the agent by Secure Boot, refused at first", s.Process().Started,
		"offer snponly.efi", "offer http://10.77.0.1/boot/shimx64.efi", "rung ", "loader shimx64.efi", "loader grubx64.efi", "script ", "kernel ", "initrd ", "seed ", "hello ")

	reset := time.Now()
	if err := s.Reset(s.ctx); err != nil {
		t.Fatal(err)
	}

	s.timeline("reset to the agent by Secure Boot", reset,
		"offer shimx64.efi", "tftp shimx64.efi", "tftp grubx64.efi", "script ", "kernel ", "initrd ", "seed ", "hello ")

	if err := rack.API.Cancel(s.ctx, id); err != nil && s.ctx.Err() == nil {
		run, lookErr := rack.API.Run(s.ctx, id)
		if lookErr != nil || !run.Over && run.State != core.StateFailedHolding {
			t.Errorf("cancelling: %v (%s, %v)", err, run.State, lookErr)
		}
	}
}

// timeline waits until the boot trace since a moment has all these steps, in this
// order, and prints how long it took. A step is written "kind detail", of which the
// end may be missing; the detail may have an address in front.
func (s subject) timeline(what string, since time.Time, steps ...string) {
	s.t.Helper()

	for {
		trace, err := s.rack.API.Trace(s.ctx, s.MAC)
		if err != nil {
			s.t.Fatal(err)
		}

		trace = slices.DeleteFunc(trace, func(step core.BootStep) bool { return step.Time.Before(since) })
		left := steps

		for i := range trace {
			kind, detail, _ := strings.Cut(left[0], " ")
			if trace[i].Kind == kind && strings.Contains(trace[i].Detail, detail) {
				left = left[1:]
			}

			if len(left) == 0 {
				s.t.Logf("%s: %.1f s", what, trace[i].Time.Sub(since).Seconds())

				return
			}
		}

		select {
		case <-s.ctx.Done():
			s.t.Fatalf("%s: no %q in the boot trace %+v", what, left[0], trace)
		case <-time.After(time.Second):
		}
	}
}
