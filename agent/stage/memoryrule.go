package stage

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/memory"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/problem"
)

// memoryRule is a row of the criteria of stages.md §3.6.
type memoryRule struct {
	id    string
	judge func(x *memoryExam, r *memory.Report) []core.Finding
}

// memoryRules returns all rows that are about the test itself.
func memoryRules() []memoryRule {
	return []memoryRule{
		{"memory-miscompare", (*memoryExam).miscompares},
		{"memory-worker", (*memoryExam).workers},
		{"memory-boot-test", (*memoryExam).bootTest},
		{"memory-cpus", (*memoryExam).cpus},
		{"memory-coverage", (*memoryExam).covered},
		{"memory-locked", (*memoryExam).locked},
		{"memory-given-back", (*memoryExam).givenBack},
		{"memory-pages", (*memoryExam).pages},
		{"memory-node-speed", (*memoryExam).speed},
	}
}

// judge makes the result of the stage.
func (x *memoryExam) judge(r *memory.Report) core.Result {
	out := core.Result{Coverage: x.coverage(r), SubSteps: x.subSteps(r), Measurements: x.measurements(r)}

	for _, rule := range memoryRules() {
		out.Findings = append(out.Findings, rule.judge(x, r)...)
	}

	out.Verdict = memoryVerdict(r, out.Findings)

	return out
}

// interrupted is the result of a stage that was stopped: what was wrong until then
// counts, and what was not tested yet is nobody's fault.
func (x *memoryExam) interrupted(r *memory.Report, cause error) core.Result {
	ended := *r
	ended.Nodes = slices.Clone(r.Nodes)

	for i := range ended.Nodes {
		if exit := &ended.Nodes[i].Exit; !outlasts(exit.Reason) {
			exit.Reason = worker.Stopped
		}
	}

	out := stopped(cause)
	out.Findings = append(out.Findings, slices.Concat(x.miscompares(&ended), x.workers(&ended), x.bootTest(&ended), x.cpus(&ended))...)
	out.Coverage, out.SubSteps = x.coverage(r), x.subSteps(r)

	if memoryVerdict(&ended, out.Findings) == core.Fail {
		out.Verdict = core.Fail
	}

	return out
}

// memoryVerdict is fail where something is said against the hardware, error where
// it was not tested as it should.
func memoryVerdict(r *memory.Report, findings []core.Finding) core.Verdict {
	for i := range r.Nodes {
		if r.Nodes[i].Exit.Reason.Verdict() == core.Fail {
			return core.Fail
		}
	}

	verdict := core.Pass

	for _, f := range findings {
		switch {
		case f.Severity != core.Critical:
		case slices.Contains([]string{problem.MemoryMiscompare, problem.MemoryComparison, problem.MemoryBootTestBad, cpuOffline}, f.Code):
			return core.Fail
		default:
			verdict = core.Error
		}
	}

	return verdict
}

func (x *memoryExam) notBegun(err error) core.Result {
	return core.Result{
		Verdict: core.Error, Coverage: nothingTested,
		Findings: []core.Finding{problem.Finding(problem.MemoryNotBegun, "", core.Memory, core.Part{Kind: "memory"}, err.Error())},
	}
}

// faultsNamed is how many words that were wrong get a finding of their own.
const faultsNamed = 20

// miscompares tells of words that came back wrong: one finding an address.
func (x *memoryExam) miscompares(r *memory.Report) (found []core.Finding) {
	all, words, bits := slices.Clone(x.earlier), uint64(0), uint64(0)

	for i := range r.Nodes {
		all = append(all, r.Nodes[i].Faults...)
		words, bits = words+r.Nodes[i].Tally.Faults, bits|r.Nodes[i].Tally.Bits
	}

	places := byPlace(all)

	for _, place := range places[:min(len(places), faultsNamed)] {
		f := place[0]

		code, part := problem.MemoryMiscompare, x.blame(&f)
		if f.Compared {
			code, part = problem.MemoryComparison, core.Part{Kind: "cpu", Slot: fmt.Sprintf("CPU %d", f.CPU)}
		}

		found = append(found, problem.Finding(code, "", core.Memory, part, evidence(place)))
	}

	if len(places) > faultsNamed {
		found = append(found, problem.Finding(problem.MemoryMiscompare, "", core.Memory, core.Part{Kind: "memory"}, fmt.Sprintf(
			"%d words came back wrong in all, at %d places and more; bits that flipped in any of them: %016x", words, len(places), bits)))
	}

	return found
}

// byPlace groups faults by the word they are about, in the order in which they were
// found.
func byPlace(faults []memory.Fault) (places [][]memory.Fault) {
	type key struct {
		node     int
		physical bool
		address  uint64
		compared bool
	}

	index := map[key]int{}

	for _, f := range faults {
		k := key{f.Node, f.Physical != 0, f.Physical, f.Compared}
		if !k.physical {
			k.address = f.Virtual
		}

		i, known := index[k]
		if !known {
			i = len(places)
			index[k] = i

			places = append(places, nil)
		}

		places[i] = append(places[i], f)
	}

	return places
}

// evidence tells of the first fault at a place, and how often there were more.
func evidence(place []memory.Fault) string {
	text := place[0].Evidence()
	if n := len(place); n > 1 {
		text += fmt.Sprintf("; wrong %d times during the test", n)
	}

	return text
}

// blame names the part: the DIMM whose errors were counted meanwhile, if it is one,
// else that which the firmware says has the address, else the node.
func (x *memoryExam) blame(f *memory.Fault) core.Part {
	candidates := x.grown
	if len(candidates) != 1 && f.Physical != 0 {
		candidates = x.board.At(f.Physical)
	}

	if len(candidates) == 0 {
		return nodePart(f.Node)
	}

	part := candidates[0]

	for _, other := range candidates[1:] {
		part.Slot += " or " + other.Slot
		part.Serial, part.Model = "", ""
	}

	return part
}

func nodePart(id int) core.Part { return core.Part{Kind: "memory", Slot: fmt.Sprintf("node%d", id)} }

// workers tells of workers that did not do the test.
func (x *memoryExam) workers(r *memory.Report) (found []core.Finding) {
	for i := range r.Nodes {
		found = append(found, r.Nodes[i].Exit.Findings(nodePart(r.Nodes[i].ID))...)
	}

	for i := range found {
		found[i].Stage = core.Memory
	}

	return found
}

// cpus tells of those that were switched off meanwhile: others did their work.
func (x *memoryExam) cpus(r *memory.Report) []core.Finding {
	v := &cpuView{threads: x.threads, gone: x.gone, out: drill.Outcome{Cores: map[int]*drill.Tally{}}}

	for i := range r.Nodes {
		for _, l := range r.Nodes[i].Left {
			t := v.out.Cores[l.CPU]
			if t == nil {
				t = &drill.Tally{}
				v.out.Cores[l.CPU] = t
			}

			t.Left, t.Away = t.Left+1, drill.Away{On: l.On, Back: true} // the next step ties it again, or ends the worker
		}
	}

	found := leftMeanwhile(v)
	for i := range found {
		found[i].Stage = core.Memory
	}

	return found
}

// bootTest tells what the kernel found before it used the memory.
func (x *memoryExam) bootTest(*memory.Report) (found []core.Finding) {
	for _, bad := range x.boot.Bad[:min(len(x.boot.Bad), faultsNamed)] {
		part := x.blame(&memory.Fault{Physical: bad.Start})
		if part.Kind == "memory" {
			part.Slot = ""
		}

		found = append(found, problem.Finding(problem.MemoryBootTestBad, "", core.Memory, part, fmt.Sprintf(
			"physical addresses %#x to %#x did not keep the pattern %016x", bad.Start, bad.End-1, bad.Pattern)))
	}

	if len(found) == 0 && x.boot.BadBytes > 0 {
		found = append(found, problem.Finding(problem.MemoryBootTestBad, "", core.Memory, core.Part{Kind: "memory"}, fmt.Sprintf(
			"%d KiB were taken out of use (EarlyMemtestBad); the kernel's log no longer says where", x.boot.BadBytes>>10)))
	}

	return found
}

// required is what share of the memory must be tested, in percent.
func (x *memoryExam) required(r *memory.Report) float64 {
	if r.Limit == 0 && r.All() >= largeMemory {
		return largeFloor
	}

	return x.floor
}

// percent is the share that was tested, rounded down to tenths; 0 where there is
// nothing to test.
func percent(r *memory.Report) float64 {
	const tenths = 10

	if r.All() == 0 {
		return 0
	}

	return math.Floor(float64(r.Tested())/float64(r.All())*100*tenths) / tenths
}

// covered demands that enough was tested.
func (x *memoryExam) covered(r *memory.Report) []core.Finding {
	if share := percent(r); share > 0 && share >= x.required(r) {
		return nil
	}

	return []core.Finding{problem.Finding(problem.MemoryCoverage, "", core.Memory, core.Part{Kind: "memory"}, fmt.Sprintf(
		"%s; at least %.0f %% must be: %s", x.coverage(r), x.required(r), strings.Join(missing(r), "; ")))}
}

// missing says of each node what was not tested and why.
func missing(r *memory.Report) (lines []string) {
	for i := range r.Nodes {
		n := &r.Nodes[i]
		line := fmt.Sprintf("node %d has %s, %s were taken, %s tested", n.ID, size(n.Bytes), size(n.Taken.Bytes), size(n.Tested()))

		if n.Exit.Reason != worker.Done {
			line += fmt.Sprintf(", and its worker ended: %s", n.Exit.Reason)
		}

		if n.Taken.Short != "" {
			line += ", no more since: " + n.Taken.Short
		}

		lines = append(lines, line)
	}

	return append(lines, fmt.Sprintf("%s stay in reserve", size(r.Reserve)))
}

// locked names what could not be locked.
func (x *memoryExam) locked(r *memory.Report) (found []core.Finding) {
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.Taken.Unlocked > 0 {
			found = append(found, problem.Finding(problem.MemoryNotLocked, "", core.Memory, nodePart(n.ID), fmt.Sprintf(
				"%d of %d MiB on node %d are not locked: %s", n.Taken.Unlocked>>20, n.Taken.Bytes>>20, n.ID, n.Taken.LockErr)))
		}
	}

	return found
}

// givenBack names what the machine needed back.
func (x *memoryExam) givenBack(r *memory.Report) (found []core.Finding) {
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.Tally.Released > 0 {
			found = append(found, problem.Finding(problem.MemoryGivenBack, "", core.Memory, nodePart(n.ID), fmt.Sprintf(
				"%d of %d MiB on node %d were given back", n.Tally.Released>>20, n.Taken.Bytes>>20, n.ID)))
		}
	}

	return found
}

// pages says where physical pages are not known, or did not stay.
func (x *memoryExam) pages(r *memory.Report) (found []core.Finding) {
	for i := range r.Nodes {
		n := &r.Nodes[i]

		switch {
		case !n.Ended:
		case !n.Tally.Pages.Known:
			found = append(found, problem.Finding(problem.MemoryPagesUnknown, "", core.Memory, nodePart(n.ID),
				"/proc/self/pagemap tells no page numbers"))
		case n.Tally.Pages.Moved > 0:
			found = append(found, problem.Finding(problem.MemoryPagesMoved, "", core.Memory, nodePart(n.ID), fmt.Sprintf(
				"%d MiB on node %d are on other pages than at the beginning", n.Tally.Pages.Moved>>20, n.ID)))
		}
	}

	return found
}

// speed compares nodes that are alike: by their CPUs, and by their size within a
// twentieth.
func (x *memoryExam) speed(r *memory.Report) (found []core.Finding) {
	const (
		alike = 0.95
		slow  = 0.8
	)

	if x.virtual {
		return nil
	}

	for i := range r.Nodes {
		n := &r.Nodes[i]
		best := n

		for j := range r.Nodes {
			other := &r.Nodes[j]
			ratio := float64(min(n.Bytes, other.Bytes)) / float64(max(n.Bytes, other.Bytes))

			if len(other.CPUs) == len(n.CPUs) && ratio >= alike && other.Stream.Copy > best.Stream.Copy {
				best = other
			}
		}

		if n.Stream.Copy > 0 && n.Stream.Copy < slow*best.Stream.Copy {
			found = append(found, problem.Finding(problem.MemoryNodeSlow, "", core.Memory, nodePart(n.ID), fmt.Sprintf(
				"node %d copies %.1f GiB/s, node %d %.1f GiB/s", n.ID, perSecond(n.Stream.Copy), best.ID, perSecond(best.Stream.Copy))))
		}
	}

	return found
}

// perSecond gives bytes a second in GiB.
func perSecond(bytes float64) float64 { return bytes / (1 << 30) }

// size prints bytes, small ones in MiB.
func size(bytes uint64) string {
	const (
		enough = 4 << 30
		mib    = 20
	)

	if bytes < enough {
		return fmt.Sprintf("%d MiB", bytes>>mib)
	}

	return gib(bytes)
}

// coverage says what was tested.
func (x *memoryExam) coverage(r *memory.Report) string {
	how := "by physical page"
	if r.RAM == 0 {
		how = "by size, physical pages are not known"
	}

	passes := 0
	for i := range r.Nodes {
		if n := &r.Nodes[i]; i == 0 || n.Tally.Passes < passes {
			passes = n.Tally.Passes
		}
	}

	text := fmt.Sprintf("%.1f of %.1f GiB (%.1f %%) %s, %s of %s patterns",
		perSecond(float64(r.Tested())), perSecond(float64(r.All())), percent(r), how, plural(passes, "pass", "passes"), x.test.Patterns)

	if r.Limited() {
		text += fmt.Sprintf("; limited to %s, the rest NOT tested", size(r.Limit))
	}

	if x.boot.Patterns == 0 {
		text += "; the kernel's own test at boot was NOT run"
	}

	return text
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}

	return fmt.Sprintf("%d %s", n, many)
}

// subSteps tells of the kernel's test and of each node.
func (x *memoryExam) subSteps(r *memory.Report) []core.SubStep {
	boot := core.SubStep{Name: "boot test", Part: core.Part{Kind: "memory"}, Verdict: core.Skip, Progress: 1, Summary: "the kernel was not told to test memory (memtest=)"}

	if x.boot.Patterns > 0 {
		boot.Verdict, boot.Summary = core.Pass, fmt.Sprintf("the kernel wrote %s at boot and found nothing", plural(x.boot.Patterns, "pattern", "patterns"))
	}

	if x.boot.BadBytes > 0 {
		boot.Verdict, boot.Summary = core.Fail, fmt.Sprintf("the kernel took %d KiB out of use", x.boot.BadBytes>>10)
	}

	steps := []core.SubStep{boot}

	for i := range r.Nodes {
		n := &r.Nodes[i]
		verdict := n.Exit.Reason.Verdict()

		if n.Tally.Faults > 0 || len(n.Faults) > 0 {
			verdict = core.Fail
		} else if verdict == core.Pass && n.Tested() == 0 {
			verdict = core.Error
		}

		steps = append(steps, core.SubStep{
			Name: fmt.Sprintf("node%d", n.ID), Part: nodePart(n.ID), Verdict: verdict, Progress: 1, Summary: nodeSummary(n),
		})
	}

	return steps
}

func nodeSummary(n *memory.NodeReport) string {
	text := fmt.Sprintf("%s of %s on %s", size(n.Tested()), size(n.Bytes), plural(len(n.CPUs), "CPU", "CPUs"))

	if seconds := n.Tally.Busy.Seconds(); seconds > 0 {
		text += fmt.Sprintf(", %.1f GiB/s verified on each, %s in %s", perSecond(float64(n.Tally.Verified)/seconds),
			plural(n.Tally.Passes, "pass", "passes"), n.Exit.Took.Round(time.Second))
	}

	if n.Stream.Copy > 0 {
		text += fmt.Sprintf(", copy %.1f GiB/s, triad %.1f GiB/s", perSecond(n.Stream.Copy), perSecond(n.Stream.Triad))
	}

	if n.Kernel != "" {
		text += "; canary: " + n.Kernel
	}

	return text
}

// measurements are kept with the stage. Bandwidth of a virtual machine is not: it
// would be compared with that of others, and is its host's affair.
func (x *memoryExam) measurements(r *memory.Report) (samples []core.Sample) {
	const mib = 1 << 20

	now := time.Now()
	add := func(node int, quantity, unit string, value float64) {
		samples = append(samples, core.Sample{
			Time: now, Key: fmt.Sprintf("memory/node%d/%s_%s", node, quantity, unit), Unit: unit, Value: value, Stage: core.Memory,
		})
	}

	for i := range r.Nodes {
		n := &r.Nodes[i]
		add(n.ID, "tested", "bytes", float64(n.Tested()))
		add(n.ID, "miscompares", "count", float64(n.Tally.Faults))

		if n.Stream.Copy > 0 && !x.virtual {
			add(n.ID, "copy", "mibps", n.Stream.Copy/mib)
			add(n.ID, "triad", "mibps", n.Stream.Triad/mib)
		}
	}

	return samples
}
