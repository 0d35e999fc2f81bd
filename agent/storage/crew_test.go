package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/agent/storage"
	"vetting/core"
	"vetting/core/diskguard"
)

// shelf is a machine with fakes for disks.
type shelf []*fake

func (s shelf) Survey(age time.Duration) (disks []diskguard.Disk, err error) {
	for _, f := range s {
		if age > 0 && f.answers > 0 {
			time.Sleep(f.answers) // of synctest
		}
	}

	for i, f := range s {
		f.mu.Lock()
		disks = append(disks, diskguard.Disk{
			Name: f.name, Number: "8:" + string(rune('0'+i)), Serial: f.serial, WWN: f.wwn, SizeBytes: uint64(f.size), Block: 512, Transport: "sata",
		})
		f.mu.Unlock()
	}

	return disks, nil
}

func (s shelf) rename(i int, serial string) {
	s[i].mu.Lock()
	defer s[i].mu.Unlock()

	s[i].serial = serial
}

func (s shelf) find(name string) (*numbered, error) {
	for i, f := range s {
		if f.name == name {
			return &numbered{f, "8:" + string(rune('0'+i))}, nil
		}
	}

	return nil, errors.New("no such disk")
}

func (s shelf) Read(name string) (blockdev.ReadHandle, error) { return s.find(name) }

func (s shelf) Ask(name string) (disk.NVMe, error) {
	n, err := s.find(name)
	if err != nil || n.controller == nil {
		return nil, errors.New("no NVMe disk")
	}

	return asking{n.controller}, nil
}

func (s shelf) Write(name string, decision diskguard.Decision) (blockdev.Handle, error) {
	if !decision.Allows(name) {
		return nil, errors.New("not allowed")
	}

	n, err := s.find(name)
	if err == nil && n.busy.Load() {
		return nil, &os.PathError{Op: "open", Path: "/dev/" + name, Err: syscall.EBUSY}
	}

	return n, err
}

type numbered struct {
	*fake

	number string
}

func (n *numbered) Look() (diskguard.Opened, error) {
	o, err := n.fake.Look()
	o.Number = n.number

	return o, err
}

// look is a probe for foreign data that sees all that is not zero.
func look(_ context.Context, r io.ReaderAt, size int64, sector int) (found storage.Found, err error) {
	b := make([]byte, sector)

	for at := int64(0); at < size; at += size / 64 / int64(sector) * int64(sector) {
		if _, err := r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return found, err
		}

		if found.Samples++; !bytes.Equal(b, make([]byte, sector)) {
			found.NonBlank++
		}
	}

	return found, nil
}

// small is how large the disks of a machine are.
const small = 8 * mib

// machine has two armed disks and one that is not.
func machine() (shelf, storage.Job) {
	s := shelf{newFake(small), newFake(small), newFake(small)}
	job := storage.Job{
		Plan: storage.Plan{Share: 1, Edge: mib, Passes: 1}, Seed: seed, Destructive: true, BlankOnly: true, Lease: int64(time.Hour), OverrideUntil: int64(time.Hour),
	}

	for i, f := range s {
		f.name, f.serial, f.wwn = "sd"+string(rune('a'+i)), "F"+string(rune('1'+i)), "5000c500a000000"+string(rune('1'+i))
		armed := i < 2
		job.Expected = append(job.Expected, core.ExpectedDisk{Serial: f.serial, WWN: f.wwn, SizeBytes: small, Armed: armed})
		job.Disks = append(job.Disks, storage.Disk{Name: f.name, Serial: f.serial, Bytes: small, Block: 512, Depth: 2, Write: armed})
	}

	return s, job
}

// crew runs a job.
func crew(t *testing.T, s shelf, job storage.Job, l storage.Look, orders func(chan<- storage.Order)) (tallies map[string]storage.Tally, took time.Duration) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		now := func() time.Time { return time.Unix(0, int64(time.Since(begin))+1) }
		told := make(chan storage.Order)

		go func() {
			defer close(told)

			if orders != nil {
				orders(told)
			}
		}()

		tallies = storage.Crew(t.Context(), job, s, func(d storage.Disk) (io.ReaderAt, error) {
			f, err := s.find(d.Name)

			return f, err
		}, l, now, told)
		took = time.Since(begin)
	})

	return tallies, took
}

func codes(tally storage.Tally) (list []string) {
	for _, r := range tally.Refused {
		list = append(list, r.Code)
	}

	return list
}

func TestArmedDisksAreWrittenAndOthersRead(t *testing.T) {
	s, job := machine()
	tallies, _ := crew(t, s, job, look, nil)

	for i, f := range s {
		tally := tallies[f.serial]
		if !tally.Over || len(tally.Mark.Wrong) > 0 || len(tally.Refused) > 0 {
			t.Errorf("%+v", tally)
		}

		if armed := i < 2; (f.written > 0) != armed || tally.Wrote != armed || armed != (tally.Mark.Verified >= small) || f.blank() == armed {
			t.Errorf("%s: written %d: %+v", f.name, f.written, tally)
		}
	}
}

// Whatever an armed disk does, each in its own way: it is named, and no byte of the disk
// beside it, which is not armed and full of somebody's data, is another one afterwards.
func TestNoFaultOfADiskReachesAnother(t *testing.T) {
	const a, b = 5*mib + 8192, 3*mib + 4096

	moved := func(from, to int64) func(f *fake) {
		return func(f *fake) {
			f.place = func(offset int64) int64 {
				if offset == from {
					return to
				}

				return offset
			}
		}
	}

	for name, c := range map[string]struct {
		fault func(f *fake)
		kind  storage.Kind // empty: the tally tells of slow stretches
	}{
		"a read error at one LBA":  {func(f *fake) { f.readFails = func(offset int64) bool { return offset == a } }, storage.ReadError},
		"a write error at one LBA": {func(f *fake) { f.writeFail = func(offset int64) bool { return offset == a } }, storage.WriteError},
		"a flipped bit": {func(f *fake) {
			f.damage = func(offset int64, p []byte) {
				if offset == a {
					p[1000] ^= 4
				}
			}
		}, storage.Corrupt},
		"two swapped blocks": {func(f *fake) {
			f.place = func(offset int64) int64 {
				switch offset {
				case a:
					return b
				case b:
					return a
				default:
					return offset
				}
			}
		}, storage.Swapped},
		"a dropped write":          {moved(a, -1), storage.Dropped},
		"a write to another place": {moved(a, b), storage.Misplaced},
		"a capacity that wraps": {func(f *fake) {
			f.place = func(offset int64) int64 { return offset % (6 * mib) }
			f.from = f.place
		}, storage.Wrapped},
		"vanishing": {func(f *fake) { f.gone = func(n int) bool { return n > 140 } }, storage.Vanished},
		"a slow zone": {func(f *fake) {
			f.takes = func(offset int64) time.Duration {
				if offset >= 4*mib && offset < 6*mib {
					return 50 * time.Millisecond
				}

				return 5 * time.Millisecond
			}
		}, ""},
	} {
		s, job := machine()
		job.Plan.Discard = "discard"

		for i := range s[2].data {
			s[2].data[i] = byte(i * 7)
		}

		c.fault(s[0])

		before := sha256.Sum256(s[2].data)
		tallies, _ := crew(t, s, job, look, nil)

		if after := sha256.Sum256(s[2].data); after != before || s[2].written+s[2].discards+s[2].flushes > 0 {
			t.Errorf("%s: the disk beside it was written", name)
		}

		found := kinds(tallies["F1"])
		if c.kind == "" && len(found) > 0 || c.kind != "" && found[c.kind] == 0 {
			t.Errorf("%s: found %v", name, found)
		}

		// The other armed disk, and the one that is read, are well.
		for _, serial := range []string{"F2", "F3"} {
			if tally := tallies[serial]; !tally.Over || len(tally.Mark.Wrong) > 0 || len(tally.Refused) > 0 {
				t.Errorf("%s: %s: %+v", name, serial, tally.Mark)
			}
		}
	}
}

// Where a gate is shut for one disk nothing at all is written, nor tested: the operator
// hears of it at once.
func TestNothingIsTestedWhileAnArmedDiskIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s shelf, job *storage.Job)
		look   storage.Look
		code   string
	}{
		"foreign data":        {func(s shelf, _ *storage.Job) { copy(s[1].data, bytes.Repeat([]byte{7}, 4*mib)) }, look, "storage/foreign-data"},
		"nobody looks":        {func(shelf, *storage.Job) {}, nil, "storage/not-probed"},
		"a probe that breaks": {func(s shelf, _ *storage.Job) { s[1].readFails = func(int64) bool { return true } }, look, "storage/not-probed"},
		"not destructive":     {func(_ shelf, job *storage.Job) { job.Destructive = false }, look, "storage/not-destructive"},
		"no lease":            {func(_ shelf, job *storage.Job) { job.Lease = 0 }, look, "storage/no-lease"},
		"not armed":           {func(_ shelf, job *storage.Job) { job.Expected[1].Armed = false }, look, "storage/not-armed"},
		"protected":           {func(_ shelf, job *storage.Job) { job.Protected = []string{"F2"} }, look, "storage/protected"},
		"two of one serial":   {func(s shelf, _ *storage.Job) { s[2].serial = "F2" }, look, "storage/same-serial"},
		"absent":              {func(s shelf, _ *storage.Job) { s[1].serial = "F9" }, look, "storage/expected-disk-missing"},
		"an override late": {func(s shelf, job *storage.Job) {
			copy(s[1].data, bytes.Repeat([]byte{7}, 4*mib))
			job.Disks[1].Override, job.OverrideUntil = true, 0
		}, look, "storage/override-over"},
	} {
		s, job := machine()
		c.change(s, &job)

		tallies, _ := crew(t, s, job, c.look, nil)
		if got := codes(tallies["F2"]); !slices.Contains(got, c.code) {
			t.Errorf("%s: %v", name, got)
		}

		for _, f := range s {
			if f.written+f.discards > 0 || tallies[f.serial].Over || tallies[f.serial].Mark.Read > 0 {
				t.Errorf("%s: %s was touched: %+v", name, f.name, tallies[f.serial])
			}
		}
	}
}

func TestAnOverrideLetsForeignDataGo(t *testing.T) {
	s, job := machine()
	copy(s[1].data, bytes.Repeat([]byte{7}, 4*mib))
	job.Disks[1].Override = true

	tallies, _ := crew(t, s, job, look, nil)
	if tally := tallies["F2"]; !tally.Over || tally.Mark.Verified < small || len(tally.Refused) > 0 || tally.Found == "" || s[2].written > 0 {
		t.Errorf("%+v", tally)
	}
}

// What an earlier test has written is nobody's data, and is written over.
func TestWhatAnEarlierTestWroteIsNobodysData(t *testing.T) {
	s, job := machine()
	if tallies, _ := crew(t, s, job, look, nil); !tallies["F1"].Over || s[0].blank() {
		t.Fatalf("%+v", tallies["F1"])
	}

	job.Seed++

	tallies, _ := crew(t, s, job, look, nil)
	if tally := tallies["F1"]; !tally.Over || len(tally.Mark.Wrong)+len(tally.Refused) > 0 {
		t.Errorf("%+v", tally)
	}

	// One altered block is somebody's again.
	s[0].data[0] ^= 1
	job.Seed++

	if tallies, _ := crew(t, s, job, look, nil); !slices.Contains(codes(tallies["F1"]), "storage/foreign-data") {
		t.Errorf("%+v", tallies["F1"])
	}
}

// Without a lease nothing is written; the test waits, and goes on with a new one.
func TestATestWaitsForItsLease(t *testing.T) {
	s, job := machine()
	job.Lease = int64(3 * time.Second)
	s[0].takes = s[0].slowly

	writes := 0
	tallies, took := crew(t, s, job, look, func(orders chan<- storage.Order) {
		time.Sleep(30 * time.Second)

		s[0].mu.Lock()
		writes = s[0].written
		s[0].mu.Unlock()

		time.Sleep(30 * time.Second)

		s[0].mu.Lock()
		if s[0].written != writes {
			t.Error("it was written without a lease")
		}
		s[0].mu.Unlock()

		orders <- storage.Order{Lease: int64(time.Hour)}
	})

	if tally := tallies["F1"]; !tally.Over || len(tally.Mark.Wrong) > 0 || took < time.Minute {
		t.Errorf("after %v: %+v", took, tally)
	}
}

// An agent that is started again has no lease until the appliance has answered, and the
// worker before it may still hold the disk: both are waited for, within bounds.
func TestADiskIsWaitedForBeforeItIsOpened(t *testing.T) {
	for name, c := range map[string]struct {
		noLease, busy time.Duration // from the start
		code          string        // empty: it is tested
		least, most   time.Duration
	}{
		"nothing is in the way":         {},
		"no lease for half a minute":    {noLease: 30 * time.Second, least: 30 * time.Second, most: 40 * time.Second},
		"no lease at all":               {noLease: time.Hour, code: "storage/no-lease", least: 10 * time.Minute, most: 11 * time.Minute},
		"the worker before holds it":    {busy: 20 * time.Second, least: 20 * time.Second, most: 30 * time.Second},
		"somebody holds it and goes on": {busy: time.Hour, code: "storage/not-exclusive", least: time.Minute, most: 2 * time.Minute},
		"both":                          {noLease: 50 * time.Second, busy: 70 * time.Second, least: 70 * time.Second, most: 80 * time.Second},
	} {
		s, job := machine()
		if c.noLease > 0 {
			job.Lease = 0
		}

		s[0].busy.Store(c.busy > 0)

		tallies, took := crew(t, s, job, look, func(orders chan<- storage.Order) {
			if c.noLease == time.Hour || c.busy == time.Hour {
				return
			}

			time.Sleep(c.noLease)
			orders <- storage.Order{Lease: int64(time.Hour)}

			time.Sleep(c.busy - c.noLease)
			s[0].busy.Store(false)
		})

		if tally := tallies["F1"]; tally.Over != (c.code == "") || (c.code == "") != (len(tally.Refused) == 0) || c.code != "" && !slices.Equal(codes(tally), []string{c.code}) ||
			took < c.least || c.most > 0 && took > c.most || (s[0].written > 0) != (c.code == "") {
			t.Errorf("%s: after %v: %+v", name, took, tally)
		}
	}
}

func TestATestWithoutALeaseGivesUp(t *testing.T) {
	s, job := machine()
	job.Lease = int64(3 * time.Second)
	s[0].takes = s[0].slowly

	tallies, took := crew(t, s, job, look, nil)
	tally := tallies["F1"]

	if tally.Over || len(tally.Mark.Wrong) == 0 || tally.Mark.Wrong[0].Code != "storage/no-lease" || took < 10*time.Minute || took > 12*time.Minute {
		t.Errorf("after %v: %+v", took, tally)
	}

	if tallies["F3"].Mark.Read < small {
		t.Errorf("the disk that is only read: %+v", tallies["F3"])
	}
}

// Disks on one controller take their turns where its link carries no more.
func TestAControllersLinkIsShared(t *testing.T) {
	var took [2]time.Duration

	for i, most := range []int{0, 1} {
		s, job := machine()
		job.Most = map[string]int{"0000:00:1f.2": most}

		for n := range job.Disks {
			job.Disks[n].Group = "0000:00:1f.2"
			s[n].takes = s[n].slowly
		}

		var tallies map[string]storage.Tally
		if tallies, took[i] = crew(t, s, job, look, nil); !tallies["F1"].Over || !tallies["F2"].Over || !tallies["F3"].Over {
			t.Errorf("%+v", tallies)
		}
	}

	if took[1] < took[0]*3/2 {
		t.Errorf("all at once %v, by turns %v", took[0], took[1])
	}
}

// A disk that comes with the serial number of one that is being written ends the
// writing.
func TestATwinThatComesMeanwhile(t *testing.T) {
	s, job := machine()
	s[0].takes = func(int64) time.Duration { return 5 * time.Second }

	var n atomic.Int32

	s[2].takes = func(int64) time.Duration {
		if n.Add(1) == 4 {
			s.rename(2, "F1")
		}

		return 5 * time.Second
	}

	tallies, _ := crew(t, s, job, look, nil)
	if tally := tallies["F1"]; tally.Over || !slices.ContainsFunc(tally.Mark.Wrong, func(w storage.Wrong) bool { return w.Code == "storage/same-serial" }) {
		t.Errorf("%+v", tally)
	}
}

// While disks are written all of them are looked at again: one that takes its time to
// answer says nothing of the others.
func TestADiskThatAnswersLateSlowsNoOther(t *testing.T) {
	s, job := machine()
	s[2].answers = 20 * time.Second
	s[0].takes = func(int64) time.Duration { return 5 * time.Second }
	s[1].takes = s[0].takes

	for i := range job.Disks {
		job.Disks[i].Depth = 1 // the clock stands still while somebody waits for a lock
	}

	tallies, _ := crew(t, s, job, look, nil)

	for _, serial := range []string{"F1", "F2"} {
		if tally := tallies[serial]; !tally.Over || len(tally.Mark.Wrong) > 0 || tally.Writes.Total == 0 || tally.Writes.Most != 5*time.Second {
			t.Errorf("%s: the slowest write %v: %+v", serial, tally.Writes.Most, tally.Mark)
		}
	}

	if s[0].looks < 2 {
		t.Error("it was not looked at again")
	}
}

// A disk that does not say who it is, while it is written, has not failed a write.
func TestAQuestionWithoutAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		mute func(looks int) bool
		gone bool
		kind storage.Kind // empty: nothing is wrong
	}{
		"once":           {func(n int) bool { return n == 2 }, false, ""},
		"for ever":       {func(n int) bool { return n > 1 }, false, storage.Unfinished},
		"nor read":       {func(n int) bool { return n > 1 }, true, storage.Vanished},
		"always answers": {nil, false, ""},
	} {
		s, job := machine()
		f := s[0]
		f.takes = func(int64) time.Duration { return 5 * time.Second }
		f.mute = c.mute
		f.readFails = func(int64) bool { return c.gone && f.looks > 1 }

		tallies, _ := crew(t, s, job, look, nil)
		tally := tallies["F1"]

		if found := kinds(tally); c.kind == "" && (!tally.Over || len(found) > 0) || c.kind != "" && (len(found) != 1 || found[c.kind] != 1 || tally.Over) {
			t.Errorf("%s: %+v", name, tally.Mark.Wrong)
		}

		if c.kind == storage.Unfinished && tally.Mark.Wrong[0].Code != "storage/not-tested" {
			t.Errorf("%s: %+v", name, tally.Mark.Wrong)
		}
	}
}

func TestAViewReadsWhateverItIsAskedFor(t *testing.T) {
	f := newFake(mib + 512)
	f.data = append(f.data, make([]byte, 4096)...)

	for i := range f.data {
		f.data[i] = byte(i * 31)
	}

	storage.Fill(f.data[8192:12288], "S1", 5, 77, 1)

	synctest.Test(t, func(t *testing.T) {
		v := storage.View(f, f.size)

		for _, c := range [][2]int64{{0, 512}, {1080, 2}, {8190, 4100}, {8192, 4096}, {mib, 512}, {mib - 100, 612}, {0, mib + 512}} {
			b := make([]byte, c[1])
			if n, err := v.ReadAt(b, c[0]); int64(n) != c[1] || err != nil {
				t.Errorf("%v: %d, %v", c, n, err)
			}

			want := bytes.Clone(f.data[c[0] : c[0]+c[1]])
			for i := range want {
				if at := c[0] + int64(i); at >= 8192 && at < 12288 {
					want[i] = 0
				}
			}

			if !bytes.Equal(b, want) {
				t.Errorf("%v: other data", c)
			}
		}

		if n, err := v.ReadAt(make([]byte, 1024), f.size-512); n != 512 || !errors.Is(err, io.EOF) {
			t.Errorf("over the end: %d, %v", n, err)
		}

		if _, err := v.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("before the beginning")
		}
	})
}

func TestCheckpointsComeBack(t *testing.T) {
	tallies := map[string]storage.Tally{"S1": {Mark: storage.Mark{Step: 3, Piece: 77, Written: 5, Wrong: slices.Repeat([]storage.Wrong{{Kind: storage.Corrupt, Text: "x"}}, 9), Wrongs: 9}}}

	raw := storage.Save(42, tallies, 1<<16)

	n, marks, ok := storage.Load(raw)
	if m := marks["S1"].Mark; !ok || n != 42 || m.Step != 3 || m.Piece != 77 || m.Wrongs != 9 || len(m.Wrong) == 0 || len(m.Wrong) > 4 {
		t.Errorf("%d %+v %v", n, marks, ok)
	}

	if storage.Save(42, tallies, 10) != nil {
		t.Error("a checkpoint of any size")
	}

	for _, bad := range []string{"", "{", "[]"} {
		if _, _, ok := storage.Load([]byte(bad)); ok {
			t.Errorf("%q is a checkpoint", bad)
		}
	}
}

func FuzzBlock(f *testing.F) {
	b := make([]byte, 4096)
	storage.Fill(b, "S1", 1, 4096, 1)
	f.Add(b)
	f.Add(make([]byte, 4096))
	f.Add([]byte("VETTING\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := make([]byte, 4096)
		copy(whole, b)

		if w, right := storage.Judge(whole, "S1", 1, 4096, 1); !right && (w.Kind == "" || w.Text == "") {
			t.Errorf("%+v", w)
		}
	})
}
