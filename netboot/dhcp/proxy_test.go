package dhcp_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// proxy makes a Server serve beside another one.
func proxy(c *dhcp.Config, _ *world) { c.Mode = dhcp.Proxy }

// TestProxyGolden is the table of what every kind of client is told by a proxy.
func TestProxyGolden(t *testing.T) {
	for name, packet := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder

			for _, action := range []core.BootAction{core.BootVet, core.BootLocal, core.BootIgnore} {
				s, w := server(t, action, proxy)
				answer := s.Answer(packet, nil, start)

				text.WriteString("== " + string(action) + ": " + w.kinds() + "\n")
				dump(t, &text, answer)
			}

			golden(t, filepath.Join("testdata", "golden", "proxy", name+".txt"), text.String())
		})
	}
}

func TestAProxyGivesNoAddresses(t *testing.T) {
	s, _ := server(t, core.BootVet, proxy)
	mine, theirs := netip.MustParseAddr("10.77.0.20"), netip.MustParseAddr("10.77.0.2")

	for name, packet := range map[string][]byte{
		"a DISCOVER of an operating system": ask(t, dhcpv4.MessageTypeDiscover),
		"a REQUEST for the other's offer":   ask(t, dhcpv4.MessageTypeRequest, wants(mine), with(54, theirs.AsSlice()...)),
		"a REQUEST for ours, which is none": ask(t, dhcpv4.MessageTypeRequest, wants(mine), with(54, self.AsSlice()...)),
		"one that comes back":               ask(t, dhcpv4.MessageTypeRequest, wants(mine)),
		"one that renews":                   ask(t, dhcpv4.MessageTypeRequest, uses(mine)),
		"an INFORM":                         ask(t, dhcpv4.MessageTypeInform, uses(mine)),
		"a DECLINE":                         ask(t, dhcpv4.MessageTypeDecline, wants(mine)),
		"a RELEASE":                         ask(t, dhcpv4.MessageTypeRelease, uses(mine)),
	} {
		if m := read(t, s.Answer(packet, nil, start)); m != nil {
			t.Errorf("%s is answered: %s", name, m.Summary())
		}
	}
}

// UEFI from before April 2017 drops a proxy's offer that has discovery control
// (edk2 #6944: Dell T430 and T130); other firmware never asks the boot server.
func TestAProxyTriesUEFIBothWays(t *testing.T) {
	uefi := []dhcpv4.Modifier{text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7)}
	asker := netip.MustParseAddrPort("10.77.0.20:4011")

	discovers := func(s *dhcp.Server, after time.Duration) (control bool) {
		m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, uefi...), nil, start.Add(after)))
		if m == nil || m.BootFileName != "snponly.efi" || string(option(m, 60)) != "PXEClient" || !m.YourIPAddr.IsUnspecified() {
			t.Fatalf("offered %v", m)
		}

		if control = option(m, 43) != nil; control && !slices.Equal(option(m, 43), []byte{6, 1, 8, 255}) {
			t.Errorf("option 43 is % x", option(m, 43))
		}

		return control
	}

	t.Run("it drops the first and never asks the boot server", func(t *testing.T) {
		s, _ := server(t, core.BootVet, proxy)

		for i, c := range []struct {
			after time.Duration
			want  bool
		}{{0, false}, {4 * time.Second, false}, {12 * time.Second, true}, {28 * time.Second, true}, {time.Hour, true}} {
			if got := discovers(s, c.after); got != c.want {
				t.Errorf("offer %d has discovery control: %t", i, got)
			}
		}
	})

	t.Run("it asks the boot server", func(t *testing.T) {
		s, _ := server(t, core.BootVet, proxy)
		discovers(s, 0)

		m := read(t, s.AnswerBoot(ask(t, dhcpv4.MessageTypeRequest, append(uefi, uses(asker.Addr()))...), nil, asker, start.Add(time.Second)))
		if m == nil || m.BootFileName != "snponly.efi" {
			t.Fatalf("the boot server said %v", m)
		}

		if holder, ok := s.Holder(asker.Addr()); !ok || holder.MAC != "52:54:00:00:00:01" || holder.Kind != core.ClientUEFI {
			t.Errorf("%s is %+v", asker.Addr(), holder)
		}

		if discovers(s, time.Hour) {
			t.Error("at the next boot the offer has discovery control")
		}
	})

	t.Run("its iPXE comes, so it took the offer", func(t *testing.T) {
		s, _ := server(t, core.BootVet, proxy)
		discovers(s, 0)

		ipxe := ask(t, dhcpv4.MessageTypeDiscover, text(77, "iPXE"), with(93, 0, 7), with(175, 19, 1, 1))
		if m := read(t, s.Answer(ipxe, nil, start.Add(3*time.Second))); m == nil || m.BootFileName != "http://10.77.0.1/ipxe/52:54:00:00:00:01" || option(m, 43) != nil {
			t.Fatalf("iPXE is offered %v", m)
		}

		if discovers(s, time.Hour) {
			t.Error("at the next boot the offer has discovery control")
		}
	})
}

func TestWhereAnotherGivesTheAddressesTheyAreLearned(t *testing.T) {
	first, second := netip.MustParseAddr("10.77.0.20"), netip.MustParseAddr("10.77.0.21")
	third, fourth := netip.MustParseAddr("10.77.0.22"), netip.MustParseAddr("10.77.0.23")
	kernel := map[netip.Addr]core.MAC{third: "52:54:00:00:00:01", fourth: "52:54:00:00:00:99"}

	for _, mode := range []dhcp.Mode{dhcp.Proxy, dhcp.Listen} {
		t.Run(mode.String(), func(t *testing.T) {
			s, _ := server(t, "", func(c *dhcp.Config, w *world) {
				c.Mode = mode
				c.Neighbour = func(addr netip.Addr) (core.MAC, bool) { mac, ok := kernel[addr]; return mac, ok }
				w.actions = map[core.MAC]core.BootAction{"52:54:00:00:00:01": core.BootVet, "52:54:00:00:00:02": core.BootLocal}
			})
			holds := func(addr netip.Addr) core.MAC {
				holder, _ := s.Holder(addr)

				return holder.MAC
			}

			s.Answer(ask(t, dhcpv4.MessageTypeRequest, wants(first), with(54, 10, 77, 0, 2)), nil, start)

			if got := holds(first); got != "52:54:00:00:00:01" {
				t.Errorf("after its REQUEST %s is %q", first, got)
			}

			s.Answer(ask(t, dhcpv4.MessageTypeRequest, uses(second)), nil, start)

			if got := holds(second); got != "52:54:00:00:00:01" || holds(first) != "" {
				t.Errorf("after it renewed another %s is %q, %s %q", second, got, first, holds(first))
			}

			s.Heard(first, "52:54:00:00:00:02", start)
			s.Learn("52:54:00:00:00:01", netip.MustParseAddr("10.78.0.1")) // not on our network

			if got := holds(first); got != "52:54:00:00:00:02" || holds(second) != "52:54:00:00:00:01" {
				t.Errorf("after ARP %s is %q, %s %q", first, got, second, holds(second))
			}

			s.Heard(first, "52:54:00:00:00:99", start)
			s.Learn("52:54:00:00:00:99", second)
			s.Answer(ask(t, dhcpv4.MessageTypeRequest, from(0x52, 0x54, 0, 0, 0, 0x99), wants(second)), nil, start)

			if holds(first) != "52:54:00:00:00:02" || holds(second) != "52:54:00:00:00:01" {
				t.Errorf("a stranger took %s (%q) or %s (%q)", first, holds(first), second, holds(second))
			}

			// The kernel has the last word: what is answered goes to whom it knows.
			kernel[first] = "52:54:00:00:00:99"
			if got := holds(first); got != "" {
				t.Errorf("a stranger at %s is taken for %s", first, got)
			}

			delete(kernel, first)

			if holds(third) != "52:54:00:00:00:01" || holds(second) != "" || holds(first) != "52:54:00:00:00:02" || holds(fourth) != "" {
				t.Errorf("%s is %q, %s %q, %s %q, %s %q", first, holds(first), second, holds(second), third, holds(third), fourth, holds(fourth))
			}
		})
	}
}

func TestListeningAnswersNobodyAndTakesDownWhatIsHeard(t *testing.T) {
	s, w := server(t, "", func(c *dhcp.Config, w *world) {
		c.Mode = dhcp.Listen
		w.actions = map[core.MAC]core.BootAction{"52:54:00:00:00:01": core.BootVet}
	})

	for name, packet := range recorded(t) {
		if s.Answer(packet, nil, start).Reply != nil {
			t.Errorf("%s is answered", name)
		}
	}

	w.kinds()
	s.Answer(ask(t, dhcpv4.MessageTypeDiscover), nil, start.Add(time.Minute))
	s.Answer(ask(t, dhcpv4.MessageTypeDiscover, from(0x52, 0x54, 0, 0, 0, 0x99)), nil, start.Add(time.Minute))

	if steps := w.kinds(); steps != "discover sighting" {
		t.Errorf("steps %q", steps)
	}
}

// Where another proxy is at work, UEFI takes our offer only with discovery control.
func TestOurOffersOutrankAnotherProxys(t *testing.T) {
	s, _ := server(t, core.BootVet)
	s.Outrank(true)

	for class, want := range map[string][2]string{
		"PXEClient:Arch:00007:UNDI:003016": {"PXEClient", "\x06\x01\x08\xff"}, "PXEClient:Arch:00000:UNDI:002001": {"", ""},
	} {
		m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, class)), nil, start))
		if string(option(m, 60)) != want[0] || string(option(m, 43)) != want[1] || m.YourIPAddr.IsUnspecified() {
			t.Errorf("%s is offered %s", class, m.Summary())
		}
	}
}

func TestModesHaveNames(t *testing.T) {
	for text, want := range map[string]dhcp.Mode{"dhcp": dhcp.Authoritative, "proxy": dhcp.Proxy, "off": dhcp.Listen} {
		if got, err := dhcp.ParseMode(text); got != want || err != nil || got.String() != text {
			t.Errorf("%q is %s (%v)", text, got, err)
		}
	}

	if _, err := dhcp.ParseMode("on"); err == nil || !strings.Contains(err.Error(), "want dhcp, proxy or off") {
		t.Errorf("error %v", err)
	}
}
