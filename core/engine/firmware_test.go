package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goccy/go-yaml"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/firmware/baseline"
)

// firmwareJudge reads baselines as the appliance does, with less to say of faults.
type firmwareJudge struct{ catalogue string }

func (j firmwareJudge) Catalogue() string { return j.catalogue }

func (firmwareJudge) read(text string) (*baseline.Baseline, error) {
	b := &baseline.Baseline{}
	if err := yaml.UnmarshalWithOptions([]byte(text), b, yaml.Strict()); err != nil {
		return nil, core.NewProblem(core.ErrInvalid, "firmware/bad-baseline", err.Error())
	}

	return b, b.Validate()
}

func (j firmwareJudge) Check(text string) error {
	_, err := j.read(text)

	return err
}

func (j firmwareJudge) Judge(texts core.FirmwareTexts, c *core.FirmwareCase) (core.FirmwareJudgement, error) {
	operator, err := j.read(texts.Baseline)
	if err != nil {
		return core.FirmwareJudgement{}, err
	}

	known, err := j.read(texts.Catalogue)
	if err != nil {
		return core.FirmwareJudgement{}, err
	}

	return baseline.Judge(operator, known, c), nil
}

// catalogue denies a firmware of disks.
const catalogue = "rules: [{id: bad-disk, part: disk, deny: HPD7}]\n"

func inFirmware(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		test(t, newRig(t, coretest.NewLedger(), func(c *engine.Config) {
			c.MaxConcurrent, c.Firmware = 20, firmwareJudge{catalogue}
		}))
	})
}

// updated vets the n-th host with this firmware of its board and its disk, and returns
// the run when its Firmware stage is over.
func (r *rig) updated(n int, bios, disk string) core.Run {
	r.t.Helper()

	if r.find(n) == nil {
		r.host(n)
	}

	id := r.start(n)
	m := r.machine(n)
	m.inv.System = core.System{Manufacturer: "Dell Inc.", Product: "PowerEdge R640"}
	state := m.boot().State

	for slices.Contains(core.Pipeline(), core.StageName(state)) {
		res := m.passing(core.StageName(state))
		if res.Stage == core.Firmware {
			res.Coverage = "2 firmware versions read"
			res.Firmware = []core.FirmwareItem{
				{Part: core.Part{Kind: "board", Model: "08D89F", Serial: fmt.Sprint("B", n)}, Name: "BIOS", Version: bios},
				{Part: core.Part{Kind: "disk", Slot: "bay 1", Model: "HP VO0480JFDGT", Serial: fmt.Sprint("S", n)}, Name: "disk", Version: disk},
			}
		}

		next, err := m.send(res)
		if err != nil {
			r.t.Fatal(err)
		}

		state = next
	}

	return r.run(id)
}

func (r *rig) baseline(text string) {
	r.t.Helper()

	if _, err := r.SetFirmwareBaseline(r.t.Context(), "op", text); err != nil {
		r.t.Fatal(err)
	}
}

func firmwareRow(run core.Run) core.Stage { return run.Stages[run.StageAt(core.Firmware)] }

// only returns the one finding of the Firmware stage.
func only(t *testing.T, run core.Run) core.Finding {
	t.Helper()

	row := firmwareRow(run)
	if len(row.Findings) != 1 {
		t.Fatalf("%s of %s: %+v", row.Verdict, run.HostName, row.Findings)
	}

	return row.Findings[0]
}

// TestFirmwareIsJudgedByTheBaseline: a warning lets the stage pass, a denied firmware
// fails it, and what is required and absent is an error.
func TestFirmwareIsJudgedByTheBaseline(t *testing.T) {
	inFirmware(t, func(t *testing.T, r *rig) {
		run := r.updated(1, "2.12.2", "HPD8")
		if row := firmwareRow(run); row.Verdict != core.Pass || len(row.Findings) != 0 || row.Coverage != "2 firmware versions read; 1 checks by the baseline and the catalogue, 0 off" {
			t.Errorf("without a baseline: %s %+v %s", row.Verdict, row.Findings, row.Coverage)
		}

		run = r.updated(2, "2.12.2", "HPD7")
		if f := only(t, run); f.Code != "firmware/denied" || f.Part.Serial != "S2" || run.State != core.StateFailedHolding || firmwareRow(run).Verdict != core.Fail {
			t.Errorf("a denied one in %s: %+v", run.State, f)
		}

		r.baseline("rules: [{id: bios, system: PowerEdge R6*, part: board, name: BIOS, min: 2.19.1}]\n")

		run = r.updated(3, "2.12.2", "HPD8")
		if f := only(t, run); f.Code != "firmware/below-minimum" || f.Severity != core.Warning || firmwareRow(run).Verdict != core.Pass || run.State != core.StateCompleted {
			t.Errorf("an old one in %s: %+v", run.State, f)
		}

		r.baseline("rules: [{id: me, part: board, name: ME, min: 4.1, required: true}]\nwithout: [bad-disk]\n")

		run = r.updated(4, "2.12.2", "HPD7")
		if f := only(t, run); f.Code != "firmware/not-reported" || firmwareRow(run).Verdict != core.Error || run.State != core.StateFailedHolding {
			t.Errorf("one without ME in %s: %+v", run.State, f)
		}

		if !strings.HasSuffix(firmwareRow(run).Coverage, "1 could NOT be judged") {
			t.Errorf("covers %s", firmwareRow(run).Coverage)
		}
	})
}

// TestARunIsJudgedByWhatWasSetWhenItBegan, and keeps what it found.
func TestARunIsJudgedByWhatWasSetWhenItBegan(t *testing.T) {
	inFirmware(t, func(t *testing.T, r *rig) {
		r.baseline("rules: [{id: first, part: board, exact: 1.2.3}]\n")
		r.host(1)

		id := r.start(1)
		r.baseline("rules: [{id: second, part: board, exact: 9.9.9}]\n")

		m := r.machine(1)
		state := m.boot().State

		for slices.Contains(core.Pipeline(), core.StageName(state)) {
			res := m.passing(core.StageName(state))
			if res.Stage == core.Firmware {
				res.Firmware = []core.FirmwareItem{{Part: core.Part{Kind: "board"}, Name: "BIOS", Version: "1.2.4"}}
			}

			next, err := m.send(res)
			if err != nil {
				t.Fatal(err)
			}

			state = next
		}

		if f := only(t, r.run(id)); f.Code != "firmware/not-exact" || !strings.Contains(f.Evidence, "rule first") {
			t.Errorf("found %+v", f)
		}

		kept := get[core.FirmwareSnapshot](r, core.TableFirmware, "run/"+string(id))
		if kept.Host != coretest.MAC(1) || len(kept.Items) != 1 || len(kept.Checks) != 1 || kept.Checks[0].Rule != "first" || kept.Rules != r.run(id).FirmwareRules || !kept.Off() {
			t.Errorf("kept %+v", kept)
		}
	})
}

// TestAHostIsComparedWithOthersOfItsModelThatPassed.
func TestAHostIsComparedWithOthersOfItsModelThatPassed(t *testing.T) {
	inFirmware(t, func(t *testing.T, r *rig) {
		r.baseline("rules: [{id: same, part: board, name: BIOS, cohort: 2}]\n")

		for n := 1; n <= 2; n++ {
			if row := firmwareRow(r.updated(n, "2.12.2", "HPD8")); len(row.Findings) != 0 || !strings.HasSuffix(row.Coverage, "1 could NOT be judged") {
				t.Errorf("host %d: %+v %s", n, row.Findings, row.Coverage)
			}
		}

		// One that failed is nobody to compare with.
		r.updated(3, "2.11.0", "HPD7")

		if f := only(t, r.updated(4, "2.11.0", "HPD8")); f.Code != "firmware/off-cohort" || !strings.Contains(f.Evidence, "of 2 other hosts of the model that passed, 2 have 2.12.2") {
			t.Errorf("another version: %+v", f)
		}

		if row := firmwareRow(r.updated(5, "2.12.2", "HPD8")); len(row.Findings) != 0 {
			t.Errorf("the same version: %+v", row.Findings)
		}

		// Nobody is compared with itself.
		if f := only(t, r.updated(1, "2.13.0", "HPD8")); !strings.Contains(f.Evidence, "of 3 other hosts") {
			t.Errorf("again: %+v", f)
		}
	})
}

// TestABaselineIsCheckedBeforeItIsSet, and each change leaves a trace.
func TestABaselineIsCheckedBeforeItIsSet(t *testing.T) {
	inFirmware(t, func(t *testing.T, r *rig) {
		for _, text := range []string{"rules: [{id: a, part: disc}]\n", "rulez: []\n", strings.Repeat("#", 300<<10)} {
			if _, err := r.SetFirmwareBaseline(t.Context(), "op", text); err == nil || r.CheckFirmwareBaseline(text) == nil {
				t.Errorf("%.30q was taken", text)
			}
		}

		const good = "rules: [{id: a, part: disk, min: 1}]\n"

		r.baseline(good)
		r.baseline("  \n")

		if b := get[core.FirmwareBaseline](r, core.TableBaseline, "current"); b.Text != "" || b.Digest != "" || b.SetBy != "op" {
			t.Errorf("after it was taken away: %+v", b)
		}

		var deeds []core.Audit

		err := r.ledger.View(t.Context(), func(rd core.Reader) error {
			return rd.Scan(core.TableAudit, core.Query{}, func(_ string, decode func(any) error) error {
				var a core.Audit
				err := decode(&a)
				deeds = append(deeds, a)

				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}

		if len(deeds) != 2 || deeds[0].Action != "firmware.baseline" || deeds[0].Before != "" || deeds[0].After == "" || deeds[1].Before != deeds[0].After {
			t.Errorf("%+v", deeds)
		}
	})
}

// TestARunWhoseRulesCannotBeReadIsAnError: never a pass.
func TestARunWhoseRulesCannotBeReadIsAnError(t *testing.T) {
	inFirmware(t, func(t *testing.T, r *rig) {
		r.baseline("rules: [{id: a, part: disk, min: 1}]\n")
		r.host(1)

		id := r.start(1)
		digest := r.run(id).FirmwareRules.Baseline

		_, err := r.ledger.Update(t.Context(), func(tx core.Txn) error {
			return tx.Put(core.TableBaseline, "text/"+digest, core.FirmwareBaseline{Text: "rulez: []\n", Digest: digest})
		})
		if err != nil {
			t.Fatal(err)
		}

		m := r.machine(1)
		m.finish(m.boot().State)

		run := r.run(id)
		if f := only(t, run); f.Code != "firmware/no-baseline" || firmwareRow(run).Verdict != core.Error {
			t.Errorf("%s %+v", firmwareRow(run).Verdict, f)
		}

		var p *core.Problem
		if _, err := r.SetFirmwareBaseline(t.Context(), "op", "x"); !errors.As(err, &p) || p.Code != "firmware/bad-baseline" {
			t.Errorf("got %v", err)
		}
	})
}
