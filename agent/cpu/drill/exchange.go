package drill

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vetting/agent/worker"
)

// Between is the key of the worker that exchanges things between CPUs in
// Outcome.Exits.
const Between = -1

// BetweenKind is the name of that worker in the table of cmd/vetting-agent.
const BetweenKind = "cpu-exchange"

// What is exchanged.
const (
	mail  = "mail"  // a cache line goes round: every word of it must arrive
	lock  = "lock"  // all count behind one lock: none may slip in
	order = "order" // two write and read crosswise: one must see the other
	stamp = "stamp" // the time stamp counter goes round: it must never go back
)

func exchanges() []string { return []string{mail, lock, order, stamp} }

// trade is an order to that worker.
type trade struct {
	ID   uint64        `json:"id"`
	Test string        `json:"test"`
	CPUs []int         `json:"cpus"` // in the order in which things go round
	Seed uint64        `json:"seed"`
	For  time.Duration `json:"for"`
}

// traded is its report.
type traded struct {
	ID       uint64    `json:"id"`
	Turns    uint64    `json:"turns"`
	Mistakes []Mistake `json:"mistakes,omitempty"` // the first ones
	Fault    string    `json:"fault,omitempty"`
}

// Mistake is an exchange that went wrong.
type Mistake struct {
	Test   string `json:"test"`
	From   int    `json:"from"` // CPU
	To     int    `json:"to"`   // the CPU that saw it
	Detail string `json:"detail"`
}

// Back reports whether it is about time stamps alone.
func (m Mistake) Back() bool { return m.Test == stamp }

// exchanger is the parent's end.
type exchanger struct {
	process *worker.Process
	said    chan traded
	orders  uint64
}

// newExchanger starts the worker; nil where there is but one CPU.
func newExchanger(ctx context.Context, o *Options) *exchanger {
	if len(o.Threads) < 2 {
		return nil
	}

	var cpus []int
	for _, t := range o.Threads {
		cpus = append(cpus, t.Number)
	}

	e := &exchanger{said: make(chan traded, 1)}
	spec := worker.Spec{Kind: BetweenKind, Name: "cpu-exchange", Config: Job{CPU: Between}, CPUs: cpus, Silence: o.Silence, Patience: patience}

	e.process = o.Workers.Start(ctx, spec, func(msg worker.Message) {
		var r traded
		if msg.Type != worker.Event || msg.Decode(&r) != nil {
			return
		}

		select {
		case e.said <- r:
		default:
		}
	})

	return e
}

// exchange has a slot done.
func (d *drill) exchange(ctx context.Context, s Slot) {
	e := d.exchanger

	cpus := slices.DeleteFunc(slices.Clone(s.CPUs), func(n int) bool { m := d.crew.of(n); return m != nil && m.lost() })
	if e == nil || len(cpus) < 2 {
		return
	}

	e.orders++

	if e.process.Send(trade{ID: e.orders, Test: s.Kernel, CPUs: cpus, Seed: d.plan.chance.Uint64(), For: s.For}) != nil {
		return // its exit tells why
	}

	select {
	case r := <-e.said:
		if r.Fault != "" {
			d.fault(fmt.Sprintf("exchange %s: %s", s.Kernel, r.Fault))
		}

		d.out.Turns += r.Turns
		d.out.Exchanges = append(d.out.Exchanges, r.Mistakes...)
	case <-e.process.Over():
	case <-ctx.Done():
	}
}

func (e *exchanger) dismiss() worker.Exit {
	e.process.Stop()

	return e.process.Wait()
}
