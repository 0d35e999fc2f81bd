package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/lifecycle"
	"vetting/core/problem"
	"vetting/core/profile"
)

// Bounds of one result, beside those of the wire.
const (
	maxFindings = 512
	maxSubSteps = 1024
)

// answered is the record of a result that was taken.
type answered struct {
	Stage core.StageName `json:"stage"`
	State core.State     `json:"state"` // the answer
}

// Result takes what came of a stage and says where the run is then. The same
// number twice gets the same answer; a stage that is not under way is refused
// with the state the run is in.
func (e *Engine) Result(ctx context.Context, run core.RunID, token string, result core.Result) (core.State, error) {
	if _, err := e.Authorise(ctx, run, token); err != nil && !errors.Is(err, core.ErrExpired) {
		return "", err
	}

	if err := checkResult(&result); err != nil {
		return "", err
	}

	at, err := e.standing(ctx, run)
	if err != nil {
		return "", err
	}

	samples, err := e.stageSamples(ctx, at)
	if err != nil {
		return "", err
	}

	firmware, err := e.judgeFirmware(ctx, at, &result)
	if err != nil {
		return "", err
	}

	var state core.State

	err = e.write(ctx, func(c *change) error {
		l, err := c.session(run, token, true)
		if err != nil {
			return err
		}

		l.secret.ClaimToken, l.secret.Claimer = nil, nil // its answer has arrived
		key := replyKey(run, "result", l.run.Epoch, result.Seq)

		before, err := c.answeredBefore(l, key, &result)

		switch {
		case err != nil:
			return err
		case before != "":
			state = before

			return errNothing
		}

		if err := c.finish(l, &result, samples, firmware); err != nil {
			return err
		}

		state = l.run.State

		return cmpErr(c.Put(core.TableReply, key, answered{Stage: result.Stage, State: state}), func() error { return c.save(l) })
	})
	if err != nil {
		return "", e.wrongToken(err, run, token)
	}

	return state, nil
}

// answeredBefore returns the state that the same result was answered with before;
// "": it is a new one. The error refuses a result that the run does not wait for.
func (c *change) answeredBefore(l *life, key string, result *core.Result) (core.State, error) {
	before, err := readReply[answered](c, key)

	switch {
	case err != nil:
		return "", err
	case before.Stage != "" && before.Stage != result.Stage:
		return "", core.NewProblem(core.ErrConflict, problem.RunSeqReused, fmt.Sprintf(
			"Number %d was used for the result of %s; number each result anew.", result.Seq, before.Stage)).With("state", string(l.run.State))
	case before.Stage != "":
		return before.State, nil
	case l.run.State != core.State(result.Stage):
		return "", late(l, result)
	case l.stillIn(result.Stage):
		return "", core.NewProblem(core.ErrConflict, problem.RunWrongState, fmt.Sprintf(
			"This attempt at %s is over; the stage is to be run again.", result.Stage)).With("state", string(l.run.State))
	default:
		return "", nil
	}
}

func late(l *life, result *core.Result) error {
	return core.NewProblem(core.ErrConflict, problem.RunWrongState, fmt.Sprintf(
		"The run is in %s and takes no result of %s.", l.run.State, result.Stage)).With("state", string(l.run.State))
}

// checkResult refuses a message that no agent of ours would send.
func checkResult(r *core.Result) error {
	bad := func(format string, args ...any) error {
		return core.NewProblem(core.ErrInvalid, problem.RunBadResult, fmt.Sprintf(format, args...))
	}

	switch {
	case !isStage(r.Stage) || r.Stage.ByAppliance():
		return bad("%.40q is not a stage of the agent.", string(r.Stage))
	case r.Seq == 0:
		return bad("The result has no number; the first is 1.")
	case !stageVerdict(r.Verdict):
		return bad("The verdict %.40q is not one of pass, fail, error, skip, unmeasurable.", string(r.Verdict))
	case len(r.Findings) > maxFindings:
		return bad("%d findings are too many; %d at most.", len(r.Findings), maxFindings)
	case len(r.SubSteps) > maxSubSteps:
		return bad("%d sub-steps are too many; %d at most.", len(r.SubSteps), maxSubSteps)
	case len(r.Measurements) > maxMeasurements:
		return bad("%d measurements are too many; %d at most.", len(r.Measurements), maxMeasurements)
	}

	for i := range r.Findings {
		if s := r.Findings[i].Severity; s != core.Critical && s != core.Warning && s != core.Info {
			return bad("Finding %d has the severity %.40q, not one of critical, warning, info.", i+1, string(s))
		}
	}

	for i := range r.SubSteps {
		s := &r.SubSteps[i]
		if !stageVerdict(s.Verdict) || math.IsNaN(s.Progress) || s.Progress < 0 || s.Progress > 1 {
			return bad("Sub-step %d has the verdict %.40q and progress %v.", i+1, string(s.Verdict), s.Progress)
		}
	}

	for i := range r.Measurements {
		if err := catalogue.Check(r.Measurements[i].Key, r.Measurements[i].Unit); err != nil {
			return err
		}
	}

	return nil
}

func isStage(name core.StageName) bool { return slices.Contains(core.Pipeline(), name) }

func stageVerdict(v core.Verdict) bool {
	return v == core.Pass || v == core.Fail || v == core.Error || v == core.Skip || v == core.Unmeasurable
}

// finish puts a result down, judges it and moves the run on.
func (c *change) finish(l *life, r *core.Result, samples []core.Sample, firmware *firmwareFound) error {
	row := l.row()

	row.Verdict, row.SkipReason, row.ResultSeq = r.Verdict, clip(r.SkipReason, maxWord), r.Seq
	row.Findings, row.SubSteps = cleanFindings(row.Name, r.Findings), cleanSubSteps(r.SubSteps)
	row.Measurements, row.Coverage = r.Measurements, clip(r.Coverage, maxNote)
	row.Progress, row.SubStep, row.ETA, row.Meters = 1, "", 0, nil

	measured := append(slices.Clone(samples), r.Measurements...)

	if err := c.judgeSamples(l, row, measured); err != nil {
		return err
	}

	if err := c.keepParts(l, row, r); err != nil {
		return err
	}

	if err := c.keepFirmware(l, row, firmware); err != nil {
		return err
	}

	judgeScripts(l.run.Overlays, row)
	judgeStage(l.run.Rules, row)

	if err := c.judgeSkip(l, row); err != nil {
		return err
	}

	trim(row, budget(len(l.run.Stages)))

	return c.end(l, row)
}

// end closes a stage that has its verdict and moves the run on.
func (c *change) end(l *life, row *core.Stage) error {
	l.run.Retrying, l.run.Ending = "", "" // it was run
	l.useOverride(c.now)

	if err := c.markStage(l, row, row.Verdict); err != nil {
		return err
	}

	if err := c.tellFindings(l, row.Findings); err != nil {
		return err
	}

	if row.Name == core.SpecValidate && row.Verdict == core.Pass {
		if err := c.announceMismatch(l, row); err != nil {
			return err
		}
	}

	return c.move(l, eventOf(row.Verdict))
}

func eventOf(v core.Verdict) lifecycle.Event {
	switch v {
	case core.Fail:
		return lifecycle.Fail
	case core.Error:
		return lifecycle.Break
	default:
		return lifecycle.Clear
	}
}

// keepParts stores inventory and firmware. InventoryCheck that passed without an
// inventory proves nothing.
func (c *change) keepParts(l *life, row *core.Stage, r *core.Result) error {
	id := string(l.run.ID)

	switch {
	case r.Stage == core.InventoryCheck && r.Inventory != nil:
		return cmpErr(tooLarge(c.Put(core.TableInventory, id, r.Inventory)), func() error {
			return c.compareParts(l, row, r.Inventory)
		})
	case r.Stage == core.InventoryCheck:
		if row.Verdict == core.Pass {
			row.Verdict = core.Error
			row.Findings = append(row.Findings, problem.Finding(problem.StageNoInventory, "", row.Name, core.Part{}, "verdict pass without an inventory"))
		}
	case r.Stage == core.Firmware && len(r.Firmware) > 0:
		var inventory core.Inventory

		err := c.Get(core.TableInventory, id, &inventory)
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		inventory.Firmware = r.Firmware

		return tooLarge(c.Put(core.TableInventory, id, inventory))
	}

	return nil
}

func tooLarge(err error) error {
	if errors.Is(err, core.ErrInvalid) {
		return core.NewProblem(core.ErrInvalid, problem.RunTooLarge, "The inventory is larger than the record of a run may be.")
	}

	return err
}

// judgeStage holds the agent's verdict against the evidence. It is only ever made
// worse: what was not tested does not pass.
func judgeStage(rules []core.Rule, row *core.Stage) {
	add := func(code string, evidence string) {
		row.Findings = append(row.Findings, problem.Finding(code, "", row.Name, core.Part{}, evidence))
	}

	judgeThresholds(rules, row, add)

	critical := slices.ContainsFunc(row.Findings, func(f core.Finding) bool { return f.Severity == core.Critical })

	switch {
	case row.Verdict == core.Fail || row.Verdict == core.Error:
		if len(row.Findings) == 0 {
			add(problem.StageErrorUnsaid, fmt.Sprintf("verdict %s without a finding", row.Verdict))
		}
	case critical:
		row.Verdict = core.Fail
	case row.Verdict == core.Skip && row.SkipReason == "":
		row.Verdict = core.Error
		add(problem.StageNoReason, "verdict skip without a reason")
	default:
		judgeSubSteps(row, add)
	}
}

// judgeSkip lets a skip of the agent's stand where the inventory bears it out. What
// else is not to be tested is for an operator to declare.
func (c *change) judgeSkip(l *life, row *core.Stage) error {
	if row.Verdict != core.Skip {
		return nil
	}

	var inventory core.Inventory

	err := c.Get(core.TableInventory, string(l.run.ID), &inventory)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	if known := err == nil; known && nothingToTest(row.Name, &inventory, &l.run) {
		return nil
	}

	row.Findings = append(row.Findings, problem.Finding(problem.StageSkipRefused, "", row.Name, core.Part{}, "the stage says: "+row.SkipReason))
	row.Verdict, row.SkipReason = core.Error, ""

	return nil
}

// nothingToTest reports whether the machine has no part that a stage tests, or none
// that it may test. A disk on USB may be left out: it need not belong to the machine.
// What a GPU computes is not tested without its maker's software, and the report
// says so.
func nothingToTest(stage core.StageName, inventory *core.Inventory, run *core.Run) bool {
	diskless := !slices.ContainsFunc(inventory.Disks, func(d core.Disk) bool { return d.Transport != "usb" })

	switch stage {
	case core.SMART:
		return diskless
	case core.Storage:
		return diskless || len(run.Armed) == 0
	case core.GPU:
		return run.Profile.Config[profile.GPURequire] != "yes"
	case core.PSU:
		return len(inventory.PSUs) == 0
	default:
		return false
	}
}

// judgeThresholds adds what the rules found. A required metric that is missing
// makes an error of whatever the agent said, but a fail.
func judgeThresholds(rules []core.Rule, row *core.Stage, add func(code, evidence string)) {
	for i := range row.Evaluations {
		e := &row.Evaluations[i]

		switch e.Verdict {
		case core.Fail:
			row.Findings = append(row.Findings, breachFindings(rules, row.Name, row.Evaluations[i:i+1])...)
		case core.Error:
			if row.Verdict != core.Fail {
				row.Verdict = core.Error
			}

			add(problem.ThresholdNoMetric, fmt.Sprintf("rule %s (%s) needs a value of %s", e.Rule, e.Limit, orNone(e.Key)))
		case core.Pass, core.Skip, core.Unmeasurable, core.Cancelled:
		}
	}
}

// judgeSubSteps refuses a pass, a skip and an unmeasurable that one of the parts
// stands against.
func judgeSubSteps(row *core.Stage, add func(code, evidence string)) {
	worst := core.Pass

	for i := range row.SubSteps {
		switch v := row.SubSteps[i].Verdict; {
		case v == core.Fail, v == core.Error && worst != core.Fail:
			worst = v
		}
	}

	if worst == core.Pass {
		return
	}

	add(problem.StagePassRefused, fmt.Sprintf("verdict %s, but a sub-step ended in %s", row.Verdict, worst))
	row.Verdict, row.SkipReason = worst, ""
}

func cleanFindings(stage core.StageName, in []core.Finding) []core.Finding {
	out := slices.Clone(in)

	for i := range out {
		f := &out[i]
		f.Stage, f.Code, f.Title = stage, clip(f.Code, maxWord), clip(f.Title, maxWord)
		f.Evidence, f.Next, f.Part = clip(f.Evidence, maxNote), clip(f.Next, maxNote), cleanPart(f.Part)

		if known, ok := problem.Lookup(f.Code); ok {
			f.Title, f.Next = or(f.Title, known.Title), or(f.Next, known.Next)
		}
	}

	return out
}

func cleanSubSteps(in []core.SubStep) []core.SubStep {
	out := slices.Clone(in)

	for i := range out {
		s := &out[i]
		s.Name, s.Summary, s.Part = clip(s.Name, maxWord), clip(s.Summary, maxWord), cleanPart(s.Part)
	}

	return out
}

func cleanPart(p core.Part) core.Part {
	return core.Part{
		Kind: clip(p.Kind, maxWord), Slot: clip(p.Slot, maxWord), Model: clip(p.Model, maxWord), Serial: clip(p.Serial, maxWord),
	}
}
