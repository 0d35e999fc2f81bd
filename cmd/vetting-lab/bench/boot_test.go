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

// The paths on which no rival can follow, since each machine gets a program or a
// configuration of its own: by Secure Boot from the shim on, and without iPXE, the image as
// one program. That has no script.
func TestBenchBootAlone(t *testing.T) {
	signed := lab.Sample(lab.UEFI, 104)
	signed.Secure = true

	for _, path := range []struct {
		name    string
		machine lab.Machine
		loader  core.Loader
	}{
		{"secure", signed, core.LoaderShim},
		{"uki", lab.Sample(lab.UEFI, 105), core.LoaderUKI},
	} {
		t.Run(path.name, func(t *testing.T) {
			script, hello := fmt.Sprintf("boot/%s-script", path.name), fmt.Sprintf("boot/%s-hello", path.name)

			wanted(t, script, hello)

			ctx := limited(t, 10*time.Minute)
			rack := openRack(ctx, t, lab.ApplianceOptions{})

			if _, err := rack.API.Register(ctx, path.machine.Name, path.machine.MAC, core.PowerManual); err != nil {
				t.Fatal(err)
			}

			if err := rack.API.SetLoader(ctx, path.machine.MAC, path.loader); err != nil {
				t.Fatal(err)
			}

			var scripts, hellos []float64

			for range boots {
				at := bootOurs(ctx, t, rack, bootPath{machine: path.machine})
				scripts, hellos = append(scripts, at.Script.Seconds()), append(hellos, at.Hello.Seconds())

				t.Logf("script %.2f s, hello %.2f s", at.Script.Seconds(), at.Hello.Seconds())
			}

			if median(scripts) > 0 {
				printed(script, "s", scripts)
			}

			printed(hello, "s", hellos)
		})
	}
}

// From the first question for an address until the firmware goes on with its boot order, and
// until what is on the machine's own disk speaks, where no run waits for the machine. Between
// the two the firmware here has one more network entry, HTTP boot. Each machine is a new one: the
// appliance remembers who did not get home. The peer is the goal; where dnsmasq knows no such
// machine it keeps silent, and firmware waits for a minute.
func TestBenchHome(t *testing.T) {
	const goal = 6 // seconds

	for i, firmware := range []lab.Firmware{lab.UEFI, lab.BIOS} {
		t.Run(string(firmware), func(t *testing.T) {
			back, home := fmt.Sprintf("boot/%s-back-to-firmware", firmware), fmt.Sprintf("boot/%s-home", firmware)

			wanted(t, back, home)

			ctx := limited(t, 10*time.Minute)
			rack := openRack(ctx, t, lab.ApplianceOptions{})

			var backs, enough, homes []float64

			for round := range boots {
				at := goHome(ctx, t, rack, lab.Sample(firmware, byte(110+boots*i+round))) //nolint:gosec // a few

				backs, enough, homes = append(backs, at.Back.Seconds()), append(enough, goal), append(homes, at.Home.Seconds())

				t.Logf("back %.2f s, home %.2f s", at.Back.Seconds(), at.Home.Seconds())
			}

			took(back, backs, enough, "")
			printed(home, "s", homes)
		})
	}
}

// goHome has a machine that no run waits for go to its own disk.
func goHome(ctx context.Context, t *testing.T, rack *lab.Rack, machine lab.Machine) lab.Homecoming {
	t.Helper()

	if _, err := rack.API.Register(ctx, machine.Name, machine.MAC, core.PowerManual); err != nil {
		t.Fatal(err)
	}

	guest, err := rack.Guest(machine)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()

	at, err := guest.GoHome(ctx, netip.MustParsePrefix(lab.Address).Addr())
	if err != nil {
		t.Fatal(err)
	}

	if err := guest.Remove(); err != nil {
		t.Fatal(err)
	}

	return at
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
