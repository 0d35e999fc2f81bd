//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"net"
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

	takeTurns(ctx, t, name, ours, peer, client)
}

// takeTurns has clients lease from both in turn, and prints their rates.
func takeTurns(ctx context.Context, t *testing.T, name string, ours, peer *lab.Station, client []int) {
	t.Helper()

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

// The same beside Kea with its lease file, which it does not flush to the disk before it
// acknowledges, as we do.
func TestBenchDORAKea(t *testing.T) {
	const name = "dhcp/dora-vs-kea"

	wanted(t, name)

	ctx := limited(t, 15*time.Minute)
	server, client := cores(t)

	ours := crowdOfOurs(ctx, t, server)
	segment, station, peer := peerSegment(t, crowdAddress)

	process, err := station.Kea(ctx, segment.Dir(), "10.77.0.0/20", "10.77.0.50 - 10.77.15.250", server)
	if err != nil {
		t.Skipf("kea-dhcp4 is not installed or does not start: %v", err)
	}

	t.Cleanup(process.Stop)

	takeTurns(ctx, t, name, ours, peer, client)
}

// How long an offer takes, one client at a time, and 500 machines that nobody has seen
// before, all at once. The goals are budgets: above 1 is within them.
func TestBenchOffer(t *testing.T) {
	const (
		p99, storm = "dhcp/offer-p99", "dhcp/500-cold-hosts"
		goalP99    = 2.0 // ms
		goalStorm  = 0.2 // s
		cold       = 500
	)

	wanted(t, p99, storm)

	ctx := limited(t, 15*time.Minute)
	server, client := cores(t)
	ours := crowdOfOurs(ctx, t, server)

	// The clients' port takes a moment until frames pass it; all 500 would ask in vain.
	last, err := net.ParseMAC(load.MAC(crowdHosts - 1))
	if err != nil {
		t.Fatal(err)
	}

	if err := ours.Do(func() error {
		_, err := load.Lease(ctx, lab.NIC, last)

		return err
	}); err != nil {
		t.Fatal(err)
	}

	var first, single load.DORAResult

	generate(ctx, t, ours, client, &first, "dhcp", "--interface", lab.NIC, "--hosts", fmt.Sprint(cold), "--outstanding", fmt.Sprint(cold), "--duration", "30s", "--once")
	generate(ctx, t, ours, client, &single, "dhcp", "--interface", lab.NIC, "--hosts", fmt.Sprint(crowdHosts), "--outstanding", "1", "--duration", "5s")
	t.Logf("%+v %+v", first, single)

	if first.Leases != cold {
		t.Errorf("%d of %d machines got a lease", first.Leases, cold)
	}

	figure(storm, "s", []float64{first.Seconds}, []float64{goalStorm}, false, "peer=budget")
	figure(p99, "ms", []float64{single.OfferP99}, []float64{goalP99}, false, "peer=budget")
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
