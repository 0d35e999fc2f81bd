package drill

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"vetting/agent/probe"
	"vetting/agent/worker"
)

// Starter starts workers; worker.Runner is one.
type Starter interface {
	Start(ctx context.Context, spec worker.Spec, hear func(worker.Message)) *worker.Process
}

// patience is how long a worker may take to end: one block, which an emulated CPU
// does in seconds.
const patience = 20 * time.Second

// member is the worker of one CPU.
type member struct {
	thread  probe.Thread
	process *worker.Process
	said    chan Report // capacity 1: one order at a time
	exit    *worker.Exit
	left    int  // how often it was found on another CPU
	away    Away // the last time
}

// lost reports whether the CPU does not take its worker back: it gets no more orders.
func (m *member) lost() bool { return m.left > 0 && !m.away.Back }

// crew is a worker for each CPU. It is used by one goroutine.
type crew struct {
	members []*member
	orders  uint64
}

// assemble starts the workers and returns when each is there or gone.
func assemble(ctx context.Context, o *Options) *crew {
	c := &crew{}

	for _, t := range o.Threads {
		c.members = append(c.members, enlist(ctx, o, t))
	}

	return c
}

func enlist(ctx context.Context, o *Options, t probe.Thread) *member {
	m := &member{thread: t, said: make(chan Report, 1)}
	spec := worker.Spec{
		Kind: Kind, Name: fmt.Sprintf("cpu%d", t.Number), Config: Job{CPU: t.Number}, CPUs: []int{t.Number}, Silence: o.Silence, Patience: patience,
	}

	m.process = o.Workers.Start(ctx, spec, func(msg worker.Message) {
		var r Report
		if msg.Type != worker.Event || msg.Kind != reported || msg.Decode(&r) != nil {
			return
		}

		select {
		case m.said <- r:
		default: // an answer that nobody asked for
		}
	})

	return m
}

// gone reports whether the worker has ended, and notes how.
func (m *member) gone() bool {
	if m.exit != nil {
		return true
	}

	select {
	case <-m.process.Over():
		exit := m.process.Wait()
		m.exit = &exit

		return true
	default:
		return false
	}
}

// do gives an order and waits for its report. None comes of a worker that has ended
// or ends meanwhile.
func (m *member) do(ctx context.Context, order Order) (r Report, ok bool) {
	if m.gone() || m.process.Send(order) != nil {
		return r, false
	}

	for {
		select {
		case r := <-m.said:
			if r.ID == order.ID {
				return r, true
			}
		case <-m.process.Over():
			select { // its last words may be there
			case r := <-m.said:
				return r, r.ID == order.ID
			default:
				return r, false
			}
		case <-ctx.Done():
			return r, false
		}
	}
}

// of returns the member of a CPU; nil: there is none.
func (c *crew) of(number int) *member {
	i := slices.IndexFunc(c.members, func(m *member) bool { return m.thread.Number == number })
	if i < 0 {
		return nil
	}

	return c.members[i]
}

// able lists those whose workers live, and run where they belong.
func (c *crew) able() (list []*member) {
	for _, m := range c.members {
		if !m.gone() && !m.lost() {
			list = append(list, m)
		}
	}

	return list
}

// together gives some members the same order at once and gathers their reports.
func (c *crew) together(ctx context.Context, members []*member, order Order) (reports []Report) {
	c.orders++
	order.ID = c.orders

	heard := make([]*Report, len(members))

	var work sync.WaitGroup

	for i, m := range members {
		work.Go(func() {
			if r, ok := m.do(ctx, order); ok {
				heard[i] = &r
			}
		})
	}

	work.Wait()

	for i, m := range members {
		r := heard[i]
		if r == nil {
			continue
		}

		if r.Away != nil {
			m.left, m.away = m.left+1, *r.Away
		}

		reports = append(reports, *r)
	}

	return reports
}

// tell adds how workers ended that did so before their time, and which were found on
// other CPUs.
func (c *crew) tell(out *Outcome) {
	for _, m := range c.members {
		if m.exit != nil {
			out.Exits[m.thread.Number] = *m.exit
		}

		t := out.Cores[m.thread.Number]
		t.Left, t.Away = m.left, m.away
	}
}

// dismiss ends the workers and tells how they ended.
func (c *crew) dismiss() (exits map[int]worker.Exit) {
	exits = map[int]worker.Exit{}

	for _, m := range c.members {
		m.process.Stop()
	}

	for _, m := range c.members {
		if m.exit == nil {
			exit := m.process.Wait()
			m.exit = &exit
		}

		exits[m.thread.Number] = *m.exit
	}

	return exits
}
