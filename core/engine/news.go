package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// news is something that people want to be told of.
type news struct {
	topic    core.Topic
	code     string
	severity core.Severity // empty: the code's own
	stage    core.StageName
	text     string
	next     string // empty: the code's own
}

// announce leaves a notice that notifications are made of, in the write that
// makes it true.
func (c *change) announce(l *life, n news) error {
	entry, _ := problem.Lookup(n.code)

	c.told = append(c.told, slog.Group("notice", slog.String("code", n.code), slog.String("host", string(l.run.Host)),
		slog.String("run", string(l.run.ID)), slog.String("text", n.text), slog.String("topic", string(n.topic))))

	severity := n.severity
	if severity == "" {
		severity = entry.Severity
	}

	return c.emit(core.EventNotice, l.run.Host, l.run.ID, core.Notice{
		Code: n.code, Severity: severity, Text: clip(n.text, maxNote), Topic: n.topic, HostName: l.run.HostName,
		Stage: n.stage, Next: or(n.next, entry.Next),
	})
}

// announceEnd tells of a stage that ended badly.
func (c *change) announceEnd(l *life, row *core.Stage) error {
	n := news{topic: core.StageFailed, code: problem.StageErrorUnsaid, severity: core.Critical, stage: row.Name}
	if row.Name == core.SpecValidate && row.Verdict == core.Fail {
		n.topic = core.SpecMismatch
	}

	n.text = fmt.Sprintf("%s: %s ended with %s", l.run.HostName, row.Name, row.Verdict)

	if f := gravest(row.Findings); f != nil {
		n.code, n.next = f.Code, f.Next
		n.text = fmt.Sprintf("%s: %s (%s)", n.text, f.Title, f.Evidence)
	}

	return c.announce(l, n)
}

// announceStuck tells of a stage that gets no further.
func (c *change) announceStuck(l *life, row *core.Stage) error {
	return c.announce(l, news{
		topic: core.Alarm, code: problem.RunNoProgress, stage: row.Name,
		text: fmt.Sprintf("%s: %s has made no progress since %s (at %.0f %%, %s)", l.run.HostName, row.Name,
			l.run.MovedAt.Format("2006-01-02 15:04 MST"), row.Progress*100, or(row.SubStep, "no sub-step")),
	})
}

// announceMismatch tells of a machine that differs from its spec in what is worth
// a look and no reason to fail.
func (c *change) announceMismatch(l *life, row *core.Stage) error {
	f := gravest(row.Findings)
	if f == nil || f.Severity != core.Warning || len(row.Diffs) == 0 {
		return nil
	}

	return c.announce(l, news{
		topic: core.SpecMismatch, code: f.Code, severity: core.Warning, stage: row.Name, next: f.Next,
		text: fmt.Sprintf("%s differs from its spec: %s (%s)", l.run.HostName, f.Title, f.Evidence),
	})
}

// announceCompletion tells that a run passed.
func (c *change) announceCompletion(l *life) error {
	warnings := 0

	for i := range l.run.Stages {
		for _, f := range l.run.Stages[i].Findings {
			if f.Severity == core.Warning {
				warnings++
			}
		}
	}

	text := fmt.Sprintf("%s passed %s", l.run.HostName, l.run.Profile.Name)
	if warnings > 0 {
		text = fmt.Sprintf("%s, with %d warnings", text, warnings)
	}

	return c.announce(l, news{topic: core.RunCompleted, code: problem.RunCompleted, severity: core.Info, text: text})
}

// announceBatch tells that the last run of a batch is over, in the write that ends it: once
// for each time that nothing of the batch is under way any more. A start that is withdrawn
// is told of by nobody: the batch is as it was without it.
func (c *change) announceBatch(l *life) error {
	if l.run.Batch == "" {
		return nil
	}

	var batch core.Batch

	switch err := c.Get(core.TableBatch, l.run.Batch, &batch); {
	case errors.Is(err, core.ErrNotFound):
		return nil
	case err != nil:
		return err
	}

	last, ran, err := c.outcomeOf(&batch, &l.run)
	if err != nil || ran <= batch.Told { // nothing has ended that was not told
		return err
	}

	batch.Told = ran
	counts := map[core.Verdict]int{}

	for _, run := range last.Runs {
		counts[run.Verdict]++
	}

	entry, _ := problem.Lookup(problem.BatchCompleted)
	severity, text := entry.Severity, fmt.Sprintf("Batch %s is over: %d of %d passed", batch.Name, counts[core.Pass], len(last.Runs))

	for _, v := range []core.Verdict{core.Fail, core.Error, core.Cancelled} {
		if counts[v] > 0 {
			severity, text = core.Warning, fmt.Sprintf("%s, %d ended with %s", text, counts[v], v)
		}
	}

	c.told = append(c.told, slog.Group("notice", slog.String("code", problem.BatchCompleted), slog.String("text", text), slog.String("topic", string(core.BatchCompleted))))

	return cmpErr(c.Put(core.TableBatch, batch.Name, batch), func() error {
		return c.emit(core.EventNotice, "", "", core.Notice{
			Code: problem.BatchCompleted, Severity: severity, Text: clip(text, maxNote), Topic: core.BatchCompleted, Next: entry.Next, Batch: batch.Name, Verdicts: counts,
		})
	})
}

// outcomeOf is what a batch comes to with a run that ends now, and how many of its runs
// have ended without being withdrawn, lost ones with them; 0 while one of them is under
// way. The newest are looked at first: they are the last to end.
func (c *change) outcomeOf(batch *core.Batch, now *core.Run) (last core.Last, ran int, err error) {
	for _, id := range slices.Backward(batch.Runs) {
		run := now

		if id != now.ID {
			run = new(core.Run)

			switch err := c.Get(core.TableRun, string(id), run); {
			case errors.Is(err, core.ErrNotFound): // lost with a part of the ledger; it must keep no other from ending or being told of
				ran++

				continue
			case err != nil:
				return last, 0, err
			case !run.State.Over():
				return last, 0, nil
			}
		}

		last.Add(run)

		if !run.Withdrawn() {
			ran++
		}
	}

	return last, ran, nil
}

// gravest returns the first of the gravest findings, or nil.
func gravest(findings []core.Finding) *core.Finding {
	var found *core.Finding

	for i := range findings {
		if found == nil || findings[i].Severity.Rank() < found.Severity.Rank() {
			found = &findings[i]
		}
	}

	return found
}
