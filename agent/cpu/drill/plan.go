package drill

import (
	"math/rand/v2"
	"slices"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/probe"
)

// Mode is how the CPUs take part in a slot.
type Mode string

// The modes.
const (
	All      Mode = "all"      // every CPU at once: heat, and the power supply
	Single   Mode = "single"   // one alone: the highest clock
	Siblings Mode = "siblings" // the threads of one core: what they share
	Hop      Mode = "hop"      // one after the other: from idle to full and back
	Step     Mode = "step"     // all in bursts: clock and voltage change all the time
	Exchange Mode = "exchange" // messages, locks and time stamps between CPUs
)

const (
	shortSlot = time.Second
	longSlot  = 2 * time.Second
	leastSlot = 40 * time.Millisecond // a short stage still does every kernel once
	onTime    = 50 * time.Millisecond // of a burst
	hopTime   = 50 * time.Millisecond // on one CPU
	fewHops   = 16                    // in a slot
	hotTurns  = 2                     // more slots of the hottest kernel in each round
)

// Slot is one piece of a drill.
type Slot struct {
	Mode   Mode
	Kernel string // with Exchange: what is exchanged
	CPUs   []int
	For    time.Duration
	// On and Off make bursts, of all CPUs in step; both 0: as the mode has it.
	On, Off time.Duration
}

// Full reports whether all of so many CPUs are at work all the time.
func (s *Slot) Full(cpus int) bool { return s.Mode == All && s.On == 0 && len(s.CPUs) == cpus }

// plan deals slots: rounds in which everything comes up once, in an order drawn by
// lot. It is used by one goroutine.
type plan struct {
	chance  *rand.Rand
	kernels []cpu.Kernel
	threads []probe.Thread
	least   time.Duration // a slot lasts so long …
	most    time.Duration // … to so long
	deck    []Slot
	rounds  int // that were begun
}

func newPlan(o *Options) *plan {
	p := &plan{
		chance:  rand.New(rand.NewPCG(o.Seed, 0x6472696c6c)), //nolint:gosec // an order, not a secret
		threads: o.Threads, least: shortSlot, most: longSlot,
		kernels: slices.DeleteFunc(cpu.Kernels(), func(k cpu.Kernel) bool {
			return len(o.Kernels) > 0 && !slices.Contains(o.Kernels, k.Name)
		}),
	}

	if fair := o.For / time.Duration(len(p.round())); fair < longSlot {
		p.least = max(leastSlot, min(shortSlot, fair*2/3))
		p.most = max(p.least, fair*4/3)
	}

	return p
}

// length is how long a whole round lasts on average.
func (p *plan) length() time.Duration {
	return time.Duration(len(p.round())) * (p.least + p.most) / 2
}

// whole reports whether no round is under way.
func (p *plan) whole() bool { return len(p.deck) == 0 }

// next deals a slot.
func (p *plan) next() Slot {
	if len(p.deck) == 0 {
		p.deck = p.round()
		p.rounds++
	}

	s := p.deck[0]
	p.deck = p.deck[1:]
	s.CPUs = p.cpus(s.Mode)
	s.For = p.least + time.Duration(p.chance.Int64N(int64(p.most-p.least)+1))

	return s
}

// round makes a shuffled round.
func (p *plan) round() (deck []Slot) {
	hottest := p.kernels[0].Name

	for _, k := range p.kernels {
		deck = append(deck, Slot{Mode: All, Kernel: k.Name})
	}

	for range hotTurns {
		deck = append(deck, Slot{Mode: All, Kernel: hottest})
	}

	anyKernel := func() string { return p.kernels[p.chance.IntN(len(p.kernels))].Name }

	deck = append(deck, Slot{Mode: Step, Kernel: hottest}, Slot{Mode: Step, Kernel: anyKernel()})

	if len(p.threads) > 1 {
		deck = append(deck, Slot{Mode: Single, Kernel: hottest}, Slot{Mode: Single, Kernel: anyKernel()},
			Slot{Mode: Hop, Kernel: hottest}, Slot{Mode: Hop, Kernel: anyKernel()})

		for _, test := range exchanges() {
			deck = append(deck, Slot{Mode: Exchange, Kernel: test})
		}
	}

	if len(p.cores()) > 0 {
		deck = append(deck, Slot{Mode: Siblings, Kernel: hottest}, Slot{Mode: Siblings, Kernel: anyKernel()})
	}

	p.chance.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })

	return deck
}

// cores lists the cores with more than one thread.
func (p *plan) cores() (cores [][]int) {
	for _, t := range p.threads {
		here := slices.DeleteFunc(slices.Clone(t.Siblings), func(n int) bool {
			return !slices.ContainsFunc(p.threads, func(o probe.Thread) bool { return o.Number == n })
		})

		if len(here) > 1 && here[0] == t.Number {
			cores = append(cores, here)
		}
	}

	return cores
}

// cpus draws those that take part.
func (p *plan) cpus(mode Mode) (cpus []int) {
	for _, t := range p.threads {
		cpus = append(cpus, t.Number)
	}

	p.chance.Shuffle(len(cpus), func(i, j int) { cpus[i], cpus[j] = cpus[j], cpus[i] })

	switch mode {
	case Single:
		return cpus[:1]
	case Hop:
		return cpus[:min(fewHops, len(cpus))]
	case Siblings:
		cores := p.cores()

		return cores[p.chance.IntN(len(cores))]
	default:
		return cpus
	}
}
