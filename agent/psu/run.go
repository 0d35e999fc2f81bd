package psu

import (
	"context"
	"slices"
	"sync"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
	"vetting/core"
)

// Options say what is to be done. What is not marked optional must be set.
type Options struct {
	Survey  *Survey
	For     time.Duration
	Drill   func(context.Context, drill.Options) drill.Outcome // drill.Run
	Workers drill.Starter
	Threads []probe.Thread // CPUs that are online
	Seed    uint64
	Silence time.Duration // when a worker counts as hung; 0: as usual
	// Progress tells the phase, how much of all is done and how long the rest takes.
	Progress func(phase Phase, done float64, left time.Duration)
	// Sensor takes samples.
	Sensor func(...core.Sample)
	// Around is called before each slot of the CPUs, and what it returns after it;
	// optional.
	Around func(drill.Slot) (after func())
	// Noted tells what is known so far, after each slot of the CPUs; optional.
	Noted func(*Outcome)
}

// Outcome is what was seen.
type Outcome struct {
	CPU  drill.Outcome
	Seen Seen
	Legs []Leg
	Took time.Duration
}

// Leg is a phase that was gone through.
type Leg struct {
	Phase Phase
	Took  time.Duration
}

// run is one under way.
type run struct {
	*Options

	begin time.Time
	legs  []leg
	watch *watch
	slots int // dealt; of the goroutine that deals

	mu    sync.Mutex
	phase Phase         // guarded by mu
	since time.Time     // guarded by mu: when the phase began
	done  time.Duration // guarded by mu: of phases that are over, as planned
	gone  []Leg         // guarded by mu
}

// Run takes a machine through the course and notes what is seen. When ctx ends it returns
// early with what it has.
func Run(ctx context.Context, o Options) *Outcome {
	r := &run{Options: &o, begin: time.Now(), legs: course(o.For), watch: newWatch(o.Survey, o.Sensor, pace(o.For))}

	stop := r.watch.start(ctx)

	r.rest(ctx, Rest)

	out := o.Drill(ctx, drill.Options{
		Workers: o.Workers, Threads: o.Threads, Seed: o.Seed, Silence: o.Silence, Around: o.Around, Next: r.dealer(ctx),
		Noted: func(now *drill.Outcome) {
			r.tell()

			if o.Noted != nil {
				o.Noted(r.outcome(now))
			}
		},
	})

	r.leave()
	r.rest(ctx, After)
	stop()

	return r.outcome(&out)
}

func (r *run) outcome(now *drill.Outcome) *Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()

	out := &Outcome{CPU: *now, Seen: r.watch.seen(), Legs: r.gone, Took: time.Since(r.begin)}

	for _, leg := range r.gone {
		if r.Survey.BMC && !r.watch.heardIn(leg.Phase) && !slices.Contains(out.Seen.Unheard, leg.Phase) {
			out.Seen.Unheard = append(out.Seen.Unheard, leg.Phase)
		}
	}

	return out
}

// enter begins a phase.
func (r *run) enter(p Phase) {
	r.leave()

	r.mu.Lock()
	defer r.mu.Unlock()

	r.phase, r.since = p, time.Now()
	r.watch.enter(p)
}

// leave ends the phase under way.
func (r *run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.phase == "" {
		return
	}

	r.gone = append(r.gone, Leg{r.phase, time.Since(r.since)})
	r.done += r.length(r.phase)
	r.phase = ""
}

func (r *run) length(p Phase) time.Duration {
	for _, l := range r.legs {
		if l.phase == p {
			return l.takes
		}
	}

	return 0
}

// tell says how far all is.
func (r *run) tell() {
	r.mu.Lock()
	phase, spent := r.phase, r.done+min(time.Since(r.since), r.length(r.phase))
	r.mu.Unlock()

	if phase != "" {
		r.Progress(phase, float64(spent)/float64(max(r.For, 1)), r.For-spent)
	}
}

// rest waits for the length of a phase, and until the BMC was looked at in it.
func (r *run) rest(ctx context.Context, p Phase) {
	const look = 250 * time.Millisecond

	r.enter(p)

	ticker := time.NewTicker(look)
	defer ticker.Stop()

	for end := time.Now().Add(r.length(p)); ctx.Err() == nil && (time.Now().Before(end) || !r.watch.looked(p)); {
		r.tell()

		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}

	r.leave()
}

// dealer deals the slots of the CPUs, phase by phase. A phase lasts until the BMC was
// looked at in it.
func (r *run) dealer(ctx context.Context) func() (drill.Slot, bool) {
	left := []Phase{Load, Slow, Medium, Fast}

	var end time.Time

	return func() (drill.Slot, bool) {
		for ctx.Err() == nil && len(left) > 0 {
			if end.IsZero() {
				r.enter(left[0])
				end = time.Now().Add(r.length(left[0]))
			}

			if rest := time.Until(end); rest > 0 {
				return r.slot(left[0], rest), true
			}

			if !r.watch.looked(left[0]) {
				return r.slot(left[0], time.Second), true
			}

			left, end = left[1:], time.Time{}
		}

		return drill.Slot{}, false
	}
}
