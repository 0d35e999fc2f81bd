package dhcp

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/netboot/dhcp/message"
)

// The PXE boot server: some ROMs, once they have an address, ask port 4011 what
// to load (PXE 2.1 §2.2.5, BINL). An UEFI ROM does so for an offer with option 60
// but without discovery control (edk2 #8149), others because a proxy's offer of an
// earlier boot is still in their head.

const bootPort = 4011

const pxeBootItem = 71 // of option 43: which of the boot servers' items was chosen

// ListenBoot opens the boot server's socket on the server's card.
func (s *Server) ListenBoot(ctx context.Context) (*net.UDPConn, error) {
	return s.listen(ctx, bootPort)
}

// ServeBoot answers what arrives on conn until ctx ends, and closes conn.
func (s *Server) ServeBoot(ctx context.Context, conn *net.UDPConn) error {
	return s.serve(ctx, conn, func(packet, buf []byte, from netip.AddrPort, now time.Time, quiet bool) Answer {
		return s.answerBoot(packet, buf, from, now, quiet)
	})
}

// AnswerBoot reads a packet that came from somewhere to port 4011 and says what to
// do about it, as Answer does for port 67.
func (s *Server) AnswerBoot(packet, buf []byte, from netip.AddrPort, now time.Time) Answer {
	return s.answerBoot(packet, buf, from, now, s.cfg.Quiet())
}

func (s *Server) answerBoot(packet, buf []byte, from netip.AddrPort, now time.Time, quiet bool) Answer {
	return s.guarded(packet, now, quiet, func(x *exchange) Answer {
		switch {
		case !s.admit(x, packet) || x.msg.GIAddr != netip.IPv4Unspecified():
			return Answer{}
		case x.kind != dhcpv4.MessageTypeRequest && x.kind != dhcpv4.MessageTypeInform:
			x.came = malformed
			s.malformed(packet, now, errType)

			return Answer{}
		case x.quiet:
			s.hush(x)

			return Answer{}
		default:
			return s.bootItem(x, buf, from)
		}
	})
}

// bootItem acknowledges what the machine is to load. It goes back to where the
// question came from, with the item of the menu that it was for.
func (s *Server) bootItem(x *exchange, buf []byte, from netip.AddrPort) Answer {
	m, boot := &x.msg, s.boot(x)
	if boot.file == "" || !from.Addr().Is4() || s.at(from.Addr()) == nil {
		return Answer{}
	}

	x.detail = boot.file
	s.witness(x, "boot-server", from.Addr())
	s.peers.satisfied(x.client.BootClient)

	if s.cfg.Mode != Authoritative {
		s.peers.learn(x.client.MAC, from.Addr())
	}

	list := s.bootOptions(x, dhcpv4.MessageTypeAck, boot)

	if item := bootItemOf(m.Option(message.OptVendorInfo)); item != nil {
		list = append(list, message.Option{Code: message.OptVendorInfo, Value: item})
	}

	r := message.Reply{
		XID: m.XID, Flags: m.Flags, CIAddr: m.CIAddr, SIAddr: s.cfg.Prefix.Addr(), MAC: m.MAC,
		SName: s.selfText, File: boot.file, Options: echo(list, m),
	}
	s.count.answered.Add(1)

	return Answer{Reply: r.Append(buf[:0], m.Room()), To: from}
}

// bootItemOf returns option 43 with the client's boot item alone; nil when it
// names none.
func bootItemOf(vendor []byte) []byte {
	for b := vendor; len(b) >= 2 && b[0] != 255; {
		if b[0] == 0 {
			b = b[1:]

			continue
		}

		end := 2 + int(b[1])
		if end > len(b) {
			return nil
		}

		if b[0] == pxeBootItem && end == 6 {
			return append(append(make([]byte, 0, 7), b[:end]...), 255)
		}

		b = b[end:]
	}

	return nil
}

// guarded reads a packet and has it handled. It does not panic.
func (s *Server) guarded(packet []byte, now time.Time, quiet bool, handle func(x *exchange) Answer) (answer Answer) {
	s.count.received.Add(1)

	defer func() {
		if r := recover(); r != nil {
			s.count.failed.Add(1)
			s.came.add(dhcpv4.MessageTypeNone, failed)
			s.cfg.Log.Error("a dhcp packet could not be handled", slog.String("code", "netboot/dhcp-packet"),
				slog.Any("panic", r), slog.String("hex", hex.EncodeToString(packet[:min(len(packet), 600)])))

			answer = Answer{}
		}
	}()

	x, _ := s.exchanges.Get().(*exchange)
	defer s.exchanges.Put(x)

	if err := x.msg.Parse(packet); err != nil {
		s.came.add(dhcpv4.MessageTypeNone, malformed)
		s.malformed(packet, now, err)

		return Answer{}
	}

	x.now, x.detail, x.quiet, x.came = now, "", quiet, heard

	answer = handle(x)
	if len(answer.Reply) > 0 {
		x.came = answered
	}

	s.came.add(x.kind, x.came)

	return answer
}
