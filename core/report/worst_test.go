package report_test

import (
	"testing"

	"vetting/core"
	"vetting/core/report"
)

// The worst finding of a run is the one that its report begins with.
func TestCountingWhatIsWaived(t *testing.T) {
	t.Parallel()

	for want, c := range map[string][2]int{
		"0 warnings": {0, 0}, "2 warnings": {2, 0}, "2 warnings, 1 waived": {2, 1}, "1 warning, waived": {1, 1}, "3 warnings, all waived": {3, 3},
	} {
		if got := report.CountWaived(c[0], c[1], "warning", "warnings"); got != want {
			t.Errorf("%v: %q, want %q", c, got, want)
		}
	}
}

func TestTheWorstFindingLeadsTheReport(t *testing.T) {
	t.Parallel()

	grave := []core.Severity{core.Info, core.Warning, core.Critical}

	for n := range 81 { // three places, each with one of three severities or two of them
		run := core.Run{Findings: nil, Stages: []core.Stage{{Name: core.SMART}, {Name: core.Memory}}}
		add := func(list *[]core.Finding, digit int, title string) {
			*list = append(*list, core.Finding{Severity: grave[digit%3], Title: title})
		}

		add(&run.Findings, n, "of the run")
		add(&run.Stages[0].Findings, n/3, "of the first stage")
		add(&run.Stages[0].Findings, n/9, "of the first stage, second")
		add(&run.Stages[1].Findings, n/27, "of the second stage")

		want := report.Build(report.Input{Run: run}).Findings[0]
		if got := report.Worst(&run); got == nil || got.Title != want.Title || got.Severity != want.Severity {
			t.Errorf("%d: %+v, and the report begins with %q", n, got, want.Title)
		}
	}

	if got := report.Worst(&core.Run{Stages: []core.Stage{{}}}); got != nil {
		t.Errorf("of none: %+v", got)
	}
}
