package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"vetting/agent/screen"
	"vetting/agent/wire"
)

const (
	showEvery = time.Second
	// quietFor is how long an appliance may be silent before the screen says so: more
	// than one heartbeat that is lost.
	quietFor = 30 * time.Second
	// glanceFor is how long a verdict stays on the screen of a machine that is powered off
	// or started anew after it.
	glanceFor = 5 * time.Second
)

// contact is how the conversation with the appliance goes. Safe for concurrent use.
type contact struct {
	mu      sync.Mutex
	heard   time.Time    // guarded by mu: when it answered last; the start of this process until then
	trouble string       // guarded by mu: what the last call ended with; empty: an answer
	state   wire.State   // guarded by mu: of the run, as it told last
	outlook wire.Outlook // guarded by mu: likewise
	apart   string       // guarded by mu: why this machine gets no run; empty: it may
}

// stand takes in that this machine gets no run, and asks no more.
func (c *contact) stand(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.apart = why
}

// standing returns why this machine gets no run.
func (c *contact) standing() string {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.apart
}

// answered takes in what the appliance told.
func (c *contact) answered(order *wire.Order) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.heard, c.trouble = time.Now(), ""
	if order == nil {
		return
	}

	c.state = order.State
	if order.Outlook != nil {
		c.outlook = *order.Outlook
	}
}

// failed takes in that it did not answer, or refused.
func (c *contact) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if _, refused := errors.AsType[*Refusal](err); refused { // it is there
		c.heard = time.Now()
	}

	c.trouble = err.Error()
}

// told returns what the appliance said, and since when it is silent; the zero time: it is
// not.
func (c *contact) told(now time.Time) (state wire.State, outlook wire.Outlook, silent time.Time, trouble string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if now.Sub(c.heard) >= quietFor {
		silent = c.heard
	}

	return c.state, c.outlook, silent, c.trouble
}

// showing has the machine's own screen kept up to date until blank is called, which may be
// done twice. Nothing is shown any more once that returns: what is said of the end stays.
func (a *agent) showing(ctx context.Context) (blank func()) {
	ctx, stop := context.WithCancel(ctx)

	var shower sync.WaitGroup

	shower.Go(func() { a.show(ctx) })

	return func() {
		stop()
		shower.Wait()
	}
}

// show keeps the machine's own screen up to date until ctx ends.
func (a *agent) show(ctx context.Context) {
	if a.Show == nil {
		return
	}

	every := time.NewTicker(showEvery)
	defer every.Stop()

	for {
		a.Show(a.view(time.Now()))

		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// lastGlance shows how the run ended, for a moment where the machine is switched off then.
func (a *agent) lastGlance(ctx context.Context, next string, wait time.Duration) {
	if a.Show == nil {
		return
	}

	v := a.view(time.Now())
	v.Next, v.Silent = next, time.Time{}
	a.Show(v)

	_ = pause(ctx, wait) // whoever ends it does not wait for people
}

// view is what a person in front of the machine sees.
func (a *agent) view(now time.Time) screen.View {
	state, told, silent, trouble := a.contact.told(now)
	v := screen.View{Run: a.Seed.Run, Phase: "Asking the appliance at " + a.Seed.Server + " what to do", Silent: silent, Trouble: trouble}

	if s := a.seat.Load(); s != nil {
		rec := s.look()
		v.Host, v.Profile, v.Page, v.QR = rec.Claim.HostName, rec.Claim.Profile, rec.Claim.Page, rec.Claim.QR
		v.Phase = phase(state)
	}

	if apart := a.contact.standing(); apart != "" {
		v.Phase, v.Silent = "[X] "+apart, time.Time{}
	}

	if v.Host == "" {
		v.Host = string(a.MAC)
	}

	beat := a.progress.beat(0)
	v.Stage, v.SubStep, v.Done, v.StageLeft = string(beat.Stage), beat.SubStep, beat.Progress, beat.ETAS.Duration()
	v.Number, v.Count = told.Stage, told.Stages
	v.Critical, v.Warnings = told.Critical, told.Warnings

	if told.LeftHighS > 0 {
		v.LeftLow, v.LeftHigh, v.LeftGuess = told.LeftLowS.Duration(), told.LeftHighS.Duration(), told.LeftGuess
	}

	if v.Stage != string(state) { // it has gone on since
		v.Number = 0
	}

	a.outcome(&v, state, &told)

	return v
}

// outcome says how the run ended, where it has.
func (a *agent) outcome(v *screen.View, state wire.State, told *wire.Outlook) {
	switch state {
	case wire.StateCompleted, wire.StateReleased:
		v.Verdict = screen.Verdict(told.Verdict)
	case wire.StateFailed: // the hold that follows says more
	case wire.StateCancelled:
		v.Verdict = screen.Cancelled
	case wire.StateFailedHolding:
		v.Held, v.Verdict, v.HeldUntil = true, screen.Verdict(told.Verdict), told.HoldUntil.Time
		if a.OpenDoor != nil && a.IP != "" {
			v.Login = "root@" + a.IP
		}
	}

	if (state == wire.StateCompleted || state == wire.StateReleased) && v.Verdict == "" {
		v.Verdict = screen.Error // nobody passes without a word
		if state == wire.StateCompleted {
			v.Verdict = screen.Pass // this state is that word
		}
	}
}

func phase(state wire.State) string {
	if state == "" {
		return "Waiting for the appliance's word"
	}

	return "Between two stages (" + string(state) + ")"
}
