package spec_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/spec"
)

// How many supplies there are is for the stage PSU to judge; what the board's tables say
// beside it is a warning at most.
func TestPowerSuppliesInTheTablesOfTheBoard(t *testing.T) {
	here, gone := core.Supply{Slot: "PSU1", Present: true}, core.Supply{Slot: "PSU2"}

	for name, c := range map[string]struct {
		text  string
		there []core.Supply
		diff  string // expected and actual; empty: none
	}{
		"as many as expected": {"psus: {count: 2}", []core.Supply{here, here}, ""},
		"more":                {"psus: {count: 1}", []core.Supply{here, here}, ""},
		"an empty bay":        {"psus: {count: 2}", []core.Supply{here, gone}, "2 1"},
		"no such table":       {"psus: {count: 2}", nil, ""},
		"nothing expected":    {"cpus: {count: 1}", []core.Supply{here, gone}, ""},
	} {
		inv := coretest.Inventory(1)
		inv.PSUs = c.there

		r := spec.Compare(parse(t, c.text), &inv)

		var got string
		for _, d := range r.Diffs {
			got = d.Expected + " " + d.Actual
		}

		if got != c.diff || c.diff != "" && (r.Diffs[0].Path != "psus.count" || r.Findings[0].Code != "spec/psu-missing" || r.Findings[0].Severity != core.Warning || r.Findings[0].Part.Kind != "psu") {
			t.Errorf("%s: %+v %+v", name, r.Diffs, r.Findings)
		}
	}
}

func TestNumbersOfPowerSuppliesThatMeanNothing(t *testing.T) {
	for _, n := range []int{-1, spec.MaxPSUs + 1} {
		s := spec.Spec{PSUs: spec.PSUs{Count: n}}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "psus.count") {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// What is learned is what the stage PSU saw, and only where it passed: an expectation that no
// machine of the model can show would make each of them an error.
func TestPowerSuppliesAreLearnedFromTheStageThatSawThem(t *testing.T) {
	step := func(name, kind, slot string) core.SubStep {
		return core.SubStep{Name: name, Part: core.Part{Kind: kind, Slot: slot}, Verdict: core.Pass}
	}
	two := []core.SubStep{step("phases", "", ""), step("PSU1", "psu", "PSU1"), step("PSU2", "psu", "PSU2"), step("custom/feed A", "psu", "PSU3"), step("cpus", "", "")}

	for name, c := range map[string]struct {
		stage core.Stage
		want  int
	}{
		"seen":                {core.Stage{Name: core.PSU, Phase: core.Done, Verdict: core.Pass, SubSteps: two}, 2},
		"a stage that failed": {core.Stage{Name: core.PSU, Phase: core.Done, Verdict: core.Fail, SubSteps: two}, 0},
		"not observed":        {core.Stage{Name: core.PSU, Phase: core.Done, Verdict: core.Pass, SubSteps: two[:1]}, 0},
		"another stage":       {core.Stage{Name: core.Burn, Phase: core.Done, Verdict: core.Pass, SubSteps: two}, 0},
	} {
		inv := coretest.Inventory(1)
		inv.PSUs = []core.Supply{{Slot: "PSU1", Present: true}, {Slot: "PSU2", Present: true}, {Slot: "PSU3", Present: true}}

		s := spec.Learn(&inv)
		s.LearnPSUs([]core.Stage{c.stage})

		text, err := yaml.Marshal(s)
		if said := strings.Contains(string(text), "psus:"); err != nil || s.PSUs.Count != c.want || said != (c.want > 0) {
			t.Errorf("%s: %d, want %d: %v\n%s", name, s.PSUs.Count, c.want, err, text)
		}
	}
}
