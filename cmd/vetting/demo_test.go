package main

import (
	"testing"

	"vetting/agent/simhost"
)

func TestSpecsOfTheSimulatedHostsAreSpecs(t *testing.T) {
	for _, c := range simhost.Cast(8) {
		if c.Spec == "" {
			continue
		}

		if _, err := parseSpec(c.Spec); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
