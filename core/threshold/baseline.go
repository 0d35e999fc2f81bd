package threshold

import (
	"fmt"
	"slices"

	"vetting/core"
)

// enough is how many hosts of a class must have passed before their median counts.
const enough = 5

// Peer is what a host of the class measured when it last passed, by stage.
type Peer struct {
	Name    string
	Golden  bool // the one to compare with while too few have passed
	Figures []core.Figures
}

// Medians returns the median of the numbers of each sample key.
func Medians(samples []core.Sample) map[string]float64 {
	values := map[string][]float64{}

	for i := range samples {
		s := &samples[i]
		if _, known := values[s.Key]; number(s.Value) && (known || len(values) < maxSeries) {
			values[s.Key] = append(values[s.Key], s.Value)
		}
	}

	medians := make(map[string]float64, len(values))
	for key, all := range values {
		medians[key] = median(all)
	}

	return medians
}

// median sorts values, of which there is at least one.
func median(values []float64) float64 {
	slices.Sort(values)

	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}

	return values[half-1]/2 + values[half]/2
}

// Wanted reports whether a rule compares with a baseline.
func Wanted(rules []core.Rule) bool {
	return slices.ContainsFunc(rules, func(r core.Rule) bool { return r.Of == baseline })
}

// Resolve returns the rules with what "baseline" stands for in each: the median of
// the class, if five of its hosts or more have measured what the rule is about,
// else what its golden host measured, else the rule's own fallback, else nothing.
// All keys and stages that a rule matches count together.
func Resolve(rules []core.Rule, class string, peers []Peer) []core.Rule {
	resolved := slices.Clone(rules)

	for i := range resolved {
		r := &resolved[i]
		r.Baseline = core.Baseline{} // whoever wrote the rule cannot say

		if r.Of == baseline {
			r.Baseline = resolve(r, class, peers)
		}
	}

	return resolved
}

func resolve(r *core.Rule, class string, peers []Peer) (found core.Baseline) {
	var all []float64

	for i := range peers {
		v, measured := figure(r, peers[i].Figures)
		if !measured {
			continue
		}

		all = append(all, v)

		if peers[i].Golden {
			found = core.Baseline{Value: v, From: "golden host " + peers[i].Name}
		}
	}

	if len(all) >= enough {
		found = core.Baseline{Value: median(all), From: fmt.Sprintf("median of %d hosts of %s", len(all), class)}
	}

	switch {
	case found.From != "" && found.Value != 0: // nothing is within a percentage of zero
		return found
	case r.Fallback != 0:
		return core.Baseline{Value: r.Fallback, From: "fallback"}
	default:
		return core.Baseline{}
	}
}

// figure is what a host measured of what a rule is about.
func figure(r *core.Rule, figures []core.Figures) (v float64, measured bool) {
	var all []float64

	for _, f := range figures {
		if !matches(r.Stage, string(f.Stage)) {
			continue
		}

		for key, value := range f.Medians {
			if matches(r.Key, key) && number(value) {
				all = append(all, value)
			}
		}
	}

	if len(all) == 0 {
		return 0, false
	}

	return median(all), true
}
