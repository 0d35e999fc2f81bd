//go:build e2e && linux

package main_test

import (
	"cmp"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// TestE2ENetwork vets machines with two ports, of which one is registered.
func TestE2ENetwork(t *testing.T) {
	rack := openRack(t)

	t.Run("traffic over both ports", func(t *testing.T) { testsBothPorts(t, rack) })
	t.Run("a cable that is pulled", func(t *testing.T) { seesAFlap(t, rack) })
}

// testsBothPorts: traffic goes over both, each byte verified, and the second port gets
// its address from the appliance. Another machine is there, and one of its ports is
// measured with one of theirs.
func testsBothPorts(t *testing.T, rack *lab.Rack) {
	machine := lab.Sample(lab.BIOS, 11)
	machine.Second = "52:54:00:77:11:02"

	var (
		both [2]subject
		runs [2]core.RunID
	)

	for i, m := range []lab.Machine{machine, lab.Sample(lab.BIOS, 13)} {
		both[i] = plug(t, rack, m)
		both[i].register(core.PowerManual)
		both[i].expectItself()
	}

	for i, s := range both {
		runs[i] = s.vetNetwork("Network.pair", "always")
	}

	for i, s := range both {
		stage, ok := networkStage(s.mustPass(runs[i]))
		if !ok {
			t.Fatal("the run had no stage Network")
		}

		met := 0

		for _, step := range stage.SubSteps {
			t.Logf("%s: %s, %s", step.Name, step.Verdict, step.Summary)

			if strings.Contains(step.Summary, "; with "+both[1-i].Name+" sent ") {
				met++
			}
		}

		ports := []string{"2 of 2 ports", "1 of 1 port"}[i]
		if stage.Verdict != core.Pass || !strings.Contains(stage.Coverage, ports+" with a link tested") || strings.Contains(stage.Coverage, " 0 B verified") {
			t.Errorf("%s: %s", stage.Verdict, stage.Coverage)
		}

		if met != 1 {
			t.Errorf("%d ports of %s were measured with the other machine, want 1", met, s.Name)
		}
	}
}

// vetNetwork starts a run that tests the network and little else, with a setting of its own,
// and presses the power button.
func (s subject) vetNetwork(key, value string) core.RunID {
	s.t.Helper()

	const why = "this test is about the network"

	run, err := s.rack.API.Start(s.ctx, s.MAC, route.RunStart{Profile: profile, Scale: scale, Overrides: &core.Override{
		Config: map[string]string{key: value},
		Skip:   map[core.StageName]string{core.SMART: why, core.CPUStress: why, core.Memory: why, core.Storage: why, core.Burn: why, core.PSU: why},
	}})
	if err != nil {
		s.t.Fatal(err)
	}

	s.powerOn()

	return run.ID
}

// TestPortsOnACable: two ports of a machine are one cable, which no appliance is at. They
// test each other, one of them in a namespace of its own, and are back then. It is a
// campaign of make endure, and has no hosts without it.
func TestPortsOnACable(t *testing.T) {
	hosts, err := strconv.Atoi(cmp.Or(os.Getenv("LOOPS_OF_HOSTS"), "0"))
	if err != nil {
		t.Fatal(err)
	}

	if hosts == 0 {
		t.Skip("not asked for")
	}

	rack := openRack(t)

	for i := range hosts {
		machine := lab.Sample(lab.BIOS, byte(40+i%50))
		machine.Cable = true

		s := plug(t, rack, machine)
		s.register(core.PowerManual)
		s.expectItself()

		stage, ok := networkStage(s.mustPass(s.vetNetwork("Network.self_loop", "always")))
		if !ok {
			t.Fatal("the run had no stage Network")
		}

		met := 0

		for _, step := range stage.SubSteps {
			t.Logf("%s: %s, %s", step.Name, step.Verdict, step.Summary)

			if strings.HasPrefix(step.Summary, "NOT tested with the appliance") && strings.Contains(step.Summary, " Mbit/s, from it ") && step.Verdict == core.Pass {
				met++
			}
		}

		if met != 2 || !strings.Contains(stage.Coverage, "tested with each other, ") || strings.Contains(stage.Coverage, " 0 B verified") {
			t.Errorf("%d ports met: %s: %+v", met, stage.Coverage, stage.Findings)
		}

		for _, f := range stage.Findings {
			if f.Severity == core.Critical || strings.HasPrefix(f.Code, "network/loop") && f.Severity != core.Info {
				t.Errorf("%+v", f)
			}
		}
	}
}

// seesAFlap: the cable of the second port is pulled for a moment while traffic goes over
// it, and the run fails by that port.
func seesAFlap(t *testing.T, rack *lab.Rack) {
	const traffic = 4 << 20 // bytes: the test of the port is under way

	machine := lab.Sample(lab.BIOS, 12)
	machine.Second = "52:54:00:77:12:02"

	s := plug(t, rack, machine)
	s.register(core.PowerManual)
	id := s.vetNetwork("Network.pair", "never")

	s.await(id, func(run route.Run) bool { return run.State == core.State(core.Network) })

	for {
		moved, err := s.SecondPortMoved()
		if err != nil {
			t.Fatal(err)
		}

		if moved > traffic {
			break
		}

		select {
		case <-s.ctx.Done():
			t.Fatal("nothing goes over the second port")
		case <-time.After(50 * time.Millisecond):
		}
	}

	for _, out := range []bool{true, false} {
		if err := s.PullSecond(s.ctx, out); err != nil {
			t.Fatal(err)
		}

		time.Sleep(300 * time.Millisecond)
	}

	run := s.await(id, never)
	if run.State != core.StateFailedHolding || run.Verdict != core.Fail || !names(run, core.Network, "nic", "eth1") {
		stage, _ := networkStage(run)
		t.Errorf("the run is in %s with verdict %s: %+v", run.State, run.Verdict, stage)
	}
}

func networkStage(run route.Run) (route.Stage, bool) {
	for _, stage := range run.Stages {
		if stage.Name == core.Network {
			return stage, true
		}
	}

	return route.Stage{}, false
}
