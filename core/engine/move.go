package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/lifecycle"
	"vetting/core/problem"
	"vetting/core/profile"
)

// move takes a run through the table of states and pays what is owed. Stages of
// the appliance and the hold after a failure follow in the same write.
func (c *change) move(l *life, event lifecycle.Event) error {
	m, err := lifecycle.Step(l.run.State, l.run.Stages, event)
	if err != nil {
		return err
	}

	changed := l.run.State != m.Next
	if m.Next == core.StateFailed {
		l.owesEnd(l.run.State)
	}

	l.run.State = m.Next

	for _, action := range m.Owed {
		if err := c.pay(l, action); err != nil {
			return fmt.Errorf("paying %s of %s: %w", action, event, err)
		}
	}

	if changed {
		if err := c.tellRun(l); err != nil {
			return err
		}
	}

	if changed && m.Next.Over() {
		if err := c.announceBatch(l); err != nil {
			return err
		}
	}

	switch {
	case m.Next == core.StateFailed:
		return c.move(l, lifecycle.Hold)
	case changed && m.Next == core.StateCompleted:
		return cmpErr(c.keepPeer(l), func() error {
			return cmpErr(c.keepPassed(l), func() error { return c.announceCompletion(l) })
		})
	case changed && core.StageName(m.Next).ByAppliance():
		return c.resolve(l)
	default:
		return nil
	}
}

func (c *change) tellRun(l *life) error {
	return c.emit(core.EventRun, l.run.Host, l.run.ID, core.RunChange{
		State: l.run.State, Verdict: l.run.Verdict, Stale: l.run.Stale,
	})
}

func (c *change) tellStage(l *life, row *core.Stage) error {
	return c.emit(core.EventStage, l.run.Host, l.run.ID, core.StageChange{
		Name: row.Name, Phase: row.Phase, Verdict: row.Verdict, Attempt: row.Attempt,
		Progress: row.Progress, SubStep: row.SubStep, ETA: row.ETA,
	})
}

// pay carries one action out.
func (c *change) pay(l *life, action lifecycle.Action) error {
	config := &c.engine.Config

	switch action {
	case lifecycle.StartBootDeadline:
		l.run.Deadline = c.now.Add(config.BootDeadline)
	case lifecycle.StartContactDeadline:
		l.run.Deadline, l.run.LastBeat, l.run.Stale, l.run.HeardIn = c.now.Add(config.Lost), c.now, false, ""
	case lifecycle.StartHoldDeadline:
		l.run.Deadline = c.now.Add(config.Hold)
	case lifecycle.Wake:
		return c.bring(l)
	case lifecycle.RaiseEpoch:
		l.raiseEpoch()
	case lifecycle.StartStage:
		return c.startStage(l)
	case lifecycle.RestartStage:
		return c.restartStage(l)
	case lifecycle.MarkReset, lifecycle.MarkBreach, lifecycle.MarkLost, lifecycle.MarkNoBoot, lifecycle.MarkStopped, lifecycle.MarkCondemned:
		return c.mark(l, action)
	case lifecycle.JudgePass, lifecycle.JudgeFail, lifecycle.JudgeError, lifecycle.JudgeCancelled:
		l.decide(c.now, action)

		return c.tellUnkept(l)
	case lifecycle.WriteReport:
		return c.writeReport(l)
	case lifecycle.RevokeTokens:
		c.revoke(l)
	case lifecycle.FreeHost:
		return c.freeHost(l)
	case lifecycle.PowerOff:
		c.powerOff(l)
	}

	return nil
}

// powerOff is told to the agent with its next heartbeat; a host whose agent has
// fallen silent is switched off by its controller, where it has one. An agent that
// falls silent before it is told has its last word first.
func (c *change) powerOff(l *life) {
	l.run.Expired = l.run.State == core.StateReleased

	if !l.run.Expired || !c.oweOff(l) {
		l.host.OffDue = c.now.Add(c.engine.LastWord)
	}
}

// decide sets the run's verdict.
func (l *life) decide(now time.Time, action lifecycle.Action) {
	verdicts := map[lifecycle.Action]core.Verdict{
		lifecycle.JudgePass: core.Pass, lifecycle.JudgeFail: core.Fail,
		lifecycle.JudgeError: core.Error, lifecycle.JudgeCancelled: core.Cancelled,
	}

	if l.run.Verdict = verdicts[action]; l.run.EndedAt.IsZero() { // the tests of a run that is held have ended before
		l.run.EndedAt = now
	}

	l.run.Stale, l.run.NextWake, l.run.Retrying = false, time.Time{}, ""
	l.run.HeardIn, l.run.MovedAt, l.run.Stuck = "", time.Time{}, false
	l.host.LastRun, l.host.LastVerdict, l.host.ProfileURL = l.run.ID, l.run.Verdict, profile.Next(&l.run.Profile)
}

// revoke kills the boot token, so that no boot can claim the run, and lets the
// session token live on only for the agent to learn how the run ended.
func (c *change) revoke(l *life) {
	l.closeHold()
	l.run.Wipe, l.run.Ending = nil, ""

	l.secret.BootToken, l.secret.BootUsed = nil, true
	l.secret.ClaimToken, l.secret.Claimer = nil, nil
	l.run.Deadline = c.now.Add(c.engine.LastWord)
}

func (c *change) freeHost(l *life) error {
	if l.host.CurrentRun == l.run.ID {
		l.host.CurrentRun = ""
	}

	return c.tellHost(&l.host)
}

// row returns the stage that the run is in, or nil.
func (l *life) row() *core.Stage {
	i := l.run.StageAt(core.StageName(l.run.State))
	if i < 0 {
		return nil
	}

	return &l.run.Stages[i]
}

// active returns the stage that was under way when the run left it, or nil.
func (l *life) active() *core.Stage {
	for i := range l.run.Stages {
		if l.run.Stages[i].Phase == core.Active {
			return &l.run.Stages[i]
		}
	}

	return nil
}

func (c *change) startStage(l *life) error {
	row := l.row()
	if row == nil {
		return nil
	}

	row.Phase, row.StartedAt, row.Attempt = core.Active, c.now, row.Attempt+1
	l.run.MovedAt, l.run.Stuck = c.now, false

	return c.tellStage(l, row)
}

// Bounds of what is kept of earlier attempts, so that they fit into the record of
// the run beside its stages: the first one and the latest.
const (
	maxAttempts        = 16
	maxAttemptFindings = 4
)

// keepAttempt writes down what came of a stage that is about to be run again.
func (l *life) keepAttempt(row *core.Stage) {
	a := core.Attempt{
		Stage: row.Name, Attempt: row.Attempt, Verdict: row.Verdict, StartedAt: row.StartedAt, EndedAt: row.EndedAt,
		Findings: slices.Clone(row.Findings),
	}

	if l.chosen.Stage == row.Name {
		a.Verdict = l.chosen.Verdict
	}

	slices.SortStableFunc(a.Findings, func(a, b core.Finding) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })

	kept := min(len(a.Findings), maxAttemptFindings)
	a.Findings, a.LeftOut = a.Findings[:kept], len(a.Findings)-kept

	for i := range a.Findings {
		f := &a.Findings[i]
		f.Evidence, f.Next = clip(f.Evidence, maxWord), clip(f.Next, maxWord)
	}

	if len(l.run.Attempts) >= maxAttempts {
		l.run.Attempts = slices.Delete(l.run.Attempts, 1, 2)
	}

	l.run.Attempts = append(l.run.Attempts, a)
}

// restartStage takes back what was found against the run: the stage to run again
// starts anew, stages that failed with it and the appliance's own wait again. What
// came of them before stays on record.
func (c *change) restartStage(l *life) error {
	again := l.run.StageAt(core.StageName(l.run.State))

	for i := range l.run.Stages {
		row := &l.run.Stages[i]
		bad := row.Verdict == core.Fail || row.Verdict == core.Error

		if i != again && !bad && (i < again || !row.Name.ByAppliance() || row.Verdict == core.Skip && strings.HasPrefix(row.SkipReason, declared)) {
			continue
		}

		if i == again || bad {
			l.keepAttempt(row)
		}

		*row = core.Stage{Name: row.Name, Phase: core.Pending, Attempt: row.Attempt}

		if row.Name == core.SpecValidate {
			class, err := c.classOf(&l.host)
			if err != nil {
				return err
			}

			l.run.SpecYAML, l.run.SpecFrom = expected(&l.host, &class) // as it reads now: it may have been what was wrong
		}
	}

	l.run.Verdict, l.run.EndedAt = "", time.Time{}
	// An override of the wipe probe, say, was made whatever comes of the stage now.
	l.run.Findings = slices.DeleteFunc(l.run.Findings, func(f core.Finding) bool { return f.Severity != core.Info })
	l.reopenable()
	l.run.Retrying = core.StageName(l.run.State)

	return c.startStage(l)
}

// mark puts down what ended the stage under way, or the wait for a boot.
func (c *change) mark(l *life, action lifecycle.Action) error {
	row := l.active()

	if row != nil && (action == lifecycle.MarkReset || action == lifecycle.MarkBreach || action == lifecycle.MarkLost) {
		if err := c.judgeCut(l, row); err != nil {
			return err
		}
	}

	switch action {
	case lifecycle.MarkReset:
		return c.markStage(l, row, core.Fail,
			problem.Finding(problem.HostSpontaneousReset, core.Critical, row.Name, boardPart(), l.evidence))
	case lifecycle.MarkBreach:
		return c.markStage(l, row, core.Fail, breachFindings(l.run.Rules, row.Name, l.breaches)...)
	case lifecycle.MarkLost:
		return c.markStage(l, row, core.Error,
			problem.Finding(or(l.lostBy, problem.RunLostContact), core.Critical, row.Name, boardPart(), l.evidence))
	case lifecycle.MarkNoBoot:
		return c.markNoBoot(l)
	case lifecycle.MarkStopped:
		return c.markStopped(l, row)
	case lifecycle.MarkCondemned:
		return c.markRun(l, problem.Finding(problem.RunCondemned, core.Critical, "", boardPart(), l.evidence))
	default:
		return nil
	}
}

func (c *change) markNoBoot(l *life) error {
	f := problem.Finding(problem.BootDeadline, core.Critical, "", boardPart(), l.evidence)

	return cmpErr(c.markRun(l, f), func() error {
		return c.announce(l, news{
			topic: core.RunFailed, code: problem.BootDeadline, severity: core.Critical, text: l.run.HostName + ": " + l.evidence,
		})
	})
}

func boardPart() core.Part { return core.Part{Kind: "system"} }

func (c *change) markStage(l *life, row *core.Stage, verdict core.Verdict, findings ...core.Finding) error {
	row.Phase, row.Verdict, row.EndedAt, row.ETA = core.Done, verdict, c.now, 0
	row.Findings = append(row.Findings, findings...)

	if err := c.tellFindings(l, findings); err != nil {
		return err
	}

	if verdict == core.Fail || verdict == core.Error {
		if err := c.announceEnd(l, row); err != nil {
			return err
		}
	}

	return c.tellStage(l, row)
}

func (c *change) markRun(l *life, f core.Finding) error {
	l.run.Findings = append(l.run.Findings, f)

	return c.tellFindings(l, []core.Finding{f})
}

func (c *change) markStopped(l *life, row *core.Stage) error {
	if row == nil {
		return nil
	}

	row.Phase, row.EndedAt, row.ETA = core.Pending, c.now, 0

	if err := c.tellStage(l, row); err != nil {
		return err
	}

	return c.markRun(l, problem.Finding(problem.StageStopped, core.Info, row.Name, core.Part{},
		fmt.Sprintf("%s was stopped at %s %%", row.Name, strconv.FormatFloat(row.Progress*100, 'f', 0, 64))))
}

func (c *change) tellFindings(l *life, findings []core.Finding) error {
	for i := range findings {
		if err := c.emit(core.EventFinding, l.run.Host, l.run.ID, findings[i]); err != nil {
			return err
		}
	}

	return nil
}
