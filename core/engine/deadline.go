package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/lifecycle"
	"vetting/core/problem"
)

// clockSlack is how far the wall clock may stray from the even flow of time
// between two ticks before it counts as having been set.
const clockSlack = 30 * time.Second

// jump remembers the last tick, to notice that the clock was set.
type jump struct {
	// moving is held for reading by every write, and for writing while stored moments
	// are moved along: a moment that a write takes from the clock as it is now must
	// not be moved once more.
	moving sync.RWMutex

	mu     sync.Mutex // guards the rest
	seen   bool
	wall   time.Time // without its monotonic part
	uptime time.Duration
	set    time.Duration // uptime when the clock was last found set
}

// pending returns by how much the wall clock was set since the last call of since.
func (j *jump) pending(wall time.Time, uptime time.Duration) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()

	return j.by(wall, uptime)
}

// by is pending; j.mu is held.
func (j *jump) by(wall time.Time, uptime time.Duration) time.Duration {
	by := wall.Round(0).Sub(j.wall) - (uptime - j.uptime)
	if !j.seen || by.Abs() <= clockSlack {
		return 0
	}

	return by
}

// since returns by how much the wall clock was set since the last call.
func (j *jump) since(wall time.Time, uptime time.Duration) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()

	by := j.by(wall, uptime)
	j.seen, j.wall, j.uptime = true, wall.Round(0), uptime

	if by != 0 {
		j.set = uptime
	}

	return by
}

// lastSet returns the uptime when the clock was last found set.
func (j *jump) lastSet() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()

	return j.set
}

// wasSet reports whether the clock was set and stored moments do not know of it yet.
func (e *Engine) wasSet() bool { return e.jump.pending(e.Clock.Now(), e.Uptime()) != 0 }

// keepTime moves what is stored along if the clock was set since the last look.
func (e *Engine) keepTime(ctx context.Context) {
	e.jump.moving.Lock()
	defer e.jump.moving.Unlock()

	if by := e.jump.since(e.Clock.Now(), e.Uptime()); by != 0 {
		e.moveDeadlines(ctx, by)
	}
}

// tick looks at everything that depends on time. What fails here is logged and
// looked at again at the next tick.
func (e *Engine) tick(ctx context.Context) {
	e.keepTime(ctx)
	e.drainSteps()
	e.takeDown(ctx)

	if e.index.isStale() {
		if err := e.index.reload(ctx, e); err != nil {
			e.Log.Error("index reload failed", slog.String("error", err.Error()))

			return
		}
	}

	e.watchHosts(ctx)
	e.watchRoom(ctx)

	now := e.Clock.Now()

	if e.trashDay() {
		e.emptyTrash(ctx)
	}

	if err := e.forgive(ctx); err != nil {
		return // nobody could say a word meanwhile, and so nobody is late
	}

	e.switchOffDue(ctx, now)

	for _, b := range e.index.berths() {
		if !e.due(&b, now) {
			continue
		}

		if err := e.expire(ctx, b.id); err != nil {
			e.Log.Error("deadline cannot be kept", slog.String("run", string(b.id)), slog.String("error", err.Error()))
		}
	}
}

// switchOffDue sees to the hosts whose agents had their last word without being told
// to power off.
func (e *Engine) switchOffDue(ctx context.Context, now time.Time) {
	for mac, due := range e.index.offsDue() {
		if now.Before(due) {
			continue
		}

		if err := e.write(ctx, func(c *change) error { return c.offDue(mac) }); err != nil {
			e.Log.Error("host cannot be switched off", slog.String("host", string(mac)), slog.String("error", err.Error()))
		}
	}
}

// due reports whether the clock has something to say about a run.
func (e *Engine) due(b *berth, now time.Time) bool {
	switch {
	case !b.deadline.IsZero() && !now.Before(b.deadline):
		return true
	case !b.nextWake.IsZero() && !now.Before(b.nextWake):
		return true
	default:
		return !b.stale && e.silent(b.state, b.lastBeat, now)
	}
}

// silent reports whether an agent that should beat has not for a while.
func (e *Engine) silent(state core.State, lastBeat, now time.Time) bool {
	return working(state) && !lastBeat.IsZero() && now.Sub(lastBeat) >= e.Stale
}

// working reports whether an agent should be beating: in stages and in the hold.
func working(state core.State) bool {
	return state == core.StateFailedHolding || boots(state) && !state.AwaitsBoot()
}

// expire does what the ledger says is due for a run; the index was only a hint.
func (e *Engine) expire(ctx context.Context, id core.RunID) error {
	return e.write(ctx, func(c *change) error {
		l, err := c.life(id)
		if err != nil {
			return err
		}

		r := &l.run

		switch {
		case !r.Deadline.IsZero() && !c.now.Before(r.Deadline):
			if err := c.timeOut(l); err != nil {
				return err
			}
		case !r.NextWake.IsZero() && !c.now.Before(r.NextWake):
			if err := c.goOn(l); err != nil {
				return err
			}
		case !r.Stale && e.silent(r.State, r.LastBeat, c.now):
			r.Stale = true
			if err := c.tellRun(l); err != nil {
				return err
			}
		default:
			c.touch(r.Host) // the index was behind

			return nil
		}

		return c.save(l)
	})
}

// timeOut moves a run whose wait is over.
func (c *change) timeOut(l *life) error {
	switch {
	case l.run.State == core.StateQueued:
		// The clock may have been put forward by less than counts as set.
		if left := c.engine.graces.left(l.run.ID, c.engine.Uptime()); left > 0 {
			l.run.Deadline = c.now.Add(left)

			return nil
		}

		l.run.Deadline, l.host.OffDue = time.Time{}, time.Time{} // nobody withdrew the start

		return c.tellRun(l)
	case l.run.State.AwaitsBoot():
		l.evidence = fmt.Sprintf("the host did not come within %s; the run was in %s", c.engine.BootDeadline, l.run.State)

		if d, ok, err := c.diagnose(l.run.Host); err != nil { // a deadline is kept whatever is known of the boot
			c.engine.Log.Error("boot trace cannot be read", slog.String("host", string(l.run.Host)), slog.String("error", err.Error()))
		} else if ok {
			l.evidence += ". " + d.Title + ": " + d.Evidence + ". " + d.Next
		}

		return c.move(l, lifecycle.BootTimeout)
	case l.run.State == core.StateFailedHolding:
		return c.move(l, lifecycle.HoldTimeout)
	default:
		l.evidence = fmt.Sprintf("last heartbeat at %s, in %s", l.run.LastBeat.Format(time.RFC3339), l.run.State)

		if l.run.HeardIn != "" && c.now.Sub(l.run.LastBeat) < c.engine.Stale {
			l.lostBy = problem.RunOtherStage
			l.evidence = fmt.Sprintf("for %s the agent did not begin this try of %s; its heartbeats named %s", c.engine.Lost, l.run.State, l.run.HeardIn)
		}

		return c.move(l, lifecycle.ContactTimeout)
	}
}

// moveDeadlines shifts every stored moment along with the wall clock, so that no
// host is given up because somebody set the clock. What may be overwritten is never
// so for longer. jump.moving is held for writing.
func (e *Engine) moveDeadlines(ctx context.Context, by time.Duration) {
	attempt := func(whose string, act func(*change) error) {
		if err := e.writeOnce(ctx, act); err != nil {
			e.Log.Error("deadline cannot be moved", slog.String("of", whose), slog.String("error", err.Error()))
		}
	}

	for _, b := range e.index.berths() {
		attempt(string(b.id), func(c *change) error { return c.moveRun(b.id, by) })
	}

	for mac := range e.index.offsDue() {
		attempt(string(mac), func(c *change) error {
			host, err := c.host(mac)
			if err != nil || host.OffDue.IsZero() {
				return cmpErr(err, func() error { return errNothing })
			}

			host.OffDue = host.OffDue.Add(by)

			return c.saveHost(&host)
		})
	}

	attempt(problem.ApplianceClock, func(c *change) error {
		return c.notice("", "", problem.ApplianceClock, fmt.Sprintf("the clock was set by %s; deadlines were moved along", by))
	})
}

// moveRun shifts the moments of one run.
func (c *change) moveRun(id core.RunID, by time.Duration) error {
	shift := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}

		return t.Add(by)
	}

	l, err := c.life(id)
	if err != nil {
		return err
	}

	l.run.Deadline, l.run.LastBeat, l.run.NextWake = shift(l.run.Deadline), shift(l.run.LastBeat), shift(l.run.NextWake)
	l.secret.BootExpires = shift(l.secret.BootExpires)

	if w := l.run.Wipe; w != nil {
		w.Until, w.UsedAt = earlier(w.Until, shift(w.Until)), shift(w.UsedAt)
	}

	l.run.MovedAt = shift(l.run.MovedAt)

	if row := l.row(); row != nil {
		row.StartedAt = shift(row.StartedAt)
	}

	if l.unkept() {
		last := &l.run.Unkept[len(l.run.Unkept)-1]
		last.From = shift(last.From)
	}

	return c.save(l)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}

	return a
}

// resume reads the ledger and gives everybody who is waited for a fair chance:
// while the appliance was away no host could boot and no agent could beat, so a
// wait that ran out meanwhile is not the host's fault. A hold goes on as it was.
func (e *Engine) resume(ctx context.Context) error {
	e.jump.since(e.Clock.Now(), e.Uptime())

	if err := e.resumeIDs(ctx); err != nil {
		return err
	}

	if err := e.loadProfiles(ctx); err != nil {
		return err
	}

	if err := e.index.reload(ctx, e); err != nil {
		return err
	}

	if err := e.witness.load(ctx, e.Ledger); err != nil {
		return err
	}

	if err := e.ladders.load(ctx, e.Ledger); err != nil {
		return err
	}

	if err := e.presences.load(ctx, e.Ledger, e.Uptime()); err != nil {
		return err
	}

	if err := e.resumeOffs(ctx); err != nil {
		return err
	}

	for _, b := range e.index.berths() {
		if err := e.resumeRun(ctx, b.id); err != nil {
			return fmt.Errorf("resuming run %s: %w", b.id, err)
		}
	}

	return nil
}

func (e *Engine) resumeIDs(ctx context.Context) error {
	return e.Ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableRun, core.Query{Reverse: true, Limit: 1}, func(key string, _ func(any) error) error {
			e.ids.past(core.RunID(key))

			return nil
		})
	})
}

func (e *Engine) resumeRun(ctx context.Context, id core.RunID) error {
	return e.write(ctx, func(c *change) error {
		l, err := c.life(id)
		if err != nil {
			return err
		}

		if l.run.State.Over() { // its host's record was restored from a backup
			if err := c.freeHost(l); err != nil {
				return err
			}

			return c.save(l)
		}

		if l.run.Pending() { // nobody could withdraw it meanwhile
			if err := c.withdraw(l, "the appliance stopped before the run began"); err != nil {
				return err
			}

			return cmpErr(c.notice(l.run.Host, id, problem.RunWithdrawn, fmt.Sprintf(
				"run %s on %s never began: the appliance stopped while its start could be withdrawn", id, l.run.HostName)), func() error { return c.save(l) })
		}

		ahead, late := c.notAhead(l), c.beFair(l)
		owed := l.run.State.AwaitsBoot() && l.run.State != core.StateBooting && l.way().Remote() && !l.run.Switched && l.run.Wakes > 0

		if !ahead && !late && !owed {
			return errNothing
		}

		if owed {
			c.resend(l)
		}

		return c.save(l)
	})
}

// notAhead takes back what the stored moments of a run are further ahead than they
// can be: the appliance came up with a clock that is behind, as one without a battery
// is. When it is set right, they would all be moved along by that once more. An
// override of the wipe probe that is yet to be given has run out.
func (c *change) notAhead(l *life) (ahead bool) {
	r := &l.run

	limit := func(t *time.Time, wait time.Duration) {
		if latest := c.now.Add(wait); t.After(latest) {
			*t, ahead = latest, true
		}
	}

	if w := r.Wipe; w != nil {
		if w.At.After(c.now) {
			limit(&w.Until, 0)
		}

		if w.UsedAt.Equal(r.LastBeat) { // by this a claim knows that its own answer used it
			limit(&w.UsedAt, 0)
		}
	}

	limit(&r.Deadline, c.engine.longestWait(r.State))
	limit(&r.NextWake, max(c.engine.Patience, askAgain))
	limit(&r.LastBeat, 0)
	limit(&r.MovedAt, 0)
	limit(&l.secret.BootExpires, c.engine.BootTokenTTL)

	if row := l.row(); row != nil {
		limit(&row.StartedAt, 0)
	}

	if l.unkept() {
		limit(&r.Unkept[len(r.Unkept)-1].From, 0)
	}

	return ahead
}

// longestWait returns how far ahead the deadline of a run in a state can be.
func (e *Engine) longestWait(state core.State) time.Duration {
	switch {
	case state.AwaitsBoot():
		return max(e.BootDeadline, e.Lost) // see beFair
	case state == core.StateFailedHolding:
		return e.Hold
	case state == core.StateQueued:
		return core.MaxGrace
	default:
		return e.Lost
	}
}

// beFair gives whoever is waited for a while more, if it has less, because nothing
// of it could be heard. A hold goes on as it was.
func (c *change) beFair(l *life) (late bool) {
	fair := c.now.Add(c.engine.Lost)
	late = l.run.State != core.StateFailedHolding && l.run.State != core.StateQueued && !l.run.Deadline.IsZero() && l.run.Deadline.Before(fair)

	if late {
		l.run.Deadline = fair
	}

	return late
}

// forgive is fair to everybody after writes were refused for want of space: agents
// could not beat, and hosts not boot. The error is that there is no space yet.
func (e *Engine) forgive(ctx context.Context) error {
	if !e.starved.Swap(false) {
		return nil
	}

	for _, b := range e.index.berths() {
		err := e.write(ctx, func(c *change) error {
			l, err := c.life(b.id)
			if err != nil {
				return err
			}

			if !c.beFair(l) {
				return errNothing
			}

			return c.save(l)
		})
		if err != nil {
			e.starved.Store(true)

			return fmt.Errorf("giving run %s a while more: %w", b.id, err)
		}
	}

	return nil
}
