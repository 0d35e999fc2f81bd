package report

import (
	"fmt"
	"slices"
	"strings"

	"vetting/core"
)

// summaryOf says in one sentence what came of the run.
func summaryOf(in *Input, r *Report) string {
	return resultOf(in, r) + waivedWords(&r.Verdict)
}

// waivedWords says how many findings somebody bears with.
func waivedWords(v *Verdict) string {
	if v.Waived == 0 {
		return ""
	}

	return fmt.Sprintf(" Waived by an operator: %d of %s; a waiver changes no verdict.", v.Waived, count(v.Criticals+v.Warnings, "finding", "findings"))
}

func resultOf(in *Input, r *Report) string {
	switch r.Verdict.Kind {
	case core.Pass:
		return passSummary(in, r)
	case core.Fail:
		return failSummary(r)
	case core.Cancelled:
		return "The run was cancelled" + cancelledAt(&in.Run) + "; only the stages marked as passed were tested."
	case core.Error, core.Skip, core.Unmeasurable:
		return errorSummary(r)
	default:
		return fmt.Sprintf("The run is not finished (%s): this report is preliminary and proves nothing yet.", in.Run.State)
	}
}

func passSummary(in *Input, r *Report) string {
	passed, skipped := 0, 0

	for i := range in.Run.Stages {
		st := &in.Run.Stages[i]
		if st.Verdict == core.Skip {
			skipped++
		} else {
			passed++
		}
	}

	text := fmt.Sprintf("%d of %s passed", passed, count(len(in.Run.Stages), "planned stage", "planned stages"))
	if skipped > 0 {
		text += fmt.Sprintf(" and %d skipped for a declared reason", skipped)
	}

	if again := triedAgain(&in.Run); len(again) > 0 {
		text += "; run again after a failure: " + strings.Join(again, ", ")
	}

	if f, ok := first(r.Findings, core.Warning); ok {
		text += "; worth a look: " + lowerFirst(strings.TrimSuffix(f.Title, ".")) + onPart(f.Part)
	}

	if outside := len(core.Pipeline()) - len(in.Run.Stages); outside > 0 {
		text += fmt.Sprintf("; %s outside this profile, see below", count(outside, "stage of the pipeline is", "stages of the pipeline are"))
	}

	return text + "."
}

// triedAgain names the stages that had ended badly before they were run again.
func triedAgain(run *core.Run) (names []string) {
	for i := range run.Stages {
		st := &run.Stages[i]
		if slices.ContainsFunc(run.Attempts, func(a core.Attempt) bool { return a.Stage == st.Name && a.Bad() }) && !st.Name.ByAppliance() {
			names = append(names, fmt.Sprintf("%s (tried %d times)", st.Name, st.Attempt))
		}
	}

	return names
}

func failSummary(r *Report) string {
	f, ok := first(r.Findings, core.Critical)
	if !ok {
		for _, st := range r.Stages {
			if st.Verdict == core.Fail {
				return fmt.Sprintf("Not fit for service: stage %s failed.", st.Name)
			}
		}

		return "Not fit for service: the run failed."
	}

	text := "Not fit for service: " + lowerFirst(strings.TrimSuffix(f.Title, ".")) + onPart(f.Part)
	if more := r.Verdict.Criticals - 1; more > 0 {
		text += fmt.Sprintf(", and %s", count(more, "more critical finding", "more critical findings"))
	}

	return text + "."
}

func errorSummary(r *Report) string {
	if r.Verdict.Conflict {
		return fmt.Sprintf("No verdict on the hardware: the run is recorded as passed, but %s.", r.Verdict.Doubt)
	}

	if len(r.Findings) > 0 {
		f := r.Findings[0]

		return "No verdict on the hardware: " + lowerFirst(strings.TrimSuffix(f.Title, ".")) + onPart(f.Part) + "."
	}

	for _, st := range r.Stages {
		if st.Verdict == core.Error {
			return fmt.Sprintf("No verdict on the hardware: the test broke in stage %s.", st.Name)
		}
	}

	return "No verdict on the hardware: the test broke."
}

func cancelledAt(run *core.Run) string {
	for i := range run.Stages {
		if run.Stages[i].Phase != core.Done {
			return fmt.Sprintf(" before stage %s was finished", run.Stages[i].Name)
		}
	}

	return ""
}

func first(findings []Finding, s core.Severity) (Finding, bool) {
	for _, f := range findings {
		if f.Severity == s {
			return f, true
		}
	}

	return Finding{}, false
}

// onPart writes " (disk sda, serial S1)" for a part that has a name.
func onPart(p core.Part) string {
	name := join(p.Kind, p.Slot)

	switch {
	case name == "" && p.Serial == "":
		return ""
	case p.Serial == "":
		return " (" + name + ")"
	case name == "":
		return " (serial " + p.Serial + ")"
	default:
		return " (" + name + ", serial " + p.Serial + ")"
	}
}

// lowerFirst lowers the first letter of a sentence that goes on another, but
// leaves names such as "DIMM" and "CPU" alone.
func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}

	return s
}
