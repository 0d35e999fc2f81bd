package network_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/agent/network"
	"vetting/core"
)

var update = flag.Bool("update", false, "write the golden files")

// TestMachines finds the ports of every recorded machine.
func TestMachines(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		links := network.Links(r.Root)
		machines.Golden(t, r, "links", links, *update)

		if boot := network.BootMAC(cmdline(r)); boot != "" {
			if link, ok := network.Choose(links, boot, 0); !ok || link.MAC != boot {
				t.Errorf("booted from %s, chose %+v", boot, link)
			}
		}
	})
}

// cmdline is the kernel's command line, where it is recorded.
func cmdline(r *collect.Recording) string {
	text, err := r.Root.ReadFile("proc/cmdline")
	if err != nil {
		return ""
	}

	return string(text)
}

// TestLinksOddities: what is no port of ours, and ports that tell half.
func TestLinksOddities(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	root := fstest.MapFS{
		"sys/class/net/lo/address":      file("00:00:00:00:00:00\n"),
		"sys/class/net/bond0/address":   file("52:54:00:00:00:01\n"),
		"sys/class/net/ib0/device/x":    file(""),
		"sys/class/net/ib0/address":     file("80:00:02:08:fe:80:00:00:00:00:00:00:24:8a:07:03:00:a1:b2:c3\n"),
		"sys/class/net/eth0/device/x":   file(""),
		"sys/class/net/eth0/address":    file("52:54:00:00:00:02\n"),
		"sys/class/net/eth0/carrier":    file("1\n"),
		"sys/class/net/eth1/device/x":   file(""),
		"sys/class/net/eth1/address":    file("52:54:00:00:00:03\n"), // switched off: no carrier to read
		"sys/class/net/eth2/device/x":   file(""),
		"sys/class/net/eth3/device/x":   file(""),
		"sys/class/net/eth3/address":    file("junk\n"),
		"sys/class/net/bonding_masters": file(""),
	}

	want := []network.Link{{Name: "eth0", MAC: "52:54:00:00:00:02", Carrier: true}, {Name: "eth1", MAC: "52:54:00:00:00:03"}}
	if diff := cmp.Diff(want, network.Links(root)); diff != "" {
		t.Error(diff)
	}

	if links := network.Links(fstest.MapFS{}); links != nil {
		t.Errorf("%+v", links)
	}
}

func TestChoose(t *testing.T) {
	a, b, c := network.Link{Name: "a", MAC: "a"}, network.Link{Name: "b", MAC: "b", Carrier: true}, network.Link{Name: "c", MAC: "c", Carrier: true}

	for name, test := range map[string]struct {
		links []network.Link
		boot  core.MAC
		turn  int
		want  string
	}{
		"the one it booted from, without a carrier": {[]network.Link{b, a}, "a", 0, "a"},
		"the one it booted from is not there yet":   {[]network.Link{b, c}, "a", 0, ""},
		"any with a carrier":                        {[]network.Link{a, b, c}, "", 0, "b"},
		"the next one in the next turn":             {[]network.Link{a, b, c}, "", 1, "c"},
		"and round again":                           {[]network.Link{a, b, c}, "", 2, "b"},
		"none has a carrier":                        {[]network.Link{a}, "", 0, ""},
		"no ports at all":                           {nil, "", 0, ""},
	} {
		if link, ok := network.Choose(test.links, test.boot, test.turn); link.Name != test.want || ok != (test.want != "") {
			t.Errorf("%s: %+v %t", name, link, ok)
		}
	}
}

func TestBootMAC(t *testing.T) {
	for text, want := range map[string]core.MAC{
		"quiet BOOTIF=01-52-54-00-12-34-56 x": "52:54:00:12:34:56", "BOOTIF=52:54:00:12:34:56\n": "52:54:00:12:34:56",
		"BOOTIF=01-52-54-00-AB-CD-EF": "52:54:00:ab:cd:ef", "BOOTIF=": "", "BOOTIF=eth0": "", "xBOOTIF=01-52-54-00-12-34-56": "", "": "",
		"BOOTIF=junk BOOTIF=01-52-54-00-12-34-56": "52:54:00:12:34:56",
	} {
		if got := network.BootMAC(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzBootMAC(f *testing.F) {
	f.Add("quiet BOOTIF=01-52-54-00-12-34-56")

	f.Fuzz(func(t *testing.T, text string) {
		if mac := network.BootMAC(text); mac != "" {
			if again, err := core.ParseMAC(string(mac)); err != nil || again != mac {
				t.Errorf("%q is %q", text, mac)
			}
		}
	})
}

// archive makes a newc archive.
func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()

	var out bytes.Buffer

	w := cpio.Newc.Writer(&out)

	for name, content := range files {
		if err := w.WriteRecord(cpio.StaticFile(name, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}

	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}

	return out.Bytes()
}

func TestFileInArchive(t *testing.T) {
	whole := archive(t, map[string]string{"vetting/seed.json": `{"version":1}`})

	for _, name := range []string{"vetting/seed.json", "/vetting/seed.json"} {
		if content, err := network.FileInArchive(whole, name); err != nil || string(content) != `{"version":1}` {
			t.Errorf("%q %v", content, err)
		}
	}

	for name, archive := range map[string][]byte{"another file": archive(t, map[string]string{"x": ""}), "nothing": nil, "junk": []byte("junk junk junk"), "cut off": whole[:60]} {
		if content, err := network.FileInArchive(archive, "vetting/seed.json"); err == nil || !strings.Contains(err.Error(), "reading the seed") {
			t.Errorf("%s: %q %v", name, content, err)
		}
	}
}

// FuzzFileInArchive: whatever the appliance's place answers, nothing hangs or
// takes more memory than a seed may.
func FuzzFileInArchive(f *testing.F) {
	f.Add(archive(f, map[string]string{"vetting/seed.json": `{"version":1}`}))
	f.Add([]byte("07070100000000000081800000000000000000000000010000000000ffffffff00000000000000000000000000000000000000020000000061\x00"))

	f.Fuzz(func(t *testing.T, archive []byte) {
		if content, err := network.FileInArchive(archive, "vetting/seed.json"); len(content) > 1<<20 || err != nil && content != nil {
			t.Errorf("%d bytes and %v", len(content), err)
		}
	})
}

func TestFetch(t *testing.T) {
	whole := archive(t, map[string]string{"vetting/seed.json": "{}"})

	for name, test := range map[string]struct {
		answer http.HandlerFunc
		fault  string
	}{
		"the seed": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(whole) }, ""},
		"not for us": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(whole)
		}, "403"},
		"another file": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive(t, nil)) }, "is not in it"},
		"without end":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, "reading the seed"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			_, _ = w.Write(whole[:9])
		}, "reading the seed"},
		"not even HTTP": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "asking for the seed"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()

			content, err := network.Fetch(t.Context(), server.URL, "vetting/seed.json")
			if test.fault == "" && (err != nil || string(content) != "{}") || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
				t.Errorf("%q %v", content, err)
			}
		})
	}
}

func TestLease(t *testing.T) {
	ip := func(s string) net.IP { return net.ParseIP(s).To4() }

	ack := func(options ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m, err := dhcpv4.New(options...)
		if err != nil {
			t.Fatal(err)
		}

		return m
	}

	whole := ack(dhcpv4.WithYourIP(ip("10.77.0.50")), dhcpv4.WithNetmask(net.CIDRMask(22, 32)), dhcpv4.WithServerIP(ip("10.77.0.1")),
		dhcpv4.WithRouter(net.IPv4zero.To4(), ip("10.77.0.2")), dhcpv4.WithLeaseTime(120))
	want := network.Lease{
		Addr: netip.MustParsePrefix("10.77.0.50/22"), Server: netip.MustParseAddr("10.77.0.1"), Router: netip.MustParseAddr("10.77.0.2"), Duration: 2 * time.Minute,
	}

	same := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
	if got, err := network.LeaseOf(whole); err != nil || !cmp.Equal(want, got, same) {
		t.Errorf("%+v %v", got, err)
	}

	// No mask, no siaddr, no router, no time: what is left is enough.
	poor := ack(dhcpv4.WithYourIP(ip("10.77.0.50")), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip("10.77.0.9"))))
	want = network.Lease{Addr: netip.MustParsePrefix("10.77.0.50/24"), Server: netip.MustParseAddr("10.77.0.9"), DHCP: netip.MustParseAddr("10.77.0.9"), Duration: time.Hour}

	if got, err := network.LeaseOf(poor); err != nil || !cmp.Equal(want, got, same) {
		t.Errorf("%+v %v", got, err)
	}

	if got, err := network.LeaseOf(ack()); err == nil {
		t.Errorf("a lease without an address: %+v", got)
	}
}

func TestAck(t *testing.T) {
	answer := func(kind uint16, code int32) []byte {
		b := make([]byte, unix.SizeofNlMsghdr+4)
		binary.NativeEndian.PutUint16(b[4:], kind)
		binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr:], uint32(code))

		return b
	}

	if err := network.ParseAck(answer(unix.NLMSG_ERROR, 0)); err != nil {
		t.Error(err)
	}

	if err := network.ParseAck(answer(unix.NLMSG_ERROR, -int32(unix.EEXIST))); !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}

	for _, b := range [][]byte{nil, make([]byte, 19), answer(unix.NLMSG_DONE, 0)} {
		if network.ParseAck(b) == nil {
			t.Errorf("%x is taken for a yes", b)
		}
	}
}

func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{"10.77.0.50/24": "10.77.0.255", "10.77.1.1/22": "10.77.3.255", "10.1.2.3/32": "10.1.2.3", "10.1.2.3/31": "10.1.2.3", "1.2.3.4/0": "255.255.255.255"} {
		if got := net.IP(network.Broadcast(netip.MustParsePrefix(prefix))).String(); got != want {
			t.Errorf("%s: %s", prefix, got)
		}
	}
}

// TestSameNetwork: a port that is cabled to elsewhere gets no address of there.
func TestSameNetwork(t *testing.T) {
	server := netip.MustParseAddr("10.77.0.1")
	boot := network.Lease{Interface: "eth0", Addr: netip.MustParsePrefix("10.77.0.50/24"), Server: server, DHCP: server}

	for addr, ok := range map[string]bool{"10.77.0.51/24": true, "10.77.0.50/24": false, "10.77.1.51/24": false, "10.77.0.51/16": false, "192.168.1.7/24": false} {
		if err := network.SameNetwork(boot, network.Lease{Addr: netip.MustParsePrefix(addr), Server: server, DHCP: server}); (err == nil) != ok || !ok && !errors.Is(err, network.ErrElsewhere) {
			t.Errorf("%s: %v", addr, err)
		}
	}

	// Another LAN may have the same private range.
	other, addr := netip.MustParseAddr("10.77.0.254"), netip.MustParsePrefix("10.77.0.51/24")
	for _, lease := range []network.Lease{{Addr: addr, Server: other, DHCP: server}, {Addr: addr, Server: server, DHCP: other}, {Addr: addr}} {
		if err := network.SameNetwork(boot, lease); !errors.Is(err, network.ErrElsewhere) {
			t.Errorf("%+v: %v", lease, err)
		}
	}
}

// TestThePortOfTheBootKeepsItsAddress: nothing is asked for and nothing is taken away. The
// ports are kept apart before it is tested, once; where that cannot be, it is tested all
// the same, and no other port is.
func TestThePortOfTheBootKeepsItsAddress(t *testing.T) {
	boot := network.Lease{Interface: "eth0", Addr: netip.MustParsePrefix("10.77.0.50/24")}

	for _, fault := range []error{nil, errors.New("read-only file system")} {
		calls, addresses := 0, network.NewAddresses(boot, slog.New(slog.DiscardHandler))
		addresses.Quiet(func() error {
			calls++

			return fault
		})

		for range 2 {
			addr, drop, err := addresses.Address(t.Context(), "eth0")
			if err != nil || addr != boot.Addr.Addr() {
				t.Errorf("%v %v", addr, err)
			}

			drop()
		}

		if calls != 1 {
			t.Errorf("the ports were kept apart %d times", calls)
		}

		if _, _, err := addresses.Address(t.Context(), "no such port"); fault != nil && !errors.Is(err, fault) {
			t.Errorf("another port: %v, want %v", err, fault)
		}
	}
}
