//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
	"vetting/core"
)

// taken is all that the appliance serves to one machine, in a directory from
// which a rival can serve the very same.
type taken struct {
	root    string
	script  string   // path of the boot script
	image   []string // paths of kernel and initramfs segments
	seed    string   // path of the seed archive
	bytes   int64    // of the image and the seed
	clients *lab.Station
}

// url matches what a boot script loads.
var url = regexp.MustCompile(`\$\{base\}(/(?:boot|seed)/\S+)`)

// take plays a registered machine with a waiting run, as far as a machine's
// loader goes: it leases an address, fetches its script and what that names.
func take(ctx context.Context, t *testing.T, rack *lab.Rack, mac string) taken {
	t.Helper()

	hardware, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}

	station, err := rack.Station("clients", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}

	if err := station.SetMAC(hardware); err != nil {
		t.Fatal(err)
	}

	var addr netip.Addr

	if err := station.Do(func() (err error) {
		addr, err = load.Lease(ctx, lab.NIC, hardware)

		return err
	}); err != nil {
		t.Fatal(err)
	}

	if err := station.SetAddress(netip.PrefixFrom(addr, 24)); err != nil {
		t.Fatal(err)
	}

	set := taken{root: t.TempDir(), script: "/ipxe/" + mac, clients: station}
	if err := os.Chmod(set.root, 0o755); err != nil {
		t.Fatal(err)
	}

	script := set.fetch(ctx, t, set.script)

	for _, named := range url.FindAllStringSubmatch(string(script), -1) {
		set.bytes += int64(len(set.fetch(ctx, t, named[1])))

		if filepath.Dir(named[1]) == "/seed" {
			set.seed = named[1]
		} else {
			set.image = append(set.image, named[1])
		}
	}

	if len(set.image) < 2 || set.seed == "" {
		t.Fatalf("the boot script names no image or no seed:\n%s", script)
	}

	return set
}

// fetch gets a file from the appliance, as the machine that leased the address,
// and keeps it under the same path.
func (s taken) fetch(ctx context.Context, t *testing.T, path string) []byte {
	t.Helper()

	client := &http.Client{Transport: &http.Transport{DialContext: s.clients.Dial}}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://10.77.0.1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}

	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()

	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("fetching %s: %s %v", path, answer.Status, err)
	}

	file := filepath.Join(s.root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(file, body, 0o644); err != nil {
		t.Fatal(err)
	}

	return body
}

// takeMany starts an appliance with registered machines and takes what it serves to the
// first. The station has the addresses of all: one may have a few transfers at a time only.
func takeMany(ctx context.Context, t *testing.T, cpus []int, machines int) (taken, []string) {
	t.Helper()

	// Who waits for a turn of its run is given no image.
	rack := openRack(ctx, t, lab.ApplianceOptions{CPUs: cpus, Config: fmt.Sprintf("dispatcher:\n  max_concurrent_runs: %d\n", machines+1)})
	first := lab.Sample(lab.BIOS, 200)

	if _, err := rack.API.Register(ctx, first.Name, first.MAC, core.PowerManual); err != nil {
		t.Fatal(err)
	}

	if _, err := rack.API.Vet(ctx, first.MAC, "quick", 0.05); err != nil {
		t.Fatal(err)
	}

	set := take(ctx, t, rack, first.MAC)

	var addresses []string

	for i := range machines {
		mac, err := net.ParseMAC(load.MAC(i))
		if err != nil {
			t.Fatal(err)
		}

		if _, err := rack.API.Register(ctx, fmt.Sprintf("more-%d", i), load.MAC(i), core.PowerManual); err != nil {
			t.Fatal(err)
		}

		if _, err := rack.API.Vet(ctx, load.MAC(i), "quick", 0.05); err != nil {
			t.Fatal(err)
		}

		var addr netip.Addr

		if err := set.clients.Do(func() (err error) {
			addr, err = load.Lease(ctx, lab.NIC, mac)

			return err
		}); err != nil {
			t.Fatal(err)
		}

		if err := set.clients.SetAddress(netip.PrefixFrom(addr, 24)); err != nil {
			t.Fatal(err)
		}

		addresses = append(addresses, addr.String())
	}

	return set, addresses
}
