package notify

import (
	"context"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
)

// Again sends a message once more, now, that did not arrive at a target, whatever the
// routes say by now, and keeps what came of it in place of what came of it before.
// ErrNotFound when there is no such target or message, ErrConflict when it has arrived:
// whoever got it would get it twice.
func (c *Courier) Again(ctx context.Context, event uint64, target string) (core.Delivery, error) {
	plan := c.plan()

	d := plan.desks[target]
	if d == nil {
		return core.Delivery{}, noTarget(target)
	}

	// One after the other: of two that want the same message the second learns that it
	// has arrived.
	c.again.Lock()
	defer c.again.Unlock()

	m, err := c.lost(ctx, event, target, plan.config.Console)
	if err != nil {
		return core.Delivery{}, err
	}

	outcome := c.deliver(ctx, d, m, plan.config.Timeout)
	c.keep(ctx, outcome)

	return outcome, nil
}

// lost finds a message that did not arrive, as it would be written now.
func (c *Courier) lost(ctx context.Context, event uint64, target, console string) (m message, err error) {
	err = c.ports.Ledger.View(ctx, func(r core.Reader) error {
		var was core.Delivery

		if err := r.Get(core.TableDelivery, core.DeliveryKey(event, target), &was); err != nil || event == 0 {
			return core.NewProblem(core.ErrNotFound, problem.NotifyUnknown,
				fmt.Sprintf("No message about event %d went to %q; vetting notify log lists those that did.", event, clean(target, maxTitle)))
		}

		if was.OK {
			return core.NewProblem(core.ErrConflict, problem.NotifyArrived, "This message has arrived; it is not sent twice.")
		}

		events, err := r.Events(event-1, 1)
		if err != nil {
			return err
		}

		ok := len(events) == 1 && events[0].Seq == event
		if ok {
			m, ok = read(events[0], console)
		}

		if !ok {
			return core.NewProblem(core.ErrNotFound, problem.NotifyUnknown, fmt.Sprintf("Event %d is not in the ledger any more; nothing can be told of it.", event))
		}

		return nil
	})

	return m, err
}

func noTarget(target string) error {
	return core.NewProblem(core.ErrNotFound, problem.NotifyUnknown,
		fmt.Sprintf("There is no notifier %q. Look at notifiers in the configuration.", clean(target, maxTitle)))
}
