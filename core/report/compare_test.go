package report_test

import (
	"testing"

	"vetting/core"
	"vetting/core/report"
)

func TestTwoReportsSideBySide(t *testing.T) {
	t.Parallel()

	value := func(v float64) *float64 { return &v }
	disk := func(slot, serial string) report.Component {
		return report.Component{Part: core.Part{Kind: "disk", Slot: slot, Serial: serial}}
	}

	a := report.Report{
		Stages:     []report.Stage{{Name: core.SMART, Verdict: core.Fail}, {Name: core.Burn}},
		Components: []report.Component{disk("sda", "OLD"), disk("sdb", "SAME"), disk("sdc", "GONE")},
		Findings:   []report.Finding{{Code: "smart/pending", Stage: core.SMART, Part: core.Part{Kind: "disk", Slot: "sda"}}, {Code: "both"}},
		Evaluations: []report.Evaluation{
			{Stage: core.SMART, Rule: "r", Key: "k", Value: value(-200)}, {Rule: "nought", Value: value(0)}, {Rule: "mute"}, {Rule: "gone", Value: value(1)},
		},
	}
	b := report.Report{
		Stages:     []report.Stage{{Name: core.SMART, Verdict: core.Pass}, {Name: core.GPU}},
		Components: []report.Component{disk("sda", "NEW"), disk("sdb", "SAME"), disk("sdd", "MORE")},
		Findings:   []report.Finding{{Code: "both"}, {Code: "both"}},
		Evaluations: []report.Evaluation{
			{Rule: "nought", Value: value(5)}, {Rule: "mute", Value: value(5)}, {Stage: core.SMART, Rule: "r", Key: "k", Value: value(-150)},
		},
	}

	c := report.Compare(&a, &b)

	if len(c.Stages) != 3 || c.Stages[0].A.Verdict != core.Fail || c.Stages[0].B.Verdict != core.Pass || c.Stages[1].B != nil || c.Stages[2].A != nil {
		t.Errorf("stages %+v", c.Stages)
	}

	if c.Same != 1 || len(c.Parts) != 3 || c.Parts[0].B.Serial != "NEW" || c.Parts[1].B != nil || c.Parts[2].A != nil {
		t.Errorf("%d the same, %+v", c.Same, c.Parts)
	}

	if len(c.Findings) != 3 || c.Findings[0].B != nil || c.Findings[1].A == nil || c.Findings[1].B == nil || c.Findings[2].A != nil {
		t.Errorf("findings %+v", c.Findings)
	}

	if len(c.Limits) != 4 || c.Limits[0].Change == nil || *c.Limits[0].Change != 25 || c.Limits[1].Change != nil || c.Limits[2].Change != nil || c.Limits[3].B != nil {
		t.Errorf("limits %+v", c.Limits)
	}
}
