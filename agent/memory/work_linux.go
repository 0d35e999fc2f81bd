package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"vetting/agent/memory/pattern"
	"vetting/agent/worker"
)

// crew is a worker at work: its lanes, each tied to a CPU, do each step together.
type crew struct {
	child  *worker.Child
	job    *job
	budget *budget
	shared *shared
	lanes  []*lane
	bytes  uint64        // that were taken
	taken  atomic.Uint64 // bytes, while more are taken
	begin  time.Time
	pace   pace
	broken error // why a step was not done; nil: none was left out

	mu    sync.Mutex // guards the rest, and the order in which it is told
	at    Position
	saved time.Time // when at was told last
}

// usualGarbage is what Go's collector leaves in percent where nobody says otherwise.
const usualGarbage = 100

// Work is the worker that tests the memory of a node.
func Work(ctx context.Context, c *worker.Child) error { return workAt(ctx, c, os.DirFS("/")) }

func workAt(ctx context.Context, c *worker.Child, root fs.FS) error {
	var j job
	if err := c.Config(&j); err != nil {
		return err
	}

	if len(j.CPUs) == 0 {
		return fmt.Errorf("testing the memory of node %d: no CPU is given", j.Node)
	}

	// What is tested is no garbage, and what garbage there is would take the place of
	// memory to test.
	debug.SetGCPercent(usualGarbage)

	now := time.Now()
	w := &crew{
		child: c, job: &j, budget: &budget{root: root, job: &j}, begin: now,
		pace: pace{earlier: j.Done.Passes, passes: max(1, j.Passes-j.Done.Passes), duration: max(0, j.Duration-j.Done.Spent), begun: now},
	}
	w.shared = &shared{job: &j, tell: func(f Fault) { c.Say(eventFault, f) }, left: func(l Left) { c.Say(eventLeft, l) }}

	if table, err := openPageTable(); err == nil {
		w.shared.table = table
		defer table.close()
	}

	return w.work(ctx)
}

func (w *crew) work(ctx context.Context) error {
	for _, cpu := range w.job.CPUs {
		w.lanes = append(w.lanes, &lane{
			cpu: cpu, kernel: pattern.Kernels()[0], shared: w.shared, tick: w.child.Lane(fmt.Sprintf("CPU %d", cpu)),
		})
	}

	if err := w.prove(); err != nil {
		return err
	}

	if err := w.take(ctx); err != nil {
		return err
	}

	end := w.watch(ctx)

	if w.job.Stream {
		w.child.Say(eventStream, w.stream(ctx))
	}

	at := w.passes(ctx)

	end()

	if err := w.survey(); err != nil {
		return err
	}

	w.child.Say(eventTally, w.tally(at))

	return errors.Join(w.broken, w.release())
}

// release gives all memory back, each lane its own: left to the kernel, one thread
// would do it when nobody hears of the worker any more.
func (w *crew) release() error {
	return w.each(w.job.CPUs, func(l *lane) error {
		var faults []error

		for _, p := range l.plots {
			faults = append(faults, p.release())
			l.tick.Tick()
		}

		l.plots = nil

		return errors.Join(faults...)
	})
}

// each has every lane do something on its CPU, or on one of those given, and waits
// for all. Who is done first is not taken for hung while it waits for the others.
func (w *crew) each(cpus []int, do func(l *lane) error) error {
	faults, all := make([]error, len(w.lanes)), make(chan struct{})

	var (
		wait sync.WaitGroup
		left atomic.Int64
	)

	left.Store(int64(len(w.lanes)))

	for i, l := range w.lanes {
		wait.Go(func() {
			faults[i] = w.shared.tied(cpus[i%len(cpus)], func() error {
				l.tick.Tick()

				return do(l)
			})

			if left.Add(-1) == 0 {
				close(all)
			}

			l.rest(all)
		})
	}

	wait.Wait()

	return errors.Join(faults...)
}

// tied does something on a CPU, and tells if it ended on another one. The thread ends
// with the goroutine, and its binding with it.
func (s *shared) tied(cpu int, do func() error) error {
	if err := worker.Pin(cpu); err != nil {
		return err
	}

	err := do()

	if on := worker.Here(); on >= 0 && on != cpu {
		s.left(Left{CPU: cpu, On: on})
	}

	return err
}

// rest shows that the lane is alive until all are done.
func (l *lane) rest(all <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()

	for {
		select {
		case <-all:
			return
		case <-ticker.C:
			l.tick.Tick()
		}
	}
}

// prove runs the canary on each CPU.
func (w *crew) prove() error {
	err := w.each(w.job.CPUs, func(l *lane) error { return l.prove(w.job.Seed) })
	if err == nil {
		w.child.Canary(true, fmt.Sprintf("flipped bits, %s, on %d CPUs", w.lanes[0].kernel, len(w.lanes)))

		return nil
	}

	w.child.Canary(false, err.Error())

	return err
}

// take takes the memory, all lanes at once.
func (w *crew) take(ctx context.Context) error {
	free, err := available(w.budget.root)
	if err != nil {
		return err
	}

	wanted := free - min(free, w.job.Reserve)

	if w.job.Limit != 0 {
		free, wanted = min(free, w.job.Limit), min(wanted, w.job.Limit)
	}

	// In sixteenths of a share, so that the lanes end up with about the same.
	size := min(largestPlot, max(hugeBytes, int(free)/len(w.lanes)/16&^(hugeBytes-1)))
	end := regularly(ctx, func() {
		w.child.Progress(0, fmt.Sprintf("taking memory, %d of about %d MiB", w.taken.Load()>>20, wanted>>20))
	})
	err = w.each(w.job.CPUs, func(l *lane) error { l.grow(w.budget, size, &w.taken); return nil })

	end()

	if err != nil {
		return err
	}

	have := w.has()
	w.bytes = have.Bytes
	w.child.Say(eventTaken, have)

	if have.Bytes == 0 {
		return fmt.Errorf("taking memory of node %d: there is none to be had, %d MiB are free and %d MiB stay in reserve; %s",
			w.job.Node, free>>20, w.job.Reserve>>20, have.Short)
	}

	return w.survey()
}

func (w *crew) has() (have Taken) {
	for _, l := range w.lanes {
		if l.short != nil {
			have.Short = l.short.Error()
		}

		for _, p := range l.plots {
			bytes := uint64(p.area.Bytes())
			have.Bytes += bytes

			if !p.locked {
				have.Unlocked, have.LockErr = have.Unlocked+bytes, p.lockErr.Error()
			}

			for at := uint64(0); at < bytes; at += hugeBytes {
				if w.shared.table != nil && w.shared.table.isHuge(p.area.Address(0)+at) {
					have.Huge += hugeBytes
				}
			}
		}
	}

	return have
}

// survey looks at the physical pages of all memory, each lane at its own.
func (w *crew) survey() error {
	if w.shared.table == nil {
		return nil
	}

	return w.each(w.job.CPUs, func(l *lane) error {
		l.pages = Pages{}

		for _, p := range l.plots {
			if err := w.shared.table.survey(p, w.job.RAM, &l.pages); err != nil {
				return err
			}

			l.tick.Tick()
		}

		return nil
	})
}

// watch looks that the machine keeps its reserve, and asks lanes for memory when it
// does not; it also tells the progress. What it returns ends it.
func (w *crew) watch(ctx context.Context) (end func()) {
	return regularly(ctx, func() {
		if free, err := available(w.budget.root); err == nil && free < w.job.Reserve/2 {
			w.shared.excess.Store(int64(w.job.Reserve - free))
		}

		if done, what := w.pace.look(w.part()); what != "" {
			w.child.Progress(done, what)
		}

		w.save()
	})
}

// regularly does something at once, and then twice a second until ctx ends, or what it
// returns is called.
func regularly(ctx context.Context, do func()) (end func()) {
	const every = 500 * time.Millisecond

	ctx, cancel := context.WithCancel(ctx)

	var wait sync.WaitGroup

	do() // here, so that what lasts a moment only is told once, too

	wait.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()

		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				do()
			}
		}
	})

	return func() {
		cancel()
		wait.Wait()
	}
}

// part is how far the step under way is.
func (w *crew) part() float64 {
	done := uint64(0)
	for _, l := range w.lanes {
		done += l.progress.Load()
	}

	return min(1, float64(done)/float64(w.bytes))
}

// passes does the passes that are asked for, and returns where it ended.
func (w *crew) passes(ctx context.Context) (at Position) {
	skip := w.job.Done.Steps

	for at.Passes = w.job.Done.Passes; w.more(at.Passes) && !w.over(ctx); at.Passes, at.Steps = at.Passes+1, 0 {
		w.enters(at, skip)

		all := plan(w.job, at.Passes, at.Passes > w.job.Done.Passes)
		if skip > 0 && skip < len(all) {
			all, at.Steps = resumed(all, skip), skip-1
		}

		skip = 0

		w.pace.begin(at.Passes-w.job.Done.Passes, all)

		for i := range all {
			if !w.do(ctx, &all[i]) {
				return at
			}

			w.pace.next()

			at.Steps, at.Spent = at.Steps+1, w.spent()
			w.reached(at)
		}
	}

	return at
}

// enters begins a pass, of which some steps were done before.
func (w *crew) enters(at Position, done int) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.at, w.saved = Position{Passes: at.Passes, Steps: done}, time.Now()
}

// reached tells where the passes are.
func (w *crew) reached(at Position) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.at, w.saved = at, time.Now()
	w.child.Say(eventStep, at)
}

// save tells, within a long step, for how long the test goes on: the step is done anew
// by who comes after, and the time counts.
func (w *crew) save() {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.saved.IsZero() || time.Since(w.saved) < w.job.SaveEvery {
		return
	}

	w.at.Spent, w.saved = w.spent(), time.Now()
	w.child.Say(eventStep, w.at)
}

// spent is how long the test goes on already.
func (w *crew) spent() time.Duration { return w.job.Done.Spent + time.Since(w.begin) }

// resumed leaves out steps that were done before; what the last of them left is
// written anew.
func resumed(all []step, skip int) []step {
	left := all[skip:]

	for i := skip - 1; i >= 0; i-- {
		if all[i].op != pattern.Check && all[i].op != pattern.Move {
			return append([]step{{op: pattern.Fill, to: all[i].to}}, left...)
		}
	}

	return all
}

func (w *crew) more(done int) bool {
	return done < w.job.Passes || w.spent() < w.job.Duration
}

func (w *crew) over(ctx context.Context) bool {
	return ctx.Err() != nil || w.shared.faults.Load() >= faultsMost
}

// do does a step, and reports whether it was done whole.
func (w *crew) do(ctx context.Context, s *step) bool {
	w.wait(ctx, s.idle)

	cpus := w.job.CPUs
	if s.remote {
		cpus = w.job.Remote
	}

	err := w.each(cpus, func(l *lane) error { l.run(ctx, s); return nil })
	if err != nil {
		// What is left was not tested: the worker ends as one that could not do its work.
		w.broken = fmt.Errorf("testing the memory of node %d: %w", w.job.Node, err)
	}

	return err == nil && !w.over(ctx)
}

// wait lets the memory keep what it holds for a while.
func (w *crew) wait(ctx context.Context, idle time.Duration) {
	for end := time.Now().Add(idle); time.Now().Before(end) && ctx.Err() == nil; {
		for _, l := range w.lanes {
			l.tick.Tick()
		}

		select {
		case <-ctx.Done():
		case <-time.After(min(time.Second, time.Until(end))):
		}
	}
}

func (w *crew) tally(at Position) (t Tally) {
	for _, l := range w.lanes {
		t.Verified += l.verified.Load()
		t.Written += l.written.Load()
		t.Faults += l.faults.Load()
		t.Bits |= l.bits.Load()
		t.Busy += time.Duration(l.busy.Load())
		t.Pages.Known = t.Pages.Known || l.pages.Known
		t.Pages.Tested += l.pages.Tested
		t.Pages.Moved += l.pages.Moved
		t.Pages.Other += l.pages.Other
	}

	t.Position, t.Released = at, w.shared.gone.Load()
	t.GaveUp = w.shared.faults.Load() >= faultsMost

	return t
}
