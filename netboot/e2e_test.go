//go:build e2e

package netboot_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/vishvananda/netns"
	"golang.org/x/net/ipv6"
)

var vet = map[string]string{knownMAC: "vet", localMAC: "local"}

func TestStrangersProgramsGetWhatTheyAskFor(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet})
	a.await(t, "ready", soon)

	addr := w.leaseWithin(soon, "-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007")
	if addr == "" {
		t.Fatal("udhcpc got no lease")
	}

	want := bytes.Repeat([]byte("snponly.efi "), 20_000)

	for name, get := range map[string][]string{
		"busybox tftp":               {"busybox", "tftp", "-g", "-r", "snponly.efi", "-l", "got", selfAddr},
		"busybox tftp, large blocks": {"busybox", "tftp", "-b", "1468", "-g", "-r", "/snponly.efi", "-l", "got", selfAddr},
		"tftp-hpa, binary":           {"tftp", "-m", "binary", selfAddr, "-c", "get", "snponly.efi", "got"},
		"curl over tftp":             {"curl", "-sS", "-o", "got", "tftp://" + selfAddr + "/snponly.efi"},
		"curl over http":             {"curl", "-sSf", "-o", "got", "http://" + selfAddr + "/boot/snponly.efi"},
		"curl, a path to be cleaned": {"curl", "-sSf", "--path-as-is", "-o", "got", "http://" + selfAddr + "//boot/x/..//snponly%2eefi"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(filepath.Join(w.scratch, "got"))
			out := w.run(get[0], get[1:]...)

			got, err := os.ReadFile(filepath.Join(w.scratch, "got"))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, want %d (%v) %s", len(got), len(want), err, out)
			}
		})
	}

	t.Run("a connection that is left behind ends as the machine starts again", func(t *testing.T) {
		left := exec.Command("ip", "netns", "exec", w.client, "busybox", "nc", selfAddr, "80")
		if _, err := left.StdinPipe(); err != nil { // open: it waits
			t.Fatal(err)
		}

		if err := left.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = left.Process.Kill() }()

		open := func() bool {
			return strings.Contains(w.must("ip", "netns", "exec", w.server, "ss", "-Htn", "sport", "=", ":80"), "ESTAB")
		}
		for end := time.Now().Add(soon); !open() && time.Now().Before(end); time.Sleep(20 * time.Millisecond) { //nolint:revive // until it is there
		}

		if !open() || w.leaseWithin(soon, "-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007") != addr {
			t.Fatal("no connection, or another address")
		}

		ended := make(chan error, 1)
		go func() { ended <- left.Wait() }()

		select {
		case <-ended:
		case <-time.After(4 * time.Second): // the server itself ends one that asks nothing after 10 s
			t.Errorf("it is still there: %s", w.must("ip", "netns", "exec", w.server, "ss", "-tan"))
		}
	})

	t.Run("tftp-hpa in text mode", func(t *testing.T) {
		_ = os.Remove(filepath.Join(w.scratch, "got"))
		w.run("tftp", "-m", "ascii", selfAddr, "-c", "get", "snponly.efi", "got")

		if got, _ := os.ReadFile(filepath.Join(w.scratch, "got")); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
	})

	t.Run("the script and the seed", func(t *testing.T) {
		script := w.run("curl", "-sSf", "http://"+selfAddr+"/ipxe/"+strings.ReplaceAll(knownMAC, ":", "-"))
		for _, want := range []string{"#!ipxe\n", "/vmlinuz ", "/seed/nonce525400000001.cpio", "vetting.image=feedc0de", "exit 1"} {
			if !strings.Contains(script, want) {
				t.Errorf("script lacks %q:\n%s", want, script)
			}
		}

		for _, name := range []string{"nonce525400000001", "self"} {
			seed := w.run("curl", "-sSf", "http://"+selfAddr+"/seed/"+name+".cpio")
			if !strings.HasPrefix(seed, "070701") || !strings.Contains(seed, `{"token":"secret"}`) {
				t.Errorf("seed %s is %q", name, seed)
			}
		}
	})
}

// The appliance reaches itself by its address on the card, though the services are tied to
// that, and nothing of it counts for a boot.
func TestTheApplianceFetchesItsOwnFiles(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Search: peek})
	a.await(t, "ready", soon)

	for _, got := range []string{
		w.must("ip", "netns", "exec", w.server, "curl", "-sSf", "tftp://"+selfAddr+"/vmlinuz"),
		w.must("ip", "netns", "exec", w.server, "curl", "-sSf", "http://"+selfAddr+"/boot/vmlinuz"),
	} {
		if got != strings.Repeat("vmlinuz ", 20_000) {
			t.Errorf("got %d bytes", len(got))
		}
	}

	if out, err := w.try(soon, "curl", "-sSf", "http://"+selfAddr+"/boot/vmlinuz"); err == nil {
		t.Errorf("so did a stranger: %d bytes", len(out))
	}

	// The first steps are those of the machine that comes after.
	w.leaseWithin(soon, "-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007")
	w.run("curl", "-sSf", "-o", "got", "tftp://"+selfAddr+"/vmlinuz")

	if step := a.await(t, "tftp", soon); step.MAC != knownMAC {
		t.Errorf("this was taken down: %+v", step)
	}

	w.run("curl", "-sSf", "-o", "got", "http://"+selfAddr+"/boot/vmlinuz")

	if step := a.await(t, "kernel", soon); step.MAC != knownMAC {
		t.Errorf("this was taken down: %+v", step)
	}
}

// nmap asks for an offer with nmap's script, in a machine's name, and returns what
// it prints. nmap wants an IPv4 address on the card.
func (w *wire) nmap(mac string) string {
	w.t.Helper()
	w.must("ip", "-n", w.client, "addr", "replace", "10.77.0.240/24", "dev", "c0")

	out, _ := w.try(30*time.Second, "nmap", "-n", "--script", "broadcast-dhcp-discover", "-e", "c0",
		"--script-args", "broadcast-dhcp-discover.mac="+mac+",broadcast-dhcp-discover.timeout=2")

	return out
}

func TestNmapIsOfferedWhatTheMachineIs(t *testing.T) {
	w := newWire(t)
	w.start(order{Hosts: vet}).await(t, "ready", soon)

	if out := w.nmap(knownMAC); !strings.Contains(out, "Server Identifier: "+selfAddr) || !strings.Contains(out, "Subnet Mask: 255.255.255.0") {
		t.Errorf("nmap says\n%s", out)
	}

	if out := w.nmap(otherMAC); strings.Contains(out, selfAddr) {
		t.Errorf("in a stranger's name nmap says\n%s", out)
	}
}

// dhclient asks for a lease and returns what its script was told.
func (w *wire) dhclient() string {
	w.t.Helper()

	script, told := filepath.Join(w.scratch, "dhclient.sh"), filepath.Join(w.scratch, "dhclient.told")
	// One lease is enough: its parent may go.
	body := "#!/bin/sh\n[ \"$reason\" = BOUND ] && echo $new_ip_address from $new_dhcp_server_identifier for $new_dhcp_lease_time >" + told + " && kill $PPID\nexit 0\n"

	if err := os.WriteFile(script, []byte(body), 0o755); err != nil {
		w.t.Fatal(err)
	}

	_ = os.Remove(told)
	_, _ = w.try(4*time.Second, "dhclient", "-1", "-d", "-sf", script, "-lf", filepath.Join(w.scratch, "dhclient.leases"),
		"-pf", filepath.Join(w.scratch, "dhclient.pid"), "-cf", "/dev/null", "c0")
	text, _ := os.ReadFile(told)

	return string(text)
}

func TestDhclientGetsALease(t *testing.T) {
	if _, err := exec.LookPath("dhclient"); err != nil {
		t.Skip("isc-dhcp-client is not installed")
	}

	w := newWire(t)
	w.start(order{Hosts: vet}).await(t, "ready", soon)

	if told := w.dhclient(); !strings.Contains(told, "from "+selfAddr+" for 43200") {
		t.Errorf("dhclient was told %q", told)
	}

	w.become(otherMAC)

	if told := w.dhclient(); told != "" {
		t.Errorf("as a stranger dhclient was told %q", told)
	}
}

// iPXE asks for a router before it goes on; without an answer it waits for some
// twenty seconds.
func TestARouterSolicitationIsAnswered(t *testing.T) {
	w := newWire(t)
	w.start(order{Hosts: vet}).await(t, "ready", soon)

	advert, from := w.solicit()
	if len(advert) < 16 || advert[0] != 134 || !slices.Equal(advert[4:8], []byte{64, 0, 0, 0}) || !slices.Equal(advert[16:], []byte{1, 1, 0x52, 0x54, 0, 0x77, 0, 1}) {
		t.Errorf("%s advertises % x", from, advert)
	}

	if routes := w.must("ip", "-n", w.client, "-6", "route"); strings.Contains(routes, "default") {
		t.Errorf("the advertisement made a default route:\n%s", routes)
	}
}

// Firmware whose boot order comes to IPv6 is told what to load as by IPv4, or that there is
// nothing; a stranger's hears nothing.
func TestFirmwareOfIPv6IsAnswered(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: map[string]string{knownMAC: "vet"}, Search: peek})
	a.await(t, "ready", soon)

	const server = "fe80::5054:ff:fe77:1"

	reply := w.solicit6(soon)
	if reply == nil || reply.MessageType != dhcpv6.MessageTypeAdvertise || reply.Options.BootFileURL() != "tftp://["+server+"]/snponly.efi" {
		t.Fatalf("answered %v", reply)
	}

	addr := reply.Options.OneIANA().Options.OneAddress().IPv6Addr.String()
	w.must("ip", "-n", w.client, "addr", "add", addr+"/64", "dev", "c0", "nodad")
	a.await(t, "dhcp6", soon)

	for file, want := range map[string]int{"snponly.efi": 240_000, "no-boot": 0} {
		out, err := w.try(soon, "curl", "-sSg", "-m", "5", "--interface", addr, "-o", "got6", "-w", "%{size_download}", "tftp://["+server+"%25c0]/"+file)
		if (err == nil) != (want > 0) || want > 0 && !strings.HasSuffix(out, strconv.Itoa(want)) {
			t.Errorf("%s: %q (%v)", file, out, err)
		}
	}

	w.become(otherMAC)

	if reply := w.solicit6(time.Second); reply != nil {
		t.Errorf("a stranger is answered %v", reply)
	}
}

// solicit6 asks for a boot file by IPv6 in the client's name, until it is answered.
func (w *wire) solicit6(limit time.Duration) (reply *dhcpv6.Message) {
	w.t.Helper()

	hardware, err := net.ParseMAC(strings.TrimSpace(w.run("cat", "/sys/class/net/c0/address")))
	if err != nil {
		w.t.Fatal(err)
	}

	m := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeSolicit, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: hardware}))
	m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}})
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientArchType, OptionData: []byte{0, 7}})
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionVendorClass, OptionData: append([]byte{0, 0, 1, 0x57, 0, 32}, "PXEClient:Arch:00007:UNDI:003016"...)})

	w.atClient(func() {
		conn, err := net.ListenUDP("udp6", &net.UDPAddr{Port: 546})
		if err != nil {
			w.t.Fatal(err)
		}
		defer conn.Close()

		buf := make([]byte, 1500)

		for end := time.Now().Add(limit); time.Now().Before(end) && reply == nil; {
			// Until the card's own address has passed its check for duplicates this fails.
			_, _ = conn.WriteToUDP(m.ToBytes(), &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547, Zone: "c0"})
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))

			if n, _, err := conn.ReadFromUDP(buf); err == nil {
				reply, _ = dhcpv6.MessageFromBytes(buf[:n])
			}
		}
	})

	return reply
}

// solicit sends a Router Solicitation from the client's card and returns the first
// advertisement. It speaks ICMPv6 itself: none of the usual programs is at hand.
func (w *wire) solicit() (advert []byte, from string) {
	w.t.Helper()
	w.must("ip", "netns", "exec", w.client, "sysctl", "-q", "net.ipv6.conf.c0.accept_ra=1")

	w.atClient(func() { advert, from = w.solicitHere() })

	return advert, from
}

// atClient does something in the client's namespace.
func (w *wire) atClient(do func()) {
	w.t.Helper()

	// A namespace belongs to a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	home, err := netns.Get()
	if err != nil {
		w.t.Fatal(err)
	}
	defer home.Close()

	there, err := netns.GetFromName(w.client)
	if err != nil {
		w.t.Fatal(err)
	}
	defer there.Close()

	if err := netns.Set(there); err != nil {
		w.t.Fatal(err)
	}

	defer func() {
		if err := netns.Set(home); err != nil {
			panic(err)
		}
	}()

	do()
}

func (w *wire) solicitHere() (advert []byte, from string) {
	w.t.Helper()

	conn, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()

	icmp := ipv6.NewPacketConn(conn)
	card, err := net.InterfaceByName("c0")

	if err := errors.Join(err, icmp.SetMulticastInterface(card), icmp.SetMulticastHopLimit(255), icmp.SetChecksum(true, 2),
		icmp.JoinGroup(card, &net.IPAddr{IP: net.IPv6linklocalallnodes})); err != nil {
		w.t.Fatal(err)
	}

	for end := time.Now().Add(soon); time.Now().Before(end); {
		// Until the card's own address has passed its check for duplicates this fails.
		_, _ = conn.WriteTo([]byte{133, 0, 0, 0, 0, 0, 0, 0}, &net.IPAddr{IP: net.IPv6linklocalallrouters, Zone: "c0"})

		buf := make([]byte, 1500)

		for conn.SetReadDeadline(time.Now().Add(300*time.Millisecond)) == nil {
			n, addr, err := conn.ReadFrom(buf)
			if err != nil {
				break
			}

			if n > 0 && buf[0] == 134 {
				return buf[:n], addr.String()
			}
		}
	}

	return nil, ""
}

func TestTheCardIsTakenAwayAndComesBack(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Search: peek})
	a.await(t, "ready", soon)

	before := w.leaseWithin(soon)
	if before == "" {
		t.Fatal("udhcpc got no lease")
	}

	for range 2 {
		w.must("ip", "-n", w.server, "link", "del", "nb0")
		a.await(t, "rebind", soon)
		w.lay("nb0", w.server, "52:54:00:77:00:02")

		if addr := w.leaseWithin(soon); addr != before {
			t.Errorf("with the new card udhcpc got %q, before it was %q", addr, before)
		}

		if out, err := w.try(soon, "curl", "-sSf", "-o", "/dev/null", "http://"+selfAddr+"/boot/snponly.efi"); err != nil {
			t.Errorf("with the new card HTTP is dead: %v %s", err, out)
		}
	}
}

func TestLeasesSurviveAKill(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet})
	a.await(t, "ready", soon)

	before := w.leaseWithin(soon)
	if before == "" {
		t.Fatal("udhcpc got no lease")
	}

	_ = a.cmd.Process.Kill()
	<-a.done
	w.start(order{Hosts: vet}).await(t, "ready", soon)

	// It knows the machine by its address, before any new DHCP.
	if out, err := w.try(soon, "curl", "-sSf", "-o", "/dev/null", "tftp://"+selfAddr+"/snponly.efi"); err != nil {
		t.Errorf("TFTP does not know the machine any more: %v %s", err, out)
	}

	if after := w.leaseWithin(soon, "-r", "10.77.0.123"); after != before {
		t.Errorf("it has %s now, before the kill %s", after, before)
	}
}

func TestStrangersGetNothing(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet})
	a.await(t, "ready", soon)

	w.become(otherMAC)

	if addr := w.lease(); addr != "" {
		t.Errorf("a stranger was given %s", addr)
	}

	if step := a.await(t, "sighting", time.Second); string(step.MAC) != otherMAC {
		t.Errorf("sighting of %s, want %s", step.MAC, otherMAC)
	}

	w.must("ip", "-n", w.client, "addr", "add", "10.77.0.200/24", "dev", "c0")

	for _, get := range [][]string{
		{"curl", "-sSf", "-m", "1", "tftp://" + selfAddr + "/snponly.efi"},
		{"curl", "-sSf", "-m", "1", "http://" + selfAddr + "/boot/vmlinuz"},
		{"curl", "-sSf", "-m", "1", "http://" + selfAddr + "/boot/snponly.efi"},
		{"curl", "-sSf", "-m", "1", "http://" + selfAddr + "/seed/self.cpio"},
		{"curl", "-sSf", "-m", "1", "http://" + selfAddr + "/seed/nonce525400000001.cpio"},
	} {
		if out, err := w.try(5*time.Second, get[0], get[1:]...); err == nil {
			t.Errorf("%v gave %d bytes to a stranger", get, len(out))
		}
	}

	if script := w.run("curl", "-sSf", "http://"+selfAddr+"/ipxe/"+knownMAC); strings.Contains(script, "kernel") || strings.Contains(script, "seed") {
		t.Errorf("a stranger was given the script of a registered machine:\n%s", script)
	}
}
