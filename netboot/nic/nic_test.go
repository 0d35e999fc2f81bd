package nic_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vetting/core"
	"vetting/netboot/nic"
)

func prefix(text string) *net.IPNet {
	_, p, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}

	return p
}

func TestWhatIsADefaultRoute(t *testing.T) {
	const ours, other = 3, 2

	hop := func(index int) *netlink.NexthopInfo { return &netlink.NexthopInfo{LinkIndex: index} }

	for name, c := range map[string]struct {
		route netlink.Route
		want  bool
	}{
		"of IPv4":                            {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST, Dst: prefix("0.0.0.0/0")}, true},
		"of IPv6":                            {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST, Dst: prefix("::/0")}, true},
		"without a destination":              {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST}, true},
		"one of several ways":                {netlink.Route{Type: unix.RTN_UNICAST, MultiPath: []*netlink.NexthopInfo{hop(other), hop(ours)}}, true},
		"in a table of policy":               {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST, Table: 77}, true},
		"half of everything":                 {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST, Dst: prefix("128.0.0.0/1")}, true},
		"of another card":                    {netlink.Route{LinkIndex: other, Type: unix.RTN_UNICAST}, false},
		"of several others":                  {netlink.Route{Type: unix.RTN_UNICAST, MultiPath: []*netlink.NexthopInfo{hop(other), hop(4)}}, false},
		"to the card's own network":          {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST, Dst: prefix("10.77.0.0/24")}, false},
		"that says there is no way":          {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNREACHABLE}, false},
		"to the card's multicast":            {netlink.Route{LinkIndex: ours, Type: unix.RTN_MULTICAST, Dst: prefix("ff00::/8")}, false},
		"of labels, which is no destination": {netlink.Route{LinkIndex: ours, Type: unix.RTN_UNICAST, MPLSDst: new(int)}, false},
	} {
		if got := nic.CarriesIn([]netlink.Route{{LinkIndex: other, Type: unix.RTN_UNICAST, Dst: prefix("10.0.0.0/8")}, c.route}, ours); got != c.want {
			t.Errorf("a route %s: %t", name, got)
		}
	}
}

// link writes an RTM_NEWLINK message as the kernel does.
func link(flags uint32, attributes ...byte) []byte {
	var head [unix.SizeofIfInfomsg]byte

	binary.NativeEndian.PutUint32(head[8:], flags)

	return append(head[:], attributes...)
}

func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)

	for len(b)%4 != 0 {
		b = append(b, 0)
	}

	return b
}

func TestTheCableIsRead(t *testing.T) {
	changes := attribute(unix.IFLA_CARRIER_CHANGES, binary.NativeEndian.AppendUint32(nil, 7)...)

	for name, c := range map[string]struct {
		message []byte
		want    nic.Carrier
		fails   bool
	}{
		"in":                              {link(unix.IFF_UP|unix.IFF_LOWER_UP, append(attribute(unix.IFLA_IFNAME, 'n', 'b', 0), changes...)...), nic.Carrier{Up: true, Changes: 7}, false},
		"out":                             {link(unix.IFF_UP, changes...), nic.Carrier{Changes: 7}, false},
		"in a card that is off":           {link(unix.IFF_LOWER_UP, changes...), nic.Carrier{Changes: 7}, false},
		"of a kernel that does not count": {link(unix.IFF_UP | unix.IFF_LOWER_UP), nic.Carrier{Up: true}, false},
		"of a count cut short":            {link(unix.IFF_UP, attribute(unix.IFLA_CARRIER_CHANGES, 1)...), nic.Carrier{}, false},
		"of a message cut short":          {link(unix.IFF_UP)[:10], nic.Carrier{}, true},
		"of an attribute cut short":       {link(unix.IFF_UP, 0xff, 0, 1, 0), nic.Carrier{}, true},
	} {
		got, err := nic.ParseCarrier(c.message)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("a cable %s: %+v (%v), want %+v", name, got, err, c.want)
		}
	}
}

// FuzzParseCarrier: no message of the kernel, of whatever version, is our end.
func FuzzParseCarrier(f *testing.F) {
	f.Add(link(unix.IFF_UP|unix.IFF_LOWER_UP, attribute(unix.IFLA_CARRIER_CHANGES, 7, 0, 0, 0)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if carrier, err := nic.ParseCarrier(b); err != nil && carrier != (nic.Carrier{}) {
			t.Errorf("%+v with %v", carrier, err)
		}
	})
}

func TestTheKernelTellsOfTheLoopbackDevice(t *testing.T) {
	lo, err := nic.Find("lo")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}

	if carrier, err := nic.CarrierOf(lo.Index); err != nil || carrier.Up != (lo.Flags&net.FlagUp != 0) {
		t.Errorf("its cable is %+v (%v)", carrier, err)
	}

	if _, err := nic.CarrierOf(1 << 30); !errors.Is(err, nic.ErrGone) {
		t.Errorf("that of a card that is not there: %v", err)
	}

	if kind, err := nic.Holds("lo", netip.MustParsePrefix("127.0.0.1/8")); err != nil || kind != nic.Owned {
		t.Errorf("its address is %d (%v)", kind, err)
	}

	if kind, err := nic.Holds("lo", netip.MustParsePrefix("10.77.0.1/24")); err != nil || kind != nic.Nothing {
		t.Errorf("an address that it lacks is %d (%v)", kind, err)
	}

	if err := nic.TakeAddress("none0", netip.MustParsePrefix("10.77.0.1/24")); err != nil {
		t.Errorf("taking an address from a card that is gone: %v", err)
	}
}

func TestACardThatIsNotThereIsNamed(t *testing.T) {
	_, err := nic.Find("none0")

	var p *core.Problem
	if !errors.As(err, &p) || p.Code != "netboot/no-card" || !strings.Contains(err.Error(), `"none0"`) {
		t.Errorf("error %v", err)
	}
}

func TestWatchLooksAtOnceAndEnds(t *testing.T) {
	enough := errors.New("enough")
	if err := nic.Watch(t.Context(), func() error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())

	looks := 0
	if err := nic.Watch(ctx, func() error { looks++; cancel(); return nil }); err != nil || looks != 1 {
		t.Errorf("ended with %v after %d looks", err, looks)
	}
}

func TestRightsAreReadAndNamed(t *testing.T) {
	for status, want := range map[string]string{
		"Name:\tvetting\nCapEff:\t0000000000000000\nx": "CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_NET_ADMIN",
		"CapEff:\t0000000000003400\n":                  "",
		"CapEff:\t0000000000000400":                    "CAP_NET_RAW, CAP_NET_ADMIN",
		"CapEff:\t0000000000001000":                    "CAP_NET_BIND_SERVICE, CAP_NET_RAW",
		"CapEff:\t000001ffffffffff":                    "",
	} {
		if rights, err := nic.ParseRights(status); err != nil || rights.Lacking() != want {
			t.Errorf("%q lacks %q (%v), want %q", status, rights.Lacking(), err, want)
		}
	}

	for _, status := range []string{"", "CapEff:\tx\n", "CapPrm:\t0000000000003400\n"} {
		if rights, err := nic.ParseRights(status); err == nil {
			t.Errorf("%q is read as %+v", status, rights)
		}
	}

	if err := nic.Missing("flying"); err == nil || !strings.Contains(err.Error(), "flying is not allowed") || !strings.Contains(err.Error(), "setcap cap_net_bind_service") {
		t.Errorf("the missing right is explained as %v", err)
	}
}

func TestAPortThatIsTakenNamesItsHolder(t *testing.T) {
	taken, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	_, err = nic.ListenTCP(t.Context(), "lo", taken.Addr().(*net.TCPAddr).AddrPort())
	if errors.Is(err, os.ErrPermission) {
		t.Skip("binding to a card needs a right here")
	}

	var p *core.Problem
	if !errors.As(err, &p) || p.Code != "netboot/port-taken" || !strings.Contains(err.Error(), "in use by nic.test (pid ") {
		t.Errorf("error %v", err)
	}
}
