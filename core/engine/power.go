package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/lifecycle"
	"vetting/core/problem"
)

// A host is woken three times over the first minute: at once, after 30 s and
// after 60 s. A controller that did not do as it was told is asked again after a
// minute, twice. Each attempt is written down before it leaves, so that a restart
// repeats none.
const (
	maxWakes   = 3
	wakeEvery  = 30 * time.Second
	askAgain   = time.Minute
	maxErrands = 256 // waiting to be run
	runners    = 16  // controllers that are talked to at once
)

// errand is an order on its way to a controller.
type errand struct {
	order   core.PowerOrder // without the secret, which is read when it leaves
	run     core.RunID      // empty: for no run
	way     int             // of the run
	attempt int             // likewise
}

// dispatchBy names the event that gives a host its turn by a way.
func dispatchBy(way core.PowerMethod) lifecycle.Event {
	switch way {
	case core.PowerWoL:
		return lifecycle.DispatchWoL
	case core.PowerAgent:
		return lifecycle.DispatchReboot
	default:
		return lifecycle.DispatchPower
	}
}

// way returns the way by which the run's host is being brought to boot.
func (l *life) way() core.PowerMethod {
	if l.run.Way < len(l.run.Ways) {
		return l.run.Ways[l.run.Way]
	}

	return core.PowerManual
}

// further reports whether there is another way to try.
func (l *life) further() bool { return l.run.Way+1 < len(l.run.Ways) }

// bring begins with the way that the run is at.
func (c *change) bring(l *life) error {
	l.run.Wakes, l.run.Switched, l.run.RebootTold, l.run.NextWake = 0, false, time.Time{}, time.Time{}

	switch l.way() {
	case core.PowerManual:
		return nil
	case core.PowerAgent:
		return c.awaitAgent(l)
	default:
		c.attempt(l)

		return nil
	}
}

// attempt makes one attempt and plans what is next if nothing comes of it.
func (c *change) attempt(l *life) {
	r := &l.run
	r.Wakes++

	switch {
	case l.way().Remote():
		r.NextWake = c.now.Add(c.engine.Patience) // by then there is an answer
	case r.Wakes < maxWakes:
		r.NextWake = c.now.Add(wakeEvery)
	default:
		c.wait(l)
	}

	c.errands = append(c.errands, errand{
		order: core.PowerOrder{Host: l.host, Way: l.way(), Op: core.PowerBoot}, run: r.ID, way: r.Way, attempt: r.Wakes,
	})
}

// resend gives the order out again that no answer is known to: the appliance
// stopped in between.
func (c *change) resend(l *life) {
	l.run.Wakes-- // it is the same attempt
	c.attempt(l)
}

// wait gives the way that was tried its time, where there is another one.
func (c *change) wait(l *life) {
	l.run.NextWake = time.Time{}

	if l.further() {
		l.run.NextWake = c.now.Add(c.engine.Patience)
	}
}

// goOn does what is due when the host has not come.
func (c *change) goOn(l *life) error {
	r, way := &l.run, l.way()

	switch {
	case !r.State.AwaitsBoot() || r.State == core.StateBooting:
		r.NextWake = time.Time{} // it is awake

		return nil
	case (way == core.PowerWoL || way.Remote() && !r.Switched) && r.Wakes < maxWakes:
		c.attempt(l)

		return nil
	case l.further():
		return c.nextWay(l, problem.PowerNoAnswer, "the host was not heard")
	default:
		r.NextWake = time.Time{}

		return nil
	}
}

// nextWay gives up a way and begins with the next.
func (c *change) nextWay(l *life, code, why string) error {
	was := l.way()
	l.run.Way++

	err := c.trace(l.run.Host, []core.BootStep{{
		Time: c.now, MAC: l.run.Host, Kind: "power", Way: was, Op: core.PowerBoot, Code: code,
		Detail: fmt.Sprintf("gave %s up (%s), trying %s", was, why, l.way()),
	}})
	if err != nil {
		return err
	}

	return c.move(l, dispatchBy(l.way()))
}

// fails puts down that a way does not work, and goes on to the next or says that
// there is none.
func (c *change) fails(l *life, code, why string) error {
	if l.further() {
		return c.nextWay(l, code, why)
	}

	l.run.NextWake = time.Time{}

	return c.notice(l.run.Host, l.run.ID, code, fmt.Sprintf("bringing %s to boot by %s: %s", l.run.HostName, l.way(), why))
}

// send never blocks: a full queue means that hundreds of hosts are being switched
// already, and the next attempt comes soon.
func (e *Engine) send(out errand) {
	select {
	case e.errands <- out:
	default:
		e.Log.Warn("power queue is full", slog.String("host", string(out.order.Host.MAC)))
	}
}

// runErrands carries orders out until ctx ends.
func (e *Engine) runErrands(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case out := <-e.errands:
			e.runErrand(ctx, out)
		}
	}
}

func (e *Engine) runErrand(ctx context.Context, out errand) {
	answer, err := e.do(ctx, out.order)
	if ctx.Err() != nil {
		return // whether it was carried out is not known; the ledger says that it is owed
	}

	if err == nil {
		err = e.write(ctx, func(c *change) error { return c.answered(out, &answer) })
	}

	if err != nil {
		e.Log.Error("power answer lost", slog.String("host", string(out.order.Host.MAC)), slog.String("error", err.Error()))
	}
}

// do carries one order out, with the secret that it needs.
func (e *Engine) do(ctx context.Context, order core.PowerOrder) (answer core.PowerAnswer, err error) {
	if err := e.equip(ctx, &order); err != nil {
		return answer, err
	}

	return e.Power.Do(ctx, order), nil
}

// equip gives an order the secret that it needs. The settings are read together with the secret:
// one that was given for a new address must not go to the old one.
func (e *Engine) equip(ctx context.Context, order *core.PowerOrder) error {
	err := e.Ledger.View(ctx, func(r core.Reader) error {
		var now core.Host

		err := r.Get(core.TableHost, string(order.Host.MAC), &now)
		if errors.Is(err, core.ErrNotFound) {
			return nil // deleted meanwhile
		}

		if err != nil {
			return err
		}

		order.Host.Power = now.Power

		err = r.Get(core.TableHostSecret, string(order.Host.MAC), &order.Secret)
		if errors.Is(err, core.ErrNotFound) {
			return nil
		}

		return err
	})
	if err != nil {
		return fmt.Errorf("reading the power secrets of %s: %w", order.Host.Name, err)
	}

	return nil
}

// answered takes down what came of an order.
func (c *change) answered(out errand, answer *core.PowerAnswer) error {
	if err := c.trace(out.order.Host.MAC, c.stepsOf(&out.order, answer)); err != nil {
		return err
	}

	if out.run == "" {
		return c.offAnswered(out.order.Host.MAC, answer.Worked())
	}

	l, err := c.life(out.run)
	if err != nil {
		return err
	}

	r := &l.run
	if !r.State.AwaitsBoot() || r.State == core.StateBooting || r.Way != out.way || r.Wakes != out.attempt {
		return nil // it came, or something else is being tried
	}

	if err := c.judgeAnswer(l, answer); err != nil {
		return err
	}

	return c.save(l)
}

func (c *change) judgeAnswer(l *life, answer *core.PowerAnswer) error {
	code, why := problem.PowerNoAnswer, "no attempt was made"

	if n := len(answer.Attempts); n > 0 {
		last := &answer.Attempts[n-1]
		code, why = last.Code, or(last.Detail, last.Code)
	}

	switch {
	case answer.Worked() && l.way().Remote():
		l.run.Switched = true
		c.wait(l)

		return nil
	case answer.Worked():
		return nil // packets are out; nobody says whether they arrived
	case l.further():
		return c.nextWay(l, code, why)
	case l.run.Wakes < maxWakes:
		l.run.NextWake = c.now.Add(again(l.way()))

		return c.notice(l.run.Host, l.run.ID, problem.PowerWakeFailed, fmt.Sprintf("switching %s on by %s: %s", l.run.HostName, l.way(), why))
	default:
		return c.fails(l, problem.PowerWakeFailed, why)
	}
}

func again(way core.PowerMethod) time.Duration {
	if way == core.PowerWoL {
		return wakeEvery
	}

	return askAgain
}

// stepsOf writes attempts for the boot trace.
func (c *change) stepsOf(order *core.PowerOrder, answer *core.PowerAnswer) []core.BootStep {
	steps := make([]core.BootStep, 0, len(answer.Attempts))

	for i := range answer.Attempts {
		a := &answer.Attempts[i]
		detail := a.Action

		if a.Address != "" {
			detail += " at " + a.Address
		}

		if a.Detail != "" {
			detail += ": " + a.Detail
		}

		if a.Took > 0 {
			detail += fmt.Sprintf(" (%s)", a.Took.Round(time.Millisecond))
		}

		steps = append(steps, core.BootStep{
			Time: c.now, MAC: order.Host.MAC, Kind: "power", Detail: clip(detail, maxWord), Way: a.Way, Op: order.Op, Code: a.Code,
		})
	}

	return steps
}

// offAnswered strikes the debt of switching a host off.
func (c *change) offAnswered(mac core.MAC, worked bool) error {
	host, err := c.host(mac)
	if err != nil || !host.OffOwed {
		return cmpErr(err, func() error { return nil })
	}

	host.OffOwed = false

	if !worked {
		if err := c.notice(mac, "", problem.PowerWakeFailed, "switching "+host.Name+" off at the end of its run did not work"); err != nil {
			return err
		}
	}

	return c.saveHost(&host)
}

// remoteWay returns the first way of a host that can do op, or "".
func remoteWay(p *core.Power, op core.PowerOp) core.PowerMethod {
	i := slices.IndexFunc(p.Ways(), func(way core.PowerMethod) bool {
		return way.Remote() || way == core.PowerWoL && (op == core.PowerOn || op == core.PowerBoot)
	})
	if i < 0 {
		return ""
	}

	return p.Ways()[i]
}

// oweOff orders a host to be switched off whose agent can no longer be asked to.
func (c *change) oweOff(l *life) bool {
	return c.now.Sub(l.run.LastBeat) >= c.engine.Stale && c.switchOff(&l.host)
}

// switchOff orders a host to be switched off; false when nothing can do it.
func (c *change) switchOff(host *core.Host) bool {
	way := remoteWay(&host.Power, core.PowerOff)
	if way == "" {
		return false
	}

	host.OffOwed, host.OffDue = true, time.Time{}
	c.errands = append(c.errands, errand{order: core.PowerOrder{Host: *host, Way: way, Op: core.PowerOff}})

	return true
}

// spare forgets that a host is to be switched off: its agent was told, or somebody
// else has it now.
func (c *change) spare(host *core.Host) error {
	if host.OffDue.IsZero() {
		return nil
	}

	host.OffDue = time.Time{}

	return c.saveHost(host)
}

// offDue switches a host off whose agent was never told to, as far as can be, and
// leaves on its trace why.
func (c *change) offDue(mac core.MAC) error {
	host, err := c.host(mac)
	if err != nil || host.OffDue.IsZero() || c.now.Before(host.OffDue) {
		c.touch(mac) // the index was behind

		return err
	}

	if host.CurrentRun != "" {
		return errNothing // it waits until the start of that run is withdrawn, or cannot be any more
	}

	host.OffDue = time.Time{}
	why := "the agent did not come to be told to power off; switching it off"

	if !c.switchOff(&host) {
		why = "the agent did not come to be told to power off, and no power method can switch it off; it may still be on"
	}

	return cmpErr(c.tellOff(&host, why), func() error { return c.saveHost(&host) })
}

func (c *change) tellOff(host *core.Host, why string) error {
	return c.trace(host.MAC, []core.BootStep{{Time: c.now, MAC: host.MAC, Kind: "power", Op: core.PowerOff, Detail: why}})
}

// resumeOff lets a host be whose time to be switched off passed while the appliance
// was away, or cannot be told by the clock: who knows what it has come to do since.
func (c *change) resumeOff(mac core.MAC) error {
	host, err := c.host(mac)
	if err != nil {
		return err
	}

	if c.now.Before(host.OffDue) && !host.OffDue.After(c.now.Add(c.engine.LastWord)) {
		return errNothing
	}

	host.OffDue = time.Time{}
	why := "the agent was not told to power off, and the appliance was away when the host was to be switched off; it may still be on"

	return cmpErr(c.tellOff(&host, why), func() error { return c.saveHost(&host) })
}

// resumeOffs gives out again what was owed when the appliance stopped.
func (e *Engine) resumeOffs(ctx context.Context) error {
	for mac := range e.index.offsDue() {
		if err := e.write(ctx, func(c *change) error { return c.resumeOff(mac) }); err != nil {
			return fmt.Errorf("looking whether to switch %s off: %w", mac, err)
		}
	}

	return e.Ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableHost, core.Query{}, func(_ string, decode func(any) error) error {
			var host core.Host
			if err := decode(&host); err != nil {
				return err
			}

			if way := remoteWay(&host.Power, core.PowerOff); host.OffOwed && way != "" && host.CurrentRun == "" {
				e.send(errand{order: core.PowerOrder{Host: host, Way: way, Op: core.PowerOff}})
			}

			return nil
		})
	})
}

// PowerHost switches a host, or asks whether it is on, by the first of its ways
// that can and does. ErrConflict while a stage works on the host, unless it is
// only asked; ErrInvalid when no way can do it.
func (e *Engine) PowerHost(ctx context.Context, who string, mac core.MAC, op core.PowerOp) (core.PowerState, error) {
	host, err := e.switchable(ctx, mac, op)
	if err != nil {
		return "", err
	}

	var all core.PowerAnswer

	for _, way := range host.Power.Ways() {
		if !way.Remote() && (way != core.PowerWoL || op != core.PowerOn && op != core.PowerBoot) {
			continue
		}

		answer, err := e.do(ctx, core.PowerOrder{Host: host, Way: way, Op: op})
		if err != nil {
			return "", err
		}

		all.Attempts, all.State = append(all.Attempts, answer.Attempts...), answer.State

		if answer.Worked() {
			break
		}
	}

	if err := e.noteSwitch(ctx, who, &host, op, &all); err != nil {
		return "", err
	}

	return all.State, failure(&host, &all)
}

func (e *Engine) switchable(ctx context.Context, mac core.MAC, op core.PowerOp) (host core.Host, err error) {
	if !slices.Contains([]core.PowerOp{core.PowerBoot, core.PowerOn, core.PowerOff, core.PowerCycle, core.PowerStatus}, op) {
		return host, core.NewProblem(core.ErrInvalid, problem.HostBadPower, fmt.Sprintf("%.40q is nothing that can be done to a host's power.", op))
	}

	primary, p := e.index.find(mac)
	if p == nil {
		return host, noHost(mac)
	}

	if op != core.PowerStatus && op != core.PowerOn && p.run != nil && working(p.run.state) && p.run.state != core.StateFailedHolding {
		return host, core.NewProblem(core.ErrConflict, problem.PowerBusy, fmt.Sprintf(
			"Run %s is in %s; cancel it before you switch its host.", p.run.id, p.run.state)).With("run", string(p.run.id))
	}

	err = e.Ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableHost, string(primary), &host) })
	if errors.Is(err, core.ErrNotFound) {
		return host, noHost(mac)
	}

	if err == nil && remoteWay(&host.Power, op) == "" {
		return host, core.NewProblem(core.ErrInvalid, problem.HostBadPower, fmt.Sprintf(
			"None of the power methods of %s can do this; give it a management controller or a webhook.", host.Name))
	}

	return host, err
}

// noteSwitch takes down what an operator had done, and asked: that logs in at the
// controller too.
func (e *Engine) noteSwitch(ctx context.Context, who string, host *core.Host, op core.PowerOp, answer *core.PowerAnswer) error {
	return e.write(ctx, func(c *change) error {
		fresh, err := c.host(host.MAC)
		if err == nil {
			err = c.spare(&fresh)
		}

		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		did := "switched %s: power %s"

		switch {
		case op == core.PowerStatus:
			did = "asked the controller of %s: power %s"
		case !answer.Worked():
			did = "tried to switch %s: power %s"
		}

		if op != core.PowerStatus {
			if err := c.trace(host.MAC, c.stepsOf(&core.PowerOrder{Host: *host, Op: op}, answer)); err != nil {
				return err
			}
		}

		return c.audit(deed{who: who, action: "host.power", host: host.MAC, text: fmt.Sprintf(did, host.Name, op)})
	})
}

// failure turns the last attempt into an error for people, if it did not work.
func failure(host *core.Host, answer *core.PowerAnswer) error {
	if answer.Worked() {
		return nil
	}

	code, detail := problem.PowerNoAnswer, "no answer"
	if n := len(answer.Attempts); n > 0 {
		code, detail = answer.Attempts[n-1].Code, answer.Attempts[n-1].Detail
	}

	entry, _ := problem.Lookup(code)

	return core.NewProblem(core.ErrConflict, code, fmt.Sprintf("%s: %s (%s). %s", host.Name, or(entry.Title, code), detail, entry.Next))
}
