package threshold

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/catalogue"
)

// baseline stands in Rule.Of for what hosts of the same class measured.
const baseline = "baseline"

// Check refuses rules that could never work: unknown stages, keys and
// comparisons, limits that are no number, missing or repeated names. All faults
// are joined, each a *core.Problem that names the rule.
func Check(rules []core.Rule) error {
	var faults []error

	seen := map[string]bool{}

	for i := range rules {
		r := &rules[i]

		for _, fault := range Faults(r) {
			faults = append(faults, core.NewProblem(core.ErrInvalid, "threshold/bad-rule",
				fmt.Sprintf("Rule %d (%q): %s.", i+1, r.ID, fault)))
		}

		if seen[r.ID] {
			faults = append(faults, core.NewProblem(core.ErrInvalid, "threshold/bad-rule",
				fmt.Sprintf("Rule %d: the id %q is used twice; give each rule its own.", i+1, r.ID)))
		}

		seen[r.ID] = true
	}

	return errors.Join(faults...)
}

// Faults says what is wrong with one rule, each in words without a full stop.
func Faults(r *core.Rule) (faults []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}

	say(r.ID == "", "it has no id")
	say(!knownStage(r.Stage), "stage %q is not a stage of the pipeline nor a pattern over them", r.Stage)
	say(direction(r.Op) == none, "op %q is not one of lt, lte, gt, gte, within_pct", r.Op)
	say(math.IsNaN(r.Value) || math.IsInf(r.Value, 0), "the value is not a number")
	say(r.For < 0 || r.Count < 0, "for and count must not be negative")
	say(r.Severity != core.Critical && r.Severity != core.Warning && r.Severity != core.Info,
		"severity %q is not one of critical, warning, info", r.Severity)

	if err := catalogue.CheckGlob(r.Key); err != nil {
		say(true, "no sample key of the catalogue matches %q", r.Key)
	}

	say(r.Op == core.OpWithinPct && r.Of == "", "within_pct needs of: a number, a sample key or %q", baseline)
	say(r.Of != "" && !knownReference(r.Of), "of is a number, a sample key or %q, not %q", baseline, r.Of)
	say(r.Of != "" && r.Value < 0, "the value is a percentage of what of names, 0 or more")
	say(r.Fallback != 0 && r.Of != baseline, "fallback goes with of: %s only", baseline)
	say(!number(r.Fallback), "the fallback is not a number")

	return faults
}

func knownStage(glob string) bool {
	for _, name := range core.Pipeline() {
		if matches(glob, string(name)) {
			return true
		}
	}

	return false
}

func knownReference(of string) bool {
	if v, err := strconv.ParseFloat(of, 64); err == nil {
		return v != 0 && !math.IsNaN(v) && !math.IsInf(v, 0)
	}

	_, known := catalogue.Lookup(of)

	return known || of == baseline
}

// side says on which side of its limit a rule wants the value.
type side int

const (
	none side = iota
	below
	above
	around
)

func direction(op core.Op) side {
	switch op {
	case core.OpLT, core.OpLTE:
		return below
	case core.OpGT, core.OpGTE:
		return above
	case core.OpWithinPct:
		return around
	default:
		return none
	}
}

// beats reports whether a wins over b, of the same severity and direction, for a
// sample that both match.
func beats(a, b *core.Rule) bool {
	if x, y := specificity(a.Key), specificity(b.Key); x != y {
		return x > y
	}

	if x, y := specificity(a.Stage), specificity(b.Stage); x != y {
		return x > y
	}

	if x, y := rank(a.From), rank(b.From); x != y {
		return x > y
	}

	return stricter(a, b)
}

// rank says how near to the run a rule was given: what was said of this host
// counts more than what was said of all.
func rank(from core.Layer) int {
	return slices.Index([]core.Layer{core.FromProfile, core.FromClass, core.FromHost, core.FromRun}, from)
}

// specificity ranks a pattern: the more letters it fixes the more it says, and
// one without wildcards beats all others.
func specificity(glob string) int {
	wild := strings.Count(glob, "*") + strings.Count(glob, "?") + strings.Count(glob, "[")
	if wild == 0 {
		return math.MaxInt
	}

	return len(glob) - wild
}

func stricter(a, b *core.Rule) bool {
	switch {
	case a.Value != b.Value && direction(a.Op) == above:
		return a.Value > b.Value
	case a.Value != b.Value:
		return a.Value < b.Value
	case a.Op != b.Op:
		return a.Op == core.OpLT || a.Op == core.OpGT
	case a.For != b.For:
		return a.For < b.For
	default:
		return a.Count < b.Count
	}
}

func matches(glob, s string) bool {
	ok, err := path.Match(glob, s)

	return ok && err == nil
}

// limit writes the condition as the report prints it: "lte 55".
func limit(r *core.Rule) string {
	text := string(r.Op) + " " + strconv.FormatFloat(r.Value, 'g', -1, 64)

	if r.Of != "" && r.Op != core.OpWithinPct {
		text += " %"
	}

	switch {
	case r.Of == "":
		return text
	case r.Of == baseline && r.Baseline.From == "":
		return text + " of the baseline, which is not known yet"
	case r.Of == baseline:
		return text + " of " + strconv.FormatFloat(r.Baseline.Value, 'g', -1, 64) + " (" + r.Baseline.From + ")"
	default:
		return text + " of " + r.Of
	}
}
