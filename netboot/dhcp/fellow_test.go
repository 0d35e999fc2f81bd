package dhcp_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
	"vetting/netboot/dhcp/message"
)

// Another appliance is told that one serves here, whatever else keeps us silent; nobody
// else who is a stranger is.
func TestAnotherApplianceIsToldThatOneServesHere(t *testing.T) {
	own := with(61, 1, 0x52, 0x54, 0, 0x77, 0, 9)

	var told []core.MAC

	ears := func(c *dhcp.Config, _ *world) {
		c.Fellow = func(card core.MAC) { told = append(told, card) }
		c.Quiet = func() bool { return true }
	}

	s, w := server(t, core.BootIgnore, ears)

	for _, class := range []string{message.ClassAppliance, message.ClassLook} {
		answer := s.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, class), own), nil, start)

		m, err := dhcpv4.FromBytes(answer.Reply)
		if err != nil {
			t.Fatalf("%s: %v", class, err)
		}

		if m.MessageType() != dhcpv4.MessageTypeOffer || !m.YourIPAddr.Equal(net.IPv4zero) || m.BootFileName != "" ||
			!m.ServerIdentifier().Equal(self.AsSlice()) || m.ClassIdentifier() != message.ClassAppliance || answer.To.Port() != 68 {
			t.Errorf("%s is answered\n%s", class, m.Summary())
		}
	}

	if len(told) != 2 || told[0] != "52:54:00:77:00:09" || w.kinds() != "" {
		t.Errorf("told of %q", told)
	}

	for name, says := range map[string][]dhcpv4.Modifier{
		"behind a relay": {text(60, message.ClassAppliance), func(m *dhcpv4.DHCPv4) { m.GatewayIPAddr = net.IPv4(10, 78, 0, 1) }},
		"a REQUEST":      {text(60, message.ClassAppliance), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)},
		"a stranger":     {text(60, "vetting")},
	} {
		if answer := s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start.Add(time.Minute)); answer.Reply != nil {
			t.Errorf("%s is answered", name)
		}
	}

	proxy, _ := server(t, core.BootVet, ears, func(c *dhcp.Config, _ *world) { c.Mode = dhcp.Proxy })

	m, err := dhcpv4.FromBytes(proxy.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, message.ClassAppliance)), nil, start).Reply)
	if err != nil || m.ClassIdentifier() != message.ClassProxy {
		t.Errorf("a proxy answers %v: %v", m, err)
	}

	listens, _ := server(t, core.BootVet, ears, func(c *dhcp.Config, _ *world) { c.Mode = dhcp.Listen })
	if answer := listens.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, message.ClassAppliance)), nil, start); answer.Reply != nil {
		t.Error("one that only listens answers")
	}
}

func TestAFloodOfQuestionsOfAppliancesIsAnsweredAFewTimes(t *testing.T) {
	s, _ := server(t, core.BootIgnore)
	answers := 0

	for range 10_000 {
		if s.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, message.ClassAppliance)), nil, start).Reply != nil {
			answers++
		}
	}

	if answers > 5 {
		t.Errorf("answered %d times in a second", answers)
	}
}

// What an appliance sends is about no machine: a REQUEST in its name for another server is
// not put down to the machine that spoke before.
func TestWhatAnApplianceSendsIsAboutNoMachine(t *testing.T) {
	var told []core.MAC

	s, w := server(t, core.BootVet, func(c *dhcp.Config, _ *world) {
		c.Rival = func(_ netip.Addr, client core.MAC) { told = append(told, client) }
	})

	for range 20 {
		s.Answer(ask(t, dhcpv4.MessageTypeDiscover), nil, start)
		w.kinds()
		s.Answer(ask(t, dhcpv4.MessageTypeRequest, text(60, message.ClassAppliance), with(54, 10, 9, 0, 1)), nil, start)
	}

	if len(told) > 0 {
		t.Errorf("told of another server, chosen by %q", told)
	}
}
