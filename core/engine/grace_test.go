package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
)

// startedLater starts a run on the n-th host that can be withdrawn for ten seconds.
func (r *rig) startedLater(n int) core.RunID {
	r.t.Helper()

	run, err := r.StartRun(r.t.Context(), coretest.MAC(n), core.StartRun{Profile: "quick", Grace: core.Grace, Who: "ann"})
	if err != nil || !run.Pending() {
		r.t.Fatalf("%v: %+v", err, run)
	}

	return run.ID
}

func TestARunBeginsOnceItsStartCannotBeWithdrawnAnyMore(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.startedLater(1)

		r.pass(9 * time.Second)

		if run := r.wantState(id, core.StateQueued); !run.Pending() || r.waker.count() != 0 {
			t.Errorf("after nine seconds: %+v, %d orders", run.Deadline, r.waker.count())
		}

		r.pass(2 * time.Second)

		if run := r.run(id); run.State == core.StateQueued || run.Pending() || run.StartedAt.IsZero() {
			t.Errorf("after eleven seconds the run is in %s", run.State)
		}

		if _, err := r.WithdrawRun(t.Context(), "ann", id); codeOf(err) != "run/has-begun" {
			t.Errorf("withdrawn too late: %v", err)
		}
	})
}

// A clock that is put forward by little, which moves no deadline along, takes nothing of a
// grace away.
func TestAGraceIsNotCutShortByTheClock(t *testing.T) {
	inUptime(t, func(t *testing.T, r *rig, pass func(time.Duration)) {
		r.host(1)
		r.host(2)

		one, two := r.startedLater(1), r.startedLater(2)

		r.clock.Advance(25 * time.Second)
		pass(time.Second)

		if run := r.wantState(one, core.StateQueued); !run.Pending() || r.waker.count() != 0 {
			t.Errorf("after a second, and a clock that is 25 ahead: %+v, %d orders", run.Deadline, r.waker.count())
		}

		r.clock.Advance(20 * time.Second) // and no tick has looked at it yet

		if _, err := r.WithdrawRun(t.Context(), "ann", two); err != nil {
			t.Errorf("withdrawn in time: %v", err)
		}

		r.clock.Advance(-20 * time.Second)
		pass(10 * time.Second)

		if run := r.run(one); run.State == core.StateQueued || run.Pending() {
			t.Errorf("after eleven seconds the run is in %s", run.State)
		}
	})
}

// Whoever believes that it is a run's turn is held against the ledger: one whose start can
// be withdrawn has none, nor has one that was withdrawn meanwhile.
func TestNoRunIsGivenItsTurnWhileItsStartCanBeWithdrawn(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.startedLater(1)

		turn := func() bool {
			started, err := r.GiveTurn(t.Context(), id)
			if err != nil {
				t.Error(err)
			}

			return started
		}

		begun := turn()
		if run := r.run(id); begun || !run.Pending() || r.waker.count() != 0 {
			t.Errorf("a run that can be withdrawn has begun: %d orders", r.waker.count())
		}

		if _, err := r.WithdrawRun(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		if turn() || r.waker.count() != 0 {
			t.Errorf("a run that was withdrawn has begun: %d orders", r.waker.count())
		}
	})
}

// Nothing is left of a start that was withdrawn but its record: the host has the run and
// the verdict that it had.
func TestAStartThatIsWithdrawnLeavesTheHostAsItWas(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m, before := r.held(1)
		_ = m

		if _, err := r.ReleaseRun(t.Context(), "ann", before); err != nil {
			t.Fatal(err)
		}

		id := r.startedLater(1)
		r.pass(5 * time.Second)

		run, err := r.WithdrawRun(t.Context(), "bob", id)
		if err != nil || run.State != core.StateCancelled {
			t.Fatalf("%v: %s", err, run.State)
		}

		if host := r.hostOf(1); host.CurrentRun != "" || host.LastRun != before || host.LastVerdict != core.Error {
			t.Errorf("%+v", host)
		}

		if all := r.audited("run.withdraw"); len(all) != 1 || all[0].Who != "bob" {
			t.Errorf("%+v", all)
		}

		if !slices.ContainsFunc(run.Findings, func(f core.Finding) bool {
			return f.Code == "run/withdrawn" && strings.Contains(f.Evidence, "bob")
		}) {
			t.Errorf("%+v", run.Findings)
		}

		orders := r.waker.count()
		r.pass(time.Minute)

		if r.waker.count() != orders {
			t.Error("the host was woken for a run that was withdrawn")
		}
	})
}

// A start is not carried out that nobody could withdraw any more: the appliance was away.
// One whose time had passed before stays in the queue.
func TestARestartDropsAStartThatCouldBeWithdrawn(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.host(2)

		begun := r.startedLater(2)
		r.pass(11 * time.Second)

		id := r.startedLater(1)
		r.restart()
		r.pass(time.Minute)

		run := r.wantState(id, core.StateCancelled)
		if len(run.Findings) != 1 || run.Findings[0].Code != "run/withdrawn" || r.hostOf(1).CurrentRun != "" || r.hostOf(1).LastRun != "" {
			t.Errorf("%+v, %+v", run.Findings, r.hostOf(1))
		}

		if !r.noticed("run/withdrawn") {
			t.Error("nobody was told")
		}

		if run := r.run(begun); run.State.Over() || run.State == core.StateQueued {
			t.Errorf("the other one is in %s", run.State)
		}
	})
}

func TestAGraceHasItsBounds(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		for _, grace := range []time.Duration{-time.Second, core.MaxGrace + 1} {
			if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Grace: grace}); codeOf(err) != "run/bad-wish" {
				t.Errorf("%v: %v", grace, err)
			}
		}
	})
}

// Whoever looked into a held host may give it up: the verdict is fail although the test
// itself broke, and who and why stand in report, audit trail and the events.
func TestAHeldRunIsEndedAsFailedWithAReason(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		_, id := r.held(1)
		was := r.run(id)

		if was.Verdict != core.Error {
			t.Fatalf("the run is %s", was.Verdict)
		}

		for _, reason := range []string{"", " ", "a\x00b", strings.Repeat("x", 300)} {
			if _, err := r.FailRun(t.Context(), "ann", id, reason); codeOf(err) != "run/no-reason" {
				t.Errorf("%.10q: %v", reason, err)
			}
		}

		r.pass(time.Hour)

		run, err := r.FailRun(t.Context(), "ann", id, "smells of burnt plastic")
		if err != nil || run.State != core.StateReleased || run.Verdict != core.Fail || !run.EndedAt.Equal(was.EndedAt) {
			t.Fatalf("%v: %s, %s, ended %s and %s", err, run.State, run.Verdict, run.EndedAt, was.EndedAt)
		}

		if host := r.hostOf(1); host.LastVerdict != core.Fail || host.CurrentRun != "" {
			t.Errorf("%+v", host)
		}

		rep := r.reportOf(id)
		if !slices.ContainsFunc(rep.Findings, func(f report.Finding) bool {
			return f.Code == "run/failed-by-operator" && f.Severity == core.Critical && f.Evidence == "by ann: smells of burnt plastic"
		}) || rep.Verdict.Kind != core.Fail {
			t.Errorf("%+v, %+v", rep.Verdict, rep.Findings)
		}

		if all := r.audited("run.fail"); len(all) != 1 || !strings.Contains(all[0].Text, "smells of burnt plastic") {
			t.Errorf("%+v", all)
		}

		told := false

		for _, e := range r.events(core.EventFinding) {
			var f core.Finding
			told = told || json.Unmarshal(e.Data, &f) == nil && f.Code == "run/failed-by-operator"
		}

		if !told {
			t.Error("no event says so")
		}

		if _, err := r.FailRun(t.Context(), "ann", id, "again"); codeOf(err) != "run/wrong-state" {
			t.Errorf("a second time: %v", err)
		}
	})
}

// A new key is handed out as often as somebody asks, and the one before counts no more.
func TestTheKeyOfAHoldIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), nil)
		m, id := r.held(1)

		if _, err := r.RenewHoldKey(t.Context(), "ann", id); codeOf(err) != "hold/not-open" {
			t.Errorf("before the door is open: %v", err)
		}

		if _, err := m.openHold(1); err != nil {
			t.Fatal(err)
		}

		first, err := r.HoldKey(t.Context(), "ann", id)
		if err != nil {
			t.Fatal(err)
		}

		ends := r.run(id).Deadline

		second, err := r.RenewHoldKey(t.Context(), "bob", id)
		if err != nil || second.PrivateKey == first.PrivateKey || !second.Until.Equal(ends) {
			t.Fatalf("%v: until %s and %s", err, second.Until, ends)
		}

		r.restart()

		reply, err := m.openHold(1)
		if err != nil || len(reply.AuthorizedKeys) != 1 || reply.AuthorizedKeys[0] != r.run(id).Hold.PublicKey {
			t.Fatalf("%v: %+v", err, reply)
		}

		if hold := r.run(id).Hold; hold.TakenBy != "bob" || hold.TakenAt.IsZero() {
			t.Errorf("%+v", hold)
		}

		if all := r.audited("hold.renew-key"); len(all) != 1 || all[0].Who != "bob" {
			t.Errorf("%+v", all)
		}

		if _, err := r.ReleaseRun(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		if _, err := r.RenewHoldKey(t.Context(), "ann", id); codeOf(err) != "hold/wrong-state" {
			t.Errorf("after the hold: %v", err)
		}
	})
}
