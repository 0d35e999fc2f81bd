package threshold

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"vetting/core"
)

// maxSeries bounds the keys a Judge remembers; samples of further keys are judged
// by nobody, which Evaluations tells as an error.
const maxSeries = 4096

// Judge watches the samples of one stage as they come. It is not safe for
// concurrent use; Clone gives a copy that can be tried and thrown away.
type Judge struct {
	rules  []core.Rule
	stage  core.StageName
	series map[string]*series // by sample key
	latest map[string]float64 // last number seen under a key, for rules that compare with it
	lost   int                // samples past maxSeries
	others map[string]bool    // keys that rules compare others with; shared, never changed
}

// series is what is remembered of one sample key.
type series struct {
	watches   []watch
	low, high float64 // of the numbers seen
	seen      bool    // a number came
	trouble   bool    // one was outside a limit
}

// watch is one rule over one series.
type watch struct {
	rule   int // index into the rules
	worst  float64
	seen   bool      // a number came
	since  time.Time // first of the samples that break the rule now
	run    int       // how many in a row
	broken bool      // For and Count were reached
	mute   bool      // what to compare with is not known
	moving bool      // the limit moves with the samples of another key
}

// New returns a judge of the rules for a stage. The rules must have passed Check
// and must not change afterwards.
func New(rules []core.Rule, stage core.StageName) *Judge {
	j := &Judge{rules: rules, stage: stage, series: map[string]*series{}, latest: map[string]float64{}, others: map[string]bool{}}

	for i := range rules {
		if moves(&rules[i]) {
			j.others[rules[i].Of] = true
		}
	}

	return j
}

// moves reports whether the limit of a rule moves with the samples of another key.
func moves(r *core.Rule) bool {
	_, constant := strconv.ParseFloat(r.Of, 64)

	return r.Of != "" && r.Of != baseline && constant != nil
}

// Evaluate judges all samples of a stage at once, in the order of their times.
func Evaluate(rules []core.Rule, stage core.StageName, samples []core.Sample) []core.Evaluation {
	j := New(rules, stage)
	j.Add(samples)

	return j.Evaluations()
}

// Clone returns an independent copy.
func (j *Judge) Clone() *Judge {
	c := &Judge{rules: j.rules, stage: j.stage, latest: maps.Clone(j.latest), lost: j.lost, others: j.others}
	c.series = make(map[string]*series, len(j.series))

	for key, s := range j.series {
		same := *s
		same.watches = slices.Clone(s.watches)
		c.series[key] = &same
	}

	return c
}

// Add takes samples in and returns the rules they newly broke. Samples of
// another stage are passed over; those without a stage belong to this one.
func (j *Judge) Add(samples []core.Sample) (breaches []core.Evaluation) {
	breaches, _ = j.Sift(samples)

	return breaches
}

// Sift is Add, and picks out the samples that the verdicts depend on: of each key
// that a rule looks at the first, every new extreme, and all from the first that
// is outside a limit on. Where samples come in the order of their times, those
// alone, judged anew, come out as all of them do.
func (j *Judge) Sift(samples []core.Sample) (breaches []core.Evaluation, telling []core.Sample) {
	ordered := inOrder(samples)

	for i := range ordered {
		s := &ordered[i]
		if s.Stage != "" && s.Stage != j.stage {
			continue
		}

		broken, tells := j.add(s)
		breaches = append(breaches, broken...)

		if tells {
			telling = append(telling, *s)
		}
	}

	return breaches, telling
}

// add takes one sample in. tells reports whether a verdict depends on it.
func (j *Judge) add(s *core.Sample) (breaches []core.Evaluation, tells bool) {
	known := j.series[s.Key]
	first := known == nil

	if first {
		if len(j.series) >= maxSeries {
			j.lost++

			return nil, j.lost == 1
		}

		known = &series{watches: j.watchesOf(s.Key)}
		j.series[s.Key] = known
	}

	if !number(s.Value) {
		return nil, first && len(known.watches) > 0
	}

	j.latest[s.Key] = s.Value

	for i := range known.watches {
		w := &known.watches[i]
		if j.observe(w, s) {
			breaches = append(breaches, j.evaluation(w, s.Key))
		}

		known.trouble = known.trouble || w.run > 0
		tells = tells || w.moving
	}

	extreme := known.extreme(s.Value)
	tells = tells || len(known.watches) > 0 && (first || known.trouble || extreme)

	return breaches, tells || j.others[s.Key]
}

// extreme takes a number in and reports whether it is the least or the greatest.
func (s *series) extreme(v float64) bool {
	if !s.seen {
		s.low, s.high, s.seen = v, v, true

		return true
	}

	is := v < s.low || v > s.high
	s.low, s.high = min(s.low, v), max(s.high, v)

	return is
}

// watchesOf picks the rules that count for a key: of each severity and direction
// the one that beats the others.
func (j *Judge) watchesOf(key string) (watches []watch) {
	type group struct {
		severity core.Severity
		side     side
	}

	best := map[group]int{}

	for i := range j.rules {
		r := &j.rules[i]
		if !matches(r.Stage, string(j.stage)) || !matches(r.Key, key) {
			continue
		}

		g := group{r.Severity, direction(r.Op)}
		if old, ok := best[g]; !ok || beats(r, &j.rules[old]) {
			best[g] = i
		}
	}

	for _, i := range slices.Sorted(maps.Values(best)) {
		watches = append(watches, watch{rule: i, moving: moves(&j.rules[i])})
	}

	return watches
}

// observe takes one number in and reports whether the rule is newly broken.
func (j *Judge) observe(w *watch, s *core.Sample) bool {
	r := &j.rules[w.rule]

	reference, known := j.reference(r)
	if w.mute = !known; w.mute {
		return false
	}

	if !w.seen || excess(r, s.Value, reference) > excess(r, w.worst, reference) {
		w.worst = s.Value
	}

	w.seen = true

	if holds(r, s.Value, reference) {
		w.run, w.since = 0, time.Time{}

		return false
	}

	if w.run == 0 {
		w.since = s.Time
	}

	w.run++

	if w.broken || w.run < r.Count || s.Time.Sub(w.since) < r.For {
		return false
	}

	w.broken = true

	return true
}

// reference finds what a rule with of: compares with. A baseline is that of the run,
// which Resolve found.
func (j *Judge) reference(r *core.Rule) (v float64, known bool) {
	if r.Of == "" {
		return 0, true
	}

	if r.Of == baseline {
		return r.Baseline.Value, r.Baseline.From != ""
	}

	if v, err := strconv.ParseFloat(r.Of, 64); err == nil {
		return v, true
	}

	v, known = j.latest[r.Of]

	return v, known && v != 0
}

func holds(r *core.Rule, v, reference float64) bool {
	limit := bound(r, reference)

	switch r.Op {
	case core.OpLT:
		return v < limit
	case core.OpLTE:
		return v <= limit
	case core.OpGT:
		return v > limit
	case core.OpGTE:
		return v >= limit
	case core.OpWithinPct:
		return math.Abs(v-reference) <= math.Abs(limit)
	default:
		return false
	}
}

// bound is the limit as a number: the rule's value, or with of: that percentage of
// the reference.
func bound(r *core.Rule, reference float64) float64 {
	if r.Of == "" {
		return r.Value
	}

	return reference * r.Value / 100
}

// excess grows the closer to, and the further past, its limit a value is.
func excess(r *core.Rule, v, reference float64) float64 {
	switch direction(r.Op) {
	case above:
		return bound(r, reference) - v
	case around:
		return math.Abs(v - reference)
	case below, none:
	}

	return v - bound(r, reference)
}

func number(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
