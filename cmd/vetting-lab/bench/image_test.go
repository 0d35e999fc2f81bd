//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
)

// The boot image (kernel and both initramfs segments) to 32 clients at once: the
// appliance from memory, nginx with sendfile.
func TestBenchImage(t *testing.T) {
	const name = "http/image-32-vs-nginx"

	wanted(t, name)

	ctx := limited(t, 10*time.Minute)
	server, client := cores(t)

	set := takeFiles(ctx, t, server)

	segment, station, clients := peerSegment(t, lab.Address)
	give(t, clients)

	process, err := station.Nginx(ctx, segment.Dir(), set.root, "10.77.0.1:80", server)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)

	// Once for nothing: pages and caches become warm.
	download(ctx, t, set.clients, client, set.image)
	download(ctx, t, clients, client, set.image)

	var ours, peer []float64

	for range rounds {
		ours = append(ours, download(ctx, t, set.clients, client, set.image))
		peer = append(peer, download(ctx, t, clients, client, set.image))
	}

	rate(name, "MiB/s", ours, peer)
}

// download measures one round.
func download(ctx context.Context, t *testing.T, clients *lab.Station, cpus []int, paths []string) float64 {
	t.Helper()

	var result load.FetchResult

	generate(ctx, t, clients, cpus, &result, append([]string{"http", "--clients", "32", "--times", "3"}, paths...)...)
	t.Logf("%+v", result)

	return result.MiBps
}

// give gives a station of clients an address, for servers that lease none.
func give(t *testing.T, clients *lab.Station) {
	t.Helper()

	if err := clients.SetAddress(netip.MustParsePrefix(fmt.Sprintf("10.77.0.%d/24", 40))); err != nil {
		t.Fatal(err)
	}
}
