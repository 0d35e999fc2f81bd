package psu

import (
	"maps"
	"math"
	"slices"
	"time"

	"vetting/agent/ipmi"
)

// Event is a state that a detector told, or the absence of a supply that was there.
type Event struct {
	Detector string
	Slot     string // empty: of all supplies together
	State    State
	Phase    Phase         // in which it was told first …
	After    time.Duration // … since the beginning
	First    bool          // it was so at the first look
	Still    bool          // it was so at the last one
}

// Crossing is a voltage beyond a limit, in two readings in a row at least.
type Crossing struct {
	Channel *Channel
	Limit   float64
	Low     bool
	Fatal   bool // the limit is a critical one
	Worst   float64
	Phases  map[Phase]bool // in which it was so
}

// Seen is what was seen.
type Seen struct {
	Events    []Event
	Crossings []Crossing
	Series    []Series        // of the survey's channels, in their order
	Looks     int             // whole ones at the BMC
	Failed    int             // questions that the BMC did not answer
	Blind     bool            // the last look at the BMC brought nothing
	Unheard   []Phase         // of those that were gone through: the BMC told nothing in them
	Silent    []string        // detectors that told something and then nothing any more
	Present   map[string]bool // slots whose supply is there, or was
	Empty     map[string]bool // slots without one
}

// Series is what a channel measured in each phase, thinned out where that is much.
type Series map[Phase][]float64

// In returns what was measured in some phases, in rising order.
func (s Series) In(phases ...Phase) (all []float64) {
	for _, p := range phases {
		all = append(all, s[p]...)
	}

	slices.Sort(all)

	return all
}

// Median is the middle of what was measured in some phases; NaN: nothing was.
func (s Series) Median(phases ...Phase) float64 {
	all := s.In(phases...)
	if len(all) == 0 {
		return math.NaN()
	}

	return all[len(all)/2]
}

// Low is the second lowest of what was measured in some phases, so that one reading that
// is wrong does not count; NaN: there are not two.
func (s Series) Low(phases ...Phase) float64 {
	all := s.In(phases...)
	if len(all) < 2 {
		return math.NaN()
	}

	return all[1]
}

// seen is a copy of what was seen so far.
func (w *watch) seen() Seen {
	w.mu.Lock()
	defer w.mu.Unlock()

	s := Seen{Looks: w.looks, Failed: w.failed, Blind: w.blind, Present: map[string]bool{}, Empty: map[string]bool{}}

	for _, t := range w.tracks {
		s.Series = append(s.Series, t.copy())
		s.Crossings = append(s.Crossings, t.crossings()...)

		if t.channel.Slot != "" && t.any && w.lone(t.channel.Slot) {
			s.Present[t.channel.Slot] = true
		}
	}

	for _, d := range w.senses {
		s.Events = append(s.Events, d.events...)

		switch {
		case d.detector.Slot == "":
		case d.there:
			s.Present[d.detector.Slot] = true
		case d.ever:
			s.Empty[d.detector.Slot] = true
		}

		if d.ever && !d.told {
			s.Silent = append(s.Silent, d.detector.Name)
		}
	}

	for slot := range s.Present {
		delete(s.Empty, slot)
	}

	return s
}

// lone reports whether no detector tells of a slot.
func (w *watch) lone(slot string) bool {
	return !slices.ContainsFunc(w.senses, func(s *sense) bool { return s.detector.Slot == slot })
}

// sense is what a detector has told.
type sense struct {
	detector *Detector
	told     bool    // at the last look
	ever     bool    // at any
	there    bool    // its supply is there, or was
	had      bool    // of an adapter: it had power
	states   []State // at the last look
	events   []Event
}

// now is what a reading says: the states that count, and whether the supply is there. The
// states of an empty bay say nothing.
func (s *sense) now(r ipmi.Reading) (states []State, there bool) {
	states = slices.Compact(s.detector.states(r))
	there = !slices.Contains(states, Absent) && (!s.detector.presence() || r.Has(0))

	if !there {
		return []State{Absent}, false
	}

	return states, true
}

// news reports whether a reading says what the last one did not.
func (s *sense) news(r ipmi.Reading) bool {
	if !r.Known {
		return false
	}

	states, there := s.now(r)

	return !there && s.there || slices.ContainsFunc(states, func(state State) bool { return !slices.Contains(s.states, state) })
}

// take takes a reading in.
func (s *sense) take(r ipmi.Reading, phase Phase, after time.Duration) {
	if s.told = r.Known; !r.Known {
		return
	}

	first := !s.ever
	states, there := s.now(r)
	s.ever = true

	if there {
		s.there = true
	}

	if !there && !s.there {
		states = nil // a bay that was empty all along
	}

	s.set(states, first, phase, after)
}

// set notes which states are asserted now.
func (s *sense) set(states []State, first bool, phase Phase, after time.Duration) {
	s.states = states

	for i := range s.events {
		s.events[i].Still = slices.Contains(states, s.events[i].State)
	}

	for _, state := range states {
		if slices.ContainsFunc(s.events, func(e Event) bool { return e.State == state }) {
			continue
		}

		s.events = append(s.events, Event{
			Detector: s.detector.Name, Slot: s.detector.Slot, State: state, Phase: phase, After: after, First: first, Still: true,
		})
	}
}

// adapter takes in whether an adapter has power, and whether any has.
func (s *sense) adapter(powered, others bool, phase Phase, after time.Duration) {
	first := !s.ever
	s.told, s.ever, s.had = true, true, s.had || powered
	s.there = s.had || s.there

	switch {
	case others:
		s.set(nil, first, phase, after)
	case first:
		s.there = true
		s.set([]State{OnBattery}, first, phase, after)
	case s.had:
		s.set([]State{InputLost}, first, phase, after)
	}
}

// keepMost is how many readings of a channel are kept of a phase.
const keepMost = 2048

// track is what a channel has measured.
type track struct {
	channel *Channel
	any     bool
	series  Series
	stride  map[Phase]int // every so many readings are kept
	count   map[Phase]int
	bounds  []*bound
}

// bound is a limit, and whether it was crossed.
type bound struct {
	Crossing

	row     int     // readings in a row beyond it …
	inRow   float64 // … and the worst of them
	crossed bool
}

func newTrack(c *Channel) *track {
	t := &track{channel: c, series: Series{}, stride: map[Phase]int{}, count: map[Phase]int{}}

	if !c.Quantity.voltage() {
		return t
	}

	for _, b := range []bound{
		{Crossing: Crossing{Limit: c.Limits.LowFatal, Low: true, Fatal: true}},
		{Crossing: Crossing{Limit: c.Limits.Low, Low: true, Fatal: true}},
		{Crossing: Crossing{Limit: c.Limits.LowWarn, Low: true}},
		{Crossing: Crossing{Limit: c.Limits.HighFatal, Fatal: true}},
		{Crossing: Crossing{Limit: c.Limits.High, Fatal: true}},
		{Crossing: Crossing{Limit: c.Limits.HighWarn}},
	} {
		if !math.IsNaN(b.Limit) {
			b.Channel, b.Phases = c, map[Phase]bool{}
			t.bounds = append(t.bounds, &b)
		}
	}

	return t
}

// take takes a reading in.
func (t *track) take(p Phase, value float64) {
	t.any = true

	stride := max(1, t.stride[p])
	if t.count[p]++; (t.count[p]-1)%stride == 0 {
		t.series[p] = append(t.series[p], value)
	}

	if all := t.series[p]; len(all) >= keepMost {
		for i := range len(all) / 2 {
			all[i] = all[2*i]
		}

		t.series[p], t.stride[p] = all[:len(all)/2], 2*stride
	}

	for _, b := range t.bounds {
		b.take(p, value)
	}
}

// take looks whether a reading is beyond the limit. A rail that is a fifth off its name
// is none: boards name inputs of their chips so that are scaled otherwise.
func (b *bound) take(p Phase, value float64) {
	const inARow, plausible = 2, 0.2

	c := b.Channel
	beyond := b.Low && value < b.Limit || !b.Low && value > b.Limit

	if c.Named && math.Abs(value/c.Nominal-1) > plausible {
		beyond = false
	}

	if !beyond {
		b.row = 0

		return
	}

	if b.row == 0 || b.further(value, b.inRow) {
		b.inRow = value
	}

	if b.row++; b.row < inARow {
		return
	}

	if !b.crossed || b.further(b.inRow, b.Worst) {
		b.Worst = b.inRow
	}

	b.crossed, b.Phases[p] = true, true
}

// further reports whether a reading is further beyond the limit than another.
func (b *bound) further(value, than float64) bool {
	return b.Low && value < than || !b.Low && value > than
}

func (t *track) copy() Series {
	s := Series{}
	for p, values := range t.series {
		s[p] = slices.Clone(values)
	}

	return s
}

func (t *track) crossings() (all []Crossing) {
	for _, b := range t.bounds {
		if b.crossed {
			c := b.Crossing
			c.Phases = maps.Clone(b.Phases)
			all = append(all, c)
		}
	}

	return all
}
