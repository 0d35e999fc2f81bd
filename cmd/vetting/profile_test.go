package main

import (
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/profile"
)

// A rule of one's own replaces the one of the same id, and no other.
func TestARuleWithAnIDReplacesTheOneBelow(t *testing.T) {
	own := map[string]ProfileConfig{"quick": {Thresholds: []ThresholdConfig{
		{ID: "disk-hot", Stage: "*", Key: "disk/*/temperature_celsius", Op: "lt", Value: 55, Severity: "warning"},
		{Stage: "SMART", Key: "disk/*/temperature_celsius", Op: "within_pct", Value: 10, Of: "baseline", Fallback: 35, Severity: "info"},
	}}}

	merged, err := profiles(profile.Defaults(), own)
	if err != nil {
		t.Fatal(err)
	}

	if err := profile.CheckAll(merged); err != nil {
		t.Fatal(err)
	}

	byID := map[string]core.Rule{}
	for _, p := range merged {
		if p.Name == "quick" {
			for _, r := range p.Rules {
				byID[r.ID] = r
			}
		}
	}

	if r := byID["disk-hot"]; r.Value != 55 || byID["disk-too-hot"].Value != 100 || len(byID) != len(profile.Defaults()[0].Rules)+1 {
		t.Errorf("%+v", byID)
	}

	if r := byID["profile/quick/2"]; r.Fallback != 35 || r.Of != "baseline" {
		t.Errorf("the rule without an id: %+v", byID)
	}

	own["quick"].Thresholds[1].ID = "disk-hot"

	if _, err := profiles(profile.Defaults(), own); err == nil || !strings.Contains(err.Error(), `profiles.quick: thresholds: the id "disk-hot" is used twice`) {
		t.Errorf("one id twice: %v", err)
	}
}
