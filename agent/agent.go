package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/agent/wire"
	"vetting/core"
)

const (
	samplesLimit = 32 << 20         // bytes of samples that wait: half an hour of 100 a second
	sampleWeight = 160              // the most a sample needs as JSON, besides key and unit
	batchWeight  = 512 << 10        // of a batch: half of what the wire allows
	logEvery     = time.Second      // a line is on the console this soon
	sensorEvery  = 5 * time.Second  // a sample is
	farewell     = 10 * time.Second // to send what is left when the run is over
	clockSlack   = 500 * time.Millisecond
)

var errOver = errors.New("the run is over")

// agent is one process's part in one run.
type agent struct {
	Config
	client   *Client
	session  *session
	progress *progress
	samples  *ring[core.Sample]
	sensors  *outbox[core.Sample]
	lines    *outbox[line]
	files    *files
	lease    lease
	say      *slog.Logger  // console and journal
	turn     atomic.Uint64 // grows with each stage begun or ended
	silent   atomic.Bool   // the last heartbeat got no answer
	contact  contact
	seat     atomic.Pointer[session] // session, for whoever draws while it begins
}

// Run holds the agent's side of the conversation from hello to the end of the
// run. It returns nil when the run is over for this machine: after PowerOff for
// a Completed run, at once for a Released or Cancelled one. ErrFenced says that
// this boot has no part in the run any more: running again does not help. Any
// other error is that of ctx, of the configuration, or of PowerOff; troubles
// with the appliance are waited out.
//
// A second process of the same boot goes on where the first one ended.
func Run(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}

	c.fill()

	client, err := NewClient(c.Seed, c.Dial)
	if err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	defer client.Close()

	a := &agent{
		Config: c, client: client, progress: &progress{}, samples: newRing[core.Sample](samplesLimit),
		say: slog.New(slog.NewMultiHandler(c.Log.Handler(), c.Journal.Handler(""))),
	}

	a.contact.heard = time.Now()

	blank := a.showing(ctx)
	defer blank()

	if err := a.enlist(ctx); err != nil {
		if errors.Is(err, errOver) {
			return nil
		}

		return err
	}

	a.seat.Store(a.session)

	end, err := a.serve(ctx)

	blank()

	if err != nil {
		return err
	}

	return a.finish(ctx, end)
}

// finish does with the machine what the end of its run asks for.
func (a *agent) finish(ctx context.Context, end ending) error {
	switch end {
	case leave, notYet:
		a.lastGlance(ctx, "The run is over; this machine is left to you.", 0)

		return nil
	case restart:
		a.say.Info("starting the machine anew")
		a.lastGlance(ctx, "The machine starts anew now.", glanceFor)

		if err := a.Restart(); err != nil {
			return fmt.Errorf("starting the machine anew: %w", err)
		}
	case powerOff:
		a.say.Info("powering off")
		a.lastGlance(ctx, "The machine is switched off now.", glanceFor)

		if err := a.PowerOff(); err != nil {
			return fmt.Errorf("powering off: %w", err)
		}
	}

	return nil
}

// serve runs everything until the run is over for this machine.
func (a *agent) serve(ctx context.Context) (end ending, err error) {
	a.sensors = a.sensorBox()
	a.lines = a.logBox()
	a.files = a.fileBox()

	orders, nudge := make(chan order, 1), make(chan struct{}, 1)
	beats := &pulse{
		every: a.session.look().Claim.HeartbeatIntervalS.Duration(), progress: a.progress, uptime: a.Uptime,
		beat: a.beat,
		turn: &a.turn, silent: &a.silent, orders: orders, nudge: nudge, log: a.say,
	}
	lead := &conductor{agent: a, orders: orders, nudge: nudge}
	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return beats.run(ctx) })
	group.Go(func() error { return a.sensors.run(ctx) })
	group.Go(func() error { return a.lines.run(ctx) })
	group.Go(func() error { return a.files.box.run(ctx) })
	group.Go(func() error {
		if a.Bring != nil {
			a.Bring(ctx, func(name string, content []byte) { a.files.keep("", name, content) })
		}

		return nil
	})
	group.Go(func() (err error) {
		if end, err = lead.run(ctx); err != nil {
			return err
		}

		wait, cancel := context.WithTimeout(ctx, farewell)
		defer cancel()

		a.sensors.flush(wait)
		a.lines.flush(wait)
		a.files.box.flush(wait)

		return errOver
	})

	if err := group.Wait(); !errors.Is(err, errOver) {
		return notYet, err
	}

	return end, nil
}

// beat says that the machine lives, and takes the lease that the answer grants.
func (a *agent) beat(ctx context.Context, b wire.Heartbeat) (wire.Order, error) {
	order, err := a.client.Heartbeat(ctx, a.session.token(), b)

	switch {
	case err == nil:
		a.lease.grant(order.WriteLeaseUntil.Time)
		a.contact.answered(&order)
	case meaningOf(err) == meansOver:
		last := lastOrder(err)
		a.contact.answered(&last)
	case ctx.Err() == nil:
		a.contact.failed(err)
	}

	return order, err
}

func (a *agent) sensorBox() *outbox[core.Sample] {
	return &outbox[core.Sample]{
		name: chanSensor, ring: a.samples, every: sensorEvery, count: wire.MaxSamples, weight: batchWeight,
		next: a.session.nextSeq, log: a.say, hurry: make(chan struct{}, 1),
		send: func(ctx context.Context, seq uint64, items []core.Sample) error {
			_, err := a.client.Sensor(ctx, a.session.token(), wire.SensorBatch{Seq: seq, Samples: each(items, len(items), sample)})

			return err
		},
		lost: func(n int, why string) {
			a.say.Error("samples were lost", slog.Int("samples", n), slog.String("why", why))
		},
	}
}

func (a *agent) logBox() *outbox[line] {
	return &outbox[line]{
		name: chanLog, ring: a.Journal.ring, every: logEvery, count: wire.MaxLines, weight: batchWeight,
		next: a.session.nextSeq, log: a.Log, hurry: make(chan struct{}, 1),
		send: func(ctx context.Context, seq uint64, items []line) error {
			_, err := a.client.Log(ctx, a.session.token(), wire.LogBatch{Seq: seq, Lines: travelling(items, time.Now())})

			return err
		},
		lost: func(n int, why string) {
			a.say.Error("log lines were lost", slog.Int("lines", n), slog.String("why", why))
		},
	}
}

// travelling makes lines ready to be sent. Their age is taken from the monotonic
// clock, so that a line from before the clock was set gets the right time.
func travelling(lines []line, now time.Time) []wire.Line {
	return each(lines, len(lines), func(l line) wire.Line {
		return wire.Line{Time: wire.At(now.Add(-now.Sub(l.at))), Level: l.level, Stage: l.stage, Text: l.text}
	})
}

// keep alters the session, and returns whether that is written. What cannot be is kept for
// this process at least.
func (a *agent) keep(alter func(*record)) (written bool) {
	if err := a.session.change(alter); err != nil {
		a.say.Warn("the session is not kept over a restart", slog.String("error", err.Error()))

		return false
	}

	return true
}
