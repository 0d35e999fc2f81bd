package stage

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"vetting/agent/gpu"
	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

const (
	maxRetired  = 10   // pages of a GPU that were retired; more, and it is replaced (Meta's Grand Teton fleet)
	nearSlow    = 5    // degrees to the temperature at which a GPU slows down
	leastPower  = 0.85 // of its limit, under the load of level 3 and up
	stressLevel = 3    // of DCGM's diagnostic, from which on the load is a full one
)

// say adds a finding about a GPU.
func (x *gpuExam) say(u *gpuUnit, code string, severity core.Severity, format string, args ...any) {
	x.findings = append(x.findings, problem.Finding(code, severity, core.GPU, u.part(), fmt.Sprintf(format, args...)))
}

// judgePassive judges what the kernel alone tells of a GPU.
func (x *gpuExam) judgePassive(u *gpuUnit) {
	if !u.before.Answers || !u.after.Answers {
		x.say(u, problem.GPUGone, "", "%s", map[bool]string{true: "it answered when the stage began, and reads all ones at its end", false: "its registers read all ones"}[u.before.Answers])

		return
	}

	if !x.machine.Virtual() { // whose ports are made up
		x.judgeLinks(u)
	}

	if len(u.after.Unset) > 0 {
		x.say(u, problem.GPUNoRoom, "", "the firmware gave no addresses to its memory regions (BAR) %v", u.after.Unset)
	}

	x.judgeRAS(u)
}

func (x *gpuExam) judgeLinks(u *gpuUnit) {
	for _, l := range u.after.Links {
		if l.Narrow() {
			x.say(u, problem.GPULinkWidth, "", "the link of %s to %s has %d lanes; both ends can do %d", l.Lower, l.Upper, l.Width, min(l.Most, l.Above))
		}
	}

	if c := u.card; c != nil && len(u.after.Links) == 0 && c.Width > 0 && c.Width < c.MaxWidth {
		x.say(u, problem.GPULinkWidth, "", "nvidia-smi tells of %d lanes of %d", c.Width, c.MaxWidth)
	}
}

// judgeRAS judges the error counters of amdgpu.
func (x *gpuExam) judgeRAS(u *gpuUnit) {
	for _, block := range slices.Sorted(maps.Keys(u.after.Uncorrected)) {
		if n := u.after.Uncorrected[block]; n > 0 {
			x.say(u, problem.GPUUncorrected, "", "block %s counts %d uncorrectable errors, %d before the stage", block, n, u.before.Uncorrected[block])
		}
	}

	for _, block := range slices.Sorted(maps.Keys(u.after.Corrected)) {
		if n, before := u.after.Corrected[block], u.before.Corrected[block]; n > before {
			x.say(u, problem.GPUCorrected, "", "block %s counts %d corrected errors more than before the stage", block, n-before)
		}
	}

	switch before, after := u.before.BadPages, u.after.BadPages; {
	case after > before && before >= 0:
		x.say(u, problem.GPUBadPages, core.Critical, "%d bad pages of its memory, %d before the stage", after, before)
	case after > 0:
		x.say(u, problem.GPUBadPages, core.Warning, "%d bad pages of its memory, none of them new", after)
	}
}

// compare judges what nvidia-smi tells of the GPUs at the end beside the beginning.
func (x *gpuExam) compare(after []gpu.Card) {
	for _, u := range x.of("10de") {
		if u.card == nil {
			continue
		}

		i := slices.IndexFunc(after, func(c gpu.Card) bool { return c.Address == u.Address })
		if i < 0 {
			x.say(u, problem.GPUGone, "", "nvidia-smi knew it when the stage began, and does not at its end")

			continue
		}

		x.judgeMemory(u, &after[i])
		x.judgeState(u, &after[i])
		x.observeEnd(u, &after[i])
	}
}

// judgeMemory judges ECC counters, retired pages and remapped rows.
func (x *gpuExam) judgeMemory(u *gpuUnit, c *gpu.Card) {
	if n := max(c.Aggregate.Uncorrected, c.Volatile.Uncorrected); n > 0 {
		x.say(u, problem.GPUUncorrected, "", "%s uncorrectable ECC errors in its life, %s since its driver was loaded", counted(c.Aggregate.Uncorrected), counted(c.Volatile.Uncorrected))
	}

	if more := c.Volatile.Corrected - u.card.Volatile.Corrected; u.card.Volatile.Corrected >= 0 && more > 0 {
		x.say(u, problem.GPUCorrected, "", "%d corrected ECC errors during the stage, %s in its life", more, counted(c.Aggregate.Corrected))
	}

	switch {
	case c.RemapFailure:
		x.say(u, problem.GPURowRemap, "", "it could not replace a bad row of its memory: there is no spare one left (remapped rows: %s)", counted(c.RemappedRows))
	case c.RemapPending:
		x.say(u, problem.GPURowRemap, "", "a bad row of its memory waits to be replaced at the next reset (remapped rows: %s)", counted(c.RemappedRows))
	case c.SRAMThreshold:
		x.say(u, problem.GPURowRemap, "", "its SRAM has had more uncorrectable errors than its maker allows")
	}

	if c.RetirePending || c.RetiredPages > maxRetired {
		x.say(u, problem.GPURetired, "", "%s pages of its memory are retired, %d at most; pending: %t", counted(c.RetiredPages), maxRetired, c.RetirePending)
	}
}

func counted(n int) string {
	if n < 0 {
		return "an unknown number of"
	}

	return strconv.Itoa(n)
}

// judgeState judges link, reset and what slows a GPU down.
func (x *gpuExam) judgeState(u *gpuUnit, c *gpu.Card) {
	if more := c.Replays - u.card.Replays; u.card.Replays >= 0 && more > 0 {
		x.say(u, problem.GPUReplays, "", "%d packets on its link were sent again during the stage", more)
	}

	if c.ResetRequired || c.RecoveryAction != "" && c.RecoveryAction != "None" {
		x.say(u, problem.GPUReset, "", "its driver says: reset required %t, recovery action %s", c.ResetRequired, orNothing(c.RecoveryAction))
	}

	x.judgeLoad(u, c)
}

// judgeLoad judges what was seen of a GPU while it worked.
func (x *gpuExam) judgeLoad(u *gpuUnit, c *gpu.Card) {
	s := &u.seen
	if s.samples == 0 {
		return
	}

	switch {
	case s.unhealthy():
		x.say(u, problem.GPUSlowdown, "", "its hardware slowed it down under load: %s", strings.Join(s.slowdown, ", "))
	case len(s.slowdown) > 0:
		x.say(u, problem.GPUSlowdown, core.Warning, "its hardware slowed it down under load, never twice in a row (every %v): %s", pollEvery, strings.Join(s.slowdown, ", "))
	}

	if s.width > 0 && s.width < u.card.Width { // a link that trained anew, with fewer lanes
		x.say(u, problem.GPULinkWidth, "", "under load its link had %d lanes, %d when the stage began", s.width, u.card.Width)
	}

	if s.headroom < nearSlow {
		x.say(u, problem.GPUHot, "", "under load it came within %.0f degrees of the temperature at which it slows down", s.headroom)
	}

	if !u.worked {
		return
	}

	if c.MaxGen > 0 && s.gen > 0 && s.gen < c.MaxGen {
		x.say(u, problem.GPULinkSpeed, "", "under load its link ran at generation %d; GPU and slot can do %d", s.gen, c.MaxGen)
	}

	if wholeSetting(x.env.Config[profile.GPUDCGM]) >= stressLevel && s.power > 0 && c.PowerLimit > 0 && s.power < leastPower*c.PowerLimit {
		x.say(u, problem.GPUIdle, "", "under load it drew %.0f W at most, %.0f %% of its limit of %.0f W", s.power, 100*s.power/c.PowerLimit, c.PowerLimit)
	}
}

// observeEnd measures the counters once more for the record.
func (x *gpuExam) observeEnd(u *gpuUnit, c *gpu.Card) {
	for quantity, n := range map[string]int{
		"ecc_corrected_count": c.Aggregate.Corrected, "ecc_uncorrected_count": c.Aggregate.Uncorrected, "replays_count": c.Replays,
	} {
		if n >= 0 {
			x.samples = append(x.samples, core.Sample{Key: "gpu/" + u.Address + "/" + quantity, Value: float64(n), Unit: "count", Stage: core.GPU})
		}
	}
}

// judgeDiagnosis judges what DCGM says: a failed test of a GPU at work is critical, what it
// does not like about the software a warning, or an error where that kept a test from
// running. A GPU counts as tested when all tests of the level that have it compute passed,
// none that has it work failed or was left out, and DCGM itself met no error.
func (x *gpuExam) judgeDiagnosis(d *gpu.Diagnosis, cards []gpu.Card) {
	for _, u := range x.of("10de") {
		if u.card == nil {
			continue
		}

		number := slices.IndexFunc(cards, func(c gpu.Card) bool { return c.Address == u.Address })

		var mine []*gpu.Result

		for i := range d.Results {
			if r := &d.Results[i]; r.GPU == gpu.Unknown || r.GPU == number {
				mine = append(mine, r)
			}
		}

		left := x.left(mine)
		if u.worked = left == "" && len(d.Errors) == 0; !u.worked && u.untested == "" {
			u.untested = left
		}

		for _, r := range mine {
			x.judgeTest(u, r)
		}

		for _, fault := range d.Errors {
			x.broken([]*gpuUnit{u}, "DCGM "+d.Version+": "+fault)
		}
	}
}

// left says what DCGM did not have a GPU do, or not with a pass; empty: nothing.
func (x *gpuExam) left(results []*gpu.Result) string {
	missed, computed := []string{}, false

	for _, r := range results {
		switch {
		case !r.Works(), r.Outcome == gpu.Warned, r.Extra() && r.Outcome != gpu.Failed:
		case r.Outcome == gpu.Passed:
			computed = computed || r.Computes()
		default:
			missed = append(missed, strings.TrimSuffix(r.Name()+" "+ended(r.Outcome)+" ("+r.Words+")", " ()"))
		}
	}

	missed = append(missed, x.absent(results)...)

	switch {
	case !computed:
		missed = slices.Insert(missed, 0, "no test of DCGM had it work")
	case len(missed) > 0:
		missed[0] = "not all tests of DCGM had it work: " + missed[0]
	}

	return strings.Join(missed, "; ")
}

// absent lists the tests of the level that are not told of, or have only warned.
func (x *gpuExam) absent(results []*gpu.Result) (missed []string) {
	for _, name := range gpu.Required(wholeSetting(x.env.Config[profile.GPUDCGM])) {
		told, warned := false, true

		for _, r := range results {
			if r.Name() == name {
				told, warned = true, warned && r.Outcome == gpu.Warned
			}
		}

		switch {
		case !told:
			missed = append(missed, name+" is not in what it tells")
		case warned:
			missed = append(missed, name+" did not pass")
		}
	}

	return missed
}

func ended(o gpu.Outcome) string {
	switch o {
	case gpu.Failed:
		return "failed"
	case gpu.Skipped:
		return "was skipped"
	default:
		return "did not run"
	}
}

func (x *gpuExam) judgeTest(u *gpuUnit, r *gpu.Result) {
	said := fmt.Sprintf("test %s (%s): %s", r.Test, r.Category, orNothing(r.Words))
	isolated := r.Severity == gpu.Isolate

	switch {
	case r.Outcome == gpu.Failed && r.Software && (r.Works() || !u.worked && r.Severity != gpu.Config):
		x.broken([]*gpuUnit{u}, "DCGM's software does not work: "+said)
	case r.Outcome == gpu.Failed && (isolated || r.Works() && r.Severity != gpu.Config):
		x.say(u, problem.GPUDiagnostic, "", "%s", said)
	case r.Outcome == gpu.Failed, r.Outcome == gpu.Warned:
		x.say(u, problem.GPUDiagnosticWarning, "", "%s", said)
	}
}

// result sums the stage up.
func (x *gpuExam) result() core.Result {
	x.findings = append(x.findings, x.missing()...)

	var (
		untested []string
		steps    []core.SubStep
		worked   int
	)

	for _, u := range x.units {
		x.judgePassive(u)

		step := core.SubStep{Name: u.Address, Part: u.part(), Progress: 1, Summary: u.summary()}

		switch {
		case x.critical(u):
			step.Verdict = core.Fail
		case u.worked:
			step.Verdict = core.Pass
		default:
			step.Verdict = core.Skip
		}

		if u.worked {
			worked++
		} else {
			untested = append(untested, u.Address+" "+u.Name+": "+u.why())
		}

		steps = append(steps, step)
	}

	r := core.Result{
		Verdict: core.Pass, SubSteps: steps, Measurements: x.samples,
		Coverage: fmt.Sprintf("%d GPUs looked at, compute of %d tested", len(x.units), worked),
	}

	if len(untested) > 0 {
		r.Verdict, r.SkipReason = core.Skip, "compute NOT tested: "+strings.Join(untested, "; ")
		r.Coverage = fmt.Sprintf("%d GPUs looked at, compute NOT tested on %d of them", len(x.units), len(untested))
	}

	if x.require && len(untested) > 0 {
		for _, u := range x.units {
			if !u.worked {
				x.errors = append(x.errors, problem.Finding(problem.GPUNoCompute, "", core.GPU, u.part(), u.why()))
			}
		}
	}

	r.Findings = slices.Concat(x.findings, x.errors)

	switch {
	case worst(x.findings) == core.Fail:
		r.Verdict, r.SkipReason = core.Fail, ""
	case len(x.errors) > 0:
		r.Verdict, r.SkipReason = core.Error, ""
	}

	return r
}

// why says why a GPU was not worked.
func (u *gpuUnit) why() string {
	if u.untested != "" {
		return u.untested
	}

	return "no overlay with its maker's tools"
}

// critical reports whether a critical finding is about a GPU.
func (x *gpuExam) critical(u *gpuUnit) bool {
	part := u.part()

	return slices.ContainsFunc(x.findings, func(f core.Finding) bool {
		return f.Severity == core.Critical && f.Part.Kind == part.Kind && f.Part.Slot == part.Slot
	})
}

// summary is a GPU in a line.
func (u *gpuUnit) summary() string {
	words := []string{}

	add := func(yes bool, format string, args ...any) {
		if yes {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}

	add(u.worked, "worked by DCGM")
	add(!u.worked, "compute NOT tested")

	if len(u.after.Links) > 0 {
		l := u.after.Links[0]
		add(l.Width > 0, "%d lanes of %d", l.Width, min(l.Most, l.Above))
	}

	add(u.after.Region > 0, "a memory region (BAR) of %s", regionWords(u.after.Region))
	add(u.after.VRAM > 0, "%.0f GiB", float64(u.after.VRAM)/(1<<30))
	add(u.after.Busy >= 0, "%d %% busy", u.after.Busy)
	add(u.after.Clock != "", "cores at %s", u.after.Clock)
	add(u.Driver != "", "driver %s", u.Driver)
	add(u.Driver == "", "no driver")
	add(u.seen.power > 0, "%.0f W at most", u.seen.power)
	add(u.seen.samples > 0 && !math.IsNaN(u.seen.headroom), "%.0f degrees of headroom", u.seen.headroom)

	return strings.Join(words, ", ")
}

// regionWords writes a size of a memory region, which is a power of two: "32 GiB".
func regionWords(bytes uint64) string {
	const gib = 1 << 30
	if bytes >= gib {
		return fmt.Sprintf("%d GiB", bytes/gib)
	}

	return fmt.Sprintf("%d MiB", bytes>>20)
}

// wholeSetting reads a setting that the profile has checked; 0 when there is none.
func wholeSetting(value string) int {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0
	}

	return n
}
