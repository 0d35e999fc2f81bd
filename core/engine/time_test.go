package engine_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/report"
)

func TestTheBootDeadline(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)

		r.pass(10 * time.Minute)

		if _, err := r.machine(1).arm(); err != nil {
			t.Fatal(err)
		}

		r.pass(4 * time.Minute)
		r.wantState(id, core.StateBooting)
		r.pass(time.Minute)

		run := r.wantState(id, core.StateFailedHolding)
		if run.Verdict != core.Error || run.Findings[0].Code != "boot/deadline" {
			t.Errorf("%s %+v", run.Verdict, run.Findings)
		}

		if get[report.Report](r, core.TableReport, string(id)).Verdict.Kind != core.Error {
			t.Error("no report")
		}

		if _, err := r.RetryStage(t.Context(), "op", id); codeOf(err) != "run/nothing-to-retry" {
			t.Errorf("retry: %v", err)
		}

		if run, err := r.ReleaseRun(t.Context(), "op", id); err != nil || run.State != core.StateReleased {
			t.Errorf("release: %s %v", run.State, err)
		}
	})
}

func TestSilenceIsStaleThenLost(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		r.pass(59 * time.Second)

		if r.run(id).Stale {
			t.Error("stale before its time")
		}

		r.pass(time.Second)

		if !r.run(id).Stale {
			t.Error("not stale after a minute")
		}

		if _, err := m.beat(core.InventoryCheck); err != nil || r.run(id).Stale {
			t.Errorf("a beat: %v", err)
		}

		r.pass(4*time.Minute + 59*time.Second)
		r.wantState(id, core.State(core.InventoryCheck))
		r.pass(time.Second)

		run := r.wantState(id, core.StateFailedHolding)
		row := run.Stages[0]

		if run.Verdict != core.Error || row.Verdict != core.Error || row.Findings[0].Code != "run/lost-contact" {
			t.Errorf("%s %s", run.Verdict, summary(run.Stages))
		}

		// It was only the cable: the agent comes back and hears of the hold.
		if o, err := m.beat(core.InventoryCheck); err != nil || o.Cmd != core.CmdAbort || o.State != core.StateFailedHolding {
			t.Errorf("beat: %+v %v", o, err)
		}

		_, err := m.send(m.passing(core.InventoryCheck))
		if p, ok := errors.AsType[*core.Problem](err); !ok || p.Details["state"] != "FailedHolding" {
			t.Errorf("a late result: %v", err)
		}
	})
}

func TestAHoldEndsAfterADayWithPowerOff(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		res := m.passing(core.InventoryCheck)
		res.Verdict = core.Error

		if _, err := m.send(res); err != nil {
			t.Fatal(err)
		}

		r.pass(24*time.Hour - time.Second)
		r.wantState(id, core.StateFailedHolding)
		r.pass(time.Second)
		r.wantState(id, core.StateReleased)

		if o, err := m.beat(""); err != nil || o.Cmd != core.CmdShutdown || o.State != core.StateReleased {
			t.Errorf("beat: %+v %v", o, err)
		}
	})
}

func TestWakeOnLANIsRepeatedThreeTimesOverTheFirstMinute(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Power.Method = core.PowerWoL }); err != nil {
			t.Fatal(err)
		}

		id := r.start(1)
		r.wantState(id, core.StateWaitingWoL)

		want := map[int]int{0: 1, 29: 1, 30: 2, 59: 2, 60: 3, 120: 3}
		for s := range 121 {
			if n, ok := want[s]; ok && r.waker.count() != n {
				t.Errorf("after %d s: %d", s, r.waker.count())
			}

			r.pass(time.Second)
		}
	})
}

func TestWakingStopsOnceTheHostBoots(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.waker.breaks(core.PowerWoL, "power/wake-failed")
		r.host(1)

		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Power.Method = core.PowerWoL }); err != nil {
			t.Fatal(err)
		}

		r.start(1)

		if !r.noticed("power/wake-failed") {
			t.Error("a failed attempt was not told")
		}

		if _, err := r.machine(1).arm(); err != nil {
			t.Fatal(err)
		}

		r.pass(31 * time.Second)
		r.pass(31 * time.Second)

		if n := r.waker.count(); n != 1 {
			t.Errorf("woken %d times", n)
		}
	})
}

func TestTheQueueIsFirstInFirstOutAndBounded(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var ids []core.RunID

		for n := 1; n <= 6; n++ {
			r.host(n)
			ids = append(ids, r.start(n))
		}

		under := func(want ...int) {
			t.Helper()

			for i, id := range ids {
				running := r.run(id).State != core.StateQueued
				expected := false

				for _, w := range want {
					expected = expected || w == i+1
				}

				if running != expected {
					t.Errorf("run %d is in %s; want %v out of the queue", i+1, r.run(id).State, want)
				}
			}
		}

		under(1, 2, 3)

		if _, err := r.CancelRun(t.Context(), "op", ids[4]); err != nil {
			t.Fatal(err)
		}

		m := r.machine(2)
		m.finish(m.boot().State)
		synctest.Wait()
		under(1, 2, 3, 4, 5)

		// A held host does not keep the others waiting.
		m = r.machine(1)
		m.boot()

		res := m.passing(core.InventoryCheck)
		res.Verdict = core.Error

		if _, err := m.send(res); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()
		under(1, 2, 3, 4, 5, 6)
	})
}

func TestTheNumbersOfRunsGrowEvenWhenTheClockGoesBack(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		last := core.RunID("")

		for n := 1; n <= 40; n++ {
			r.host(n)

			if n == 10 {
				r.clock.Advance(-time.Hour)
			}

			if n == 20 {
				r.restart()
			}

			id := r.start(n)
			if id <= last || len(id) != 26 {
				t.Fatalf("run %d has the number %s after %s", n, id, last)
			}

			last = id
		}
	})
}

func TestAClockThatIsSetGivesNobodyUp(t *testing.T) {
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := time.Duration(0)
				r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.Uptime = func() time.Duration { return up } })
				pass := func(d time.Duration) { up += d; r.pass(d) }

				r.host(1)
				r.host(2)
				id, waiting := r.start(1), r.start(2)
				m := r.machine(1)
				m.boot()
				pass(time.Second)

				r.clock.Advance(by)
				pass(time.Second)

				r.wantState(id, core.State(core.InventoryCheck))
				r.wantState(waiting, core.StateWaitingPower)

				if !r.noticed("appliance/clock-jumped") {
					t.Error("nobody was told")
				}

				pass(4 * time.Minute)
				r.wantState(id, core.State(core.InventoryCheck))
				pass(time.Minute)
				r.wantState(id, core.StateFailedHolding)
				pass(10 * time.Minute)
				r.wantState(waiting, core.StateFailedHolding)
			})
		})
	}
}

// The steps are those that a tick a second leaves room for: something is written
// after the clock was set, and before the engine looks at it.
func TestWhatIsWrittenAfterTheClockWasSetIsNotMovedAlong(t *testing.T) {
	steps := []time.Duration{-24 * time.Hour, -10 * time.Minute, 24 * time.Hour}

	for _, by := range steps {
		t.Run("beat "+by.String(), func(t *testing.T) {
			inUptime(t, func(t *testing.T, r *rig, pass func(time.Duration)) {
				r.host(1)
				id := r.start(1)
				m := r.machine(1)
				m.boot()
				pass(time.Second)
				r.clock.Advance(by)

				if _, err := m.beat(core.InventoryCheck); err != nil {
					t.Fatal(err)
				}

				pass(time.Second)
				r.wantState(id, core.State(core.InventoryCheck))
				pass(5*time.Minute - 2*time.Second)
				r.wantState(id, core.State(core.InventoryCheck))
				pass(time.Second)
				r.wantState(id, core.StateFailedHolding)
			})
		})

		t.Run("hold "+by.String(), func(t *testing.T) {
			inUptime(t, func(t *testing.T, r *rig, pass func(time.Duration)) {
				r.host(1)
				id := r.start(1)
				m := r.machine(1)
				m.boot()
				pass(time.Second)
				r.clock.Advance(by)

				res := m.passing(core.InventoryCheck)
				res.Verdict = core.Error

				if _, err := m.send(res); err != nil {
					t.Fatal(err)
				}

				pass(time.Second)
				r.wantState(id, core.StateFailedHolding)
				pass(24*time.Hour - 2*time.Second)
				r.wantState(id, core.StateFailedHolding)
				pass(time.Second)
				r.wantState(id, core.StateReleased)
			})
		})
	}
}

// An appliance without a battery for its clock comes up years behind, and is set
// right by NTP a little later.
const deadClock = 6 * 365 * 24 * time.Hour

func comeUpBehind(r *rig, pass func(time.Duration)) {
	r.stop()
	r.clock.Advance(-deadClock)
	r.restart()
	pass(time.Second)
	r.clock.Advance(deadClock)
	pass(time.Second)
}

func TestAClockThatComesUpBehindLengthensNoWait(t *testing.T) {
	inUptime(t, func(t *testing.T, r *rig, pass func(time.Duration)) {
		r.host(1)
		r.host(2)
		r.host(3)

		id, held, waiting := r.start(1), r.start(2), r.start(3)
		r.machine(1).boot()

		m := r.machine(2)
		m.boot()

		res := m.passing(core.InventoryCheck)
		res.Verdict = core.Error

		if _, err := m.send(res); err != nil {
			t.Fatal(err)
		}

		pass(time.Second)
		comeUpBehind(r, pass)

		r.wantState(id, core.State(core.InventoryCheck))
		r.wantState(held, core.StateFailedHolding)
		r.wantState(waiting, core.StateWaitingPower)

		pass(time.Minute)

		if !r.run(id).Stale {
			t.Error("not stale after a minute")
		}

		pass(4 * time.Minute)
		r.wantState(id, core.StateFailedHolding)
		pass(10 * time.Minute)
		r.wantState(waiting, core.StateFailedHolding)
		pass(24*time.Hour - 15*time.Minute)
		r.wantState(held, core.StateReleased)
	})
}

func TestNoStepOfTheClockLengthensAnOverride(t *testing.T) {
	steps := map[string]func(r *rig, pass func(time.Duration)){
		"a clock that comes up behind": comeUpBehind,
		"forward":                      func(r *rig, pass func(time.Duration)) { r.clock.Advance(time.Hour); pass(time.Second) },
		"back and forward": func(r *rig, pass func(time.Duration)) {
			r.clock.Advance(-time.Hour)
			pass(time.Second)
			r.clock.Advance(time.Hour)
			pass(time.Second)
		},
	}

	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			inUptime(t, func(t *testing.T, r *rig, pass func(time.Duration)) {
				m, id := r.reachStorage()
				m.refuse()
				pass(time.Second)

				if _, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001"}, "scratch disk"); err != nil {
					t.Fatal(err)
				}

				step(r, pass)

				m.bootID = "boot-2"
				if reply := m.boot(); len(reply.Overrides) > 0 {
					t.Errorf("a claim brings %v, until %s; it is %s", reply.Overrides, r.run(id).Wipe.Until, r.clock.Now())
				}
			})
		})
	}
}

// inUptime is inRig with an uptime that grows by what pass lets go by, and not by
// what the clock is set.
func inUptime(t *testing.T, test func(t *testing.T, r *rig, pass func(time.Duration))) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		up := time.Duration(0)
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) {
			withStorage(c)
			c.Uptime = func() time.Duration { return up }
		})

		test(t, r, func(d time.Duration) { up += d; r.pass(d) })
	})
}

func TestAnAgentThatIsNotInItsStageIsAnErrorOfIt(t *testing.T) {
	for _, other := range []core.StageName{core.Memory, ""} {
		inRig(t, func(t *testing.T, r *rig) {
			r.host(1)
			id := r.start(1)
			m := r.machine(1)
			m.boot()

			beats := func(stage core.StageName, n int) {
				for range n {
					r.pass(15 * time.Second)

					if _, err := m.beat(stage); err != nil {
						t.Fatal(err)
					}
				}
			}

			beats(other, 18)
			beats(core.InventoryCheck, 1)
			beats(other, 19)
			r.wantState(id, core.State(core.InventoryCheck))
			beats(other, 1)

			run := r.wantState(id, core.StateFailedHolding)
			if row := run.Stages[0]; run.Verdict != core.Error || row.Verdict != core.Error || row.Findings[0].Code != "run/other-stage" {
				t.Errorf("%s %s", run.Verdict, summary(run.Stages))
			}
		})
	}
}

// TestMetersStandInTheStage while it is under way: no more than are kept, and no numbers
// that are none; a beat that brings others is news.
func TestMetersStandInTheStage(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		beat := func(meters []core.Meter) []core.Meter {
			if _, err := r.Heartbeat(t.Context(), m.run, m.token, core.Beat{Stage: core.InventoryCheck, Progress: 0.5, Meters: meters}); err != nil {
				t.Fatal(err)
			}

			return r.run(id).Stages[0].Meters
		}

		many := make([]core.Meter, 99)
		many[0] = core.Meter{
			Part: core.Part{Kind: "disk", Serial: strings.Repeat("s", 99)}, Done: math.NaN(), Rate: math.Inf(1), LeftLow: -1, Errors: -1,
			Walks: append([]core.Walk{{Name: "write", Pass: 1, Done: 7}}, make([]core.Walk, 30)...),
		}

		got := beat(many)
		if len(got) != core.MaxMeters || len(got[0].Part.Serial) > core.MaxMeterWord+3 || got[0].Done != 0 || got[0].Rate != 0 || got[0].LeftLow != 0 ||
			got[0].Errors != 0 || len(got[0].Walks) != core.MaxWalks || got[0].Walks[0] != (core.Walk{Name: "write", Pass: 1, Done: 1}) {
			t.Errorf("%d: %+v", len(got), got[0])
		}

		events := len(r.events(core.EventStage))

		for range 2 {
			if got := beat([]core.Meter{{Done: 0.25}}); len(got) != 1 || got[0].Done != 0.25 {
				t.Errorf("%+v", got)
			}
		}

		if n := len(r.events(core.EventStage)); n != events+1 {
			t.Errorf("%d events of a change and of none", n-events)
		}

		m.finish(core.State(core.InventoryCheck))

		if got := r.run(id).Stages[0].Meters; got != nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestAStageThatMakesNoProgressIsToldOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		beats := func(progress float64, d time.Duration) {
			for range d / (4 * time.Minute) {
				if _, err := r.Heartbeat(t.Context(), m.run, m.token, core.Beat{Stage: core.InventoryCheck, Progress: progress, ETA: time.Hour}); err != nil {
					t.Fatal(err)
				}

				r.pass(4 * time.Minute)
			}
		}

		told := func() (n int) {
			for _, e := range r.events(core.EventNotice) {
				var notice core.Notice
				if err := json.Unmarshal(e.Data, &notice); err != nil || notice.Code != "run/no-progress" {
					continue
				}

				n++

				if notice.Topic != core.Alarm || notice.Severity != core.Warning || notice.Stage != core.InventoryCheck {
					t.Errorf("%+v", notice)
				}
			}

			return n
		}

		beats(0.1, 6*time.Hour)
		beats(0.2, 6*time.Hour)

		if n := told(); n != 0 {
			t.Errorf("told %d times of a stage that got on", n)
		}

		beats(0.2, 24*time.Hour)

		if n := told(); n != 1 {
			t.Errorf("told %d times", n)
		}

		if run := r.wantState(id, core.State(core.InventoryCheck)); run.Verdict != "" {
			t.Errorf("a stage that is slow ended the run: %s", run.Verdict)
		}
	})
}
