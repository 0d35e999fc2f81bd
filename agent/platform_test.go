package agent_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vetting/agent"
	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/agent/wire"
	"vetting/core"
)

// TestInventoryTravelsWhole: what a probe found goes out field by field, on every
// recorded machine, and the appliance takes it. The wire spells fields as core does.
func TestInventoryTravelsWhole(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		inv, err := r.Machine().Inventory("")
		if err != nil {
			t.Log(err) // part of it is an inventory as well
		}

		text, err := json.Marshal(inv)
		if err != nil {
			t.Fatal(err)
		}

		var spelt wire.Inventory
		if err := json.Unmarshal(text, &spelt); err != nil {
			t.Fatal(err)
		}

		sent := agent.WireInventory(&inv)
		if diff := cmp.Diff(&spelt, sent, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("found (-), sent (+):\n%s", diff)
		}

		result := wire.Result{Seq: 1, Stage: wire.StageName(core.InventoryCheck), Verdict: wire.VerdictPass, Inventory: sent}
		if err := result.Validate(); err != nil {
			t.Errorf("the appliance refuses it: %v", err)
		}
	})
}
