//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
)

// The boot image (kernel and both initramfs segments) to one client and to 32 at once:
// from memory, beside nginx with sendfile.
//
// The goals were set by what was measured over the loopback device: those are the figures
// without a suffix. The appliance cannot be measured there (it hears its own card alone,
// and machines with a lease), so its boot HTTP server stands there by itself. Over veth,
// a bridge between two, the appliance itself is measured.
func TestBenchImage(t *testing.T) {
	const one, many = "http/image-1-vs-nginx", "http/image-32-vs-nginx"

	wanted(t, one, one+"-veth", many, many+"-veth")

	ctx := limited(t, 10*time.Minute)
	server, client := cores(t)

	set, _ := takeMany(ctx, t, server, 1)

	segment, station, clients := peerSegment(t, lab.Address)
	give(t, clients)

	process, err := station.Nginx(ctx, segment.Dir(), set.root, "80", server)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)
	serveImage(ctx, t, station, set.root, server)

	for _, c := range []struct{ name, crowd string }{{one, "1"}, {many, "32"}} {
		compare(ctx, t, c.name, c.crowd, set.image, client, site{station, "127.0.0.1:81"}, site{station, "127.0.0.1:80"})
		compare(ctx, t, c.name+"-veth", c.crowd, set.image, client, site{set.clients, "10.77.0.1:80"}, site{clients, "10.77.0.1:80"})
	}
}

// site is a server as seen from a station.
type site struct {
	from    *lab.Station
	address string
}

// compare has clients load from both in turn, and prints their rates.
func compare(ctx context.Context, t *testing.T, name, crowd string, paths []string, client []int, ours, peer site) {
	t.Helper()

	if !strings.Contains(name, os.Getenv("BENCH")) {
		return
	}

	// Once for nothing: pages and caches become warm.
	download(ctx, t, ours, client, paths, crowd)
	download(ctx, t, peer, client, paths, crowd)

	var rates [2][]float64

	for range rounds {
		rates[0] = append(rates[0], download(ctx, t, ours, client, paths, crowd))
		rates[1] = append(rates[1], download(ctx, t, peer, client, paths, crowd))
	}

	rate(name, "MiB/s", rates[0], rates[1])
}

// serveImage starts the appliance's boot HTTP server by itself.
func serveImage(ctx context.Context, t *testing.T, station *lab.Station, root string, cpus []int) (pid int) {
	t.Helper()

	program, err := filepath.Abs(generator)
	if err != nil {
		t.Fatal(err)
	}

	process, err := station.Start(ctx, lab.Command{Program: program, Args: []string{"load", "image", "--address", "127.0.0.1:81", "--dir", filepath.Join(root, "boot")}, CPUs: cpus})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)

	if _, err := process.Output.Await(ctx, "serving"); err != nil {
		t.Fatal(err)
	}

	return process.PID()
}

// A thousand connections at once, of which none may be refused or cut off: to the appliance
// for its smallest file, and to its boot HTTP server by itself for the kernel, since what
// the appliance writes down of each boot fills its ledger's memory first. That server must
// hold no more after many of these than after the first.
func TestBenchThousandClients(t *testing.T) {
	const name, heap = "http/1000-clients", "http/1000-clients-heap"

	wanted(t, name, heap)

	ctx := limited(t, 10*time.Minute)
	server, client := cores(t)
	set, addresses := takeMany(ctx, t, server, 17)

	_, station, _ := peerSegment(t, lab.Address)
	pid := serveImage(ctx, t, station, set.root, server)

	crowd := func(at site, times int, from []string, path string) float64 {
		var result load.FetchResult

		generate(ctx, t, at.from, client, &result, "http", "--address", at.address, "--clients", "1000", "--times", strconv.Itoa(times), "--from", strings.Join(from, ","), path)
		t.Logf("%+v", result)

		return result.Seconds
	}

	var ours, budget, held []float64

	for range rounds {
		ours = append(ours, crowd(site{set.clients, "10.77.0.1:80"}, 20, addresses, "/boot/undionly.kpxe"))
		budget = append(budget, 10)

		crowd(site{station, "127.0.0.1:81"}, 1, loopbacks(), set.image[0])
		held = append(held, anonymous(t, pid))
		t.Logf("%.1f MiB", held[len(held)-1])
	}

	figure(name, "s", ours, budget, false, "peer=budget, of 20000 transfers none failed")

	before, after := held[0], held[len(held)-1]
	figure(heap, "MiB", []float64{after}, []float64{before}, false, "ours=after peer=before")

	if after-before > 8 {
		t.Errorf("the server has grown from %.1f to %.1f MiB", before, after)
	}
}

// loopbacks are as many addresses as a thousand clients need: one may have 64 connections.
func loopbacks() (all []string) {
	for i := range 17 {
		all = append(all, fmt.Sprintf("127.0.1.%d", 1+i))
	}

	return all
}

// anonymous is what a process holds of memory that no file stands behind (heap and
// stacks), in MiB (proc_pid_status(5), RssAnon).
func anonymous(t *testing.T, pid int) float64 { return status(t, pid, "RssAnon") }

// status reads a size from /proc/PID/status, in MiB.
func status(t *testing.T, pid int, key string) float64 {
	t.Helper()

	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}

	_, rest, found := strings.Cut(string(text), key+":")

	var kib float64
	if _, err := fmt.Sscan(rest, &kib); !found || err != nil {
		t.Fatalf("no %s of process %d: %v", key, pid, err)
	}

	return kib / 1024
}

// download measures one round.
func download(ctx context.Context, t *testing.T, at site, cpus []int, paths []string, crowd string) float64 {
	t.Helper()

	var result load.FetchResult

	times := "3"
	if crowd == "1" {
		times = "24" // else it is over before the connection has found its pace
	}

	generate(ctx, t, at.from, cpus, &result, append([]string{"http", "--address", at.address, "--clients", crowd, "--times", times}, paths...)...)
	t.Logf("%s: %+v", at.address, result)

	return result.MiBps
}

// give gives a station of clients an address, for servers that lease none.
func give(t *testing.T, clients *lab.Station) {
	t.Helper()

	if err := clients.SetAddress(netip.MustParsePrefix(fmt.Sprintf("10.77.0.%d/24", 40))); err != nil {
		t.Fatal(err)
	}
}
