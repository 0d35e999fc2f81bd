//go:build bench && linux

package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
)

// The programs that make build makes.
const (
	appliance = "../../../build/vetting"
	generator = "../../../build/vetting-lab"
)

// How often ours and the peer take turns: a load, and a boot.
const (
	rounds = 7
	boots  = 3
)

// wanted skips the test unless BENCH is empty or part of one of its names.
func wanted(t *testing.T, names ...string) {
	t.Helper()

	filter := os.Getenv("BENCH")
	if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, filter) }) {
		t.Skipf("BENCH=%s does not name it", filter)
	}

	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
}

// median of an odd number of values; of an even number the lower one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))

	return sorted[(len(sorted)-1)/2]
}

// rate prints a figure of which more is better.
func rate(name, unit string, ours, peer []float64) { figure(name, unit, ours, peer, true, "") }

// took prints a duration, of which less is better.
func took(name string, ours, peer []float64, note string) { figure(name, "s", ours, peer, false, note) }

// figure prints the medians, and as ratio (above 1: we are better) the median of
// the rounds' ratios: what else the machine does meanwhile then weighs on both.
func figure(name, unit string, ours, peer []float64, more bool, note string) {
	var ratios []float64

	for i := range ours {
		if more {
			ratios = append(ratios, ours[i]/peer[i])
		} else {
			ratios = append(ratios, peer[i]/ours[i])
		}
	}

	line := fmt.Sprintf("bench %s ours=%.4g peer=%.4g ratio=%.2f unit=%s", name, median(ours), median(peer), median(ratios), unit)
	if note != "" {
		line += " " + note
	}

	fmt.Println(line)
}

// printed prints a figure that has no peer.
func printed(name, unit string, ours []float64) {
	fmt.Printf("bench %s ours=%.4g unit=%s\n", name, median(ours), unit)
}

// cores are where servers and load run: a core each.
func cores(t *testing.T) (server, load []int) {
	t.Helper()

	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors: one for the server, one for the load")
	}

	return []int{0}, []int{1}
}

// generate starts the load generator at a station and decodes what it measured.
func generate(ctx context.Context, t *testing.T, station *lab.Station, cpus []int, out any, args ...string) {
	t.Helper()

	program, err := filepath.Abs(generator)
	if err != nil {
		t.Fatal(err)
	}

	process, err := station.Start(ctx, lab.Command{Program: program, Args: append([]string{"load"}, args...), CPUs: cpus})
	if err != nil {
		t.Fatal(err)
	}

	if err := process.Wait(ctx); err != nil {
		t.Fatalf("the load generator: %v: %s", err, process.Output)
	}

	if err := json.Unmarshal([]byte(process.Output.String()), out); err != nil {
		t.Fatalf("the load generator said %q: %v", process.Output, err)
	}
}

// peerSegment is a segment with a station for the rival at the appliance's
// address, and one for clients.
func peerSegment(t *testing.T, address string) (segment *lab.Segment, server, clients *lab.Station) {
	t.Helper()

	segment, err := lab.OpenSegment()
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := segment.Close(); err != nil {
			t.Error(err)
		}
	})

	server, err = segment.Station("peer", netip.MustParsePrefix(address))
	if err != nil {
		t.Fatal(err)
	}

	clients, err = segment.Station("clients", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}

	return segment, server, clients
}

// limited is the test's context with a deadline.
func limited(t *testing.T, limit time.Duration) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)

	return ctx
}
