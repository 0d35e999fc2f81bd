package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/storage"
)

// secure is a machine of one armed disk that is to be unreadable at the end.
func secure(c *controller) (shelf, storage.Job) {
	s, job := machine()
	s, job.Disks, job.Expected = s[:1], job.Disks[:1], job.Expected[:1]
	job.Plan.Discard, job.Plan.Random = "secure", time.Second
	job.Disks[0].ID, job.Disks[0].WWN = "F1", s[0].wwn
	c.inhabit(s[0])

	return s, job
}

// labour runs a job until ctx ends; it is for a bubble of synctest.
func labour(ctx context.Context, s shelf, job storage.Job) storage.Tally {
	return labourHeard(ctx, s, job, func(storage.Tally) {})
}

func labourHeard(ctx context.Context, s shelf, job storage.Job, heard func(storage.Tally)) storage.Tally {
	return labourKept(ctx, s, job, func(t storage.Tally) bool {
		heard(t)

		return true
	})
}

func labourKept(ctx context.Context, s shelf, job storage.Job, heard func(storage.Tally) (kept bool)) storage.Tally {
	begin := time.Now()
	now := func() time.Time { return time.Unix(0, int64(time.Since(begin))+1) }
	orders := make(chan storage.Order)
	close(orders)

	return storage.CrewKept(ctx, job, s, func(d storage.Disk) (io.ReaderAt, error) { return s.find(d.Name) }, look, now, orders, heard)["F1"]
}

// Where nobody can write down that what was written is given up, or that a disk erases
// itself, it stays as it is: a later worker would fail the disk for it.
func TestNothingIsGivenUpUnkept(t *testing.T) {
	nothing := func(storage.Tally) bool { return false }

	for name, c := range map[string]struct {
		discard string
		keeps   func(storage.Tally) bool
	}{
		"a discard":                     {"discard", nothing},
		"an erasure":                    {"secure", nothing},
		"an erasure, at its very start": {"secure", func(t storage.Tally) bool { return t.Mark.Erasing == nil }},
	} {
		synctest.Test(t, func(t *testing.T) {
			device := &controller{takes: time.Minute}
			s, job := secure(device)
			job.Plan.Discard = c.discard

			tally := labourKept(t.Context(), s, job, c.keeps)
			if !strings.HasPrefix(tally.Discard, "NOT discarded: ") || !strings.Contains(tally.Discard, "could not write down") || !tally.Over || tally.Mark.Erasing != nil || device.orders > 0 || s[0].blank() {
				t.Errorf("%s: %q, over %v, %d orders, blank %v, %+v", name, tally.Discard, tally.Over, device.orders, s[0].blank(), tally.Mark)
			}
		})
	}
}

// What is told of a disk never goes back: an older look at it does not come after what was
// noted.
func TestWhatIsToldNeverGoesBack(t *testing.T) {
	heard := storage.SayAndNote()
	if len(heard) != 2 || heard[0].Note != 0 || heard[1].Note != 1 || heard[1].Mark.Erasing == nil {
		t.Errorf("%+v", heard)
	}
}

// killed is what was heard of the disk of a process that is killed when ctx ends. A command
// that it has sent goes on in the kernel.
func killed(ctx context.Context, s shelf, job storage.Job) storage.Tally {
	var (
		mu   sync.Mutex
		last storage.Tally
	)

	go labourHeard(ctx, s, job, func(tally storage.Tally) {
		mu.Lock()
		defer mu.Unlock()

		last = tally
	})

	<-ctx.Done()
	synctest.Wait()

	mu.Lock()
	defer mu.Unlock()

	return last
}

// later is the job as a process after the one that told of the disk gets it: by way of a
// checkpoint.
func later(t *testing.T, job storage.Job, tally storage.Tally) storage.Job {
	t.Helper()

	_, all, ok := storage.Load(storage.Save(seed, map[string]storage.Tally{"F1": tally}, 64<<10))
	if !ok {
		t.Fatal("no checkpoint")
	}

	was := all["F1"]
	job.Disks = slices.Clone(job.Disks)
	job.Disks[0].Resume = &was

	return job
}

// An agent that is started again while a disk erases itself waits for its end, and tells it
// nothing a second time.
func TestADiskThatErasesItselfWhileTheAgentIsStartedAgain(t *testing.T) {
	const hour = time.Hour

	for name, c := range map[string]struct {
		disk    *controller
		between func(s shelf, job *storage.Job, tally *storage.Tally) // the two agents
		away    time.Duration
		want    string // of what came of it
		orders  int
		least   time.Duration
		refused string
	}{
		"a sanitize goes on":            {disk: &controller{takes: hour}, away: time.Minute, want: "erased: Sanitize, block erase, which an agent began", orders: 1, least: 58 * time.Minute},
		"a sanitize is done":            {disk: &controller{takes: hour}, away: 2 * hour, want: "erased: Sanitize, block erase, which an agent began", orders: 1},
		"a sanitize failed":             {disk: &controller{takes: hour, fails: true}, away: time.Minute, want: "NOT discarded: Sanitize, block erase: the disk did not erase itself: Sanitize, block erase failed", orders: 1},
		"a format goes on":              {disk: &controller{takes: hour, formats: true}, away: time.Minute, want: "erased: Format NVM, user data erase, which an agent began", orders: 1, least: 58 * time.Minute},
		"a format of which nobody says": {disk: &controller{takes: hour, formats: true, silent: true}, away: time.Minute, want: "erased: Format NVM, user data erase, which an agent began", orders: 1, least: 58 * time.Minute},
		"a format is done":              {disk: &controller{takes: hour, formats: true}, away: 2 * hour, want: "erased: Format NVM, user data erase, which an agent began", orders: 1},
		"a sanitize that does nothing": {disk: &controller{takes: hour}, away: time.Minute, between: func(s shelf, _ *storage.Job, _ *storage.Tally) {
			s[0].keeps = true
		}, want: "NOT discarded, although the disk says so (Sanitize, block erase): what was written at 0 is still there", orders: 1},
		"another disk has its serial number": {disk: &controller{takes: hour}, away: time.Minute, between: func(s shelf, _ *storage.Job, _ *storage.Tally) {
			s[0].wwn = "beef"
		}, want: `has WWN "beef", and it was "5000c500a0000001"`, orders: 1},
		"it is gone": {disk: &controller{takes: hour}, away: time.Minute, between: func(s shelf, _ *storage.Job, _ *storage.Tally) {
			s[0].serial = "F9"
		}, want: "no such disk is there", orders: 1},
		"a sanitize that was never sent": {disk: &controller{takes: hour}, between: func(s shelf, _ *storage.Job, tally *storage.Tally) {
			c := s[0].controller
			c.orders, c.ends, c.action, tally.Mark.Erasing.Begun = 0, time.Time{}, 0, false
		}, want: "erased: Sanitize, block erase", orders: 1, least: hour},
		"a sanitize that was never sent, of a disk that is not armed any more": {disk: &controller{takes: hour}, between: func(s shelf, job *storage.Job, tally *storage.Tally) {
			c := s[0].controller
			c.orders, c.ends, c.action, tally.Mark.Erasing.Begun = 0, time.Time{}, 0, false
			job.Expected = slices.Clone(job.Expected)
			job.Expected[0].Armed = false
		}, orders: 0, refused: "storage/not-armed"},
		"a sanitize of long ago": {disk: &controller{takes: hour}, between: func(s shelf, _ *storage.Job, tally *storage.Tally) {
			c := s[0].controller
			c.orders, c.ends, tally.Mark.Erasing.Begun = 0, time.Now().Add(-hour), false
		}, want: "NOT discarded: nobody knows whether the disk was told (Sanitize, block erase), and what was written at 0 is still there", orders: 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			c.disk.sent = func() { time.AfterFunc(20*time.Second, stop) } // it was seen at it

			s, job := secure(c.disk)

			tally := killed(ctx, s, job)
			if tally.Over || tally.Mark.Erasing == nil || len(tally.Mark.Wrong) > 0 || c.disk.orders != 1 {
				t.Fatalf("%s: the first agent: %+v", name, tally)
			}

			c.disk.sent = nil
			time.Sleep(c.away)

			if c.between != nil {
				c.between(s, &job, &tally)
			}

			begin, written := time.Now(), s[0].written
			tally = labour(t.Context(), s, later(t, job, tally))

			if took := time.Since(begin); took < c.least {
				t.Errorf("%s: only %v", name, took)
			}

			if c.refused != "" {
				if got := codes(tally); !slices.Contains(got, c.refused) || tally.Over {
					t.Errorf("%s: %+v", name, tally)
				}
			} else if !tally.Over || !tally.Wrote || !strings.Contains(tally.Discard, c.want) {
				t.Errorf("%s: %q, over %v: %+v", name, tally.Discard, tally.Over, tally.Refused)
			}

			if c.disk.orders != c.orders || s[0].written != written || len(tally.Mark.Wrong) > 0 {
				t.Errorf("%s: told %d times, written %d times more: %+v", name, c.disk.orders, s[0].written-written, tally.Mark.Wrong)
			}

			if tally.Mark.Verified < small {
				t.Errorf("%s: what was verified is forgotten: %+v", name, tally.Mark)
			}
		})
	}
}

// A long erasure is asked after rarely, and its end is found all the same.
func TestADiskThatErasesItselfIsLeftInPeace(t *testing.T) {
	for name, c := range map[string]*controller{"sanitize": {takes: 3 * time.Hour}, "format": {takes: 3 * time.Hour, formats: true}} {
		synctest.Test(t, func(t *testing.T) {
			s, job := secure(c)

			if tally := labour(t.Context(), s, job); !tally.Over || !strings.HasPrefix(tally.Discard, "erased: ") || c.asked > 420 || c.asked < 100 {
				t.Errorf("%s: asked %d times: %q", name, c.asked, tally.Discard)
			}
		})
	}
}

// What is being given up cannot be verified any more: a process after the one that began
// with it goes on there.
func TestADiskThatIsDiscardedWhileTheAgentIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s, job := secure(&controller{})
		s[0].controller, s[0].readFails, job.Plan.Discard = nil, nil, "discard"
		s[0].discarded = stop

		tally := labour(ctx, s, job)
		if tally.Over || s[0].discards == 0 {
			t.Fatalf("the first agent: %+v", tally)
		}

		written := s[0].written
		s[0].discarded = nil

		tally = labour(t.Context(), s, later(t, job, tally))
		if !tally.Over || len(tally.Mark.Wrong) > 0 || tally.Discard != "discarded" || s[0].written != written || tally.Done != tally.Total {
			t.Errorf("%+v", tally)
		}
	})
}

// A disk whose test is over is not opened again, whatever is on it by now, and what was
// found is not forgotten.
func TestADiskThatWasTestedBeforeTheAgentIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &controller{takes: time.Minute}
		s, job := secure(c)
		s[0].takes = func(offset int64) time.Duration {
			if offset == 3*mib {
				return 20 * time.Second
			}

			return 5 * time.Millisecond
		}

		first := labour(t.Context(), s, job)
		if !first.Over || first.Reads.Most != 20*time.Second {
			t.Fatalf("%+v", first)
		}

		copy(s[0].data, bytes.Repeat([]byte("somebody's"), 1000))

		requests := s[0].requests
		second := labour(t.Context(), s, later(t, job, first))

		if !second.Over || !second.Wrote || second.Discard != first.Discard || len(second.Refused) > 0 || s[0].requests != requests || c.orders != 1 {
			t.Errorf("%+v", second)
		}

		if second.Reads.Most != 20*time.Second || second.Reads.Over(5*time.Second) != first.Reads.Over(5*time.Second) || second.Bytes != first.Bytes || second.Random.Quantile(0.5) != first.Random.Quantile(0.5) {
			t.Errorf("%+v", second.Reads)
		}
	})
}

// A slow request is not forgotten either where the rest is tested by another process.
func TestWhatWasSlowBeforeIsTold(t *testing.T) {
	f := newFake(size)
	was := storage.Tally{Mark: storage.Mark{Step: 2, Piece: 4}}
	was.Writes.Add(20 * time.Second)

	if tally := examine(t, f, full(), func(d *storage.Disk) { d.Resume = &was }); tally.Writes.Most != 20*time.Second || tally.Writes.Over(5*time.Second) != 1 || tally.Writes.Total < 2 {
		t.Errorf("%+v", tally.Writes)
	}
}

// Many disks have room in a checkpoint, if need be without their figures.
func TestCheckpointsOfManyDisks(t *testing.T) {
	all := map[string]storage.Tally{}

	for i := range 90 {
		var tally storage.Tally

		for n := range 500 {
			tally.Random.Add(time.Duration(n*n) * time.Millisecond)
			tally.Reads.Add(time.Duration(n*n) * time.Millisecond)
		}

		tally.Over, tally.Mark.Step = true, 6
		all[string(rune('A'+i))] = tally
	}

	_, back, ok := storage.Load(storage.Save(1, all, 64<<10))
	if !ok || len(back) != 90 || !back["A"].Over || back["A"].Reads.Most != all["A"].Reads.Most {
		t.Errorf("%d, %v", len(back), ok)
	}

	if few, ok := map[string]storage.Tally{"A": all["A"]}, true; ok {
		_, back, _ = storage.Load(storage.Save(1, few, 64<<10))
		if a, b := back["A"], all["A"]; a.Random.Quantile(0.5) != b.Random.Quantile(0.5) || a.Reads.Over(5*time.Second) != b.Reads.Over(5*time.Second) {
			t.Errorf("%+v", a)
		}
	}

	if _, err := errors.New(""), storage.Save(1, all, 100); err != nil {
		t.Error("a checkpoint of any size")
	}
}
