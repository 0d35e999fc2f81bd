//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
)

// The boot image (kernel and both initramfs segments) to one client and to 32 at once:
// the appliance from memory, nginx with sendfile. Then a thousand clients, of which none
// may be refused or cut off.
func TestBenchImage(t *testing.T) {
	const one, many, crowd = "http/image-1-vs-nginx", "http/image-32-vs-nginx", "http/1000-clients"

	wanted(t, one, many, crowd)

	ctx := limited(t, 10*time.Minute)
	server, client := cores(t)

	set, addresses := takeMany(ctx, t, server, 17)

	segment, station, clients := peerSegment(t, lab.Address)
	give(t, clients)

	process, err := station.Nginx(ctx, segment.Dir(), set.root, "10.77.0.1:80", server)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)

	// Once for nothing: pages and caches become warm.
	download(ctx, t, set.clients, client, set.image, "32")
	download(ctx, t, clients, client, set.image, "32")

	for name, crowd := range map[string]string{one: "1", many: "32"} {
		var ours, peer []float64

		for range rounds {
			ours = append(ours, download(ctx, t, set.clients, client, set.image, crowd))
			peer = append(peer, download(ctx, t, clients, client, set.image, crowd))
		}

		rate(name, "MiB/s", ours, peer)
	}

	var result load.FetchResult

	// The smallest file: what is asked about is the connections.
	generate(ctx, t, set.clients, client, &result, "http", "--clients", "1000", "--times", "20", "--from", strings.Join(addresses, ","), "/boot/undionly.kpxe")
	figure(crowd+"-errors", "errors", []float64{1}, []float64{1}, false, fmt.Sprintf("errors=0 bytes=%d seconds=%.2f", result.Bytes, result.Seconds))
}

// download measures one round.
func download(ctx context.Context, t *testing.T, clients *lab.Station, cpus []int, paths []string, crowd string) float64 {
	t.Helper()

	var result load.FetchResult

	generate(ctx, t, clients, cpus, &result, append([]string{"http", "--clients", crowd, "--times", "3"}, paths...)...)
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
