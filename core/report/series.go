package report

import (
	"slices"
	"strings"
	"time"

	"vetting/core"
)

// Trail is what a rule saw of one key during one try of a stage.
type Trail struct {
	Stage   core.StageName `json:"stage"`
	Attempt int            `json:"attempt"`

	core.Trail
}

// Series sums a trail up: everything that was measured under one key, as its rule
// saw it.
type Series struct {
	Count    int       `json:"count"`            // numbers judged
	Bad      int       `json:"bad"`              // of them outside the limit
	Silent   int       `json:"silent,omitempty"` // samples without a number
	Min      float64   `json:"min"`
	Max      float64   `json:"max"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Breached int       `json:"breached,omitempty"`    // stretches outside the limit
	BadFrom  time.Time `json:"bad_from,omitzero"`     // where the first of them began
	BadTo    time.Time `json:"bad_to,omitzero"`       // and ended; absent: it lasted to the end
	Changed  int       `json:"changed,omitempty"`     // how often the verdict changed
	FailedAt time.Time `json:"failed_since,omitzero"` // when the rule was first broken
}

// NewSeries sums t up.
func NewSeries(t *core.Trail) Series {
	s := Series{
		Count: t.Count, Bad: t.Bad, Silent: t.Silent, Min: t.Min, Max: t.Max, First: stamp(t.First), Last: stamp(t.Last),
		Breached: t.Breached, Changed: t.Changed,
	}

	if len(t.Breaches) > 0 {
		s.BadFrom, s.BadTo = stamp(t.Breaches[0].From), stamp(t.Breaches[0].To)
	}

	if i := slices.IndexFunc(t.Changes, func(c core.TrailChange) bool { return c.Verdict == core.Fail }); i >= 0 {
		s.FailedAt = stamp(t.Changes[i].Time)
	}

	return s
}

// Attach gives each evaluation of the report the series that its rule saw. Trails
// of tries that do not count any more are passed over; one without an evaluation,
// which was dropped for its size, brings it back.
func (r *Report) Attach(trails []Trail) {
	attempts := map[core.StageName]int{}
	for i := range r.Stages {
		attempts[r.Stages[i].Name] = r.Stages[i].Attempt
	}

	type place struct {
		stage     core.StageName
		rule, key string
	}

	at := map[place]int{}

	for i := range r.Evaluations {
		e := &r.Evaluations[i]
		at[place{e.Stage, e.Rule, e.Key}] = i
	}

	for i := range trails {
		t := &trails[i]
		if attempts[t.Stage] != t.Attempt {
			continue
		}

		p := place{t.Stage, t.Rule, t.Key}
		if _, known := at[p]; !known {
			at[p] = len(r.Evaluations)
			r.Evaluations = append(r.Evaluations, evaluationOf(t))
		}

		series := NewSeries(&t.Trail)
		r.Evaluations[at[p]].Series = &series
	}
}

// evaluationOf makes the evaluation again that a trail is about.
func evaluationOf(t *Trail) Evaluation {
	e := Evaluation{Stage: t.Stage, Rule: t.Rule, Key: t.Key, Limit: t.Limit, Verdict: t.Verdict, Severity: t.Severity}

	switch {
	case t.Count == 0:
	case strings.HasPrefix(t.Limit, "lt"): // lt, lte: the greatest is the worst
		e.Value = &t.Max
	case strings.HasPrefix(t.Limit, "gt"):
		e.Value = &t.Min
	}

	return e
}
