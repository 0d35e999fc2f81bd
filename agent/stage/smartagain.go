package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/agent/smartctl"
	"vetting/core"
	"vetting/core/profile"
)

// SelfTestsAfter has all disks test themselves once more when the stage came to its end
// and found nothing critical, where the profile says so (SMART.again): stages.md §3.13,
// soak. What the disks count meanwhile is for [DiskCounters], and what SMART said of them
// is not said again. Disks behind RAID controllers are asked through smartctl; nil: the
// image has none.
//
// A process that is started in the midst of the self-tests goes on with them, and does not
// repeat the stage.
func SelfTestsAfter(main Func, m probe.Machine, tool smartctl.Run) Func {
	return func(ctx context.Context, env Env) core.Result {
		if env.Config[profile.SelfTestAgain] != "after-burn" || testLength(env) == "" {
			return main(ctx, env)
		}

		x := &secondTests{env: env, machine: m, tool: tool}

		first, done := x.resumed()
		if !done {
			first = main(ctx, env)
			x.env.Resume = nil
		}

		if ctx.Err() != nil {
			return first
		}

		if first.Verdict != core.Pass {
			first.Coverage += "; self-tests NOT run again"

			return first
		}

		return x.run(ctx, first)
	}
}

// secondTests are the self-tests after a stage.
type secondTests struct {
	env     Env
	machine probe.Machine
	tool    smartctl.Run
}

// afterCheckpoint is what is kept from the end of the stage on. No stage's own has this
// field.
type afterCheckpoint struct {
	After *core.Result    `json:"after"`
	Tests json.RawMessage `json:"tests,omitempty"`
}

// resumed is the result of a stage whose process ended in the midst of the self-tests.
func (x *secondTests) resumed() (first core.Result, done bool) {
	var kept afterCheckpoint
	if x.env.Resume == nil || json.Unmarshal(x.env.Resume, &kept) != nil || kept.After == nil {
		return first, false
	}

	x.env.Resume = kept.Tests

	return *kept.After, true
}

// keeping returns what keeps the stage's result with how far the self-tests are. Figures
// are left out where there is no room for them; without room for the rest the stage would
// be repeated in part.
func (x *secondTests) keeping(first core.Result) func(tests []byte) (done bool) {
	return func(tests []byte) (done bool) {
		kept := first

		for range 2 {
			raw, err := json.Marshal(afterCheckpoint{&kept, tests})
			if err == nil && len(raw) <= MaxCheckpoint {
				return x.env.Checkpoint(raw)
			}

			kept.Measurements = nil
		}

		return false
	}
}

// selfTested is what came of one disk's second self-test.
type selfTested struct {
	step     core.SubStep
	findings []core.Finding
	asked    bool // it was to test itself
}

func (x *secondTests) run(ctx context.Context, first core.Result) core.Result {
	keep := x.keeping(first)
	keep(nil)

	inner := x.env
	inner.Checkpoint = keep

	drives, _ := x.machine.Disks() //nolint:errcheck // who does not answer any more is told by DiskCounters
	all := subjects(ctx, x.machine, x.tool, drives)

	if len(all) == 0 {
		return first
	}

	tests, parts := make([]selfTested, len(all)), sampleParts(all)
	progress, begun := newProgress(inner, len(all)), newBegunTests(inner)

	var work sync.WaitGroup

	for i, s := range all {
		work.Go(func() {
			tests[i] = examination{
				env: inner, machine: x.machine, subject: s, key: parts[i], selfTest: testLength(inner), begun: begun,
				progress: func(done float64, eta time.Duration) { progress.set(i, s.Name+" tests itself again", done, eta) },
			}.testAgain(ctx)
			progress.set(i, s.Name+" tests itself again", 1, 0)
		})
	}

	work.Wait()

	if ctx.Err() != nil {
		r := stopped(context.Cause(ctx))
		r.Coverage, r.Measurements = first.Coverage+"; self-tests again NOT finished", first.Measurements

		return r
	}

	return secondResult(first, tests, testLength(inner))
}

// testAgain has one disk test itself. What has no health data was told of by SMART.
func (x examination) testAgain(ctx context.Context) (t selfTested) {
	if x.members > 0 || x.Network != "" {
		return t
	}

	p, err := x.open(ctx)
	if err != nil {
		return t
	}

	defer p.Close() //nolint:errcheck // opened for reading

	before, err := p.read()
	if err != nil || !p.self() {
		return t
	}

	t.asked = true
	log := x.env.Log.With(slog.String("disk", x.Name), slog.String("serial", x.Serial))

	findings, err := x.runTest(ctx, log, p, before.tests)

	t.findings = findings
	for i := range t.findings {
		t.findings[i].Part = probe.DiskPart(x.Disk)
	}

	t.step = core.SubStep{
		Name: x.Name + " again", Part: probe.DiskPart(x.Disk), Verdict: worst(findings), Progress: 1,
		Summary: fmt.Sprintf("%s self-test passed again", x.selfTest),
	}

	switch {
	case t.step.Verdict == core.Fail:
		t.step.Summary = fmt.Sprintf("%s self-test failed, and had passed before", x.selfTest)
	case errors.Is(err, errTestBroken) || err != nil:
		t.step.Verdict, t.step.Summary = core.Error, err.Error()
	}

	return t
}

// secondResult adds the self-tests to the result of the stage.
func secondResult(first core.Result, tests []selfTested, length disk.Length) core.Result {
	r := first
	r.Findings, r.SubSteps = slices.Clone(first.Findings), slices.Clone(first.SubSteps)
	passed, asked := 0, 0

	for _, t := range tests {
		if !t.asked {
			continue
		}

		asked++
		r.Findings, r.SubSteps = append(r.Findings, t.findings...), append(r.SubSteps, t.step)

		switch {
		case t.step.Verdict == core.Pass:
			passed++
		case t.step.Verdict == core.Fail:
			r.Verdict = core.Fail
		case r.Verdict != core.Fail:
			r.Verdict = core.Error
		}
	}

	r.Coverage = strings.TrimPrefix(fmt.Sprintf("%s; %s self-tests again: %d of %d disks that have one", first.Coverage, length, passed, asked), "; ")

	return r
}
