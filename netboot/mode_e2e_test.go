//go:build e2e

package netboot_test

import (
	"net/netip"
	"strings"
	"testing"

	"vetting/core"
	"vetting/netboot"
)

func TestBesideAnotherServerItSaysWhatToLoad(t *testing.T) {
	w := newWire(t)
	w.dnsmasq()

	a := w.start(order{Hosts: vet, Mode: netboot.ModeProxy, Search: peek})
	a.await(t, "ready", soon)

	// An address from the one.
	if addr := w.leaseWithin(soon); !strings.HasPrefix(addr, "10.77.0.2") {
		t.Fatalf("udhcpc got %q, which is not the other server's", addr)
	}

	// What to load from the other. udhcpc is no boot ROM: it may take the first offer
	// for one of an address, so that what comes of it counts for nothing.
	w.lease("-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007")

	if step := a.await(t, "offer", soon); string(step.MAC) != knownMAC {
		t.Errorf("offered to %s", step.MAC)
	}

	for _, get := range []string{"http://" + selfAddr + "/boot/snponly.efi", "tftp://" + selfAddr + "/snponly.efi", "http://" + selfAddr + "/ipxe/" + knownMAC} {
		if out, err := w.try(soon, "curl", "-sSf", "-m", "5", "-o", "/dev/null", get); err != nil {
			t.Errorf("%s: %v %s", get, err, out)
		}
	}

	if out := w.nmap(knownMAC); !strings.Contains(out, "Server Identifier: "+rivalAddr) {
		t.Errorf("nmap says\n%s", out)
	}

	w.become(otherMAC)

	if addr := w.leaseWithin(soon); addr == "" {
		t.Fatal("udhcpc got no lease of the other server")
	}

	if out, err := w.try(soon, "curl", "-sSf", "-m", "2", "http://"+selfAddr+"/boot/snponly.efi"); err == nil {
		t.Errorf("a stranger was given %d bytes", len(out))
	}
}

func TestAProxyWithoutAServerSaysSo(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Mode: netboot.ModeProxy, Search: peek})

	if step := a.await(t, "no-dhcp-server", soon); step.Code != "netboot/no-dhcp-server" {
		t.Errorf("told %+v", step)
	}

	a.await(t, "ready", soon)
}

func TestOffItOnlyListens(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Mode: netboot.ModeOff, Search: peek})
	a.await(t, "ready", soon)

	if addr := w.lease(); addr != "" {
		t.Errorf("udhcpc got %s", addr)
	}

	a.await(t, "discover", soon)
	w.become(otherMAC)
	w.lease()

	if step := a.await(t, "sighting", soon); string(step.MAC) != otherMAC {
		t.Errorf("seen %+v", step)
	}
}

func TestAReservedAddressIsGiven(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Reserved: map[core.MAC]netip.Addr{knownMAC: netip.MustParseAddr("10.77.0.5")}})
	a.await(t, "ready", soon)

	if addr := w.leaseWithin(soon); addr != "10.77.0.5" {
		t.Errorf("udhcpc got %q", addr)
	}
}

// The rival is a relay agent now, dnsmasq's, between the appliance's network and
// one more that the client is on.
func TestAMachineBehindARelayBoots(t *testing.T) {
	w := newWire(t)
	w.must("ip", "-n", w.client, "link", "del", "c0")
	w.must("ip", "link", "add", "r1", "netns", w.rival, "type", "veth", "peer", "name", "c0", "address", knownMAC, "netns", w.client)
	w.must("ip", "-n", w.client, "link", "set", "c0", "up")
	w.must("ip", "-n", w.rival, "link", "set", "r1", "up")
	w.must("ip", "-n", w.rival, "addr", "add", "10.78.0.1/24", "dev", "r1")
	w.must("ip", "-n", w.rival, "addr", "add", rivalAddr+"/24", "dev", "r0")
	w.must("ip", "netns", "exec", w.rival, "sysctl", "-q", "net.ipv4.ip_forward=1")

	prefix := netip.MustParsePrefix("10.78.0.1/24")
	pool := netboot.Range{First: netip.MustParseAddr("10.78.0.10"), Last: netip.MustParseAddr("10.78.0.99")}
	a := w.start(order{Hosts: vet, Relayed: []netboot.Network{{Prefix: prefix, Pool: pool}}})
	a.await(t, "ready", soon)
	w.must("ip", "-n", w.server, "route", "add", "10.78.0.0/24", "via", rivalAddr, "dev", "nb0")
	w.relay("10.78.0.1", selfAddr)

	addr := w.leaseWithin(soon)
	if !strings.HasPrefix(addr, "10.78.0.") {
		t.Fatalf("udhcpc got %q", addr)
	}

	w.must("ip", "-n", w.client, "route", "add", "default", "via", "10.78.0.1")

	for _, get := range []string{"http://" + selfAddr + "/boot/snponly.efi", "tftp://" + selfAddr + "/snponly.efi"} {
		if out, err := w.try(soon, "curl", "-sSf", "-m", "5", "-o", "/dev/null", get); err != nil {
			t.Errorf("%s: %v %s", get, err, out)
		}
	}
}
