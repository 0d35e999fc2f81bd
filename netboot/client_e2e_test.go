//go:build e2e

package netboot_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/netboot"
)

// networkd has systemd's network manager configure the client's card, with a /run of its
// own, and returns the address and the server of its lease.
func (w *wire) networkd() (addr, server string) {
	w.t.Helper()

	// With /sys to be written it would wait for udev.
	script := `mount -o remount,ro /sys && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/network || exit 1
printf '[Match]\nName=c0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n[DHCPv4]\nClientIdentifier=mac\n' >/run/systemd/network/c0.network
/lib/systemd/systemd-networkd 2>/dev/null & pid=$!
for i in $(seq 40); do cat /run/systemd/netif/leases/* 2>/dev/null && break; sleep 0.1; done
kill $pid; wait $pid`

	out, _ := w.try(soon, "unshare", "-m", "sh", "-c", script)

	for line := range strings.Lines(out) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name {
		case "ADDRESS":
			addr = value
		case "SERVER_ADDRESS":
			server = value
		}
	}

	return addr, server
}

// behind is the network that perfdhcp plays a relay of: it knows no other way of IPv4.
const behind = "10.78.0.1/24"

// perf has Kea's perfdhcp ask us for leases for twenty machines, whose MACs begin so, and
// returns how many offers and acknowledgements it was given.
func (w *wire) perf(base string) (offers, acks int) {
	w.t.Helper()
	w.must("ip", "-n", w.client, "addr", "flush", "dev", "c0")
	w.must("ip", "-n", w.client, "addr", "add", behind, "dev", "c0")
	w.must("ip", "-n", w.client, "route", "replace", "10.77.0.0/24", "dev", "c0")
	w.must("ip", "-n", w.server, "route", "replace", "10.78.0.0/24", "dev", "nb0")

	out, _ := w.try(20*time.Second, "perfdhcp", "-4", "-l", "c0", "-b", "mac="+base, "-R", "20", "-n", "20", "-r", "40", "-W", "500000", selfAddr)
	counts := regexp.MustCompile(`received packets: (\d+)`).FindAllStringSubmatch(out, -1)

	if len(counts) != 2 {
		w.t.Fatalf("perfdhcp says\n%s", out)
	}

	offers, _ = strconv.Atoi(counts[0][1])
	acks, _ = strconv.Atoi(counts[1][1])

	return offers, acks
}

// Programs that nobody here wrote, in each mode: a registered machine gets what it must, a
// stranger nothing from us, and the spy at the switch sees no more than they say. Silence
// takes each of them seconds to believe: STOCK_CLIENTS makes a campaign of that and of the
// modes that give no addresses.
func TestStockClientsInEveryMode(t *testing.T) {
	for _, program := range []string{"dhclient", "nmap", "perfdhcp", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}

	if _, err := os.Stat("/lib/systemd/systemd-networkd"); err != nil {
		t.Skip("systemd is not installed")
	}

	hosts := map[string]string{knownMAC: "vet"}
	for i := range 20 {
		hosts[fmt.Sprintf("52:54:00:10:00:%02x", i)] = "vet"
	}

	modes, thorough := []netboot.Mode{netboot.ModeDHCP}, os.Getenv("STOCK_CLIENTS") != ""
	if thorough {
		modes = append(modes, netboot.ModeProxy, netboot.ModeOff)
	}

	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWire(t)
			w.t = t

			// Who gives a registered machine its address, and a stranger.
			server, stranger := selfAddr, ""
			if mode != netboot.ModeDHCP {
				w.dnsmasq()

				server, stranger = rivalAddr, rivalAddr
			}

			said := w.spyOn("nb0", applianceMAC)
			prefix := netip.MustParsePrefix(behind)
			a := w.start(order{
				Hosts: hosts, Mode: mode, Search: peek, Leases: filepath.Join(w.scratch, "ours.json"),
				Relayed: []netboot.Network{{Prefix: prefix, Pool: netboot.DefaultPool(prefix)}},
			})

			a.await(t, "ready", soon)
			w.clients(server, mode == netboot.ModeDHCP)

			if told := said.about(knownMAC); (len(told) > 0) != (mode == netboot.ModeDHCP) {
				t.Errorf("to the machine was said %q", told)
			}

			if !thorough {
				return
			}

			w.become(otherMAC)
			said.heard()
			w.clients(stranger, false)

			if told := said.names(); len(told) > 0 {
				t.Errorf("in a stranger's time was said %q", told)
			}
		})
	}
}

// clients has all of them ask; each must be told of this server, or of none. Those of
// perfdhcp are registered or not.
func (w *wire) clients(server string, registered bool) {
	w.t.Helper()

	if addr := w.lease(); (addr != "") != (server != "") {
		w.t.Errorf("udhcpc got %q", addr)
	}

	w.must("ip", "-n", w.client, "addr", "flush", "dev", "c0")

	if told := w.dhclient(); strings.Contains(told, "from "+server+" ") != (server != "") || (told != "") != (server != "") {
		w.t.Errorf("dhclient was told %q", told)
	}

	w.must("ip", "-n", w.client, "addr", "flush", "dev", "c0")

	if addr, from := w.networkd(); from != server || (addr != "") != (server != "") {
		w.t.Errorf("systemd-networkd got %q from %q", addr, from)
	}

	mac := strings.TrimSpace(w.run("cat", "/sys/class/net/c0/address"))
	if out := w.nmap(mac); strings.Contains(out, "Server Identifier: "+server) != (server != "") || server == "" && strings.Contains(out, "Server Identifier") {
		w.t.Errorf("nmap says\n%s", out)
	}

	base, want := "52:54:00:20:00:00", 0
	if registered {
		base, want = "52:54:00:10:00:00", 20
	}

	if offers, acks := w.perf(base); offers != want || acks != want {
		w.t.Errorf("perfdhcp was given %d offers and %d acknowledgements of %d", offers, acks, want)
	}
}
