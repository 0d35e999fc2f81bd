package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/disk"
	"vetting/agent/storage"
	"vetting/agent/worker"
	"vetting/core"
)

// TestMain makes this program the worker that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == worker.Word {
		os.Exit(worker.Main(context.Background(), map[string]worker.Func{storage.WorkerKind: keeper}, os.Args[2:]))
	}

	os.Exit(m.Run())
}

// keeperSeed makes of the worker one that only wants a tally to be kept.
const keeperSeed = 4711

// keeper is the worker of the product, or one that asks for a tally to be kept, and tells of
// its end when it hears that it was.
func keeper(ctx context.Context, child *worker.Child) error {
	var job storage.Job
	if err := child.Config(&job); err != nil || job.Seed != keeperSeed {
		return errors.Join(err, storage.Work(disk.System{}, storage.Wiped)(ctx, child))
	}

	child.Ready("a tally")
	child.Canary(true, "nothing")
	child.Say(storage.EventTally, storage.Tally{ID: "K1", Note: 7})

	for raw := range child.Commands() {
		var o storage.Order
		if err := json.Unmarshal(raw, &o); err == nil && o.Kept == 7 {
			child.Say(storage.EventTally, storage.Tally{ID: "K1", Over: true})

			return nil
		}
	}

	return errors.New("nobody kept it")
}

// A worker hears at once that what it told is kept.
func TestAWorkerHearsWhatIsKept(t *testing.T) {
	var told []storage.Tally

	begin := time.Now()
	r := storage.Run(t.Context(), storage.Test{
		Workers: worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil))), Job: storage.Job{Seed: keeperSeed},
		Lease: time.Now,
		Told: func(tally storage.Tally) bool {
			told = append(told, tally)

			return tally.Note > 0
		},
	})

	if r.Exit.Reason != worker.Done || len(told) != 2 || !r.Tallies["K1"].Over || time.Since(begin) > 20*time.Second {
		t.Errorf("after %v: %+v, told %+v", time.Since(begin), r, told)
	}
}

// image makes a file that is read as a disk is. Its name leads there from /dev.
func image(t *testing.T, serial string, bytes int64) storage.Disk {
	t.Helper()

	path, err := filepath.Abs(filepath.Join(t.TempDir(), serial+".img"))
	if err != nil {
		t.Fatal(err)
	}

	content := make([]byte, bytes)
	chance := rand.NewChaCha8([32]byte{1})

	if _, err := chance.Read(content); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}

	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("this file system cannot be read around the page cache")
	}

	_ = unix.Close(fd)

	return storage.Disk{Name: ".." + path, Serial: serial, Bytes: bytes, Block: 512, Depth: 4}
}

// work runs a job in a process of its own.
func work(t *testing.T, job storage.Job) storage.Report {
	t.Helper()

	return storage.Run(t.Context(), storage.Test{
		Workers: worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil))), Job: job,
		Lease: func() time.Time { return time.Now().Add(time.Minute) }, OverrideUntil: time.Now().Add(time.Minute),
	})
}

func TestAWorkerReadsDisks(t *testing.T) {
	a, b := image(t, "A1", 20*mib+4096), image(t, "B1", 8*mib)

	r := work(t, storage.Job{Disks: []storage.Disk{a, b}, Plan: storage.Plan{Share: 1, Edge: mib, Random: 10 * time.Millisecond}, Seed: 1, Destructive: true})
	if r.Exit.Reason != worker.Done || len(r.Tallies) != 2 {
		t.Fatalf("%+v", r)
	}

	for _, d := range []storage.Disk{a, b} {
		tally := r.Tallies[d.Serial]
		if !tally.Over || tally.Wrote || len(tally.Mark.Wrong) > 0 || tally.Mark.Read < d.Bytes || tally.Mark.Compared == 0 || tally.Random.Total == 0 || tally.Reads.Most <= 0 {
			t.Errorf("%+v", tally)
		}
	}
}

// A file is no disk of the machine: whatever a job says of it, it is not written.
func TestAWorkerWritesNothingThatIsNoDisk(t *testing.T) {
	d := image(t, "A1", 8*mib)
	d.Write, d.Override = true, true

	before, err := os.ReadFile("/dev/" + d.Name)
	if err != nil {
		t.Fatal(err)
	}

	r := work(t, storage.Job{
		Disks: []storage.Disk{d}, Plan: storage.Plan{Share: 1, Edge: mib, Passes: 1}, Seed: 1, Destructive: true,
		Expected: []core.ExpectedDisk{{Serial: "A1", SizeBytes: 8 * mib, Armed: true}},
	})
	if tally := r.Tallies["A1"]; r.Exit.Reason != worker.Done || tally.Over || len(tally.Refused) != 1 || tally.Refused[0].Code != "storage/expected-disk-missing" {
		t.Errorf("%+v", r)
	}

	if after, err := os.ReadFile("/dev/" + d.Name); err != nil || string(after) != string(before) {
		t.Errorf("it was written: %v", err)
	}
}

func TestADiskThatCannotBeOpened(t *testing.T) {
	r := work(t, storage.Job{Disks: []storage.Disk{{Name: "no-such-disk", Serial: "A1", Bytes: mib, Block: 512}}, Plan: storage.Plan{Share: 1}})
	if tally := r.Tallies["A1"]; tally.Over || len(tally.Mark.Wrong) != 1 || tally.Mark.Wrong[0].Code != "storage/not-tested" {
		t.Errorf("%+v", r)
	}
}
