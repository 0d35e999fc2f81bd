package threshold

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/core"
)

// The most that a trail keeps: moments where the verdict changed, breaches, and
// samples of each (before it, and of it).
const (
	maxChanges  = 16
	maxBreaches = 4
	samplesLead = 5
	samplesOf   = 10
)

// Trails says what each rule that counts for a key saw of it while the stage ran.
// The same rules and samples give the same trails, in whatever order the samples
// are given.
func Trails(rules []core.Rule, stage core.StageName, samples []core.Sample) []core.Trail {
	j := New(rules, stage)
	tracks := map[string][]*track{}

	for _, s := range inOrder(samples) {
		if s.Stage == "" || s.Stage == stage {
			j.follow(tracks, s)
		}
	}

	var trails []core.Trail

	for _, key := range slices.Sorted(maps.Keys(tracks)) {
		for i, t := range tracks[key] {
			e := j.evaluation(&j.series[key].watches[i], key)
			t.trail.Verdict = e.Verdict
			trails = append(trails, t.trail)
		}
	}

	return trails
}

// inOrder sorts samples as Add does; those that are in order already are returned
// themselves.
func inOrder(samples []core.Sample) []core.Sample {
	if slices.IsSortedFunc(samples, inTime) {
		return samples
	}

	ordered := slices.Clone(samples)
	slices.SortStableFunc(ordered, inTime)

	return ordered
}

// inTime orders samples by time, then by key and value.
func inTime(a, b core.Sample) int {
	if by := a.Time.Compare(b.Time); by != 0 {
		return by
	}

	return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
}

// follow takes a sample in and notes what every rule of its key makes of it.
func (j *Judge) follow(tracks map[string][]*track, s core.Sample) {
	j.add(&s)

	known := j.series[s.Key]
	if known == nil {
		return // past the bound
	}

	if tracks[s.Key] == nil {
		for i := range known.watches {
			r := &j.rules[known.watches[i].rule]
			tracks[s.Key] = append(tracks[s.Key], &track{trail: core.Trail{
				Rule: r.ID, Key: s.Key, Limit: limit(r), Severity: r.Severity,
			}})
		}
	}

	for i := range known.watches {
		w := &known.watches[i]
		r := &j.rules[w.rule]
		tracks[s.Key][i].note(s, !w.mute, w.run > 0, w.run > 0 && w.run >= r.Count && s.Time.Sub(w.since) >= r.For)
	}
}

// track is a trail in the making.
type track struct {
	trail   core.Trail
	failing bool               // the rule is broken now
	bad     bool               // the last number was outside the limit
	lead    []core.TrailSample // the last few numbers
}

// note takes a sample in: whether there is something to compare it with, whether
// it is outside the limit, and whether the rule is broken with it.
func (t *track) note(s core.Sample, known, outside, broken bool) {
	if !number(s.Value) || !known {
		t.trail.Silent++

		return
	}

	t.extremes(s)

	at := core.TrailSample{Time: s.Time, Value: s.Value}
	if outside {
		t.trail.Bad++
		t.breach(at)
	} else if t.bad {
		t.close(s.Time)
	}

	t.bad = outside
	t.lead = append(t.lead, at)
	t.lead = t.lead[max(0, len(t.lead)-samplesLead):]

	if broken != t.failing {
		t.failing = broken
		t.change(s.Time)
	}
}

func (t *track) extremes(s core.Sample) {
	if t.trail.Count == 0 {
		t.trail.Min, t.trail.Max, t.trail.First = s.Value, s.Value, s.Time
	}

	t.trail.Count++
	t.trail.Min, t.trail.Max, t.trail.Last = math.Min(t.trail.Min, s.Value), math.Max(t.trail.Max, s.Value), s.Time
}

func (t *track) change(at time.Time) {
	t.trail.Changed++

	if len(t.trail.Changes) < maxChanges {
		verdict := core.Pass
		if t.failing {
			verdict = core.Fail
		}

		t.trail.Changes = append(t.trail.Changes, core.TrailChange{Time: at, Verdict: verdict})
	}
}

// breach adds a sample to the stretch outside the limit, or begins one.
func (t *track) breach(at core.TrailSample) {
	if !t.bad {
		t.trail.Breached++

		if t.trail.Breached <= maxBreaches {
			t.trail.Breaches = append(t.trail.Breaches, core.TrailBreach{From: at.Time, Samples: slices.Clone(t.lead)})
		}
	}

	if t.trail.Breached > maxBreaches {
		return
	}

	if b := &t.trail.Breaches[len(t.trail.Breaches)-1]; len(b.Samples) < samplesLead+samplesOf {
		b.Samples = append(b.Samples, at)
	}
}

// close ends the stretch outside the limit.
func (t *track) close(at time.Time) {
	if t.trail.Breached <= maxBreaches {
		t.trail.Breaches[len(t.trail.Breaches)-1].To = at
	}
}

// Badge says what the rules made of one sample: the gravest of the rules that
// were broken with it.
type Badge struct {
	Rule     string
	Severity core.Severity
	Verdict  core.Verdict // pass, fail, or unmeasurable where no rule could judge it; empty: no rule applies
}

// Badges judges each sample by itself, from the rules of the run and the samples
// of the stage alone. The answer is in the order of the samples.
func Badges(rules []core.Rule, stage core.StageName, samples []core.Sample) []Badge {
	return New(rules, stage).Badge(samples)
}

// Badge is Badges for samples that come some at a time, in the order of their
// times.
func (j *Judge) Badge(samples []core.Sample) []Badge {
	order := make([]int, len(samples))
	for i := range order {
		order[i] = i
	}

	slices.SortStableFunc(order, func(x, y int) int {
		a, b := &samples[x], &samples[y]

		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
	})

	badges := make([]Badge, len(samples))

	for _, i := range order {
		s := &samples[i]
		if s.Stage != "" && s.Stage != j.stage {
			continue
		}

		j.add(s)
		badges[i] = j.badge(s)
	}

	return badges
}

func (j *Judge) badge(s *core.Sample) (b Badge) {
	known := j.series[s.Key]
	if known == nil {
		return b
	}

	for i := range known.watches {
		w := &known.watches[i]
		r := &j.rules[w.rule]
		verdict := core.Pass

		switch {
		case !number(s.Value) || w.mute:
			verdict = core.Unmeasurable
		case w.run > 0 && w.run >= r.Count && s.Time.Sub(w.since) >= r.For:
			verdict = core.Fail
		}

		if b.Rule == "" || worse(verdict, b.Verdict) || verdict == b.Verdict && r.Severity.Rank() < b.Severity.Rank() {
			b = Badge{Rule: r.ID, Severity: r.Severity, Verdict: verdict}
		}
	}

	return b
}

func worse(a, b core.Verdict) bool {
	rank := []core.Verdict{core.Pass, core.Unmeasurable, core.Fail}

	return slices.Index(rank, a) > slices.Index(rank, b)
}
