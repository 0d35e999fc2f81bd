package stage

import (
	"context"
	"slices"
	"strings"

	"vetting/agent/worker"
	"vetting/core"
)

// Watch looks after the machine around a stage, whatever the stage itself looks
// at. It is called before the stage begins; what it returns is called once, when
// the stage is over or was stopped, and tells what was seen meanwhile. halt ends
// the stage: the part under test would suffer, and the cause says from what.
//
// ctx ends when the run moves on without the stage; what was seen is then wanted
// by nobody, but kept in mind for the next stage.
type Watch func(ctx context.Context, name core.StageName, env Env, halt context.CancelCauseFunc) (end func() Seen)

// Seen is what a watch adds to the result of a stage.
type Seen struct {
	Findings     []core.Finding // a critical one fails the stage
	Errors       []core.Finding // why the stage proves nothing, with the verdict "error" unless something fails it
	SubSteps     []core.SubStep
	Measurements []core.Sample
}

// Merge adds what was seen to the result of a stage. Evidence against the
// hardware outweighs whatever the stage itself found, even that it broke; what makes
// it an error outweighs a pass.
func Merge(r core.Result, seen Seen) core.Result {
	r.Findings = poisoned(r.Findings, seen.Findings)
	r.Findings = append(append(r.Findings, seen.Findings...), seen.Errors...)
	r.SubSteps = append(r.SubSteps, seen.SubSteps...)
	r.Measurements = append(r.Measurements, seen.Measurements...)

	switch {
	case worst(seen.Findings) == core.Fail:
		r.Verdict, r.SkipReason = core.Fail, ""
	case len(seen.Errors) > 0 && r.Verdict != core.Fail:
		r.Verdict, r.SkipReason = core.Error, ""
	}

	return r
}

// poisoned adds to a worker's end by a poisoned page what the kernel said and counted
// of that page, so that one finding has the whole story: who touched it, where the page
// is, and that the kernel gave it up.
func poisoned(findings, seen []core.Finding) []core.Finding {
	var told []string

	for _, f := range seen {
		if slices.Contains([]string{"kernel/memory-failure", "trace/memory-failure", "ras/memory-poisoned"}, f.Code) {
			told = append(told, f.Evidence)
		}
	}

	if told == nil {
		return findings
	}

	findings = slices.Clone(findings)

	for i := range findings {
		if findings[i].Code == "worker/"+string(worker.MemoryPoisoned) {
			findings[i].Evidence += "; the kernel: " + strings.Join(told, "; ")
		}
	}

	return findings
}
