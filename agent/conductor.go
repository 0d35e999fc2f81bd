package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

const (
	maxTries = 3                // starts of one stage before it counts as broken
	stopWait = 10 * time.Second // for a stage to notice that it is over

	// linesWait is how long an appliance that answers may keep a result waiting
	// for lines it does not take. It is more than a heartbeat's period with its
	// time-out, so that by then it is known whether the appliance answers.
	linesWait = time.Minute
)

// work is the stage under way.
type work struct {
	stage   core.StageName
	cancel  context.CancelFunc
	done    chan settled // capacity 1
	dropped bool         // aborted: what it says is not wanted any more
}

// settled is where the run is once a stage's result was taken.
type settled struct {
	state   wire.State // empty: not told
	refused bool       // the appliance does not take the result
	passed  bool       // the run has moved on without the result: what to do now is for an order to say
	err     error      // ErrFenced, or that of a context
}

// conductor runs stages as the appliance orders. It is used by one goroutine.
type conductor struct {
	*agent
	orders  <-chan order
	nudge   chan<- struct{} // asks for a heartbeat now
	work    *work           // nil: idle
	porch   *porch          // nil: nobody is let in
	lamp    *lamp           // nil: no part is found by its light
	shone   wire.Locate     // the last light that was switched
	givenUp core.StageName  // its results are refused; it is run again on demand only
}

// ending says how the run ends for this machine.
type ending int

const (
	notYet   ending = iota
	leave           // Released or Cancelled: the machine is the operator's
	powerOff        // Completed
	restart         // likewise, and the machine is to start anew
)

// run follows orders until one of them ends the run for this machine.
func (c *conductor) run(ctx context.Context) (ending, error) {
	defer c.stop()
	defer c.welcome(ctx, wire.Order{}) // nobody stays inside
	defer c.shine(ctx, wire.Order{})   // and no light on

	c.begin(ctx)

	for {
		var done chan settled
		if c.work != nil {
			done = c.work.done
		}

		select {
		case <-ctx.Done():
			return notYet, ctx.Err()
		case o := <-c.orders:
			if end := c.obey(ctx, o); end != notYet {
				return end, nil
			}
		case out := <-done:
			if err := c.settle(ctx, out); err != nil {
				return notYet, err
			}
		}
	}
}

// begin goes on where the run is: a result that was not acknowledged comes first.
func (c *conductor) begin(ctx context.Context) {
	rec := c.session.look()

	switch name, runs := runnable(rec.At); {
	case rec.Pending != nil:
		c.launch(ctx, core.StageName(rec.Pending.Stage), func(ctx context.Context) settled { return c.deliver(ctx, *rec.Pending) })
	case runs:
		c.start(ctx, name)
	}
}

// runnable reports whether a state is a stage for the agent.
func runnable(state wire.State) (core.StageName, bool) {
	name := core.StageName(state)

	for _, known := range wire.StageNames() {
		if name == core.StageName(known) {
			return name, !name.ByAppliance()
		}
	}

	return "", false
}

// obey follows an order and reports whether it ends the run for this machine.
func (c *conductor) obey(ctx context.Context, o order) ending {
	c.welcome(ctx, o.Order)
	c.shine(ctx, o.Order)

	switch o.Cmd {
	case wire.CmdShutdown:
		c.drop("the appliance orders to power off")
		c.moveTo(o.State)

		if o.Reboot && c.Restart != nil {
			return restart
		}

		return powerOff
	case wire.CmdAbort:
		c.drop("the appliance orders to stop, the run is " + string(o.State))
		c.moveTo(o.State)

		if over(o.State) {
			return leave
		}
	case wire.CmdRetryStage:
		c.retry(ctx, o)
	case wire.CmdContinue:
		if name, runs := runnable(o.State); runs && c.work == nil && c.current(o) && name != c.givenUp {
			c.start(ctx, name)
		}
	}

	return notYet
}

// over reports whether a run in this state leaves the machine to the operator.
func over(state wire.State) bool { return state == wire.StateReleased || state == wire.StateCancelled }

// current reports whether the order was given knowing all that happened here.
func (c *conductor) current(o order) bool { return o.turn == c.turn.Load() }

// retry starts the named stage unless it is under way; another one is stopped
// first, and the next order starts the named one then.
func (c *conductor) retry(ctx context.Context, o order) {
	name := core.StageName(o.Stage)

	switch {
	case !c.current(o):
	case c.work == nil:
		c.givenUp = ""
		c.moveTo(wire.State(name))
		c.keep(func(r *record) { r.override(o.OverrideFlags, o.OverrideUntil.Time) })
		c.start(ctx, name)
	case c.work.stage != name:
		c.drop("the appliance orders another stage")
	}
}

// start runs a stage and sends its result. A stage that brought this process
// down before is not tried for ever.
func (c *conductor) start(ctx context.Context, name core.StageName) {
	tries := 0

	c.keep(func(r *record) {
		if r.At != wire.State(name) {
			r.Tries, r.Checkpoint = 0, nil
		}

		r.At = wire.State(name)
		r.Tries++
		tries = r.Tries
	})

	c.launch(ctx, name, func(ctx context.Context) settled {
		var said core.Result

		if tries > maxTries {
			said = broken("agent/stage-crash", "The test program died again and again",
				"the agent's process ended three times during this stage")
		} else {
			said = c.perform(ctx, name)
		}

		if ctx.Err() != nil { // told to stop: what it says is about the stop
			return settled{err: ctx.Err()}
		}

		return c.deliver(ctx, c.number(c.report(name, said)))
	})
}

func (c *conductor) launch(ctx context.Context, name core.StageName, run func(context.Context) settled) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan settled, 1)

	c.work = &work{stage: name, cancel: cancel, done: done}
	c.progress.begin(name)
	c.turn.Add(1)

	go func() { done <- run(ctx) }()
}

// number gives a result its number and keeps it until it is acknowledged.
func (a *agent) number(r wire.Result) wire.Result {
	seq, err := a.session.nextSeq(chanResult)
	if err != nil {
		a.say.Warn("numbers of results are not kept over a restart", slog.String("error", err.Error()))
	}

	r.Seq = seq
	a.keep(func(rec *record) { rec.Pending = &r })

	return r
}

// deliver sends a result until it is taken or refused, the samples and lines
// before it: the stage is judged by them, and a run that is over takes no more.
func (a *agent) deliver(ctx context.Context, r wire.Result) settled {
	a.sensors.flush(ctx) // whatever holds samples up, holds the result up too

	a.lines.press(ctx, linesWait, a.silent.Load)
	a.files.box.press(ctx, linesWait, a.silent.Load)

	var reply wire.ResultReply

	err := insist(ctx, a.say, "result", func(ctx context.Context) (err error) {
		reply, err = a.client.Result(ctx, a.session.token(), r)

		return err
	})

	refusal, isRefusal := errors.AsType[*Refusal](err)

	switch {
	case err == nil:
		return settled{state: reply.NextState}
	case errors.Is(err, ErrFenced) || !isRefusal:
		return settled{err: err}
	case refusal.Status == http.StatusConflict || meaningOf(err) == meansOver:
		a.say.Info("the run has moved on without this result", slog.String("state", string(refusal.State)))

		return settled{state: refusal.State, passed: true}
	}

	a.say.Error("the appliance does not take the result", slog.String("error", refusal.Error()))

	if len(r.Findings) == 1 && r.Findings[0].Code == "agent/invalid-result" {
		return settled{refused: true}
	}

	substitute, _ := result(refused(core.StageName(r.Stage), refusal))

	return a.deliver(ctx, a.number(substitute))
}

// settle takes note of where the run is and goes on.
func (c *conductor) settle(ctx context.Context, out settled) error {
	done := c.work
	c.work = nil

	done.cancel()
	c.progress.begin("")
	c.turn.Add(1)

	if done.dropped {
		return nil
	}

	if out.err != nil {
		return out.err
	}

	if out.refused {
		c.givenUp = done.stage
	}

	c.keep((*record).leave)

	if out.state == "" || out.refused {
		return nil // the next order tells
	}

	c.moveTo(out.state)

	// A stage that is to be run again comes with what it may pass over.
	if name, runs := runnable(out.state); runs && !out.passed {
		c.start(ctx, name)
	}

	select { // the operator sees the new stage, or the agent the order to power off
	case c.nudge <- struct{}{}:
	default:
	}

	return nil
}

// moveTo keeps where the run is.
func (c *conductor) moveTo(state wire.State) {
	if c.session.look().At == state {
		return
	}

	c.say.Info("the run is now", slog.String("state", string(state)))
	c.keep(func(r *record) {
		r.leave()
		r.At = state
	})
}

// drop tells the stage under way to stop and forgets what it will say.
func (c *conductor) drop(why string) {
	if c.work == nil || c.work.dropped {
		return
	}

	c.say.Warn("stage stopped", slog.String("stage", string(c.work.stage)), slog.String("why", why))
	c.work.dropped = true
	c.work.cancel()
	c.keep((*record).leave)
}

// stop waits for the stage under way to be over, but not for ever.
func (c *conductor) stop() {
	if c.work == nil {
		return
	}

	c.work.cancel()

	timer := time.NewTimer(stopWait)
	defer timer.Stop()

	select {
	case <-c.work.done:
	case <-timer.C:
		c.say.Error("the stage does not stop", slog.String("stage", string(c.work.stage)))
	}
}
