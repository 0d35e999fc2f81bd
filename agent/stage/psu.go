package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
	"vetting/agent/psu"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/profile"
	"vetting/firmware/inventory"
)

// usualPSU is how long the course takes where the profile does not say.
const usualPSU = 3 * time.Minute

// PowerCourse takes a machine through idle, full load and pulses, as [psu.Run] does.
type PowerCourse func(ctx context.Context, o psu.Options) *psu.Outcome

// PSU watches what feeds the machine while its CPUs rest, work, and work in pulses:
// stages.md §3.11. PSU.duration says how long, PSU.expect how many supplies there must be.
// Nothing is written anywhere. A machine that tells nothing of its supplies is judged by
// its survival, and the coverage says so. The BMC's event log, heat and a host that resets
// itself are judged by those who watch over every stage.
func PSU(m probe.Machine, workers Workforce, course PowerCourse, expect Expect) Func {
	return func(ctx context.Context, env Env) core.Result {
		x := &psuExam{env: env, machine: m, threads: m.Threads(), virtual: m.Virtual()}

		options, err := x.configure(workers)
		if err != nil {
			return core.Result{
				Verdict: core.Error, Coverage: nothingTested, Findings: []core.Finding{powered(notPowered, "", core.Part{Kind: "psu"}, "%s", err)},
			}
		}

		x.out = course(ctx, options)
		x.gone = switchedOff(m, x.threads)

		if ctx.Err() == nil {
			x.pull(ctx, expect)
		}

		if cause := context.Cause(ctx); cause != nil {
			return x.interrupted(cause)
		}

		env.Progress("", 1, 0)

		return x.result()
	}
}

// psuExam is one run of the stage.
type psuExam struct {
	env     Env
	machine probe.Machine
	virtual bool
	threads []probe.Thread // present, online or not
	gone    []int          // CPUs that were online, and were no more at the end
	survey  *psu.Survey
	expect  int
	out     *psu.Outcome
	pulls   pulls

	earlier []core.Finding // of a process that ended in the midst of the stage
	spent   time.Duration  // by it

	mu    sync.Mutex
	saved time.Time // guarded by mu
}

// psuCheckpoint is what a later process needs to go on.
type psuCheckpoint struct {
	Spent    time.Duration  `json:"spent"`
	Findings []core.Finding `json:"findings,omitempty"`
}

// configure looks for supplies and makes the options of the profile's settings.
func (x *psuExam) configure(workers Workforce) (psu.Options, error) {
	var kept psuCheckpoint
	if len(x.env.Resume) > 0 && json.Unmarshal(x.env.Resume, &kept) == nil {
		x.earlier, x.spent = kept.Findings, kept.Spent
		x.env.Log.Info("the machine was loaded before", slog.Duration("for", kept.Spent.Round(time.Second)))
	}

	whole, err := (&memoryExam{env: x.env}).duration(profile.PSUDuration, usualPSU)
	if err != nil {
		return psu.Options{}, err
	}

	if x.expect, err = number(x.env.Config, profile.PSUExpect, 0); err != nil {
		return psu.Options{}, err
	}

	x.env.Progress("looking for power supplies", 0, whole)
	x.look()

	return psu.Options{
		Survey: x.survey, For: max(whole-x.spent, whole/10), Drill: drill.Run, Workers: workers(x.env.Log), Threads: online(x.threads),
		Seed:    rand.Uint64(), //nolint:gosec // an order, no secret
		Silence: silence(x.virtual), Sensor: x.env.Sensor, Noted: x.noted,
		Progress: func(phase psu.Phase, done float64, left time.Duration) { x.env.Progress(string(phase), done, left) },
	}, nil
}

// look finds what tells of the supplies.
func (x *psuExam) look() {
	tables, err := inventory.ReadSMBIOS(x.machine.Root)
	if err != nil {
		x.env.Log.Debug("SMBIOS tells nothing of power supplies", slog.String("error", err.Error()))
	}

	x.survey = psu.Find(x.machine.Root, x.machine.BMC, inventory.PSUs(tables))
	if x.survey.Err != nil {
		x.env.Log.Warn("the BMC does not tell all that it watches", slog.String("error", x.survey.Err.Error()))
	}

	for i := range x.survey.Supplies {
		s := &x.survey.Supplies[i]
		x.env.Log.Info("a power supply is watched", slog.String("slot", s.Slot), slog.String("model", s.Part().Model), slog.String("serial", s.ID.Serial))
	}
}

// noted keeps what was found for a process that comes after this one.
func (x *psuExam) noted(out *psu.Outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()

	if time.Since(x.saved) < checkpointEvery {
		return
	}

	x.saved = time.Now()

	state := psuCheckpoint{Spent: x.spent + out.Took, Findings: slices.Concat(x.earlier, x.lasting(out))}
	state.Findings = state.Findings[:min(findingsKept, len(state.Findings))]

	if raw, err := json.Marshal(state); err == nil && len(raw) <= MaxCheckpoint {
		x.env.Checkpoint(raw)
	}
}

// lasting are the critical findings that count although the stage is not over. That a
// worker stood still may be the doing of who stopped it.
func (x *psuExam) lasting(out *psu.Outcome) []core.Finding {
	return slices.DeleteFunc(x.findings(out, false), func(f core.Finding) bool {
		return f.Severity != core.Critical || slices.Contains(x.ours(), f.Code) || f.Code == "worker/"+string(worker.Hung)
	})
}

// interrupted is the result of a stage that was stopped: what it found until then counts.
func (x *psuExam) interrupted(cause error) core.Result {
	r := stopped(cause)
	r.Findings = append(append(r.Findings, x.earlier...), x.lasting(x.out)...)
	r.Coverage = x.coverage()

	if x.verdict(r.Findings) == core.Fail {
		r.Verdict = core.Fail
	}

	return r
}

// result adds up.
func (x *psuExam) result() core.Result {
	r := core.Result{Findings: append(slices.Clone(x.earlier), x.findings(x.out, true)...), Coverage: x.coverage()}
	r.Findings = onceEach(r.Findings)
	r.Verdict = x.verdict(r.Findings)
	r.SubSteps = x.subSteps(r.Findings)
	r.Measurements = x.measurements()

	return r
}

// onceEach leaves out what an earlier process has found of a part already.
func onceEach(findings []core.Finding) (once []core.Finding) {
	for _, f := range findings {
		if !slices.ContainsFunc(once, func(o core.Finding) bool { return o.Code == f.Code && o.Part == f.Part }) {
			once = append(once, f)
		}
	}

	return once
}

// ours are codes that say that the test was not done, not that the machine is bad.
func (*psuExam) ours() []string {
	return append(ourFaults(), notPowered, notObserved, pullMissed, pullOpen, pullNotDone)
}

// verdict is fail where something is said against the hardware, error where part of the
// work was not done.
func (x *psuExam) verdict(findings []core.Finding) core.Verdict {
	verdict := core.Pass

	for _, f := range findings {
		switch {
		case f.Severity != core.Critical:
		case slices.Contains(x.ours(), f.Code):
			verdict = core.Error
		default:
			return core.Fail
		}
	}

	return verdict
}

// coverage says what was done, and what of the supplies was seen.
func (x *psuExam) coverage() string {
	parts := []string{fmt.Sprintf("%s of idle, full load and pulses", x.out.Took.Round(time.Second))}

	switch watched, known := x.watched(), x.supplies(); {
	case len(watched) > 0:
		parts = append(parts, fmt.Sprintf("%d of %s observed", len(watched), plural(len(known), "power supply", "power supplies")))

		if blank := x.blank(); len(blank) > 0 {
			parts = append(parts, strings.Join(blank, ", ")+" NOT observed")
		}
	default:
		parts = append(parts, "power supplies NOT observed: "+x.whyBlind())
	}

	if idle, load := x.draw(psu.Rest), x.draw(psu.Load); !math.IsNaN(idle) && !math.IsNaN(load) {
		parts = append(parts, fmt.Sprintf("%.0f W idle, %.0f W at full load", idle, load))
	} else if idle, load := x.packages(psu.Rest), x.packages(psu.Load); !math.IsNaN(idle) && load > 0 {
		parts = append(parts, fmt.Sprintf("the CPUs alone %.0f W idle, %.0f W at full load", idle, load))
	}

	if why := x.unshared(); why != "" {
		parts = append(parts, "load share NOT tested: "+why)
	}

	if pulled := x.pullCoverage(); pulled != "" {
		parts = append(parts, pulled)
	}

	return strings.Join(parts, ", ")
}

// whyBlind says why nothing was seen of the supplies.
func (x *psuExam) whyBlind() string {
	switch {
	case x.survey.Err != nil:
		return "the BMC does not tell what it watches"
	case !x.survey.BMC:
		return "no BMC and no meter tells of them"
	case len(x.survey.Supplies) == 0:
		return "the BMC has no sensors of them"
	default:
		return "the BMC's sensors of them told nothing"
	}
}

// supplies are those that are known, but for empty bays.
func (x *psuExam) supplies() []*psu.Supply {
	var all []*psu.Supply

	for i := range x.survey.Supplies {
		if s := &x.survey.Supplies[i]; !x.out.Seen.Empty[s.Slot] {
			all = append(all, s)
		}
	}

	return all
}

// watched are supplies that are there, or were, and of which something was seen.
func (x *psuExam) watched() []*psu.Supply {
	return slices.DeleteFunc(x.supplies(), func(s *psu.Supply) bool { return !x.out.Seen.Present[s.Slot] })
}

// blank are the slots of which nothing was seen.
func (x *psuExam) blank() (slots []string) {
	for _, s := range x.supplies() {
		if !x.out.Seen.Present[s.Slot] {
			slots = append(slots, s.Slot)
		}
	}

	return slots
}

// draw is what the whole machine takes in, as the supplies tell, or the meter of the
// machine; NaN: nobody does.
func (x *psuExam) draw(phase psu.Phase) float64 {
	sum, meter := 0.0, math.NaN()

	for i := range x.survey.Channels {
		if c := &x.survey.Channels[i]; c.Quantity == psu.InputWatts && c.Slot == "" {
			meter = x.series(i).Median(phase)
		}
	}

	for _, s := range x.watched() {
		sum += x.measured(s.Slot, psu.InputWatts).Median(phase)
	}

	if len(x.watched()) > 0 && !math.IsNaN(sum) {
		return sum
	}

	return meter
}

// packages is what the CPUs count that they take; NaN: one of them does not tell. 0: none
// does.
func (x *psuExam) packages(phase psu.Phase) (sum float64) {
	for i := range x.survey.Channels {
		if x.survey.Channels[i].Quantity == psu.PackageWatts {
			sum += x.series(i).Median(phase)
		}
	}

	return sum
}

// series is what a channel of the survey measured.
func (x *psuExam) series(i int) psu.Series {
	if i < len(x.out.Seen.Series) {
		return x.out.Seen.Series[i]
	}

	return nil
}

// measured is what a supply's first channel of a quantity measured; nothing where it has
// none.
func (x *psuExam) measured(slot string, q psu.Quantity) psu.Series {
	i := slices.IndexFunc(x.survey.Channels, func(c psu.Channel) bool { return c.Slot == slot && c.Quantity == q })
	if i < 0 {
		return nil
	}

	return x.series(i)
}

// subSteps tells of the phases, the supplies and the CPUs.
func (x *psuExam) subSteps(findings []core.Finding) (steps []core.SubStep) {
	var phases []string
	for _, l := range x.out.Legs {
		phases = append(phases, fmt.Sprintf("%s %s", l.Phase, l.Took.Round(100*time.Millisecond)))
	}

	about := func(which func(core.Finding) bool) core.Verdict {
		return x.verdict(slices.DeleteFunc(slices.Clone(findings), func(f core.Finding) bool { return !which(f) }))
	}

	steps = append(steps,
		core.SubStep{Name: "phases", Verdict: core.Pass, Progress: 1, Summary: strings.Join(phases, ", ")},
		core.SubStep{
			Name: "cpus", Progress: 1, Summary: fmt.Sprintf("%d slots, %d workers", x.out.CPU.Slots, len(x.out.CPU.Exits)),
			Verdict: about(func(f core.Finding) bool { return f.Part.Kind == "cpu" }),
		})

	for _, s := range x.watched() {
		steps = append(steps, core.SubStep{
			Name: s.Slot, Part: s.Part(), Progress: 1, Summary: x.summary(s),
			Verdict: about(func(f core.Finding) bool { return f.Part.Kind == "psu" && f.Part.Slot == s.Slot }),
		})
	}

	if x.pulls.wanted {
		steps = append(steps, x.pullStep(about(func(f core.Finding) bool { return strings.HasPrefix(f.Code, "psu/pull-") })))
	}

	return steps
}

// summary tells what a supply did.
func (x *psuExam) summary(s *psu.Supply) string {
	var parts []string

	for _, e := range x.out.Seen.Events {
		if e.Slot == s.Slot {
			parts = append(parts, string(e.State))
		}
	}

	if len(parts) == 0 {
		parts = append(parts, "no fault told")
	}

	for _, q := range []struct {
		quantity psu.Quantity
		words    string
	}{{psu.InputWatts, "takes in %.0f W idle and %.0f W at full load"}, {psu.OutputWatts, "gives out %.0f W and %.0f W"}, {psu.OutputVolts, "%.2f V and %.2f V"}} {
		series := x.measured(s.Slot, q.quantity)
		if idle, load := series.Median(psu.Rest), series.Median(psu.Load); !math.IsNaN(idle) && !math.IsNaN(load) {
			parts = append(parts, fmt.Sprintf(q.words, idle, load))
		}
	}

	if share := x.share(s); !math.IsNaN(share) {
		parts = append(parts, fmt.Sprintf("%.0f %% of the load", share))
	}

	return strings.Join(parts, ", ")
}

func (x *psuExam) measurements() (samples []core.Sample) {
	now := time.Now()

	for _, s := range x.watched() {
		for _, m := range []struct {
			quantity string
			value    float64
		}{{"load_share_percent", x.share(s)}, {"efficiency_percent", 100 * x.efficiency(s)}} {
			if !math.IsNaN(m.value) {
				samples = append(samples, core.Sample{Time: now, Key: "psu/" + s.Key() + "/" + m.quantity, Unit: "percent", Value: m.value, Stage: core.PSU})
			}
		}
	}

	return samples
}
