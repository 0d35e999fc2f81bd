//go:build bench

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the agent may take for itself while its workers have the machine.
const (
	ownCPULimit    = 1.0   // percent of one core
	ownMemoryLimit = 150.0 // MB, resident
)

// TestBenchOwnCost measures the process that has CPUs stressed by its workers and
// watches over error counters, kernel log and thermometers meanwhile, without what
// its workers take.
func TestBenchOwnCost(t *testing.T) {
	if !strings.Contains("agent/own-cpu agent/own-memory", os.Getenv("BENCH")) {
		t.Skipf("BENCH=%s does not name it", os.Getenv("BENCH"))
	}

	const settled, watched = 5 * time.Second, 30 * time.Second

	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", stressWord, "cpu", "--duration", "60s")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	time.Sleep(settled)

	begin, before := time.Now(), ownTime(t, cmd.Process.Pid)

	time.Sleep(watched)

	share := 100 * (ownTime(t, cmd.Process.Pid) - before).Seconds() / time.Since(begin).Seconds()
	resident := peakMB(t, cmd.Process.Pid)

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}

	_ = cmd.Wait() // it was stopped before its end

	fmt.Printf("bench agent/own-cpu ours=%.3f peer=%.3f ratio=%.2f unit=percent-of-a-core note=peer-is-the-limit\n", share, ownCPULimit, ownCPULimit/max(share, 0.001))
	fmt.Printf("bench agent/own-memory ours=%.1f peer=%.1f ratio=%.2f unit=MB note=peer-is-the-limit\n", resident, ownMemoryLimit, ownMemoryLimit/resident)

	if share >= ownCPULimit || resident >= ownMemoryLimit {
		t.Errorf("the agent itself takes %.2f %% of a core and %.1f MB", share, resident)
	}
}

// ownTime is how much CPU time a process has had, without its children
// (proc_pid_stat(5), fields 14 and 15).
func ownTime(t *testing.T, pid int) time.Duration {
	t.Helper()

	const (
		tick        = 10 * time.Millisecond // USER_HZ is 100 everywhere
		afterName   = 2                     // fields before the rest: pid and name
		user, inKrn = 14 - afterName - 1, 15 - afterName - 1
	)

	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}

	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)

	sum := 0

	for _, field := range []string{fields[user], fields[inKrn]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}

		sum += n
	}

	return time.Duration(sum) * tick
}

// peakMB is the most memory that a process had (proc_pid_status(5), VmHWM).
func peakMB(t *testing.T, pid int) float64 {
	t.Helper()

	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}

	_, rest, _ := strings.Cut(string(text), "VmHWM:")

	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}

	return kib * 1024 / 1e6
}
