package stage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vetting/agent/burn"
	"vetting/agent/diskread"
	"vetting/agent/memory"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/problem"
)

// Limits of stages.md §3.7 and §3.9.
const (
	standstill   = 30 * time.Second
	clockDrift   = 2.0 // seconds an hour
	warming      = 1.0 // °C in ten minutes
	plateauTime  = 9 * time.Minute
	slowRead     = 5 * time.Second  // of a disk that turns
	slowFlash    = time.Second      // of one that does not
	verySlowRead = 15 * time.Second // of any
	// kernelPatience is how long the kernel waits for a request before it aborts it (SD_TIMEOUT).
	kernelPatience = 30 * time.Second
)

// notBurned is the code of a part that should have taken part and did not.
const notBurned = "burn/not-burned"

// burnRule is a row of the criteria.
type burnRule struct {
	id    string
	whole bool // only of a burn that came to its end
	judge func(x *burnExam, out *burn.Outcome) []core.Finding
}

// burnRules are rules of Burn's own, and those of CPUStress and Memory, which judge
// what their stages judge.
func burnRules() []burnRule {
	return []burnRule{
		{"burn-cpus", false, (*burnExam).cpus},
		{"burn-offline", false, ofCPUs(offline)},
		{"burn-base-clock", true, ofCPUs(belowBase)},
		{"burn-core-slow", true, ofCPUs(slowCores)},
		{"burn-load", true, ofCPUs(notStressed)},
		{"burn-memory", false, (*burnExam).memories},
		{"burn-locked", true, ofMemory((*memoryExam).locked)},
		{"burn-given-back", true, ofMemory((*memoryExam).givenBack)},
		{"burn-pages", true, ofMemory((*memoryExam).pages)},
		{"burn-disks", false, (*burnExam).reads},
		{"burn-network", false, (*burnExam).traffic},
		{"burn-stability", false, (*burnExam).stability},
	}
}

// ofCPUs is a rule of CPUStress.
func ofCPUs(judge func(*cpuView) []core.Finding) func(*burnExam, *burn.Outcome) []core.Finding {
	return func(x *burnExam, out *burn.Outcome) []core.Finding { return judge(x.view(out)) }
}

// ofMemory is a rule of Memory.
func ofMemory(judge func(*memoryExam, *memory.Report) []core.Finding) func(*burnExam, *burn.Outcome) []core.Finding {
	return func(x *burnExam, out *burn.Outcome) []core.Finding {
		if out.Memory == nil {
			return nil
		}

		return judge(&x.memory, out.Memory)
	}
}

// findings applies the rules: all of them to a burn that came to its end.
func (x *burnExam) findings(out *burn.Outcome, ended bool) (all []core.Finding) {
	for _, rule := range burnRules() {
		if rule.whole && !ended {
			continue
		}

		for _, f := range rule.judge(x, out) {
			f.Stage = core.Burn
			all = append(all, f)
		}
	}

	return all
}

func burned(code string, severity core.Severity, part core.Part, format string, args ...any) core.Finding {
	return problem.Finding(code, severity, core.Burn, part, fmt.Sprintf(format, args...))
}

// view is what the rules of CPUStress look at.
func (x *burnExam) view(out *burn.Outcome) *cpuView {
	return &cpuView{
		threads: x.threads, gone: x.gone, virtual: x.virtual, shared: true, noSMT: x.machine.SMTOff(), promise: x.promise, power: x.power, out: out.CPU,
	}
}

// cpus are the rules of CPUStress that are about results and workers.
func (x *burnExam) cpus(out *burn.Outcome) []core.Finding {
	v := x.view(out)
	found := slices.Concat(miscompares(v), disputes(v), workerFailures(v), workerErrors(v))

	for _, fault := range out.CPU.Faults {
		found = append(found, burned(notBurned, "", core.Part{Kind: "cpu"}, "%s", fault))
	}

	for n, t := range out.CPU.Cores {
		if t.Blocks == 0 && t.Left == 0 && !slices.Contains(x.gone, n) {
			found = append(found, burned(notBurned, "", t.Thread.Part(), "%s did nothing", t.Thread))
		}
	}

	return found
}

// memories are those of Memory.
func (x *burnExam) memories(out *burn.Outcome) []core.Finding {
	part := core.Part{Kind: "memory"}

	switch {
	case out.Memory == nil && out.MemoryErr != nil:
		return append(x.memory.miscompares(&memory.Report{}), burned(notBurned, "", part, "%s", out.MemoryErr))
	case out.Memory == nil:
		return x.memory.miscompares(&memory.Report{}) // it was stopped before: what an earlier process found
	}

	x.memory.blameAgain()

	found := append(x.memory.miscompares(out.Memory), x.memory.workers(out.Memory)...)
	if out.Memory.Tested() == 0 && len(found) == 0 {
		found = append(found, burned(notBurned, "", part, "no memory was gone through"))
	}

	return found
}

// reads judges the disks.
func (x *burnExam) reads(out *burn.Outcome) (found []core.Finding) {
	wrong := map[string][]diskread.Wrong{}
	for _, w := range out.Disks.Wrong {
		wrong[w.Name] = append(wrong[w.Name], w)
	}

	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		found = append(found, x.wrong(name, wrong[name])...)
	}

	for _, name := range slices.Sorted(maps.Keys(out.Disks.Tallies)) {
		if f, ok := x.slow(name, out.Disks.Tallies[name].Slowest); ok {
			found = append(found, f)
		}
	}

	found = append(found, out.Disks.Exit.Findings(core.Part{Kind: "disk", Slot: strings.Join(x.stuck(out), " ")})...)

	for _, t := range x.targets {
		if tally := out.Disks.Tallies[t.Name]; tally.Bytes == 0 && len(wrong[t.Name]) == 0 && out.Disks.Exit.Reason == worker.Done {
			found = append(found, burned(notBurned, "", x.disk(t.Name), "%s was not read", t.Name))
		}
	}

	return found
}

// stuck names the disk whose thread did not move any more, where the worker hung.
func (x *burnExam) stuck(out *burn.Outcome) (names []string) {
	for _, t := range x.targets {
		if strings.Contains(out.Disks.Exit.Detail, "disk "+t.Name+" ") {
			names = append(names, t.Name)
		}
	}

	return names
}

func (x *burnExam) disk(name string) core.Part {
	d, known := x.disks[name]
	if !known {
		return core.Part{Kind: "disk", Slot: name}
	}

	return core.Part{Kind: "disk", Slot: name, Model: d.Model, Serial: d.Serial}
}

// wrong tells of what one disk did wrong: errors, and data that differed.
func (x *burnExam) wrong(name string, all []diskread.Wrong) (found []core.Finding) {
	var errs, differing []string

	for _, w := range all {
		place := fmt.Sprintf("byte %d (sector %d)", w.Offset, w.Offset/512)
		if w.Error != "" {
			errs = append(errs, place+": "+w.Error)
		} else {
			differing = append(differing, place)
		}
	}

	if len(errs) > 0 {
		found = append(found, burned("burn/disk-read-error", "", x.disk(name), "%d reads failed; the first at %s", len(errs), errs[0]))
	}

	if len(differing) > 0 {
		found = append(found, burned("burn/disk-miscompare", "", x.disk(name),
			"%d times the same place gave other data the second time; the first at %s", len(differing), differing[0]))
	}

	return found
}

func (x *burnExam) slow(name string, slowest time.Duration) (core.Finding, bool) {
	limit, most := reach(x.disks[name])
	severity := core.Severity("")

	switch {
	case slowest <= limit:
		return core.Finding{}, false
	case x.virtual:
		severity = core.Info
	case slowest > most:
		severity = core.Critical
	}

	return burned("burn/disk-slow", severity, x.disk(name), "the slowest read of 1 MiB took %v", slowest.Round(time.Millisecond)), true
}

// traffic judges what came of the exchanges with the appliance. That the appliance
// is away says nothing about the machine.
func (x *burnExam) traffic(out *burn.Outcome) (found []core.Finding) {
	n := &out.Net
	part := core.Part{Kind: "nic", Slot: string(x.env.BootMAC)}

	if n.Bad > 0 {
		found = append(found, burned("burn/network-miscompare", "", part, "%d of %d frames were damaged or out of their row", n.Bad, n.Frames))
	}

	if n.Damaged > 0 {
		found = append(found, burned("burn/network-miscompare", "", part, "%d exchanges broke since data was altered on its way: %s", n.Damaged, n.LastError))
	}

	if lost := n.Failed - n.Damaged; lost > n.Exchanges {
		found = append(found, burned("burn/network-silent", "", part, "%d exchanges did not come to their end, and %d did; the last: %s", lost, n.Exchanges, n.LastError))
	}

	return found
}

// stability judges how steadily the machine ran. A virtual machine stands still when
// its host wants it to.
func (x *burnExam) stability(out *burn.Outcome) (found []core.Finding) {
	cpu := core.Part{Kind: "cpu"}
	virtual := core.Severity("")

	if x.virtual {
		virtual = core.Info
	}

	if out.Watch.Gap > standstill {
		found = append(found, burned("burn/standstill", virtual, cpu, "nothing of the agent ran for %v", out.Watch.Gap.Round(time.Second)))
	}

	if drift, known := out.Net.Drift(); known && (drift > clockDrift || drift < -clockDrift) {
		found = append(found, burned("burn/clock-drift", virtual, core.Part{Kind: "board"}, "the clock is off by %.1f seconds more each hour", drift))
	}

	for _, pack := range slices.Sorted(maps.Keys(out.Watch.Slopes)) {
		if slope := out.Watch.Slopes[pack]; out.Watch.Watched >= plateauTime && slope >= warming && !x.virtual {
			found = append(found, burned("burn/no-plateau", "", core.Part{Kind: "cpu", Slot: fmt.Sprintf("socket %d", pack)},
				"socket %d still got warmer by %.1f °C in ten minutes at the end of the steady load; it reached %.0f °C", pack, slope, out.Watch.Peak[pack]))
		}
	}

	return found
}
