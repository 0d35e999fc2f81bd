package stage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vetting/agent/probe"
	"vetting/agent/storage"
	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// DiskTester tests disks, as [storage.Run] does.
type DiskTester func(ctx context.Context, t storage.Test) storage.Report

const (
	// sampleShare is how much of a disk a sample is.
	sampleShare  = 0.02
	usualRandom  = time.Minute
	bufferShare  = 8 // of the memory, at most: one part in so many
	requestBytes = 1 << 20
)

// Storage reads the disks, and writes and verifies those that are armed where the
// profile says destructive: stages.md §3.7. What may be written is decided in the
// worker that opens the disk, see core/diskguard; the stage says what it found, what
// was wrong, and what was not tested. What SMART counts meanwhile is for [DiskCounters].
func Storage(m probe.Machine, workers Workforce, tester DiskTester) Func {
	return func(ctx context.Context, env Env) core.Result {
		x := &storageExam{env: env, machine: m, virtual: m.Virtual(), begun: time.Now()}

		test, err := x.configure()
		if err != nil {
			return core.Result{
				Verdict: core.Error, Coverage: nothingTested,
				Findings: []core.Finding{stored(notTestedDisk, "", core.Part{Kind: "disk"}, "%s", err)},
			}
		}

		if len(test.Job.Disks) > 0 {
			test.Workers = workers(env.Log)
			x.report = tester(ctx, test)
		}

		if cause := context.Cause(ctx); cause != nil {
			return x.interrupted(cause)
		}

		env.Progress("", 1, 0)

		return x.result()
	}
}

// storageExam is one run of the stage.
type storageExam struct {
	env     Env
	machine probe.Machine
	virtual bool
	begun   time.Time

	write  bool // the profile says destructive
	extent string
	share  float64 // of each disk
	plan   storage.Plan
	seed   uint64

	drives []probe.Drive
	keys   []string      // their IDs, which are their parts of sample keys, too
	left   map[int]aside // drives that are not tested, by number
	report storage.Report

	mu    sync.Mutex // guards the rest
	last  map[string]storage.Tally
	saved time.Time
	told  map[string]told
	speed map[string]float64 // bytes a second
	start map[string]start
	shown time.Time // when all were measured last
}

// aside is why a drive is not tested.
type aside struct {
	code     string // empty: it need not be
	severity core.Severity
	why      string
}

// mine reports whether the disk is one that is to be tested.
func (a aside) mine() bool { return a.code != "" && a.severity != core.Info }

// leastDisk is the smallest disk that is tested: of a few blocks.
const leastDisk = 16 << 10

// told is what was told of a disk last.
type told struct {
	at            time.Time
	read, written int64
}

// metersEvery is how often all disks are measured: each tells of itself more often, and
// heartbeats are seconds apart.
const metersEvery = time.Second

// start is since when a disk is worked on, and what of it was done by then: others may
// have had its place before, and an earlier process may have done a part.
type start struct {
	at    time.Time
	done  int64
	moved bool // something was done of it in this process
}

// configure makes the test of the profile's settings and of what is there.
func (x *storageExam) configure() (test storage.Test, err error) {
	if err := x.read(); err != nil {
		return test, err
	}

	if x.drives, err = x.machine.Disks(); err != nil {
		x.env.Log.Warn("something did not answer", slog.String("error", err.Error()))
	}

	x.keys, x.left = driveParts(x.drives), map[int]aside{}
	x.last, x.told = map[string]storage.Tally{}, map[string]told{}
	x.speed, x.start = map[string]float64{}, map[string]start{}
	x.seed = rand.Uint64() //nolint:gosec // contents are no secret

	seed, earlier, resumed := storage.Load(x.env.Resume)
	if resumed {
		x.seed = seed
		x.env.Log.Info("the disks were tested before", slog.Int("disks", len(earlier)))
	}

	job := storage.Job{
		Plan: x.plan, Seed: x.seed, Destructive: x.write, Expected: x.env.Disks, Most: x.links(),
		Protected: protected(x.env.Config[profile.StorageProtect]), BlankOnly: x.env.Config[profile.StorageForeign] != "signatures",
	}

	for i, d := range x.drives {
		if why, out := x.leaveOut(d); out {
			x.left[i] = why

			continue
		}

		job.Disks = append(job.Disks, x.target(i, earlier))
	}

	return storage.Test{
		Job: job, Lease: x.env.WriteLease, OverrideUntil: x.env.OverrideUntil, Told: x.hear,
	}, nil
}

// protected are the entries of a list that commas separate, so that they may have spaces
// in them. Without a comma it cannot be told whether a space is between two entries or in
// one: then every run of words counts as one, since a disk too many that is not written
// does no harm.
func protected(list string) (entries []string) {
	const longest = 8 // words of a serial number, which has 20 to 40 characters

	if strings.Contains(list, ",") {
		return strings.Split(list, ",")
	}

	words := strings.Fields(list)
	for from := range words {
		for to := from + 1; to <= min(from+longest, len(words)); to++ {
			entries = append(entries, strings.Join(words[from:to], " "))
		}
	}

	return entries
}

// driveParts names disks in sample keys.
func driveParts(drives []probe.Drive) []string {
	all := make([]subject, len(drives))
	for i := range drives {
		all[i].Drive = drives[i]
	}

	return sampleParts(all)
}

// read reads the settings.
func (x *storageExam) read() error {
	config := x.env.Config
	x.write, x.extent = config[profile.StorageMode] == "destructive", cmp.Or(config[profile.StorageExtent], "sample")

	passes, err := number(config, profile.StoragePasses, 1)
	if err != nil {
		return err
	}

	random, err := (&memoryExam{env: x.env}).duration(profile.StorageRandom, usualRandom)
	if err != nil {
		return err
	}

	scale := min(1, max(x.env.Scale, 0))

	x.share = sampleShare * scale
	if x.extent == "full" {
		x.share = scale
	}

	x.plan = storage.Plan{
		Share: x.share, Edge: max(requestBytes, int64(storage.Edge*scale)), Passes: passes, Random: random,
		Alternate: config[profile.StorageOrder] == "alternating",
	}
	if finish := config[profile.StorageFinish]; finish == "discard" || finish == "secure" {
		x.plan.Discard = finish
	}

	return nil
}

// armed reports whether a disk is to be overwritten, as far as its serial number says;
// all else is for the gates.
func (x *storageExam) armed(d core.Disk) bool {
	return d.Serial != "" && slices.ContainsFunc(x.env.Disks, func(e core.ExpectedDisk) bool { return e.Armed && e.Serial == d.Serial })
}

// expected reports whether somebody asks for the disk: the spec of the host, or who armed it.
func (x *storageExam) expected(d core.Disk) bool {
	return slices.ContainsFunc(x.env.Disks, func(want core.ExpectedDisk) bool { return !want.Known && isExpected(want, d) })
}

// leaveOut says which disks are not tested. An armed one goes to the gates whatever it
// is, which say what is in the way.
func (x *storageExam) leaveOut(d probe.Drive) (why aside, out bool) {
	armed := x.armed(d.Disk) && x.write

	switch {
	case d.Network != "" && !armed && x.expected(d.Disk):
		return aside{problem.StorageNetworked, "", "reached by " + d.Network + ": others may have it in use"}, true
	case d.Network != "" && !armed:
		return aside{problem.StorageNetworked, core.Info, "reached by " + d.Network + ": others may have it in use"}, true
	case d.SizeBytes == 0 || d.LogicalBlock%512 != 0 || d.LogicalBlock < 512:
		return aside{badSectors, "", fmt.Sprintf("%d bytes, sectors of %d", d.SizeBytes, d.LogicalBlock)}, true
	case d.SizeBytes < leastDisk:
		return aside{notTestedDisk, "", fmt.Sprintf("%d bytes are no disk", d.SizeBytes)}, true
	case armed:
		return why, false
	case d.Zoned && x.expected(d.Disk):
		return aside{problem.StorageZoned, "", "its zones are the host's to manage"}, true
	case d.Zoned:
		return aside{problem.StorageZoned, core.Warning, "its zones are the host's to manage"}, true
	case x.expected(d.Disk):
		return why, false // wherever it is plugged in
	case d.Transport == "usb" || d.Removable:
		return aside{"", "", "removable or on USB"}, true
	default:
		return why, false
	}
}

func (x *storageExam) target(number int, earlier map[string]storage.Tally) storage.Disk {
	d := x.drives[number]
	t := storage.Disk{
		ID: x.keys[number], Name: d.Name, Serial: d.Serial, WWN: d.WWN, Bytes: int64(d.SizeBytes), Block: d.LogicalBlock, Spins: d.Rotational, Depth: x.depth(d), Group: controller(d.Path),
		Write: x.write && x.armed(d.Disk), Override: d.Serial != "" && slices.Contains(x.env.Overrides, core.WipeFlag(d.Serial)),
	}

	// Another disk may be there under the same name.
	if was, known := earlier[t.ID]; known && was.Serial == d.Serial && strings.EqualFold(was.WWN, d.WWN) {
		t.Resume = &was
	}

	return t
}

// depth is how many requests are under way at a disk, within what memory there is.
func (x *storageExam) depth(d probe.Drive) int {
	const turning, flash, nvme = 4, 8, 16

	depth := flash

	switch {
	case d.Rotational:
		depth = turning
	case d.Transport == "nvme":
		depth = nvme
	}

	room := x.machine.Memory(nil).UsableBytes / bufferShare / requestBytes / uint64(max(1, len(x.drives)))

	return max(1, min(depth, int(min(room, 1<<10))))
}

// controller is the bus address in a disk's path: "pci-0000:00:1f.2".
func controller(path string) string {
	before, rest, ok := strings.Cut(path, "-")
	if !ok || before != "pci" {
		return ""
	}

	address, _, _ := strings.Cut(rest, "-")

	return address
}

// links says how many disks at a time the link of each controller carries.
func (x *storageExam) links() map[string]int {
	most := map[string]int{}

	for _, d := range x.drives {
		address := controller(d.Path)
		if address == "" || d.Transport == "nvme" || d.Transport == "virtio" {
			continue
		}

		need := 550.0 // MB/s that a SATA disk of flash moves
		if d.Rotational {
			need = 280
		}

		if bandwidth := linkBandwidth(x.machine.Root, address); bandwidth > 0 {
			fits := max(1, int(bandwidth/need))
			if known := most[address]; known == 0 || fits < known {
				most[address] = fits
			}
		}
	}

	return most
}

// linkBandwidth is how many MB/s a PCI Express link carries; 0: it tells nothing.
func linkBandwidth(root fs.FS, address string) float64 {
	read := func(name string) string {
		text, err := fs.ReadFile(root, "sys/bus/pci/devices/"+address+"/"+name)
		if err != nil {
			return ""
		}

		return strings.TrimSpace(string(text))
	}

	speed, _, ok := strings.Cut(read("current_link_speed"), " GT/s")
	rate, err := strconv.ParseFloat(speed, 64)
	lanes, bad := strconv.Atoi(read("current_link_width"))

	if !ok || err != nil || bad != nil || lanes <= 0 || lanes > 32 {
		return 0
	}

	coding := 128.0 / 130
	if rate <= 5 {
		coding = 0.8 // 8b/10b
	}

	return rate * 1000 / 8 * coding * float64(lanes)
}

// hear takes in how a disk stands, and reports whether that is kept.
func (x *storageExam) hear(t storage.Tally) (kept bool) {
	x.mu.Lock()
	defer x.mu.Unlock()

	// What may not be done twice is kept before it is done, and that a disk is done, too.
	atOnce := t.Note > 0 || t.Over && !x.last[t.Key()].Over
	x.last[t.Key()] = t

	if s, found := x.start[t.Key()]; !s.moved {
		x.start[t.Key()] = start{at: time.Now(), done: t.Done, moved: found && t.Done != s.done}
	}

	done, total := int64(0), int64(0)
	for key := range x.last {
		one := x.last[key]
		done += one.Done
		total += one.Total
	}

	if total > 0 {
		x.env.Progress(t.Name+" "+t.Step, float64(done)/float64(total), eta(x.begun, done, total-done))
	}

	x.env.Sensor(x.rates(t)...)

	if x.env.Meters != nil && (atOnce || time.Since(x.shown) >= metersEvery) {
		x.shown = time.Now()
		x.env.Meters(x.meters())
	}

	if !atOnce && time.Since(x.saved) < checkpointEvery {
		return false
	}

	x.saved = time.Now()
	raw := storage.Save(x.seed, x.last, MaxCheckpoint)

	if raw == nil {
		return false
	}

	return x.env.Checkpoint(raw)
}

// eta is how long the rest takes if it goes on as since begun; 0: not known.
func eta(begun time.Time, done, rest int64) time.Duration {
	if done <= 0 {
		return 0
	}

	return span(time.Since(begun).Seconds() / float64(done) * float64(rest))
}

// span is so many seconds, as far as there can be.
func span(seconds float64) time.Duration {
	const most = 200 * 365 * 24 * time.Hour

	return time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
}

// rates are how fast a disk was since it was told of last. x.mu is held.
func (x *storageExam) rates(t storage.Tally) (samples []core.Sample) {
	now, before := time.Now(), x.told[t.Key()]
	x.told[t.Key()] = told{now, t.Bytes.Read, t.Bytes.Written}

	passed := now.Sub(before.at).Seconds()
	if before.at.IsZero() || passed <= 0 || t.Over {
		delete(x.speed, t.Key())

		return nil
	}

	x.speed[t.Key()] = max(0, float64(t.Bytes.Read-before.read+t.Bytes.Written-before.written)/passed)

	for quantity, bytes := range map[string]int64{"read_mibps": t.Bytes.Read - before.read, "write_mibps": t.Bytes.Written - before.written} {
		if bytes > 0 {
			samples = append(samples, x.sample(t.ID, quantity, float64(bytes)/(1<<20)/passed))
		}
	}

	return samples
}

// meters are those of all disks that were told of, in their order. x.mu is held.
func (x *storageExam) meters() (meters []core.Meter) {
	for i, d := range x.drives {
		t, found := x.last[x.keys[i]]
		if !found {
			continue
		}

		m := core.Meter{
			Part: core.Part{Kind: "disk", Slot: cmp.Or(d.Bay, d.Name), Model: d.Model, Serial: d.Serial},
			Step: t.Step, Walks: x.plan.Walks(int64(d.SizeBytes), &t), Errors: t.Mark.Wrongs, Over: t.Over,
		}

		if t.Total > 0 {
			m.Done = float64(t.Done) / float64(t.Total)
		}

		if rate := x.speed[x.keys[i]]; rate > 0 && !t.Over {
			now := span(float64(t.Total-t.Done) / rate)
			since := x.start[x.keys[i]]
			whole := eta(since.at, t.Done-since.done, t.Total-t.Done)

			m.Rate, m.LeftLow, m.LeftHigh = rate, min(now, cmp.Or(whole, now)), max(now, whole)
		}

		meters = append(meters, m)
	}

	return meters
}

func (x *storageExam) sample(part, quantity string, value float64) core.Sample {
	return core.Sample{Time: time.Now(), Key: "disk/" + strings.ToLower(part) + "/" + quantity, Value: value, Stage: core.Storage}
}

// interrupted is the result of a test that was stopped: what was wrong until then
// counts.
func (x *storageExam) interrupted(cause error) core.Result {
	r := stopped(cause)

	// How the worker ended is the doing of who stopped it.
	found := slices.DeleteFunc(x.findings(false), func(f core.Finding) bool { return slices.Contains(ourDiskFaults(), f.Code) })
	r.Findings = append(r.Findings, found...)
	r.Coverage = x.coverage()
	r.Measurements = x.measurements()

	if worst(found) == core.Fail {
		r.Verdict = core.Fail
	}

	return r
}

// result adds up.
func (x *storageExam) result() core.Result {
	r := core.Result{Findings: x.findings(true), Coverage: x.coverage(), SubSteps: x.subSteps(), Measurements: x.measurements()}
	r.Verdict, r.SkipReason = x.verdict(r.Findings)

	if len(x.report.Tallies) > 0 {
		x.keep()
	}

	return r
}

// verdict is fail where something is said against a disk or it holds data, error where
// part of the work was not done.
func (x *storageExam) verdict(findings []core.Finding) (verdict core.Verdict, skipReason string) {
	if x.count() == 0 && len(findings) == 0 {
		return core.Skip, "the machine has no disks"
	}

	verdict = core.Pass

	for _, f := range findings {
		switch {
		case f.Severity != core.Critical:
		case slices.Contains(ourDiskFaults(), f.Code):
			verdict = core.Error
		default:
			return core.Fail, ""
		}
	}

	if verdict == core.Pass && x.count() == 0 {
		return core.Skip, "the machine has no disks of its own"
	}

	return verdict, ""
}

// count is how many disks are to be tested.
func (x *storageExam) count() (n int) {
	for i := range x.drives {
		if why, out := x.left[i]; !out || why.mine() {
			n++
		}
	}

	return n
}

// keep leaves the curves and times of all disks for people to read.
func (x *storageExam) keep() {
	raw, err := json.MarshalIndent(x.report.Tallies, "", " ")
	if err == nil {
		x.env.Keep("disks.json", raw)
	}
}

// tested finds what was tested as a tally says.
func (x *storageExam) tested(t storage.Tally) probe.Drive {
	if i := slices.Index(x.keys, t.ID); i >= 0 {
		return x.drives[i]
	}

	return probe.Drive{Disk: core.Disk{Name: t.Name, Serial: t.Serial}}
}

// drive is tested, without how to talk to it.
func (x *storageExam) drive(t storage.Tally) core.Disk { return x.tested(t).Disk }

// tallies are those of all disks, in the order of their names.
func (x *storageExam) tallies() []storage.Tally {
	return slices.SortedFunc(maps.Values(x.report.Tallies), func(a, b storage.Tally) int { return strings.Compare(a.Name, b.Name) })
}
