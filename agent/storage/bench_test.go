//go:build bench

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/blockdev"
	"vetting/agent/storage"
)

const (
	benchBytes  = 1 << 30
	benchRounds = 5
)

// direct is a file that is written around the page cache, as a disk is.
type direct struct{ fd int }

func (d direct) ReadAt(p []byte, offset int64) (int, error) { return unix.Pread(d.fd, p, offset) }
func (d direct) WriteTimed(p []byte, offset int64) (n int, took time.Duration, err error) {
	begin := time.Now()
	n, err = unix.Pwrite(d.fd, p, offset)

	return n, time.Since(begin), err
}

func (d direct) Flush() error                     { return unix.Fdatasync(d.fd) }
func (d direct) Discard(int64, int64, bool) error { return errors.ErrUnsupported }
func (d direct) Erase(context.Context, blockdev.Progress) (string, error) {
	return "", errors.ErrUnsupported
}

// cost is what a test of the whole file took.
type cost struct{ wall, cpu time.Duration }

// rate is how many MB a second of CPU time are written and read back.
func (c cost) rate() float64 { return 2 * benchBytes / 1e6 / c.cpu.Seconds() }

// TestBenchVerified writes a file of 1 GiB, around the page cache and four requests of
// 1 MiB at a time, and reads it back, each block of 4 KiB verified by CRC-32C, beside
//
//   - storage/verified-vs-fio: fio doing the same with --verify=crc32c, in MB for each
//     second of CPU time, the kernel's included;
//   - storage/verified-vs-badblocks: badblocks -w, which writes and compares four
//     constant patterns, in seconds of wall time for the whole file.
//
// Rounds are interleaved, and ratios are the medians of the rounds'.
func TestBenchVerified(t *testing.T) {
	names := "storage/verified-vs-fio storage/verified-vs-badblocks"
	if only := os.Getenv("BENCH"); only != "" && !strings.Contains(names, only) {
		t.Skip("not asked for")
	}

	path := filepath.Join(t.TempDir(), "disk.img")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, benchBytes)); err != nil {
		t.Fatal(err)
	}

	peers := map[string][]string{
		"fio": {
			"fio", "--name=v", "--filename=" + path, "--rw=write", "--bs=1M", "--direct=1", "--ioengine=libaio", "--iodepth=4", "--end_fsync=1",
			"--verify=crc32c", "--verify_interval=4k", "--do_verify=1", "--verify_fatal=1", "--size=" + strconv.Itoa(benchBytes), "--output=/dev/null",
		},
		"badblocks": {"badblocks", "-w", "-B", "-b", "4096", "-c", "256", path, strconv.Itoa(benchBytes / 4096)},
	}
	costs := map[string][]cost{}

	for round := range benchRounds {
		costs["ours"] = append(costs["ours"], benchOurs(t, path))

		for name, args := range peers {
			costs[name] = append(costs[name], benchPeer(t, args))
		}

		t.Logf("round %d: ours %v, fio %v, badblocks %v", round, costs["ours"][round], costs["fio"][round], costs["badblocks"][round])
	}

	figure := func(name string, of func(cost) float64, better func(ours, peer float64) float64, unit string) {
		peer := name[strings.LastIndex(name, "-")+1:]

		var ours, theirs, ratios []float64

		for i := range costs["ours"] {
			ours, theirs = append(ours, of(costs["ours"][i])), append(theirs, of(costs[peer][i]))
			ratios = append(ratios, better(ours[i], theirs[i]))
		}

		fmt.Printf("bench %s ours=%.4g peer=%.4g ratio=%.3f unit=%s\n", name, middle(ours), middle(theirs), middle(ratios), unit)
	}

	figure("storage/verified-vs-fio", cost.rate, func(ours, peer float64) float64 { return ours / peer }, "MB/cpu-s")
	figure("storage/verified-vs-badblocks", func(c cost) float64 { return c.wall.Seconds() }, func(ours, peer float64) float64 { return peer / ours }, "s")
}

func middle(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))

	return values[len(values)/2]
}

// benchOurs tests the file as a disk is tested.
func benchOurs(t *testing.T, path string) cost {
	t.Helper()

	fd, err := unix.Open(path, unix.O_RDWR|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		t.Skip("this file system cannot be written around the page cache")
	}

	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)

	d := storage.Disk{Name: "file", Serial: "F1", Bytes: benchBytes, Block: 512, Depth: 4, Write: true}
	plan := storage.Plan{Share: 1, Edge: 4096, Passes: 1}
	before, begin := cpuTime(t), time.Now()

	tally := storage.ExamineIn(t.Context(), d, plan, uint64(begin.UnixNano()), direct{fd}, blockdev.Buffer, blockdev.Free)
	if len(tally.Mark.Wrong) > 0 || !tally.Over || tally.Mark.Verified < benchBytes {
		t.Fatalf("%+v", tally)
	}

	return cost{time.Since(begin), cpuTime(t) - before}
}

// cpuTime is what this process has used, the kernel's work for it included.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()

	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchPeer(t *testing.T, args []string) cost {
	t.Helper()

	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skip(args[0] + " is not installed")
	}

	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = t.TempDir() // fio leaves the state of its verification
	begin := time.Now()

	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", args[0], err, out)
	}

	return cost{time.Since(begin), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}
