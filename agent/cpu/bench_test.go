//go:build bench && linux

package cpu_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/cpu"
)

const (
	benchRounds = 7
	benchSlot   = time.Second
)

// TestBenchFlops measures the 64-bit floating-point rate of verified multiply-adds of
// one thread: each block is seeded anew and its digest compared with the known answer,
// which the rate includes. Rounds are interleaved with the peers' on the same CPU, and
// ratios are the medians of the rounds' ratios:
//
//   - cpu/flops-vs-peak: bare multiply-adds on registers, with nothing to seed or
//     verify, as wide as the CPU has them;
//   - cpu/flops-vs-openblas: dgemm of Debian's OpenBLAS on one thread, at the best of
//     several sizes, its result checked at the end;
//   - cpu/flops-vs-stress-ng: stress-ng --matrix --matrix-method prod, which counts
//     products of 32-bit matrices (2n³ operations each) and verifies nothing.
func TestBenchFlops(t *testing.T) {
	names := "cpu/flops-vs-peak cpu/flops-vs-openblas cpu/flops-vs-stress-ng"
	if only := os.Getenv("BENCH"); only != "" && !strings.Contains(names, only) {
		t.Skip("not asked for")
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	number := pin(t)
	peak := cpu.Peak(cpu.Detect())

	if peak == nil {
		t.Skip("this CPU has no vector multiply-add that we know")
	}

	driver, size := dgemm(t, number)
	rates := map[string][]float64{}

	for round := range benchRounds {
		for name, measure := range map[string]func() float64{
			"ours":      func() float64 { return verified(t) },
			"peak":      func() float64 { return bare(peak) },
			"openblas":  func() float64 { return gemm(t, number, driver, size, benchSlot) },
			"stress-ng": func() float64 { return matrix(t, number) },
		} {
			rates[name] = append(rates[name], measure())
		}

		t.Logf("round %d: ours %.1f, peak %.1f, OpenBLAS (n=%d) %.1f, stress-ng %.2f GFLOP/s", round,
			rates["ours"][round], rates["peak"][round], size, rates["openblas"][round], rates["stress-ng"][round])
	}

	for name, peer := range map[string]string{
		"cpu/flops-vs-peak": "peak", "cpu/flops-vs-openblas": "openblas", "cpu/flops-vs-stress-ng": "stress-ng",
	} {
		var ratios []float64
		for i := range rates["ours"] {
			ratios = append(ratios, rates["ours"][i]/rates[peer][i])
		}

		fmt.Printf("bench %s ours=%.1f peer=%.4g ratio=%.3f unit=GFLOP/s\n", name, middle(rates["ours"]), middle(rates[peer]), middle(ratios))
	}
}

func middle(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// pin ties this thread to the last CPU that it may use: interrupts like the first.
func pin(t *testing.T) int {
	t.Helper()

	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}

	last := -1

	for n := range 1024 {
		if set.IsSet(n) {
			last = n
		}
	}

	before := set

	set.Zero()
	set.Set(last)

	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = unix.SchedSetaffinity(0, &before) })

	return last
}

// clock is the CPU time of this thread: what else runs on the machine does not count.
func clock() time.Duration {
	var now unix.Timespec

	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)

	return time.Duration(now.Nano())
}

func verified(t *testing.T) float64 {
	t.Helper()

	kernel, _ := cpu.Find("fma")
	run := kernel.Best(cpu.Detect()).New()

	known, err := cpu.Known("fma")
	if err != nil {
		t.Fatal(err)
	}

	begin, flops := clock(), 0.0

	for n := 0; clock()-begin < benchSlot; n++ {
		if i := n % cpu.Seeds; cpu.Digest(run(cpu.Seed(i))) != known[i] {
			t.Fatalf("seed %d came out wrong", i)
		}

		flops += kernel.Flops
	}

	return flops / (clock() - begin).Seconds() / 1e9
}

func bare(peak func() float64) float64 {
	begin, flops := clock(), 0.0
	for clock()-begin < benchSlot {
		flops += peak()
	}

	return flops / (clock() - begin).Seconds() / 1e9
}

// dgemm builds the peer and finds the size that suits it best.
func dgemm(t *testing.T, number int) (driver string, size int) {
	t.Helper()

	driver = filepath.Join(t.TempDir(), "dgemm")

	out, err := exec.CommandContext(t.Context(), "gcc", "-O2", "-o", driver, "testdata/dgemm.c", "-lopenblas", "-lm").CombinedOutput()
	if err != nil {
		t.Fatalf("building the peer: %v: %s", err, out)
	}

	best := 0.0

	for _, n := range []int{256, 512, 1024, 1536, 2048} {
		rate := gemm(t, number, driver, n, benchSlot/2)
		t.Logf("dgemm of %d: %.1f GFLOP/s", n, rate)

		if rate > best {
			best, size = rate, n
		}
	}

	return driver, size
}

func gemm(t *testing.T, number int, driver string, n int, length time.Duration) float64 {
	t.Helper()

	out := peer(t, number, driver, strconv.Itoa(n), fmt.Sprint(length.Seconds()))

	rate, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	if err != nil {
		t.Fatalf("the peer said %q", out)
	}

	return rate
}

// peer runs a program on our CPU, with one thread. It inherits this thread's affinity,
// and says so for good measure.
func peer(t *testing.T, number int, program string, args ...string) string {
	t.Helper()

	cmd := exec.CommandContext(t.Context(), "taskset", append([]string{"-c", strconv.Itoa(number), program}, args...)...)
	cmd.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1")

	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}

	return string(out)
}

func matrix(t *testing.T, number int) float64 {
	t.Helper()

	const n = 128

	page := filepath.Join(t.TempDir(), "metrics.yaml")
	peer(t, number, "stress-ng", "--matrix", "1", "--matrix-method", "prod", "--matrix-size", strconv.Itoa(n), "-t", "1", "--metrics", "--yaml", page)

	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}

	m := regexp.MustCompile(`bogo-ops-per-second-usr-sys-time: ([0-9.]+)`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("no rate in %s", text)
	}

	ops, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}

	return ops * 2 * n * n * n / 1e9
}
