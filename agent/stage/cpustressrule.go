package stage

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/problem"
)

// Limits of stages.md §3.5.
const (
	slowCore     = 10 // percent below its equals: warning
	verySlowCore = 20 // critical
	atBase       = 99 // percent of the base frequency: the measurement is that good
	loadedPower  = 90 // percent of the power limit
	loadedIPC    = 1  // instructions a cycle and core: twice this is what the hottest kernel has
	loadedBusy   = 90 // percent of the time that the workers had their CPUs
)

// cpuRule is a row of the criteria.
type cpuRule struct {
	id    string // the code of what it finds
	ours  bool   // what it finds is our failure, not the machine's: the verdict is error
	judge func(v *cpuView) []core.Finding
}

func cpuRules() []cpuRule {
	return []cpuRule{
		{"cpustress/miscompare", false, miscompares},
		{"cpustress/disputed", true, disputes},
		{"cpustress/exchange", false, exchangeMistakes},
		{"cpustress/clock-backwards", false, backwards},
		{cpuOffline, false, offline},
		{"worker/control-flow", false, workerFailures},
		{"worker/killed", true, workerErrors},
		{"cpustress/not-exercised", true, notExercised},
		{"cpustress/below-base-clock", false, belowBase},
		{"cpustress/core-slow", false, slowCores},
		{"cpustress/not-fully-stressed", false, notStressed},
		{"cpustress/field-scan-failed", false, scanFailures},
		{"cpustress/field-scan-untested", false, scansUntested},
		{"cpustress/virtual", false, virtualHost},
	}
}

// found writes a finding of this stage in the words of the list.
func found(code string, severity core.Severity, part core.Part, format string, args ...any) core.Finding {
	return problem.Finding(code, severity, core.CPUStress, part, fmt.Sprintf(format, args...))
}

func miscompares(v *cpuView) (findings []core.Finding) {
	for i := range v.out.Suspects {
		s := &v.out.Suspects[i]
		findings = append(findings, found("cpustress/miscompare", "", s.Thread.Part(), "%s", s.Evidence()))
	}

	return findings
}

func disputes(v *cpuView) (findings []core.Finding) {
	for _, kernel := range v.out.Disputed {
		findings = append(findings, found("cpustress/disputed", "", core.Part{Kind: "cpu"}, "kernel %s", kernel))
	}

	return findings
}

func exchangeMistakes(v *cpuView) []core.Finding {
	return v.exchanges("cpustress/exchange", "", func(m drill.Mistake) bool { return !m.Back() })
}

// backwards: on a virtual host the counters are the hypervisor's.
func backwards(v *cpuView) []core.Finding {
	severity := core.Severity("")
	if v.virtual {
		severity = core.Info
	}

	return v.exchanges("cpustress/clock-backwards", severity, drill.Mistake.Back)
}

// exchanges makes one finding of what went wrong between two CPUs.
func (v *cpuView) exchanges(code string, severity core.Severity, which func(drill.Mistake) bool) (findings []core.Finding) {
	type ends struct{ from, to int }

	count, first := map[ends]int{}, map[ends]drill.Mistake{}

	for _, m := range v.out.Exchanges {
		if !which(m) {
			continue
		}

		e := ends{m.From, m.To}
		if count[e]++; count[e] == 1 {
			first[e] = m
		}
	}

	for _, e := range slices.SortedFunc(maps.Keys(count), func(a, b ends) int { return (a.from-b.from)<<16 + a.to - b.to }) {
		m := first[e]
		part := core.Part{Kind: "cpu"}

		if tally := v.out.Cores[e.to]; tally != nil {
			part = tally.Thread.Part()
		}

		findings = append(findings, found(code, severity, part, "%s: %d mistakes from CPU %d to CPU %d; the first: %s", m.Test, count[e], e.from, e.to, m.Detail))
	}

	return findings
}

// offline tells of CPUs that were not there to be tested, and of those that went.
func offline(v *cpuView) []core.Finding { return append(absent(v), leftMeanwhile(v)...) }

func absent(v *cpuView) (findings []core.Finding) {
	for _, t := range v.threads {
		if t.Online {
			continue
		}

		if v.noSMT && t.Package < 0 {
			findings = append(findings, found(cpuOffline, core.Warning, t.Part(), "CPU %d: the kernel does not use sibling threads", t.Number))

			continue
		}

		findings = append(findings, found(cpuOffline, "", t.Part(), "CPU %d is present and not online", t.Number))
	}

	return findings
}

// leftMeanwhile tells of CPUs that were switched off, for good or for a while, when the
// stage had begun. The kernel lets their work go on elsewhere without a word.
func leftMeanwhile(v *cpuView) (findings []core.Finding) {
	for _, t := range online(v.threads) {
		tally := v.out.Cores[t.Number]
		if tally == nil || tally.Left == 0 {
			if slices.Contains(v.gone, t.Number) {
				findings = append(findings, wentOff(t, "it was online when the stage began"))
			}

			continue
		}

		end := "it came back"
		if slices.Contains(v.gone, t.Number) || !tally.Away.Back {
			end = "it did not come back"
		}

		findings = append(findings, wentOff(t, fmt.Sprintf("its worker was found on other CPUs %s, the last time on CPU %d; %s",
			plural(tally.Left, "time", "times"), tally.Away.On, end)))
	}

	return findings
}

// wentOff is the finding about a CPU that was switched off during a stage.
func wentOff(t probe.Thread, evidence string) core.Finding {
	return found(cpuOffline, "", t.Part(), "%s was switched off meanwhile: %s", t, evidence)
}

// cpuOffline is the code of a CPU that is not there to work.
const cpuOffline = "cpustress/offline"

// online are the threads that are.
func online(threads []probe.Thread) []probe.Thread {
	return slices.DeleteFunc(slices.Clone(threads), func(t probe.Thread) bool { return !t.Online })
}

// switchedOff lists those of the threads that were online and are no more, or are not
// even present. A machine that tells of no CPU at all tells nothing.
func switchedOff(m probe.Machine, before []probe.Thread) (numbers []int) {
	now := m.Threads()
	if len(now) == 0 {
		return nil
	}

	for _, t := range online(before) {
		if !slices.ContainsFunc(now, func(n probe.Thread) bool { return n.Number == t.Number && n.Online }) {
			numbers = append(numbers, t.Number)
		}
	}

	return numbers
}

func workerFailures(v *cpuView) []core.Finding {
	return v.exits(func(r worker.Reason) bool { return r.Verdict() == core.Fail })
}

func workerErrors(v *cpuView) []core.Finding {
	return v.exits(func(r worker.Reason) bool { return r.Verdict() == core.Error })
}

func (v *cpuView) exits(which func(worker.Reason) bool) (findings []core.Finding) {
	for _, n := range slices.Sorted(maps.Keys(v.out.Exits)) {
		exit := v.out.Exits[n]
		if !which(exit.Reason) {
			continue
		}

		part := core.Part{Kind: "cpu"}
		if tally := v.out.Cores[n]; tally != nil {
			part = tally.Thread.Part()
			exit.Detail = tally.Thread.String() + ": " + exit.Detail
		}

		findings = append(findings, exit.Findings(part)...)
	}

	return findings
}

func notExercised(v *cpuView) (findings []core.Finding) {
	for _, n := range slices.Sorted(maps.Keys(v.out.Cores)) {
		if v.out.Cores[n].Left > 0 || slices.Contains(v.gone, n) {
			continue // that it was switched off says more
		}

		if missing := v.gap(n); len(missing) > 0 {
			t := v.out.Cores[n].Thread
			findings = append(findings, found("cpustress/not-exercised", "", t.Part(), "%s lacks %s", t, strings.Join(missing, ", ")))
		}
	}

	for _, fault := range v.out.Faults {
		findings = append(findings, found("cpustress/not-exercised", "", core.Part{Kind: "cpu"}, "%s", fault))
	}

	if len(v.out.Cores) == 0 {
		findings = append(findings, found("cpustress/not-exercised", "", core.Part{Kind: "cpu"}, "the kernel tells of no CPU that is online"))
	}

	return findings
}

// belowBase judges the median clock of a CPU with all at work on plain code.
func belowBase(v *cpuView) (findings []core.Finding) {
	if v.virtual {
		return nil
	}

	for _, n := range slices.Sorted(maps.Keys(v.out.Cores)) {
		t := v.out.Cores[n]

		base, clock := v.promise.base[n], middle(t.PlainMHz)
		if base <= 0 || math.IsNaN(clock) || 100*clock >= atBase*base {
			continue
		}

		findings = append(findings, found("cpustress/below-base-clock", "", t.Thread.Part(),
			"%s: %.0f MHz with all CPUs at work on plain code, its base frequency is %.0f MHz", t.Thread, clock, base))
	}

	return findings
}

// coreGroup are cores that must be equally fast.
type coreGroup struct {
	pack    int
	kind    string
	pace    float64
	threads int
	variant string
}

// coreID tells cores of the machine apart. The kernel's number of a core is not enough:
// clusters of one package may count theirs anew.
type coreID struct {
	pack, core int
	first      int // of its threads; -1: not told
}

func coreOf(t probe.Thread) coreID {
	id := coreID{t.Package, t.Core, -1}
	if len(t.Siblings) > 0 {
		id.first = slices.Min(t.Siblings)
	}

	return id
}

// coreRates sums up the threads of each core, by group.
func (v *cpuView) coreRates() map[coreGroup]map[coreID]float64 {
	groups, kinds := map[coreGroup]map[coreID]float64{}, v.promise.kinds()
	sums, size := map[coreID]float64{}, map[coreID]int{}

	for _, t := range v.out.Cores {
		rates := t.Rates
		if v.shared {
			rates = t.Own // the rest of the time was others'
		}

		if rate := middle(rates); !math.IsNaN(rate) {
			at := coreOf(t.Thread)
			sums[at] += rate
			size[at]++
		}
	}

	for _, t := range v.out.Cores {
		at := coreOf(t.Thread)
		if size[at] == 0 || t.Thread.Core < 0 {
			continue
		}

		g := coreGroup{t.Thread.Package, t.Kind, kinds[t.Thread.Number], size[at], t.Variant}
		if groups[g] == nil {
			groups[g] = map[coreID]float64{}
		}

		groups[g][at] = sums[at]
	}

	return groups
}

func slowCores(v *cpuView) (findings []core.Finding) {
	if v.virtual {
		return nil
	}

	for g, rates := range v.coreRates() {
		median := middle(slices.Collect(maps.Values(rates)))

		for n, rate := range rates {
			behind := 100 * (1 - rate/median)
			if behind <= slowCore {
				continue
			}

			severity := core.Warning
			if behind > verySlowCore {
				severity = core.Critical
			}

			findings = append(findings, found("cpustress/core-slow", severity, v.partOf(g.pack),
				"socket %d, core %d: %.1f GFLOP/s, %.0f %% below the median %.1f of the %d cores like it", g.pack, n.core, rate, behind, median, len(rates)))
		}
	}

	slices.SortFunc(findings, func(a, b core.Finding) int { return strings.Compare(a.Evidence, b.Evidence) })

	return findings
}

func (v *cpuView) partOf(pack int) core.Part {
	for _, t := range v.threads {
		if t.Package == pack {
			return t.Part()
		}
	}

	return core.Part{Kind: "cpu", Slot: fmt.Sprintf("CPU%d", pack)}
}

// notStressed wants proof of the load: power, or else instructions.
func notStressed(v *cpuView) []core.Finding {
	if v.virtual || len(v.out.Cores) == 0 {
		return nil
	}

	var doubts []string

	if busy := 100 * v.median(func(t *drill.Tally) []float64 { return t.Busy }); busy < loadedBusy && !v.shared {
		doubts = append(doubts, fmt.Sprintf("the workers had their CPUs %.0f %% of the time", busy))
	}

	low, known := v.lowPower()
	perCore := v.median(func(t *drill.Tally) []float64 { return t.PerCycle }) * v.threadsPerCore()

	switch {
	case known && len(low) == 0:
	case perCore >= loadedIPC:
	case known:
		doubts = append(doubts, low...)
	case math.IsNaN(perCore):
		doubts = append(doubts, "neither power nor instructions can be measured")
	default:
		doubts = append(doubts, fmt.Sprintf("%.2f instructions a cycle and core, %d are expected", perCore, loadedIPC))
	}

	if len(doubts) == 0 {
		return nil
	}

	return []core.Finding{found("cpustress/not-fully-stressed", "", core.Part{Kind: "cpu"}, "%s", strings.Join(doubts, "; "))}
}

// lowPower lists packages that drew less than they may; known says whether that
// could be measured.
func (v *cpuView) lowPower() (low []string, known bool) {
	for _, p := range v.power {
		if math.IsNaN(p.watts) || math.IsNaN(p.limit) || p.limit <= 0 {
			continue
		}

		known = true

		if 100*p.watts < loadedPower*p.limit {
			low = append(low, fmt.Sprintf("%s drew %.0f W of the %.0f W it may", p.part, p.watts, p.limit))
		}
	}

	return low, known
}

// median over all CPUs of the medians of each.
func (v *cpuView) median(of func(*drill.Tally) []float64) float64 {
	var all []float64

	for _, t := range v.out.Cores {
		if m := middle(of(t)); !math.IsNaN(m) {
			all = append(all, m)
		}
	}

	return middle(all)
}

func (v *cpuView) threadsPerCore() float64 {
	cores := map[coreID]bool{}
	for _, t := range v.out.Cores {
		cores[coreOf(t.Thread)] = true
	}

	return float64(len(v.out.Cores)) / float64(max(1, len(cores)))
}

func virtualHost(v *cpuView) []core.Finding {
	if !v.virtual {
		return nil
	}

	return []core.Finding{found("cpustress/virtual", "", core.Part{Kind: "cpu"},
		"%.1f GFLOP/s of verified multiply-adds by %d CPUs (%s)", v.hostRate(), len(v.out.Cores), cpu.Detect())}
}

func (v *cpuView) hostRate() (sum float64) {
	for _, t := range v.out.Cores {
		if rate := middle(t.Rates); !math.IsNaN(rate) {
			sum += rate
		}
	}

	return sum
}
