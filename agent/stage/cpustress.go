package stage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/profile"
)

const (
	// usualDrill is how long the CPUs are exercised where the profile does not say.
	usualDrill = 5 * time.Minute
	// checkpointEvery is how much work a restarted agent may lose.
	checkpointEvery = 30 * time.Second
)

// Workforce starts workers; the log takes what they say for the run's log. The
// agent's own is worker.Self.
type Workforce func(log *slog.Logger) drill.Starter

// Writer writes a file of sysfs, by its path below the root.
type Writer func(name, text string) error

// CPUStress exercises all CPUs: stages.md §3.5. CPUStress.duration says how long.
// Corrected machine checks, throttling and temperatures are seen by those who watch
// over every stage.
func CPUStress(m probe.Machine, workers Workforce, write Writer) Func {
	return func(ctx context.Context, env Env) core.Result {
		v := newCPUView(m, env)

		length, err := drillTime(env)
		if err != nil {
			return notExercisable(err)
		}

		if v.scans = fieldScan(ctx, m, v.threads, write, env); ctx.Err() != nil {
			return v.interrupted(context.Cause(ctx))
		}

		v.exercise(ctx, m, workers(env.Log), length, env)

		if ctx.Err() != nil {
			return v.interrupted(context.Cause(ctx))
		}

		env.Progress("", 1, 0)

		return v.result()
	}
}

// interrupted is the result of a stage that was stopped: what was wrong until then
// counts.
func (v *cpuView) interrupted(cause error) core.Result {
	r := stopped(cause)
	r.Findings = append(r.Findings, slices.Concat(v.before, v.lasting())...)
	r.Coverage = v.coverage()

	if worst(r.Findings) == core.Fail {
		r.Verdict = core.Fail
	}

	return r
}

// cpuView is all that the rules look at.
type cpuView struct {
	threads []probe.Thread // present, online or not
	gone    []int          // CPUs that were online, and were no more at the end
	virtual bool
	shared  bool // other work has the CPUs too
	noSMT   bool // the kernel was told not to use sibling threads
	promise promise
	out     drill.Outcome
	power   []powerUse
	scans   []scan
	// before are findings of a process that ended in the midst of the stage, after
	// so much work.
	before []core.Finding
	spent  time.Duration
}

func newCPUView(m probe.Machine, env Env) *cpuView {
	v := &cpuView{threads: m.Threads(), virtual: m.Virtual(), noSMT: m.SMTOff()}
	v.promise = promised(m, v.threads)

	var kept cpuCheckpoint
	if len(env.Resume) > 0 && json.Unmarshal(env.Resume, &kept) == nil {
		v.before, v.spent = kept.Findings, kept.Spent
		env.Log.Info("the CPUs were exercised before", slog.Duration("for", kept.Spent.Round(time.Second)))
	}

	return v
}

// promise is how fast CPUs are made to be, by their numbers, as far as it is known.
type promise struct {
	base map[int]float64 // base frequency in MHz
	pace map[int]float64 // as probe.Machine.Pace has it
}

func promised(m probe.Machine, threads []probe.Thread) promise {
	p := promise{base: map[int]float64{}, pace: map[int]float64{}}

	for _, t := range threads {
		if mhz := m.BaseMHz(t); mhz > 0 {
			p.base[t.Number] = mhz
		}

		p.pace[t.Number] = m.Pace(t)
	}

	return p
}

// kinds tells CPUs apart that are made to be fast differently: each has the pace of the
// fastest of its kind. Cores that may clock a little higher than others (favoured
// ones) do so alone, and are of one kind with them.
func (p *promise) kinds() map[int]float64 {
	const alike = 0.9 // from here on a core is judged to be slow

	kinds, top := map[int]float64{}, 0.0

	for _, n := range slices.SortedFunc(maps.Keys(p.pace), func(a, b int) int { return cmp.Compare(p.pace[b], p.pace[a]) }) {
		if p.pace[n] < alike*top || top == 0 {
			top = p.pace[n]
		}

		kinds[n] = top
	}

	return kinds
}

// cpuCheckpoint is what a later process needs to go on.
type cpuCheckpoint struct {
	Spent    time.Duration  `json:"spent"`
	Findings []core.Finding `json:"findings,omitempty"`
}

// drillTime is how long the stage is to last.
func drillTime(env Env) (time.Duration, error) {
	d, text := usualDrill, env.Config[profile.CPUDuration]

	if text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			return 0, fmt.Errorf("reading the setting %s: %w", profile.CPUDuration, err)
		}
	}

	return time.Duration(float64(d) * env.Scale), nil
}

// notExercisable is the result of a stage that could not begin.
func notExercisable(err error) core.Result {
	return core.Result{
		Verdict: core.Error, Coverage: nothingTested,
		Findings: []core.Finding{found("cpustress/not-exercised", "", core.Part{Kind: "cpu"}, "%s", err)},
	}
}

// nothingTested is the coverage of a stage that could not begin.
const nothingTested = "nothing was tested"

// exercise has the drill done.
func (v *cpuView) exercise(ctx context.Context, m probe.Machine, workers drill.Starter, length time.Duration, env Env) {
	meters, kept := newPowerMeters(m), time.Now()

	v.out = drill.Run(ctx, drill.Options{
		Workers: workers, Threads: online(v.threads), For: max(0, length-v.spent), Heat: m.Heat, Silence: silence(v.virtual),
		Seed:     rand.Uint64(), //nolint:gosec // what is drawn by lot is no secret
		Progress: func(done float64, left time.Duration, what string) { env.Progress(what, done, left) },
		Around:   meters.around(len(online(v.threads))),
		Noted: func(out *drill.Outcome) {
			env.Sensor(latestRates(out)...)

			if time.Since(kept) < checkpointEvery {
				return
			}

			kept = time.Now()
			v.checkpoint(out, env)
		},
	})

	v.power, v.gone = meters.uses(), switchedOff(m, v.threads)
}

// latestRates are those of the last slot of the hottest kernel, by package.
func latestRates(out *drill.Outcome) (samples []core.Sample) {
	sums := map[int]float64{}

	for _, t := range out.Cores {
		if n := len(t.Rates); n > 0 {
			sums[t.Thread.Package] += t.Rates[n-1]
		}
	}

	for _, number := range slices.Sorted(maps.Keys(sums)) {
		samples = append(samples, sample(fmt.Sprintf("cpu/package%d/fma_gflops", max(0, number)), sums[number]))
	}

	return samples
}

// lasting is what was wrong so far, whatever comes later. That a worker stood still
// may be the doing of who stopped the stage.
func (v *cpuView) lasting() []core.Finding {
	return slices.Concat(miscompares(v), exchangeMistakes(v), backwards(v), leftMeanwhile(v), scanFailures(v), v.exits(outlasts))
}

// outlasts reports whether a worker that ended so tells against the machine even if the
// stage was stopped: that it stood still may be the doing of who did.
func outlasts(r worker.Reason) bool { return r.Verdict() == core.Fail && r != worker.Hung }

// checkpoint keeps what was found, for a process that comes after this one.
func (v *cpuView) checkpoint(out *drill.Outcome, env Env) {
	const most = 50 // findings; all CPUs wrong is told by fewer

	now := *v
	now.out = *out

	state := cpuCheckpoint{Spent: v.spent + out.Took, Findings: slices.Concat(v.before, now.lasting())}
	state.Findings = state.Findings[:min(most, len(state.Findings))]

	if raw, err := json.Marshal(state); err == nil && len(raw) <= MaxCheckpoint {
		env.Checkpoint(raw)
	}
}

// result adds up.
func (v *cpuView) result() core.Result {
	var r core.Result

	r.Findings = slices.Clone(v.before)
	failed := worst(v.before) == core.Fail
	broken := false

	for _, rule := range cpuRules() {
		found := rule.judge(v)
		r.Findings = append(r.Findings, found...)

		failed = failed || !rule.ours && worst(found) == core.Fail
		broken = broken || rule.ours && len(found) > 0
	}

	switch {
	case failed:
		r.Verdict = core.Fail
	case broken:
		r.Verdict = core.Error
	default:
		r.Verdict = core.Pass
	}

	r.SubSteps, r.Measurements, r.Coverage = v.subSteps(), v.measurements(), v.coverage()

	return r
}

// tested lists the CPUs that did every kernel, and whose workers lived to the end.
func (v *cpuView) tested() (numbers []int) {
	for n := range v.out.Cores {
		if len(v.gap(n)) == 0 {
			numbers = append(numbers, n)
		}
	}

	slices.Sort(numbers)

	return numbers
}

// gap says what a CPU was not tested with; nothing when it was.
func (v *cpuView) gap(number int) (missing []string) {
	tally := v.out.Cores[number]
	if tally == nil {
		return []string{"everything"}
	}

	for _, k := range cpu.Kernels() {
		if tally.Kernels[k.Name] == 0 {
			missing = append(missing, k.Name)
		}
	}

	if exit, known := v.out.Exits[number]; !known || exit.Reason.Verdict() != core.Pass {
		missing = append(missing, "the end of its worker")
	}

	if tally.Left > 0 || slices.Contains(v.gone, number) {
		missing = append(missing, "being online all the time")
	}

	return missing
}

func (v *cpuView) coverage() string {
	blocks := 0
	for _, tally := range v.out.Cores {
		blocks += tally.Blocks
	}

	text := fmt.Sprintf("%d of %d logical CPUs, %d kernels, %d blocks compared in %d slots", len(v.tested()), len(v.threads),
		len(cpu.Kernels()), blocks, v.out.Slots)
	if v.spent > 0 {
		text += fmt.Sprintf(", going on after %v by an earlier process", v.spent.Round(time.Second))
	}

	if v.virtual {
		text += ", speed NOT judged on a virtual host"
	}

	return text
}

func (v *cpuView) subSteps() (steps []core.SubStep) {
	wrong := map[string]int{}
	for i := range v.out.Suspects {
		wrong[v.out.Suspects[i].Kernel] += v.out.Suspects[i].Mistakes
	}

	for _, k := range cpu.Kernels() {
		blocks, cpus := 0, 0

		for _, tally := range v.out.Cores {
			if n := tally.Kernels[k.Name]; n > 0 {
				blocks, cpus = blocks+n, cpus+1
			}
		}

		step := core.SubStep{Name: k.Name, Verdict: core.Pass, Progress: 1}
		step.Summary = fmt.Sprintf("%s: %d blocks on %d CPUs, %d wrong", k.What, blocks, cpus, wrong[k.Name])

		switch {
		case wrong[k.Name] > 0:
			step.Verdict = core.Fail
		case slices.Contains(v.out.Disputed, k.Name), cpus < len(v.out.Cores):
			step.Verdict = core.Error
		}

		steps = append(steps, step)
	}

	if between, known := v.out.Exits[drill.Between]; known {
		step := core.SubStep{Name: "between CPUs", Verdict: between.Reason.Verdict(), Progress: 1}
		step.Summary = fmt.Sprintf("%d turns of messages, locks and time stamps, %d mistakes", v.out.Turns, len(v.out.Exchanges))

		if len(v.out.Exchanges) > 0 && !v.virtual {
			step.Verdict = core.Fail
		}

		steps = append(steps, step)
	}

	return steps
}

// packages groups the CPUs that worked.
func (v *cpuView) packages() map[int][]*drill.Tally {
	groups := map[int][]*drill.Tally{}

	for _, n := range slices.Sorted(maps.Keys(v.out.Cores)) {
		tally := v.out.Cores[n]
		groups[tally.Thread.Package] = append(groups[tally.Thread.Package], tally)
	}

	return groups
}

func (v *cpuView) measurements() (samples []core.Sample) {
	add := func(part, quantity string, value float64) {
		if !math.IsNaN(value) {
			samples = append(samples, sample("cpu/"+part+"/"+quantity, value))
		}
	}

	host := 0.0

	for number, tallies := range v.packages() {
		sum := 0.0

		for _, t := range tallies {
			part := fmt.Sprintf("cpu%d", t.Thread.Number)
			rate := middle(t.Rates)
			add(part, "fma_gflops", rate)
			add(part, "sustained_mhz", middle(t.MHz))
			add(part, "work_ipc", middle(t.PerCycle))

			if !math.IsNaN(rate) {
				sum += rate
			}
		}

		host += sum
		add(fmt.Sprintf("package%d", max(0, number)), "fma_gflops", sum)
	}

	add("host", "fma_gflops", host)

	mistakes := 0
	for i := range v.out.Suspects {
		mistakes += v.out.Suspects[i].Mistakes
	}

	add("host", "wrong_results_count", float64(mistakes))

	for _, p := range v.power {
		add(p.part, "full_load_watts", p.watts)
		add(p.part, "power_limit_watts", p.limit)
	}

	slices.SortStableFunc(samples, func(a, b core.Sample) int { return strings.Compare(a.Key, b.Key) })

	return samples
}

// sample is a measurement of now.
func sample(key string, value float64) core.Sample {
	return core.Sample{Time: time.Now(), Key: key, Value: value, Stage: core.CPUStress}
}

// middle is the median; NaN of nothing.
func middle(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}

	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2

	if len(sorted)%2 == 1 {
		return sorted[half]
	}

	return sorted[half-1]/2 + sorted[half]/2
}
