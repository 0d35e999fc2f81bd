//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
	"vetting/core"
	"vetting/store"
)

// The goals of a thousand hosts at once. They are budgets, not rivals: the ratio
// is budget to use, so that above 1 is within it.
const (
	fleetHosts   = 1000
	goalP99      = 50.0              // ms
	goalCPU      = 0.15              // of the appliance's core
	goalResident = 150.0 * (1 << 20) // bytes
	goalDisk     = 6.0               // bytes per sample
)

// A thousand simulated hosts, each a batch of 20 samples a second and a
// heartbeat every 15 s, over TLS; the appliance and the hosts on a core each.
func TestBenchFleet(t *testing.T) {
	wanted(t, "fleet/1000-hosts")

	ctx := limited(t, 15*time.Minute)
	server, client := cores(t)

	config := fmt.Sprintf("dispatcher:\n  max_concurrent_runs: %d\nnetboot:\n  interface: %s\n  subnet: %s\n"+
		"  pool:\n    start: 10.77.0.50\n    end: 10.77.15.250\n", fleetHosts, lab.NIC, crowdAddress)
	rack := openRack(ctx, t, lab.ApplianceOptions{Address: crowdAddress, Config: config, CPUs: server})

	for i := range fleetHosts {
		if _, err := rack.API.Register(ctx, fmt.Sprintf("fleet-%d", i), load.MAC(i), core.PowerManual); err != nil {
			t.Fatal(err)
		}

		if _, err := rack.API.Vet(ctx, load.MAC(i), "quick", 0); err != nil {
			t.Fatal(err)
		}
	}

	before := settle(t, rack.Appliance)

	if err := rack.Appliance.Start(ctx); err != nil {
		t.Fatal(err)
	}

	clients, err := rack.Station("clients", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}

	var got load.FleetResult

	generate(ctx, t, clients, client, &got, "fleet", "--interface", lab.NIC, "--hosts", fmt.Sprint(fleetHosts),
		"--pid", fmt.Sprint(rack.Appliance.Process().PID()))
	t.Logf("%+v", got)

	if got.Refused > 0 {
		t.Errorf("%d calls were refused", got.Refused)
	}

	taken := settle(t, rack.Appliance) - before

	if kept := keptSamples(ctx, t, rack.Appliance.DataDir()); kept < got.Total {
		t.Errorf("of %d samples that were acknowledged %d are there", got.Total, kept)
	}

	bare := bareFleet(ctx, t, server, client)
	t.Logf("a bare server: %+v", bare)
	figure("fleet/1000-hosts-cpu-vs-bare-http", "core", []float64{got.CPU}, []float64{bare.CPU}, false, "peer=net/http that forgets")

	budget := func(name, unit string, use, goal float64) {
		figure("fleet/1000-hosts-"+name, unit, []float64{use}, []float64{goal}, false, "peer=budget")
	}
	budget("ingest-p99", "ms", got.P99, goalP99)
	budget("cpu", "core", got.CPU, goalCPU)
	budget("resident", "bytes", float64(got.Resident), goalResident)
	budget("disk", "bytes/sample", float64(taken)/float64(max(1, got.Total)), goalDisk)
}

// bareFleet is the same load on the least that can answer it, in the same run.
func bareFleet(ctx context.Context, t *testing.T, server, client []int) (got load.FleetResult) {
	t.Helper()

	program, err := filepath.Abs(generator)
	if err != nil {
		t.Fatal(err)
	}

	segment, peer, clients := peerSegment(t, crowdAddress)
	key := filepath.Join(segment.Dir(), "key")

	process, err := peer.Start(ctx, lab.Command{Program: program, Args: []string{"load", "bare", "--key", key}, CPUs: server})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(process.Stop)

	var pin []byte

	for pin == nil {
		if pin, err = os.ReadFile(key); err != nil && ctx.Err() != nil { //nolint:gosec // a file of ours
			t.Fatalf("the bare server does not listen: %s", process.Output)
		}

		time.Sleep(50 * time.Millisecond)
	}

	generate(ctx, t, clients, client, &got, "fleet", "--interface", lab.NIC, "--hosts", fmt.Sprint(fleetHosts),
		"--pid", fmt.Sprint(process.PID()), "--bare", string(pin))

	return got
}

// settle stops the appliance, which writes all it has into tables, and returns what
// those take on the disk, in bytes.
func settle(t *testing.T, appliance *lab.Appliance) (bytes int64) {
	t.Helper()

	appliance.Process().Stop()

	tables, err := filepath.Glob(filepath.Join(appliance.DataDir(), "store", "ledger", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no tables in %s: %v", appliance.DataDir(), err)
	}

	for _, table := range tables {
		info, err := os.Stat(table)
		if err != nil {
			t.Fatal(err)
		}

		bytes += info.Size()
	}

	return bytes
}

// keptSamples counts the samples in the ledger of an appliance that has stopped.
func keptSamples(ctx context.Context, t *testing.T, dir string) (n uint64) {
	t.Helper()

	ledger, err := store.Open(ctx, store.Config{Dir: filepath.Join(dir, "store"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()

	err = ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableSamples, core.Query{}, func(_ string, decode func(any) error) error {
			var batch core.SampleBatch

			err := decode(&batch)
			n += uint64(len(batch.Samples))

			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}

	return n
}
