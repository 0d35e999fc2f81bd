package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"vetting/agent/wire"
)

// order is an answer to a heartbeat with the turn in which the heartbeat was
// sent: an order from before the last turn knows nothing of it.
type order struct {
	wire.Order
	turn uint64
}

// pulse beats for as long as the run lasts, whatever the stages do.
type pulse struct {
	every    time.Duration
	progress *progress
	uptime   func() time.Duration
	beat     func(context.Context, wire.Heartbeat) (wire.Order, error)
	turn     *atomic.Uint64
	silent   *atomic.Bool  // is set to whether the last beat got no answer at all
	orders   chan order    // capacity 1: the newest order replaces one not read yet
	nudge    chan struct{} // capacity 1: beat now, there is news
	log      *slog.Logger
}

// run beats until ctx ends or the run is fenced.
func (p *pulse) run(ctx context.Context) error {
	said := ""

	for {
		turn := p.turn.Load()
		reply, err := p.beat(ctx, p.progress.beat(p.uptime()))
		wait := p.every

		_, refused := errors.AsType[*Refusal](err)
		p.silent.Store(err != nil && !refused)

		switch {
		case err == nil:
			if said != "" {
				p.log.Info("the appliance answers again", slog.String("call", "heartbeat"))
			}

			said = ""

			p.hand(order{reply, turn})
		case ctx.Err() != nil:
			return ctx.Err()
		case meaningOf(err) == meansFenced:
			return errors.Join(ErrFenced, err)
		case meaningOf(err) == meansOver:
			p.hand(order{lastOrder(err), turn})
		default:
			// Sooner than usual: the appliance counts the silence.
			wait = max(jitter(min(p.every, longWait/3)), retryAfter(err))

			if now := err.Error(); now != said {
				said = now

				p.log.Warn("heartbeat not answered", slog.String("error", now))
			}
		}

		if err := p.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits until the next beat is due or there is news.
func (p *pulse) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.nudge:
		return nil
	case <-timer.C:
		return nil
	}
}

// lastOrder is what an appliance orders that has stopped answering heartbeats of
// a run that is over.
func lastOrder(err error) wire.Order {
	last := wire.Order{Cmd: wire.CmdAbort}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		last.State = refusal.State
	}

	if last.State == wire.StateCompleted {
		last.Cmd = wire.CmdShutdown
	}

	return last
}

// hand leaves the order for the conductor and never waits. Only run calls it, so
// that there is room once the old one is out.
func (p *pulse) hand(o order) {
	select {
	case <-p.orders:
	default:
	}

	p.orders <- o
}
