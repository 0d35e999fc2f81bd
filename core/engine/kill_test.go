package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/lifecycle"
	"vetting/core/report"
	"vetting/store/artifact"
	"vetting/store/runlog"
)

// errKilled is what a caller sees of an appliance that was killed: no answer.
var errKilled = errors.New("killed")

// deathly is a ledger in an appliance that is killed at its n-th commit: right
// before it, so that nothing of it is written, or right after, so that it is
// written and nobody hears of it.
type deathly struct {
	core.Ledger

	mu    sync.Mutex // guards the rest
	left  int        // commits to live; below zero: for ever
	after bool
	dead  bool
}

func (d *deathly) Update(ctx context.Context, change func(core.Txn) error) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.dead {
		return 0, errKilled
	}

	now := false

	seq, err := d.Ledger.Update(ctx, func(tx core.Txn) error {
		if err := change(tx); err != nil {
			return err // no commit
		}

		d.left--
		now = d.left == 0

		if now && !d.after {
			return errKilled
		}

		return nil
	})

	if now {
		d.dead = true

		return 0, errKilled
	}

	return seq, err
}

func (d *deathly) View(ctx context.Context, look func(core.Reader) error) error {
	if d.isDead() {
		return errKilled
	}

	return d.Ledger.View(ctx, look)
}

func (d *deathly) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.dead
}

func (d *deathly) revive() {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.dead, d.left = false, -1
}

// actor is a person and a machine who do their part of one run, and begin again
// where they got no answer.
type actor struct {
	*machine

	ledger *deathly
	seed   core.Seed // of the boot script that it was given, once it was
	state  core.State
	fails  bool // SMART fails the first time, and is retried
	wipes  bool // Storage refuses foreign data until it is overridden
	flags  []string
	keys   int // private keys that were handed out

	logs  *runlog.Log     // nil: it says nothing
	files *artifact.Shelf // nil: it leaves none
	keep  func()          // remembers what it was told, for when it is killed with the appliance; nil: it is not
}

func (a *actor) told() {
	if a.keep != nil {
		a.keep()
	}
}

// play does the next thing until the run is over. Each error of a dead appliance
// ends the try; the caller restarts it and calls again.
func (a *actor) play() error {
	ctx := context.Background()

	if a.r.find(a.n) == nil {
		if _, err := a.r.RegisterHost(ctx, "op", coretest.Host(a.n)); err != nil {
			return err
		}
	}

	if a.run == "" {
		if a.run = a.r.find(a.n).CurrentRun; a.run == "" {
			run, err := a.r.StartRun(ctx, coretest.MAC(a.n), core.StartRun{Profile: "quick", Who: "op", Armed: []string{"HDD0001"}, Batch: "lot"})
			if err != nil {
				return err
			}

			a.run = run.ID
		}

		a.told()
		a.r.settle()
	}

	if a.token == "" {
		if err := a.enlist(); err != nil {
			return err
		}
	}

	return a.stages()
}

func (a *actor) enlist() error {
	if a.ledger != nil && a.ledger.isDead() {
		return errKilled
	}

	if a.seed.BootToken == "" {
		seed, err := a.arm()
		if err != nil {
			return err
		}

		a.seed = seed
		a.told()
	}

	if _, err := a.hello(a.seed); err != nil {
		return err
	}

	reply, err := a.claim(a.seed)
	a.state = reply.State
	a.told()

	return err
}

func (a *actor) stages() error {
	for turns := 0; !a.state.Over(); turns++ {
		if turns > 50 {
			a.r.t.Fatalf("the run goes round and round in %s", a.state)
		}

		order, err := a.beat("")
		if err != nil {
			return err
		}

		if a.state = order.State; a.state.Over() {
			return nil
		}

		if order.Cmd == core.CmdRetryStage {
			a.flags = order.Overrides // told once; kept until the stage is over, as agents do
			a.told()

			if _, err := a.beat(order.Stage); err != nil { // it is under way
				return err
			}
		}

		if a.state == core.StateFailedHolding {
			if err := a.hold(); err != nil {
				return err
			}

			continue
		}

		if err := a.stage(core.StageName(a.state)); err != nil {
			return err
		}
	}

	return nil
}

// hold opens the door, looks inside, and has the stage run again.
func (a *actor) hold() error {
	ctx := context.Background()

	if _, err := a.openHold(1); err != nil {
		return err
	}

	_, err := a.r.HoldKey(ctx, "op", a.run)
	if err == nil {
		a.keys++
		a.told()
	}

	if err != nil && !errors.Is(err, core.ErrConflict) {
		return err
	}

	if failed, _ := lifecycle.Again(a.r.run(a.run).Stages); failed == core.Storage {
		_, err = a.r.OverrideWipe(ctx, "op", a.run, []string{"HDD0001"}, "scratch disk")
	} else {
		_, err = a.r.RetryStage(ctx, "op", a.run)
	}

	if errors.Is(err, core.ErrConflict) {
		return nil // it was done, and nobody heard of it
	}

	return err
}

// stage sends a batch of samples and a result, each under its own number, which
// stays the same when it is sent again.
func (a *actor) stage(name core.StageName) error {
	numbers := map[core.StageName]uint64{core.InventoryCheck: 1, core.Firmware: 2, core.SMART: 3, core.Storage: 5}
	a.seq = numbers[name] - 1

	res := a.passing(name)

	run := a.r.run(a.run)
	row := run.Stages[run.StageAt(name)]

	switch {
	case name == core.SMART && a.fails && row.Attempt == 1,
		name == core.Storage && a.wipes && len(a.flags) == 0:
		res.Verdict = core.Fail
	}

	if row.Attempt > 1 {
		res.Seq++
	}

	sample := core.Sample{Time: coretest.Start(), Key: "disk/sda/temperature_celsius", Value: 40}
	if _, err := a.r.Sensor(context.Background(), a.run, a.token, res.Seq, []core.Sample{sample}); err != nil {
		return err
	}

	if err := a.leave(name, res.Seq); err != nil {
		return err
	}

	state, err := a.send(res)

	var p *core.Problem
	if errors.As(err, &p) && errors.Is(err, core.ErrConflict) {
		return nil // it was taken before; the next beat tells
	}

	if err == nil {
		a.state = state
	}

	return err
}

// leave says something and leaves a file, where there are places for it.
func (a *actor) leave(name core.StageName, seq uint64) error {
	ctx := context.Background()

	if a.logs != nil {
		epoch, err := a.r.Authorise(ctx, a.run, a.token)
		if err != nil {
			return err
		}

		last, err := a.logs.AppendLog(ctx, a.run, epoch, seq, []core.LogLine{
			{Stage: name, Text: fmt.Sprintf("%s, number %d, begins", name, seq)}, {Stage: name, Text: fmt.Sprintf("%s, number %d, ends", name, seq)},
		})
		if err != nil {
			return err
		}

		if err := a.r.Logged(ctx, a.run, last); err != nil {
			return err
		}
	}

	if a.files == nil {
		return nil
	}

	sum, size, err := a.files.KeepArtifact(ctx, strings.NewReader("what "+string(name)+" saw"), 1<<20)
	if err != nil {
		return err
	}

	_, err = a.r.Kept(ctx, core.Artifact{Run: a.run, Stage: name, Name: string(name) + ".txt", Size: size, SHA256: sum})

	return err
}

// find looks a host up as the console does.
func (r *rig) find(n int) *core.Host {
	var host core.Host

	under := r.ledger
	if d, mortal := under.(*deathly); mortal {
		under = d.Ledger
	}

	err := under.View(context.Background(), func(rd core.Reader) error {
		return rd.Get(core.TableHost, string(coretest.MAC(n)), &host)
	})
	if err != nil {
		return nil
	}

	return &host
}

// reliability.md §5: "kill at every one of the N commit points of a scripted run,
// restart, same verdict". No stage runs twice without being asked.
func TestKilledAtEveryCommitTheRunEndsAsItsScriptSays(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, script := range []struct{ fails, wipes bool }{{}, {fails: true}, {wipes: true}, {fails: true, wipes: true}} {
			t.Run(fmt.Sprintf("after %v, failing %v, overriding %v", after, script.fails, script.wipes), func(t *testing.T) {
				commits := 0

				for n := 1; ; n++ {
					survived := false

					synctest.Test(t, func(t *testing.T) { survived = killedOnce(t, n, after, script.fails, script.wipes) })

					if survived {
						break
					}

					commits = n
				}

				if commits < 14 || script.fails && script.wipes && commits < 30 {
					t.Errorf("the script had only %d commits", commits)
				}
			})
		}
	}
}

// killedOnce plays the script with a kill at commit n and reports whether the
// script was over before.
func killedOnce(t *testing.T, n int, after, fails, wipes bool) (survived bool) {
	t.Helper()

	ledger := &deathly{Ledger: coretest.NewLedger(), left: n, after: after}
	r := newRig(t, ledger, func(c *engine.Config) {
		c.Stages = core.Pipeline()
		c.Profiles = []core.Profile{{Name: "quick", Scale: 1, Stages: []core.StageName{
			core.InventoryCheck, core.Firmware, core.SpecValidate, core.SMART, core.Storage, core.Reporting,
		}}}
	})
	a := &actor{machine: r.machine(1), ledger: ledger, fails: fails, wipes: wipes}
	restarts := 0

	for range 20 {
		err := a.play()

		synctest.Wait()

		if err == nil && !ledger.isDead() {
			break
		}

		if !ledger.isDead() {
			t.Fatalf("commit %d: %v", n, err)
		}

		ledger.revive()
		r.restart()

		restarts++
	}

	run := r.wantState(a.run, core.StateCompleted)

	if run.Verdict != core.Pass {
		t.Errorf("commit %d: verdict %s, %s", n, run.Verdict, summary(run.Stages))
	}

	for _, row := range run.Stages {
		want := 1
		if fails && row.Name == core.SMART || wipes && row.Name == core.Storage {
			want = 2
		}

		if row.Attempt != want {
			t.Errorf("commit %d: %s ran %d times", n, row.Name, row.Attempt)
		}
	}

	if run.Epoch != 1 || r.noticed("boot/token-reused") {
		t.Errorf("commit %d: %d boots were claimed, or a lost answer was taken for a copied token", n, run.Epoch)
	}

	host := r.hostOf(1)
	if host.CurrentRun != "" || host.LastVerdict != core.Pass || get[report.Report](r, core.TableReport, string(run.ID)).Verdict.Kind != core.Pass {
		t.Errorf("commit %d: host %+v", n, host)
	}

	if told := batchNews(t, r); len(told) != 1 || told[0].Verdicts[core.Pass] != 1 {
		t.Errorf("commit %d: the end of the batch was told as %+v", n, told)
	}

	a.checkHolds(n)

	return restarts == 0
}

// checkHolds demands that no key was handed out twice for one hold, and that every
// act of the operator is on record once.
func (a *actor) checkHolds(n int) {
	holds := 0

	for _, bad := range []bool{a.fails, a.wipes} {
		if bad {
			holds++
		}
	}

	if a.keys > holds {
		a.r.t.Errorf("commit %d: %d keys for %d holds", n, a.keys, holds)
	}

	acts := map[string]int{}
	for _, entry := range a.r.audits() {
		acts[entry.Action]++
	}

	want := map[string]int{"host.register": 1, "run.start": 1, "hold.key": holds, "run.retry": 0, "run.override-wipe": 0}
	if a.fails {
		want["run.retry"] = 1
	}

	if a.wipes {
		want["run.override-wipe"] = 1
	}

	for act, times := range want {
		if acts[act] != times {
			a.r.t.Errorf("commit %d: %s is on record %d times, want %d", n, act, acts[act], times)
		}
	}
}

// A restart while everybody waits forgets nothing, and blames nobody for the time
// the appliance was away.
func TestARestartForgetsNothing(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for n := 1; n <= 5; n++ {
			r.host(n)
		}

		working, waiting, booting, queued := r.start(1), r.start(2), r.start(3), r.start(4)
		m, slow := r.machine(1), r.machine(3)
		m.boot()

		seed, err := slow.arm()
		if err != nil {
			t.Fatal(err)
		}

		r.pass(14 * time.Minute)

		if _, err := m.beat(core.InventoryCheck); err == nil {
			t.Log("the agent was in time")
		}

		before := []core.State{r.run(working).State, r.run(waiting).State, r.run(booting).State, r.run(queued).State}

		r.clock.Advance(2 * time.Hour)
		r.restart()
		r.tick <- r.clock.Now()
		synctest.Wait()

		now := []core.State{r.run(working).State, r.run(waiting).State, r.run(booting).State, r.run(queued).State}
		if !slices.Equal(before[1:3], now[1:3]) {
			t.Errorf("states %v became %v", before, now)
		}

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(2)}); d.Action != core.BootVet || d.Run != waiting {
			t.Errorf("decision after the restart: %+v", d)
		}

		if _, err := slow.claim(seed); codeOf(err) != "boot/token-expired" {
			t.Errorf("an old seed: %v", err)
		}

		if got := slow.finish(slow.boot().State); got != core.StateCompleted {
			t.Errorf("the slow one ended in %s", got)
		}

		r.pass(5 * time.Minute)
		r.wantState(waiting, core.StateFailedHolding)
	})
}

func TestThresholdsAreWatchedAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) {
			c.Profiles[0].Rules = []core.Rule{{
				ID: "hot", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 50,
				Severity: core.Critical, Count: 3, Required: true,
			}}
		})
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		send := func(seq uint64, value float64) ([]core.Evaluation, error) {
			return r.Sensor(t.Context(), id, m.token, seq, []core.Sample{{
				Time: coretest.Start().Add(time.Duration(seq) * time.Second), Key: "disk/sda/temperature_celsius", Value: value,
			}})
		}

		// Not judged yet: the rule is SMART's.
		for seq := range uint64(4) {
			if b, err := send(seq+1, 90); err != nil || len(b) != 0 {
				t.Fatalf("%v %v", b, err)
			}
		}

		for _, s := range []core.StageName{core.InventoryCheck, core.Firmware} {
			if _, err := m.send(m.passing(s)); err != nil {
				t.Fatal(err)
			}
		}

		for seq := range uint64(2) {
			if b, err := send(seq+5, 60); err != nil || len(b) != 0 {
				t.Fatalf("%v %v", b, err)
			}
		}

		r.restart()

		if b, err := send(6, 60); err != nil || len(b) != 0 {
			t.Errorf("a batch seen before: %v %v", b, err)
		}

		b, err := send(7, 61)
		if err != nil || len(b) != 1 || b[0].Rule != "hot" || b[0].Value != 61 {
			t.Fatalf("the third in a row: %+v %v", b, err)
		}

		if again, err := send(7, 61); err != nil || len(again) != 1 {
			t.Errorf("the same batch again: %+v %v", again, err)
		}

		run := r.wantState(id, core.StateFailedHolding)
		row := run.Stages[run.StageAt(core.SMART)]

		if run.Verdict != core.Fail || row.Verdict != core.Fail || row.Findings[0].Code != "threshold/breach" || row.Findings[0].Part.Slot != "sda" ||
			row.Findings[0].Title != "sda: temperature 61 °C, limit below 50 °C" {
			t.Errorf("%s: %+v", summary(run.Stages), row.Findings)
		}

		// Run again: what was measured in the first try does not count, and a
		// required value that never came is an error.
		if _, err := r.RetryStage(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if _, err := m.beat(""); err != nil {
			t.Fatal(err)
		}

		res := m.passing(core.SMART)
		if got, err := m.send(res); err != nil || got != core.StateFailedHolding {
			t.Fatalf("%s %v", got, err)
		}

		run = r.run(id)
		row = run.Stages[run.StageAt(core.SMART)]

		if run.Verdict != core.Error || row.Findings[0].Code != "threshold/no-metric" {
			t.Errorf("%s", summary(run.Stages))
		}
	})
}

func TestRefusedSamples(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		now := coretest.Start()

		for name, s := range map[string][]core.Sample{
			"an unknown key":   {{Time: now, Key: "disk/sda/beauty_points"}},
			"a wrong unit":     {{Time: now, Key: "disk/sda/temperature_celsius", Unit: "fahrenheit"}},
			"no time":          {{Key: "disk/sda/temperature_celsius"}},
			"an unknown stage": {{Time: now, Key: "disk/sda/temperature_celsius", Stage: "Dance"}},
			"too many":         make([]core.Sample, 1001),
		} {
			if _, err := r.Sensor(t.Context(), id, m.token, 1, s); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
