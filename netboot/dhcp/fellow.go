package dhcp

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp/message"
)

// greet answers another appliance that asks whether one serves here: also while we are
// silent, since two that find each other and wait must not both believe the other gone.
// A few answers a second at most: who asks is a stranger.
func (s *Server) greet(x *exchange, buf []byte) Answer {
	m := &x.msg

	if s.cfg.Mode == Listen || x.kind != dhcpv4.MessageTypeDiscover || m.GIAddr != netip.IPv4Unspecified() || !s.greeted.Allow(x.now) {
		return Answer{}
	}

	if s.cfg.Fellow != nil {
		s.cfg.Fellow(fellowCard(m))
	}

	class := message.ClassAppliance
	if s.cfg.Mode != Authoritative {
		class = message.ClassProxy
	}

	x.room[0] = byte(dhcpv4.MessageTypeOffer)
	r := message.Reply{XID: m.XID, Flags: message.Broadcast, MAC: m.MAC, Options: append(x.options[:0],
		message.Option{Code: message.OptMessageType, Value: x.room[:1]}, message.Option{Code: message.OptServerID, Value: s.serverID(x)},
		message.Option{Code: message.OptVendorClass, Value: []byte(class)})}

	return Answer{Reply: r.Append(buf[:0], m.Room()), To: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)}
}

// fellowCard is the card of an appliance that asks, as it names it (option 61); where it
// does not, the address that it asks with, which is made up.
func fellowCard(m *message.Message) core.MAC {
	if id := m.Option(message.OptClientID); len(id) == 7 && id[0] == etherType {
		return macText([6]byte(id[1:]))
	}

	return macText(m.MAC)
}

const etherType = 1 // hardware type of a client id (RFC 2132 §9.14)
