package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/worker"
)

// Kind is the name of the worker that exercises one CPU, in the table of
// cmd/vetting-agent.
const Kind = "cpu"

// Job is what a worker is started with.
type Job struct {
	CPU int `json:"cpu"`
	// Fault is planted by tests of the tests.
	Fault *Fault `json:"fault,omitempty"`
}

const (
	// freshSeeds is how many seeds without a known answer a slot has; every fourth
	// block is one of them.
	freshSeeds = 8
	freshEvery = 4

	maxWrong = 4 // of a report, with all they have to tell
	maxLanes = 4

	// garbage is what a worker's codecs and signatures may leave behind before it is
	// collected: there are as many workers as CPUs.
	garbage = 64 << 20
)

// Work is the worker: it does slots of work on its CPU as it is ordered to, and
// tells what came out.
func Work(ctx context.Context, c *worker.Child) error {
	var job Job
	if err := c.Config(&job); err != nil {
		return err
	}

	debug.SetMemoryLimit(garbage)

	done := make(chan error, 1)

	go func() { done <- exercise(ctx, c, job) }() // its thread ends with it

	return <-done
}

// exercise runs on a thread tied to the CPU.
func exercise(ctx context.Context, c *worker.Child, job Job) error {
	if err := worker.Pin(job.CPU); err != nil {
		return err
	}

	features := cpu.Detect()
	t := &thread{
		cpu: job.CPU, features: features, fault: job.Fault, lane: c.Lane(fmt.Sprintf("CPU %d", job.CPU)), begin: time.Now(), counters: openCounters(),
		where: worker.Here, pin: func() error { return worker.Pin(job.CPU) },
	}

	defer t.counters.close()
	defer t.lane.End()

	c.Ready(features.String())

	caught, what, err := t.canary()
	if err != nil {
		return err
	}

	c.Canary(caught, what)

	for {
		t.lane.Tick() // waiting is not hanging

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(idleTick):
		case raw, ok := <-c.Commands():
			if !ok {
				return nil
			}

			var order Order
			if err := json.Unmarshal(raw, &order); err != nil {
				return fmt.Errorf("reading an order: %w", err)
			}

			c.Say(reported, t.obey(ctx, &order))
		}
	}
}

const (
	idleTick = time.Second
	reported = "report" // the event that carries a Report
)

// thread is a CPU at work. It is used by one goroutine.
type thread struct {
	cpu      int
	features cpu.Features
	fault    *Fault
	lane     *worker.Lane
	begin    time.Time
	counters *counters
	where    func() int   // the CPU it runs on; -1: not known
	pin      func() error // ties it to its own
	blocks   int          // since the worker began
	last     *slot        // the one before
}

// canary plants a flipped bit into a result and looks whether the very comparison
// that judges all others finds it.
func (t *thread) canary() (caught bool, what string, err error) {
	kernel, _ := cpu.Find("division") // the quickest
	known, err := cpu.Known(kernel.Name)
	if err != nil {
		return false, "", err
	}

	s := newSlot(t, kernel, kernel.Best(t.features), &known, 0)
	words := s.block(cpu.Seed(0))
	lane, bit := len(words)/2, int(t.begin.UnixNano()/1000)&63

	words[lane] ^= 1 << bit
	s.judge(cpu.Seed(0), words, known[0], true)

	return s.report.Mistakes == 1, fmt.Sprintf("bit %d of lane %d of the kernel %s", bit, lane, kernel.Name), nil
}

// stray looks whether the thread still runs on its own CPU, and calls it back if it
// does not; nil: it does.
func (t *thread) stray() *Away {
	on := t.where()
	if on == t.cpu || on < 0 {
		return nil
	}

	return &Away{On: on, Back: t.pin() == nil}
}

// obey carries an order out.
func (t *thread) obey(ctx context.Context, order *Order) Report {
	refuse := func(err error) Report {
		return Report{ID: order.ID, CPU: t.cpu, Kernel: order.Kernel, Fault: err.Error()}
	}

	away := t.stray()
	if away != nil && !away.Back {
		return Report{ID: order.ID, CPU: t.cpu, Kernel: order.Kernel, Away: away}
	}

	kernel, ok := cpu.Find(order.Kernel)
	if !ok {
		return refuse(fmt.Errorf("there is no kernel %q", order.Kernel))
	}

	known, err := cpu.Known(kernel.Name)
	if err != nil {
		return refuse(err)
	}

	variant := kernel.Best(t.features)
	if order.Repeat != nil && order.Repeat.Plain {
		list := kernel.Variants(t.features)
		variant = list[len(list)-1]
	}

	s := newSlot(t, kernel, variant, &known, order.Seed)
	s.report.ID, s.report.Away = order.ID, away

	begin, busy := time.Now(), threadTime()

	t.counters.start()

	if order.Repeat != nil {
		s.repeat(order.Repeat)
		s.recall(order.Repeat)
	} else {
		s.run(ctx, order)
		t.last = s
	}

	s.report.Instructions, s.report.Cycles = t.counters.stop()
	s.report.Took, s.report.Busy = time.Since(begin), threadTime()-busy
	s.report.MHz = cpu.Clock()

	return s.report
}

// slot is one order under way.
type slot struct {
	*thread
	kernel cpu.Kernel
	block  cpu.Block
	plain  cpu.Block // made when it is needed
	known  *cpu.Answers
	fresh  [freshSeeds]uint64
	first  [][]uint64 // what came out of them, as far as they came up
	report Report
}

func newSlot(t *thread, kernel cpu.Kernel, variant cpu.Variant, known *cpu.Answers, seed uint64) *slot {
	s := &slot{thread: t, kernel: kernel, block: variant.New(), known: known}
	s.report = Report{CPU: t.cpu, Kernel: kernel.Name, Variant: variant.Name, Kind: t.features.Kind}

	for i := range s.fresh {
		s.fresh[i] = seed + uint64(i)
	}

	return s
}

// run works until the time is over: on an emulated CPU a block alone may take longer.
func (s *slot) run(ctx context.Context, order *Order) {
	begin := time.Now()

	for n := 0; ; n++ {
		now := time.Now()
		if ctx.Err() != nil || now.Sub(begin) >= order.For && n >= freshEvery {
			break
		}

		time.Sleep(order.pause(now))

		home := s.step(n)
		s.lane.Tick()

		if !home {
			break
		}
	}

	for _, words := range s.first {
		s.report.Digests = append(s.report.Digests, cpu.Digest(words))
	}
}

// pause is how long to sleep now. The bursts of all CPUs are in step by the clock
// that they share.
func (o *Order) pause(now time.Time) time.Duration {
	if o.On <= 0 {
		return 0
	}

	period := o.On + o.Off

	at := time.Duration(now.UnixNano() % int64(period))
	if at < o.On {
		return 0
	}

	return period - at
}

// step does one block: three with known answers, one fresh. It reports whether the
// thread did it on its own CPU; else it is not judged.
func (s *slot) step(n int) (home bool) {
	if n%freshEvery != 0 {
		i := n % cpu.Seeds

		words, home := s.do(cpu.Seed(i))
		if home {
			s.judge(cpu.Seed(i), words, s.known[i], true)
		}

		return home
	}

	i := n / freshEvery % freshSeeds
	words, home := s.do(s.fresh[i])

	switch {
	case !home:
	case i >= len(s.first):
		s.first = append(s.first, slices.Clone(words))
	case !slices.Equal(words, s.first[i]):
		s.differ(i, words)
	}

	return home
}

// do does a block. Without home the thread is, or was, on another CPU, and nobody can
// tell which of the two is to blame for the words.
func (s *slot) do(seed uint64) (words []uint64, home bool) {
	begin := time.Now()
	words = s.block(seed)
	took := time.Since(begin)

	s.blocks++
	s.fault.strike(s.thread, s.kernel.Name, words)

	if away := s.stray(); away != nil {
		s.report.Away = away

		return nil, false
	}

	s.report.Work += took
	s.report.Blocks++
	s.report.Flops += s.kernel.Flops

	return words, true
}

// judge compares a block with what must come out, and explains it if it must.
func (s *slot) judge(seed uint64, words []uint64, want uint64, known bool) {
	got := cpu.Digest(words)
	if got == want {
		return
	}

	s.report.Mistakes++

	if len(s.report.Wrong) < maxWrong {
		s.explain(Wrong{Seed: seed, Want: want, Got: got, Known: known}, words, s.reference(seed))
	}
}

// differ deals with a fresh block that came out differently than before: plain Go
// tells which of the two is right, and its answer counts from now on.
func (s *slot) differ(i int, words []uint64) {
	s.report.Mistakes++

	if len(s.report.Wrong) >= maxWrong {
		return
	}

	seed, bad := s.fresh[i], words

	right := s.reference(seed)
	if slices.Equal(bad, right) {
		bad, s.first[i] = s.first[i], slices.Clone(words)
	}

	s.explain(Wrong{Seed: seed, Want: cpu.Digest(right), Got: cpu.Digest(bad)}, bad, right)
}

// reference does a block in plain Go.
func (s *slot) reference(seed uint64) []uint64 {
	if s.plain == nil {
		list := s.kernel.Variants(s.features)
		s.plain = list[len(list)-1].New()
	}

	return s.plain(seed)
}

// explain notes a mistake with all it has to tell.
func (s *slot) explain(w Wrong, got, want []uint64) {
	w.MHz, w.At = cpu.Clock(), time.Since(s.begin)
	w.Lanes, w.Differ = difference(got, want)
	s.report.Wrong = append(s.report.Wrong, w)
}

// recall adds what came of the seed in the slot before, if that was wrong: what only
// other CPUs saw to be wrong can be explained no more by doing it again.
func (s *slot) recall(r *Repeat) {
	if s.last == nil || s.last.kernel.Name != s.kernel.Name || r.Want == nil {
		return
	}

	i := slices.Index(s.last.fresh[:], r.Seed)
	if i < 0 || i >= len(s.last.first) || cpu.Digest(s.last.first[i]) == *r.Want {
		return
	}

	s.report.Before, s.report.Differ = difference(s.last.first[i], s.reference(r.Seed))
}

// difference lists the words that differ.
func difference(got, want []uint64) (lanes []Lane, count int) {
	for i := range min(len(got), len(want)) {
		if got[i] == want[i] {
			continue
		}

		if count++; len(lanes) < maxLanes {
			lanes = append(lanes, Lane{Index: i, Xor: got[i] ^ want[i]})
		}
	}

	return lanes, count
}

// repeat does one block again and again.
func (s *slot) repeat(r *Repeat) {
	for range r.Times {
		words, home := s.do(r.Seed)
		if !home {
			return
		}

		s.report.Digests = append(s.report.Digests, cpu.Digest(words))

		if r.Want != nil {
			s.judge(r.Seed, words, *r.Want, r.Known)
		}

		s.lane.Tick()
	}
}
