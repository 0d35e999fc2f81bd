package profile_test

import (
	"errors"
	"slices"
	"testing"

	"vetting/core"
	"vetting/core/profile"
)

func named(base []core.Profile, name string) core.Profile {
	return base[slices.IndexFunc(base, func(p core.Profile) bool { return p.Name == name })]
}

// Profiles extend each other in any order, and one that cannot be used takes those above
// it along, and nothing else.
func TestDraftsExtendEachOther(t *testing.T) {
	t.Parallel()

	base := profile.Defaults()
	drafts := map[string]*core.ProfileDraft{
		"a":     {Extends: "b", Config: map[string]string{profile.SelfTest: "none"}},
		"b":     {Extends: "quick", Config: map[string]string{profile.SelfTest: "extended", profile.CPUDuration: "7m"}},
		"loop":  {Extends: "pool"},
		"pool":  {Extends: "loop"},
		"self":  {Extends: "self"},
		"lost":  {Extends: "nobody"},
		"above": {Extends: "lost"},
		"alone": {Stages: []core.StageName{core.InventoryCheck, core.Reporting}},
		"blank": {},
	}

	fit, unfit := profile.Resolve(base, drafts)

	for _, name := range []string{"loop", "pool", "self", "lost", "above", "blank"} {
		if unfit[name] == nil || fit[name].Name != "" {
			t.Errorf("%s can be used", name)
		}
	}

	if len(fit) != 3 || len(unfit) != 6 {
		t.Errorf("%d fit, %d not: %v", len(fit), len(unfit), unfit)
	}

	a := fit["a"]
	if a.Config[profile.SelfTest] != "none" || a.Config[profile.CPUDuration] != "7m" || len(a.Rules) != len(named(base, "quick").Rules) || a.Scale != 1 {
		t.Errorf("what came of a: %+v", a.Config)
	}

	if named(base, "quick").Config[profile.SelfTest] != "short" {
		t.Error("the profile below was changed")
	}
}

// Every fault of a draft has a place in its text.
func TestFaultsOfADraftHaveAPlace(t *testing.T) {
	t.Parallel()

	_, unfit := profile.Resolve(profile.Defaults(), map[string]*core.ProfileDraft{"bad": {
		Extends: "quick", Scale: 2, Config: map[string]string{"SMART.self_tset": "none", profile.Policy: "old"},
		Stages: []core.StageName{core.InventoryCheck, "Prayer", core.Reporting},
		Rules: []core.Rule{
			{ID: "disk-hot", Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 50, Severity: core.Warning},
			{Stage: "*", Key: "soul/*/weight", Op: "like", Value: 21, Severity: "grave"},
		},
	}})

	joined, ok := unfit["bad"].(interface{ Unwrap() []error }) //nolint:errorlint // what was joined
	if !ok {
		t.Fatalf("%v", unfit["bad"])
	}

	var places []string

	for _, err := range joined.Unwrap() {
		var f *profile.Fault
		if !errors.As(err, &f) || f.Path == nil || !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%v has no place", err)

			continue
		}

		place := f.Path[0]
		if len(f.Path) > 1 {
			place += "/" + f.Path[1]
		}

		places = append(places, place)
	}

	slices.Sort(places)

	want := []string{"config/SMART.policy", "config/SMART.self_tset", "scale", "stages/1", "thresholds/1", "thresholds/1", "thresholds/1"}
	if !slices.Equal(places, want) {
		t.Errorf("places %q, want %q", places, want)
	}
}

// A limit that replaces a shipped one keeps the code under which its findings are known.
func TestALimitThatReplacesOneKeepsItsCode(t *testing.T) {
	t.Parallel()

	fit, unfit := profile.Resolve(profile.Defaults(), map[string]*core.ProfileDraft{"own": {Extends: "quick", Rules: []core.Rule{
		{ID: "cpu-off-class", Stage: "CPUStress", Key: "cpu/host/fma_gflops", Op: core.OpGTE, Of: "baseline", Value: 90, Severity: core.Warning},
	}}})

	p := fit["own"]

	i := slices.IndexFunc(p.Rules, func(r core.Rule) bool { return r.ID == "cpu-off-class" })
	if unfit["own"] != nil || p.Rules[i].Code != "cpustress/off-class" || p.Rules[i].Value != 90 {
		t.Errorf("%v %+v", unfit["own"], p.Rules)
	}
}
