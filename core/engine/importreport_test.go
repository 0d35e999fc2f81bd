package engine_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
	"vetting/core/report"
)

// madeElsewhere is a report as another appliance has written it, of a run that passed.
func madeElsewhere(t *testing.T) (r report.Report) {
	t.Helper()

	inRig(t, func(_ *testing.T, other *rig) {
		other.host(1)
		_, id := other.passed()
		r = get[report.Report](other, core.TableReport, string(id))
	})

	return r
}

// TestAReportIsTakenOverOnce: the run is there as it was, with its host, however often
// the file is brought.
func TestAReportIsTakenOverOnce(t *testing.T) {
	r, key := madeElsewhere(t), bytes.Repeat([]byte{7}, 32)

	inRig(t, func(t *testing.T, here *rig) {
		if fresh, err := here.ImportReport(t.Context(), "op", &r, key, false); fresh || codeOf(err) != problem.ReportStranger {
			t.Errorf("the key of a stranger: %v %v", fresh, err)
		}

		for i, want := range []bool{true, false, false} {
			if fresh, err := here.ImportReport(t.Context(), "op", &r, key, i == 0); fresh != want || err != nil {
				t.Errorf("%d: %v %v", i, fresh, err)
			}
		}

		run, host := here.run(r.Run.ID), here.hostOf(1)
		if run.Verdict != core.Pass || run.State != core.StateCompleted || len(run.Stages) != len(r.Stages) ||
			host.LastRun != run.ID || host.LastVerdict != core.Pass || host.CurrentRun != "" {
			t.Errorf("%+v\n%+v", run, host)
		}

		if got := get[report.Report](here, core.TableReport, string(run.ID)); core.Digest(got) != core.Digest(r) {
			t.Error("the report is another one")
		}

		if n := len(here.audits()); n != 3 { // the key, the report, and the host's
			t.Logf("%d audits", n)
		}

		// It goes on as if the run had been its own.
		here.restart()

		if id := here.start(1); here.run(id).State == "" {
			t.Error("no further run")
		}
	})
}

// TestAReportThatIsNotTakenOver: what is not over, not whole, or says something else than
// what is here changes nothing.
func TestAReportThatIsNotTakenOver(t *testing.T) {
	good, key := madeElsewhere(t), bytes.Repeat([]byte{7}, 32)

	for name, change := range map[string]func(*report.Report){
		"another form":       func(r *report.Report) { r.Schema = "x" },
		"no run":             func(r *report.Report) { r.Run.ID = "../x" },
		"no host":            func(r *report.Report) { r.Host.MAC = "x" },
		"a run that goes on": func(r *report.Report) { r.Run.State = core.StateBooting },
		"no verdict":         func(r *report.Report) { r.Run.Verdict = "" },
		"preliminary":        func(r *report.Report) { r.Preliminary = true },
		"an unknown stage":   func(r *report.Report) { r.Stages = append([]report.Stage{{Name: "Rowhammer"}}, r.Stages...) },
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			change(&r)

			inRig(t, func(t *testing.T, here *rig) {
				if fresh, err := here.ImportReport(t.Context(), "op", &r, key, true); fresh || !errors.Is(err, core.ErrInvalid) {
					t.Errorf("%v %v", fresh, err)
				}

				if err := here.ledger.View(t.Context(), func(l core.Reader) error {
					var host core.Host

					return l.Get(core.TableHost, string(coretest.MAC(1)), &host)
				}); !errors.Is(err, core.ErrNotFound) {
					t.Errorf("its host: %v", err)
				}
			})
		})
	}

	inRig(t, func(t *testing.T, here *rig) {
		if _, err := here.ImportReport(t.Context(), "op", &good, key, true); err != nil {
			t.Fatal(err)
		}

		other := good
		other.Summary = "something else"

		if fresh, err := here.ImportReport(t.Context(), "op", &other, key, true); fresh || !errors.Is(err, core.ErrConflict) {
			t.Errorf("%v %v", fresh, err)
		}
	})
}

// A report of a machine that has the address of a host here, and is another one, changes
// nothing of that host.
func TestAReportOfAnotherMachineIsNotTakenOver(t *testing.T) {
	good, key := madeElsewhere(t), bytes.Repeat([]byte{7}, 32)

	for name, change := range map[string]func(*report.Report){
		"another board":        func(r *report.Report) { r.Host.BoardSerial = "another" },
		"another machine":      func(r *report.Report) { r.Host.UUID = "99999999-2222-3333-4444-555555555555" },
		"one that tells no id": func(r *report.Report) { r.Host.UUID, r.Host.BoardSerial = "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, here *rig) {
				if _, err := here.ImportReport(t.Context(), "op", &good, key, true); err != nil {
					t.Fatal(err)
				}

				here.passed() // what machine it is is on record now

				was := here.hostOf(1)
				r := good
				r.Run.ID = core.RunID(string(r.Run.ID[:len(r.Run.ID)-4]) + "ZZZZ")
				change(&r)

				if fresh, err := here.ImportReport(t.Context(), "op", &r, key, true); fresh || !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "another machine") {
					t.Errorf("%v %v", fresh, err)
				}

				if is := here.hostOf(1); was.Identity.BoardSerial == "" || is.LastRun != was.LastRun {
					t.Errorf("%+v", is)
				}
			})
		})
	}
}
