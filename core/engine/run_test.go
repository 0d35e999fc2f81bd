package engine_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/report"
)

func TestAGoodHostFromStartToCompleted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Action != core.BootLocal {
			t.Errorf("without a run the host gets %s", d.Action)
		}

		id := r.start(1)
		r.wantState(id, core.StateWaitingPower)

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Action != core.BootVet || d.Run != id || d.Name != "rack1-u01" {
			t.Errorf("with a run waiting the host gets %+v", d)
		}

		m := r.machine(1)
		reply := m.boot()

		want := []core.StageName{core.InventoryCheck, core.Firmware, core.SMART}
		if !slices.Equal(reply.Stages, want) || reply.Epoch != 1 || reply.State != core.State(core.InventoryCheck) {
			t.Errorf("claim: %+v", reply)
		}

		if o, err := m.beat(core.InventoryCheck); err != nil || o.Cmd != core.CmdContinue {
			t.Errorf("beat: %+v %v", o, err)
		}

		if got := m.finish(reply.State); got != core.StateCompleted {
			t.Fatalf("ended in %s: %s", got, summary(r.run(id).Stages))
		}

		run := r.wantState(id, core.StateCompleted)
		if run.Verdict != core.Pass || run.EndedAt.IsZero() {
			t.Errorf("verdict %s", run.Verdict)
		}

		if o, err := m.beat(""); err != nil || o.Cmd != core.CmdShutdown {
			t.Errorf("after the end: %+v %v", o, err)
		}

		host := r.hostOf(1)
		if host.CurrentRun != "" || host.LastRun != id || host.LastVerdict != core.Pass || host.Identity.SMBIOSUUID != m.identity.SMBIOSUUID {
			t.Errorf("host %+v", host)
		}

		rep := get[report.Report](r, core.TableReport, string(id))
		if rep.Verdict.Kind != core.Pass {
			t.Errorf("report %+v", rep.Verdict)
		}

		if kept := rep.Retention; kept == nil || !kept.Raw[0].GoesAt.Equal(run.EndedAt.Add(30*24*time.Hour).Truncate(time.Millisecond)) {
			t.Errorf("the report says of raw data: %+v", kept)
		}

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Action != core.BootLocal {
			t.Errorf("after the run the host gets %s", d.Action)
		}

		r.pass(16 * time.Minute)

		if _, err := m.beat(""); !errors.Is(err, core.ErrExpired) {
			t.Errorf("long after the end a beat gets %v", err)
		}
	})
}

func TestASpecThatAsksForOneDIMMMoreEndsInTheHold(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		if _, err := r.SetSpec(t.Context(), "op", coretest.MAC(1), "memory: {dimms: {count: 3}}"); err != nil {
			t.Fatal(err)
		}

		id := r.start(1)
		m := r.machine(1)

		if got := m.finish(m.boot().State); got != core.StateFailedHolding {
			t.Fatalf("ended in %s", got)
		}

		run := r.run(id)
		row := run.Stages[run.StageAt(core.SpecValidate)]

		if run.Verdict != core.Fail || row.Verdict != core.Fail || len(row.Findings) != 1 {
			t.Fatalf("verdict %s, stage %+v", run.Verdict, row)
		}

		f := row.Findings[0]
		if f.Code != "spec/dimm-missing" || f.Severity != core.Critical || f.Part.Slot == "" || !strings.Contains(f.Evidence, "DIMM_A2") {
			t.Errorf("finding %+v", f)
		}

		rep := get[report.Report](r, core.TableReport, string(id))
		if rep.Verdict.Kind != core.Fail {
			t.Errorf("the report on entering the hold reads %+v", rep.Verdict)
		}

		// The agent is told to keep beating; the operator adds the module and retries.
		if o, _ := m.beat(""); o.Cmd != core.CmdAbort || o.State != core.StateFailedHolding {
			t.Errorf("in the hold: %+v", o)
		}

		if _, err := r.RetryStage(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if o, _ := m.beat(""); o.Cmd != core.CmdRetryStage || o.Stage != core.InventoryCheck {
			t.Errorf("after the retry: %+v", o)
		}

		if o, _ := m.beat(core.InventoryCheck); o.Cmd != core.CmdContinue {
			t.Errorf("once the stage works: %+v", o)
		}

		m.inv.DIMMs[1] = m.inv.DIMMs[0]
		m.inv.DIMMs[1].Slot = "DIMM_A2"
		m.inv.Memory.TotalBytes += 16 * coretest.GiB
		m.inv.Memory.UsableBytes += 16 * coretest.GiB

		if got := m.finish(core.State(core.InventoryCheck)); got != core.StateCompleted {
			t.Fatalf("after the module was added: %s, %s", got, summary(r.run(id).Stages))
		}

		run = r.run(id)
		if run.Verdict != core.Pass || run.Stages[0].Attempt != 2 || run.Stages[1].Attempt != 1 {
			t.Errorf("verdict %s, attempts %d and %d", run.Verdict, run.Stages[0].Attempt, run.Stages[1].Attempt)
		}
	})
}

func TestEndsOfAStage(t *testing.T) {
	finding := func(s core.Severity) []core.Finding {
		return []core.Finding{{Code: "smart/pending-sectors", Severity: s, Title: "x", Next: "y"}}
	}

	for name, c := range map[string]struct {
		change func(*core.Result)
		want   core.State
		stage  core.Verdict
		run    core.Verdict
		code   string
	}{
		"a pass goes on": {func(*core.Result) {}, core.StateCompleted, core.Pass, core.Pass, ""},
		"a pass with a critical finding is a fail":    {func(r *core.Result) { r.Findings = finding(core.Critical) }, core.StateFailedHolding, core.Fail, core.Fail, "smart/pending-sectors"},
		"a pass with a warning passes":                {func(r *core.Result) { r.Findings = finding(core.Warning) }, core.StateCompleted, core.Pass, core.Pass, "smart/pending-sectors"},
		"a fail holds":                                {func(r *core.Result) { r.Verdict, r.Findings = core.Fail, finding(core.Critical) }, core.StateFailedHolding, core.Fail, core.Fail, "smart/pending-sectors"},
		"an error holds with the run's verdict error": {func(r *core.Result) { r.Verdict = core.Error }, core.StateFailedHolding, core.Error, core.Error, "stage/error-unexplained"},
		"a skip of parts that are there is an error":  {func(r *core.Result) { r.Verdict, r.SkipReason = core.Skip, "no disks" }, core.StateFailedHolding, core.Error, core.Error, "stage/skip-refused"},
		"a skip over a failed disk is a fail": {func(r *core.Result) {
			r.Verdict, r.SkipReason, r.SubSteps[0].Verdict = core.Skip, "no disks", core.Fail
		}, core.StateFailedHolding, core.Fail, core.Fail, "stage/pass-refused"},
		"nothing measured of a broken disk is an error": {func(r *core.Result) { r.Verdict, r.SubSteps[0].Verdict = core.Unmeasurable, core.Error }, core.StateFailedHolding, core.Error, core.Error, "stage/pass-refused"},
		"a skip without a reason is an error":           {func(r *core.Result) { r.Verdict = core.Skip }, core.StateFailedHolding, core.Error, core.Error, "stage/skip-without-reason"},
		"a skip with a critical finding is a fail":      {func(r *core.Result) { r.Verdict, r.SkipReason, r.Findings = core.Skip, "x", finding(core.Critical) }, core.StateFailedHolding, core.Fail, core.Fail, "smart/pending-sectors"},
		"a pass over a failed disk is a fail":           {func(r *core.Result) { r.SubSteps[0].Verdict = core.Fail }, core.StateFailedHolding, core.Fail, core.Fail, "stage/pass-refused"},
		"a pass over an untested disk is an error":      {func(r *core.Result) { r.SubSteps[0].Verdict = core.Error }, core.StateFailedHolding, core.Error, core.Error, "stage/pass-refused"},
		"a measurement past its critical limit": {func(r *core.Result) {
			r.Measurements = []core.Sample{{Key: "disk/sda/temperature_celsius", Value: 101}}
		}, core.StateFailedHolding, core.Fail, core.Fail, "threshold/breach"},
		"a measurement past its warning limit passes":   {func(r *core.Result) { r.Measurements = []core.Sample{{Key: "disk/sda/temperature_celsius", Value: 90}} }, core.StateCompleted, core.Pass, core.Pass, "threshold/breach"},
		"unmeasurable goes on, but the run cannot pass": {func(r *core.Result) { r.Verdict = core.Unmeasurable }, core.StateFailedHolding, core.Unmeasurable, core.Error, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				r.host(1)
				id := r.start(1)
				m := r.machine(1)
				m.boot()

				for _, s := range []core.StageName{core.InventoryCheck, core.Firmware} {
					if _, err := m.send(m.passing(s)); err != nil {
						t.Fatal(err)
					}
				}

				res := m.passing(core.SMART)
				c.change(&res)

				got, err := m.send(res)
				run := r.run(id)
				row := run.Stages[run.StageAt(core.SMART)]

				if err != nil || got != c.want || row.Verdict != c.stage || run.Verdict != c.run {
					t.Errorf("got %s %v, stage %s, run %s: %s", got, err, row.Verdict, run.Verdict, summary(run.Stages))
				}

				if c.code != "" && !slices.ContainsFunc(row.Findings, func(f core.Finding) bool { return f.Code == c.code }) {
					t.Errorf("no finding %s in %+v", c.code, row.Findings)
				}
			})
		})
	}
}

// A stage of the agent is skipped where the machine has nothing that it tests.
func TestASkipIsBorneOutByTheInventory(t *testing.T) {
	disks := func(transport string) core.Inventory {
		return core.Inventory{Disks: []core.Disk{{Name: "sda", Transport: transport}}}
	}

	for name, c := range map[string]struct {
		stage core.StageName
		inv   core.Inventory
		armed []string
		want  core.Verdict
	}{
		"no disks":                      {core.SMART, core.Inventory{}, nil, core.Skip},
		"a stick on USB alone":          {core.SMART, disks("usb"), nil, core.Skip},
		"a disk":                        {core.SMART, disks("virtio"), nil, core.Error},
		"no disk to write to":           {core.Storage, core.Inventory{}, []string{"S1"}, core.Skip},
		"no disk that may be written":   {core.Storage, disks("sata"), nil, core.Skip},
		"a disk that may be written":    {core.Storage, disks("sata"), []string{"S1"}, core.Error},
		"no software for GPUs":          {core.GPU, core.Inventory{GPUs: []core.Graphics{{}}}, nil, core.Skip},
		"no power supplies that tell":   {core.PSU, core.Inventory{}, nil, core.Skip},
		"a power supply":                {core.PSU, core.Inventory{PSUs: []core.Supply{{}}}, nil, core.Error},
		"there is always a CPU":         {core.CPUStress, core.Inventory{}, nil, core.Error},
		"there is always memory":        {core.Memory, core.Inventory{}, nil, core.Error},
		"there is always some firmware": {core.Firmware, core.Inventory{}, nil, core.Error},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, coretest.NewLedger(), func(config *engine.Config) {
					config.Stages = core.Pipeline()
					config.Profiles[0].Stages = []core.StageName{core.InventoryCheck, c.stage, core.Reporting}
				})
				r.host(1)

				run, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Armed: c.armed})
				if err != nil {
					t.Fatal(err)
				}

				synctest.Wait()

				m := r.machine(1)
				m.inv = c.inv
				m.boot()

				if _, err := m.send(m.passing(core.InventoryCheck)); err != nil {
					t.Fatal(err)
				}

				res := core.Result{Seq: 9, Stage: c.stage, Verdict: core.Skip, SkipReason: "there is none"}
				if _, err := m.send(res); err != nil {
					t.Fatal(err)
				}

				made := r.run(run.ID)
				verdict := map[core.Verdict]core.Verdict{core.Skip: core.Pass, core.Error: core.Error}[c.want]

				if made.Stages[1].Verdict != c.want || made.Verdict != verdict {
					t.Errorf("run %s: %s", made.Verdict, summary(made.Stages))
				}
			})
		})
	}
}

func TestARunThatSkippedEverythingIsNoPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) {
			c.Profiles[0].Stages = []core.StageName{core.InventoryCheck, core.Reporting}
		})
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		res := m.passing(core.InventoryCheck)
		res.Verdict, res.SkipReason = core.Skip, "no time"

		if got, err := m.send(res); err != nil || got != core.StateFailedHolding || r.run(id).Verdict != core.Error {
			t.Errorf("%s %v: %s", got, err, summary(r.run(id).Stages))
		}

		if run, err := r.RetryStage(t.Context(), "op", id); err != nil || run.State != core.State(core.InventoryCheck) {
			t.Errorf("retry: %s %v", run.State, err)
		}
	})
}

// Everything at once: hosts come and go, runs are started, cancelled and played,
// strangers shout. Nothing is lost, nobody waits for ever, no run is left behind.
func TestEverythingAtOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		const hosts = 20

		var wg sync.WaitGroup

		for n := 1; n <= hosts; n++ {
			r.host(n)
			r.start(n)
		}

		play := func(n int) {
			m := r.machine(n)

			for r.Decide(core.BootClient{MAC: coretest.MAC(n)}).Action != core.BootVet {
				time.Sleep(time.Second) // of the bubble's time: until it is this run's turn
			}

			if n%5 == 0 {
				if _, err := r.CancelRun(t.Context(), "op", r.hostOf(n).CurrentRun); err != nil {
					t.Error(err)
				}

				return
			}

			seed, err := m.arm()
			if err != nil {
				t.Error(err)

				return
			}

			reply, err := m.claim(seed)
			if err != nil {
				t.Error(err)

				return
			}

			for i := range uint64(10) {
				_, _ = m.beat(core.InventoryCheck)
				r.Witness(step(n, "sighting"))

				if _, err := r.Sensor(t.Context(), m.run, m.token, i+1, nil); err != nil {
					t.Error(err)
				}
			}

			if got := m.finish(reply.State); got != core.StateCompleted {
				t.Errorf("host %d ended in %s", n, got)
			}
		}

		for n := 1; n <= hosts; n++ {
			wg.Go(func() { play(n) })
			wg.Go(func() {
				_, err := r.UpdateHost(t.Context(), "op", coretest.MAC(n), func(h *core.Host) { h.Aliases = []core.MAC{coretest.MAC(100 + n)} })
				if err != nil {
					t.Error(err)
				}
			})
		}

		wg.Wait()
		synctest.Wait()

		for n := 1; n <= hosts; n++ {
			host := r.hostOf(n)
			want := core.Pass

			if n%5 == 0 {
				want = core.Cancelled
			}

			if host.CurrentRun != "" || host.LastVerdict != want {
				t.Errorf("host %d: run %q, verdict %s", n, host.CurrentRun, host.LastVerdict)
			}

			if d := r.Decide(core.BootClient{MAC: coretest.MAC(100 + n)}); d.Action != core.BootLocal || d.Host != host.MAC {
				t.Errorf("host %d: %+v", n, d)
			}
		}
	})
}

func TestInventoryThatPassedWithoutAnInventoryIsAnError(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		res := m.passing(core.InventoryCheck)
		res.Inventory = nil

		if got, _ := m.send(res); got != core.StateFailedHolding || r.run(id).Verdict != core.Error {
			t.Errorf("got %s, %s", got, summary(r.run(id).Stages))
		}
	})
}

func TestRefusedResults(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.start(1)
		m := r.machine(1)
		m.boot()

		for name, c := range map[string]struct {
			change func(*core.Result)
			kind   error
		}{
			"an unknown verdict":        {func(r *core.Result) { r.Verdict = "fine" }, core.ErrInvalid},
			"an unknown stage":          {func(r *core.Result) { r.Stage = "Dance" }, core.ErrInvalid},
			"a stage of the appliance":  {func(r *core.Result) { r.Stage = core.Reporting }, core.ErrInvalid},
			"a stage not under way":     {func(r *core.Result) { r.Stage = core.SMART }, core.ErrConflict},
			"no number":                 {func(r *core.Result) { r.Seq = 0 }, core.ErrInvalid},
			"an unknown severity":       {func(r *core.Result) { r.Findings = []core.Finding{{Severity: "bad"}} }, core.ErrInvalid},
			"too many findings":         {func(r *core.Result) { r.Findings = make([]core.Finding, 600) }, core.ErrInvalid},
			"an unknown sample key":     {func(r *core.Result) { r.Measurements = []core.Sample{{Key: "disk/sda/beauty_points"}} }, core.ErrInvalid},
			"an inventory beyond bound": {func(r *core.Result) { r.Inventory = &core.Inventory{PCI: make([]core.PCIDevice, 20000)} }, core.ErrInvalid},
		} {
			res := m.passing(core.InventoryCheck)
			c.change(&res)

			if _, err := m.send(res); !errors.Is(err, c.kind) {
				t.Errorf("%s: %v", name, err)
			}
		}

		if got := m.finish(core.State(core.InventoryCheck)); got != core.StateCompleted {
			t.Errorf("the run was harmed: %s", got)
		}
	})
}

func TestTheSameResultTwiceGetsTheSameAnswer(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		first := m.passing(core.InventoryCheck)

		for range 3 {
			if got, err := m.send(first); err != nil || got != core.State(core.Firmware) {
				t.Fatalf("%s %v", got, err)
			}
		}

		m.finish(core.State(core.Firmware))

		// Even after the end, from the same boot.
		if got, err := m.send(first); err != nil || got != core.State(core.Firmware) {
			t.Errorf("after the end: %s %v", got, err)
		}

		late := first
		late.Seq = 99

		_, err := m.send(late)

		p, ok := errors.AsType[*core.Problem](err)
		if !ok || !errors.Is(err, core.ErrConflict) || p.Details["state"] != "Completed" {
			t.Errorf("a late result: %v", err)
		}

		reused := first
		reused.Stage = core.SMART

		if _, err := m.send(reused); codeOf(err) != "run/seq-reused" {
			t.Errorf("a number used for another stage: %v", err)
		}

		if n := r.run(id).Stages[0].Attempt; n != 1 {
			t.Errorf("the stage ran %d times", n)
		}
	})
}

func TestAResultLargerThanTheRecordIsCutAndSaysSo(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		res := m.passing(core.InventoryCheck)
		for i := range 512 {
			s := core.Info
			if i == 500 {
				s = core.Critical
			}

			res.Findings = append(res.Findings, core.Finding{
				Code: "smart/failing", Severity: s, Title: "x", Evidence: strings.Repeat("e", 8000), Next: strings.Repeat("n", 8000),
			})
		}

		for range 4000 {
			res.Measurements = append(res.Measurements, core.Sample{Key: "disk/sda/power_on_hours", Value: 1})
		}

		if got, err := m.send(res); err != nil || got != core.StateFailedHolding {
			t.Fatalf("%s %v", got, err)
		}

		row := r.run(id).Stages[0]
		if row.Findings[0].Severity != core.Critical || !slices.ContainsFunc(row.Findings, func(f core.Finding) bool { return f.Code == "stage/result-trimmed" }) {
			t.Errorf("kept %d findings, first %+v", len(row.Findings), row.Findings[0])
		}
	})
}

func TestCancelFromEveryActiveState(t *testing.T) {
	for _, state := range []core.State{core.StateQueued, core.StateWaitingPower, core.StateWaitingWoL, core.StateBooting, core.State(core.InventoryCheck), core.State(core.Firmware), core.State(core.SMART)} {
		t.Run(string(state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.MaxConcurrent = 1 })
				r.host(1)
				r.host(2)

				if state == core.StateWaitingWoL {
					if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Power.Method = core.PowerWoL }); err != nil {
						t.Fatal(err)
					}
				}

				if state == core.StateQueued {
					r.start(2)
				}

				id := r.start(1)
				m := r.machine(1)

				if state == core.StateBooting {
					if _, err := m.arm(); err != nil {
						t.Fatal(err)
					}
				}

				if i := slices.Index([]core.StageName{core.InventoryCheck, core.Firmware, core.SMART}, core.StageName(state)); i >= 0 {
					m.boot()

					for _, s := range []core.StageName{core.InventoryCheck, core.Firmware}[:i] {
						if _, err := m.send(m.passing(s)); err != nil {
							t.Fatal(err)
						}
					}
				}

				r.wantState(id, state)

				run, err := r.CancelRun(t.Context(), "op", id)
				if err != nil || run.State != core.StateCancelled || run.Verdict != core.Cancelled {
					t.Fatalf("%+v %v", run.State, err)
				}

				if host := r.hostOf(1); host.CurrentRun != "" || host.LastVerdict != core.Cancelled {
					t.Errorf("host %+v", host)
				}

				if get[report.Report](r, core.TableReport, string(id)).Verdict.Kind != core.Cancelled {
					t.Error("no report of the cancelled run")
				}

				if m.token != "" {
					if o, err := m.beat(""); err != nil || o.Cmd != core.CmdAbort || o.State != core.StateCancelled {
						t.Errorf("beat: %+v %v", o, err)
					}

					if _, err := m.send(m.passing(core.SMART)); !errors.Is(err, core.ErrConflict) {
						t.Errorf("a result after the cancel: %v", err)
					}

					if _, err := r.Sensor(t.Context(), id, m.token, 1, nil); !errors.Is(err, core.ErrExpired) {
						t.Errorf("samples after the cancel: %v", err)
					}

					r.pass(16 * time.Minute)

					if _, err := r.Authorise(t.Context(), id, m.token); !errors.Is(err, core.ErrExpired) {
						t.Errorf("the token after the last word: %v", err)
					}
				}

				if _, err := r.CancelRun(t.Context(), "op", id); codeOf(err) != "run/wrong-state" {
					t.Errorf("a second cancel: %v", err)
				}
			})
		})
	}
}

func TestStartIsRefusedWithAReason(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		for name, c := range map[string]struct {
			mac  core.MAC
			wish core.StartRun
			code string
		}{
			"an unknown host":          {coretest.MAC(9), core.StartRun{Profile: "quick"}, "host/not-found"},
			"no host":                  {"", core.StartRun{Profile: "quick"}, "host/not-found"},
			"an unknown profile":       {coretest.MAC(1), core.StartRun{Profile: "slow"}, "profile/unknown"},
			"a scale below zero":       {coretest.MAC(1), core.StartRun{Profile: "quick", Scale: -1}, "run/bad-wish"},
			"a scale above one":        {coretest.MAC(1), core.StartRun{Profile: "quick", Scale: 2}, "run/bad-wish"},
			"an armed disk of no name": {coretest.MAC(1), core.StartRun{Profile: "quick", Armed: []string{""}}, "run/bad-wish"},
		} {
			if _, err := r.StartRun(t.Context(), c.mac, c.wish); codeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}

		r.start(1)

		if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick"}); codeOf(err) != "host/busy" {
			t.Errorf("a second run: %v", err)
		}

		if err := r.DeleteHost(t.Context(), "op", coretest.MAC(1)); codeOf(err) != "host/busy" {
			t.Errorf("deleting a busy host: %v", err)
		}

		for _, id := range []core.RunID{"", "x", "../x", core.RunID(strings.Repeat("0", 26))} {
			if _, err := r.CancelRun(t.Context(), "op", id); codeOf(err) != "run/not-found" {
				t.Errorf("cancelling %q: %v", id, err)
			}
		}
	})
}

func TestTheBellRingsAfterTheWrite(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		seq, _ := r.bell.After(0)
		if seq == 0 || int(seq) != len(r.events(core.EventHost))+len(r.events(core.EventNotice)) {
			t.Errorf("the bell says %d", seq)
		}
	})
}

func TestNoSecretIsInAnEventOrARun(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.start(1)
		m := r.machine(1)

		seed, err := m.arm()
		if err != nil {
			t.Fatal(err)
		}

		if _, err := m.claim(seed); err != nil {
			t.Fatal(err)
		}

		ledger, _ := r.ledger.(*coretest.Ledger)

		for _, table := range []core.Table{core.TableRun, core.TableHost, core.TableReply, core.TableReport, core.TableRunSecret} {
			for key, value := range ledger.Dump(table) {
				if strings.Contains(value, seed.BootToken) || strings.Contains(value, m.token) {
					t.Errorf("a token stands in %s %s", table, key)
				}
			}
		}

		for _, kind := range []core.EventKind{core.EventRun, core.EventHost, core.EventNotice, core.EventStage} {
			for _, e := range r.events(kind) {
				if strings.Contains(string(e.Data), seed.BootToken) || strings.Contains(string(e.Data), m.token) {
					t.Errorf("a token stands in event %d", e.Seq)
				}
			}
		}

		if strings.Contains(r.log.String(), seed.BootToken) || strings.Contains(r.log.String(), m.token) {
			t.Error("a token stands in the log")
		}
	})
}

func TestOtherProfilesCountForTheRunsThatFollow(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for n := 1; n <= 2; n++ {
			if _, err := r.RegisterHost(t.Context(), "op", coretest.Host(n)); err != nil {
				t.Fatal(err)
			}
		}

		before, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op"})
		if err != nil {
			t.Fatal(err)
		}

		other := r.Profiles()
		for i := range other {
			other[i].Scale = 0.5
		}

		if err := r.SetProfiles(nil, nil); err == nil {
			t.Error("an appliance without profiles")
		}

		wrong := slices.Clone(other)
		wrong[0].Stages = []core.StageName{"Prayer"}

		if err := r.SetProfiles(wrong, nil); err == nil {
			t.Error("a stage that there is not")
		}

		if p := r.Profiles(); p[0].Scale == 0.5 {
			t.Error("profiles that were refused are in force")
		}

		if err := r.SetProfiles(other, nil); err != nil {
			t.Fatal(err)
		}

		after, err := r.StartRun(t.Context(), coretest.MAC(2), core.StartRun{Profile: "quick", Who: "op"})
		if err != nil || after.Profile.Scale != 0.5 || before.Profile.Scale == 0.5 {
			t.Errorf("scale %v, then %v, %v", before.Profile.Scale, after.Profile.Scale, err)
		}
	})
}

func TestATryOfAStartAnswersAsTheStartAndWritesNothing(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		before := core.Digest(r.hostOf(1))

		if err := r.TryRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick"}); err != nil {
			t.Errorf("a start that is possible: %v", err)
		}

		for name, wish := range map[string]core.StartRun{
			"no such profile": {Profile: "none"},
			"a bad setting":   {Profile: "quick", Overrides: core.Override{Config: map[string]string{"SMART.self_test": "maybe"}}},
		} {
			if err := r.TryRun(t.Context(), coretest.MAC(1), wish); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}

		if host := r.hostOf(1); core.Digest(host) != before || host.CurrentRun != "" {
			t.Errorf("a try has changed the host: %+v", host)
		}

		r.start(1)

		if err := r.TryRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick"}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("a host that has a run: %v", err)
		}
	})
}
