package engine

import (
	"context"
	"log/slog"

	"vetting/core"
)

// dispatch gives the next runs in the queue their turn: first in, first out, unless
// people have given them another order, at most MaxConcurrent under way. A held host does not count: nothing runs on it.
func (e *Engine) dispatch(ctx context.Context) {
	queued, busy := e.index.queue()

	for _, id := range queued {
		if busy >= e.MaxConcurrent {
			return
		}

		started, err := e.giveTurn(ctx, id)
		if err != nil {
			e.Log.Error("run cannot be started", slog.String("run", string(id)), slog.String("error", err.Error()))
		}

		if started {
			busy++
		}
	}
}

// giveTurn moves one run out of the queue, if it is still there.
func (e *Engine) giveTurn(ctx context.Context, id core.RunID) (started bool, err error) {
	err = e.write(ctx, func(c *change) error {
		l, err := c.life(id)
		if err != nil {
			return err
		}

		if l.run.State != core.StateQueued || l.run.Pending() {
			return errNothing
		}

		l.run.StartedAt = c.now
		l.run.Ways, l.run.Way = l.host.Power.Ways(), 0

		if err := c.move(l, dispatchBy(l.way())); err != nil {
			return err
		}

		started = true

		return c.save(l)
	})

	return started && err == nil, err
}
