//go:build bench && linux

package bench_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
	"vetting/core"
)

// A rack of 256 that is switched on at once: leases, boot programs by TFTP, scripts with
// their turns, and the whole image for each. The peer is a wire of 1 Gbit/s, by
// which the turns go where a card does not say how fast it is, and which does nothing else.
func TestBenchStorm(t *testing.T) {
	const (
		name, memory = "boot/storm-256", "boot/storm-256-peak-memory"
		hosts        = 256
		wire         = 1e9 / 8 // bytes/s
		most         = 500.0   // MiB
		turns        = 12      // at a time: so many who are next may ask again in any order
	)

	wanted(t, name, memory)

	ctx := limited(t, 10*time.Minute)
	server, client := cores(t)

	config := fmt.Sprintf("dispatcher:\n  max_concurrent_runs: %d\nnetboot:\n  interface: %s\n  subnet: %s\n"+
		"  pool:\n    start: 10.77.0.50\n    end: 10.77.15.250\n", hosts, lab.NIC, crowdAddress)
	rack := openRack(ctx, t, lab.ApplianceOptions{Address: crowdAddress, Config: config, CPUs: server})

	for i := range hosts {
		if _, err := rack.API.Register(ctx, fmt.Sprintf("storm-%d", i), load.MAC(i), core.PowerManual); err != nil {
			t.Fatal(err)
		}

		if _, err := rack.API.Vet(ctx, load.MAC(i), "quick", 0); err != nil {
			t.Fatal(err)
		}
	}

	clients, err := rack.Station("clients", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}

	pid := rack.Appliance.Process().PID()
	before := status(t, pid, "VmRSS")

	var got load.StormResult

	generate(ctx, t, clients, client, &got, "storm", "--interface", lab.NIC, "--hosts", fmt.Sprint(hosts))
	t.Logf("%+v", got)

	if got.Served != hosts || got.Doubled > 0 {
		t.Errorf("of %d hosts %d were served, %d doubled", hosts, got.Served, got.Doubled)
	}

	if got.Overtaken >= turns {
		t.Errorf("one host was overtaken by %d", got.Overtaken)
	}

	note := fmt.Sprintf("peer=1Gbit/s served=%d doubled=%d parked=%d overtaken=%d", got.Served, got.Doubled, got.Parked, got.Overtaken)
	figure(name, "s", []float64{got.Seconds}, []float64{float64(got.Bytes) / wire}, false, note)
	figure(memory, "MiB", []float64{status(t, pid, "VmHWM")}, []float64{most}, false, fmt.Sprintf("peer=budget before=%.0f", before))
}
