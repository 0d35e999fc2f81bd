package burn

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/diskread"
	"vetting/agent/memory"
	"vetting/agent/probe"
)

// Options say what a burn is to do. What is not marked optional must be set.
type Options struct {
	For     time.Duration
	Workers drill.Starter
	Threads []probe.Thread // CPUs that are online
	// Memory tests memory as Test says, for as long as the load is steady.
	Memory func(context.Context, memory.Test) (*memory.Report, error)
	Test   memory.Test
	// Read reads Targets until its context ends.
	Read    func(context.Context, diskread.Test) diskread.Report
	Targets []diskread.Target
	// Partner exchanges as many frames each way with the appliance; optional.
	Partner func(ctx context.Context, seed uint64, frames int) (Exchange, error)
	Mbps    int // of both ways together; 0: nothing is exchanged
	Seed    uint64
	// Heat is how hot each CPU package is; a package whose heat nobody tells is left
	// out.
	Heat func() map[int]float64
	// Progress tells the phase, how much of all is done and how long the rest takes.
	Progress func(phase Phase, done float64, left time.Duration)
	// Around is called before each slot of the CPUs, and what it returns after it;
	// optional.
	Around func(drill.Slot) (after func())
	// Noted tells what is known so far, after each slot of the CPUs; optional.
	Noted func(*Outcome)
	// Silence is when a worker of a CPU counts as hung; 0: as usual.
	Silence time.Duration
}

// Outcome is what was seen. Its parts are those of the tests that took part.
type Outcome struct {
	CPU       drill.Outcome
	Memory    *memory.Report // nil: it did not begin
	MemoryErr error
	Disks     diskread.Report
	Left      []string // disks among the targets that were left alone, for want of rights
	Net       Traffic
	Watch     Stability
	Legs      []Leg
	Took      time.Duration
}

// Leg is a phase that was gone through.
type Leg struct {
	Phase Phase
	Took  time.Duration
}

// burn is one under way.
type burn struct {
	*Options

	begin time.Time
	legs  []leg

	mu      sync.Mutex
	phase   Phase         // guarded by mu
	since   time.Time     // guarded by mu: when the phase began
	done    time.Duration // guarded by mu: of phases that are over, as planned
	out     *Outcome      // guarded by mu
	chance  *rand.Rand    // of the goroutine that deals slots
	kernels []string
}

// Run burns. When ctx ends it returns early with what it has.
func Run(ctx context.Context, o Options) *Outcome {
	b := &burn{
		Options: &o, begin: time.Now(), legs: course(o.For), out: &Outcome{}, chance: rand.New(rand.NewPCG(o.Seed, 0x6275726e)), //nolint:gosec // an order, no secret
		kernels: kernels(),
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()

	watch := newWatch(&o)

	var observers sync.WaitGroup

	observers.Go(func() { watch.run(ctx) })

	b.rest(ctx, Rest, func() bool { return false })
	watch.rested()
	b.load(ctx, watch)
	b.rest(ctx, Cool, watch.isCool)

	stop()
	observers.Wait()

	b.out.Watch = watch.report()
	b.out.Took = time.Since(b.begin)

	return b.out
}

// enter begins a phase.
func (b *burn) enter(p Phase) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.leave()
	b.phase, b.since = p, time.Now()
}

// leave ends the phase under way. b.mu is held.
func (b *burn) leave() {
	if b.phase == "" {
		return
	}

	b.out.Legs = append(b.out.Legs, Leg{b.phase, time.Since(b.since)})
	b.done += b.length(b.phase)
	b.phase = ""
}

func (b *burn) length(p Phase) time.Duration {
	for _, l := range b.legs {
		if l.phase == p {
			return l.takes
		}
	}

	return 0
}

// tell says how far the burn is.
func (b *burn) tell() {
	b.mu.Lock()
	phase, spent := b.phase, b.done+min(time.Since(b.since), b.length(b.phase))
	b.mu.Unlock()

	if phase != "" {
		b.Progress(phase, float64(spent)/float64(max(b.For, 1)), b.For-spent)
	}
}

// rest waits for the length of a phase, or until enough says so.
func (b *burn) rest(ctx context.Context, p Phase, enough func() bool) {
	const look = 250 * time.Millisecond

	b.enter(p)

	ticker := time.NewTicker(look)
	defer ticker.Stop()

	for end := time.Now().Add(b.length(p)); ctx.Err() == nil && time.Now().Before(end) && !enough(); {
		b.tell()

		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	b.leave()
}
