//go:build bench && linux

package bench_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// bootPath is a way to boot.
type bootPath struct {
	name    string
	machine lab.Machine
	answers []lab.Answer // typed on its console
}

func bootPaths() []bootPath {
	overHTTP := lab.Sample(lab.UEFI, 103)
	overHTTP.HTTPBoot = true

	return []bootPath{
		{name: "bios", machine: lab.Sample(lab.BIOS, 100)},
		{name: "uefi", machine: lab.Sample(lab.UEFI, 101)},
		// The only PXE ROMs that QEMU has are iPXE, which need no second one: have
		// this one load it all the same.
		{name: "undionly", machine: lab.Sample(lab.BIOS, 102), answers: []lab.Answer{
			{Prompt: "Press Ctrl-B for the iPXE command line", Text: "\x02"},
			{Prompt: "iPXE>", Text: "ifconf --configurator dhcp net0 && chain tftp://${next-server}/undionly.kpxe\r"},
		}},
		{name: "uefi-http", machine: overHTTP},
	}
}

// From the power button to the boot script's request and to the agent's first
// word (the opening of its TLS connection), as seen on the wire of the machine:
// the appliance, and dnsmasq with nginx serving the very same files. dnsmasq is
// spared its ping.
func TestBenchBoot(t *testing.T) {
	for _, path := range bootPaths() {
		t.Run(path.name, func(t *testing.T) { benchBoot(t, path) })
	}
}

func benchBoot(t *testing.T, path bootPath) {
	script, hello := fmt.Sprintf("boot/%s-script-vs-dnsmasq", path.name), fmt.Sprintf("boot/%s-hello", path.name)

	wanted(t, script, hello)

	ctx := limited(t, 20*time.Minute)

	rack, set := bootOfOurs(ctx, t, path.machine)
	segment := bootOfDnsmasq(ctx, t, set)

	var scripts, hellos [2][]float64

	for range boots {
		for i, turn := range []func() lab.Milestones{
			func() lab.Milestones { return bootOurs(ctx, t, rack, path) },
			func() lab.Milestones { return bootOnce(ctx, t, segment, path) },
		} {
			at := turn()
			scripts[i] = append(scripts[i], at.Script.Seconds())
			hellos[i] = append(hellos[i], at.Hello.Seconds())

			t.Logf("script %.2f s, hello %.2f s", at.Script.Seconds(), at.Hello.Seconds())
		}
	}

	took(script, scripts[0], scripts[1], "")
	took(hello, hellos[0], hellos[1], fmt.Sprintf("payload=%d", set.bytes))
}

// bootOfOurs starts an appliance that knows the machine, and takes its files.
func bootOfOurs(ctx context.Context, t *testing.T, machine lab.Machine) (*lab.Rack, taken) {
	t.Helper()

	rack := openRack(ctx, t, lab.ApplianceOptions{})

	if _, err := rack.API.Register(ctx, machine.Name, machine.MAC, core.PowerManual); err != nil {
		t.Fatal(err)
	}

	run, err := rack.API.Vet(ctx, machine.MAC, "quick", 0.05)
	if err != nil {
		t.Fatal(err)
	}

	set := take(ctx, t, rack, machine.MAC)

	// Nothing must lead the machine's packets to the station that played it: not the address
	// book of the bridge, and not an answer to ARP, which it gives before a slow machine does.
	if err := set.clients.Do(func() error {
		port, err := netlink.LinkByName(lab.NIC)
		if err != nil {
			return err
		}

		return netlink.LinkSetDown(port)
	}); err != nil {
		t.Fatal(err)
	}

	if err := rack.API.Cancel(ctx, run.ID); err != nil {
		t.Fatal(err)
	}

	return rack, set
}

// bootOfDnsmasq starts the rivals on a segment of their own.
func bootOfDnsmasq(ctx context.Context, t *testing.T, set taken) *lab.Segment {
	t.Helper()

	segment, server, _ := peerSegment(t, lab.Address)

	for _, name := range []string{"snponly.efi", "undionly.kpxe"} {
		loader, err := os.ReadFile(filepath.Join(blobs, name))
		if err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(set.root, name), loader, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	web, err := server.Nginx(ctx, segment.Dir(), set.root, "10.77.0.1:80", nil)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(web.Stop)

	boot, err := server.Dnsmasq(ctx, nil, "--no-ping", "--dhcp-range=10.77.0.50,10.77.0.250,12h",
		"--dhcp-leasefile="+filepath.Join(segment.Dir(), "leases"), "--enable-tftp", "--tftp-root="+set.root,
		"--dhcp-userclass=set:ipxe,iPXE", "--dhcp-boot=tag:ipxe,http://10.77.0.1"+set.script,
		"--dhcp-vendorclass=set:http,HTTPClient", "--dhcp-option-force=tag:http,60,HTTPClient",
		"--dhcp-boot=tag:!ipxe,tag:http,http://10.77.0.1/snponly.efi", "--dhcp-boot=tag:!ipxe,tag:!http,snponly.efi")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(boot.Stop)

	return segment
}

// blobs is where make image leaves what it embeds.
const blobs = "../../../initramfs/blobs"

// bootOurs has a run wait for the machine, boots it, and ends the run.
func bootOurs(ctx context.Context, t *testing.T, rack *lab.Rack, path bootPath) lab.Milestones {
	t.Helper()

	run, err := rack.API.Vet(ctx, path.machine.MAC, "quick", 0.05)
	if err != nil {
		t.Fatal(err)
	}

	at := bootOnce(ctx, t, rack.Segment, path)

	if err := rack.API.Cancel(ctx, run.ID); err != nil {
		t.Fatal(err)
	}

	return at
}

// bootOnce boots a new machine up to the agent's first word.
func bootOnce(ctx context.Context, t *testing.T, segment *lab.Segment, path bootPath) lab.Milestones {
	t.Helper()

	guest, err := segment.Guest(path.machine)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()

	at, err := guest.Boot(ctx, netip.MustParsePrefix(lab.Address).Addr(), path.answers...)
	if err != nil {
		t.Error(err)
	}

	if err := guest.Remove(); err != nil {
		t.Fatal(err)
	}

	return at
}
