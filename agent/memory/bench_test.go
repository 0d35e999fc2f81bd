//go:build bench

package memory_test

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/memory"
	"vetting/agent/worker"
)

const (
	benchRounds = 5
	benchBytes  = 1 << 30
)

// wanted skips the test unless BENCH is empty or part of its name.
func wanted(t *testing.T, name string) {
	t.Helper()

	if !strings.Contains(name, os.Getenv("BENCH")) {
		t.Skipf("BENCH=%s does not name it", os.Getenv("BENCH"))
	}
}

// oneCPU ties this test and all that it starts to one CPU.
func oneCPU(t *testing.T) {
	t.Helper()

	runtime.LockOSThread() // the thread ends with the test

	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}

	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}

	one.Set(cpu)

	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = unix.SchedSetaffinity(0, &before) })
}

// ours tests a GiB on one CPU.
func ours(t *testing.T, kind memory.Patterns, passes int) *memory.NodeReport {
	t.Helper()

	n := run(t, memory.Test{
		Root: os.DirFS("/"), Runner: worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil))), Limit: benchBytes, Patterns: kind,
		Passes: passes,
		Seed:   1,
	})
	if n.Tested() != benchBytes || len(n.Faults) > 0 || len(n.CPUs) != 1 {
		t.Fatalf("%+v", n)
	}

	return n
}

// peer runs a program on the same CPU and as nicely as our worker, and returns what
// it says and how long it takes.
func peer(t *testing.T, args ...string) (said string, took time.Duration) {
	t.Helper()

	begin := time.Now()

	out, err := exec.CommandContext(t.Context(), "nice", append([]string{"-n", "10"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}

	return string(out), time.Since(begin)
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))

	return sorted[(len(sorted)-1)/2]
}

// TestBenchVerified measures how many bytes one core reads back and compares in a
// second, beside stressapptest on the same CPU, in turns. Ours are whole passes of
// the quick profile, as many as take about as long as the peer's rounds, the first
// write included; the time to take the memory is in neither figure. The peer's is half of what it prints as Memory Copy, which counts
// each byte when it is read and when it is written (worker.h, CopyThread); each
// round takes the faster of its two ways of copying, plain and -W.
func TestBenchVerified(t *testing.T) {
	const name = "memory/verified-vs-stressapptest"

	wanted(t, name)
	oneCPU(t)

	var our, their, ratios []float64

	for range benchRounds {
		n := ours(t, memory.Short, 6)
		our = append(our, float64(n.Tally.Verified)/n.Tally.Busy.Seconds()/(1<<20))

		best := max(stressapptest(t), stressapptest(t, "-W"))
		their = append(their, best)
		ratios = append(ratios, our[len(our)-1]/best)

		t.Logf("ours %.0f MiB/s, stressapptest %.0f MiB/s", our[len(our)-1], best)
	}

	fmt.Printf("bench %s ours=%.0f peer=%.0f ratio=%.2f unit=MiB/s/core\n", name, middle(our), middle(their), middle(ratios))
}

// stressapptest returns how many MiB a second it verifies.
func stressapptest(t *testing.T, args ...string) float64 {
	t.Helper()

	said, _ := peer(t, append([]string{"stressapptest", "-M", "1024", "-m", "1", "-s", "6"}, args...)...)

	m := regexp.MustCompile(`Stats: Memory Copy: [0-9.]+M at ([0-9.]+)MB/s`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("stressapptest said %s", said)
	}

	rate, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}

	return rate / 2
}

// TestBenchPass measures how long one core takes for a GiB: ours all patterns of the
// deep profile without the waits, memtester one loop. Its loop is measured over
// 32 MiB and multiplied, since its time grows with the size and a GiB takes minutes.
func TestBenchPass(t *testing.T) {
	const (
		name  = "memory/pass-1gib-vs-memtester"
		mib   = 32
		times = benchBytes >> 20 / mib
	)

	wanted(t, name)
	oneCPU(t)

	var our, their, ratios []float64

	for range 3 {
		n := ours(t, memory.Full, 1)
		our = append(our, n.Tally.Busy.Seconds())

		_, took := peer(t, "memtester", strconv.Itoa(mib)+"M", "1")
		their = append(their, took.Seconds()*times)
		ratios = append(ratios, their[len(their)-1]/our[len(our)-1])

		t.Logf("ours %.1f s, memtester %.1f s", our[len(our)-1], their[len(their)-1])
	}

	fmt.Printf("bench %s ours=%.1f peer=%.0f ratio=%.1f unit=s note=peer-measured-over-%d-MiB\n",
		name, middle(our), middle(their), middle(ratios), mib)
}
