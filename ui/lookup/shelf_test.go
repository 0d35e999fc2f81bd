package lookup_test

import (
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/lookup"
)

// A run that goes on is looked at each time, one that is over only once.
func TestAShelfKeepsOnlyWhatDoesNotChange(t *testing.T) {
	t.Parallel()

	var shelf lookup.Shelf

	ledger := coretest.NewLedger()
	put := func(state core.State, product string) {
		_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
			if err := txn.Put(core.TableRun, "01JD4X00000000000000000011", core.Run{ID: "01JD4X00000000000000000011", State: state}); err != nil {
				return err
			}

			return txn.Put(core.TableInventory, "01JD4X00000000000000000011", core.Inventory{System: core.System{Product: product}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	read := func() (state core.State, model string) {
		err := ledger.View(t.Context(), func(r core.Reader) error {
			run, err := shelf.Run(r, "01JD4X00000000000000000011")
			if err != nil {
				return err
			}

			state = run.State
			model, err = shelf.Model(r, run.ID)

			return err
		})
		if err != nil {
			t.Fatal(err)
		}

		return state, model
	}

	for _, step := range []struct {
		state     core.State
		product   string
		wantState core.State
		wantModel string
	}{
		{core.StateBooting, "", core.StateBooting, ""},
		{core.State(core.SMART), "R740", core.State(core.SMART), "R740"},
		{core.StateCompleted, "R740", core.StateCompleted, "R740"},
		{core.StateReleased, "R999", core.StateCompleted, "R740"},
	} {
		put(step.state, step.product)

		if state, model := read(); state != step.wantState || model != step.wantModel {
			t.Errorf("with %s and %q read %s and %q", step.state, step.product, state, model)
		}
	}
}

// A run that goes on is read from its text once, however often it is asked for, and never
// a text that is another one.
func TestAShelfReadsATextOnce(t *testing.T) {
	t.Parallel()

	var shelf lookup.Shelf

	const id = core.RunID("01JD4X00000000000000000011")

	ledger := coretest.NewLedger()
	read := func(progress float64) (run *core.Run) {
		_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
			return txn.Put(core.TableRun, string(id), core.Run{ID: id, State: core.State(core.SMART), Stages: []core.Stage{{Name: core.SMART, Progress: progress}}})
		})
		if err == nil {
			err = ledger.View(t.Context(), func(r core.Reader) (err error) {
				run, err = shelf.Run(r, id)

				return err
			})
		}

		if err != nil {
			t.Fatal(err)
		}

		return run
	}

	first, again, on := read(0.25), read(0.25), read(0.5)
	if first != again {
		t.Error("the same text was read twice")
	}

	if first.Stages[0].Progress != 0.25 || on.Stages[0].Progress != 0.5 {
		t.Errorf("read %+v, then %+v", first.Stages, on.Stages)
	}
}

// A host that changed is read anew, one that did not is the one that was read.
func TestAShelfReadsAHostThatChanged(t *testing.T) {
	t.Parallel()

	var shelf lookup.Shelf

	ledger := coretest.NewLedger()
	put := func(mac core.MAC, name string) {
		_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
			return txn.Put(core.TableHost, string(mac), core.Host{MAC: mac, Name: name})
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	read := func() (hosts []*core.Host) {
		err := ledger.View(t.Context(), func(r core.Reader) (err error) {
			hosts, err = shelf.Hosts(r)

			return err
		})
		if err != nil {
			t.Fatal(err)
		}

		return hosts
	}

	put("02:00:00:00:00:01", "node10")
	put("02:00:00:00:00:02", "node9")

	before := read()
	if len(before) != 2 || before[0].Name != "node9" || before[1].Name != "node10" {
		t.Fatalf("hosts %+v, want node9 before node10", before)
	}

	put("02:00:00:00:00:01", "node1")

	after := read()
	if len(after) != 2 || after[0].Name != "node1" || after[1] != before[0] {
		t.Errorf("hosts %+v, want node1 read anew, then the same node9", after)
	}
}
