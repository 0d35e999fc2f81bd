package dhcp_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// FuzzAnswer gives one server everything: no packet may be our fault, and what
// leaves is a proper reply to who asked.
func FuzzAnswer(f *testing.F) {
	for _, packet := range recorded(f) {
		f.Add(packet)
	}

	s, _ := server(f, core.BootVet, func(c *dhcp.Config, w *world) {
		c.Rate = -1
		w.actions = map[core.MAC]core.BootAction{"": core.BootVet, "52:54:00:00:00:02": core.BootIgnore}
		c.Witness, c.Prober = discard{}, nil
	})

	f.Fuzz(func(t *testing.T, packet []byte) {
		answer := s.Answer(packet, nil, start)

		if n := s.Counters()["failed"]; n != 0 {
			t.Fatalf("%d packets could not be handled", n)
		}

		if answer.Reply == nil {
			return
		}

		m, err := dhcpv4.FromBytes(answer.Reply)
		if err != nil {
			t.Fatalf("the reply cannot be read: %v", err)
		}

		if len(answer.Reply) < 300 || len(answer.Reply) > 1472 || !bytes.Equal(m.ClientHWAddr, packet[28:34]) || !bytes.Equal(m.TransactionID[:], packet[4:8]) {
			t.Errorf("%d bytes to %s, transaction %s", len(answer.Reply), m.ClientHWAddr, m.TransactionID)
		}

		if m.ClientHWAddr.String() == "52:54:00:00:00:02" {
			t.Error("a stranger was answered")
		}

		if port := answer.To.Port(); port != 68 || !answer.To.Addr().Is4() || m.ServerIdentifier().String() != self.String() {
			t.Errorf("sent to %s by %s", answer.To, m.ServerIdentifier())
		}
	})
}

type discard struct{}

func (discard) Witness(core.BootStep) {}

// FuzzAnswerBoot: port 4011 answers where the question came from, or not at all.
func FuzzAnswerBoot(f *testing.F) {
	for _, packet := range recorded(f) {
		f.Add(packet)
	}

	f.Add(ask(f, dhcpv4.MessageTypeRequest, text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0), with(43, 71, 4, 0x80, 0, 0, 0, 255)))

	s, _ := server(f, core.BootVet, func(c *dhcp.Config, w *world) {
		c.Rate = -1
		w.actions = map[core.MAC]core.BootAction{"": core.BootVet, "52:54:00:00:00:02": core.BootIgnore}
		c.Witness, c.Prober = discard{}, nil
	})
	asker := netip.MustParseAddrPort("10.77.0.20:4711")

	f.Fuzz(func(t *testing.T, packet []byte) {
		answer := s.AnswerBoot(packet, nil, asker, start)

		if n := s.Counters()["failed"]; n != 0 {
			t.Fatalf("%d packets could not be handled", n)
		}

		if answer.Reply == nil {
			return
		}

		m, err := dhcpv4.FromBytes(answer.Reply)
		if err != nil {
			t.Fatalf("the reply cannot be read: %v", err)
		}

		if m.MessageType() != dhcpv4.MessageTypeAck || !m.YourIPAddr.IsUnspecified() || answer.To != asker || answer.Lease != nil || len(answer.Reply) > 1472 {
			t.Errorf("to %s: %s", answer.To, m.Summary())
		}

		if m.ClientHWAddr.String() == "52:54:00:00:00:02" {
			t.Error("a stranger was answered")
		}
	})
}

// FuzzProxy: a proxy gives no address, whatever it is asked.
func FuzzProxy(f *testing.F) {
	for _, packet := range recorded(f) {
		f.Add(packet)
	}

	s, _ := server(f, core.BootVet, proxy, func(c *dhcp.Config, _ *world) {
		c.Rate = -1
		c.Witness, c.Prober = discard{}, nil
	})

	f.Fuzz(func(t *testing.T, packet []byte) {
		answer := s.Answer(packet, nil, start)

		if n := s.Counters()["failed"]; n != 0 {
			t.Fatalf("%d packets could not be handled", n)
		}

		if answer.Reply == nil {
			return
		}

		m, err := dhcpv4.FromBytes(answer.Reply)
		if err != nil {
			t.Fatalf("the reply cannot be read: %v", err)
		}

		if m.MessageType() != dhcpv4.MessageTypeOffer || !m.YourIPAddr.IsUnspecified() || answer.Lease != nil || m.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
			t.Errorf("offered %s", m.Summary())
		}
	})
}
