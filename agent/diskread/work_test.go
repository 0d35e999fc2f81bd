package diskread_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vetting/agent/diskread"
	"vetting/agent/worker"
)

// TestMain makes this program the worker that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == worker.Word {
		os.Exit(worker.Main(context.Background(), map[string]worker.Func{diskread.Kind: diskread.Work}, os.Args[2:]))
	}

	os.Exit(m.Run())
}

// image makes a file that is read as a disk is.
func image(t *testing.T, bytes int64) diskread.Target {
	t.Helper()

	f, err := os.CreateTemp(t.TempDir(), "disk-*.img")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := io.CopyN(f, noise{}, bytes); err != nil {
		t.Fatal(err)
	}

	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	path, err := filepath.Abs(f.Name())
	if err != nil {
		t.Fatal(err)
	}

	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("this file system cannot be read around the page cache")
	}

	_ = unix.Close(fd)

	return diskread.Target{Name: filepath.Base(path), Path: path, Bytes: uint64(bytes), Block: 4096}
}

// noise never ends.
type noise struct{}

func (noise) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}

	return len(p), nil
}

// read runs a worker until the disks were read some times, and returns what it said.
func read(t *testing.T, job diskread.Job, enough uint64) (tallies map[string]diskread.Tally, wrong []diskread.Wrong, exit worker.Exit) {
	t.Helper()

	tallies = map[string]diskread.Tally{}

	var p *worker.Process

	born := make(chan struct{})
	p = worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil))).Start(t.Context(), worker.Spec{Kind: diskread.Kind, Name: "disks", Config: job},
		func(m worker.Message) {
			<-born

			if m.Type != worker.Event {
				return
			}

			var (
				tally diskread.Tally
				w     diskread.Wrong
				err   error
			)

			switch m.Kind {
			case diskread.EventTally:
				err = m.Decode(&tally)
				tallies[tally.Name] = tally

				if tally.Bytes >= enough {
					p.Stop()
				}
			case diskread.EventWrong:
				err = m.Decode(&w)
				wrong = append(wrong, w)

				if w.Error != "" {
					p.Stop()
				}
			}

			if err != nil {
				t.Error(err)
			}
		})
	close(born)

	return tallies, wrong, p.Wait()
}

func TestADiskIsReadTwiceAndCompared(t *testing.T) {
	disk := image(t, 40<<20+4096)

	tallies, wrong, exit := read(t, diskread.Job{Targets: []diskread.Target{disk}, Seed: 1}, 100<<20)
	if exit.Reason != worker.Done || len(wrong) > 0 {
		t.Fatalf("exit %+v, wrong %+v", exit, wrong)
	}

	if tally := tallies[disk.Name]; tally.Bytes < 100<<20 || tally.Compared < tally.Bytes/4 || tally.InUse || tally.Slowest <= 0 {
		t.Errorf("tally %+v", tally)
	}
}

func TestADiskThatGivesOtherDataTheSecondTime(t *testing.T) {
	disk, good := image(t, 64<<20), image(t, 64<<20)

	tallies, wrong, exit := read(t, diskread.Job{
		Targets: []diskread.Target{good, disk}, Seed: 1, Fault: &diskread.Fault{Name: disk.Name, Zone: 1},
	}, 200<<20)
	if exit.Reason != worker.Done || len(wrong) != 1 {
		t.Fatalf("exit %+v, wrong %+v, tallies %+v", exit, wrong, tallies)
	}

	if w := wrong[0]; w.Name != disk.Name || w.Error != "" || !w.Steady || w.Offset%(1<<20) != 0 || w.Length != 1<<20 {
		t.Errorf("%+v", w)
	}
}

func TestADiskThatIsShorterThanItSays(t *testing.T) {
	disk := image(t, 32<<20)
	disk.Bytes = 64 << 20

	_, wrong, exit := read(t, diskread.Job{Targets: []diskread.Target{disk}, Seed: 1}, 1<<40)
	if exit.Reason != worker.Done || len(wrong) == 0 || !strings.Contains(wrong[0].Error, "0 of 1048576 bytes") || wrong[0].Offset != 32<<20 {
		t.Errorf("exit %+v, wrong %+v", exit, wrong)
	}
}

func TestDisksThatCannotBeOpened(t *testing.T) {
	_, wrong, exit := read(t, diskread.Job{Targets: []diskread.Target{{Name: "sdz", Path: "/dev/no-such-disk", Bytes: 1 << 30, Block: 512}}}, 1)
	if exit.Reason != worker.Broken || len(wrong) != 1 || wrong[0].Name != "sdz" || !strings.Contains(wrong[0].Error, "no such file") {
		t.Errorf("exit %+v, wrong %+v", exit, wrong)
	}
}
