package core_test

import (
	"testing"

	"vetting/core"
)

func TestLimitWords(t *testing.T) {
	t.Parallel()

	for limit, want := range map[string]string{
		"lt 85": "below 85", "lte 55": "at most 55", "gt 0": "above 0", "gte 85 % of 40 (golden host g)": "at least 85 % of 40 (golden host g)",
		"within_pct 10 of 40": "within 10 % of 40", "": "", "odd": "odd", "within_pct 10": "within_pct 10",
	} {
		if got := core.LimitWords(limit); got != want {
			t.Errorf("LimitWords(%q) = %q, want %q", limit, got, want)
		}
	}
}
