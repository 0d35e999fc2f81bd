package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/burn"
	"vetting/agent/diskread"
	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/profile"
	"vetting/firmware/inventory"
)

const (
	// usualBurn is how long the machine burns where the profile does not say, and
	// usualMbps how much it exchanges with the appliance meanwhile.
	usualBurn = 10 * time.Minute
	usualMbps = 100
	// burnMemory is what share of the memory is tested, in percent.
	burnMemory = 60
	// leastBurnScale is how far that share is shortened at most.
	leastBurnScale = 0.1
)

// Burner puts a machine to work, as [burn.Run] does.
type Burner func(ctx context.Context, o burn.Options) *burn.Outcome

// Burn puts CPUs, memory, disks and the network to work at once, in phases: stages.md
// §3.9. Burn.duration says how long, Burn.network_mbps how much is exchanged with
// the appliance. Disks are read only. Its rules are those of the other stages and
// some about stability; heat, error counters and the kernel's log are judged by
// those who watch over every stage.
func Burn(m probe.Machine, workers Workforce, burner Burner) Func {
	return func(ctx context.Context, env Env) core.Result {
		x := &burnExam{env: env, machine: m, virtual: m.Virtual()}

		options, err := x.configure(workers)
		if err != nil {
			return core.Result{
				Verdict: core.Error, Coverage: nothingTested,
				Findings: []core.Finding{burned(notBurned, "", core.Part{Kind: "board"}, "%s", err)},
			}
		}

		meters := newPowerMeters(m)
		options.Around = meters.around(len(options.Threads))
		x.out = burner(ctx, options)
		x.gone, x.power = switchedOff(m, x.threads), meters.uses()
		x.leave(x.out.Left)

		if cause := context.Cause(ctx); cause != nil {
			return x.interrupted(cause)
		}

		env.Progress("", 1, 0)

		return x.result()
	}
}

// interrupted is the result of a burn that was stopped: what it found until then
// counts, and what did not take part yet is nobody's fault.
func (x *burnExam) interrupted(cause error) core.Result {
	r := stopped(cause)
	seen := slices.Concat(x.earlier, x.findings(x.out, false))

	// That a worker stood still, or is no more, may be the doing of who stopped it.
	r.Findings = append(r.Findings, slices.DeleteFunc(seen, func(f core.Finding) bool {
		return f.Code == notBurned || f.Code == "worker/"+string(worker.Hung)
	})...)
	r.Coverage = x.coverage()

	if x.verdict(r.Findings) == core.Fail {
		r.Verdict = core.Fail
	}

	return r
}

// burnExam is one run of the stage.
type burnExam struct {
	env     Env
	machine probe.Machine
	virtual bool
	threads []probe.Thread // present, online or not
	gone    []int          // CPUs that were online, and were no more at the end
	promise promise
	power   []powerUse
	targets []diskread.Target
	skipped []string // disks that are not read
	disks   map[string]probe.Drive
	memory  memoryExam // names the DIMMs
	mbps    int
	whole   time.Duration

	earlier []core.Finding // of a process that ended in the midst of the stage
	spent   time.Duration  // by it
	out     *burn.Outcome
	rates   burnRates // used by the goroutine that burns

	mu    sync.Mutex     // guards kept and saved
	kept  burnCheckpoint // what is known if this process ends
	saved time.Time
}

// burnCheckpoint is what a later process needs to go on.
type burnCheckpoint struct {
	Spent    time.Duration  `json:"spent"`
	Findings []core.Finding `json:"findings,omitempty"`
	Faults   []memory.Fault `json:"faults,omitempty"`
}

// configure makes the options of the profile's settings and of what is there.
func (x *burnExam) configure(workers Workforce) (burn.Options, error) {
	x.threads = x.machine.Threads()
	x.promise = promised(x.machine, x.threads)
	x.memory = memoryExam{env: x.env, machine: x.machine, virtual: x.virtual}

	if tables, err := inventory.ReadSMBIOS(x.machine.Root); err == nil {
		x.memory.tables, x.memory.board = tables, memory.ReadBoard(tables)
	}

	x.memory.before = memory.ReadCounts(x.machine.Root, x.memory.tables)
	x.resume()

	whole, err := x.memory.duration(profile.BurnDuration, usualBurn)
	if err != nil {
		return burn.Options{}, err
	}

	x.whole = max(whole-x.spent, whole/10)

	if x.mbps, err = number(x.env.Config, profile.BurnNetwork, usualMbps); err != nil {
		return burn.Options{}, err
	}

	limit, err := x.memoryLimit()
	if err != nil {
		return burn.Options{}, err
	}

	x.aim()

	crew := workers(x.env.Log)

	return burn.Options{
		For: x.whole, Workers: crew, Threads: online(x.threads), Memory: memory.Run,
		Test: memory.Test{
			Root: x.machine.Root, Runner: worker.Self(x.env.Log), Patterns: memory.Short, Passes: 1, Limit: limit,
			Seed:    rand.Uint64(), //nolint:gosec // contents are no secret
			Silence: silence(x.virtual), Found: x.found,
		},
		Read: func(ctx context.Context, t diskread.Test) diskread.Report {
			t.Workers = crew

			return diskread.Run(ctx, t)
		},
		Targets: x.targets, Partner: x.partner(), Mbps: x.mbps,
		Seed: rand.Uint64(), //nolint:gosec // an order, no secret
		Heat: x.heat, Progress: x.tell, Noted: x.noted, Silence: silence(x.virtual),
	}, nil
}

func (x *burnExam) resume() {
	var kept burnCheckpoint
	if len(x.env.Resume) > 0 && json.Unmarshal(x.env.Resume, &kept) == nil {
		x.earlier, x.spent, x.kept = kept.Findings, kept.Spent, kept
		x.memory.earlier = slices.Clone(kept.Faults)
		x.env.Log.Info("the machine burned before", slog.Duration("for", kept.Spent.Round(time.Second)))
	}
}

// memoryLimit is how much memory takes part: no more than the profile lets Memory
// test, and less where durations are shortened, since the load holds until all of it
// was gone through.
func (x *burnExam) memoryLimit() (bytes uint64, err error) {
	share := burnMemory * min(1, max(x.env.Scale, leastBurnScale))
	bytes = uint64(float64(x.machine.Memory(x.memory.tables).UsableBytes) * share / 100)

	most, err := number(x.env.Config, profile.MemoryLimit, 0)
	if most > 0 {
		bytes = min(bytes, uint64(most)<<20)
	}

	return bytes, err
}

// silence is how long workers may not move: a virtual machine stands still when its
// host has other things to do. 0: as usual.
func silence(virtual bool) time.Duration {
	const virtually = 5 * time.Minute

	if virtual {
		return virtually
	}

	return 0
}

// aim chooses the disks to read: all that are not USB sticks, optical drives or
// empty; nor on a network, where others may write to them between two readings; nor
// of zones that are the host's to manage, which need not be readable where nothing was
// written.
func (x *burnExam) aim() {
	drives, err := x.machine.Disks()
	if err != nil {
		x.env.Log.Warn("something did not answer", slog.String("error", err.Error()))
	}

	x.disks = map[string]probe.Drive{}

	for _, d := range drives {
		x.disks[d.Name] = d

		if d.Transport == "usb" || d.Removable || d.SizeBytes == 0 || d.Network != "" || d.Zoned {
			x.skipped = append(x.skipped, d.Name)

			continue
		}

		x.targets = append(x.targets, diskread.Target{
			Name: d.Name, Path: "/dev/" + d.Name, Bytes: d.SizeBytes, Block: max(512, d.LogicalBlock),
		})
	}
}

// leave takes disks out of what was to be read.
func (x *burnExam) leave(names []string) {
	x.skipped = append(x.skipped, names...)
	x.targets = slices.DeleteFunc(x.targets, func(t diskread.Target) bool { return slices.Contains(names, t.Name) })
}

// partner exchanges frames through the agent's own connection.
func (x *burnExam) partner() func(context.Context, uint64, int) (burn.Exchange, error) {
	if x.env.Partner == nil {
		return nil
	}

	return func(ctx context.Context, seed uint64, frames int) (burn.Exchange, error) {
		e, err := x.env.Partner(ctx, seed, frames)

		return burn.Exchange{
			Sent: e.Sent, SentBad: e.SentBad, Received: e.Received, ReceivedBad: e.ReceivedBad, Bytes: e.Bytes, Took: e.Took,
			Ahead: e.ServerTime.Sub(e.At.Round(0)), // wall clock against wall clock
		}, err
	}
}

// heat is how hot each package is.
func (x *burnExam) heat() map[int]float64 {
	hot := map[int]float64{}

	for _, t := range x.threads {
		if _, known := hot[t.Package]; known {
			continue
		}

		if v := x.machine.Heat(t); v == v { //nolint:gocritic // only a number equals itself
			hot[t.Package] = v
		}
	}

	return hot
}

func (x *burnExam) tell(phase burn.Phase, done float64, left time.Duration) {
	x.env.Progress(string(phase), done, left)
}

// noted tells how fast everything goes, and keeps what was found for a process that
// comes after this one.
func (x *burnExam) noted(out *burn.Outcome) {
	x.env.Sensor(x.rates.since(out, time.Now())...)

	x.mu.Lock()
	defer x.mu.Unlock()

	if time.Since(x.saved) < checkpointEvery {
		return
	}

	x.kept.Spent = x.spent + out.CPU.Took
	x.kept.Findings = slices.Concat(x.earlier, x.critical(out))
	x.kept.Findings = x.kept.Findings[:min(findingsKept, len(x.kept.Findings))]
	x.write()
}

// findingsKept is how many findings are kept: a machine that is wrong everywhere is
// told by fewer.
const findingsKept = 50

// found keeps a fault of the memory at once: its test ends long after.
func (x *burnExam) found(f memory.Fault) {
	x.env.Log.Error("memory is wrong", slog.String("fault", f.Evidence()))

	x.mu.Lock()
	defer x.mu.Unlock()

	if len(x.kept.Faults) < faultsKept {
		x.kept.Faults = append(x.kept.Faults, f)
		x.write()
	}
}

// write hands the checkpoint over. x.mu is held.
func (x *burnExam) write() {
	x.saved = time.Now()

	if raw, err := json.Marshal(x.kept); err == nil && len(raw) <= MaxCheckpoint {
		x.env.Checkpoint(raw)
	}
}

// critical are the findings that count although the test goes on. Those of the
// memory are kept as faults.
func (x *burnExam) critical(out *burn.Outcome) []core.Finding {
	seen := slices.Concat(x.cpus(out), leftMeanwhile(x.view(out)), x.reads(out), x.traffic(out))

	return slices.DeleteFunc(seen, func(f core.Finding) bool {
		return f.Severity != core.Critical || f.Code == notBurned // it may come yet
	})
}

// burnRates are how far everything was when it was told last.
type burnRates struct {
	at    time.Time
	disks map[string]uint64 // bytes
}

// since makes samples of what was done since the last ones, so that it is seen who
// disturbs whom.
func (r *burnRates) since(out *burn.Outcome, now time.Time) (samples []core.Sample) {
	const enough = 4 * time.Second // disks are told of every 2 s

	samples = latestRates(&out.CPU)
	for i := range samples {
		samples[i].Stage = core.Burn
	}

	passed := now.Sub(r.at)
	if passed < enough {
		return samples
	}

	for _, name := range slices.Sorted(maps.Keys(out.Disks.Tallies)) {
		t := out.Disks.Tallies[name]
		if before, known := r.disks[name]; known && t.Bytes >= before {
			samples = append(samples, burnSample("disk/"+strings.ToLower(name)+"/read_mibps", float64(t.Bytes-before)/(1<<20)/passed.Seconds(), now))
		}
	}

	if n := &out.Net; n.Busy > 0 {
		samples = append(samples, burnSample("nic/boot/partner_mbps", float64(n.Bytes)*8/1e6/n.Busy.Seconds(), now))
	}

	r.at, r.disks = now, map[string]uint64{}
	for name, t := range out.Disks.Tallies {
		r.disks[name] = t.Bytes
	}

	return samples
}

func burnSample(key string, value float64, now time.Time) core.Sample {
	return core.Sample{Time: now, Key: key, Value: value, Stage: core.Burn}
}

// result adds up.
func (x *burnExam) result() core.Result {
	r := core.Result{Findings: append(slices.Clone(x.earlier), x.findings(x.out, true)...), Coverage: x.coverage(), SubSteps: x.subSteps()}
	r.Verdict = x.verdict(r.Findings)
	r.Measurements = x.measurements()

	return r
}

// verdict is fail where something is said against the hardware, error where part
// of the work was not done.
func (x *burnExam) verdict(findings []core.Finding) core.Verdict {
	verdict := core.Pass

	for _, f := range findings {
		switch {
		case f.Severity != core.Critical:
		case slices.Contains(ourFaults(), f.Code):
			verdict = core.Error
		default:
			return core.Fail
		}
	}

	return verdict
}

// ourFaults are codes that say that the test was not done, not that the machine is
// bad.
func ourFaults() []string {
	codes := []string{notBurned, "cpustress/disputed"}

	for _, reason := range worker.Reasons() {
		if reason.Verdict() == core.Error {
			codes = append(codes, "worker/"+string(reason))
		}
	}

	return codes
}

// coverage says what took part.
func (x *burnExam) coverage() string {
	cpus := 0

	for n, t := range x.out.CPU.Cores {
		if t.Blocks > 0 && t.Left == 0 && !slices.Contains(x.gone, n) {
			cpus++
		}
	}

	parts := []string{fmt.Sprintf("%s at once: %d of %d CPUs", x.out.Took.Round(time.Second), cpus, len(x.threads))}

	if r := x.out.Memory; r == nil {
		parts = append(parts, "memory NOT tested")
	} else {
		parts = append(parts, fmt.Sprintf("%s of %s of memory", size(r.Tested()), size(r.All())))
	}

	compared := 0

	for _, t := range x.out.Disks.Tallies {
		if t.Compared > 0 {
			compared++
		}
	}

	parts = append(parts, fmt.Sprintf("%d of %s read and compared", compared, plural(len(x.targets), "disk", "disks")))
	if len(x.skipped) > 0 {
		parts = append(parts, strings.Join(x.skipped, " ")+" NOT read")
	}

	if x.out.Net.Exchanges > 0 {
		parts = append(parts, fmt.Sprintf("%s over the network", size(x.out.Net.Bytes)))
	} else {
		parts = append(parts, "network NOT tested")
	}

	if x.virtual {
		parts = append(parts, "speed NOT judged on a virtual host")
	}

	return strings.Join(parts, ", ")
}

// subSteps tells of each thing that took part, and of the phases.
func (x *burnExam) subSteps() (steps []core.SubStep) {
	var phases []string
	for _, l := range x.out.Legs {
		phases = append(phases, fmt.Sprintf("%s %s", l.Phase, l.Took.Round(100*time.Millisecond)))
	}

	step := func(name string, findings []core.Finding, summary string) {
		steps = append(steps, core.SubStep{Name: name, Verdict: x.verdict(findings), Summary: summary, Progress: 1})
	}

	step("phases", nil, strings.Join(phases, ", "))
	step("cpus", append(x.cpus(x.out), offline(x.view(x.out))...), fmt.Sprintf("%d slots, %d workers", x.out.CPU.Slots, len(x.out.CPU.Exits)))

	if r := x.out.Memory; r != nil {
		step("memory", x.memories(x.out), fmt.Sprintf("%s verified in %s", size(r.Tested()), r.Took.Round(time.Second)))
	}

	var bytes uint64
	for _, t := range x.out.Disks.Tallies {
		bytes += t.Bytes
	}

	step("disks", x.reads(x.out), fmt.Sprintf("%s read from %s", size(bytes), plural(len(x.targets), "disk", "disks")))

	n := &x.out.Net
	step("network", x.traffic(x.out), fmt.Sprintf("%d exchanges, %d frames, %d bad, %d exchanges failed", n.Exchanges, n.Frames, n.Bad, n.Failed))
	step("stability", x.stability(x.out), fmt.Sprintf("longest standstill %s", x.out.Watch.Gap.Round(time.Millisecond)))

	return steps
}

func (x *burnExam) measurements() (samples []core.Sample) {
	now := time.Now()

	for name, t := range x.out.Disks.Tallies {
		if x.out.Disks.Took > 0 {
			samples = append(samples, core.Sample{
				Time: now, Key: "disk/" + strings.ToLower(name) + "/read_mibps", Unit: "mibps",
				Value: float64(t.Bytes) / (1 << 20) / x.out.Disks.Took.Seconds(),
			})
		}
	}

	if n := &x.out.Net; n.Busy > 0 {
		samples = append(samples, core.Sample{
			Time: now, Key: "nic/boot/partner_mbps", Unit: "mbps", Value: float64(n.Bytes) * 8 / 1e6 / n.Busy.Seconds(),
		})
	}

	slices.SortFunc(samples, func(a, b core.Sample) int { return strings.Compare(a.Key, b.Key) })

	return samples
}
