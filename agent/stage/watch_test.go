package stage_test

import (
	"strings"
	"testing"

	"vetting/agent/stage"
	"vetting/core"
)

// A worker that died of a poisoned page and what the kernel said of the page are one
// story; what it said of anything else is another.
func TestOneFindingTellsOfAPoisonedPage(t *testing.T) {
	result := core.Result{Verdict: core.Fail, Findings: []core.Finding{
		{Code: "worker/memory-poisoned", Severity: core.Critical, Evidence: "SIGBUS, si_code 4"},
		{Code: "memory/coverage", Severity: core.Critical, Evidence: "half"},
	}}
	seen := stage.Seen{Findings: []core.Finding{
		{Code: "kernel/memory-failure", Severity: core.Critical, Evidence: "Memory failure: 0x1b2c3: Recovered"},
		{Code: "ras/memory-poisoned", Severity: core.Critical, Evidence: "HardwareCorrupted went from 0 to 4"},
		{Code: "kernel/nic-down", Severity: core.Warning, Evidence: "Link is Down"},
	}}

	merged := stage.Merge(result, seen)

	const want = "SIGBUS, si_code 4; the kernel: Memory failure: 0x1b2c3: Recovered; HardwareCorrupted went from 0 to 4"
	if got := merged.Findings[0].Evidence; got != want {
		t.Errorf("evidence %q, want %q", got, want)
	}

	if len(merged.Findings) != 5 || strings.Contains(merged.Findings[1].Evidence, "kernel") {
		t.Errorf("findings %+v", merged.Findings)
	}

	if result.Findings[0].Evidence != "SIGBUS, si_code 4" {
		t.Error("what was given was changed")
	}

	quiet := stage.Merge(result, stage.Seen{Findings: seen.Findings[2:]})
	if got := quiet.Findings[0].Evidence; got != "SIGBUS, si_code 4" {
		t.Errorf("evidence %q", got)
	}
}
