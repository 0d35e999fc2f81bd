package report

import (
	"fmt"
	"slices"

	"vetting/core"
)

// Verdict is the run's verdict as a person reads it.
type Verdict struct {
	Words     string       `json:"words"`              // "PASS", "PASS with 2 warnings, 1 waived", "FAIL", "ERROR", "CANCELLED", "NOT FINISHED"
	Kind      core.Verdict `json:"kind,omitempty"`     // pass, fail, error, cancelled; empty while the run is not decided
	Warnings  int          `json:"warnings"`           // findings of severity warning
	Criticals int          `json:"criticals"`          // findings of severity critical
	Waived    int          `json:"waived,omitempty"`   // of both, those that somebody bears with; it changes no verdict
	Doubt     string       `json:"doubt,omitempty"`    // why a run recorded as passed does not read as pass
	Conflict  bool         `json:"conflict,omitempty"` // Doubt is set: record and stages disagree
}

// Read reads the verdict of run, as its report would; waivers are those of its host.
func Read(run *core.Run, waivers []core.Waiver) Verdict {
	if len(waivers) == 0 {
		return verdictOf(run, gatherFindings(run))
	}

	at := run.EndedAt
	if at.IsZero() {
		at = run.UpdatedAt
	}

	return verdictOf(run, Findings(run, waivers, at))
}

// verdictOf reads the verdict. A run recorded as passed reads as ERROR when one
// of its stages does not bear that out: it is better to test twice than to hand
// over what was not tested.
func verdictOf(run *core.Run, findings []Finding) Verdict {
	v := Verdict{Kind: run.Verdict}

	for _, f := range findings {
		if f.Waiver != nil {
			v.Waived++
		}

		switch f.Severity {
		case core.Critical:
			v.Criticals++
		case core.Warning:
			v.Warnings++
		case core.Info:
		}
	}

	switch run.Verdict {
	case core.Pass:
		if v.Doubt = doubt(run, v.Criticals); v.Doubt != "" {
			v.Kind, v.Words, v.Conflict = core.Error, "ERROR", true
		} else {
			v.Words = "PASS" + withWarnings(v.Warnings, v.Waived)
		}
	case core.Fail:
		v.Words = "FAIL"
	case core.Cancelled:
		v.Words = "CANCELLED"
	case core.Error, core.Skip, core.Unmeasurable:
		v.Kind, v.Words = core.Error, "ERROR"
	default:
		v.Words = "NOT FINISHED"
	}

	return v
}

// doubt names what keeps a run recorded as passed from reading as pass; empty
// when nothing does.
func doubt(run *core.Run, criticals int) string {
	if len(run.Stages) == 0 {
		return "the run has no stages, so nothing was tested"
	}

	if criticals > 0 {
		return fmt.Sprintf("%s recorded against it", count(criticals, "critical finding is", "critical findings are"))
	}

	for i := range run.Stages {
		if why := stageDoubt(&run.Stages[i]); why != "" {
			return fmt.Sprintf("stage %s %s", run.Stages[i].Name, why)
		}
	}

	tested := false
	for i := range run.Stages {
		tested = tested || run.Stages[i].Verdict == core.Pass && run.Stages[i].Name != core.Reporting
	}

	if !tested {
		return "every stage was skipped, so nothing was tested"
	}

	return ""
}

// stageDoubt says why a stage does not support a pass. The Reporting stage may
// still be under way: this report is what it makes.
func stageDoubt(st *core.Stage) string {
	switch {
	case st.Name == core.Reporting && st.Phase != core.Done:
		return ""
	case st.Phase != core.Done:
		return "was never finished"
	case slices.ContainsFunc(st.SubSteps, func(s core.SubStep) bool { return s.Verdict == core.Fail || s.Verdict == core.Error }):
		return "has a part that failed"
	case st.Verdict == core.Pass:
		return ""
	case st.Verdict == core.Skip && st.SkipReason != "":
		return ""
	case st.Verdict == core.Skip:
		return "was skipped without a declared reason"
	case st.Verdict == "":
		return "ended without a verdict"
	default:
		return fmt.Sprintf("ended with %q", st.Verdict)
	}
}

func withWarnings(n, waived int) string {
	if n == 0 {
		return ""
	}

	return " with " + CountWaived(n, waived, "warning", "warnings")
}

// CountWaived writes "2 warnings", and how many of them somebody bears with: "2 warnings,
// 1 waived".
func CountWaived(n, waived int, one, many string) string {
	switch {
	case waived == 0:
		return count(n, one, many)
	case waived < n:
		return fmt.Sprintf("%s, %d waived", count(n, one, many), waived)
	case n == 1:
		return count(n, one, many) + ", waived"
	default:
		return count(n, one, many) + ", all waived"
	}
}

// count writes "1 warning" or "3 warnings".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}

	return fmt.Sprintf("%d %s", n, many)
}
