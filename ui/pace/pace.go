// Package pace learns from runs that are over how long the stages of a run take. What
// it says is for people: nothing is ever ended because of it.
package pace

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/core"
)

const (
	mostKept = 50 // durations of a kind, the newest
	enough   = 5  // durations from which on a range is told
)

// Machine is what decides how long a stage takes, besides the profile.
type Machine struct {
	Model string
	Disk  uint64 // bytes of its largest disk

	// For a guess where nothing was learned yet.
	Memory uint64 // bytes
	GPU    bool   // it has one
}

// Read returns what of a machine decides how long stages take.
func Read(model string, inventory *core.Inventory) Machine {
	m := Machine{Model: model, Memory: max(inventory.Memory.UsableBytes, inventory.Memory.TotalBytes), GPU: len(inventory.GPUs) > 0}
	for i := range inventory.Disks {
		m.Disk = max(m.Disk, inventory.Disks[i].SizeBytes)
	}

	return m
}

// size tells disks apart that take different times: steps of about forty percent.
func (m Machine) size() int {
	if m.Disk == 0 {
		return 0
	}

	return int(math.Round(2 * math.Log2(float64(m.Disk))))
}

type kind struct {
	does  string // what the profile has the stage do
	scale float64
	stage core.StageName
	model string // empty: of all models
	size  int
}

// does is what a profile has a stage do. It goes by the settings and not by the profile's
// name: a copy takes the time of what it was copied from, and one that was changed does
// not take what it took before.
func does(p *core.Profile, stage core.StageName) string {
	var b strings.Builder

	for _, key := range slices.Sorted(maps.Keys(p.Config)) {
		if strings.HasPrefix(key, string(stage)+".") || key == overlays {
			b.WriteString(key + "=" + p.Config[key] + "\n")
		}
	}

	return b.String()
}

// overlays is the setting that brings custom stages, which are steps of any stage.
const overlays = "Boot.overlays"

// Book is what was learned. The zero value is empty; not safe for concurrent use.
type Book struct {
	took  map[kind][]time.Duration // the newest last
	spans map[kind]Span            // of those that were asked for since they grew
}

// Learn takes in a run that is over. Only stages that passed count: one that failed
// ended early.
func (b *Book) Learn(run *core.Run, on Machine) {
	if b.took == nil {
		b.took, b.spans = map[kind][]time.Duration{}, map[kind]Span{}
	}

	for i := range run.Stages {
		st := &run.Stages[i]
		if st.Phase != core.Done || st.Verdict != core.Pass || st.EndedAt.Before(st.StartedAt) || st.StartedAt.IsZero() {
			continue
		}

		k := kind{does: does(&run.Profile, st.Name), scale: run.Profile.Scale, stage: st.Name}
		b.add(k, st.EndedAt.Sub(st.StartedAt))

		if on.Model != "" {
			k.model, k.size = on.Model, on.size()
			b.add(k, st.EndedAt.Sub(st.StartedAt))
		}
	}
}

func (b *Book) add(k kind, d time.Duration) {
	b.took[k] = append(b.took[k], d)
	b.took[k] = b.took[k][max(0, len(b.took[k])-mostKept):]
	delete(b.spans, k)
}

// Models lists the machines that something was learned of, one for each model and size
// of disk, by model.
func (b *Book) Models() []Machine {
	seen := map[Machine]bool{}

	for k := range b.took {
		if k.model != "" {
			seen[Machine{Model: k.model, Disk: uint64(math.Round(math.Exp2(float64(k.size) / 2)))}] = true
		}
	}

	return slices.SortedFunc(maps.Keys(seen), func(a, b Machine) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), cmp.Compare(a.Disk, b.Disk))
	})
}

// Span is how long a stage takes.
type Span struct {
	Runs            int  // it is learned from
	Own             bool // all of them of the same model and disk size
	Nominal         bool // a guess: nothing was learned of it yet, and there is only a Mid
	Low, Mid, High  time.Duration
	longerThanUsual time.Duration
}

// Ranged reports whether there is enough behind it for a range.
func (s Span) Ranged() bool { return s.Runs >= enough }

// Plan is what is known of the stages of one run.
type Plan map[core.StageName]Span

// Of returns what is known of the stages of a run on a machine. Where the model is not
// known, or nothing is known of it, all machines count together; where nothing was learned
// at all there is a guess.
func (b *Book) Of(run *core.Run, on Machine) Plan {
	plan := Plan{}

	for i := range run.Stages {
		k := kind{
			does: does(&run.Profile, run.Stages[i].Name), scale: run.Profile.Scale, stage: run.Stages[i].Name, model: on.Model, size: on.size(),
		}

		list, own := b.took[k], on.Model != ""
		if on.Model == "" || len(list) == 0 {
			k.model, k.size = "", 0
			list, own = b.took[k], false
		}

		if len(list) == 0 {
			if takes, ok := nominal(&run.Profile, run.Stages[i].Name, on); ok {
				plan[run.Stages[i].Name] = Span{Nominal: true, Mid: takes}
			}
		} else {
			span, known := b.spans[k]
			if !known {
				span = spanOf(list)
				b.spans[k] = span
			}

			span.Own = own
			plan[run.Stages[i].Name] = span
		}
	}

	return plan
}

func spanOf(list []time.Duration) Span {
	list = slices.Sorted(slices.Values(list))
	at := func(part float64) time.Duration { return list[int(math.Round(part*float64(len(list)-1)))] }

	return Span{Runs: len(list), Low: at(0.1), Mid: at(0.5), High: at(0.9), longerThanUsual: at(0.95)}
}

// Left is how long a run still takes.
type Left struct {
	Low, Mid, High time.Duration
	Runs           int  // the least that any of its stages was learned from
	Own            bool // all of them of the same model and disk size
}

// Ranged reports whether there is enough behind it for a range.
func (l Left) Ranged() bool { return l.Runs >= enough }

// Left sums up what a run still has before it; ok is false while a stage of it was
// never seen to its end, since half an answer would jump.
func (p Plan) Left(run *core.Run, now time.Time) (left Left, ok bool) {
	left = Left{Runs: math.MaxInt, Own: true}

	for i := range run.Stages {
		st := &run.Stages[i]
		if st.Phase == core.Done {
			continue
		}

		span, known := p[st.Name]
		if !known || span.Nominal {
			return Left{}, false
		}

		low, mid, high := span.Low, span.Mid, span.High

		if st.Phase == core.Active {
			gone := now.Sub(st.StartedAt)
			low, mid, high = max(0, low-gone), max(0, mid-gone), max(0, high-gone)

			if st.ETA > 0 { // the agent sees how fast this very disk is
				mid = st.ETA
				low, high = min(low, mid), max(high, mid)
			}
		}

		left.Low, left.Mid, left.High = left.Low+low, left.Mid+mid, left.High+high
		left.Runs, left.Own = min(left.Runs, span.Runs), left.Own && span.Own
		ok = true
	}

	return left, ok
}

// Rest is how long a run still takes, as well as it is known: learned, or a guess where
// not all of it was learned; ok is false where there is not even a guess.
func (p Plan) Rest(run *core.Run, now time.Time) (rest time.Duration, guess, ok bool) {
	if left, ok := p.Left(run, now); ok {
		return left.Mid, false, true
	}

	rest, ok = p.About(run, now)

	return rest, ok, ok
}

// About guesses what a run still has before it where not all of it was learned; ok is
// false where nothing of it is a guess, and where even a guess lacks a stage.
func (p Plan) About(run *core.Run, now time.Time) (left time.Duration, ok bool) {
	guessed := false

	for i := range run.Stages {
		st := &run.Stages[i]
		if st.Phase == core.Done {
			continue
		}

		span, known := p[st.Name]

		switch {
		case st.Phase == core.Active && st.ETA > 0:
			left += st.ETA
		case !known:
			return 0, false
		case st.Phase == core.Active:
			left, guessed = left+max(0, span.Mid-now.Sub(st.StartedAt)), guessed || span.Nominal
		default:
			left, guessed = left+span.Mid, guessed || span.Nominal
		}
	}

	return left, guessed && left > 0
}

// Slow reports whether a stage takes longer than nearly all did before it.
func (p Plan) Slow(st *core.Stage, now time.Time) bool {
	span := p[st.Name]

	return st.Phase == core.Active && span.Own && span.Ranged() && now.Sub(st.StartedAt) > span.longerThanUsual+time.Minute
}
