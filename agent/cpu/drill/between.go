package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/cpu"
	"vetting/agent/worker"
)

const (
	maxMistakes = 8
	allowance   = 5 * time.Second // for a first turn
	spins       = 4096            // looks before a waiting thread lets others run
	lineWords   = 8               // of a cache line
)

// WorkBetween is the worker that exchanges things between CPUs: a thread for each
// that takes part, in one process, since they must share memory.
func WorkBetween(ctx context.Context, c *worker.Child) error {
	var job Job
	if err := c.Config(&job); err != nil {
		return err
	}

	c.Ready("threads that share memory")

	caught, what := betweenCanary()
	c.Canary(caught, what)

	waiting := c.Lane("waiting for orders")
	defer waiting.End()

	for {
		waiting.Tick()

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(idleTick):
		case raw, ok := <-c.Commands():
			if !ok {
				return nil
			}

			var t trade
			if err := json.Unmarshal(raw, &t); err != nil {
				return fmt.Errorf("reading an order: %w", err)
			}

			r := newRing(&t, job.Fault)
			r.tick = waiting.Tick
			c.Say(reported, r.run(ctx))
		}
	}
}

// betweenCanary sends a letter with a flipped bit to itself.
func betweenCanary() (caught bool, what string) {
	r := newRing(&trade{Test: mail, CPUs: []int{0}, Seed: 1}, &Fault{Block: 1, Lane: 3, Bit: 17})
	r.write(1)
	r.read(1, 0)

	return len(r.mistakes) == 1, "bit 17 of word 3 of a letter"
}

// ring is a set of threads among which a turn goes round.
type ring struct {
	*trade
	fault *Fault
	tick  func()

	_     [lineWords]uint64
	turn  atomic.Uint64 // who holds it: turn modulo the number of CPUs
	_     [lineWords - 1]uint64
	data  [lineWords]uint64 // guarded by the turn, or by the lock
	free  atomic.Uint64     // the lock: 0 is free
	_     [lineWords - 1]uint64
	count uint64 // guarded by the lock
	whole atomic.Uint64

	entered atomic.Uint64 // 1 once the lock was taken, or a pair has met
	sides   []side
	over    atomic.Bool

	mu       sync.Mutex
	mistakes []Mistake // guarded by mu
	broken   error     // guarded by mu
}

// side is what one thread of a pair writes, on a cache line of its own.
type side struct {
	at    atomic.Uint64 // how far it is
	value atomic.Uint64
	saw   atomic.Uint64
	_     [lineWords - 3]uint64
}

func newRing(t *trade, fault *Fault) *ring {
	return &ring{trade: t, fault: fault, tick: func() {}, sides: make([]side, len(t.CPUs))}
}

// run does one order.
func (r *ring) run(ctx context.Context) traded {
	bodies := map[string]func(me int){mail: r.mail, lock: r.lock, order: r.order, stamp: r.stamp}

	body := bodies[r.Test]
	if body == nil || len(r.CPUs) < 2 {
		return traded{ID: r.ID, Fault: fmt.Sprintf("there is no exchange %q among %d CPUs", r.Test, len(r.CPUs))}
	}

	var work sync.WaitGroup

	for me, number := range r.CPUs {
		work.Go(func() {
			if err := worker.Pin(number); err != nil {
				r.stop(err)

				return
			}

			body(me)
		})
	}

	r.last(ctx)
	r.over.Store(true)
	work.Wait()
	r.tick()

	if r.Test == lock && r.count != r.whole.Load() {
		r.blame(0, 0, fmt.Sprintf("%d entries were counted behind the lock, there were %d", r.count, r.whole.Load()))
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	out := traded{ID: r.ID, Turns: r.turn.Load() + r.whole.Load(), Mistakes: r.mistakes}
	switch {
	case r.broken != nil:
		out.Fault = r.broken.Error()
	case out.Turns == 0:
		out.Fault = "nothing went round in " + r.For.String()
	}

	return out
}

// last waits until the time is over, and longer while nothing has gone round at all:
// on a busy machine a thread may have to wait for its CPU.
func (r *ring) last(ctx context.Context) {
	timer := time.NewTimer(r.For)
	defer timer.Stop()

	for begin := time.Now(); ; timer.Reset(r.For) {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}

		if r.turn.Load()+r.entered.Load() > 0 || r.over.Load() || time.Since(begin) > r.For+allowance {
			return
		}
	}
}

func (r *ring) stop(err error) {
	r.over.Store(true)

	r.mu.Lock()
	defer r.mu.Unlock()

	r.broken = err
}

// blame notes a mistake between two places of the ring.
func (r *ring) blame(from, to int, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if len(r.mistakes) < maxMistakes {
		r.mistakes = append(r.mistakes, Mistake{Test: r.Test, From: r.CPUs[from], To: r.CPUs[to], Detail: detail})
	}
}

// await spins until it is so, and lets others run now and then: on a machine with
// more to do than CPUs the one waited for may have none. It returns false when all
// is over.
func (r *ring) await(so func() bool) bool {
	for n := 1; ; n++ {
		if r.over.Load() {
			return false
		}

		if so() {
			return true
		}

		if n%spins == 0 {
			_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // cannot fail
		}
	}
}

// round calls step each time the turn comes to a thread. The turn is what orders all
// accesses to data.
func (r *ring) round(me int, step func(turn uint64)) {
	n := uint64(len(r.CPUs))

	for {
		if !r.await(func() bool { return r.turn.Load()%n == uint64(me) }) {
			return
		}

		turn := r.turn.Load()
		step(turn)
		r.turn.Store(turn + 1)

		if r.over.Load() {
			return
		}
	}
}

// letter is what must stand in a word of the line at a turn.
func (r *ring) letter(turn uint64, word int) uint64 {
	return cpu.Mix(r.Seed ^ turn*lineWords + uint64(word))
}

func (r *ring) write(turn uint64) {
	for i := range r.data {
		r.data[i] = r.letter(turn, i)
	}

	if f := r.fault; f != nil && turn >= uint64(f.Block) {
		r.data[f.Lane%lineWords] ^= 1 << f.Bit

		if !f.Always {
			r.fault = nil
		}
	}
}

func (r *ring) read(turn uint64, me int) {
	for i, got := range r.data {
		if want := r.letter(turn, i); got != want {
			r.blame((me+len(r.CPUs)-1)%len(r.CPUs), me, fmt.Sprintf("turn %d, word %d: %016x arrived, %016x was sent", turn, i, got, want))
		}
	}
}

// mail passes a cache line on.
func (r *ring) mail(me int) {
	r.round(me, func(turn uint64) {
		if turn > 0 {
			r.read(turn, me)
		}

		r.write(turn + 1)
	})
}

// stamp passes the time on.
func (r *ring) stamp(me int) {
	r.round(me, func(turn uint64) {
		now, before := cpu.Stamp(), r.data[0]

		if f := r.fault; f != nil && turn >= uint64(f.Block) {
			now, r.fault = before-1, nil
		}

		if now < before {
			r.blame((me+len(r.CPUs)-1)%len(r.CPUs), me, fmt.Sprintf("turn %d: the counter went back by %d, from %d to %d", turn, before-now, before, now))
		}

		r.data[0] = cpu.Stamp()
	})
}

// lock counts behind a lock.
func (r *ring) lock(me int) {
	for mine := uint64(0); ; mine++ {
		if !r.await(func() bool { return r.free.CompareAndSwap(0, uint64(me)+1) }) {
			r.whole.Add(mine)

			return
		}

		if mine == 0 {
			r.entered.Store(1)
		}

		if holder := r.free.Load(); holder != uint64(me)+1 {
			r.blame(int((holder+uint64(len(r.CPUs))-1)%uint64(len(r.CPUs))), me, "the lock was taken while it was held")
		}

		first := r.data[0]
		if at := slices.IndexFunc(r.data[:], func(w uint64) bool { return w != first }); at >= 0 {
			r.blame(0, me, fmt.Sprintf("word %d behind the lock is %d, word 0 is %d", at, r.data[at], first))
		}

		for i := range r.data {
			r.data[i] = first + 1
		}

		r.count++

		if f := r.fault; f != nil && r.count >= uint64(f.Block) {
			r.data[f.Lane%lineWords] ^= 1 << f.Bit
			r.fault = nil
		}

		r.free.Store(0)
	}
}

// order lets pairs of threads each write their own flag and then read the other's:
// both cannot miss it (Intel SDM vol. 3, 9.2.3.9: locked instructions have a total
// order; Go's atomics are such everywhere).
func (r *ring) order(me int) {
	partner := me ^ 1
	if partner >= len(r.CPUs) {
		return
	}

	mine, other := &r.sides[me], &r.sides[partner]

	meet := func(step uint64) bool {
		mine.at.Store(step)

		return r.await(func() bool { return other.at.Load() >= step })
	}

	for turn := uint64(1); meet(2*turn - 1); turn++ {
		mine.value.Swap(turn) // a locked instruction, and so a full barrier in emulators too
		saw := other.value.Load()

		if f := r.fault; f != nil && turn == uint64(f.Block) {
			saw = 0
		}

		mine.saw.Store(saw)

		// The other goes on only when this side has come to the next meeting.
		if !meet(2 * turn) {
			return
		}

		if me < partner {
			if saw < turn && other.saw.Load() < turn {
				r.blame(partner, me, fmt.Sprintf("turn %d: neither saw what the other had written", turn))
			}

			r.whole.Add(1)
			r.entered.Store(1)
		}
	}
}
