package stage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"vetting/agent/collect"
	"vetting/agent/cpu/drill"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/storage"
	"vetting/agent/wire"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
	"vetting/core/profile"
)

// The disks of the machine that Storage is tested on: one that turns, one of flash, a
// stick.
const (
	turning     = "WD-WCC7K4ABCD12"
	flash       = "S5P2NL0T204417D"
	storageHost = "asus-prime-b650-plus-3057"
	storageGiB  = 1 << 30
)

// storageBench is a recorded machine, and what comes of testing its disks.
type storageBench struct {
	*bench

	machine *collect.Recording
	files   fstest.MapFS
	change  func(tallies map[string]storage.Tally)
	exit    worker.Exit
	hear    func(told func(storage.Tally) bool)
	asked   storage.Test
	calls   int
	states  [][]byte
	full    bool // nothing more is kept
	kept    map[string][]byte
	meters  [][]core.Meter // as they were told
}

// newStorageBench is of a run with a profile of the product.
func newStorageBench(t *testing.T, name string, armed ...string) *storageBench {
	t.Helper()

	var config map[string]string

	for _, p := range profile.Defaults() {
		if p.Name == name {
			config = p.Config
		}
	}

	b := &storageBench{
		bench: newBench(config), machine: machines.Open(t, storageHost), files: fstest.MapFS{}, change: func(map[string]storage.Tally) {},
		exit: worker.Exit{Reason: worker.Done}, hear: func(func(storage.Tally) bool) {}, kept: map[string][]byte{},
	}
	b.Checkpoint = func(state []byte) bool {
		if !b.full {
			b.states = append(b.states, state)
		}

		return !b.full
	}
	b.Keep = func(name string, content []byte) { b.kept[name] = content }
	b.Meters = func(meters []core.Meter) { b.meters = append(b.meters, meters) }
	b.WriteLease = func() time.Time { return time.Now().Add(time.Minute) }

	for _, d := range []core.ExpectedDisk{
		{Serial: turning, WWN: "50014ee2bc10a2f4", SizeBytes: 4000787030016}, {Serial: flash, WWN: "002538b221b04ac2", SizeBytes: 1000204886016},
	} {
		d.Armed = slices.Contains(armed, d.Serial)
		b.Disks = append(b.Disks, d)
	}

	return b
}

// goodDisk is what comes of a disk with nothing wrong.
func goodDisk(d storage.Disk) storage.Tally {
	t := storage.Tally{ID: d.ID, Name: d.Name, Serial: d.Serial, Wrote: d.Write, Step: "finish", Done: 100, Total: 100, Over: true, Reading: time.Minute, Writing: time.Minute}
	t.Mark = storage.Mark{Read: 20 * storageGiB, Compared: storageGiB}
	t.Bytes.Read = t.Mark.Read

	for range 100 {
		t.Reads.Add(4 * time.Millisecond)
		t.Random.Add(8 * time.Millisecond)
	}

	if d.Write {
		t.Mark = storage.Mark{Read: 20 * storageGiB, Written: 20 * storageGiB, Verified: 20 * storageGiB}
		t.Bytes.Written, t.Discard, t.Found = t.Mark.Written, "discarded", "256 samples, blank or of an earlier test"
	}

	return t
}

func (b *storageBench) test(ctx context.Context, test storage.Test) storage.Report {
	b.asked = test
	b.calls++

	r := storage.Report{Tallies: map[string]storage.Tally{}, Exit: b.exit, Took: time.Minute}
	for _, d := range test.Job.Disks {
		tally := goodDisk(d)
		r.Tallies[tally.Key()] = tally
	}

	b.change(r.Tallies)
	b.hear(test.Told)

	return r
}

func (b *storageBench) run(t *testing.T) core.Result {
	t.Helper()

	return b.runIn(t.Context())
}

func (b *storageBench) runIn(ctx context.Context) core.Result {
	m := b.machine.Machine()
	m.Root = over{m.Root, b.files}

	return stage.Storage(m, func(*slog.Logger) drill.Starter { return worker.Runner{} }, b.test)(ctx, b.Env)
}

// altered changes the tally of one disk.
func altered(serial string, change func(t *storage.Tally)) func(map[string]storage.Tally) {
	return func(all map[string]storage.Tally) {
		t := all[serial]
		change(&t)
		all[serial] = t
	}
}

// late is a machine whose block device of a name is found late.
type late struct {
	fs.FS

	name  string
	there *atomic.Bool
}

func (l late) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(l.FS, name)

	return slices.DeleteFunc(list, func(e fs.DirEntry) bool { return e.Name() == l.name && !l.there.Load() }), err
}

func (l late) ReadLink(name string) (string, error) { return fs.ReadLink(l.FS, name) }

func (l late) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(l.FS, name) }

// A disk that is plugged in, or found, while others are tested is told: it was not tested.
func TestADiskThatAppearsMeanwhile(t *testing.T) {
	for name, severity := range map[string]core.Severity{"sda": core.Warning, "sdb": core.Info} {
		b := newStorageBench(t, "quick")
		b.Disks = nil

		var there atomic.Bool

		b.change = func(map[string]storage.Tally) { there.Store(true) }
		m := b.machine.Machine()
		m.Root = late{m.Root, name, &there}

		r := stage.Storage(m, func(*slog.Logger) drill.Starter { return worker.Runner{} }, b.test)(t.Context(), b.Env)

		found := find(r, problem.StorageAppeared)
		if len(found) != 1 || found[0].Severity != severity || found[0].Part.Slot == "" || found[0].Evidence != name+" was not there when the stage began" || r.Verdict != core.Pass {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}

		if slices.ContainsFunc(b.asked.Job.Disks, func(d storage.Disk) bool { return d.Name == name }) {
			t.Errorf("%s was tested", name)
		}
	}
}

// Nothing armed, nothing written: in every profile, and the report says so.
func TestStorageReadsWhereNothingIsArmed(t *testing.T) {
	for _, name := range []string{"quick", "deep", "soak"} {
		b := newStorageBench(t, name)
		r := b.run(t)

		if r.Verdict != core.Pass || len(r.Findings) > 0 || len(r.SubSteps) != 3 {
			t.Errorf("%s: %+v", name, r)
		}

		if want := "2 of 2 disks; 2 read (38.0 GiB, 0.8 %), write NOT tested; no disk was armed; USB storage sdb NOT tested"; r.Coverage != want {
			t.Errorf("%s: %s", name, r.Coverage)
		}

		for _, d := range b.asked.Job.Disks {
			if d.Write || d.Override {
				t.Errorf("%s: %+v is to be written", name, d)
			}
		}

		if b.asked.Job.Plan.Share != map[string]float64{"quick": 0.02, "deep": 1, "soak": 1}[name] {
			t.Errorf("%s: %+v", name, b.asked.Job.Plan)
		}
	}
}

// Arming alone writes nothing either: the profile must say destructive.
func TestStorageOfAProfileThatReadsOnly(t *testing.T) {
	b := newStorageBench(t, "quick", turning)
	r := b.run(t)

	found := find(r, "storage/not-destructive")
	if r.Verdict != core.Pass || len(found) != 1 || found[0].Severity != core.Warning || found[0].Part.Serial != turning || b.asked.Job.Destructive {
		t.Errorf("%+v", r)
	}

	if !strings.Contains(r.Coverage, "write NOT tested") || b.asked.Job.Disks[1].Write || b.asked.Job.Disks[0].Write {
		t.Errorf("%s: %+v", r.Coverage, b.asked.Job.Disks)
	}
}

func TestStorageWritesWhatIsArmed(t *testing.T) {
	b := newStorageBench(t, "soak", turning)
	b.Config["Storage.protect"] = "S 9,5000c500a0000001"
	b.Overrides, b.OverrideUntil = []string{core.WipeFlag(turning)}, time.Now().Add(7*time.Minute) // the agent was started again meanwhile
	r := b.run(t)

	if r.Verdict != core.Pass || len(r.Findings) > 0 {
		t.Errorf("%+v", r)
	}

	if want := "2 of 2 disks; 1 written and verified (20.0 GiB, 0.5 %); 1 read (19.0 GiB, 2.0 %), write NOT tested; USB storage sdb NOT tested"; r.Coverage != want {
		t.Error(r.Coverage)
	}

	job := b.asked.Job
	if !job.Destructive || !job.BlankOnly || !slices.Equal(job.Protected, []string{"S 9", "5000c500a0000001"}) || job.Plan.Passes != 2 || job.Plan.Discard != "discard" ||
		len(job.Expected) != 2 || !b.asked.OverrideUntil.Equal(b.OverrideUntil) {
		t.Errorf("%+v", b.asked)
	}

	for _, d := range job.Disks {
		armed := d.Serial == turning
		if d.Write != armed || d.Override != armed || d.Spins != armed || d.Depth < 4 || d.Group == "" || d.Block != 512 {
			t.Errorf("%+v", d)
		}
	}

	if len(b.kept["disks.json"]) == 0 {
		t.Error("the curves were not kept")
	}

	values := map[string]float64{}

	for _, s := range r.Measurements {
		values[s.Key] = s.Value

		if err := catalogue.Check(s.Key, s.Unit); err != nil || !wire.ValidKey(s.Key) {
			t.Errorf("%s: %v", s.Key, err)
		}
	}

	for key, want := range map[string]float64{
		"disk/" + strings.ToLower(turning) + "/verified_bytes": 20 * storageGiB, "disk/" + strings.ToLower(turning) + "/miscompares_count": 0, "disk/" + strings.ToLower(flash) + "/slowest_request_milliseconds": 8,
	} {
		if values[key] != want {
			t.Errorf("%s is %v", key, values[key])
		}
	}

	if rate := values["disk/"+strings.ToLower(turning)+"/write_mibps"]; rate < 341 || rate > 342 {
		t.Errorf("written at %v MiB/s", rate)
	}

	models := 0

	for key := range values {
		if strings.HasSuffix(key, "/model_read_mibps") {
			models++
		}
	}

	if models != 2 {
		t.Errorf("%d models in %v", models, values)
	}
}

// Each thing that is wrong has its code, verdict and part.
func TestWhatStorageFindsWrong(t *testing.T) {
	wrong := func(kind storage.Kind) func(map[string]storage.Tally) {
		return altered(turning, func(t *storage.Tally) {
			t.Mark.Wrong = []storage.Wrong{{Kind: kind, Offset: 4096 * 1000, Length: 4096, Text: "as it is"}}
			t.Mark.Wrongs = 1
		})
	}
	refused := func(code string) func(map[string]storage.Tally) {
		return altered(turning, func(t *storage.Tally) {
			*t = storage.Tally{ID: t.ID, Name: t.Name, Serial: t.Serial, Refused: []storage.Reason{{Code: code, Evidence: "as it is"}}}
		})
	}
	took := func(most time.Duration) func(t *storage.Tally) {
		return func(t *storage.Tally) { t.Reads.Add(most) }
	}
	slow := func(n int) func(map[string]storage.Tally) {
		return altered(turning, func(t *storage.Tally) {
			t.Slow = map[string][]storage.Point{"read": slices.Repeat([]storage.Point{{Offset: 5 * storageGiB, MiBps: 12}}, n)}
		})
	}

	for name, c := range map[string]struct {
		change   func(map[string]storage.Tally)
		code     string // empty: nothing
		severity core.Severity
		verdict  core.Verdict
	}{
		"nothing":              {func(map[string]storage.Tally) {}, "", "", core.Pass},
		"unreadable":           {wrong(storage.ReadError), "storage/read-error", core.Critical, core.Fail},
		"unwritable":           {wrong(storage.WriteError), "storage/write-error", core.Critical, core.Fail},
		"corrupt":              {wrong(storage.Corrupt), "storage/corrupt", core.Critical, core.Fail},
		"dropped":              {wrong(storage.Dropped), "storage/dropped-write", core.Critical, core.Fail},
		"misplaced":            {wrong(storage.Misplaced), "storage/misplaced-write", core.Critical, core.Fail},
		"swapped":              {wrong(storage.Swapped), "storage/swapped-blocks", core.Critical, core.Fail},
		"wrapped":              {wrong(storage.Wrapped), "storage/fake-capacity", core.Critical, core.Fail},
		"crossed":              {wrong(storage.Crossed), "storage/crossed-disks", core.Critical, core.Fail},
		"unsteady":             {wrong(storage.Unsteady), "storage/unsteady-read", core.Critical, core.Fail},
		"vanished":             {wrong(storage.Vanished), "storage/vanished", core.Critical, core.Fail},
		"gave up":              {wrong(storage.Unfinished), "storage/not-tested", core.Critical, core.Error},
		"not finished":         {altered(turning, func(t *storage.Tally) { t.Over = false }), "storage/not-tested", core.Critical, core.Error},
		"foreign data":         {refused(problem.StorageForeignData), "storage/foreign-data", core.Critical, core.Fail},
		"an override too late": {refused(problem.StorageOverrideOver), "storage/override-over", core.Critical, core.Fail},
		"refused":              {refused(problem.StorageInUse), "storage/in-use", core.Critical, core.Error},
		"blind": {altered(turning, func(t *storage.Tally) {
			t.Over = false
			t.Mark.Wrong = []storage.Wrong{{Kind: storage.Unfinished, Code: problem.StorageCanary, Text: "as it is"}}
		}), "storage/canary-missed", core.Critical, core.Error},
		"no lease any more": {altered(turning, func(t *storage.Tally) {
			t.Over = false
			t.Mark.Wrong = []storage.Wrong{{Kind: storage.Unfinished, Code: problem.StorageNoLease, Text: "as it is"}}
		}), "storage/no-lease", core.Critical, core.Error},
		"6 s on a disk that turns":  {altered(turning, took(6*time.Second)), "storage/slow-request", core.Warning, core.Pass},
		"4 s on a disk that turns":  {altered(turning, took(4*time.Second)), "", "", core.Pass},
		"20 s on a disk that turns": {altered(turning, took(20*time.Second)), "storage/slow-request", core.Critical, core.Fail},
		"2 s on flash":              {altered(flash, took(2*time.Second)), "storage/slow-request", core.Warning, core.Pass},
		"4 slow zones":              {slow(4), "storage/slow-zones", core.Warning, core.Pass},
		"3 slow zones":              {slow(3), "", "", core.Pass},
		"not discarded":             {altered(turning, func(t *storage.Tally) { t.Discard = "NOT discarded: input/output error" }), "storage/not-discarded", core.Warning, core.Pass},
		"no discards":               {altered(turning, func(t *storage.Tally) { t.Discard = storage.CannotDiscard }), "storage/not-discarded", core.Info, core.Pass},
		"nothing told":              {func(all map[string]storage.Tally) { delete(all, turning) }, "storage/not-tested", core.Critical, core.Error},
	} {
		b := newStorageBench(t, "deep", turning)
		b.change = c.change
		r := b.run(t)

		if r.Verdict != c.verdict {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}

		if c.code == "" {
			if len(r.Findings) > 0 {
				t.Errorf("%s: %+v", name, r.Findings)
			}

			continue
		}

		found := find(r, c.code)
		if len(found) != 1 || found[0].Severity != c.severity || found[0].Stage != core.Storage || found[0].Evidence == "" || found[0].Next == "" ||
			found[0].Part.Serial != turning && found[0].Part.Serial != flash {
			t.Errorf("%s: %+v", name, r.Findings)
		}

		bad := slices.IndexFunc(r.SubSteps, func(s core.SubStep) bool { return s.Part.Serial == turning })
		if c.verdict != core.Pass && (bad < 0 || r.SubSteps[bad].Verdict != c.verdict) {
			t.Errorf("%s: %+v", name, r.SubSteps)
		}
	}
}

// A disk that rearranges its shingled tracks by itself is slow at times, and well: that is
// told and not held against it, beyond what any disk may do. Word 69 of IDENTIFY DEVICE.
func TestADiskOfShingledTracks(t *testing.T) {
	zones := func(t *storage.Tally) {
		t.Slow = map[string][]storage.Point{"write": slices.Repeat([]storage.Point{{Offset: 5 * storageGiB, MiBps: 2}}, 40)}
	}
	took := func(most time.Duration) func(t *storage.Tally) {
		return func(t *storage.Tally) { t.Writes.Add(most) }
	}

	for name, c := range map[string]struct {
		word69   byte
		change   func(t *storage.Tally)
		code     string
		severity core.Severity
		verdict  core.Verdict
		models   int
	}{
		"nothing is wrong":                   {2, func(*storage.Tally) {}, "", "", core.Pass, 1},
		"slow stretches":                     {2, zones, "storage/slow-zones", core.Info, core.Pass, 1},
		"slow stretches of any other disk":   {0, zones, "storage/slow-zones", core.Warning, core.Pass, 2},
		"a write of 12 s":                    {2, took(12 * time.Second), "", "", core.Pass, 1},
		"a write of 12 s, host aware":        {1, took(12 * time.Second), "", "", core.Pass, 1},
		"a write of 12 s of any other disk":  {0, took(12 * time.Second), "storage/slow-request", core.Warning, core.Pass, 2},
		"a write of 20 s":                    {2, took(20 * time.Second), "storage/slow-request", core.Warning, core.Pass, 1},
		"a write of 20 s of any other disk":  {0, took(20 * time.Second), "storage/slow-request", core.Critical, core.Fail, 2},
		"a write that the kernel gave up":    {2, took(31 * time.Second), "storage/slow-request", core.Critical, core.Fail, 1},
		"what it gives back is wrong anyway": {2, func(t *storage.Tally) { t.Mark.Wrong = []storage.Wrong{{Kind: storage.Corrupt, Text: "1 bit"}} }, "storage/corrupt", core.Critical, core.Fail, 1},
	} {
		b := newStorageBench(t, "deep", turning)
		b.change = altered(turning, c.change)

		if err := b.machine.Disks.Edit("sda", ataIdentity, setByte(138, c.word69)); err != nil {
			t.Fatal(err)
		}

		r := b.run(t)
		told, shingled := find(r, "storage/shingled"), c.word69 != 0

		if r.Verdict != c.verdict || shingled != (len(told) == 1) || shingled && (told[0].Severity != core.Info || told[0].Part.Serial != turning || !strings.Contains(told[0].Evidence, "by its own word")) {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}

		others := slices.DeleteFunc(slices.Clone(r.Findings), func(f core.Finding) bool { return f.Code == "storage/shingled" })
		if c.code == "" && len(others) > 0 || c.code != "" && (len(others) != 1 || others[0].Code != c.code || others[0].Severity != c.severity) {
			t.Errorf("%s: %+v", name, others)
		}

		if i := slices.IndexFunc(r.SubSteps, func(s core.SubStep) bool { return s.Part.Serial == turning }); strings.Contains(r.SubSteps[i].Summary, "SMR") != shingled {
			t.Errorf("%s: %s", name, r.SubSteps[i].Summary)
		}

		// How fast it is read is no measure that others are held to.
		models := 0

		for _, s := range r.Measurements {
			if strings.HasSuffix(s.Key, "/model_read_mibps") {
				models++
			}
		}

		if models != c.models {
			t.Errorf("%s: %d models", name, models)
		}
	}
}

// Zones that are the host's to manage are not written at will, whoever tells of them.
func TestZonesOfTheHostAreNotWritten(t *testing.T) {
	b := newStorageBench(t, "deep", turning)
	if err := b.machine.Disks.Edit("sda", "120000006000", setByte(0, 0x14)); err != nil {
		t.Fatal(err)
	}

	// Armed it goes to the gates, which refuse it.
	b.run(t)

	drives, _ := b.machine.Machine().Disks()
	if i := slices.IndexFunc(drives, func(d probe.Drive) bool { return d.Serial == turning }); i < 0 || !drives[i].Zoned {
		t.Errorf("%+v", drives)
	}

	b = newStorageBench(t, "deep")
	if err := b.machine.Disks.Edit("sda", "120000006000", setByte(0, 0x14)); err != nil {
		t.Fatal(err)
	}

	r := b.run(t)
	if found := find(r, "storage/host-managed-zones"); len(found) != 1 || found[0].Part.Serial != turning {
		t.Errorf("%+v", r.Findings)
	}

	if slices.ContainsFunc(b.asked.Job.Disks, func(d storage.Disk) bool { return d.Serial == turning }) {
		t.Error("it was tested")
	}
}

// A secure discard was asked for by name: without it the work is not done.
func TestASecureDiscardThatDidNotHappen(t *testing.T) {
	b := newStorageBench(t, "deep", turning)
	b.Config["Storage.finish"] = "secure"
	b.change = altered(turning, func(t *storage.Tally) { t.Discard = storage.CannotDiscard })

	r := b.run(t)
	if found := find(r, "storage/not-discarded"); r.Verdict != core.Error || len(found) != 1 || found[0].Severity != core.Critical {
		t.Errorf("%+v", r)
	}
}

// A disk that only an earlier inventory knows may have been taken out.
func TestADiskThatWasTakenOut(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.Disks = append(b.Disks, core.ExpectedDisk{Serial: "GONE1", Known: true})

	r := b.run(t)
	if found := find(r, "storage/expected-disk-missing"); r.Verdict != core.Pass || len(found) != 1 || found[0].Severity != core.Warning {
		t.Errorf("%+v", r)
	}
}

// What is reached over a network is not read, and not the machine's.
func TestStorageLeavesDisksOnANetworkOut(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.machine, b.Disks = machines.Open(t, "ibm-3931"), nil

	r := b.run(t)

	found := find(r, "storage/networked")
	if r.Verdict != core.Skip || len(found) == 0 || found[0].Severity != core.Info || !strings.Contains(found[0].Evidence, "NOT tested: reached by") ||
		!strings.Contains(r.Coverage, "; reached over a network: sda") || !strings.HasPrefix(r.Coverage, "0 of 0 disks") {
		t.Errorf("%s %s %d findings, %+v", r.Verdict, r.Coverage, len(r.Findings), found[:min(1, len(found))])
	}

	if len(b.asked.Job.Disks) > 0 || b.calls > 0 {
		t.Errorf("%d are read", len(b.asked.Job.Disks))
	}
}

// One that the spec has is an error, since nobody tested it.
func TestStorageOfADiskOnANetworkThatIsExpected(t *testing.T) {
	for name, c := range map[string]struct {
		known    bool
		verdict  core.Verdict
		severity core.Severity
		coverage string
	}{
		"that the spec has":     {false, core.Error, core.Critical, "1 NOT tested; "},
		"that was there before": {true, core.Skip, core.Info, "0 of 0 disks; "},
	} {
		t.Run(name, func(t *testing.T) {
			b := newStorageBench(t, "quick")
			b.machine, b.files = machines.Open(t, "ibm-3931"), serialOnNetwork(t)
			b.Disks = []core.ExpectedDisk{{Serial: onNetwork, Known: c.known}}

			r := b.run(t)

			i := slices.IndexFunc(r.SubSteps, func(s core.SubStep) bool { return s.Part.Serial == onNetwork })
			found := find(r, "storage/networked")

			if i < 0 || r.Verdict != c.verdict || (r.SubSteps[i].Verdict == core.Error) == c.known || !strings.Contains(r.Coverage, c.coverage) ||
				!slices.ContainsFunc(found, func(f core.Finding) bool { return f.Part == r.SubSteps[i].Part && f.Severity == c.severity }) {
				t.Errorf("%s, %q: %+v", r.Verdict, r.Coverage, found)
			}

			if len(b.asked.Job.Disks) > 0 || b.calls > 0 {
				t.Errorf("%d are read", len(b.asked.Job.Disks))
			}
		})
	}
}

// On virtual machines how fast it goes says nothing of the disk.
func TestStorageOfAVirtualMachineIsNotJudgedBySpeed(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.machine, b.Disks = machines.Open(t, "qemu-lab-server-1.7.3"), nil
	b.change = altered("LAB-SATA-0001", func(t *storage.Tally) {
		t.Reads.Add(time.Minute)
		t.Slow = map[string][]storage.Point{"read": make([]storage.Point, 9)}
	})

	r := b.run(t)
	if r.Verdict != core.Pass || len(find(r, "storage/slow-request")) != 1 || len(find(r, "storage/slow-zones")) != 1 {
		t.Errorf("%+v", r)
	}

	for _, f := range r.Findings {
		if f.Severity != core.Info {
			t.Errorf("%+v", f)
		}
	}
}

// A disk at whose gates the test stopped says why; of the others it is said that they
// were not tested.
func TestOneRefusalStopsTheTestOfAllDisks(t *testing.T) {
	b := newStorageBench(t, "deep", turning)
	b.change = func(all map[string]storage.Tally) {
		all[turning] = storage.Tally{ID: turning, Name: "sda", Serial: turning, Refused: []storage.Reason{{Code: problem.StorageForeignData, Evidence: "it holds ext4 (filesystem) at 1080"}}}
		all[flash] = storage.Tally{ID: flash, Name: "nvme0n1", Serial: flash}
	}

	r := b.run(t)
	if r.Verdict != core.Fail || len(r.Findings) != 2 || !strings.Contains(r.Coverage, "0 of 2 disks; 2 NOT tested") {
		t.Errorf("%+v", r)
	}

	for _, s := range r.SubSteps {
		if s.Verdict == core.Pass {
			t.Errorf("%+v", s)
		}
	}
}

// Two disks with one serial number, as namespaces of one NVMe controller have, are two
// disks: each is tested, and armed neither.
func TestDisksThatShareASerialNumber(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.machine = machines.Open(t, "supermicro-x11dpi-n-3.3")
	b.Disks = []core.ExpectedDisk{{Serial: "PHYF93400124480BGN", WWN: "55cd2e4150d4e1a0", Armed: true}}
	b.Config["Storage.mode"] = "destructive"

	// The second takes the first one's serial number: words 10-19 of IDENTIFY DEVICE.
	first, err := b.machine.Disks.SCSI("sda")
	if err != nil {
		t.Fatal(err)
	}

	identity, err := disk.ATAOver(first).Do(disk.ATARequest{Command: 0xec, Count: 1, In: 512})
	if err != nil {
		t.Fatal(err)
	}

	if err := b.machine.Disks.Edit("sdb", "85080e0000000100000000000000ec00", func(data []byte) []byte {
		data = slices.Clone(data)
		copy(data[20:40], identity.Data[20:40])
		data[510] = 0 // no checksum

		return data
	}); err != nil {
		t.Fatal(err)
	}

	b.run(t)

	ids := map[string]bool{}

	for _, d := range b.asked.Job.Disks {
		if ids[d.ID] || d.Write != (d.Serial == "PHYF93400124480BGN") {
			t.Errorf("%+v", d)
		}

		ids[d.ID] = true
	}

	if !ids["sda"] || !ids["sdb"] || len(ids) != 6 {
		t.Errorf("%v", ids)
	}
}

func TestDisksThatStorageCannotTest(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.Disks = append(b.Disks, core.ExpectedDisk{Serial: "GONE1", WWN: "5000c500a0000009"})

	r := b.run(t)
	if found := find(r, "storage/expected-disk-missing"); r.Verdict != core.Error || len(found) != 1 || found[0].Part.Serial != "GONE1" {
		t.Errorf("%+v", r)
	}

	// 520-byte sectors: the kernel gives such a disk no size, or a strange one.
	b = newStorageBench(t, "quick")
	target, err := fs.ReadLink(b.machine.Machine().Root, "sys/block/sda")
	if err != nil {
		t.Fatal(err)
	}

	b.files["sys/block/sda/queue/logical_block_size"] = &fstest.MapFile{Data: []byte("520\n")}
	b.files["sys/"+strings.TrimPrefix(target, "../")+"/queue/logical_block_size"] = &fstest.MapFile{Data: []byte("520\n")}

	r = b.run(t)
	if found := find(r, "storage/sector-size"); r.Verdict != core.Error || len(found) != 1 || found[0].Part.Serial != turning || !strings.Contains(found[0].Next, "sg_format") {
		t.Errorf("%+v", r)
	}

	if len(b.asked.Job.Disks) != 1 {
		t.Errorf("%+v", b.asked.Job.Disks)
	}

	// A disk of a few blocks, and zones that are the host's to manage; an armed one goes to
	// the gates, which refuse it.
	for file, c := range map[string]struct {
		text, code string
		verdict    core.Verdict
		armed      bool
	}{
		"size":         {"31\n", "storage/not-tested", core.Error, false},
		"queue/zoned":  {"host-managed\n", "storage/host-managed-zones", core.Error, false},
		"/queue/zoned": {"host-managed\n", "", core.Pass, true},
	} {
		var armed []string
		if c.armed {
			armed = []string{turning}
		}

		b := newStorageBench(t, "deep", armed...)
		file = strings.TrimPrefix(file, "/")
		b.files["sys/block/sda/"+file] = &fstest.MapFile{Data: []byte(c.text)}
		b.files["sys/"+strings.TrimPrefix(target, "../")+"/"+file] = &fstest.MapFile{Data: []byte(c.text)}

		r := b.run(t)
		if found := find(r, c.code); r.Verdict != c.verdict || c.code != "" && (len(found) != 1 || found[0].Part.Serial != turning) ||
			slices.ContainsFunc(b.asked.Job.Disks, func(d storage.Disk) bool { return d.Serial == turning }) != c.armed {
			t.Errorf("%s %q: %s %+v", file, c.text, r.Verdict, r.Findings)
		}
	}
}

// What somebody asks for is tested, wherever it is plugged in, or is an error; what is known
// from an inventory alone may stay aside.
func TestDisksThatSomebodyAsksFor(t *testing.T) {
	for name, c := range map[string]struct {
		known   bool
		zoned   bool
		read    bool
		verdict core.Verdict
	}{
		"a stick that the spec has":           {false, false, true, core.Pass},
		"a stick that was there before":       {true, false, false, core.Pass},
		"zones of the host that the spec has": {false, true, false, core.Error},
		"zones of the host, there before":     {true, true, false, core.Pass},
	} {
		b := newStorageBench(t, "quick")
		b.machine.Disks.Set(disk.Exchange{Disk: "sdb", SCSI: "12018000fc00", In: 252, Length: 9, Data: "0080000553544b3031"}) // STK01

		drives, _ := b.machine.Machine().Disks()
		stick := drives[slices.IndexFunc(drives, func(d probe.Drive) bool { return d.Transport == "usb" })]

		if c.zoned {
			stick = drives[slices.IndexFunc(drives, func(d probe.Drive) bool { return d.Serial == turning })]

			if err := b.machine.Disks.Edit("sda", "120000006000", setByte(0, 0x14)); err != nil {
				t.Fatal(err)
			}
		}

		b.Disks = []core.ExpectedDisk{{Serial: stick.Serial, WWN: stick.WWN, Known: c.known}}

		r := b.run(t)
		read := slices.ContainsFunc(b.asked.Job.Disks, func(d storage.Disk) bool { return d.Name == stick.Name && !d.Write })

		if stick.Serial == "" || read != c.read || r.Verdict != c.verdict {
			t.Errorf("%s: read %v, %s %+v", name, read, r.Verdict, r.Findings)
		}
	}
}

// A lowered maximum address: GET NATIVE MAX ADDRESS EXT tells of 2^20 sectors more than
// IDENTIFY DEVICE does.
func TestADiskThatHidesAPart(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.machine.Disks.Set(disk.Exchange{
		Disk: "sda", SCSI: "85072000000000000000000000007800", Status: 2, Sense: "7201001d0000000e090c01000000d1af01be00d04050",
	})

	r := b.run(t)
	if found := find(r, "storage/hidden-area"); r.Verdict != core.Pass || len(found) != 1 || found[0].Severity != core.Warning || found[0].Part.Serial != turning {
		t.Errorf("%+v", r)
	}
}

// A device configuration overlay: DEVICE CONFIGURATION IDENTIFY tells of more sectors than
// IDENTIFY DEVICE does, and READ NATIVE MAX ADDRESS of none.
func TestADiskWithAnOverlayHidesAPart(t *testing.T) {
	b := newStorageBench(t, "quick")

	if err := b.machine.Disks.Edit("sda", "85080e00000001000000000000", func(data []byte) []byte {
		data[167] |= 8 // word 83, bit 11: it has overlays

		return data
	}); err != nil {
		t.Fatal(err)
	}

	var whole [512]byte

	binary.LittleEndian.PutUint64(whole[6:], 1<<40)
	whole[510] = 0xa5

	for _, c := range whole[:511] {
		whole[511] -= c
	}

	b.machine.Disks.Set(disk.Exchange{Disk: "sda", SCSI: "85080e00c2000100000000000000b100", In: 512, Length: 512, Data: hex.EncodeToString(whole[:])})

	r := b.run(t)
	if found := find(r, "storage/hidden-area"); r.Verdict != core.Pass || len(found) != 1 || found[0].Part.Serial != turning {
		t.Errorf("%+v", r)
	}
}

func TestAMachineWithoutDisks(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.machine, b.Disks = machines.Open(t, "azw-mini-s12-adln.m6s"), nil
	m := b.machine.Machine()
	m.Root = fstest.MapFS{}

	r := stage.Storage(m, func(*slog.Logger) drill.Starter { return worker.Runner{} }, b.test)(t.Context(), b.Env)
	if r.Verdict != core.Skip || r.SkipReason == "" || b.calls > 0 {
		t.Errorf("%+v", r)
	}
}

// What is never written is known with and without commas, with spaces in serial numbers
// and between them.
func TestTheListOfProtectedDisks(t *testing.T) {
	for list, want := range map[string][]string{
		"":                  nil,
		"S9":                {"S9"},
		"S 9, 5000c500a1":   {"S 9", "5000c500a1"},
		"WD-W 7K4 123":      {"WD-W 7K4 123", "WD-W", "7K4", "123"},
		"A1 WD-W 7K4 B2":    {"A1", "WD-W 7K4", "B2"},
		"A1\tB2":            {"A1", "B2"},
		"1 2 3 4 5 6 7 8 9": {"1 2 3 4 5 6 7 8", "2 3 4 5 6 7 8 9"},
	} {
		b := newStorageBench(t, "deep", turning)
		b.Config[profile.StorageProtect] = list
		b.run(t)

		for _, entry := range want {
			if !slices.ContainsFunc(b.asked.Job.Protected, func(p string) bool { return strings.TrimSpace(p) == entry }) {
				t.Errorf("%q: %q is not in %q", list, entry, b.asked.Job.Protected)
			}
		}

		if len(want) == 0 && len(b.asked.Job.Protected) > 0 {
			t.Errorf("%q: %q", list, b.asked.Job.Protected)
		}
	}
}

func TestStorageSettingsThatMakeNoSense(t *testing.T) {
	for key, value := range map[string]string{"Storage.passes": "x", "Storage.random": "soon"} {
		b := newStorageBench(t, "quick")
		b.Config[key] = value

		if r := b.run(t); r.Verdict != core.Error || b.calls > 0 || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Evidence, key) {
			t.Errorf("%s: %+v", key, r)
		}
	}
}

// The scale of a profile shortens how much is tested.
func TestAScaledStorage(t *testing.T) {
	b := newStorageBench(t, "deep")
	b.Scale = 0.01
	b.run(t)

	if p := b.asked.Job.Plan; p.Share != 0.01 || p.Random != 600*time.Millisecond || p.Edge != 1<<20 {
		t.Errorf("%+v", p)
	}
}

// What a worker's end says of the test.
func TestAStorageWorkerThatEndsBadly(t *testing.T) {
	for reason, verdict := range map[worker.Reason]core.Verdict{worker.Hung: core.Fail, worker.CanaryMissed: core.Error, worker.Broken: core.Error} {
		b := newStorageBench(t, "quick")
		b.exit = worker.Exit{Reason: reason, Worker: "disks"}

		if r := b.run(t); r.Verdict != verdict || len(find(r, "worker/"+string(reason))) != 1 {
			t.Errorf("%s: %+v", reason, r)
		}
	}
}

// A stage that is stopped says what was wrong until then, and nothing of what was not
// tested yet.
func TestAStorageThatIsStopped(t *testing.T) {
	for corrupt, want := range map[bool]core.Verdict{false: core.Error, true: core.Fail} {
		ctx, stop := context.WithCancelCause(t.Context())
		b := newStorageBench(t, "deep", turning)
		b.change = altered(turning, func(t *storage.Tally) {
			t.Over = false

			if corrupt {
				t.Mark.Wrong, t.Mark.Wrongs = []storage.Wrong{{Kind: storage.Corrupt, Length: 4096, Text: "1 bit"}}, 1
			}

			stop(errors.New("a part is too hot"))
		})

		r := b.runIn(ctx)
		if r.Verdict != want || len(find(r, "stage/interrupted")) != 1 || len(find(r, "storage/not-tested")) > 0 {
			t.Errorf("%v: %+v", corrupt, r)
		}
	}
}

// TestStorageGuessesByADisksOwnTime: what a disk waited for its place, and what was done of
// it in an earlier process, says nothing of how long the rest takes.
func TestStorageGuessesByADisksOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStorageBench(t, "deep", turning)
		b.hear = func(told func(storage.Tally) bool) {
			tally := storage.Tally{ID: turning, Name: "sda", Serial: turning, Step: "read", Total: 100 << 20}
			told(tally)
			time.Sleep(10 * time.Hour)

			for range 3 {
				time.Sleep(2 * time.Second)

				tally.Done += 10 << 20
				tally.Bytes.Read += 10 << 20
				told(tally)
			}
		}

		b.run(t)

		last := b.meters[3][0]
		if last.Done != 0.3 || last.LeftLow != 14*time.Second || last.LeftHigh != 14*time.Second {
			t.Errorf("%+v", last)
		}
	})
}

// TestStorageGuessesNothingBeyondMeasure: a disk that all but stands is told as one that
// takes long, not as one that is done.
func TestStorageGuessesNothingBeyondMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStorageBench(t, "deep", turning)
		b.hear = func(told func(storage.Tally) bool) {
			tally := storage.Tally{ID: turning, Name: "sda", Serial: turning, Step: "read", Total: 1 << 62}
			told(tally)
			time.Sleep(time.Hour)

			tally.Done, tally.Bytes.Read = 1, 1
			told(tally)
		}

		b.run(t)

		if last := b.meters[1][0]; last.LeftHigh < 100*365*24*time.Hour {
			t.Errorf("%+v", last)
		}
	})
}

// TestStorageMetersAreNotMadeForEachTally: with many disks that would be a walk over all of
// them for each; that a disk is done is told at once.
func TestStorageMetersAreNotMadeForEachTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStorageBench(t, "deep", turning)
		b.hear = func(told func(storage.Tally) bool) {
			tally := storage.Tally{ID: turning, Name: "sda", Serial: turning, Step: "read", Total: 100 << 20}

			for range 100 {
				told(tally)
				time.Sleep(100 * time.Millisecond)
			}

			tally.Over = true
			told(tally)
		}

		b.run(t)

		if n := len(b.meters); n != 11 || !b.meters[n-1][0].Over {
			t.Errorf("%d times", n)
		}
	})
}

// Progress, speed and checkpoints are told while it works, and a later process goes on
// from what was kept.
func TestStorageTellsAndGoesOn(t *testing.T) { synctest.Test(t, tellAndGoOn) }

func tellAndGoOn(t *testing.T) {
	b := newStorageBench(t, "deep", turning)
	b.hear = func(told func(storage.Tally) bool) {
		tally := storage.Tally{ID: turning, Name: "sda", Serial: turning, WWN: "50014ee2bc10a2f4", Wrote: true, Step: "write", Done: 25, Total: 100, Mark: storage.Mark{Step: 2, Piece: 7}}
		told(tally)

		tally.Bytes.Written = 512 << 20
		time.Sleep(time.Second)

		if told(tally) {
			t.Error("each tally is kept")
		}

		// What must outlive us is kept at once, and that a disk is done, too, once.
		tally.Note = 1

		if kept := told(tally); !kept || len(b.states) != 2 {
			t.Errorf("kept: %v, %d states", kept, len(b.states))
		}

		// What the agent cannot write down is not said to be kept.
		b.full, tally.Note = true, 2

		if told(tally) {
			t.Error("what was not written down is said to be kept")
		}

		b.full = false

		for _, tally := range []storage.Tally{{ID: flash, Serial: flash, Over: true}, {ID: flash, Serial: flash, Over: true}} {
			told(tally)
		}
	}

	b.run(t)

	first := b.meters[1][0] // the second time there is a speed
	if first.Part.Serial != turning || first.Done != 0.25 || first.Rate <= 0 || first.LeftHigh <= 0 || first.LeftLow > first.LeftHigh || first.Over ||
		len(first.Walks) < 4 || first.Walks[0].Done != 1 || first.Walks[1].Done != 1 || first.Walks[2].Name != "write" || first.Walks[2].Pass != 1 ||
		!(first.Walks[2].Done > 0 && first.Walks[2].Done < 1) || first.Walks[3].Done != 0 {
		t.Errorf("%+v", first)
	}

	if last := b.meters[len(b.meters)-1]; len(last) != 2 || !last[1].Over && !last[0].Over {
		t.Errorf("%+v", last)
	}

	if len(b.states) != 3 || b.done[0] != 0.25 {
		t.Fatalf("%d states, progress %v", len(b.states), b.done)
	}

	if i := slices.IndexFunc(b.samples, func(s core.Sample) bool {
		return s.Key == "disk/"+strings.ToLower(turning)+"/write_mibps" && s.Value > 0
	}); i < 0 {
		t.Errorf("%+v", b.samples)
	}

	later := newStorageBench(t, "deep", turning)
	later.Resume = b.states[0]
	later.run(t)

	job := later.asked.Job
	i := slices.IndexFunc(job.Disks, func(d storage.Disk) bool { return d.Serial == turning })

	if job.Seed != b.asked.Job.Seed || job.Disks[i].Resume == nil || job.Disks[i].Resume.Mark.Piece != 7 || job.Disks[1-i].Resume != nil {
		t.Errorf("%+v", job)
	}

	// Another disk with the serial number begins at its beginning.
	other := newStorageBench(t, "deep", turning)
	other.Resume = bytes.ReplaceAll(b.states[0], []byte("50014ee2bc10a2f4"), []byte("50014ee2bc10a2f5"))
	other.run(t)

	if slices.ContainsFunc(other.asked.Job.Disks, func(d storage.Disk) bool { return d.Resume != nil }) {
		t.Errorf("%+v", other.asked.Job.Disks)
	}
}

func TestLinksOfControllers(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.machine = machines.Open(t, "supermicro-ssg-6029p-e1cr12h-3.4")
	b.Disks = nil
	b.files = fstest.MapFS{
		"sys/bus/pci/devices/0000:18:00.0/current_link_speed": {Data: []byte("5.0 GT/s PCIe\n")},
		"sys/bus/pci/devices/0000:18:00.0/current_link_width": {Data: []byte("4\n")},
	}
	b.run(t)

	if most := b.asked.Job.Most["0000:18:00.0"]; most != 7 { // 2000 MB/s for disks of 280
		t.Errorf("%v", b.asked.Job.Most)
	}
}

// What is kept for people is whole JSON.
func TestStorageKeepsItsCurves(t *testing.T) {
	b := newStorageBench(t, "quick")
	b.run(t)

	var back map[string]storage.Tally
	if err := json.Unmarshal(b.kept["disks.json"], &back); err != nil || len(back) != 2 {
		t.Errorf("%v: %s", err, b.kept["disks.json"])
	}
}
