//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
)

// The largest boot program, of about 1 MiB, by TFTP: ours, and dnsmasq's, which has no
// windows and falls back to a block at a time.
func TestBenchTFTP(t *testing.T) {
	const file = "ipxe.efi"

	cases := []struct {
		name          string
		block, window int
		loss          float64
		clients       int
		times         int // of a client in a round, of ours
		peerTimes     int
	}{
		{"512", 512, 1, 0, 1, 12, 4},
		{"1468", 1468, 1, 0, 1, 16, 6},
		{"1468-window-4", 1468, 4, 0, 1, 24, 6},
		{"1468-window-16", 1468, 16, 0, 1, 40, 6},
		{"512-window-4", 512, 4, 0, 1, 16, 4},
		{"1468-loss", 1468, 1, 0.005, 1, 3, 1},
		{"1468-window-4-32-clients", 1468, 4, 0, 32, 2, 1},
	}

	names := make([]string, len(cases))
	for i, c := range cases {
		names[i] = "tftp/1MiB-" + c.name + "-vs-dnsmasq"
	}

	wanted(t, names...)

	ctx := limited(t, 15*time.Minute)
	server, client := cores(t)
	set, addresses := takeMany(ctx, t, server, 32)

	segment, station, clients := peerSegment(t, lab.Address)
	give(t, clients)

	loader, err := os.ReadFile(filepath.Join(blobs, file))
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(set.root, file), loader, 0o644); err != nil {
		t.Fatal(err)
	}

	process, err := station.Dnsmasq(ctx, server, "--no-ping", "--dhcp-range=10.77.0.50,10.77.0.250,12h", "--enable-tftp", "--tftp-max=100",
		"--tftp-root="+set.root, "--dhcp-leasefile="+filepath.Join(segment.Dir(), "leases"))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)

	for i, c := range cases {
		if !strings.Contains(names[i], os.Getenv("BENCH")) {
			continue
		}

		fetch := func(at *lab.Station, times int, from string) float64 {
			return transfer(ctx, t, at, client, file, "--blksize", strconv.Itoa(c.block), "--windowsize", strconv.Itoa(c.window),
				"--loss", fmt.Sprint(c.loss), "--clients", strconv.Itoa(c.clients), "--times", strconv.Itoa(times), "--from", from)
		}

		var ours, peer []float64

		for range rounds {
			ours = append(ours, fetch(set.clients, c.times, strings.Join(addresses, ",")))
			peer = append(peer, fetch(clients, c.peerTimes, ""))
		}

		rate(names[i], "MiB/s", ours, peer)
	}
}

// transfer measures one round.
func transfer(ctx context.Context, t *testing.T, clients *lab.Station, cpus []int, file string, options ...string) float64 {
	t.Helper()

	var result load.FetchResult

	generate(ctx, t, clients, cpus, &result, append([]string{"tftp", file}, options...)...)
	t.Logf("%+v", result)

	return result.MiBps
}
