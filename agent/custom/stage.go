package custom

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"

	"vetting/agent/overlay"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/problem"
)

// Stages runs the custom stages of a machine. Safe for concurrent use; make it with New.
type Stages struct {
	root fs.FS
	run  Run

	once   sync.Once
	broken []core.Finding // overlays that did not arrive whole
}

// New returns what runs custom stages below root, which is that of the running machine.
// run executes one; Fenced is the one for live machines.
func New(root fs.FS, run Run) *Stages { return &Stages{root: root, run: run} }

// After runs the scripts that follow a stage, one after the other, in the order of their
// overlays. own is what the stage itself has come to.
func (s *Stages) After(ctx context.Context, name core.StageName, env stage.Env, own *core.Result) stage.Seen {
	var seen stage.Seen

	if !s.Whole(env) {
		seen.Errors = s.broken
	}

	for i := range env.Overlays {
		for _, script := range env.Overlays[i].Scripts {
			if script.Stage != name {
				continue
			}

			if why := s.unfit(ctx, env, own, name); why != "" {
				seen.SubSteps = append(seen.SubSteps, core.SubStep{Name: core.ScriptStep(script.Name), Progress: 1, Verdict: core.Skip, Summary: "not run: " + why})
			} else {
				s.one(ctx, script, env.Overlays[i].Name, env, &seen)
			}
		}
	}

	return seen
}

// unfit says why the scripts of a stage are not run, or the rest of them is not; empty:
// nothing speaks against it.
func (s *Stages) unfit(ctx context.Context, env stage.Env, own *core.Result, name core.StageName) string {
	switch {
	case !s.Whole(env):
		return "an overlay of the run did not arrive whole"
	case ctx.Err() != nil: // a stage that was stopped ends in an error, whatever stopped it
		return fmt.Sprintf("%s was stopped: %s", name, context.Cause(ctx))
	case own.Verdict == core.Fail || own.Verdict == core.Error:
		return fmt.Sprintf("%s itself ended in %s", name, own.Verdict)
	default:
		return ""
	}
}

// Whole reports whether every overlay arrived as the appliance has it. It is asked before
// anything of them is run, loaded or read.
func (s *Stages) Whole(env stage.Env) bool {
	s.once.Do(func() { s.broken = s.verify(env) })

	return len(s.broken) == 0
}

// verify looks whether every overlay is there, once for all stages.
func (s *Stages) verify(env stage.Env) (broken []core.Finding) {
	for i := range env.Overlays {
		if err := overlay.Verify(s.root, env.Overlays[i]); err != nil {
			broken = append(broken, problem.Finding(problem.OverlayIncomplete, "", "", core.Part{}, err.Error()))

			continue
		}

		env.Log.Info("overlay whole", slog.String("overlay", env.Overlays[i].Name))
	}

	if len(broken) == 0 {
		if err := overlay.LinkLoader(s.root, env.Overlays); err != nil {
			broken = append(broken, problem.Finding(problem.OverlayIncomplete, "", "", core.Part{}, err.Error()))
		}
	}

	return broken
}

// one runs a script and adds what came of it.
func (s *Stages) one(ctx context.Context, script core.Script, from string, env stage.Env, seen *stage.Seen) {
	step := core.SubStep{Name: core.ScriptStep(script.Name), Progress: 1}

	env.Progress(step.Name, 0, 0)
	env.Log.Info("custom stage begins", slog.String("script", script.Name), slog.String("overlay", from))

	heard, end := s.run(ctx, Job{Script: script, Overlay: from, Environ: s.environ(env, script)}, func(done float64) { env.Progress(step.Name, done, 0) }, env.Log)

	verdict, summary, trouble := heard.judge(end)
	step.Verdict, step.Summary = verdict, summary

	seen.SubSteps = append(append(seen.SubSteps, step), heard.steps...)
	seen.Measurements = append(seen.Measurements, heard.samples...)
	seen.Findings = append(seen.Findings, heard.findings...)

	if verdict == core.Error {
		seen.Errors = append(seen.Errors, trouble...)
	} else {
		seen.Findings = append(seen.Findings, trouble...)
	}

	env.Log.Info("custom stage ends", slog.String("script", script.Name), slog.String("verdict", string(verdict)))
}

// environ is what a script is told. It has no token and no key.
func (s *Stages) environ(env stage.Env, script core.Script) []string {
	facts := overlay.Environ(s.root, env.Overlays)

	for _, fact := range [][2]string{
		{"RUN", env.Run},
		{"HOST", env.HostName},
		{"MAC", string(env.BootMAC)},
		{"PROFILE", env.Profile},
		{"STAGE", string(script.Stage)},
		{"SCALE", fmt.Sprintf("%g", env.Scale)},
		{"TIMEOUT_SECONDS", fmt.Sprintf("%.0f", script.Timeout.Seconds())},
	} {
		facts = append(facts, "VETTING_"+fact[0]+"="+strings.Map(printable, fact[1]))
	}

	return facts
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}

	return r
}
