package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// readQueue reads the order that people gave to the queue; none: the zero value.
func readQueue(r core.Reader) (queue core.Queue, err error) {
	err = r.Get(core.TableSetting, core.QueueKey, &queue)
	if errors.Is(err, core.ErrNotFound) {
		return core.Queue{}, nil
	}

	return queue, err
}

// queueOrder compares two runs that wait: those that people have moved come first, by
// their ranks; the others follow in the order in which they were created.
func queueOrder(ranks map[core.RunID]int, a, b core.RunID) int {
	rank := func(id core.RunID) int {
		if n, moved := ranks[id]; moved {
			return n
		}

		return len(ranks)
	}

	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// reorder reads the order of the queue anew. On failure the next tick reads everything.
func (x *index) reorder(ctx context.Context, e *Engine) {
	x.refreshing.Lock()
	defer x.refreshing.Unlock()

	var queue core.Queue

	err := e.Ledger.View(ctx, func(r core.Reader) (err error) {
		queue, err = readQueue(r)

		return err
	})

	x.mu.Lock()
	defer x.mu.Unlock()

	if err != nil {
		e.Log.Error("order of the queue cannot be read", slog.String("error", err.Error()))

		x.stale = true

		return
	}

	x.ranks = queue.Ranks()
}

// MoveRun gives a run that waits for its turn another place in the queue. The order is
// written down and outlives a restart. ErrConflict when the run, or the one it is to
// stand before, waits no more; ErrInvalid when the place is none.
func (e *Engine) MoveRun(ctx context.Context, who string, id core.RunID, to core.QueueMove) (core.QueueMoved, error) {
	var moved core.QueueMoved

	err := e.write(ctx, func(c *change) error {
		var run core.Run
		if err := readRun(c, id, &run); err != nil {
			return err
		}

		if run.State != core.StateQueued {
			return core.NewProblem(core.ErrConflict, problem.RunNotQueued, fmt.Sprintf("Run %s of %s does not wait for its turn any more.", id, run.HostName))
		}

		order, err := c.waiting()
		if err != nil {
			return err
		}

		if !stands(order, to.Stood) {
			return core.NewProblem(core.ErrConflict, problem.UndoOver, "The queue was put in another order since; move the run where it stands.")
		}

		if moved, err = moveIn(order, id, to); err != nil {
			return err
		}

		if slices.Equal(order, moved.Order) {
			return errNothing
		}

		c.reordered = true

		if err := c.Put(core.TableSetting, core.QueueKey, core.Queue{Order: moved.Order, ChangedAt: c.now, ChangedBy: clip(who, maxWord)}); err != nil {
			return err
		}

		if err := c.emit(core.EventRun, run.Host, id, core.RunChange{State: run.State}); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "run.move", host: run.Host, run: id, before: core.Digest(order), after: core.Digest(moved.Order),
			text: fmt.Sprintf("moved run %s of %s from place %d to place %d of the queue", id, run.HostName,
				slices.Index(order, id)+1, slices.Index(moved.Order, id)+1),
		})
	})

	return moved, err
}

// waiting lists the runs that wait for their turn, the next first, as this write sees
// them.
func (c *change) waiting() (order []core.RunID, err error) {
	queue, err := readQueue(c)
	if err != nil {
		return nil, err
	}

	err = c.Scan(core.TableHost, core.Query{}, func(_ string, decode func(any) error) error {
		var host core.Host
		if err := decode(&host); err != nil || host.CurrentRun == "" {
			return err
		}

		var run core.Run
		if err := c.Get(core.TableRun, string(host.CurrentRun), &run); err != nil {
			return err
		}

		if run.State == core.StateQueued {
			order = append(order, run.ID)
		}

		return nil
	})

	ranks := queue.Ranks()
	slices.SortFunc(order, func(a, b core.RunID) int { return queueOrder(ranks, a, b) })

	return order, err
}

// stands reports whether the runs of an earlier order that still wait do so in that order.
func stands(order, stood []core.RunID) bool {
	left := slices.DeleteFunc(slices.Clone(stood), func(id core.RunID) bool { return !slices.Contains(order, id) })
	now := slices.DeleteFunc(slices.Clone(order), func(id core.RunID) bool { return !slices.Contains(left, id) })

	return slices.Equal(left, now)
}

// lastOf is the place behind the last of the runs that stood in an earlier order: those that
// have come since stay behind it. Nil: the end.
func lastOf(rest, stood []core.RunID) int {
	for i, id := range slices.Backward(rest) {
		if stood == nil || slices.Contains(stood, id) {
			return i + 1
		}
	}

	return 0
}

// moveIn returns the order in which id stands where it is wanted. The order that it is
// given stays as it is.
func moveIn(order []core.RunID, id core.RunID, to core.QueueMove) (core.QueueMoved, error) {
	at := slices.Index(order, id)
	if at < 0 {
		return core.QueueMoved{}, core.NewProblem(core.ErrConflict, problem.RunNotQueued, fmt.Sprintf("Run %s does not wait for its turn.", id))
	}

	rest := slices.Delete(slices.Clone(order), at, at+1)
	moved := core.QueueMoved{}

	if at < len(rest) {
		moved.Before = rest[at]
	}

	var place int

	switch to.To {
	case core.PlaceFirst:
		place = 0
	case core.PlaceLast:
		place = lastOf(rest, to.Stood)
	case core.PlaceUp:
		place = max(0, at-1)
	case core.PlaceDown:
		place = min(len(rest), at+1)
	case core.PlaceBefore:
		if place = slices.Index(rest, to.Before); place < 0 && to.Before == id {
			place = at
		} else if place < 0 {
			return core.QueueMoved{}, core.NewProblem(core.ErrConflict, problem.RunNotQueued, fmt.Sprintf("Run %.40q does not wait for its turn any more.", string(to.Before)))
		}
	default:
		return core.QueueMoved{}, core.NewProblem(core.ErrInvalid, problem.RunBadMove, fmt.Sprintf(
			"%.40q is no place in the queue; give first, last, up, down, or before with the id of another run that waits.", string(to.To)))
	}

	moved.Order = slices.Insert(rest, place, id)

	return moved, nil
}
