package agent

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"vetting/agent/stage"
	"vetting/agent/traffic"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/catalogue"
)

// perform runs a stage to its end, with everything that watches over it.
func (a *agent) perform(ctx context.Context, name core.StageName) core.Result {
	log := slog.New(slog.NewMultiHandler(
		a.Log.Handler().WithAttrs([]slog.Attr{slog.String("stage", string(name))}), a.Journal.Handler(name)))
	env := a.env(name, log)

	// What did not arrive whole is neither run nor loaded, nor are tools of it that tests use.
	if a.Whole != nil && len(env.Overlays) > 0 && !a.Whole(env) {
		own := core.Result{Verdict: core.Error, Coverage: "nothing was tested"}

		return stage.Merge(own, a.custom(ctx, name, env, own))
	}

	inner, halt := context.WithCancelCause(ctx)
	defer halt(nil)

	ends := make([]func() stage.Seen, len(a.Watches))
	for i, watch := range a.Watches {
		ends[i] = watch(ctx, name, env, halt)
	}

	out := a.play(inner, name, env)
	out = stage.Merge(out, a.custom(inner, name, env, out))

	if cause := context.Cause(inner); cause != nil && ctx.Err() == nil {
		log.Error("stage halted", slog.String("why", cause.Error()))
	}

	for _, end := range ends {
		out = stage.Merge(out, end())
	}

	return out
}

// custom runs what an operator has follow a stage, or says why it does not, and never panics.
func (a *agent) custom(ctx context.Context, name core.StageName, env stage.Env, own core.Result) (seen stage.Seen) {
	defer func() {
		if cause := recover(); cause != nil {
			env.Log.Error("a custom stage panicked", slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))

			seen = stage.Seen{Errors: broken("agent/stage-panic", "The test program crashed", fmt.Sprintf("panic: %v", cause)).Findings}
		}
	}()

	if a.Custom == nil || len(env.Overlays) == 0 {
		return stage.Seen{}
	}

	return a.Custom(ctx, name, env, &own)
}

// play runs a stage alone and never panics: a stage that does is a fault of ours,
// and says so.
func (a *agent) play(ctx context.Context, name core.StageName, env stage.Env) (out core.Result) {
	log := env.Log

	defer func() {
		if cause := recover(); cause != nil {
			log.Error("the stage panicked", slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
			out = broken("agent/stage-panic", "The test program crashed", fmt.Sprintf("panic: %v", cause))
		}
	}()

	run, ok := a.Stages[name]
	if !ok {
		return broken("agent/stage-unknown", "The boot image does not have this stage",
			fmt.Sprintf("agent %s has no stage %s", a.Version, name))
	}

	log.Info("stage begins")

	begin := time.Now()
	out = run(ctx, env)

	log.Info("stage ends", slog.String("verdict", string(out.Verdict)),
		slog.Duration("took", time.Since(begin).Round(time.Millisecond)))

	return out
}

// broken is the result of a stage that we broke, not the hardware.
func broken(code, title, evidence string) core.Result {
	return core.Result{
		Verdict: core.Error, Coverage: "nothing was tested",
		Findings: []core.Finding{{
			Code: code, Severity: core.Critical, Title: title, Evidence: evidence,
			Next: "Retry the stage; if it comes back, report it with the run's log: the hardware is not to blame.",
		}},
	}
}

func (a *agent) env(name core.StageName, log *slog.Logger) stage.Env {
	rec := a.session.look()
	claim := rec.Claim

	return stage.Env{
		Log: log,
		Progress: func(subStep string, done float64, eta time.Duration) {
			a.progress.update(name, subStep, done, eta)
		},
		Meters:     func(meters []core.Meter) { a.progress.measure(name, meters) },
		Sensor:     func(samples ...core.Sample) { a.measure(name, log, samples) },
		Config:     claim.Config,
		Scale:      claim.Scale,
		Disks:      each(claim.ExpectedDisks, wire.MaxParts, expectedDisk),
		BootMAC:    a.MAC,
		Run:        rec.Run,
		Profile:    claim.Profile,
		HostName:   claim.HostName,
		Overlays:   each(claim.Overlays, wire.MaxOverlays, overlayOf),
		Keep:       func(file string, content []byte) { a.files.keep(name, file, content) },
		Overrides:  rec.Overrides,
		WriteLease: a.lease.until, OverrideUntil: rec.OverrideUntil,
		Partner: func(ctx context.Context, seed uint64, count int) (stage.Exchange, error) {
			return a.client.Exchange(ctx, a.session.token(), seed, count)
		},
		Ticket: func(ctx context.Context) (traffic.Ticket, error) { return a.client.Ticket(ctx, a.session.token()) },
		Pair: func(ctx context.Context, step traffic.Step, id string, mine traffic.Peer) (traffic.Meeting, error) {
			return a.client.Pair(ctx, a.session.token(), step, id, mine)
		},
		Resume:     rec.Checkpoint,
		Checkpoint: func(state []byte) bool { return a.checkpoint(name, state) },
	}
}

// checkpoint keeps how far a stage is, unless the run has moved on without it, and
// returns whether a later process will find it.
func (a *agent) checkpoint(name core.StageName, state []byte) (kept bool) {
	if len(state) > stage.MaxCheckpoint {
		a.say.Error("a checkpoint is too large to be kept", slog.String("stage", string(name)), slog.Int("bytes", len(state)))

		return false
	}

	written := a.keep(func(r *record) {
		if kept = r.At == wire.State(name) && r.Pending == nil; kept {
			r.Checkpoint = state
		}
	})

	return kept && written
}

// measure takes samples in. One that is not in the catalogue is left out,
// since it would take its whole batch with it.
func (a *agent) measure(name core.StageName, log *slog.Logger, samples []core.Sample) {
	for _, s := range samples {
		if err := catalogue.Check(s.Key, s.Unit); err != nil || !wire.ValidKey(s.Key) {
			log.Error("sample that is not in the catalogue left out", slog.String("key", s.Key), slog.String("unit", s.Unit))

			continue
		}

		if s.Stage == "" {
			s.Stage = name
		}

		if s.Time.IsZero() {
			s.Time = time.Now()
		}

		a.samples.push(s, sampleWeight+len(s.Key)+2*len(s.Unit))
	}
}

// report makes the result that is sent, whatever a stage said: what does not
// keep the contract becomes an error of ours that says so.
func (a *agent) report(name core.StageName, said core.Result) wire.Result {
	said.Stage = name

	out, left := result(said)
	if left > 0 {
		out.Coverage = prose(fmt.Sprintf("%d entries did not fit into the result; %s", left, out.Coverage))
	}

	out.Seq = 1 // for the check; the number is given when it is kept

	err := out.Validate()
	if err == nil {
		err = a.decodes(out)
	}

	if err != nil {
		out, _ = result(refused(name, err))
	}

	return out
}

// decodes reads a result back as the appliance will.
func (a *agent) decodes(out wire.Result) error {
	raw, err := encode(out)
	if err != nil {
		return err
	}

	if len(raw) > wire.MaxResultBody {
		return fmt.Errorf("it has %d bytes, %d at most", len(raw), wire.MaxResultBody)
	}

	return decode(raw, new(wire.Result))
}

func refused(name core.StageName, why error) core.Result {
	bad := broken("agent/invalid-result", "The result could not be sent", why.Error())
	bad.Stage = name

	return bad
}
