package burn

import (
	"context"
	"sync"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/diskread"
)

const (
	steadySlot = 2 * time.Second
	pulseSlot  = 10 * time.Second
	hops       = 16 // CPUs in one slot of hopping
	steps      = 4  // of the ramp
)

// kernels are what CPUs do in a burn: the hottest every other time.
func kernels() (names []string) {
	for _, k := range cpu.Kernels() {
		names = append(names, k.Name, drill.Hottest())
	}

	return names
}

// load runs everything from the ramp to the last hop.
func (b *burn) load(ctx context.Context, watch *watch) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	var (
		work   sync.WaitGroup
		memory = make(chan struct{})
	)

	work.Go(func() {
		heard := func(r diskread.Report) { b.set(func(o *Outcome) { o.Disks = r }) }
		heard(b.Read(ctx, diskread.Test{Targets: b.Targets, Seed: b.Seed, Told: heard}))
	})
	work.Go(func() { b.traffic(ctx) })
	work.Go(func() {
		defer close(memory)

		test := b.Test
		test.Duration = b.length(Ramp) + b.length(Steady)

		report, err := b.Memory(ctx, test)
		b.set(func(o *Outcome) { o.Memory, o.MemoryErr = report, err })
	})

	out := drill.Run(ctx, drill.Options{
		Workers: b.Workers, Threads: b.Threads, Seed: b.Seed, Silence: b.Silence, Around: b.Around,
		Next: b.dealer(memory, watch),
		Noted: func(now *drill.Outcome) {
			b.tell()

			if b.Noted != nil {
				b.Noted(b.soFar(now))
			}
		},
	})

	stop()
	work.Wait()
	b.set(func(o *Outcome) { o.CPU = out })
}

// soFar is what is known, with what the CPUs have done till now. Nobody changes it
// any more, but for what the CPUs do next.
func (b *burn) soFar(now *drill.Outcome) *Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()

	out := *b.out
	out.CPU, out.Took = *now, time.Since(b.begin)

	return &out
}

func (b *burn) set(change func(*Outcome)) {
	b.mu.Lock()
	defer b.mu.Unlock()

	change(b.out)
}

// dealer deals the slots of the CPUs, phase by phase. The load stays steady until
// the memory has been gone through: pulses are of the whole machine.
func (b *burn) dealer(memory <-chan struct{}, watch *watch) func() (drill.Slot, bool) {
	left := []Phase{Ramp, Steady, Slow, Medium, Fast, Hop}

	var end time.Time

	return func() (drill.Slot, bool) {
		for {
			now := time.Now()

			if !end.IsZero() && (now.Before(end) || left[0] == Steady && !over(memory)) {
				return b.slot(left[0], end, now), true
			}

			if !end.IsZero() {
				if left[0] == Steady {
					watch.plateau()
				}

				left = left[1:]
			}

			if len(left) == 0 {
				return drill.Slot{}, false
			}

			if left[0] == Steady {
				watch.steady()
			}

			b.enter(left[0])

			end = time.Now().Add(b.length(left[0]))
		}
	}
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// slot is what the CPUs do next in a phase.
func (b *burn) slot(p Phase, end, now time.Time) drill.Slot {
	s := drill.Slot{Mode: drill.All, Kernel: b.kernels[b.chance.IntN(len(b.kernels))], CPUs: b.numbers(), For: steadySlot}
	left := max(0, end.Sub(now))

	switch p {
	case Ramp:
		whole := b.length(Ramp)
		step := 1 + int(steps*(whole-left)/max(whole, 1))
		s.CPUs = s.CPUs[:max(1, len(s.CPUs)*min(step, steps)/steps)]
		s.For = min(s.For, left)
	case Steady:
		if left > 0 {
			s.For = min(s.For, left)
		}
	case Hop:
		s.Mode = drill.Hop
		b.chance.Shuffle(len(s.CPUs), func(i, j int) { s.CPUs[i], s.CPUs[j] = s.CPUs[j], s.CPUs[i] })
		s.CPUs = s.CPUs[:min(len(s.CPUs), hops)]
		s.For = min(s.For, left)
	default:
		s.Kernel, s.For = drill.Hottest(), min(pulseSlot, left)
		s.On, s.Off = p.rhythm(b.length(p))
	}

	return s
}

func (b *burn) numbers() (cpus []int) {
	for _, t := range b.Threads {
		cpus = append(cpus, t.Number)
	}

	return cpus
}
