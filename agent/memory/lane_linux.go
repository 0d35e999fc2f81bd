package memory

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"vetting/agent/memory/pattern"
	"vetting/agent/worker"
)

// How much of what a lane finds is told in full, and after how many wrong words a
// worker stops, since more would tell nothing.
const (
	faultsTold = 200
	faultsMost = 1 << 20
)

// sampled is how often a tile that was written is flushed and read back at once.
const sampled = 64

// lane is a thread with memory of its own. What it did may be read at any time,
// the rest belongs to its goroutine.
type lane struct {
	cpu    int
	kernel pattern.Kernel
	plots  []*plot
	short  error // why it has no more memory
	tick   *worker.Lane
	shared *shared
	step   *step // under way
	told   int
	pages  Pages
	arrays [3]pattern.Area // lent for the bandwidth
	span   [2]time.Time    // when it was last timed

	verified, written, faults, bits atomic.Uint64
	busy                            atomic.Int64
	progress                        atomic.Uint64 // bytes of the step under way that are done
}

// shared is what the lanes of a worker have in common.
type shared struct {
	job    *job
	table  *pageTable // nil: not readable
	tell   func(Fault)
	left   func(Left)
	excess atomic.Int64 // bytes that the machine needs back
	gone   atomic.Uint64
	faults atomic.Uint64
}

// physical returns the physical address of an address; 0 when it is not known.
func (s *shared) physical(address uint64) uint64 {
	if s.table == nil {
		return 0
	}

	return s.table.physical(address)
}

// grow takes memory until there is no more to be had, and adds up how much it is.
func (l *lane) grow(b *budget, plotBytes int, taken *atomic.Uint64) {
	node := -1
	if l.shared.job.Bind {
		node = l.shared.job.Node
	}

	l.growHuge(b, node, taken)

	for plotBytes >= hugeBytes {
		granted, err := b.take(uint64(plotBytes))
		if err != nil {
			l.short = err

			return
		}

		if !granted {
			plotBytes = plotBytes / 2 &^ (hugeBytes - 1)

			continue
		}

		p, err := newPlot(plotBytes, node, l.tick.Tick)
		if err != nil {
			b.give(uint64(plotBytes))

			l.short, plotBytes = err, plotBytes/2&^(hugeBytes-1)

			continue
		}

		b.used(uint64(plotBytes))
		taken.Add(uint64(plotBytes))

		l.plots = append(l.plots, p)
	}
}

// growHuge takes what is free in the kernel's pools, unless told how much to take.
func (l *lane) growHuge(b *budget, node int, taken *atomic.Uint64) {
	if l.shared.job.Limit != 0 {
		return
	}

	for _, size := range hugeSizes() {
		for hugeFree(b.root, node, size) {
			p, err := newHugePlot(size, node)
			if err != nil {
				break // another lane was faster
			}

			l.plots = append(l.plots, p)
			l.tick.Tick()
			taken.Add(uint64(size))
		}
	}
}

// prove runs the canary on memory of this lane.
func (l *lane) prove(seed uint64) error {
	p, err := newPlot(hugeBytes, -1, l.tick.Tick)
	if err != nil {
		return err
	}

	if err := l.kernel.Prove(p.area, seed+uint64(l.cpu)); err != nil {
		return err
	}

	return p.release()
}

// run does a step over all memory of the lane, in the order of the step.
func (l *lane) run(ctx context.Context, s *step) {
	begin := time.Now()
	l.step = s
	l.progress.Store(0)

	plots := slices.Clone(l.plots) // some may be given back on the way
	if s.op == pattern.TurnDown {
		slices.Reverse(plots)
	}

	for _, p := range plots {
		if ctx.Err() != nil {
			break
		}

		l.sweep(ctx, p, s)
	}

	l.forget()
	l.busy.Add(int64(time.Since(begin)))
}

func (l *lane) sweep(ctx context.Context, p *plot, s *step) {
	released := false
	sweep := pattern.Sweep{
		Kernel: l.kernel, Area: p.area, Sample: sampled,
		Miss: func(m pattern.Miss) { l.miss(p, m) },
		Step: func(verified, written int) bool {
			l.tick.Tick()
			l.verified.Add(uint64(verified))
			l.written.Add(uint64(written))
			l.progress.Add(uint64(max(verified, written)))

			released = l.mustGive(p)

			return !released && ctx.Err() == nil && l.shared.faults.Load() < faultsMost
		},
	}

	p.content, _ = sweep.Run(s.op, p.content, pattern.Content{Pattern: s.to})

	if released {
		l.give(p)
	}
}

// mustGive reports whether the machine needs the plot back.
func (l *lane) mustGive(p *plot) bool {
	if l.shared.excess.Load() <= 0 {
		return false
	}

	return l.shared.excess.Add(-int64(p.area.Bytes())) > -int64(p.area.Bytes())
}

func (l *lane) give(p *plot) {
	if p.release() != nil {
		return // it stays mapped and is not counted as tested
	}

	l.shared.gone.Add(uint64(p.area.Bytes()))
	l.plots = slices.DeleteFunc(l.plots, func(other *plot) bool { return other == p })
}

// forget flushes what the caches may still hold of the end of this step, which may
// be the beginning of the next.
func (l *lane) forget() {
	if len(l.plots) == 0 {
		return
	}

	p := l.plots[len(l.plots)-1]
	if l.step.op == pattern.TurnDown {
		p = l.plots[0]
	}

	l.kernel.Forget(p.area, l.step.op, l.shared.job.Cache, l.tick.Tick)
}

// miss tells of a wrong word: the first ones in full, then only how many.
func (l *lane) miss(p *plot, m pattern.Miss) {
	l.faults.Add(1)
	l.shared.faults.Add(1)

	l.bits.Or(m.Expected ^ m.Got)

	if l.told++; l.told > faultsTold {
		return
	}

	f := Fault{
		Expected: m.Expected, Got: m.Got, Node: l.shared.job.Node, CPU: l.cpu, Step: l.step.name(), Compared: m.Expected == m.Got,
	}

	if m.Word >= 0 {
		f.Virtual = p.area.Address(m.Word)
		f.Physical = l.shared.physical(f.Virtual)
		examine(word{l.kernel, p.area, m.Word}, &f)
	}

	l.shared.tell(f)
}
