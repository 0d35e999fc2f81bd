package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// errNothing ends a write that found nothing to do.
var errNothing = errors.New("nothing to write")

// change is one write in the making, with what is owed once it is written.
type change struct {
	core.Txn

	engine *Engine
	now    time.Time // one moment for the whole write

	opened    []opening   // runs whose passes are void until the outcome is known
	touched   []core.MAC  // hosts whose place in the index has changed
	errands   []errand    // orders for hosts' power
	reordered bool        // the order of the queue has changed
	told      []slog.Attr // one group for each notice, for the log
	heardOf   *life       // a run that is not over has given a sign of life; it is as it will stand
	refusal   error       // the answer, when what is written is that we refuse
}

// errClockSet ends a write that would mix moments of two clocks.
var errClockSet = errors.New("the clock was set")

// write is writeOnce by the clock as it is: if somebody has set it, what is stored
// is moved along first, so that nothing that act takes from the clock is moved too.
func (e *Engine) write(ctx context.Context, act func(*change) error) error {
	for {
		err := e.writeEvenly(ctx, act)
		if !errors.Is(err, errClockSet) {
			return err
		}

		e.keepTime(context.WithoutCancel(ctx))
	}
}

func (e *Engine) writeEvenly(ctx context.Context, act func(*change) error) error {
	e.jump.moving.RLock()
	defer e.jump.moving.RUnlock()

	return e.writeOnce(ctx, func(c *change) error {
		if e.wasSet() {
			return errClockSet
		}

		return act(c)
	})
}

// writeOnce runs act alone, writes what it decided, refreshes the index, rings the
// bell and lets effects out. The write goes through even if ctx ends meanwhile,
// so that the caller never learns less than the ledger knows.
func (e *Engine) writeOnce(ctx context.Context, act func(*change) error) error {
	ctx = context.WithoutCancel(ctx)

	var (
		done   *change
		opened []opening
		left   *facts // of the run that was written alone
	)

	defer func() {
		for _, o := range opened {
			e.passes.end(o, left)
		}
	}()

	seq, err := e.Ledger.Update(ctx, func(tx core.Txn) error {
		c := &change{Txn: tx, engine: e, now: e.Clock.Now().UTC().Round(0)}
		err := act(c)
		opened = append(opened, c.opened...)

		if err != nil {
			return err
		}

		done = c

		return nil
	})

	switch {
	case errors.Is(err, errNothing):
		return nil
	case err != nil:
		if errors.Is(err, core.ErrFull) {
			e.starved.Store(true)
		}

		return err
	}

	e.index.refresh(ctx, e, done.touched)

	if done.reordered {
		e.index.reorder(ctx, e)
	}

	if done.heardOf != nil {
		e.index.beat(&done.heardOf.run)

		known := done.heardOf.facts()
		left = &known
	}

	e.Bell.Ring(seq)
	e.letOut(ctx, done)

	return done.refusal
}

// letOut lets the effects of a change out, which is written.
func (e *Engine) letOut(ctx context.Context, done *change) {
	for _, notice := range done.told {
		e.Log.LogAttrs(ctx, slog.LevelInfo, "notice", notice)
	}

	for _, out := range done.errands {
		e.send(out)
	}

	if len(done.touched) > 0 {
		e.nudge()
	}
}

// refuse makes err the answer, and yet lets what was written stand: an alarm, a
// quarantine, a consumed token.
func (c *change) refuse(err error) error {
	c.refusal = err

	return nil
}

// emit appends an event about a host and a run, either of which may be empty.
func (c *change) emit(kind core.EventKind, host core.MAC, run core.RunID, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encoding %s event: %w", kind, err)
	}

	return c.Emit(core.Event{Time: c.now, Kind: kind, Host: host, Run: run, Data: encoded})
}

// notice raises an alarm or leaves a note in the history, as severe as its code.
func (c *change) notice(host core.MAC, run core.RunID, code, text string) error {
	entry, _ := problem.Lookup(code)

	c.told = append(c.told, slog.Group("notice", slog.String("code", code), slog.String("host", string(host)),
		slog.String("run", string(run)), slog.String("text", text)))

	n := core.Notice{Code: code, Severity: entry.Severity, Text: text}
	if entry.Severity == core.Critical || slices.Contains([]string{problem.ApplianceClock, problem.PowerWakeFailed, problem.HostKeyNew, problem.StoreSheddingSamples}, code) {
		n.Topic = core.Alarm
	}

	return c.emit(core.EventNotice, host, run, n)
}

// touch asks for the host's place in the index to be looked at after the write.
func (c *change) touch(mac core.MAC) {
	if !slices.Contains(c.touched, mac) {
		c.touched = append(c.touched, mac)
	}
}

// life is a run with its host and its secrets, as one write sees them.
type life struct {
	run    core.Run
	host   core.Host
	secret core.RunSecret

	newSession []byte            // SHA-256 of the session token that RaiseEpoch installs
	newBootID  string            // likewise
	evidence   string            // of what Mark… actions put down
	lostBy     string            // code of what MarkLost puts down; empty: contact is lost
	breaches   []core.Evaluation // likewise
	chosen     core.Attempt      // the stage that an operator chose to run again, as it had ended
	known      bool              // the host record is there
}

// life loads a run. The error is a *core.Problem when there is none.
func (c *change) life(id core.RunID) (*life, error) {
	l := &life{}

	if err := readRun(c, id, &l.run); err != nil {
		return nil, err
	}

	err := c.Get(core.TableHost, string(l.run.Host), &l.host)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, err
	}

	l.known = err == nil

	err = c.Get(core.TableRunSecret, string(id), &l.secret)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, err
	}

	l.secret.Run = id

	return l, nil
}

func readRun(r core.Reader, id core.RunID, run *core.Run) error {
	err := core.ErrNotFound // a number that no run can have would be no key either

	if _, ok := decode(id); ok {
		err = r.Get(core.TableRun, string(id), run)
	}

	if errors.Is(err, core.ErrNotFound) {
		return core.NewProblem(core.ErrNotFound, problem.RunNotFound, fmt.Sprintf("There is no run %.40q; look it up in the list of runs.", string(id)))
	}

	return err
}

// save writes run, secrets and host back.
func (c *change) save(l *life) error {
	l.run.UpdatedAt = c.now

	c.void(l.run.ID)

	if err := c.Put(core.TableRunSecret, string(l.run.ID), l.secret); err != nil {
		return err
	}

	if l.known {
		l.host.UpdatedAt = c.now
		if err := c.Put(core.TableHost, string(l.host.MAC), l.host); err != nil {
			return err
		}
	}

	c.touch(l.run.Host)

	return c.saveRun(l)
}

// saveRun writes the run alone, when neither host nor secrets have changed.
func (c *change) saveRun(l *life) error {
	l.run.UpdatedAt = c.now
	c.void(l.run.ID)

	err := c.Put(core.TableRun, string(l.run.ID), l.run)
	if errors.Is(err, core.ErrInvalid) {
		return core.NewProblem(core.ErrInvalid, problem.RunTooLarge,
			"What the host sent is more than the record of a run can hold; it was not kept.")
	}

	return err
}

// void ends what is remembered of a run that this write changes.
func (c *change) void(run core.RunID) {
	c.opened = append(c.opened, c.engine.passes.begin(run))
}
