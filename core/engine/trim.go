package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// rowsBudget is what the stages of a run may take together, in bytes: the record
// of the run and the report made of it must fit into 512 KiB each.
const rowsBudget = 240 << 10

func budget(stages int) int { return rowsBudget / max(1, stages) }

// trim cuts a stage row to limit bytes, the least important first, and says so:
// long texts, then measurements (which the samples have), then passing
// evaluations and sub-steps, then findings from the least grave on.
func trim(row *core.Stage, limit int) {
	if encodedSize(row) <= limit {
		return
	}

	before := fmt.Sprintf("%d findings, %d sub-steps, %d measurements, %d evaluations",
		len(row.Findings), len(row.SubSteps), len(row.Measurements), len(row.Evaluations))

	slices.SortStableFunc(row.Findings, func(a, b core.Finding) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })
	slices.SortStableFunc(row.Evaluations, func(a, b core.Evaluation) int { return cmp.Compare(weight(a.Verdict), weight(b.Verdict)) })
	slices.SortStableFunc(row.SubSteps, func(a, b core.SubStep) int { return cmp.Compare(weight(a.Verdict), weight(b.Verdict)) })

	for i := range row.Findings {
		f := &row.Findings[i]
		f.Evidence, f.Next = clip(f.Evidence, maxWord), clip(f.Next, maxWord)
	}

	for encodedSize(row) > limit*9/10 {
		if !halve(row) {
			break
		}
	}

	row.Findings = append(row.Findings, problem.Finding(problem.StageTrimmed, core.Warning, row.Name, core.Part{},
		fmt.Sprintf("the stage brought %s; %d, %d, %d and %d were kept",
			before, len(row.Findings), len(row.SubSteps), len(row.Measurements), len(row.Evaluations))))
}

// halve drops the second half of the list that can be missed most; false when
// there is nothing left to drop.
func halve(row *core.Stage) bool {
	switch {
	case len(row.Measurements) > 0:
		row.Measurements = row.Measurements[:len(row.Measurements)/2]
	case len(row.Evaluations) > 8:
		row.Evaluations = row.Evaluations[:len(row.Evaluations)/2]
	case len(row.Diffs) > 8:
		row.Diffs = row.Diffs[:len(row.Diffs)/2]
	case len(row.SubSteps) > 8:
		row.SubSteps = row.SubSteps[:len(row.SubSteps)/2]
	case len(row.Findings) > 1:
		row.Findings = row.Findings[:len(row.Findings)/2]
	default:
		return false
	}

	return true
}

func encodedSize(row *core.Stage) int {
	encoded, err := json.Marshal(row)
	if err != nil {
		return 0
	}

	return len(encoded)
}

func weight(v core.Verdict) int {
	return slices.Index([]core.Verdict{core.Fail, core.Error, core.Unmeasurable, core.Skip, core.Pass}, v)
}
