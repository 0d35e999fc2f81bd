package canned_test

import (
	"slices"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
	"vetting/ui/canned"
)

// What the gallery and the golden pages show must be what the product says: a
// finding of the scenes has a code of the list, and its severity is one the
// pages know.
func TestEveryFindingOfTheScenesIsOneOfTheProduct(t *testing.T) {
	t.Parallel()

	for _, scene := range []canned.Scene{canned.Full, canned.Failed} {
		seen := 0

		for _, run := range runs(t, scene) {
			for _, f := range findings(&run) {
				seen++

				if _, ok := problem.Lookup(f.Code); !ok {
					t.Errorf("%s: run %s shows %q, which is not listed in core/problem", scene, run.ID, f.Code)
				}

				if f.Title == "" || f.Next == "" || !slices.Contains([]core.Severity{core.Critical, core.Warning, core.Info}, f.Severity) {
					t.Errorf("%s: run %s shows a finding that is not whole: %+v", scene, run.ID, f)
				}
			}
		}

		if seen == 0 {
			t.Errorf("the scene %s shows no finding", scene)
		}
	}
}

func runs(t *testing.T, scene canned.Scene) (list []core.Run) {
	t.Helper()

	ledger := coretest.NewLedger()
	if err := canned.Fill(t.Context(), ledger, scene); err != nil {
		t.Fatal(err)
	}

	err := ledger.View(t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableRun, core.Query{}, func(_ string, decode func(any) error) error {
			var run core.Run

			if err := decode(&run); err != nil {
				return err
			}

			list = append(list, run)

			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}

	return list
}

func findings(run *core.Run) []core.Finding {
	list := slices.Clone(run.Findings)
	for i := range run.Stages {
		list = append(list, run.Stages[i].Findings...)
	}

	return list
}
