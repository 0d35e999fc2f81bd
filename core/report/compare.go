package report

import (
	"math"
	"slices"

	"vetting/core"
)

// Comparison sets two reports side by side: before and after a repair, or a host
// beside its sister. Rows are in the order of A, then what only B has.
type Comparison struct {
	A, B     *Report
	Stages   []StagePair
	Parts    []PartPair // of both, where they differ
	Same     int        // parts that do not differ
	Findings []FindingPair
	Limits   []LimitPair
}

// StagePair is a stage in both; empty where a run has none.
type StagePair struct {
	Name core.StageName
	A, B *Stage
}

// PartPair is what is in one slot; nil where a machine has nothing there.
type PartPair struct {
	Kind, Slot string
	A, B       *Component
}

// FindingPair is a finding about a part; nil where a run does not have it.
type FindingPair struct{ A, B *Finding }

// LimitPair is what a rule said of a key. Change is from A to B in percent; nil: it
// cannot be said.
type LimitPair struct {
	A, B   *Evaluation
	Change *float64
}

// Either is the one that is there.
func (p *LimitPair) Either() *Evaluation {
	if p.A != nil {
		return p.A
	}

	return p.B
}

// Either is the one that is there.
func (p *FindingPair) Either() *Finding {
	if p.A != nil {
		return p.A
	}

	return p.B
}

// Compare sets two reports side by side.
func Compare(a, b *Report) Comparison {
	c := Comparison{A: a, B: b}

	for _, p := range pairs(a.Stages, b.Stages, func(s *Stage) core.StageName { return s.Name }) {
		c.Stages = append(c.Stages, StagePair{either(p).Name, p[0], p[1]})
	}

	for _, p := range pairs(a.Components, b.Components, func(c *Component) [2]string { return [2]string{c.Kind, c.Slot} }) {
		if p[0] != nil && p[1] != nil && sameComponent(p[0], p[1]) {
			c.Same++
		} else {
			c.Parts = append(c.Parts, PartPair{either(p).Kind, either(p).Slot, p[0], p[1]})
		}
	}

	for _, p := range pairs(a.Findings, b.Findings, func(f *Finding) [4]string { return [4]string{f.Code, string(f.Stage), f.Part.Kind, f.Part.Slot} }) {
		c.Findings = append(c.Findings, FindingPair{p[0], p[1]})
	}

	for _, p := range pairs(a.Evaluations, b.Evaluations, func(e *Evaluation) [3]string { return [3]string{string(e.Stage), e.Rule, e.Key} }) {
		c.Limits = append(c.Limits, LimitPair{p[0], p[1], change(p[0], p[1])})
	}

	return c
}

func sameComponent(a, b *Component) bool {
	return a.Part == b.Part && a.Firmware == b.Firmware && a.WWN == b.WWN && a.Detail == b.Detail
}

func either[T any](p [2]*T) *T {
	if p[0] != nil {
		return p[0]
	}

	return p[1]
}

// pairs puts what has the same key together. Of several with one key the first meets
// the first.
func pairs[T any, K comparable](a, b []T, key func(*T) K) (all [][2]*T) {
	at := map[K][]int{}

	for i := range a {
		k := key(&a[i])
		at[k] = append(at[k], len(all))
		all = append(all, [2]*T{&a[i]})
	}

	for i := range b {
		k := key(&b[i])

		if waiting := at[k]; len(waiting) > 0 {
			all[waiting[0]][1] = &b[i]
			at[k] = slices.Delete(waiting, 0, 1)
		} else {
			all = append(all, [2]*T{nil, &b[i]})
		}
	}

	return all
}

// change is how much b is more than a, in percent to a tenth.
func change(a, b *Evaluation) *float64 {
	if a == nil || b == nil || a.Value == nil || b.Value == nil || *a.Value == 0 {
		return nil
	}

	c := math.Round((*b.Value-*a.Value)/math.Abs(*a.Value)*1000) / 10
	if math.IsInf(c, 0) || math.IsNaN(c) {
		return nil
	}

	return &c
}
