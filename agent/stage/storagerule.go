package stage

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/agent/storage"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/problem"
)

// Codes of disks that were not tested.
const (
	notTestedDisk = problem.StorageNotTested
	badSectors    = problem.StorageSectorSize
	// slowZonesAllowed is how many stretches of a disk may be slow.
	slowZonesAllowed = 3
)

func stored(code string, severity core.Severity, part core.Part, format string, args ...any) core.Finding {
	return problem.Finding(code, severity, core.Storage, part, fmt.Sprintf(format, args...))
}

// storageRule is a row of the criteria.
type storageRule struct {
	id    string
	whole bool // only of a test that came to its end
	judge func(x *storageExam, t *storage.Tally, part core.Part) []core.Finding
}

// storageRules are applied to each disk that was to be tested.
func storageRules() []storageRule {
	return []storageRule{
		{"storage-gates", false, (*storageExam).refusals},
		{"storage-data", false, (*storageExam).wrongs},
		{"storage-whole", true, (*storageExam).unfinished},
		{"storage-latency", false, (*storageExam).latency},
		{"storage-zones", true, (*storageExam).zones},
		{"storage-discard", true, (*storageExam).discard},
		{"storage-shingled", false, (*storageExam).shingled},
	}
}

// findings applies the rules: all of them to a test that came to its end.
func (x *storageExam) findings(ended bool) (all []core.Finding) {
	for _, t := range x.tallies() {
		part := probe.DiskPart(x.drive(t))

		for _, rule := range storageRules() {
			if !rule.whole || ended {
				all = append(all, rule.judge(x, &t, part)...)
			}
		}
	}

	if x.report.Exit.Reason != "" {
		all = append(all, x.report.Exit.Findings(core.Part{Kind: "disk"})...)
	}

	if ended {
		all = append(all, x.absent()...)
		all = append(all, x.arrived()...)
		all = append(all, x.untold()...)
	}

	return append(all, x.aside()...)
}

// refusals are the gates that were shut for a disk that is armed.
func (x *storageExam) refusals(t *storage.Tally, part core.Part) (found []core.Finding) {
	for _, r := range t.Refused {
		found = append(found, stored(r.Code, "", part, "%s", r.Evidence))
	}

	return found
}

// codeOf is the code of what can be wrong.
func codeOf(kind storage.Kind) string {
	switch kind {
	case storage.ReadError:
		return problem.StorageReadError
	case storage.WriteError:
		return problem.StorageWriteError
	case storage.Corrupt:
		return problem.StorageCorrupt
	case storage.Dropped:
		return problem.StorageDropped
	case storage.Misplaced:
		return problem.StorageMisplaced
	case storage.Swapped:
		return problem.StorageSwapped
	case storage.Wrapped:
		return problem.StorageWrapped
	case storage.Crossed:
		return problem.StorageCrossed
	case storage.Unsteady:
		return problem.StorageUnsteady
	case storage.Vanished:
		return problem.StorageVanished
	default:
		return problem.StorageNotTested
	}
}

// wrongs are what a disk did to data, one finding for each kind of thing.
func (x *storageExam) wrongs(t *storage.Tally, part core.Part) (found []core.Finding) {
	byCode := map[string][]storage.Wrong{}

	var order []string

	for _, w := range t.Mark.Wrong {
		code := w.Code
		if code == "" {
			code = codeOf(w.Kind)
		}

		if byCode[code] == nil {
			order = append(order, code)
		}

		byCode[code] = append(byCode[code], w)
	}

	for _, code := range order {
		found = append(found, stored(code, "", part, "%s", diskEvidence(byCode[code], t)))
	}

	return found
}

// diskEvidence tells of the first few.
func diskEvidence(wrongs []storage.Wrong, t *storage.Tally) string {
	const shown = 3

	words := make([]string, 0, shown+1)

	for _, w := range wrongs[:min(shown, len(wrongs))] {
		if w.Length == 0 {
			words = append(words, w.Text)

			continue
		}

		words = append(words, fmt.Sprintf("%d bytes at %d (LBA %d): %s", w.Length, w.Offset, w.Offset/512, w.Text))
	}

	if more := len(wrongs) - shown; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}

	if t.Mark.Wrongs > len(t.Mark.Wrong) {
		words = append(words, fmt.Sprintf("%d in all", t.Mark.Wrongs))
	}

	return strings.Join(words, "; ")
}

// unfinished says that a test did not come to its end where nothing else says why.
func (x *storageExam) unfinished(t *storage.Tally, part core.Part) []core.Finding {
	if t.Over || len(t.Refused) > 0 || len(t.Mark.Wrong) > 0 {
		return nil
	}

	if refused := x.refusedElsewhere(); refused != "" {
		return []core.Finding{stored(notTestedDisk, core.Info, part, "nothing is tested while %s is refused", refused)}
	}

	return []core.Finding{stored(notTestedDisk, "", part, "it ended in %q, %d of %d bytes", t.Step, t.Done, t.Total)}
}

// refusedElsewhere names a disk at whose gates the whole test stopped.
func (x *storageExam) refusedElsewhere() string {
	for _, t := range x.tallies() {
		if len(t.Refused) > 0 {
			return t.Name
		}
	}

	return ""
}

// reach are the times that a request to a disk may take before it is told, and before it
// is held against the disk. One that turns may take longer. One that rearranges its
// shingled tracks by itself has its requests wait meanwhile, for tens of seconds where a
// long test leaves it no time to rest: that is how it works, until the kernel itself
// loses its patience.
func reach(d probe.Drive) (warn, critical time.Duration) {
	switch {
	case rearranges(d):
		return verySlowRead, kernelPatience
	case d.Rotational:
		return slowRead, verySlowRead
	default:
		return slowFlash, verySlowRead
	}
}

// rearranges reports whether a disk turns and rearranges its shingled tracks by itself, as
// far as is known.
func rearranges(d probe.Drive) bool {
	return d.Rotational && (d.Shingled == disk.DriveManaged || d.Shingled == disk.HostAware)
}

// shingled says that a disk is one of those, and what was judged less strictly by that.
func (x *storageExam) shingled(t *storage.Tally, part core.Part) []core.Finding {
	d := x.tested(*t)
	if !rearranges(d) {
		return nil
	}

	return []core.Finding{stored(problem.StorageShingled, core.Info, part,
		"%s, %s; slow stretches are told and no warning, and requests may take %v", d.Shingled, d.ShingledBy, verySlowRead)}
}

// latency judges the slowest requests.
func (x *storageExam) latency(t *storage.Tally, part core.Part) (found []core.Finding) {
	warn, critical := reach(x.tested(*t))

	most := max(t.Reads.Most, t.Writes.Most, t.Random.Most)
	severity := core.Warning

	switch {
	case most <= warn:
		return nil
	case x.virtual:
		severity = core.Info // who shares a machine waits for others
	case most > critical:
		severity = core.Critical
	}

	slow := t.Reads.Over(warn) + t.Writes.Over(warn) + t.Random.Over(warn)

	return []core.Finding{stored(problem.StorageSlowRequest, severity, part,
		"the slowest request took %v; %d took longer than %v", most.Round(time.Millisecond), max(slow, 1), warn)}
}

// zones judges stretches that are slow beside those around them.
func (x *storageExam) zones(t *storage.Tally, part core.Part) (found []core.Finding) {
	for _, what := range []string{"read", "write"} {
		slow := t.Slow[what]
		if len(slow) <= slowZonesAllowed {
			continue
		}

		severity := core.Warning
		if x.virtual || rearranges(x.tested(*t)) {
			severity = core.Info
		}

		slowest := slices.MinFunc(slow, func(a, b storage.Point) int {
			switch {
			case a.MiBps < b.MiBps:
				return -1
			case a.MiBps > b.MiBps:
				return 1
			default:
				return 0
			}
		})

		found = append(found, stored(problem.StorageSlowZones, severity, part,
			"%s: %d stretches are less than half as fast as those around them, the slowest, %.1f MiB/s, at %d bytes", what, len(slow), slowest.MiBps, slowest.Offset))
	}

	return found
}

// discard says where what was written is still there although the profile wants it
// gone.
func (x *storageExam) discard(t *storage.Tally, part core.Part) []core.Finding {
	if !t.Wrote || !t.Over || x.plan.Discard == "" || !strings.HasPrefix(strings.ToLower(t.Discard), "not ") {
		return nil
	}

	severity := core.Warning

	switch {
	case x.plan.Discard == "secure":
		severity = core.Critical // it was asked for by name
	case strings.HasPrefix(t.Discard, storage.CannotDiscard):
		severity = core.Info // many disks that turn know nothing of it
	}

	return []core.Finding{stored(problem.StorageNotErased, severity, part, "%s", t.Discard)}
}

// untold are disks of the job of which the worker never said anything.
func (x *storageExam) untold() (found []core.Finding) {
	for i, d := range x.drives {
		if _, out := x.left[i]; out {
			continue
		}

		if _, told := x.report.Tallies[x.keys[i]]; !told {
			found = append(found, stored(notTestedDisk, "", probe.DiskPart(d.Disk), "the worker told nothing of it"))
		}
	}

	return found
}

// absent are disks that are expected, or armed, and not there.
func (x *storageExam) absent() (found []core.Finding) {
	for _, want := range x.env.Disks {
		if slices.ContainsFunc(x.drives, func(d probe.Drive) bool { return isExpected(want, d.Disk) }) {
			continue
		}

		// An armed one that is there under its serial number, and is not the one that is
		// meant, was refused already.
		if want.Armed && slices.ContainsFunc(x.tallies(), func(t storage.Tally) bool { return t.Serial == want.Serial }) {
			continue
		}

		severity := core.Critical
		if want.Known {
			severity = core.Warning // nobody asks for it: it may have been taken out
		}

		found = append(found, stored(problem.StorageMissing, severity, core.Part{Kind: "disk", Model: want.Model, Serial: want.Serial}, "%s", noSuchDisk(want)))
	}

	return found
}

// arrived are disks that were not there when the stage began, wherever they are plugged
// in. One that went away and came back has the identity that it had.
func (x *storageExam) arrived() (found []core.Finding) {
	now, _ := x.machine.Disks() //nolint:errcheck // who does not answer is there all the same

	for _, d := range now {
		known := func(was probe.Drive) bool {
			return identity(was) == identity(d) || was.Name == d.Name && was.Path == d.Path
		}
		if slices.ContainsFunc(x.drives, known) {
			continue
		}

		severity := core.Severity("")
		if d.Transport == "usb" || d.Network != "" {
			severity = core.Info // such disks are not tested at all
		}

		found = append(found, stored(problem.StorageAppeared, severity, probe.DiskPart(d.Disk), "%s was not there when the stage began", d.Name))
	}

	return found
}

// aside are disks that could not be tested, are hidden in part, or are armed in vain.
func (x *storageExam) aside() (found []core.Finding) {
	for i, d := range x.drives {
		part := probe.DiskPart(d.Disk)

		if why := x.left[i]; why.code != "" {
			found = append(found, stored(why.code, why.severity, part, "NOT tested: %s", why.why))
		}

		if d.NativeBytes > d.SizeBytes && d.SizeBytes > 0 {
			found = append(found, stored(problem.StorageHidden, "", part, "it shows %d of its %d bytes", d.SizeBytes, d.NativeBytes))
		}

		if x.armed(d.Disk) && !x.write {
			found = append(found, stored(problem.StorageNotDestructive, core.Warning, part, "it is armed, and the profile reads only: write NOT tested"))
		}
	}

	return found
}

// ourDiskFaults are codes that say that the test was not done, not that a disk is bad.
func ourDiskFaults() []string {
	codes := []string{
		problem.StorageNotLive, problem.StorageNotDestructive, problem.StorageNoLease, problem.StorageNoSerial, problem.StorageProtected,
		problem.StorageNotExpected, problem.StorageNotArmed, problem.StorageOtherDisk, problem.StorageNeverSeen, problem.StorageSameSerial,
		problem.StorageRemovable, problem.StorageNetworked, problem.StorageVolume, problem.StorageReadOnly, problem.StorageReserved,
		problem.StorageUnknown, problem.StorageSectorSize, problem.StorageKit, problem.StorageTwin, problem.StorageInUse, problem.StorageNotProbed,
		problem.StorageNotExclusive, problem.StorageChanged, problem.StorageCanary, problem.StorageNotTested, problem.StorageMissing,
		problem.StorageZoned, problem.StorageNotErased,
	}

	for _, reason := range worker.Reasons() {
		if reason.Verdict() == core.Error {
			codes = append(codes, "worker/"+string(reason))
		}
	}

	return codes
}

// coverage says how much of how many disks was tested, and what was not.
func (x *storageExam) coverage() string {
	var (
		read, wrote, armed     int
		readBytes, wroteBytes  int64
		readOf, wroteOf, bytes int64
	)

	for _, t := range x.tallies() {
		bytes = int64(x.drive(t).SizeBytes)

		switch {
		case t.Mark.Verified > 0:
			wrote++
			wroteBytes += t.Mark.Verified
			wroteOf += bytes
		case t.Mark.Read > 0:
			read++
			readBytes += t.Mark.Read - t.Mark.Compared
			readOf += bytes
		}
	}

	for _, e := range x.env.Disks {
		if e.Armed {
			armed++
		}
	}

	total := max(x.count(), read+wrote)
	text := fmt.Sprintf("%d of %d disks", read+wrote, total)

	if wrote > 0 {
		text += fmt.Sprintf("; %d written and verified (%s)", wrote, portion(wroteBytes, wroteOf))
	}

	if read > 0 {
		text += fmt.Sprintf("; %d read (%s), write NOT tested", read, portion(readBytes, readOf))
	}

	if untested := total - read - wrote; untested > 0 {
		text += fmt.Sprintf("; %d NOT tested", untested)
	}

	if armed == 0 {
		text += "; no disk was armed"
	}

	if sticks := x.leftOut(""); len(sticks) > 0 {
		text += "; USB storage " + strings.Join(sticks, " ") + " NOT tested"
	}

	return text + remoteCoverage(x.leftOut(problem.StorageNetworked))
}

// leftOut names the disks that are not tested for a reason, and need not be.
func (x *storageExam) leftOut(code string) (names []string) {
	for i, d := range x.drives {
		if why, out := x.left[i]; out && why.code == code && !why.mine() {
			names = append(names, d.Name)
		}
	}

	return names
}

// portion writes how much of something was moved, passes and all.
func portion(part, of int64) string {
	const gib = 1 << 30

	if of == 0 {
		return "nothing"
	}

	percent := 100 * float64(part) / float64(of)
	digits := 0

	if percent < 10 {
		digits = 1
	}

	return fmt.Sprintf("%.1f GiB, %.*f %%", float64(part)/gib, digits, percent)
}

// subSteps are the disks.
func (x *storageExam) subSteps() (steps []core.SubStep) {
	for _, t := range x.tallies() {
		step := core.SubStep{Name: t.Name, Part: probe.DiskPart(x.drive(t)), Verdict: core.Pass, Progress: 1, Summary: summaryOf(&t, rearranges(x.tested(t)))}

		var found []core.Finding
		for _, rule := range storageRules() {
			found = append(found, rule.judge(x, &t, step.Part)...)
		}

		if verdict, _ := x.verdict(found); verdict != core.Skip {
			step.Verdict = verdict
		}

		if !t.Over && step.Verdict == core.Pass {
			step.Verdict = core.Skip
		}

		steps = append(steps, step)
	}

	for _, f := range x.untold() {
		steps = append(steps, core.SubStep{Name: f.Part.Slot, Part: f.Part, Verdict: core.Error, Summary: "NOT tested: " + f.Evidence, Progress: 1})
	}

	for i, d := range x.drives {
		if why, out := x.left[i]; out {
			verdict := core.Skip
			if why.mine() && why.severity == "" {
				verdict = core.Error
			}

			steps = append(steps, core.SubStep{Name: d.Name, Part: probe.DiskPart(d.Disk), Verdict: verdict, Summary: "NOT tested: " + why.why, Progress: 1})
		}
	}

	return steps
}

// summaryOf says in one line what was done with a disk.
func summaryOf(t *storage.Tally, shingled bool) string {
	if len(t.Refused) > 0 {
		words := make([]string, len(t.Refused))
		for i, r := range t.Refused {
			words[i] = r.Evidence
		}

		return "NOT written: " + strings.Join(words, "; ")
	}

	var words []string

	if t.Wrote {
		words = append(words, fmt.Sprintf("%.1f GiB written, %.1f GiB verified", gibOf(t.Mark.Written), gibOf(t.Mark.Verified)))
	} else {
		words = append(words, fmt.Sprintf("%.1f GiB read, %.1f GiB of it twice and compared, write NOT tested", gibOf(t.Mark.Read-t.Mark.Compared), gibOf(t.Mark.Compared)))
	}

	if t.InUse {
		words = append(words, "in use by somebody")
	}

	if shingled {
		words = append(words, "shingled tracks (SMR)")
	}

	for _, what := range []struct {
		word string
		rate float64
	}{{"write", rate(t.Bytes.Written, t.Writing)}, {"read", rate(t.Bytes.Read-t.Bytes.Backwards, t.Reading)}} {
		if what.rate > 0 {
			words = append(words, fmt.Sprintf("%s %.0f MiB/s", what.word, what.rate))
		}
	}

	if t.Random.Total > 0 {
		words = append(words, fmt.Sprintf("single reads %v, 99 %% within %v", briefly(t.Random.Quantile(0.5)), briefly(t.Random.Quantile(0.99))))
	}

	if t.Mark.Wrongs > 0 {
		words = append(words, fmt.Sprintf("%d wrong", t.Mark.Wrongs))
	}

	if t.Discard != "" {
		words = append(words, t.Discard)
	}

	return strings.Join(words, ", ")
}

func gibOf(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func briefly(d time.Duration) time.Duration {
	if d > 10*time.Millisecond {
		return d.Round(time.Millisecond)
	}

	return d.Round(10 * time.Microsecond)
}

// rate is MiB a second; NaN where nothing was moved.
func rate(bytes int64, took time.Duration) float64 {
	if bytes <= 0 || took <= 0 {
		return math.NaN()
	}

	return float64(bytes) / (1 << 20) / took.Seconds()
}

// measurements are the figures of each disk, and of the slowest of each model, which
// other hosts have, too; those of a test that was shortened are compared with nobody.
func (x *storageExam) measurements() (samples []core.Sample) {
	slowest := map[string]float64{}

	for _, t := range x.tallies() {
		if t.Mark.Read+t.Mark.Written == 0 {
			continue
		}

		add := func(quantity string, value float64) {
			if !math.IsNaN(value) {
				samples = append(samples, x.sample(t.ID, quantity, value))
			}
		}

		reads := rate(t.Bytes.Read-t.Bytes.Backwards, t.Reading)
		add("read_mibps", reads)
		add("write_mibps", rate(t.Bytes.Written, t.Writing))
		add("miscompares_count", float64(t.Mark.Wrongs))
		add("slowest_request_milliseconds", float64(max(t.Reads.Most, t.Writes.Most, t.Random.Most))/1e6)

		if t.Wrote {
			add("verified_bytes", float64(t.Mark.Verified))
		}

		if t.Random.Total > 0 {
			add("random_read_p50_milliseconds", float64(t.Random.Quantile(0.5))/1e6)
			add("random_read_p99_milliseconds", float64(t.Random.Quantile(0.99))/1e6)
		}

		if t.Over {
			add("slow_zones_count", float64(len(t.Slow["read"])+len(t.Slow["write"])))
		}

		// How fast a disk reads what it has not put in its place yet is no measure of it.
		if t.Wrote && rearranges(x.tested(t)) {
			continue
		}

		if model := driveParts([]probe.Drive{{Disk: core.Disk{Serial: x.drive(t).Model}}})[0]; model != "" && t.Over && !x.virtual && x.env.Scale >= 1 && !math.IsNaN(reads) {
			if known, ok := slowest[model]; !ok || reads < known {
				slowest[model] = reads
			}
		}
	}

	for model, value := range slowest {
		samples = append(samples, x.sample(model, "model_read_mibps", value))
	}

	return samples
}
