//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
	"vetting/core"
)

const (
	crowdHosts   = 1000
	crowdAddress = "10.77.0.1/20"
)

// Leases per second, each durable before it is acknowledged: the appliance with
// its ledger, dnsmasq with its lease file on the same disk and without its ping.
func TestBenchDORA(t *testing.T) {
	const name = "dhcp/dora-vs-dnsmasq"

	wanted(t, name)

	ctx := limited(t, 15*time.Minute)
	server, client := cores(t)

	ours := crowdOfOurs(ctx, t, server)
	peer := crowdOfDnsmasq(ctx, t, server)

	// Once for nothing: every client has its lease afterwards.
	lease(ctx, t, ours, client)
	lease(ctx, t, peer, client)

	var oursRates, peerRates []float64

	for range rounds {
		oursRates = append(oursRates, lease(ctx, t, ours, client))
		peerRates = append(peerRates, lease(ctx, t, peer, client))
	}

	rate(name, "lease/s", oursRates, peerRates)
}

// lease measures one round.
func lease(ctx context.Context, t *testing.T, clients *lab.Station, cpus []int) float64 {
	t.Helper()

	var result load.DORAResult

	generate(ctx, t, clients, cpus, &result, "dhcp", "--interface", lab.NIC, "--hosts", fmt.Sprint(crowdHosts), "--duration", "3s")
	t.Logf("%+v", result)

	return result.PerSec
}

// crowdOfOurs starts an appliance that knows every host of the crowd, and
// returns the station of the clients.
func crowdOfOurs(ctx context.Context, t *testing.T, cpus []int) *lab.Station {
	t.Helper()

	config := fmt.Sprintf("netboot:\n  interface: %s\n  subnet: %s\n  pool:\n    start: 10.77.0.50\n    end: 10.77.15.250\n", lab.NIC, crowdAddress)
	rack := openRack(ctx, t, lab.ApplianceOptions{Address: crowdAddress, Config: config, CPUs: cpus})

	for i := range crowdHosts {
		if _, err := rack.API.Register(ctx, fmt.Sprintf("crowd-%d", i), load.MAC(i), core.PowerManual); err != nil {
			t.Fatal(err)
		}
	}

	clients, err := rack.Station("clients", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}

	return clients
}

func crowdOfDnsmasq(ctx context.Context, t *testing.T, cpus []int) *lab.Station {
	t.Helper()

	segment, server, clients := peerSegment(t, crowdAddress)

	process, err := server.Dnsmasq(ctx, cpus, "--no-ping", "--dhcp-range=10.77.0.50,10.77.15.250,12h", "--dhcp-lease-max=5000",
		"--dhcp-leasefile="+filepath.Join(segment.Dir(), "leases"), "--quiet-dhcp", "--dhcp-boot=undionly.kpxe")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)

	return clients
}

// openRack starts an appliance that goes with the test.
func openRack(ctx context.Context, t *testing.T, options lab.ApplianceOptions) *lab.Rack {
	t.Helper()

	binary, err := filepath.Abs(appliance)
	if err != nil {
		t.Fatal(err)
	}

	options.Binary = binary

	rack, err := lab.OpenRack(ctx, options)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	})

	return rack
}
