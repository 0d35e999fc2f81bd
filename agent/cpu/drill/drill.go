package drill

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/probe"
	"vetting/agent/worker"
)

// Options say what a drill is to do. Workers and Threads must be given.
type Options struct {
	Workers Starter
	Threads []probe.Thread // the CPUs: those that are online
	Kernels []string       // which; empty: all
	// For is how long; every kernel comes up once in any case.
	For  time.Duration
	Seed uint64 // what is drawn by lot
	// Silence is when a worker counts as hung; 0: as usual.
	Silence time.Duration
	// Progress hears how far the drill is and what it does now; may be nil.
	Progress func(done float64, left time.Duration, what string)
	// Around is called before a slot, and what it returns after it; may be nil.
	Around func(Slot) (after func())
	// Heat reads the temperature of a CPU's package in degrees Celsius; may be nil.
	Heat func(probe.Thread) float64
	// Next deals the slots in place of the lot, and says when there are none left; may
	// be nil.
	Next func() (Slot, bool)
	// Noted is called after each slot with what is known so far; may be nil.
	Noted func(*Outcome)
}

// Outcome is what a drill found.
type Outcome struct {
	Cores    map[int]*Tally // by CPU
	Suspects []Suspect
	// Disputed are kernels whose known answer every CPU contradicts alike: then it
	// is not the CPUs that are wrong.
	Disputed []string
	// Exchanges that went wrong, of so many Turns.
	Exchanges []Mistake
	Turns     uint64
	// Exits tells how the workers ended, by CPU; the one that exchanges is -1.
	Exits  map[int]worker.Exit
	Slots  int
	Rounds int // whole ones
	Took   time.Duration
	// Faults are orders that could not be carried out.
	Faults []string
}

// Tally is what one CPU did.
type Tally struct {
	Thread  probe.Thread
	Blocks  int
	Kernels map[string]int // blocks by kernel
	// Rates are the GFLOP/s of slots of the hottest kernel with CPUs at work together;
	// MHz the clock right after, and Variant what it was done with.
	Rates   []float64
	MHz     []float64
	Variant string
	// PlainMHz is the clock right after slots of plain code with all CPUs at work. The
	// base frequency is promised for such code: with wide vectors many Xeons run below it.
	PlainMHz []float64
	Kind     string // of core, on hybrid packages
	// Own are the rates with all CPUs at work all the time, by the time for which the
	// worker had its CPU: other work beside it does not count.
	Own []float64
	// Instructions a cycle in these slots, where the CPU tells; Busy the share of
	// the time that the worker had the CPU.
	PerCycle []float64
	Busy     []float64
	// Left is how often the worker was found on another CPU, since its own had been
	// switched off; Away what was seen last.
	Left int
	Away Away
}

// plain is the variant of a kernel that is compiled Go.
const plain = "go"

// Hottest is the kernel by which CPUs are compared.
func Hottest() string { return cpu.Kernels()[0].Name }

// drill is one under way. It is used by one goroutine.
type drill struct {
	*Options
	crew      *crew
	exchanger *exchanger
	plan      *plan
	out       Outcome
	begin     time.Time
}

// Run does a drill. When ctx ends it returns early with what it has.
func Run(ctx context.Context, o Options) Outcome {
	d := &drill{Options: &o, plan: newPlan(&o), begin: time.Now()}
	d.out.Cores, d.out.Exits = map[int]*Tally{}, map[int]worker.Exit{}

	for _, t := range o.Threads {
		d.out.Cores[t.Number] = &Tally{Thread: t, Kernels: map[string]int{}}
	}

	d.crew = assemble(ctx, &o)
	d.exchanger = newExchanger(ctx, &o)

	for ctx.Err() == nil && len(d.crew.able()) > 0 {
		s, ok := d.deal()
		if !ok {
			break
		}

		d.slot(ctx, s)
	}

	d.out.Exits = d.crew.dismiss()

	if d.exchanger != nil {
		d.out.Exits[Between] = d.exchanger.dismiss()
	}

	d.out.Rounds = d.plan.rounds
	if !d.plan.whole() {
		d.out.Rounds--
	}

	d.out.Took = time.Since(d.begin)

	return d.out
}

// deal returns the next slot; false: there is none.
func (d *drill) deal() (Slot, bool) {
	if d.Next != nil {
		return d.Next()
	}

	if d.over() {
		return Slot{}, false
	}

	return d.plan.next(), true
}

// over: the time is, and a first round was done.
func (d *drill) over() bool {
	return time.Since(d.begin) >= d.For && (d.plan.rounds > 1 || d.plan.rounds == 1 && d.plan.whole())
}

// slot does one slot.
func (d *drill) slot(ctx context.Context, s Slot) {
	d.tell(&s)

	after := func() {}
	if d.Around != nil {
		after = d.Around(s)
	}

	d.out.Slots++

	if s.Mode == Exchange {
		d.exchange(ctx, s)
		after()
		d.noted()

		return
	}

	reports, seed := d.work(ctx, s)

	after()

	for i := range reports {
		d.note(&s, &reports[i])
	}

	d.compare(ctx, s.Kernel, seed, reports)
	d.noted()
}

func (d *drill) noted() {
	d.crew.tell(&d.out)

	d.out.Took = time.Since(d.begin)

	if d.Noted != nil {
		d.Noted(&d.out)
	}
}

// tell says how far the drill is. Until a round is done it lasts at least that.
func (d *drill) tell(s *Slot) {
	if d.Progress == nil {
		return
	}

	whole, spent := max(d.For, d.plan.length()), time.Since(d.begin)
	d.Progress(min(1, float64(spent)/float64(whole)), max(0, whole-spent), fmt.Sprintf("%s, %s", s.Kernel, s.Mode))
}

// work has the members of a slot do it.
func (d *drill) work(ctx context.Context, s Slot) (reports []Report, seed uint64) {
	seed = d.plan.chance.Uint64()
	order := Order{Kernel: s.Kernel, Seed: seed, For: s.For, On: s.On, Off: s.Off}

	var members []*member

	for _, n := range s.CPUs {
		if m := d.crew.of(n); m != nil && !m.gone() && !m.lost() {
			members = append(members, m)
		}
	}

	switch s.Mode {
	case Step:
		order.On, order.Off = onTime, onTime
	case Hop:
		order.For = min(hopTime, s.For)

		for _, m := range members {
			reports = append(reports, d.crew.together(ctx, []*member{m}, order)...)
		}

		return reports, seed
	default:
	}

	return d.crew.together(ctx, members, order), seed
}

// note adds a report to what its CPU did.
func (d *drill) note(s *Slot, r *Report) {
	t := d.out.Cores[r.CPU]
	if t == nil || r.Fault != "" {
		d.fault(fmt.Sprintf("CPU %d: %s", r.CPU, r.Fault))

		return
	}

	t.Blocks += r.Blocks
	t.Kernels[r.Kernel] += r.Blocks

	if r.Away != nil {
		return // its times and clocks are those of two CPUs
	}

	full := s.Full(len(d.Threads))

	if full && r.Variant == plain {
		t.PlainMHz = append(t.PlainMHz, r.MHz)
	}

	if s.Mode != All || r.Kernel != Hottest() {
		return
	}

	t.Variant, t.Kind = r.Variant, r.Kind
	t.Rates, t.MHz = append(t.Rates, r.rate()), append(t.MHz, r.MHz)

	if !full {
		return
	}

	t.Own = append(t.Own, r.ownRate())

	if r.Cycles > 0 {
		t.PerCycle = append(t.PerCycle, float64(r.Instructions)/float64(r.Cycles))
	}

	if r.Took > 0 {
		t.Busy = append(t.Busy, float64(r.Busy)/float64(r.Took))
	}
}

// fault notes, once, what could not be carried out.
func (d *drill) fault(text string) {
	if !slices.Contains(d.out.Faults, text) {
		d.out.Faults = append(d.out.Faults, text)
	}
}
