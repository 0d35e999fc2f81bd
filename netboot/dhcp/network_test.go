package dhcp_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// behind is the network 10.78.0.0/24 behind the relay 10.78.0.1.
func behind() []dhcp.Network {
	prefix := netip.MustParsePrefix("10.78.0.1/24")

	return []dhcp.Network{{Prefix: prefix, Pool: dhcp.DefaultPool(prefix)}}
}

// reserved sets addresses apart, each after its MAC.
func reserved(pairs ...string) map[core.MAC]netip.Addr {
	all := map[core.MAC]netip.Addr{}
	for i := 0; i < len(pairs); i += 2 {
		all[core.MAC(pairs[i])] = netip.MustParseAddr(pairs[i+1])
	}

	return all
}

func relay(addr string) dhcpv4.Modifier {
	return dhcpv4.WithGatewayIP(netip.MustParseAddr(addr).AsSlice())
}

// option is an option of an answer.
func option(m *dhcpv4.DHCPv4, code uint8) []byte {
	return m.Options.Get(dhcpv4.GenericOptionCode(code))
}

func TestAMachineBehindARelayGetsAnAddressOfItsNetworkThroughTheRelay(t *testing.T) {
	// The last sub-option is of no interest to us, and comes back as the others.
	circuit := []byte{1, 2, 'a', 'b'}

	for name, c := range map[string]struct {
		relay string
		info  []byte
		want  string // answered through
		id    string
	}{
		"which is on that network":                {"10.78.0.1", circuit, "10.78.0.1:67", "10.77.0.1"},
		"which says nothing more":                 {"10.78.0.1", nil, "10.78.0.1:67", "10.77.0.1"},
		"which names the network by RFC 3527":     {"10.99.0.5", append([]byte{5, 4, 10, 78, 0, 0}, circuit...), "10.99.0.5:67", "10.77.0.1"},
		"which wants to be the server (RFC 5107)": {"10.78.0.1", append([]byte{11, 4, 10, 78, 0, 1}, circuit...), "10.78.0.1:67", "10.78.0.1"},
		"whose sub-options are cut short":         {"10.78.0.1", []byte{5, 9, 10}, "10.78.0.1:67", "10.77.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Relayed = behind() })

			change := []dhcpv4.Modifier{relay(c.relay), text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7)}
			if c.info != nil {
				change = append(change, with(82, c.info...))
			}

			offer := s.Answer(ask(t, dhcpv4.MessageTypeDiscover, change...), nil, start)
			m := read(t, offer)

			if offer.To.String() != c.want || m.GatewayIPAddr.String() != c.relay || !slices.Equal(option(m, 82), c.info) {
				t.Errorf("answered to %s, relay %s, option 82 % x", offer.To, m.GatewayIPAddr, option(m, 82))
			}

			addr := given(t, offer)
			if !behind()[0].Prefix.Contains(addr) || m.ServerIdentifier().String() != c.id || m.ServerIPAddr.String() != "10.77.0.1" ||
				m.BootFileName != "snponly.efi" || !slices.Equal(option(m, 3), []byte{10, 78, 0, 1}) || !slices.Equal(option(m, 1), []byte{255, 255, 255, 0}) {
				t.Errorf("offered %s", m.Summary())
			}

			id := netip.MustParseAddr(c.id)
			ack := s.Answer(ask(t, dhcpv4.MessageTypeRequest, append(change, wants(addr), with(54, id.AsSlice()...))...), nil, start)

			if given(t, ack) != addr || ack.Lease == nil || ack.Lease.Addr != addr {
				t.Errorf("acknowledged %v, lease %+v", read(t, ack), ack.Lease)
			}

			if holder, ok := s.Holder(addr); !ok || holder.MAC != "52:54:00:00:00:01" {
				t.Errorf("%s is held by %+v", addr, holder)
			}

			if len(w.probed) != 0 {
				t.Errorf("asked on our own wire for %s", w.probed)
			}
		})
	}
}

func TestAMachineBehindARelayRenewsDirectly(t *testing.T) {
	s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Relayed = behind() })
	addr := lease(t, s, start, relay("10.78.0.1"))

	renewed := s.Answer(ask(t, dhcpv4.MessageTypeRequest, uses(addr)), nil, start.Add(time.Hour))
	if given(t, renewed) != addr || renewed.To.String() != addr.String()+":68" {
		t.Errorf("answered %v to %s", read(t, renewed), renewed.To)
	}

	// Moved to our own network it gets an address of that, whatever it remembers.
	if here := lease(t, s, start.Add(2*time.Hour), uses(addr), wants(addr)); !netip.MustParsePrefix("10.77.0.0/24").Contains(here) {
		t.Errorf("on our own network it got %s", here)
	}
}

func TestOtherRelaysAreNotAnswered(t *testing.T) {
	s, w := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Relayed = behind() })

	for name, change := range map[string][]dhcpv4.Modifier{
		"of an unknown network":            {relay("8.8.8.8")},
		"of our own network":               {relay("10.77.0.5")},
		"that name an unknown network":     {relay("10.78.0.1"), with(82, 5, 4, 8, 8, 8, 0)},
		"that name our own network as one": {relay("10.78.0.1"), with(82, 5, 4, 10, 77, 0, 0)},
	} {
		if s.Answer(ask(t, dhcpv4.MessageTypeDiscover, change...), nil, start).Reply != nil {
			t.Errorf("relays %s are answered", name)
		}
	}

	if steps, n := w.kinds(), s.Counters()["ignored"]; steps != "" || n != 4 {
		t.Errorf("steps %q, ignored %d", steps, n)
	}
}

func TestAReservedAddressIsForItsMachineAlone(t *testing.T) {
	const mine, other = "10.77.0.20", "10.77.0.5" // in the pool, and not

	s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) {
		c.Reserved = reserved("52:54:00:00:00:01", mine, "52:54:00:00:00:02", other)
	})
	second, third := from(0x52, 0x54, 0, 0, 0, 2), from(0x52, 0x54, 0, 0, 0, 3)
	wish := wants(netip.MustParseAddr(mine))

	if got := lease(t, s, start, third, wish); got.String() == mine || got.String() == other {
		t.Errorf("a machine without reservation got %s", got)
	}

	if got := lease(t, s, start, wants(netip.MustParseAddr("10.77.0.99"))); got.String() != mine {
		t.Errorf("got %s, want %s", got, mine)
	}

	if got := lease(t, s, start, second); got.String() != other {
		t.Errorf("got %s, want %s", got, other)
	}

	claim := ask(t, dhcpv4.MessageTypeRequest, from(0x52, 0x54, 0, 0, 0, 4), wish)
	if m := read(t, s.Answer(claim, nil, start)); m.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("another's reserved address was given: %s", m.Summary())
	}
}

func TestAReservationMadeLaterMovesTheMachine(t *testing.T) {
	old := []core.Lease{
		{MAC: "52:54:00:00:00:01", Addr: netip.MustParseAddr("10.77.0.30"), Granted: start, Expires: start.Add(time.Hour)},
		{MAC: "52:54:00:00:00:03", Addr: netip.MustParseAddr("10.77.0.20"), Granted: start, Expires: start.Add(time.Hour)},
	}
	s, _ := server(t, core.BootVet, func(c *dhcp.Config, w *world) {
		c.Reserved, w.leases = reserved("52:54:00:00:00:01", "10.77.0.20"), old
	})
	third := from(0x52, 0x54, 0, 0, 0, 3)

	if m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeRequest, third, uses(old[1].Addr)), nil, start)); m.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("who has the address now may keep it: %s", m.Summary())
	}

	if m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeRequest, uses(old[0].Addr)), nil, start)); m.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("whose it is may keep another: %s", m.Summary())
	}

	if got := lease(t, s, start); got.String() != "10.77.0.20" {
		t.Errorf("it got %s", got)
	}
}

func TestAReservedAddressThatAnotherUsesIsLeftForAWhile(t *testing.T) {
	s, w := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Reserved = reserved("52:54:00:00:00:01", "10.77.0.5") })
	s.Heard(netip.MustParseAddr("10.77.0.5"), "02:00:00:00:00:99", start)

	if steps := w.kinds(); steps != "conflict" {
		t.Errorf("steps %q", steps)
	}

	if got := lease(t, s, start); got.String() == "10.77.0.5" {
		t.Error("it was given all the same")
	}

	if got := lease(t, s, start.Add(11*time.Minute)); got.String() != "10.77.0.5" {
		t.Errorf("afterwards it got %s", got)
	}
}

// Servers of names and of time are told to those that ask, whatever they are and wherever
// they stand; old ROMs, which do not, keep the room.
func TestServersOfNamesAndTimeAreToldToThoseThatAsk(t *testing.T) {
	t.Parallel()

	s, _ := server(t, core.BootLocal, func(c *dhcp.Config, _ *world) {
		c.Relayed = behind()
		c.DNS, c.NTP = []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.3")}, []netip.Addr{netip.MustParseAddr("10.77.0.4")}
	})

	dns, ntp := []byte{10, 77, 0, 2, 10, 77, 0, 3}, []byte{10, 77, 0, 4}

	for name, c := range map[string]struct {
		ask      []dhcpv4.Modifier
		dns, ntp []byte
	}{
		"an installed system":      {[]dhcpv4.Modifier{with(55, 1, 3, 6, 42)}, dns, ntp},
		"one that wants names":     {[]dhcpv4.Modifier{with(55, 1, 3, 6)}, dns, nil},
		"one behind a relay":       {[]dhcpv4.Modifier{with(55, 6, 42), relay("10.78.0.1")}, dns, ntp},
		"a ROM that wants neither": {[]dhcpv4.Modifier{with(55, 1, 3, 67), text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0)}, nil, nil},
	} {
		for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest} {
			change := c.ask
			if kind == dhcpv4.MessageTypeRequest {
				offer := given(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, c.ask...), nil, start))
				change = append([]dhcpv4.Modifier{wants(offer), with(54, self.AsSlice()...)}, c.ask...)
			}

			m := read(t, s.Answer(ask(t, kind, change...), nil, start))
			if m == nil {
				t.Fatalf("%s: no answer to %s", name, kind)
			}

			if !slices.Equal(option(m, 6), c.dns) || !slices.Equal(option(m, 42), c.ntp) {
				t.Errorf("%s, %s: names % x, time % x", name, kind, option(m, 6), option(m, 42))
			}
		}
	}
}

func TestTooManyServersOrNoneAtAllAreRefused(t *testing.T) {
	t.Parallel()

	for name, servers := range map[string][]netip.Addr{
		"too many": slices.Repeat([]netip.Addr{self}, dhcp.MostServers+1), "IPv6": {netip.MustParseAddr("fe80::1")}, "none": {netip.IPv4Unspecified()},
		"multicast": {netip.MustParseAddr("224.0.1.1")}, "broadcast": {netip.MustParseAddr("255.255.255.255")}, "loopback": {netip.MustParseAddr("127.0.0.1")},
	} {
		for _, config := range []dhcp.Config{{DNS: servers}, {NTP: servers}} {
			config.Prefix, config.Pool = netip.MustParsePrefix("10.77.0.1/24"), dhcp.DefaultPool(netip.MustParsePrefix("10.77.0.1/24"))

			if err := config.Validate(); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
}
