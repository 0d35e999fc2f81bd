package ui_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/ui/canned"
)

// TestASilentAgentIsSaidToBe: since when, what is tried and when that ends, and what it
// told last is grey; of one that is heard nothing of it is said.
func TestASilentAgentIsSaidToBe(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Disks, nil)
	auth := "Bearer " + b.token("read")
	path := "/runs/" + string(canned.Run)

	if page := b.ask("GET", path, "", "Authorization", auth).body; strings.Contains(page, "silent since") || strings.Contains(page, "stale") {
		t.Error("an agent that is heard is said to be silent")
	}

	if _, err := b.ledger.Update(context.Background(), func(txn core.Txn) error {
		var run core.Run
		if err := txn.Get(core.TableRun, string(canned.Run), &run); err != nil {
			return err
		}

		run.LastBeat, run.Deadline = canned.Now().Add(-2*time.Minute), canned.Now().Add(3*time.Minute)

		return txn.Put(core.TableRun, string(canned.Run), run)
	}); err != nil {
		t.Fatal(err)
	}

	page := b.ask("GET", path, "", "Authorization", auth).body
	for _, want := range []string{"silent since 12:39", "if it is not heard by 12:44", `class="stages stale"`, `class="stale" id="run-meters"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}
