package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/lifecycle"
)

var update = flag.Bool("update", false, "rewrite golden files")

// cell is one state against one event.
type cell struct {
	state core.State
	event lifecycle.Event
}

// impossible says why no scenario can lead there; empty: one can.
func (c cell) impossible() string {
	stage := slices.Contains(core.Pipeline(), core.StageName(c.state))
	waiting := c.state == core.StateWaitingWoL || c.state == core.StateWaitingReboot || c.state == core.StateWaitingPower

	switch {
	case c.state == core.StateRegistered:
		return "left in the write that creates the run"
	case c.state == core.StateFailed:
		return "left for the hold in the write that enters it"
	case core.StageName(c.state).ByAppliance():
		return "resolved in the write that enters it"
	case c.event == lifecycle.Hold:
		return "happens in the write that enters Failed"
	case c.event == lifecycle.BootTimeout && !waiting && c.state != core.StateBooting,
		c.event == lifecycle.ContactTimeout && !stage,
		c.event == lifecycle.HoldTimeout && c.state != core.StateFailedHolding:
		return "this deadline does not run"
	case waiting && c.event == dispatches()[c.state]:
		if c.state != core.StateWaitingPower {
			return "a way is listed once"
		}
	}

	return ""
}

// dispatches names the event that leads into each waiting state.
func dispatches() map[core.State]lifecycle.Event {
	return map[core.State]lifecycle.Event{
		core.StateWaitingWoL: lifecycle.DispatchWoL, core.StateWaitingReboot: lifecycle.DispatchReboot,
		core.StateWaitingPower: lifecycle.DispatchPower,
	}
}

// ways are how the host of the cell is brought to boot: into the state, then by
// the event.
func (c cell) ways() []core.PowerMethod {
	first := map[core.State]core.PowerMethod{
		core.StateWaitingWoL: core.PowerWoL, core.StateWaitingReboot: core.PowerAgent, core.StateWaitingPower: core.PowerRedfish,
	}
	then := map[lifecycle.Event]core.PowerMethod{
		lifecycle.DispatchWoL: core.PowerWoL, lifecycle.DispatchReboot: core.PowerAgent, lifecycle.DispatchPower: core.PowerIPMI,
	}

	var ways []core.PowerMethod

	if way, ok := first[c.state]; ok {
		ways = append(ways, way)
	}

	if way, ok := then[c.event]; ok && !slices.Contains(ways, way) {
		ways = append(ways, way)
	}

	if len(ways) == 0 {
		ways = append(ways, core.PowerManual)
	}

	return ways
}

// scene plays one cell.
type scene struct {
	cell
	*machine

	id core.RunID
}

// enter brings the run into the state of the cell.
func (s *scene) enter() error {
	switch s.state {
	case core.StateQueued, core.StateWaitingWoL, core.StateWaitingReboot, core.StateWaitingPower:
		return nil
	case core.StateBooting:
		_, err := s.arm()

		return err
	case core.StateCancelled:
		_, err := s.r.CancelRun(context.Background(), "op", s.id)

		return err
	}

	state := s.boot().State

	if s.state == core.StateFailedHolding || s.state == core.StateReleased {
		res := s.passing(core.InventoryCheck)
		res.Verdict = core.Fail

		if _, err := s.send(res); err != nil || s.state == core.StateFailedHolding {
			return err
		}

		_, err := s.r.ReleaseRun(context.Background(), "op", s.id)

		return err
	}

	for state != s.state {
		next, err := s.send(s.passing(core.StageName(state)))
		if err != nil {
			return err
		}

		state = next
	}

	return nil
}

// happen lets the event happen, by the call that a machine, a person or time
// makes. The error is the refusal.
func (s *scene) happen() error {
	ctx := context.Background()

	switch s.event {
	case lifecycle.Enqueue:
		_, err := s.r.StartRun(ctx, coretest.MAC(s.n), core.StartRun{Profile: "quick"})

		return err
	case lifecycle.DispatchWoL, lifecycle.DispatchReboot, lifecycle.DispatchPower:
		return s.dispatch()
	case lifecycle.Arm:
		_, err := s.arm()

		return err
	case lifecycle.Claim:
		return s.claimAgain()
	case lifecycle.Reset:
		return s.reset()
	case lifecycle.Clear, lifecycle.Fail, lifecycle.Break, lifecycle.Breach:
		return s.end()
	case lifecycle.BootTimeout:
		s.r.pass(15 * time.Minute)
	case lifecycle.ContactTimeout:
		s.r.pass(5 * time.Minute)
	case lifecycle.HoldTimeout:
		s.r.pass(24 * time.Hour)
	case lifecycle.Retry:
		_, err := s.r.RetryStage(ctx, "op", s.id)

		return err
	case lifecycle.Release:
		_, err := s.r.ReleaseRun(ctx, "op", s.id)

		return err
	case lifecycle.Condemn:
		_, err := s.r.FailRun(ctx, "op", s.id, "given up")

		return err
	case lifecycle.Cancel:
		_, err := s.r.CancelRun(ctx, "op", s.id)

		return err
	}

	return nil
}

// dispatch lets the dispatcher have its say: a turn for the queued, patience that
// runs out for those who wait.
func (s *scene) dispatch() error {
	if s.state == core.StateQueued {
		if _, err := s.r.CancelRun(context.Background(), "op", s.r.hostOf(2).CurrentRun); err != nil {
			return err
		}

		synctest.Wait()

		return nil
	}

	if _, waits := dispatches()[s.state]; !waits {
		s.r.pass(time.Second)

		return nil
	}

	if s.state == core.StateWaitingReboot {
		if _, err := s.r.HostBeat(context.Background(), coretest.MAC(s.n), core.HostBeat{BootID: "os"}); err != nil {
			return err
		}
	}

	for _, d := range []time.Duration{30 * time.Second, 30 * time.Second, 4 * time.Minute} {
		if s.r.run(s.id).State == s.state {
			s.r.pass(d)
		}
	}

	return nil
}

// claimAgain boots once more, as far as the appliance lets it.
func (s *scene) claimAgain() error {
	seed, err := s.seed()
	if err == nil {
		_, err = s.claim(seed)
	}

	return err
}

// seed is what the machine boots with. Where a boot is still waited for there is
// none yet: fetching the script is an event of its own.
func (s *scene) seed() (core.Seed, error) {
	if _, waits := dispatches()[s.state]; waits {
		return core.Seed{Run: s.id, MAC: coretest.MAC(s.n), BootToken: "a guess"}, nil
	}

	return s.arm()
}

func (s *scene) reset() error {
	seed, err := s.seed()
	if err != nil {
		return err
	}

	s.bootID = "another boot"
	_, err = s.hello(seed)

	return err
}

// end ends the stage that the run is in, or tries to end one that it is not in.
func (s *scene) end() error {
	stage := core.StageName(s.state)
	if !slices.Contains(core.Pipeline(), stage) {
		stage = core.SMART
	}

	if s.event == lifecycle.Breach {
		_, err := s.r.Sensor(context.Background(), s.id, s.token, 1, []core.Sample{{
			Time: coretest.Start(), Key: "disk/sda/temperature_celsius", Value: 101,
		}})

		return err
	}

	res := s.passing(stage)

	switch s.event {
	case lifecycle.Fail:
		res.Verdict = core.Fail
	case lifecycle.Break:
		res.Verdict = core.Error
	}

	s.run = s.id
	_, err := s.send(res)

	return err
}

// play brings a run into the state and lets the event happen, and returns what
// the table says and what came of it.
func (c cell) play(t *testing.T) (got string) {
	t.Helper()

	r := newRig(t, coretest.NewLedger(), func(config *engine.Config) {
		config.Stages, config.TrustLAN, config.MaxConcurrent = core.Pipeline(), true, 1
		config.HostSilence = time.Hour
		config.Profiles = []core.Profile{{Name: "quick", Scale: 1, Stages: core.Pipeline(), Rules: []core.Rule{{
			ID: "hot", Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 85, Severity: core.Critical,
		}}}}
	})
	r.powered(1, c.ways()...)

	if slices.Contains(c.ways(), core.PowerAgent) {
		if _, err := r.HostBeat(t.Context(), coretest.MAC(1), core.HostBeat{BootID: "os"}); err != nil {
			t.Fatal(err)
		}
	}

	if c.state == core.StateQueued { // somebody else has the only turn
		r.powered(2, core.PowerManual)
		r.start(2)
	}

	s := &scene{cell: c, machine: r.machine(1), id: r.start(1)}
	if err := s.enter(); err != nil {
		t.Fatalf("entering %s: %v", c.state, err)
	}

	before := r.wantState(s.id, c.state)
	err := s.happen()
	after := r.run(s.id)

	if err == nil && after.State == before.State && after.Epoch == before.Epoch && after.Way == before.Way && c.event != lifecycle.Arm {
		return "nothing"
	}

	if err != nil {
		if after.State != before.State {
			t.Errorf("%s was refused and led to %s", c.event, after.State)
		}

		var p *core.Problem
		if !errors.As(err, &p) {
			t.Errorf("%v is no problem for people", err)
		}

		return "refused: " + codeOf(err)
	}

	return string(after.State)
}

// fits reports whether what came of a cell is what the table of core/lifecycle
// says.
func (c cell) fits(plan []core.Stage, got string) bool {
	move, err := lifecycle.Step(c.state, plan, c.event)
	if err != nil {
		return got == "nothing" || strings.HasPrefix(got, "refused: ")
	}

	next := move.Next
	for next == core.StateFailed || core.StageName(next).ByAppliance() { // go on in the same write
		if next == core.StateFailed {
			next = core.StateFailedHolding

			continue
		}

		after := core.Pipeline()[slices.Index(core.Pipeline(), core.StageName(next))+1:]
		if next = core.StateCompleted; len(after) > 0 {
			next = core.State(after[0])
		}
	}

	return got == string(next)
}

// stands returns the plan as it is when the run is in the state and the event has
// ended its stage.
func (c cell) stands() []core.Stage {
	at := slices.Index(core.Pipeline(), core.StageName(c.state))
	rows := make([]core.Stage, len(core.Pipeline()))

	for i, name := range core.Pipeline() {
		rows[i] = core.Stage{Name: name, Phase: core.Pending}

		if i < at || i == at && c.event == lifecycle.Clear {
			rows[i].Phase, rows[i].Verdict = core.Done, core.Pass
		}
	}

	if c.state == core.StateFailedHolding {
		rows[0].Phase, rows[0].Verdict = core.Done, core.Fail
	}

	return rows
}

// Every state against every event: each cell is played with the real engine, or
// it is said why nobody can. The file is for reading.
func TestEveryCellOfTheTableIsReachedOrShownImpossible(t *testing.T) {
	var b strings.Builder

	b.WriteString("# Every state against every event, played with the engine\n\nMade by a test of core/engine. " +
		"For each cell: where the run is then, the code of the refusal, \"nothing\" when the event does not touch it, or why no scenario leads there.\n")

	for _, state := range lifecycle.States() {
		fmt.Fprintf(&b, "\n## %s\n\n| event | outcome |\n|---|---|\n", state)

		for _, event := range lifecycle.Events() {
			c := cell{state, event}

			outcome := c.impossible()
			if outcome == "" {
				synctest.Test(t, func(t *testing.T) { outcome = c.play(t) })

				if !c.fits(c.stands(), outcome) {
					t.Errorf("%s, %s: came out as %q, which is not what the table says", state, event, outcome)
				}
			} else {
				outcome = "impossible: " + outcome
			}

			fmt.Fprintf(&b, "| %s | %s |\n", event, outcome)
		}
	}

	golden(t, "testdata/states.golden", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()

	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}

	if got != string(want) {
		t.Errorf("%s differs from what is printed now; read the difference, then run with -update\n%s", name, got)
	}
}
