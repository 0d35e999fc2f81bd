package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// onFullDisk runs a test with a disk that may be nearly full, and a rule.
func onFullDisk(t *testing.T, test func(t *testing.T, r *rig, full *atomic.Bool)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool

		test(t, newRig(t, coretest.NewLedger(), func(c *engine.Config) {
			c.Shed = full.Load
			c.Profiles[0].Rules = []core.Rule{
				{ID: "hot", Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 60, Severity: core.Warning, Required: true, Count: 2},
				{ID: "too-hot", Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 90, Severity: core.Critical},
			}
		}), &full)
	})
}

// measure sends a batch of the disk's temperatures, a second apart, and as many
// samples that no rule looks at.
func (m *machine) measure(seq uint64, values ...float64) ([]core.Evaluation, error) {
	var samples []core.Sample

	for i, v := range values {
		at := coretest.Start().Add(time.Duration(seq)*time.Minute + time.Duration(i)*time.Second)
		samples = append(samples, core.Sample{Time: at, Key: "disk/sda/temperature_celsius", Value: v},
			core.Sample{Time: at, Key: "memory/all/used_bytes", Value: v})
	}

	return m.r.Sensor(m.r.t.Context(), m.run, m.token, seq, samples)
}

// stored counts what is kept of the samples of a run, and of those that are not.
func (r *rig) stored(id core.RunID) (batches, samples, unkept int) {
	r.t.Helper()

	err := r.ledger.View(r.t.Context(), func(rd core.Reader) error {
		return rd.Scan(core.TableSamples, core.Query{Prefix: string(id)}, func(_ string, decode func(any) error) error {
			var b core.SampleBatch
			err := decode(&b)
			batches, samples, unkept = batches+1, samples+len(b.Samples), unkept+b.Unkept

			return err
		})
	})
	if err != nil {
		r.t.Fatal(err)
	}

	return batches, samples, unkept
}

// heat takes a host through a run in which its disk is too warm for a moment, with
// the disk of the appliance nearly full in the middle of it.
func heat(t *testing.T, r *rig, n int, full *atomic.Bool, fills, restarts bool) core.Run {
	t.Helper()

	r.host(n)
	id := r.start(n)
	m := r.machine(n)
	m.boot()

	send := func(seq uint64, values ...float64) {
		t.Helper()

		for range 2 { // a batch seen before changes nothing
			if _, err := m.measure(seq, values...); err != nil {
				t.Fatal(err)
			}
		}
	}

	fill := func(on bool) {
		full.Store(fills && on)
		r.pass(time.Second)
	}

	send(1, 40, 41, 42)
	fill(true)
	send(2, 41, 41, 41)
	send(3, 41, 44, 41, 41)

	if restarts {
		r.restart()
	}

	send(4, 41, 65, 41)
	send(5, 41, 70, 66, 41)
	fill(false)
	send(6, 39, 41, 41)
	r.pass(time.Second)

	if got := m.finish(core.State(core.InventoryCheck)); got != core.StateFailedHolding && got != core.StateCompleted {
		t.Fatalf("ended in %s", got)
	}

	return r.run(id)
}

// A disk that is nearly full costs the raw series and no verdict.
func TestOnADiskThatIsNearlyFullVerdictsGoOn(t *testing.T) {
	var whole core.Run

	onFullDisk(t, func(t *testing.T, r *rig, full *atomic.Bool) { whole = heat(t, r, 1, full, false, false) })

	for name, restarts := range map[string]bool{"without a restart": false, "with a restart in between": true} {
		t.Run(name, func(t *testing.T) {
			onFullDisk(t, func(t *testing.T, r *rig, full *atomic.Bool) {
				run := heat(t, r, 1, full, true, restarts)

				row, want := run.Stages[0], whole.Stages[0]
				if diff := cmp.Diff(want.Evaluations, row.Evaluations, cmpopts.EquateNaNs()); diff != "" || row.Verdict != want.Verdict {
					t.Errorf("%s, as against %s:\n%s", row.Verdict, want.Verdict, diff)
				}

				// Of 20 pairs 3 came before and 3 after. Between, one was a new extreme,
				// and from the first that was too warm on all of its key are kept.
				if batches, samples, unkept := r.stored(run.ID); batches != 6 || samples != 3*2+1+6+3*2 || unkept != 40-samples {
					t.Errorf("%d batches, %d samples, %d unkept", batches, samples, unkept)
				}

				told(t, r, run)
			})
		})
	}
}

// told demands that people learn of it: by one alarm, by one all-clear, and on the
// report.
func told(t *testing.T, r *rig, run core.Run) {
	t.Helper()

	shedding, keeping := 0, 0

	for _, e := range r.events(core.EventNotice) {
		text := string(e.Data)
		if strings.Contains(text, "store/shedding-samples") && strings.Contains(text, `"topic":"Alarm"`) {
			shedding++
		}

		if strings.Contains(text, "store/keeping-samples") {
			keeping++
		}
	}

	if shedding < 1 || shedding > 2 || keeping != 1 { // twice when it was restarted meanwhile
		t.Errorf("%d alarms, %d all-clears", shedding, keeping)
	}

	if len(run.Unkept) != 1 || !run.Unkept[0].To.After(run.Unkept[0].From) || !run.Unkept[0].To.Before(run.EndedAt) {
		t.Errorf("unkept: %+v", run.Unkept)
	}

	found := 0

	for _, f := range run.Findings {
		if f.Code == "store/shedding-samples" && f.Severity == core.Info && strings.HasPrefix(f.Evidence, "raw series not kept from 2026-") {
			found++
		}
	}

	if found != 1 {
		t.Errorf("%d findings on the report: %+v", found, run.Findings)
	}
}

// What is critical stops the stage at once, on a full disk as on any.
func TestABreachOnADiskThatIsNearlyFullEndsTheStage(t *testing.T) {
	onFullDisk(t, func(t *testing.T, r *rig, full *atomic.Bool) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()
		full.Store(true)
		r.pass(time.Second)

		if broken, err := m.measure(1, 40, 95); err != nil || len(broken) != 1 || broken[0].Rule != "too-hot" {
			t.Errorf("%+v %v", broken, err)
		}

		run := r.wantState(id, core.StateFailedHolding)
		if len(run.Findings) != 1 || !strings.Contains(run.Findings[0].Evidence, "not kept from") {
			t.Errorf("%+v", run.Findings)
		}
	})
}

// narrow is a ledger on a disk that may be full.
type narrow struct {
	core.Ledger

	full atomic.Bool
}

func (n *narrow) Update(ctx context.Context, change func(core.Txn) error) (uint64, error) {
	return n.Ledger.Update(ctx, func(tx core.Txn) error {
		if err := change(tx); err != nil {
			return err
		}

		if n.full.Load() {
			return core.ErrFull
		}

		return nil
	})
}

// Nobody is late because the appliance could not write down that he was there.
func TestNobodyIsLateBecauseTheDiskWasFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &narrow{Ledger: coretest.NewLedger()}
		r := newRig(t, disk, nil)

		for n := 1; n <= 3; n++ {
			r.host(n)
		}

		working, waiting, held := r.start(1), r.start(2), r.start(3)
		m, failed := r.machine(1), r.machine(3)
		m.boot()
		failed.boot()

		res := failed.passing(core.InventoryCheck)
		res.Verdict = core.Fail

		if _, err := failed.send(res); err != nil {
			t.Fatal(err)
		}

		hold := r.run(held).Deadline

		disk.full.Store(true)

		for range 20 * 60 / 15 {
			r.pass(15 * time.Second)

			if _, err := m.beat(core.InventoryCheck); !errors.Is(err, core.ErrFull) {
				t.Fatalf("a beat on a full disk: %v", err)
			}
		}

		disk.full.Store(false)
		r.pass(time.Second)

		r.wantState(working, core.State(core.InventoryCheck))
		r.wantState(waiting, core.StateWaitingPower)

		if d := r.wantState(held, core.StateFailedHolding).Deadline; !d.Equal(hold) {
			t.Errorf("the hold ends at %s instead of %s", d, hold)
		}

		// And who keeps silent from now on is lost as ever.
		r.pass(4 * time.Minute)
		r.wantState(working, core.State(core.InventoryCheck))
		r.pass(time.Minute)
		r.wantState(working, core.StateFailedHolding)
	})
}

// A rule that wants two samples in a row must get two that are kept.
func TestASampleCountsOnceAndOnlyIfItIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &narrow{Ledger: coretest.NewLedger()}
		r := newRig(t, disk, func(c *engine.Config) {
			c.Profiles[0].Rules = []core.Rule{{
				ID: "twice", Key: "disk/*/temperature_celsius", Stage: "*", Op: core.OpLTE, Value: 90, Severity: core.Critical, Count: 2,
			}}
		})

		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		send := func(what string, seq uint64, value float64, full bool, want int) {
			t.Helper()
			disk.full.Store(full)

			broken, err := m.measure(seq, value)
			if full != errors.Is(err, core.ErrFull) || !full && err != nil || len(broken) != want {
				t.Errorf("%s: %+v %v", what, broken, err)
			}
		}

		send("the first", 1, 95, false, 0)
		send("the first again", 1, 95, false, 0)
		send("the first once more", 1, 95, false, 0)
		send("a good one", 2, 40, false, 0)
		send("one that is lost", 3, 95, true, 0)
		send("and lost again", 3, 95, true, 0)
		send("and kept", 3, 95, false, 0)
		send("and repeated", 3, 95, false, 0)

		if run := r.run(id); run.State.Over() || run.State == core.StateFailedHolding {
			t.Fatalf("one sample in a row ended the stage: %+v", run)
		}

		send("the second in a row", 4, 95, false, 1)
		r.wantState(id, core.StateFailedHolding)
	})
}
