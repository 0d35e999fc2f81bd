package gate_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vetting/agent/collect"
	"vetting/agent/gate"
	"vetting/agent/machines"
	"vetting/agent/wire"
)

// TestInventoryTravelsWhole: what an agent sends is read field by field, on every
// recorded machine. The wire spells fields as core does.
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

		if diff := cmp.Diff(&inv, gate.CoreInventory(&spelt), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("sent (-), read (+):\n%s", diff)
		}
	})
}
