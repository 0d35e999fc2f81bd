package lookup_test

import (
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/lookup"
)

// slowReader takes until somebody lets it go on to look through the runs.
type slowReader struct {
	core.Reader

	begun, on chan struct{}
}

func (s slowReader) Scan(table core.Table, q core.Query, each func(key string, decode func(any) error) error) error {
	close(s.begun)
	<-s.on

	return s.Reader.Scan(table, q, each)
}

// TestNobodyWaitsForWhoLearns: hundreds of machines ask what is left of their runs, and one
// of them looks through the runs that have ended. What that finds all are told then.
func TestNobodyWaitsForWhoLearns(t *testing.T) {
	t.Parallel()

	var (
		paces  lookup.Paces
		shelf  lookup.Shelf
		ledger = coretest.NewLedger()
		now    = time.Now()
		run    = core.Run{ID: "01JD4X00000000000000000012", State: core.StateCompleted}
		stage  = core.Stage{Name: core.SMART, Phase: core.Done, Verdict: core.Pass, StartedAt: now.Add(-time.Hour), EndedAt: now}
	)

	run.Stages = append(run.Stages, stage)

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		if err := txn.Put(core.TableInventory, string(run.ID), core.Inventory{System: core.System{Product: "R740"}}); err != nil {
			return err
		}

		return txn.Put(core.TableRun, string(run.ID), run)
	})
	if err != nil {
		t.Fatal(err)
	}

	err = ledger.View(t.Context(), func(r core.Reader) error {
		slow, learned := slowReader{r, make(chan struct{}), make(chan struct{})}, make(chan error)

		go func() {
			_, err := paces.Of(slow, &shelf, &run, now)
			learned <- err
		}()

		<-slow.begun

		asked := make(chan error)

		go func() {
			_, err := paces.Of(r, &shelf, &run, now.Add(time.Minute)) // due again, and not twice at once
			asked <- err
		}()

		select {
		case err := <-asked:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("who asks waits for who learns")
			close(slow.on)
			<-asked
			<-learned

			return nil
		}

		close(slow.on)

		if err := <-learned; err != nil {
			t.Error(err)
		}

		models, err := paces.ByModel(r, &shelf, &run, now)
		if err != nil || len(models) != 1 {
			t.Errorf("%v: %+v", err, models)
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
