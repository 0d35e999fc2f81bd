package ras

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/problem"
)

// witnessed is everything that the machine reported around one stage.
type witnessed struct {
	stage         core.StageName
	used, virtual bool
	shared        bool // other programs are at work on the machine
	before, after Snapshot
	earlier       map[string]uint64 // corrected memory errors within a day before, by counter
	storms        map[string]bool   // counters that grew fast for minutes
	places        map[string]int    // where memory errors were before, in this boot
	events        []Event
	between       []Event // after the stage before, when nobody tested
	entries       []Entry
	records       []Record
	skipped       int

	heard, traced, bmc bool // what there was to listen to
	ecc                bool
	edac               []string // drivers of memory controllers

	first   bool     // of this boot: the residue is told
	boot    []Event  // said before the agent began
	crashes []string // files of a crash before
}

// file prints the kernel's log of the stage.
func (w *witnessed) file() []byte {
	var b bytes.Buffer
	for _, r := range w.records {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}

	return b.Bytes()
}

// seen judges.
func (w *witnessed) seen() stage.Seen {
	grown := w.after.Since(w.before)

	var found []core.Finding

	for i := range grown {
		grown[i].Earlier, grown[i].Storm, grown[i].Shared = w.earlier[grown[i].Name], w.storms[grown[i].Name], w.shared

		if f, ok := grown[i].judge(w.stage, w.used); ok {
			found = append(found, f)
		}
	}

	found = append(found, narrowed(w.before, w.after, w.stage, w.virtual)...)
	found = append(found, w.told()...)

	for i := range w.entries {
		if f, ok := w.entries[i].judge(w.stage, w.used); ok {
			found = append(found, f)
		}
	}

	found = append(found, w.blind()...)

	seen := stage.Seen{Measurements: w.measured()}
	seen.SubSteps = append(seen.SubSteps, w.step(grown, found))

	if w.first {
		residue := w.residue()
		seen.SubSteps = append(seen.SubSteps, core.SubStep{
			Name: "boot residue", Verdict: core.Pass, Progress: 1,
			Summary: fmt.Sprintf("%d lines, %d counters and %d crash records from before the test", len(w.boot), len(w.after.New(Snapshot{})), len(w.crashes)),
		})
		found = append(found, residue...)
	}

	seen.Findings = found

	return seen
}

// group is what was said about one part with one code.
type group struct {
	event Event
	count int
	texts []string
}

// maxTexts is how many of the lines that mean the same are printed.
const maxTexts = 3

// grouped joins events of one code and part, in the order in which they came.
func grouped(events []Event) (groups []*group) {
	known := map[Event]*group{}

	for _, e := range events {
		key := Event{Code: e.Code, Part: e.Part}

		g := known[key]
		if g == nil {
			g = &group{event: e}
			known[key] = g
			groups = append(groups, g)
		}

		g.count++

		if len(g.texts) < maxTexts {
			g.texts = append(g.texts, e.Text)
		}

		if weight(e.Severity) > weight(g.event.Severity) {
			g.event.Severity = e.Severity
		}
	}

	return groups
}

func weight(s core.Severity) int {
	return slices.Index([]core.Severity{core.Info, core.Warning, bySort, core.Critical}, s)
}

func (g *group) evidence() string {
	text := strings.Join(g.texts, "\n")
	if more := g.count - len(g.texts); more > 0 {
		text += fmt.Sprintf("\n… and %d more", more)
	}

	return text
}

// told makes findings of what the kernel said meanwhile.
func (w *witnessed) told() (found []core.Finding) {
	for _, g := range grouped(w.events) {
		severity := g.event.rank(w.used, w.virtual, w.stage == core.InventoryCheck)
		if g.event.Severity == bySort && corrected(uint64(g.count), w.used) == core.Critical { //nolint:gosec // counts
			severity = core.Critical
		}

		found = append(found, problem.Finding(g.event.Code, severity, w.stage, g.event.Part, g.evidence()))
	}

	now := addresses(w.events)

	for _, place := range slices.Sorted(maps.Keys(now)) {
		if n := now[place] + w.places[place]; n > 1 {
			found = append(found, problem.Finding("ras/memory-repeated", "", w.stage, core.Part{Kind: "memory"},
				fmt.Sprintf("%d corrected errors at the address %s", n, place)))
		}
	}

	for _, g := range grouped(w.between) {
		found = append(found, problem.Finding("ras/between-stages", "", w.stage, g.event.Part, g.event.Code+": "+g.evidence()))
	}

	if w.skipped > 0 {
		found = append(found, problem.Finding("ras/flood", "", w.stage, core.Part{},
			fmt.Sprintf("%d lines or events of the kernel were not kept", w.skipped)))
	}

	return found
}

// addresses counts memory errors by where they were.
func addresses(events []Event) map[string]int {
	count := map[string]int{}

	for _, e := range events {
		if at := address(e.Text); e.Code == "trace/memory-error" && at != "" {
			count[at]++
		}
	}

	return count
}

// blind says what could not be seen.
func (w *witnessed) blind() (found []core.Finding) {
	if !w.heard {
		found = append(found, problem.Finding("ras/kernel-log-unheard", "", w.stage, core.Part{}, "/dev/kmsg cannot be read"))
	}

	return append(found, w.uncounted()...)
}

// uncounted says that the kernel counts no memory errors although there is ECC: no
// driver found the memory controller. Where a BMC keeps a log it hears of errors, but
// most write one down only when a DIMM has had many, so that what a stage has brought
// about cannot be told.
func (w *witnessed) uncounted() []core.Finding {
	if tests := w.stage == core.Memory || w.stage == core.InventoryCheck; !tests || !w.ecc || w.after.of(MemoryCorrected) > 0 {
		return nil
	}

	severity := core.Severity("")
	if w.virtual {
		severity = core.Info
	}

	const controllers = "/sys/devices/system/edac/mc"

	drivers := "no EDAC driver is loaded"
	if len(w.edac) > 0 {
		drivers = "of the EDAC drivers loaded (" + strings.Join(w.edac, ", ") + ") none found its controller"
	}

	code, who := "ras/edac-missing", "the BMC's event log alone tells of errors, and many write down only those over a threshold"
	if !w.bmc {
		code, who = "ras/ecc-unobservable", "there is no BMC with an event log"
	}

	return []core.Finding{problem.Finding(code, severity, w.stage, core.Part{Kind: "memory"},
		fmt.Sprintf("the firmware says that the memory has ECC, but there is no memory controller under %s: %s; %s", controllers, drivers, who))}
}

// step is the line of the result about all this.
func (w *witnessed) step(grown []Delta, found []core.Finding) core.SubStep {
	verdict := core.Pass
	if slices.ContainsFunc(found, func(f core.Finding) bool { return f.Severity == core.Critical }) {
		verdict = core.Fail
	}

	sources := []string{fmt.Sprintf("%d counters, %d grew", len(w.after.Counters), len(grown))}

	for name, there := range map[string]bool{"kernel log": w.heard, "trace events": w.traced, "BMC event log": w.bmc, "ECC counters": w.after.of(MemoryCorrected) > 0} {
		if !there {
			name = "no " + name
		}

		sources = append(sources, name)
	}

	slices.Sort(sources[1:])

	return core.SubStep{Name: "error counters", Verdict: verdict, Summary: strings.Join(sources, ", "), Progress: 1}
}

// residue tells what was there before the agent: it fails nothing, since nobody
// knows what was done to the machine then.
func (w *witnessed) residue() (found []core.Finding) {
	say := func(severity core.Severity, part core.Part, evidence string) {
		found = append(found, problem.Finding("ras/boot-residue", severity, w.stage, part, evidence))
	}

	for _, g := range grouped(w.boot) {
		switch g.event.rank(w.used, w.virtual, true) {
		case core.Critical:
			say(core.Warning, g.event.Part, g.event.Code+": "+g.evidence())
		case core.Warning:
			say(core.Info, g.event.Part, g.event.Code+": "+g.evidence())
		default: // every machine has some of those
		}
	}

	for _, c := range w.before.New(Snapshot{}) {
		switch c.Kind {
		case MemoryCorrected, MemoryUncorrected, MemoryPoisoned, MachineCheck, DeferredError, PCIeUncorrected:
			say(core.Warning, c.Part, fmt.Sprintf("%s stood at %d before the test", c.Name, c.Value))
		case PCIeCorrected, ThresholdEvent:
			say(core.Info, c.Part, fmt.Sprintf("%s stood at %d before the test", c.Name, c.Value))
		default: // links and disks count while they are being found
		}
	}

	for _, name := range w.crashes {
		found = append(found, problem.Finding("ras/crash-record", "", w.stage, core.Part{}, "pstore held "+name+", which is among the files of this run"))
	}

	return found
}

// measured returns the counters that are not zero, as samples.
func (w *witnessed) measured() (samples []core.Sample) {
	keys := map[Kind]string{
		MemoryCorrected: "memory/%s/corrected_errors_count", MemoryUncorrected: "memory/%s/uncorrected_errors_count",
		PCIeCorrected: "pcie/%s/corrected_errors_count", PCIeUncorrected: "pcie/%s/uncorrected_errors_count",
		MachineCheck: "cpu/%s/machine_checks_count", DiskErrors: "disk/%s/io_errors_count",
	}
	sums := map[string]uint64{}

	for _, c := range w.after.Counters {
		if key, ok := keys[c.Kind]; ok && c.Value > 0 {
			sums[fmt.Sprintf(key, keyPart(c.Part.Slot))] += c.Value
		}
	}

	for key, sum := range sums {
		samples = append(samples, core.Sample{Time: w.after.Time.Truncate(time.Millisecond), Key: key, Value: float64(sum)})
	}

	slices.SortFunc(samples, func(a, b core.Sample) int { return strings.Compare(a.Key, b.Key) })

	return samples
}

// keyPart makes a part's name fit for a sample's key.
func keyPart(name string) string {
	if name == "" {
		return "all"
	}

	const longest = 40

	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._:-", r) {
			return r
		}

		return '-'
	}, strings.ToLower(name[:min(len(name), longest)]))
}
