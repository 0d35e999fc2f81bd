package agent

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"
)

const longest time.Duration = math.MaxInt64

// outbox sends what is in its ring, in order, in batches under growing numbers.
// A batch that was not acknowledged is sent again as it was.
type outbox[T any] struct {
	name   channel
	ring   *ring[T]
	every  time.Duration // how often, while there is less than a batch
	count  int           // items of a batch
	weight int           // bytes of a batch
	next   func(channel) (uint64, error)
	send   func(ctx context.Context, seq uint64, items []T) error
	lost   func(n int, why string) // tells of items that will never arrive
	log    *slog.Logger            // the console: its own troubles are not sent through itself
	hurry  chan struct{}           // capacity 1
}

// run sends until ctx ends, which is the only error besides ErrFenced.
func (o *outbox[T]) run(ctx context.Context) error {
	ticker := time.NewTicker(o.every)
	defer ticker.Stop()

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-o.hurry:
		}

		if err := o.drain(ctx); err != nil {
			return err
		}
	}
}

func (o *outbox[T]) drain(ctx context.Context) error {
	for {
		items, dropped := o.ring.take(o.count, o.weight)
		if dropped > 0 {
			o.lost(dropped, "the appliance was away for too long")
		}

		if len(items) == 0 {
			return nil
		}

		if err := o.deliver(ctx, items); err != nil {
			return err
		}

		o.ring.done(len(items))
	}
}

func (o *outbox[T]) deliver(ctx context.Context, items []T) error {
	seq, err := o.next(o.name)
	if err != nil {
		o.log.Warn("numbers of batches are not kept over a restart", slog.String("error", err.Error()))
	}

	err = insist(ctx, o.log, string(o.name), func(ctx context.Context) error { return o.send(ctx, seq, items) })

	if errors.Is(err, ErrFenced) {
		return err
	}

	refused, ok := errors.AsType[*Refusal](err)

	switch {
	case !ok:
		return err
	case meaningOf(err) != meansOver: // lines about the end itself are nobody's loss
		o.lost(len(items), refused.Error())
	}

	return nil
}

// flush waits until everything pushed before is settled, or ctx ends.
func (o *outbox[T]) flush(ctx context.Context) {
	o.press(ctx, longest, func() bool { return true })
}

// press waits like flush, but gives up when nothing is settled for as long as
// patience although the appliance is not silent: what it cannot keep must not
// hold up the rest. While it is silent nothing is given up, since nothing else
// can be sent either.
func (o *outbox[T]) press(ctx context.Context, patience time.Duration, silent func() bool) {
	target := o.ring.mark()

	timer := time.NewTimer(patience)
	defer timer.Stop()

	for {
		ok, changed := o.ring.reached(target)
		if ok {
			return
		}

		select {
		case o.hurry <- struct{}{}:
		default:
		}

		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
			if !silent() {
				return
			}
		}

		timer.Reset(patience)
	}
}
