package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/profile"
)

// trail lists the audit entries, in the order of their keys: "who action object".
func (r *rig) audits() (all []core.Audit) {
	r.t.Helper()

	err := r.ledger.View(context.Background(), func(rd core.Reader) error {
		return rd.Scan(core.TableAudit, core.Query{}, func(key string, decode func(any) error) error {
			var a core.Audit
			if err := decode(&a); err != nil {
				return err
			}

			if a.ID != key {
				r.t.Errorf("%s is under %s", a.ID, key)
			}

			all = append(all, a)

			return nil
		})
	})
	if err != nil {
		r.t.Fatal(err)
	}

	return all
}

func TestADeletedHostIsGoneAndComesBackAsItWas(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		host := coretest.Host(1)
		host.Aliases = []core.MAC{coretest.MAC(11)}
		host.Tags, host.Rack, host.AssetTag = []string{"lab"}, "B07/U12", "A-1"

		if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
			t.Fatal(err)
		}

		was := r.hostOf(1)

		if err := r.DeleteHost(t.Context(), "ann", coretest.MAC(11)); err != nil {
			t.Fatal(err)
		}

		for _, n := range []int{1, 11} {
			if d := r.Decide(core.BootClient{MAC: coretest.MAC(n)}); d.Action != core.BootIgnore {
				t.Errorf("a deleted host is answered: %+v", d)
			}
		}

		if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick"}); codeOf(err) != "host/not-found" {
			t.Errorf("a run on a deleted host: %v", err)
		}

		if gone := get[core.Host](r, core.TableTrash, string(coretest.MAC(1))); gone.DeletedBy != "ann" || gone.DeletedAt.IsZero() {
			t.Errorf("%+v", gone)
		}

		back, err := r.UndeleteHost(t.Context(), "op", coretest.MAC(1))
		back.UpdatedAt = was.UpdatedAt

		if err != nil || core.Digest(back) != core.Digest(was) {
			t.Errorf("%+v, was %+v: %v", back, was, err)
		}

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(11)}); d.Action != core.BootLocal {
			t.Errorf("brought back, its other port gets %+v", d)
		}

		if _, err := r.UndeleteHost(t.Context(), "op", coretest.MAC(1)); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestAnAddressThatWasGivenAwayIsNotTakenBack(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		host := coretest.Host(1)
		host.Aliases = []core.MAC{coretest.MAC(11)}

		if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteHost(t.Context(), "op", host.MAC); err != nil {
			t.Fatal(err)
		}

		r.host(11)

		if _, err := r.UndeleteHost(t.Context(), "op", host.MAC); codeOf(err) != "host/mac-taken" {
			t.Errorf("%v", err)
		}

		// Registered anew, it begins anew.
		r.host(1)

		if _, err := r.UndeleteHost(t.Context(), "op", host.MAC); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the deleted one is still there: %v", err)
		}
	})
}

func TestTheTrashIsEmptiedInTimeAndNotBecauseTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := time.Duration(0)
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.Uptime = func() time.Duration { return up } })
		pass := func(d time.Duration) { up += d; r.pass(d) }

		r.host(1)

		if err := r.DeleteHost(t.Context(), "op", coretest.MAC(1)); err != nil {
			t.Fatal(err)
		}

		kept := func() bool {
			err := r.ledger.View(t.Context(), func(rd core.Reader) error {
				var h core.Host

				return rd.Get(core.TableTrash, string(coretest.MAC(1)), &h)
			})

			return err == nil
		}

		pass(time.Second)

		r.clock.Advance(10 * 365 * 24 * time.Hour)
		pass(time.Second)
		pass(23 * time.Hour)

		if !kept() {
			t.Fatal("forgotten because the clock was set")
		}

		r.clock.Advance(-10 * 365 * 24 * time.Hour)
		pass(time.Second)

		for range int(core.TrashLife/(24*time.Hour)) - 1 {
			pass(24 * time.Hour)
		}

		if !kept() {
			t.Fatal("forgotten too early")
		}

		pass(24 * time.Hour)
		pass(24 * time.Hour)

		if kept() {
			t.Error("not forgotten in time")
		}
	})
}

func TestWhatCountsForARunIsLaidOverTheProfileAndFrozen(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		rule := func(id string, value float64) core.Rule {
			return core.Rule{ID: id, Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: value, Severity: core.Warning}
		}

		if _, err := r.SetClass(t.Context(), "op", core.Class{Name: "r640", SpecYAML: "cpus: {count: 1}", Overrides: core.Override{
			Rules: []core.Rule{rule("disk-hot", 60), rule("class-only", 61)}, Config: map[string]string{"SMART.self_test": "none"},
		}}); err != nil {
			t.Fatal(err)
		}

		host := coretest.Host(1)
		host.Class = "r640"
		host.Overrides = core.Override{
			Rules: []core.Rule{rule("disk-hot", 65)}, Skip: map[core.StageName]string{core.Firmware: "no baseline for this board"},
		}

		if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
			t.Fatal(err)
		}

		run, err := r.StartRun(t.Context(), host.MAC, core.StartRun{Profile: "quick", Who: "op", Overrides: core.Override{
			Config: map[string]string{"SMART.policy": "used"},
		}})
		if err != nil {
			t.Fatal(err)
		}

		limits := map[string]string{}
		for _, rule := range run.Rules {
			limits[rule.ID] = fmt.Sprintf("%v %s", rule.Value, rule.From)
		}

		if limits["disk-hot"] != "65 host" || limits["class-only"] != "61 class" || limits["disk-too-hot"] != "100 " || len(limits) != len(profile.Defaults()[0].Rules)+1 {
			t.Errorf("rules %v", limits)
		}

		if c := run.Profile.Config; c["SMART.self_test"] != "none" || c["SMART.policy"] != "used" || run.SpecFrom != "class r640" {
			t.Errorf("config %v, spec of %q", c, run.SpecFrom)
		}

		// Frozen: what is changed now does not count for this run.
		if _, err := r.SetClass(t.Context(), "op", core.Class{Name: "r640", SpecYAML: "cpus: {count: 2}"}); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		m := r.machine(1)

		reply := m.boot()
		if slices.Contains(reply.Stages, core.Firmware) {
			t.Errorf("the agent is to run %v", reply.Stages)
		}

		if got := m.finish(reply.State); got != core.StateCompleted {
			t.Fatalf("ended in %s: %s", got, summary(r.run(run.ID).Stages))
		}

		row := r.run(run.ID).Stages[1]
		if row.Verdict != core.Skip || row.SkipReason != "declared for this host: no baseline for this board" || row.Attempt != 0 {
			t.Errorf("%+v", row)
		}
	})
}

func TestOverridesThatMakeNoSense(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		for name, o := range map[string]core.Override{
			"an unknown sample key":     {Rules: []core.Rule{{ID: "a", Stage: "*", Key: "disk/*/beauty_points", Op: core.OpLT, Value: 1, Severity: core.Info}}},
			"an unknown setting":        {Config: map[string]string{"SMART.colour": "red"}},
			"an unknown stage":          {Skip: map[core.StageName]string{"Dance": "why not"}},
			"a stage the others need":   {Skip: map[core.StageName]string{core.InventoryCheck: "why not"}},
			"a skip without a reason":   {Skip: map[core.StageName]string{core.SMART: ""}},
			"two rules of the same id":  {Rules: []core.Rule{{ID: "a"}, {ID: "a"}}},
			"a value that is no number": {Config: map[string]string{"SMART.self_test": "maybe"}},
		} {
			if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Overrides: o}); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s, for a run: %v", name, err)
			}

			if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Overrides = o }); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s, for a host: %v", name, err)
			}

			if _, err := r.SetClass(t.Context(), "op", core.Class{Name: "x", Overrides: o}); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s, for a class: %v", name, err)
			}
		}
	})
}

func TestAClassInUseIsNotDeleted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		if _, err := r.SetClass(t.Context(), "op", core.Class{Name: "r640", SpecYAML: "cpus: {count: 1}"}); err != nil {
			t.Fatal(err)
		}

		host := coretest.Host(1)
		host.Class = "r640"

		if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteClass(t.Context(), "op", "r640"); codeOf(err) != "host/class-used" {
			t.Errorf("%v", err)
		}

		if _, err := r.UpdateHost(t.Context(), "op", host.MAC, func(h *core.Host) { h.Class = "" }); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteClass(t.Context(), "op", "r640"); err != nil {
			t.Errorf("%v", err)
		}

		if err := r.DeleteClass(t.Context(), "op", "r640"); codeOf(err) != "host/no-class" {
			t.Errorf("%v", err)
		}
	})
}

func TestASpecIsLearnedFromAGoodHostAndItsLikeFulfilsIt(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)

		if _, err := r.LearnSpec(t.Context(), id); codeOf(err) != "spec/no-inventory" {
			t.Errorf("before the inventory: %v", err)
		}

		m := r.machine(1)
		m.finish(m.boot().State)

		yaml, err := r.LearnSpec(t.Context(), id)
		if err != nil || strings.Contains(yaml, "HDD0001") {
			t.Fatalf("%v\n%s", err, yaml)
		}

		if _, err := r.SetClass(t.Context(), "op", core.Class{Name: "server-1", SpecYAML: yaml}); err != nil {
			t.Fatalf("what was learned is refused: %v\n%s", err, yaml)
		}

		for n := 2; n <= 3; n++ {
			host := coretest.Host(n)
			host.Class = "server-1"

			if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
				t.Fatal(err)
			}

			id := r.start(n)
			m := r.machine(n)

			if n == 3 {
				m.inv.Disks = m.inv.Disks[:1]
			}

			want := map[int]core.State{2: core.StateCompleted, 3: core.StateFailedHolding}[n]
			if got := m.finish(m.boot().State); got != want {
				t.Errorf("host %d ended in %s: %s\n%s", n, got, summary(r.run(id).Stages), yaml)
			}
		}
	})
}

func TestAPartThatAnotherHostHasIsTold(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for n := 1; n <= 3; n++ {
			r.host(n)
			r.start(n)
		}

		m := r.machine(1)
		m.finish(m.boot().State)

		m = r.machine(2)
		m.inv.Disks[0] = coretest.Inventory(1).Disks[0]
		m.inv.NICs = append(m.inv.NICs, core.NIC{Name: "eth1", MAC: coretest.MAC(3)})
		m.finish(m.boot().State)

		run := r.run(r.hostOf(2).LastRun)

		var told []string
		for _, f := range run.Stages[0].Findings {
			told = append(told, f.Code+" "+f.Part.Kind+" "+f.Part.Serial)

			if f.Severity != core.Warning || f.Evidence == "" {
				t.Errorf("%+v", f)
			}
		}

		want := []string{"host/duplicate-part disk HDD0001", "host/duplicate-part nic " + string(coretest.MAC(3))}
		if !slices.Equal(told, want) {
			t.Errorf("told %v", told)
		}

		// The same host again is no duplicate, nor is what a deleted host had.
		if err := r.DeleteHost(t.Context(), "op", coretest.MAC(2)); err != nil {
			t.Fatal(err)
		}

		r.start(1)

		m = r.machine(1)
		m.finish(m.boot().State)

		if f := r.run(r.hostOf(1).LastRun).Stages[0].Findings; len(f) != 0 {
			t.Errorf("%+v", f)
		}
	})
}

func TestAListOfHostsIsTakenOverWholeOrNotAtAll(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		named := func(line, n int, name string) core.ImportRow {
			return core.ImportRow{Line: line, MAC: coretest.MAC(n), Edit: func(h *core.Host) { h.Name, h.Rack = name, "B07" }}
		}

		bad := []core.ImportRow{named(2, 1, "one"), named(3, 2, ""), named(4, 3, "three"), named(5, 3, "two\nlines")}

		_, err := r.ImportHosts(t.Context(), "op", bad, false)
		if err == nil || strings.Count(err.Error(), "host/invalid") != 2 {
			t.Fatalf("%v", err)
		}

		if r.hostOf(1).Rack != "" {
			t.Error("a part of a bad list was taken over")
		}

		good := []core.ImportRow{named(2, 1, "one"), named(3, 2, "two")}

		answer, err := r.ImportHosts(t.Context(), "op", good, true)
		if err != nil || len(answer) != 2 || !answer[0].Changed || answer[0].New || !answer[1].New {
			t.Fatalf("%+v %v", answer, err)
		}

		if r.hostOf(1).Rack != "" {
			t.Error("a dry run wrote something")
		}

		if _, err := r.ImportHosts(t.Context(), "op", good, false); err != nil || r.hostOf(1).Name != "one" || r.hostOf(2).Rack != "B07" {
			t.Errorf("%v", err)
		}

		if answer, err = r.ImportHosts(t.Context(), "op", good, false); err != nil || answer[0].Changed || answer[1].New {
			t.Errorf("again: %+v %v", answer, err)
		}
	})
}

func TestOnlyWhatWasHeardIsAdopted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		if _, err := r.AdoptHost(t.Context(), "op", coretest.Host(1)); codeOf(err) != "host/not-seen" {
			t.Errorf("%v", err)
		}

		r.Witness(core.BootStep{Time: r.clock.Now(), MAC: coretest.MAC(1), Kind: "discover"})
		synctest.Wait()
		r.pass(time.Second)

		if _, err := r.AdoptHost(t.Context(), "op", coretest.Host(1)); err != nil {
			t.Error(err)
		}
	})
}

func TestTheAuditTrailTellsWhoDidWhatToWhatInOrder(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.clock.Advance(-10 * 365 * 24 * time.Hour) // the order is that of the deeds

		if _, err := r.UpdateHost(t.Context(), "ann", coretest.MAC(1), func(h *core.Host) { h.Rack = "B07" }); err != nil {
			t.Fatal(err)
		}

		id := r.start(1)

		if _, err := r.CancelRun(t.Context(), "bob", id); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteHost(t.Context(), "ann", coretest.MAC(1)); err != nil {
			t.Fatal(err)
		}

		if _, err := r.UpdateHost(t.Context(), "eve", coretest.MAC(1), func(*core.Host) {}); err == nil {
			t.Fatal("changed a deleted host")
		}

		var told []string

		all := r.audits()
		for i, a := range all {
			told = append(told, a.Who+" "+a.Action+" "+strings.TrimSuffix(a.Object, string(id)))

			if i > 0 && a.Action != "run.start" && a.Object == all[i-1].Object && a.Before != all[i-1].After && a.Before != "" && a.Action == "host.update" {
				t.Errorf("%s begins with %s, the one before ended with %s", a.Action, a.Before, all[i-1].After)
			}
		}

		host := "host/" + string(coretest.MAC(1))

		want := []string{
			"op host.register " + host, "ann host.update " + host, "op run.start run/", "bob run.cancel run/", "ann host.delete " + host,
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %v", told)
		}

		if last := all[len(all)-1]; last.Before == "" || last.After != "" {
			t.Errorf("%+v", last)
		}
	})
}

func TestTrailsAreKeptForEveryTryOfAStage(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		for _, stage := range []core.StageName{core.InventoryCheck, core.Firmware} {
			if _, err := m.send(m.passing(stage)); err != nil {
				t.Fatal(err)
			}
		}

		heat := func(seq uint64, values ...float64) {
			var batch []core.Sample
			for i, v := range values {
				batch = append(batch, core.Sample{
					Time: coretest.Start().Add(time.Duration(int(seq)*100+i) * time.Second), Key: "disk/sda/temperature_celsius", Value: v,
				})
			}

			if _, err := r.Sensor(t.Context(), id, m.token, seq, batch); err != nil {
				t.Fatal(err)
			}
		}

		heat(1, 40, 41, 86, 42)
		heat(2, 43, 101) // critical: the run fails at once

		run := r.wantState(id, core.StateFailedHolding)
		row := run.Stages[run.StageAt(core.SMART)]

		if len(row.Evaluations) != 2 {
			t.Errorf("a stage that was cut off has %+v", row.Evaluations)
		}

		if _, err := r.RetryStage(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if _, err := m.beat(""); err != nil {
			t.Fatal(err)
		}

		heat(3, 44)

		if state, err := m.send(m.passing(core.SMART)); err != nil || state != core.StateCompleted {
			t.Fatalf("%s %v", state, err)
		}

		for attempt, want := range map[int]string{1: "disk-hot fail 6 2, disk-too-hot fail 6 1", 2: "disk-hot pass 1 0, disk-too-hot pass 1 0"} {
			var words []string

			for _, trail := range get[[]core.Trail](r, core.TableTrail, core.TrailKey(id, core.SMART, attempt, 0)) {
				words = append(words, fmt.Sprintf("%s %s %d %d", trail.Rule, trail.Verdict, trail.Count, trail.Bad))
			}

			if got := strings.Join(words, ", "); got != want {
				t.Errorf("try %d: %s", attempt, got)
			}
		}
	})
}
