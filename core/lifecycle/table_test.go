package lifecycle_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/lifecycle"
)

var update = flag.Bool("update", false, "rewrite golden files")

// plan returns the whole pipeline as it stands when a run is in state: the stages
// before it passed; after a Clear the stage itself has too, after a failure it
// has failed.
func plan(state core.State, event lifecycle.Event) []core.Stage {
	names := core.Pipeline()
	at := slices.Index(names, core.StageName(state))

	rows := make([]core.Stage, len(names))
	for i, name := range names {
		rows[i] = core.Stage{Name: name, Phase: core.Pending}

		if i < at || i == at && event == lifecycle.Clear {
			rows[i].Phase, rows[i].Verdict = core.Done, core.Pass
		} else if i == at {
			rows[i].Phase = core.Active
		}
	}

	if state == core.StateFailedHolding {
		for i := range 4 {
			rows[i].Phase, rows[i].Verdict = core.Done, core.Pass
		}

		rows[3].Verdict = core.Fail // SMART
	}

	return rows
}

// TestTheWholeTable prints every state against every event. The file is the
// documentation of the life of a run; read a change of it before accepting it.
func TestTheWholeTable(t *testing.T) {
	var b strings.Builder

	b.WriteString("# The life of a run\n\n" +
		"Made by the golden test of core/lifecycle: every state against every event, over the whole pipeline. A dash is refused.\n" +
		"For `retry` the run failed in SMART. What is owed stands behind the next state.\n")

	for _, state := range lifecycle.States() {
		fmt.Fprintf(&b, "\n## %s\n\n| event | next | owed |\n|---|---|---|\n", state)

		for _, event := range lifecycle.Events() {
			m, err := lifecycle.Step(state, plan(state, event), event)
			if err != nil {
				fmt.Fprintf(&b, "| %s | - | |\n", event)

				continue
			}

			owed := make([]string, len(m.Owed))
			for i, a := range m.Owed {
				owed[i] = string(a)
			}

			fmt.Fprintf(&b, "| %s | %s | %s |\n", event, m.Next, strings.Join(owed, ", "))
		}
	}

	golden(t, "testdata/table.golden", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()

	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}

	if got != string(want) {
		t.Errorf("%s differs from what is printed now; read the difference, then run with -update\n%s", name, got)
	}
}

func TestEveryPairIsWrittenOnce(t *testing.T) {
	seen := map[string]bool{}

	for _, pair := range lifecycle.Pairs() {
		if seen[pair] {
			t.Errorf("%s is in two rows", pair)
		}

		seen[pair] = true
	}

	for _, event := range lifecycle.Events() {
		if !slices.ContainsFunc(lifecycle.Pairs(), func(p string) bool { return strings.HasSuffix(p, " "+string(event)) }) {
			t.Errorf("event %s is in no row", event)
		}
	}
}

func TestNoEventLeavesAnOverStateAndEveryOtherHasAWayOut(t *testing.T) {
	for _, state := range lifecycle.States() {
		ways := 0

		for _, event := range lifecycle.Events() {
			m, err := lifecycle.Step(state, plan(state, event), event)
			if err == nil && m.Next != state {
				ways++
			}

			if state.Over() && err == nil {
				t.Errorf("%s takes %s to %s", state, event, m.Next)
			}
		}

		if !state.Over() && ways == 0 {
			t.Errorf("%s has no way out", state)
		}
	}
}

// product.md: "every pair not in the table is rejected with a clear error".
func TestARefusalSaysTheStateAndWhatToDo(t *testing.T) {
	for _, state := range lifecycle.States() {
		for _, event := range lifecycle.Events() {
			_, err := lifecycle.Step(state, plan(state, event), event)
			if err == nil {
				continue
			}

			p, ok := errors.AsType[*core.Problem](err)
			if !ok || !errors.Is(err, core.ErrConflict) {
				t.Fatalf("%s in %s: %v is no problem of kind conflict", event, state, err)
			}

			if p.Details["state"] != string(state) || !strings.Contains(p.Message, string(state)) && state != core.StateFailedHolding || !strings.HasSuffix(p.Message, ".") {
				t.Errorf("%s in %s: %q %v", event, state, p.Message, p.Details)
			}
		}
	}
}

// product.md: "any active state → Cancelled"; decisions.md: a hold is released.
func TestCancelLeavesEveryActiveState(t *testing.T) {
	for _, state := range lifecycle.States() {
		m, err := lifecycle.Step(state, plan(state, lifecycle.Cancel), lifecycle.Cancel)
		active := !state.Over() && state != core.StateFailed && state != core.StateFailedHolding

		if active && (err != nil || m.Next != core.StateCancelled) {
			t.Errorf("cancel in %s: %v %v", state, m.Next, err)
		}

		if !active && err == nil {
			t.Errorf("cancel in %s goes to %s", state, m.Next)
		}
	}
}

func TestAgainFindsTheStageWhoseEvidenceIsNeeded(t *testing.T) {
	done := func(name core.StageName, v core.Verdict) core.Stage {
		return core.Stage{Name: name, Phase: core.Done, Verdict: v}
	}

	for name, c := range map[string]struct {
		plan []core.Stage
		want core.StageName
	}{
		"an agent's stage is run itself": {
			[]core.Stage{done(core.InventoryCheck, core.Pass), done(core.SMART, core.Fail), {Name: core.Reporting}}, core.SMART,
		},
		"an error counts as a failure": {[]core.Stage{done(core.InventoryCheck, core.Error)}, core.InventoryCheck},
		"for the spec the inventory is taken anew": {
			[]core.Stage{done(core.InventoryCheck, core.Pass), done(core.Firmware, core.Pass), done(core.SpecValidate, core.Fail)}, core.InventoryCheck,
		},
		"for the report the stage that could not be measured": {
			[]core.Stage{done(core.InventoryCheck, core.Pass), done(core.SMART, core.Unmeasurable), done(core.Reporting, core.Error)}, core.SMART,
		},
		"nothing failed":         {[]core.Stage{done(core.InventoryCheck, core.Pass), {Name: core.SMART}}, ""},
		"everything was skipped": {[]core.Stage{done(core.InventoryCheck, core.Skip), done(core.Reporting, core.Error)}, ""},
	} {
		if got, ok := lifecycle.Again(c.plan); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q %v, want %q", name, got, ok, c.want)
		}
	}
}

// FuzzLife throws events at a run in any order: it never panics, an over state is
// never left, and the state is always one of the table's.
func FuzzLife(f *testing.F) {
	f.Add([]byte{0, 3, 4, 5, 7, 7, 7, 7, 7})
	f.Add([]byte{0, 1, 4, 5, 8, 13, 14, 7, 9, 13, 15})
	f.Add([]byte{0, 17, 0})
	f.Add([]byte{0, 3, 11, 13, 14, 16})

	f.Fuzz(func(t *testing.T, script []byte) {
		r := newRunner(core.InventoryCheck, core.SpecValidate, core.SMART, core.Reporting)

		for _, b := range script {
			events := lifecycle.Events()
			before := r.state
			r.step(events[int(b)%len(events)])

			if before.Over() && r.state != before {
				t.Fatalf("%s was left for %s", before, r.state)
			}

			if !slices.Contains(lifecycle.States(), r.state) {
				t.Fatalf("%q is no state", r.state)
			}
		}
	})
}
