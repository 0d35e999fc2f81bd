package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/lifecycle"
	"vetting/core/problem"
	"vetting/core/threshold"
)

// maxBatch bounds the samples of one batch and of one result.
const (
	maxBatch        = 1000
	maxMeasurements = 4096
)

// Sensor keeps a batch of samples and returns the thresholds it broke. A critical
// one ends the stage at once. A batch seen before changes nothing and is answered
// as before.
func (e *Engine) Sensor(ctx context.Context, run core.RunID, token string, seq uint64, samples []core.Sample) ([]core.Evaluation, error) {
	if _, err := e.admit(ctx, run, token); err != nil {
		return nil, err
	}

	if len(samples) > maxBatch {
		return nil, badSample("A batch of %d samples is too large; %d at most.", len(samples), maxBatch)
	}

	if err := checkSamples(samples); err != nil {
		return nil, err
	}

	j := e.judges.of(run)

	j.mu.Lock()
	defer j.mu.Unlock()

	// The batch before may have moved the run while this one waited.
	in, err := e.admit(ctx, run, token)
	if err != nil {
		return nil, err
	}

	if err := e.catchUp(ctx, j, in.at); err != nil {
		return nil, err
	}

	// Nearly every batch is new and is kept; where one may not be, a copy judges it.
	trial, careful := j.judge, j.shaky || seq < j.next
	if careful {
		trial = j.judge.Clone()
	}

	s := sifted{shed: e.shedding.Load()}
	s.broken, s.telling = trial.Sift(samples)

	answer, fresh, err := e.keepBatch(ctx, in, token, core.SampleBatch{Run: run, Seq: seq, Samples: samples}, s)

	switch {
	case err == nil && fresh:
		j.judge, j.next, j.shaky = trial, max(j.next, seq+1), false
	case !careful: // it has seen what is not there, and is made anew from what is
		j.judge, j.shaky = nil, true
	}

	return answer, err
}

// sifted is what a judge made of a batch.
type sifted struct {
	broken  []core.Evaluation
	telling []core.Sample // those that verdicts depend on
	shed    bool          // keep no others
}

// keepBatch writes a batch; fresh is false when it, or the stage it belongs to,
// was there already.
func (e *Engine) keepBatch(
	ctx context.Context, in admitted, token string, batch core.SampleBatch, s sifted,
) (answer []core.Evaluation, fresh bool, err error) {
	at, samples := in.at, batch.Samples

	err = e.write(ctx, func(c *change) error {
		l, err := c.admitted(in, token, len(s.broken) == 0 && s.shed == in.unkept)
		if err != nil {
			return err
		}

		batch.Epoch = l.run.Epoch
		key := sampleKey(at.run, batch.Epoch, batch.Seq)
		reply := replyKey(at.run, "sensor", batch.Epoch, batch.Seq)

		var seen core.SampleBatch

		switch err := c.Get(core.TableSamples, key, &seen); {
		case err == nil:
			answer, err = readReply[[]core.Evaluation](c, reply)

			return cmpErr(err, func() error { return errNothing })
		case !errors.Is(err, core.ErrNotFound):
			return err
		}

		now := l.standing()
		answer, fresh = nil, at == now

		batch.Samples, batch.Unkept = samples, 0

		if fresh {
			answer = s.broken
		}

		if fresh && s.shed {
			batch.Samples, batch.Unkept = s.telling, len(samples)-len(s.telling)
		}

		batch.Stage, batch.Attempt = now.stage, now.attempt

		if l.unkept() != s.shed {
			if err := c.noteUnkept(l, s.shed); err != nil {
				return err
			}
		}

		return c.addBatch(l, batch, key, reply, answer)
	})
	if err != nil {
		return nil, false, e.wrongToken(err, at.run, token)
	}

	return answer, fresh, nil
}

// admitted loads the run for a batch. Where nothing was written to it since it was
// looked at, and the batch will change nothing of it (plain), the little that is
// known of it is all that is needed.
func (c *change) admitted(in admitted, token string, plain bool) (*life, error) {
	if !plain || !in.live || !c.engine.passes.still(in.at.run, in.turn) {
		return c.session(in.at.run, token, false)
	}

	l := &life{run: core.Run{ID: in.at.run, Host: in.host, Epoch: in.epoch}}
	if in.unkept {
		l.run.Unkept = []core.Unkept{{}} // it goes on
	}

	if in.at.stage != "" {
		l.run.State = core.State(in.at.stage)
		l.run.Stages = []core.Stage{{Name: in.at.stage, Attempt: in.at.attempt, StartedAt: in.at.startedAt}}
	}

	return l, nil
}

func (c *change) addBatch(l *life, batch core.SampleBatch, key, reply string, broken []core.Evaluation) error {
	if err := c.Put(core.TableSamples, key, batch); err != nil {
		return err
	}

	if len(batch.Samples) > 0 || batch.Unkept == 0 {
		err := c.Note(c.now, core.SampleNote{
			Host: l.run.Host, Run: l.run.ID,
			SampleChange: core.SampleChange{Epoch: batch.Epoch, Seq: batch.Seq, Count: len(batch.Samples)},
		})
		if err != nil {
			return err
		}
	}

	if len(broken) == 0 {
		return nil
	}

	if err := c.Put(core.TableReply, reply, broken); err != nil {
		return err
	}

	for i := range broken {
		if broken[i].Severity == core.Critical {
			l.breaches = append(l.breaches, broken[i])
		}
	}

	if len(l.breaches) == 0 {
		return nil // warnings are told with the stage's result
	}

	if err := c.move(l, lifecycle.Breach); err != nil {
		return err
	}

	return c.save(l)
}

// checkSamples refuses samples with keys, units or stages that do not exist.
func checkSamples(samples []core.Sample) error {
	for i := range samples {
		s := &samples[i]

		if err := catalogue.Check(s.Key, s.Unit); err != nil {
			return err
		}

		if s.Time.IsZero() {
			return badSample("Sample %d (%s) has no time.", i+1, s.Key)
		}

		if s.Stage != "" && (i == 0 || s.Stage != samples[i-1].Stage) && !isStage(s.Stage) {
			return badSample("Sample %d (%s) names the stage %.40q, which does not exist.", i+1, s.Key, string(s.Stage))
		}
	}

	return nil
}

func badSample(format string, args ...any) error {
	return core.NewProblem(core.ErrInvalid, problem.SampleBad, fmt.Sprintf(format, args...))
}

func sampleKey(run core.RunID, epoch int, seq uint64) string {
	return fmt.Sprintf("%s/%06d/%020d", run, epoch, seq)
}

func replyKey(run core.RunID, channel string, epoch int, seq uint64) string {
	return fmt.Sprintf("%s/%s-%06d/%020d", run, channel, epoch, seq)
}

// readReply returns the answer that was given, or its zero value.
func readReply[T any](r core.Reader, key string) (reply T, err error) {
	err = r.Get(core.TableReply, key, &reply)
	if errors.Is(err, core.ErrNotFound) {
		return reply, nil
	}

	return reply, err
}

// breachFindings tells broken thresholds, one finding for each.
func breachFindings(rules []core.Rule, stage core.StageName, broken []core.Evaluation) (findings []core.Finding) {
	for i := range broken {
		e := &broken[i]
		code := problem.ThresholdBreach

		for _, r := range rules {
			if r.ID == e.Rule && r.Code != "" {
				code = r.Code
			}
		}

		f := problem.Finding(code, e.Severity, stage, partOf(e.Key),
			fmt.Sprintf("%s is %.6g, must be %s (rule %s)", e.Key, e.Value, core.LimitWords(e.Limit), e.Rule))
		f.Subject = clip(e.Rule+" "+e.Key, maxWord)

		if code == problem.ThresholdBreach { // whose title would only say that there was a limit
			f.Title = catalogue.Breach(e)
		}

		findings = append(findings, f)
	}

	return findings
}

// standing is where a run is, as far as judging samples goes.
type standing struct {
	run       core.RunID
	stage     core.StageName
	attempt   int
	startedAt time.Time
}

func (l *life) standing() standing {
	at := standing{run: l.run.ID}
	if row := l.row(); row != nil {
		at.stage, at.attempt, at.startedAt = row.Name, row.Attempt, row.StartedAt
	}

	return at
}

// stageSamples reads what was measured in a try of a stage.
func (e *Engine) stageSamples(ctx context.Context, at standing) (samples []core.Sample, err error) {
	if at.stage == "" {
		return nil, nil
	}

	err = e.Ledger.View(ctx, func(r core.Reader) (err error) {
		samples, err = readStageSamples(r, at)

		return err
	})

	return samples, err
}

func readStageSamples(r core.Reader, at standing) (samples []core.Sample, err error) {
	err = r.Scan(core.TableSamples, core.Query{Prefix: string(at.run) + "/"}, func(_ string, decode func(any) error) error {
		var batch core.SampleBatch
		if err := decode(&batch); err != nil {
			return err
		}

		if batch.Stage == at.stage && batch.Attempt == at.attempt {
			samples = append(samples, batch.Samples...)
		}

		return nil
	})

	return samples, err
}

// catchUp gives a judge what was measured before it was made: after a restart of
// the appliance, or when another stage began. j.mu is held.
func (e *Engine) catchUp(ctx context.Context, j *runJudge, at standing) error {
	if j.judge != nil && j.at == at {
		return nil
	}

	samples, err := e.stageSamples(ctx, at)
	if err != nil {
		return err
	}

	var run core.Run

	err = e.Ledger.View(ctx, func(r core.Reader) error { return readRun(r, at.run, &run) })
	if err != nil {
		return err
	}

	rules := run.Rules
	if at.stage == "" {
		rules = nil // outside stages nothing is judged
	}

	j.judge, j.at, j.next = threshold.New(rules, at.stage), at, 0
	j.judge.Add(samples)

	return nil
}
