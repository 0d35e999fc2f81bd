//go:build bench

package traffic_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/traffic"
)

const (
	benchRounds = 5
	benchTime   = 4 * time.Second
)

// TestBenchVerified measures how much one second of CPU time of both ends moves over the
// loopback by one stream, each byte verified, beside iperf3, which verifies nothing, in
// turns. What the kernel does for either is in the figures; making the noise and the
// first words too.
func TestBenchVerified(t *testing.T) {
	const name = "network/verified-vs-iperf3"

	if !strings.Contains(name, os.Getenv("BENCH")) {
		t.Skipf("BENCH=%s does not name it", os.Getenv("BENCH"))
	}

	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Skip("iperf3 is not installed")
	}

	r := newRig(t)

	var our, their, ratios []float64

	for round := range benchRounds {
		down := round%2 == 1
		before := cpuSeconds(t, unix.RUSAGE_SELF)

		s, err := r.client.Stream(t.Context(), traffic.Plan{Down: down, For: benchTime})
		if err != nil || s.Bad != 0 {
			t.Fatalf("%+v %v", s, err)
		}

		our = append(our, float64(s.Bytes)*8/1e9/(cpuSeconds(t, unix.RUSAGE_SELF)-before))
		their = append(their, iperf3(t, down))
		ratios = append(ratios, our[round]/their[round])

		t.Logf("down %t: ours %.1f Gbit a CPU second at %.1f Gbit/s, iperf3 %.1f", down, our[round], s.Mbps()/1000, their[round])
	}

	fmt.Printf("bench %s ours=%.1f peer=%.1f ratio=%.2f unit=Gbit/CPU-s\n", name, middle(our), middle(their), middle(ratios))
}

// iperf3 returns what the CPU time of both its ends moves.
func iperf3(t *testing.T, down bool) float64 {
	t.Helper()

	port := strconv.Itoa(freePort(t))
	server := exec.CommandContext(t.Context(), "iperf3", "-s", "-B", "127.0.0.1", "-p", port)

	var said bytes.Buffer

	server.Stdout, server.Stderr = &said, &said

	if err := server.Start(); err != nil {
		t.Fatal(err)
	}

	args := []string{"-c", "127.0.0.1", "-p", port, "-J", "-t", strconv.Itoa(int(benchTime.Seconds()))}
	if down {
		args = append(args, "-R")
	}

	before := cpuSeconds(t, unix.RUSAGE_CHILDREN)

	out, err := exec.CommandContext(t.Context(), "iperf3", args...).Output()
	for try := 0; strings.Contains(string(out), "refused") && try < 100; try++ { // it does not listen yet, and its client calls that a success
		time.Sleep(20 * time.Millisecond)

		before = cpuSeconds(t, unix.RUSAGE_CHILDREN)
		out, err = exec.CommandContext(t.Context(), "iperf3", args...).Output()
	}

	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, &said)
	}

	_ = server.Process.Kill()
	_ = server.Wait() // killed; what it has used is counted now

	var report struct {
		End struct {
			SumReceived struct {
				Bytes float64 `json:"bytes"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(out, &report); err != nil || report.End.SumReceived.Bytes == 0 {
		t.Fatalf("%v\n%s", err, out)
	}

	return report.End.SumReceived.Bytes * 8 / 1e9 / (cpuSeconds(t, unix.RUSAGE_CHILDREN) - before)
}

func freePort(t *testing.T) int {
	t.Helper()

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()

	return ln.Addr().(*net.TCPAddr).Port
}

func cpuSeconds(t *testing.T, who int) float64 {
	t.Helper()

	var r unix.Rusage
	if err := unix.Getrusage(who, &r); err != nil {
		t.Fatal(err)
	}

	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))

	return sorted[(len(sorted)-1)/2]
}
