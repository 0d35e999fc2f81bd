package dhcp_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// TestRequests holds the four situations of RFC 2131 §4.3.2 and what else a
// client may say, each to a machine that has the lease 10.77.0.20, or none.
func TestRequests(t *testing.T) {
	mine, other := netip.MustParseAddr("10.77.0.20"), netip.MustParseAddr("10.77.0.30")
	outside, foreign := netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("10.77.0.66")

	const (
		silence = "silence"
		ack     = "ack"
		nak     = "nak"
	)

	for _, c := range []struct {
		name    string
		leased  bool
		kind    dhcpv4.MessageType
		options []dhcpv4.Modifier
		want    string
		to      string
		steps   string
	}{
		{"choosing our offer", true, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(mine), with(54, self.AsSlice()...)}, ack, "255.255.255.255:68", "request"},
		{"choosing another server's offer", true, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(other), with(54, foreign.AsSlice()...)}, silence, "", "rogue"},
		{"coming back with its address", true, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(mine)}, ack, "255.255.255.255:68", "request"},
		{"coming back with another machine's idea of an address", true, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(other)}, nak, "255.255.255.255:68", "nak"},
		{"coming back from another network", false, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(outside)}, nak, "255.255.255.255:68", "nak"},
		{"coming back after our leases were lost", false, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(mine)}, ack, "255.255.255.255:68", "request"},
		{"renewing", true, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{uses(mine)}, ack, "10.77.0.20:68", "request"},
		{"renewing an address that is not its own", true, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{uses(other)}, nak, "255.255.255.255:68", "nak"},
		{"asking for our own address", false, dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wants(self)}, nak, "255.255.255.255:68", "nak"},
		{"asking for nothing at all", false, dhcpv4.MessageTypeRequest, nil, nak, "255.255.255.255:68", "nak"},
		{"having an address, and questions", true, dhcpv4.MessageTypeInform, []dhcpv4.Modifier{uses(mine)}, ack, "10.77.0.20:68", "inform"},
		{"having an address elsewhere, and questions", true, dhcpv4.MessageTypeInform, []dhcpv4.Modifier{uses(outside)}, silence, "", ""},
		{"releasing its address", true, dhcpv4.MessageTypeRelease, []dhcpv4.Modifier{uses(mine)}, silence, "", "release"},
		{"releasing an address it does not have", true, dhcpv4.MessageTypeRelease, []dhcpv4.Modifier{uses(other)}, silence, "", ""},
		{"declining its address", true, dhcpv4.MessageTypeDecline, []dhcpv4.Modifier{wants(mine)}, silence, "", "decline"},
		{"declining an address it does not have", true, dhcpv4.MessageTypeDecline, []dhcpv4.Modifier{wants(other)}, silence, "", ""},
		{"speaking as a server", true, dhcpv4.MessageTypeOffer, nil, silence, "", ""},
		{"through a relay agent", true, dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{dhcpv4.WithGatewayIP(foreign.AsSlice())}, silence, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, w := server(t, core.BootVet)
			if c.leased && lease(t, s, start, wants(mine)) != mine {
				t.Fatal("did not get the address it wished for")
			}

			w.kinds()

			answer := s.Answer(ask(t, c.kind, c.options...), nil, start.Add(time.Hour))

			got, to := silence, ""
			if m := read(t, answer); m != nil {
				got, to = strings.ToLower(m.MessageType().String()), answer.To.String()
			}

			if steps := w.kinds(); got != c.want || to != c.to || steps != c.steps {
				t.Errorf("answer %s to %q, steps %q; want %s to %q, steps %q", got, to, steps, c.want, c.to, c.steps)
			}

			if (answer.Lease != nil) != (c.want == ack && c.kind == dhcpv4.MessageTypeRequest) {
				t.Errorf("lease to be saved: %+v", answer.Lease)
			}
		})
	}
}

func TestAddressStaysWithItsMachine(t *testing.T) {
	s, _ := server(t, core.BootVet)
	first := lease(t, s, start)

	if again := lease(t, s, start.Add(24*365*time.Hour)); again != first {
		t.Errorf("a year later it is %s, not %s", again, first)
	}

	s.Answer(ask(t, dhcpv4.MessageTypeRelease, uses(first)), nil, start)

	if again := lease(t, s, start.Add(time.Minute), wants(netip.MustParseAddr("10.77.0.99"))); again != first {
		t.Errorf("after a release it is %s, not %s", again, first)
	}

	// A new server, from the leases that the old one asked to be kept.
	kept := core.Lease{MAC: "52:54:00:00:00:01", Addr: first, Granted: start, Expires: start.Add(time.Hour)}
	s, w := server(t, core.BootVet, func(_ *dhcp.Config, w *world) { w.leases = []core.Lease{kept} })

	if holder, ok := s.Holder(first); !ok || holder.MAC != kept.MAC {
		t.Errorf("after a restart %s is held by %+v", first, holder)
	}

	if again := lease(t, s, start); again != first {
		t.Errorf("after a restart it is %s, not %s (%s)", again, first, w.kinds())
	}
}

func TestLeasesThatNoLongerMakeSenseAreLeft(t *testing.T) {
	old := func(mac core.MAC, addr string, granted time.Time) core.Lease {
		return core.Lease{MAC: mac, Addr: netip.MustParseAddr(addr), Granted: granted, Expires: granted.Add(time.Hour)}
	}

	s, _ := server(t, core.BootVet, func(_ *dhcp.Config, w *world) {
		w.leases = []core.Lease{
			old("52:54:00:00:00:01", "10.99.0.20", start), old("not a mac", "10.77.0.21", start), old("52:54:00:00:00:0X", "10.77.0.21", start),
			old("52:54:00:00:00:02", "10.77.0.22", start), old("52:54:00:00:00:03", "10.77.0.22", start.Add(-time.Hour)), old("52:54:00:00:00:04", "10.77.0.1", start),
		}
	})

	for addr, want := range map[string]core.MAC{"10.99.0.20": "", "10.77.0.21": "", "10.77.0.1": "", "10.77.0.22": "52:54:00:00:00:02"} {
		if holder, _ := s.Holder(netip.MustParseAddr(addr)); holder.MAC != want {
			t.Errorf("%s is held by %q, want %q", addr, holder.MAC, want)
		}
	}
}

// The address of a machine whose lease ran out may be another's by now, to whom what is
// answered would go.
func TestAnOldLeaseIsNoLongerWhoElseIsThere(t *testing.T) {
	const owner, stranger = "52:54:00:00:00:01", "52:54:00:00:00:99"

	addr, now := netip.MustParseAddr("10.77.0.20"), time.Now()

	for name, c := range map[string]struct {
		expires time.Duration // from now
		kernel  core.MAC      // knows who is there; empty: it does not
		want    core.MAC
	}{
		"its lease goes on":              {time.Hour, "", owner},
		"it ran out, and it is there":    {-time.Hour, owner, owner},
		"it ran out behind a relay":      {-time.Hour, "", owner},
		"it ran out, another is there":   {-time.Hour, stranger, ""},
		"long ago, and another is there": {-240 * time.Hour, stranger, ""},
	} {
		t.Run(name, func(t *testing.T) {
			kept := core.Lease{MAC: owner, Addr: addr, Granted: now.Add(c.expires - time.Hour), Expires: now.Add(c.expires)}
			s, _ := server(t, core.BootVet, func(config *dhcp.Config, w *world) {
				w.leases = []core.Lease{kept}
				config.Neighbour = func(netip.Addr) (core.MAC, bool) { return c.kernel, c.kernel != "" }
			})

			if holder, ok := s.Holder(addr); holder.MAC != c.want || ok != (c.want != "") {
				t.Errorf("it is taken for %q (%t), want %q", holder.MAC, ok, c.want)
			}
		})
	}
}

func TestAnOfferedAddressHasNoHolderYet(t *testing.T) {
	s, _ := server(t, core.BootVet)
	addr := given(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover), nil, start))

	if holder, ok := s.Holder(addr); ok {
		t.Errorf("%s is held by %+v before it was requested", addr, holder)
	}

	lease(t, s, start)

	if holder, ok := s.Holder(addr); !ok || holder.Addr != addr {
		t.Errorf("%s is held by %+v (%t)", addr, holder, ok)
	}
}

// small is a pool of the addresses 10.77.0.10 and 10.77.0.11.
func small(c *dhcp.Config, _ *world) {
	c.Pool = dhcp.Range{First: netip.MustParseAddr("10.77.0.10"), Last: netip.MustParseAddr("10.77.0.11")}
}

func TestWhenThePoolIsUsedUpTheLongestGoneMachineGivesItsAddress(t *testing.T) {
	s, w := server(t, core.BootVet, small)
	first := lease(t, s, start, from(2, 0, 0, 0, 0, 1))
	second := lease(t, s, start.Add(time.Hour), from(2, 0, 0, 0, 0, 2))

	if first == second {
		t.Fatalf("both got %s", first)
	}

	w.kinds()

	third := ask(t, dhcpv4.MessageTypeDiscover, from(2, 0, 0, 0, 0, 3))
	if s.Answer(third, nil, start.Add(2*time.Hour)).Reply != nil || w.kinds() != "discover pool-empty" {
		t.Error("a third machine was offered an address in use")
	}

	if got := given(t, s.Answer(third, nil, start.Add(100*time.Hour))); got != first {
		t.Errorf("offered %s, want %s, whose lease ran out first", got, first)
	}
}

func TestADisputedAddressIsLeftAloneForTenMinutes(t *testing.T) {
	squatter := core.MAC("02:00:00:00:00:99")

	t.Run("declined by the machine it was given to", func(t *testing.T) {
		s, w := server(t, core.BootVet)
		bad := lease(t, s, start)
		s.Answer(ask(t, dhcpv4.MessageTypeDecline, wants(bad)), nil, start)

		if now := lease(t, s, start, wants(bad)); now == bad {
			t.Errorf("%s was given again at once", bad)
		}

		if !slices.Contains(w.probed, bad) {
			t.Errorf("nobody was asked who has %s", bad)
		}

		if now := lease(t, s, start.Add(11*time.Minute), from(2, 0, 0, 0, 0, 7), wants(bad)); now != bad {
			t.Errorf("after quarantine the wish for %s gave %s", bad, now)
		}
	})

	t.Run("somebody else answers for it as its machine wakes up", func(t *testing.T) {
		s, w := server(t, core.BootVet)
		bad := lease(t, s, start)
		later := start.Add(time.Hour)

		s.Answer(ask(t, dhcpv4.MessageTypeDiscover), nil, later)
		w.kinds()
		s.Heard(bad, squatter, later.Add(time.Second))

		if steps := w.kinds(); steps != "conflict" {
			t.Errorf("steps %q, want a conflict", steps)
		}

		request := ask(t, dhcpv4.MessageTypeRequest, wants(bad), with(54, self.AsSlice()...))
		if m := read(t, s.Answer(request, nil, later.Add(2*time.Second))); m == nil || m.MessageType() != dhcpv4.MessageTypeNak {
			t.Errorf("the disputed address was not refused: %v", m)
		}
	})

	t.Run("its own machine answers for it", func(t *testing.T) {
		s, w := server(t, core.BootVet)
		addr := lease(t, s, start)
		w.kinds()
		s.Heard(addr, "52:54:00:00:00:01", start.Add(time.Second))

		if again := lease(t, s, start.Add(2*time.Second)); again != addr {
			t.Errorf("given %s after %s", again, addr)
		}
	})

	t.Run("somebody uses a free address", func(t *testing.T) {
		s, w := server(t, core.BootVet)
		taken := netip.MustParseAddr("10.77.0.40")
		s.Heard(taken, squatter, start)
		s.Heard(taken, squatter, start)
		s.Heard(netip.MustParseAddr("10.77.0.5"), squatter, start)
		s.Heard(taken, "nonsense", start)

		if steps := w.kinds(); steps != "conflict" {
			t.Errorf("steps %q, want one conflict", steps)
		}

		if got := lease(t, s, start, wants(taken)); got == taken {
			t.Errorf("%s was given although another uses it", taken)
		}
	})
}

func TestAFloodCostsNeitherAnswersNorNotes(t *testing.T) {
	t.Run("of one registered machine", func(t *testing.T) {
		s, _ := server(t, core.BootVet)
		packet, answered := ask(t, dhcpv4.MessageTypeDiscover), 0

		for range 1000 {
			if s.Answer(packet, nil, start).Reply != nil {
				answered++
			}
		}

		if answered != 50 || s.Counters()["dropped"] != 950 {
			t.Errorf("answered %d times in a second, want 50; counters %v", answered, s.Counters())
		}

		if s.Answer(packet, nil, start.Add(time.Second)).Reply == nil {
			t.Error("in the next second it is not answered either")
		}
	})

	t.Run("of strangers", func(t *testing.T) {
		s, w := server(t, core.BootIgnore)

		for i := range 100_000 {
			packet := ask(t, dhcpv4.MessageTypeDiscover, from(2, 0, 0, byte(i>>16), byte(i>>8), byte(i)))
			if s.Answer(packet, nil, start.Add(time.Duration(i)*100*time.Microsecond)).Reply != nil {
				t.Fatal("a stranger was answered")
			}
		}

		if n := len(w.steps); n != 200 {
			t.Errorf("noted %d of 100 000 strangers in ten seconds, want 20 a second", n)
		}
	})

	t.Run("one stranger is noted every ten seconds", func(t *testing.T) {
		s, w := server(t, core.BootIgnore)
		packet := ask(t, dhcpv4.MessageTypeDiscover)

		for i := range 25 {
			s.Answer(packet, nil, start.Add(time.Duration(i)*time.Second))
		}

		if steps := w.kinds(); steps != "sighting sighting sighting" {
			t.Errorf("steps %q", steps)
		}
	})
}

func TestMalformedPacketsAreCountedAndTheNextGoodOneIsServed(t *testing.T) {
	var log strings.Builder

	s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	good := ask(t, dhcpv4.MessageTypeDiscover)
	reply := slices.Clone(good)
	reply[0] = 2
	bootp := slices.Clone(good)
	bootp[240] = 255

	bad := [][]byte{nil, good[:100], make([]byte, 300), reply, bootp, ask(t, dhcpv4.MessageType(77))}
	for _, packet := range bad {
		if s.Answer(packet, nil, start).Reply != nil {
			t.Errorf("%x was answered", packet)
		}
	}

	if n := s.Counters()["malformed"]; n != uint64(len(bad)) {
		t.Errorf("counted %d as malformed, want %d", n, len(bad))
	}

	// Five a second are told of, no more.
	if n := strings.Count(log.String(), "code=netboot/dhcp-malformed"); n != 5 || !strings.Contains(log.String(), "shorter than a header") {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}

	if s.Answer(good, nil, start).Reply == nil {
		t.Error("a good packet after them is not answered")
	}
}

func TestConfigIsCheckedAndEveryMistakeNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *dhcp.Config)
		want   string
	}{
		{"an IPv6 prefix", func(c *dhcp.Config) { c.Prefix = netip.MustParsePrefix("fd00::1/64") }, "want an IPv4 address with a length from 8 to 30"},
		{"a network of two", func(c *dhcp.Config) { c.Prefix = netip.MustParsePrefix("10.77.0.1/31") }, "want an IPv4 address with a length from 8 to 30"},
		{"a pool that runs backwards", func(c *dhcp.Config) { c.Pool.First, c.Pool.Last = c.Pool.Last, c.Pool.First }, "want a first and a last"},
		{"a pool elsewhere", func(c *dhcp.Config) {
			c.Pool.First, c.Pool.Last = netip.MustParseAddr("10.78.0.1"), netip.MustParseAddr("10.78.0.9")
		}, "not inside 10.77.0.0/24"},
		{"a pool with the broadcast address", func(c *dhcp.Config) { c.Pool.Last = netip.MustParseAddr("10.77.0.255") }, "must leave out the first and the last"},
		{"a pool beyond all measure", func(c *dhcp.Config) {
			c.Prefix, c.Pool.Last = netip.MustParsePrefix("10.77.0.1/8"), netip.MustParseAddr("10.99.0.1")
		}, "more than 65536"},
		{"a relayed network without a pool", func(c *dhcp.Config) { c.Relayed = []dhcp.Network{{Prefix: netip.MustParsePrefix("10.78.0.1/24")}} }, "relayed network: pool"},
		{"a relayed network that is ours", func(c *dhcp.Config) {
			c.Relayed = behind()
			c.Relayed[0].Prefix = netip.MustParsePrefix("10.77.0.9/16")
			c.Relayed[0].Pool = dhcp.DefaultPool(c.Relayed[0].Prefix)
		}, "overlaps 10.77.0.0/24"},
		{"one relayed network twice", func(c *dhcp.Config) { c.Relayed = append(behind(), behind()...) }, "overlaps 10.78.0.0/24"},
		{"a reservation elsewhere", func(c *dhcp.Config) { c.Reserved = reserved("52:54:00:00:00:01", "10.99.0.1") }, "on none of the networks"},
		{"a reservation of our own address", func(c *dhcp.Config) { c.Reserved = reserved("52:54:00:00:00:01", "10.77.0.1") }, "is not for machines"},
		{"a reservation of the broadcast address", func(c *dhcp.Config) { c.Reserved = reserved("52:54:00:00:00:01", "10.77.0.255") }, "is not for machines"},
		{"a reservation for no MAC", func(c *dhcp.Config) { c.Reserved = reserved("52:54:00:00:00:0X", "10.77.0.5") }, "is not a MAC address"},
		{"an address reserved twice", func(c *dhcp.Config) {
			c.Reserved = reserved("52:54:00:00:00:01", "10.77.0.5", "52:54:00:00:00:02", "10.77.0.5")
		}, "is reserved for 52:54:00:00:00:0"},
		{"a lease of a second", func(c *dhcp.Config) { c.LeaseTime = time.Second }, "want a minute to a year"},
	} {
		t.Run(c.name, func(t *testing.T) {
			prefix := netip.PrefixFrom(self, 24)
			config := dhcp.Config{Prefix: prefix, Pool: dhcp.DefaultPool(prefix)}
			c.change(&config)

			if _, err := dhcp.New(config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestDefaultPoolFitsItsNetwork(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.77.0.1/24": "10.77.0.10 10.77.0.254", "10.77.0.1/30": "10.77.0.1 10.77.0.2",
		"10.77.0.1/28": "10.77.0.7 10.77.0.14", "10.77.0.1/16": "10.77.0.10 10.77.3.241",
	} {
		p := netip.MustParsePrefix(prefix)
		pool := dhcp.DefaultPool(p)

		if got := fmt.Sprint(pool.First, " ", pool.Last); got != want {
			t.Errorf("pool of %s is %s, want %s", prefix, got, want)
		}

		if err := (&dhcp.Config{Prefix: p, Pool: pool}).Validate(); err != nil {
			t.Errorf("pool of %s: %v", prefix, err)
		}
	}
}
