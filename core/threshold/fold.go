package threshold

import (
	"cmp"
	"math"
	"slices"
	"time"

	"vetting/core"
)

// Fold sums up the samples of a try of a stage in steps, key by key, with the worst
// of the badges that its samples have. Keys that keep does not want are judged with
// the others, where rules compare with them, and left out; nil wants all. The order
// is by key, then by time.
func Fold(rules []core.Rule, stage core.StageName, samples []core.Sample, step time.Duration, keep func(key string) bool) []core.Rollup {
	type slot struct {
		key string
		at  int64
	}

	slots := map[slot]*core.Rollup{}

	for i, badge := range Badges(rules, stage, samples) {
		s := &samples[i]
		if keep != nil && !keep(s.Key) {
			continue
		}

		start := s.Time.UTC().Truncate(step)
		at := slot{s.Key, start.Unix()}

		if slots[at] == nil {
			slots[at] = &core.Rollup{Time: start, Key: s.Key, Unit: s.Unit}
		}

		take(slots[at], s.Value, badge)
	}

	rollups := make([]core.Rollup, 0, len(slots))

	for _, r := range slots {
		if r.Count > 0 {
			r.Mean = math.Round(r.Mean/float64(r.Count)*1e4) / 1e4
		}

		if !number(r.Mean) { // the sum was too large
			r.Mean = r.Min/2 + r.Max/2
		}

		rollups = append(rollups, *r)
	}

	slices.SortFunc(rollups, func(a, b core.Rollup) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), a.Time.Compare(b.Time))
	})

	return rollups
}

// take counts a value in; Mean holds the sum until the end.
func take(r *core.Rollup, v float64, badge Badge) {
	if badge.Rule != "" && (r.Rule == "" || worse(badge.Verdict, r.Verdict) || badge.Verdict == r.Verdict && badge.Severity.Rank() < r.Severity.Rank()) {
		r.Rule, r.Severity, r.Verdict = badge.Rule, badge.Severity, badge.Verdict
	}

	if !number(v) {
		r.Silent++

		return
	}

	if r.Count == 0 {
		r.Min, r.Max = v, v
	}

	r.Min, r.Max = min(r.Min, v), max(r.Max, v)
	r.Mean += v
	r.Count++
}

// Compared lists the keys that rules compare others with.
func Compared(rules []core.Rule) (keys []string) {
	for i := range rules {
		if moves(&rules[i]) && !slices.Contains(keys, rules[i].Of) {
			keys = append(keys, rules[i].Of)
		}
	}

	return keys
}
