package engine_test

import (
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
)

// pendingOn is a finding that a run sends of a disk; what was measured differs.
func pendingOn(serial, evidence string) core.Finding {
	return core.Finding{
		Code: "smart/pending-sectors", Severity: core.Critical, Title: "The disk has sectors it cannot read", Evidence: evidence, Next: "Replace it.",
		Part: core.Part{Kind: "disk", Slot: "sda", Serial: serial},
	}
}

// finds brings the first host into the hold with findings of its inventory.
func (r *rig) finds(findings ...core.Finding) core.RunID {
	r.t.Helper()

	id, _ := r.findsAt(findings...)

	return id
}

// findsAt is finds that also returns the machine.
func (r *rig) findsAt(findings ...core.Finding) (core.RunID, *machine) {
	r.t.Helper()

	id := r.start(1)
	m := r.machine(1)
	m.boot()

	res := m.passing(core.InventoryCheck)
	res.Verdict, res.Findings = core.Fail, findings

	if _, err := m.send(res); err != nil {
		r.t.Fatal(err)
	}

	r.wantState(id, core.StateFailedHolding)

	return id, m
}

// Whoever stands in front of the machine is not sent after what an operator bears with.
func TestTheMachinesScreenCountsNoWaivedFinding(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		warning := pendingOn("SSD0002", "1 sector")
		warning.Severity = core.Warning
		id, m := r.findsAt(pendingOn("HDD0001", "38 sectors"), pendingOn("SSD0001", "1 sector"), warning)

		counts := func(when string, critical, warnings int) {
			t.Helper()

			order, err := m.beat("")
			if err != nil {
				t.Fatal(err)
			}

			if o := order.Outlook; o.Critical != critical || o.Warnings != warnings {
				t.Errorf("%s: %d critical, %d warnings, not %d and %d", when, o.Critical, o.Warnings, critical, warnings)
			}
		}

		counts("before", 2, 1)

		w, err := r.waiveFor(id, r.reportOf(id).Findings[0].ID, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}

		counts("waived", 1, 1)

		if _, err := r.waiveFor(id, r.reportOf(id).Findings[2].ID, time.Minute); err != nil {
			t.Fatal(err)
		}

		counts("the warning, too", 1, 0)
		r.pass(2 * time.Minute)
		counts("run out", 1, 1)

		if _, err := r.WithdrawWaiver(t.Context(), "ann", coretest.MAC(1), w.ID); err != nil {
			t.Fatal(err)
		}

		counts("withdrawn", 2, 1)
	})
}

func (r *rig) reportOf(id core.RunID) report.Report {
	r.t.Helper()

	return get[report.Report](r, core.TableReport, string(id))
}

func (r *rig) waiveFor(id core.RunID, finding string, length time.Duration) (core.Waiver, error) {
	return r.WaiveFinding(r.t.Context(), "ann", id, core.WaiverWish{Finding: finding, Reason: "goes to the bench", Until: r.clock.Now().Add(length)})
}

func TestAWaiverStandsOnTheReportAndChangesNoVerdict(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		id := r.finds(pendingOn("HDD0001", "38 sectors"), pendingOn("SSD0001", "1 sector"))
		before := r.reportOf(id)

		w, err := r.waiveFor(id, before.Findings[0].ID, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}

		if w.By != "ann" || w.Run != id || w.Code != "smart/pending-sectors" || w.Stage != core.InventoryCheck || w.Part.Serial != "HDD0001" {
			t.Errorf("%+v", w)
		}

		check := func(of core.RunID, evidence string) {
			t.Helper()

			got := r.reportOf(of)
			if got.Verdict.Kind != core.Fail || got.Verdict.Words != "FAIL" || got.Verdict.Waived != 1 || !strings.Contains(got.Summary, "Waived by an operator: 1 of 2 findings; a waiver changes no verdict.") {
				t.Errorf("%+v %s", got.Verdict, got.Summary)
			}

			for _, f := range got.Findings {
				if waived := f.Waiver != nil; waived != (f.Part.Serial == "HDD0001") || waived && (f.Waiver.Reason != "goes to the bench" || f.Evidence != evidence) {
					t.Errorf("%+v %+v", f, f.Waiver)
				}
			}
		}

		check(id, "38 sectors")

		if run := r.run(id); run.State != core.StateFailedHolding || run.Verdict != core.Fail {
			t.Errorf("%s %s", run.State, run.Verdict)
		}

		if last := r.audits()[len(r.audits())-1]; last.Action != "run.waive" || last.Who != "ann" || !strings.Contains(last.Text, "goes to the bench") || last.Run != id {
			t.Errorf("%+v", last)
		}

		if _, err := r.ReleaseRun(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		check(id, "38 sectors")

		// The next run of the host finds the same, with other numbers.
		next := r.finds(pendingOn("HDD0001", "40 sectors"), pendingOn("SSD0001", "1 sector"))
		check(next, "40 sectors")

		if _, err := r.WithdrawWaiver(t.Context(), "bob", coretest.MAC(1), w.ID); err != nil {
			t.Fatal(err)
		}

		if got := r.reportOf(next); got.Verdict.Waived != 0 || got.Findings[0].Waiver != nil {
			t.Errorf("withdrawn, it is still there: %+v", got.Findings[0])
		}

		check(id, "38 sectors") // as it was written

		if _, err := r.WithdrawWaiver(t.Context(), "bob", coretest.MAC(1), w.ID); codeOf(err) != "waiver/none" {
			t.Errorf("a second time: %v", err)
		}

		if last := r.audits()[len(r.audits())-1]; last.Action != "run.withdraw-waiver" || last.Who != "bob" {
			t.Errorf("%+v", last)
		}
	})
}

func TestAWaiverRunsOut(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		id := r.finds(pendingOn("HDD0001", "38 sectors"))
		if _, err := r.waiveFor(id, "smart/pending-sectors", time.Hour); err != nil { // by its code: there is one
			t.Fatal(err)
		}

		if _, err := r.ReleaseRun(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		r.pass(2 * time.Hour)

		if got := r.reportOf(r.finds(pendingOn("HDD0001", "38 sectors"))); got.Verdict.Waived != 0 || strings.Contains(got.Summary, "Waived") {
			t.Errorf("%+v", got.Verdict)
		}
	})
}

func TestWhatCannotBeWaived(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		told := pendingOn("SSD0001", "nothing")
		told.Severity, told.Code = core.Info, "smart/error-log"
		id := r.finds(pendingOn("HDD0001", "38"), pendingOn("HDD0002", "2"), told)
		mark := r.reportOf(id).Findings[0].ID
		day := r.clock.Now().Add(24 * time.Hour)

		for name, c := range map[string]struct {
			wish core.WaiverWish
			code string
		}{
			"no reason":           {core.WaiverWish{Finding: mark, Reason: " ", Until: day}, "waiver/no-reason"},
			"a reason of lines":   {core.WaiverWish{Finding: mark, Reason: "a\nb", Until: day}, "waiver/no-reason"},
			"an end before now":   {core.WaiverWish{Finding: mark, Reason: "why", Until: r.clock.Now()}, "waiver/bad-time"},
			"an end in two years": {core.WaiverWish{Finding: mark, Reason: "why", Until: r.clock.Now().Add(core.MaxWaiver + time.Hour)}, "waiver/bad-time"},
			"no such finding":     {core.WaiverWish{Finding: "000000000000", Reason: "why", Until: day}, "waiver/no-finding"},
			"a code of two":       {core.WaiverWish{Finding: "smart/pending-sectors", Reason: "why", Until: day}, "waiver/no-finding"},
			"what only informs":   {core.WaiverWish{Finding: "smart/error-log", Reason: "why", Until: day}, "waiver/no-finding"},
		} {
			if _, err := r.WaiveFinding(t.Context(), "ann", id, c.wish); codeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}

		if _, err := r.waiveFor(id, mark, time.Hour); err != nil {
			t.Fatal(err)
		}

		if _, err := r.waiveFor(id, mark, time.Hour); codeOf(err) != "waiver/twice" {
			t.Errorf("a second time: %v", err)
		}

		if _, err := r.ReleaseRun(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		if _, err := r.waiveFor(id, r.reportOf(id).Findings[1].ID, time.Hour); codeOf(err) != "hold/wrong-state" {
			t.Errorf("after the hold: %v", err)
		}

		for _, no := range []string{"", "x", "../" + string(id), string(id)} {
			if _, err := r.WithdrawWaiver(t.Context(), "ann", coretest.MAC(1), no); codeOf(err) != "waiver/none" {
				t.Errorf("withdrawing %q: %v", no, err)
			}
		}
	})
}
