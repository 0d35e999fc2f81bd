package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/lifecycle"
	"vetting/core/problem"
	"vetting/core/profile"
)

// maxArmed bounds the disks that one run may be allowed to overwrite.
const maxArmed = 256

// StartRun queues a vetting of a host, with profile, rules and spec as they are
// now. ErrConflict when the host has a run or is in quarantine.
func (e *Engine) StartRun(ctx context.Context, mac core.MAC, wish core.StartRun) (core.Run, error) {
	p, err := e.wished(&wish)
	if err != nil {
		return core.Run{}, err
	}

	id, err := e.ids.next(e.Clock.Now())
	if err != nil {
		return core.Run{}, err
	}

	var l *life

	err = e.write(ctx, func(c *change) error {
		host, err := c.host(mac)
		if err != nil {
			return err
		}

		if err := mayRun(&host); err != nil {
			return err
		}

		if l, err = c.conceive(id, host, p, &wish); err != nil {
			return err
		}

		if err := c.join(wish.Batch, id, wish.Who); err != nil {
			return err
		}

		if err := c.move(l, lifecycle.Enqueue); err != nil {
			return err
		}

		if wish.Grace > 0 {
			l.run.Deadline = c.now.Add(wish.Grace)
			e.graces.begin(id, e.Uptime(), wish.Grace)
		}

		if err := c.audit(deed{
			who: wish.Who, action: "run.start", host: host.MAC, run: id, after: core.Digest(l.run),
			text: fmt.Sprintf("started run %s of profile %s on %s%s%s", id, p.Name, host.Name, batchWords(wish.Batch), armedWords(wish.Armed)),
		}); err != nil {
			return err
		}

		return c.save(l)
	})
	if err != nil {
		return core.Run{}, err
	}

	return l.run, nil
}

// TryRun says what StartRun would answer, and starts nothing.
func (e *Engine) TryRun(ctx context.Context, mac core.MAC, wish core.StartRun) error {
	p, err := e.wished(&wish)
	if err != nil {
		return err
	}

	return e.write(ctx, func(c *change) error {
		host, err := c.host(mac)
		if err != nil {
			return err
		}

		if err := mayRun(&host); err != nil {
			return err
		}

		if _, err := c.conceive("", host, p, &wish); err != nil {
			return err
		}

		return errNothing
	})
}

func armedWords(serials []string) string {
	if len(serials) == 0 {
		return ""
	}

	return fmt.Sprintf(", which may overwrite %d disks", len(serials))
}

// wished checks a wish and returns the profile it names.
func (e *Engine) wished(wish *core.StartRun) (core.Profile, error) {
	bad := func(format string, args ...any) (core.Profile, error) {
		return core.Profile{}, core.NewProblem(core.ErrInvalid, problem.RunBadWish, fmt.Sprintf(format, args...))
	}

	profiles := e.profiles.Load().usable

	i := slices.IndexFunc(profiles, func(p core.Profile) bool { return p.Name == wish.Profile })
	if i < 0 {
		return core.Profile{}, core.NewProblem(core.ErrInvalid, problem.ProfileUnknown,
			fmt.Sprintf("There is no profile %.40q; choose one of those listed.", wish.Profile))
	}

	p := profiles[i]

	switch {
	case !(wish.Scale >= 0 && wish.Scale <= 1): // NaN too
		return bad("The scale must be above 0 and at most 1; 1 runs the tests at their full length.")
	case wish.Scale > 0:
		p.Scale = wish.Scale
	}

	if wish.Grace < 0 || wish.Grace > core.MaxGrace {
		return bad("The grace of a start is from 0 to %v.", core.MaxGrace)
	}

	if len(wish.Armed) > maxArmed {
		return bad("%d disks are armed; %d at most.", len(wish.Armed), maxArmed)
	}

	for i, serial := range wish.Armed {
		if serial == "" || !isWord(serial) {
			return bad("The armed disk %.40q is not a serial number; write it as the inventory shows it.", serial)
		}

		if slices.Contains(wish.Armed[:i], serial) {
			return bad("The disk %.40q is armed twice.", serial)
		}
	}

	if wish.Batch != "" {
		if _, err := core.ParseBatch(wish.Batch); err != nil {
			return core.Profile{}, err
		}
	}

	return p, profile.CheckOverride(wish.Overrides)
}

// conceive makes a run of all that counts for its host now.
func (c *change) conceive(id core.RunID, host core.Host, p core.Profile, wish *core.StartRun) (*life, error) {
	class, err := c.classOf(&host)
	if err != nil {
		return nil, err
	}

	frozen, err := profile.Freeze(p,
		profile.Override{From: core.FromClass, Override: class.Overrides},
		profile.Override{From: core.FromHost, Override: host.Overrides},
		profile.Override{From: core.FromRun, Override: wish.Overrides})
	if err != nil {
		return nil, err
	}

	frozen.Profile.Rules, err = c.resolveBaselines(frozen.Profile.Rules, &host, &class)
	if err != nil {
		return nil, err
	}

	l := &life{host: host, known: true, secret: core.RunSecret{Run: id}, run: core.Run{
		ID: id, Host: host.MAC, HostName: host.Name, Profile: frozen.Profile, Rules: frozen.Profile.Rules,
		Overrides: wish.Overrides, State: core.StateRegistered, Stages: plan(&frozen, c.now), Armed: slices.Clone(wish.Armed),
		CreatedAt: c.now, Operator: clip(wish.Who, maxWord), Batch: wish.Batch,
	}}
	l.run.SpecYAML, l.run.SpecFrom = expected(&host, &class)

	c.engine.askOfStages(&l.run)

	if err := c.freezeFirmware(&l.run); err != nil {
		return nil, err
	}

	if l.run.Overlays, err = c.engine.overlays(&l.run); err != nil {
		return nil, err
	}

	l.host.CurrentRun = id

	if wish.Grace == 0 { // else once nobody has withdrawn the start, see timeOut
		l.host.OffDue = time.Time{}
	}

	return l, nil
}

// plan writes a row for each stage; one that was declared to be skipped is done
// already.
func plan(frozen *profile.Frozen, now time.Time) []core.Stage {
	rows := make([]core.Stage, len(frozen.Profile.Stages))

	for i, name := range frozen.Profile.Stages {
		rows[i] = core.Stage{Name: name, Phase: core.Pending}

		if reason, skipped := frozen.Skip[name]; skipped {
			rows[i].Phase, rows[i].Verdict, rows[i].SkipReason = core.Done, core.Skip, reason
			rows[i].EndedAt, rows[i].Coverage, rows[i].Progress = now, "NOT tested", 1
		}
	}

	return rows
}

func mayRun(host *core.Host) error {
	switch {
	case host.Quarantine != "":
		return core.NewProblem(core.ErrConflict, problem.HostQuarantined, fmt.Sprintf(
			"%s is in quarantine (%s); look at the machine and lift the quarantine first.", host.Name, host.Quarantine))
	case host.CurrentRun != "":
		return core.NewProblem(core.ErrConflict, problem.HostBusy, fmt.Sprintf(
			"Run %s of %s is not over; cancel or release it first.", host.CurrentRun, host.Name)).With("run", string(host.CurrentRun))
	default:
		return checkPower(&host.Power)
	}
}

// CancelRun calls a run off that is queued, waiting or working.
func (e *Engine) CancelRun(ctx context.Context, who string, run core.RunID) (core.Run, error) {
	return e.order(ctx, who, run, lifecycle.Cancel, "cancelled")
}

// ReleaseRun ends the hold of a failed host.
func (e *Engine) ReleaseRun(ctx context.Context, who string, run core.RunID) (core.Run, error) {
	return e.order(ctx, who, run, lifecycle.Release, "released")
}

// FailRun ends the hold of a failed host and gives the host up: the verdict is fail
// whatever stopped the run, and the reason is kept in the audit trail and, as a finding, in
// the report. The machine is left as after a release. ErrInvalid without a reason.
func (e *Engine) FailRun(ctx context.Context, who string, run core.RunID, reason string) (core.Run, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || !isWord(reason) {
		return core.Run{}, core.NewProblem(core.ErrInvalid, problem.RunNoReason, fmt.Sprintf(
			"Say why the host is given up, in 1 to %d printable letters; it stands on the report.", maxWord))
	}

	return e.decree(ctx, run, func(c *change, l *life) (deed, error) {
		l.evidence = fmt.Sprintf("by %s: %s", clip(who, maxWord), reason)

		if err := c.move(l, lifecycle.Condemn); err != nil {
			return deed{}, err
		}

		return deed{who: who, action: "run.fail", text: fmt.Sprintf("ended run %s on %s as failed: %s", run, l.run.HostName, reason)}, nil
	})
}

// WithdrawRun takes the start of a run back whose grace is not over. The run stays on
// record as cancelled, and its host as it was: with the run and the verdict before.
// ErrConflict once it has begun.
func (e *Engine) WithdrawRun(ctx context.Context, who string, run core.RunID) (core.Run, error) {
	return e.decree(ctx, run, func(c *change, l *life) (deed, error) {
		if !l.run.Pending() || !c.now.Before(l.run.Deadline) && e.graces.left(run, e.Uptime()) == 0 {
			return deed{}, core.NewProblem(core.ErrConflict, problem.RunNotPending, fmt.Sprintf(
				"The run is in %s and its start cannot be withdrawn any more; cancel it.", l.run.State)).With("state", string(l.run.State))
		}

		if err := c.withdraw(l, "withdrawn by "+clip(who, maxWord)); err != nil {
			return deed{}, err
		}

		return deed{who: who, action: "run.withdraw", text: fmt.Sprintf("withdrew the start of run %s on %s", run, l.run.HostName)}, nil
	})
}

// withdraw ends a run that is pending as if it had never been started, but for its record.
func (c *change) withdraw(l *life, why string) error {
	last, verdict, next := l.host.LastRun, l.host.LastVerdict, l.host.ProfileURL
	l.run.Findings = append(l.run.Findings, problem.Finding(problem.RunWithdrawn, "", "", core.Part{}, why))

	if err := c.move(l, lifecycle.Cancel); err != nil {
		return err
	}

	l.host.LastRun, l.host.LastVerdict, l.host.ProfileURL = last, verdict, next

	return nil
}

// RetryStage leaves the hold and runs the failed stage again.
func (e *Engine) RetryStage(ctx context.Context, who string, run core.RunID) (core.Run, error) {
	return e.RunStageAgain(ctx, who, run, "")
}

// RunStageAgain leaves the hold and runs a stage again: the one that failed
// (stage is empty), or one before it, after which the failed one follows.
func (e *Engine) RunStageAgain(ctx context.Context, who string, run core.RunID, stage core.StageName) (core.Run, error) {
	return e.decree(ctx, run, func(c *change, l *life) (deed, error) {
		if err := l.choose(stage); err != nil {
			return deed{}, err
		}

		if err := c.move(l, lifecycle.Retry); err != nil {
			return deed{}, err
		}

		return deed{who: who, action: "run.retry", text: fmt.Sprintf(
			"asked to run %s again in run %s on %s", l.run.State, run, l.run.HostName)}, nil
	})
}

// choose makes a stage the one to be run again.
func (l *life) choose(stage core.StageName) error {
	if stage == "" || l.run.State != core.StateFailedHolding {
		return nil // the table says what is possible
	}

	failed, _ := lifecycle.Again(l.run.Stages)
	i, last := l.run.StageAt(stage), l.run.StageAt(failed)

	switch {
	case i < 0 || last < 0 || i > last || stage.ByAppliance() || l.run.Stages[i].Phase != core.Done:
		return core.NewProblem(core.ErrConflict, problem.RunNothingToRetry, fmt.Sprintf(
			"%.40q cannot be run again; choose the stage that failed (%s) or one before it.", stage, orNone(string(failed))))
	case l.run.Stages[i].Verdict == core.Skip && strings.HasPrefix(l.run.Stages[i].SkipReason, declared):
		return core.NewProblem(core.ErrConflict, problem.RunNothingToRetry, fmt.Sprintf(
			"%s was not to be run (%s).", stage, l.run.Stages[i].SkipReason))
	}

	l.chosen = core.Attempt{Stage: stage, Verdict: l.run.Stages[i].Verdict}
	l.run.Stages[i].Verdict = core.Fail // so that the table finds it; the row starts anew

	return nil
}

// declared begins the reason of a skip that an operator declared.
const declared = "declared for this "

// overrideFor is how long an override of the wipe probe waits for the agent.
const overrideFor = 15 * time.Minute

// OverrideWipe lets the Storage stage that failed run again and pass over the
// probe for foreign data on the named disks: once, and for a quarter of an hour.
// They must be armed; every other gate stays shut. The reason is kept in the audit
// trail and, as a finding, in the report.
func (e *Engine) OverrideWipe(ctx context.Context, who string, run core.RunID, serials []string, reason string) (core.Run, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || !isWord(reason) {
		return core.Run{}, core.NewProblem(core.ErrInvalid, problem.RunNoReason, fmt.Sprintf(
			"Say why the data may be overwritten, in 1 to %d printable letters; it stands on the report.", maxWord))
	}

	return e.decree(ctx, run, func(c *change, l *life) (deed, error) {
		if failed, _ := lifecycle.Again(l.run.Stages); l.run.State == core.StateFailedHolding && failed != core.Storage {
			return deed{}, core.NewProblem(core.ErrConflict, problem.RunNoOverride, fmt.Sprintf(
				"This run failed in %s; only the probe of Storage can be overridden.", orNone(string(failed))))
		}

		if err := mayOverride(&l.run, serials); err != nil {
			return deed{}, err
		}

		if err := c.move(l, lifecycle.Retry); err != nil {
			return deed{}, err
		}

		l.run.Wipe = &core.WipeOverride{
			Serials: slices.Clone(serials), By: clip(who, maxWord), At: c.now, Until: c.now.Add(overrideFor),
			Reason: reason,
		}
		l.run.Findings = append(l.run.Findings, problem.Finding(problem.RunOverridden, "", core.Storage, core.Part{}, fmt.Sprintf(
			"%s, by %s: %s", strings.Join(serials, ", "), clip(who, maxWord), reason)))

		return deed{who: who, action: "run.override-wipe", text: fmt.Sprintf(
			"overrode the wipe probe for %s in run %s on %s: %s", strings.Join(serials, ", "), run, l.run.HostName, reason)}, nil
	})
}

func mayOverride(run *core.Run, serials []string) error {
	if len(serials) == 0 {
		return core.NewProblem(core.ErrInvalid, problem.RunBadWish, "Name the disks whose foreign data may be overwritten, by serial.")
	}

	for i, serial := range serials {
		if !slices.Contains(run.Armed, serial) || slices.Contains(serials[:i], serial) {
			return core.NewProblem(core.ErrConflict, problem.RunNotArmed, fmt.Sprintf(
				"The disk %.40q is not armed in this run, or named twice; an override arms nothing.", serial))
		}
	}

	return nil
}

// order carries an operator's order out and leaves it in the audit trail.
func (e *Engine) order(ctx context.Context, who string, id core.RunID, event lifecycle.Event, did string) (core.Run, error) {
	return e.decree(ctx, id, func(c *change, l *life) (deed, error) {
		if err := c.move(l, event); err != nil {
			return deed{}, err
		}

		return deed{who: who, action: "run." + string(event), text: fmt.Sprintf("%s run %s on %s", did, id, l.run.HostName)}, nil
	})
}

// decree does something to a run that an operator wants, with the audit entry
// about it.
func (e *Engine) decree(ctx context.Context, id core.RunID, act func(*change, *life) (deed, error)) (core.Run, error) {
	var l *life

	err := e.write(ctx, func(c *change) (err error) {
		if l, err = c.life(id); err != nil {
			return err
		}

		before := core.Digest(l.run)

		d, err := act(c, l)
		if err != nil {
			return err
		}

		d.run, d.host, d.before, d.after = id, l.run.Host, before, core.Digest(l.run)

		return cmpErr(c.audit(d), func() error { return c.save(l) })
	})
	if err != nil {
		return core.Run{}, err
	}

	return l.run, nil
}
