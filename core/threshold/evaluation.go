package threshold

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"vetting/core"
)

// Evaluations says what came of every rule that applies to the stage: one line
// for each key it was the one to judge, and one without a key for a rule that
// met no sample, when it is required or names the stage.
func (j *Judge) Evaluations() (all []core.Evaluation) {
	met := map[int]bool{}

	for _, key := range slices.Sorted(maps.Keys(j.series)) {
		for i := range j.series[key].watches {
			w := &j.series[key].watches[i]
			met[w.rule] = true
			all = append(all, j.evaluation(w, key))
		}
	}

	if j.lost > 0 && len(j.rules) > 0 {
		all = append(all, core.Evaluation{
			Rule: "too-many-series", Value: math.NaN(), Verdict: core.Error, Severity: core.Critical,
			Limit: fmt.Sprintf("at most %d sample keys", maxSeries),
		})
	}

	for i := range j.rules {
		if !met[i] && j.missed(i) {
			all = append(all, j.evaluation(&watch{rule: i}, ""))
		}
	}

	return all
}

// missed reports whether the absence of samples for a rule is worth a line: not
// when another rule judged the keys it matches.
func (j *Judge) missed(i int) bool {
	r := &j.rules[i]
	if !matches(r.Stage, string(j.stage)) || !r.Required && r.Stage != string(j.stage) {
		return false
	}

	for key := range j.series {
		if matches(r.Key, key) {
			return false
		}
	}

	return true
}

func (j *Judge) evaluation(w *watch, key string) core.Evaluation {
	r := &j.rules[w.rule]
	e := core.Evaluation{Rule: r.ID, Key: key, Value: w.worst, Limit: limit(r), Severity: r.Severity, Verdict: core.Pass}

	switch {
	case w.broken:
		e.Verdict = core.Fail
	case w.seen && !w.mute:
	case r.Required:
		e.Verdict, e.Value = core.Error, math.NaN()
	default:
		e.Verdict, e.Value = core.Unmeasurable, math.NaN()
	}

	return e
}
