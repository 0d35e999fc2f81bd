package rogue

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"vetting/core"
	"vetting/netboot/dhcp/message"
)

const (
	ipLen      = 20
	udpLen     = 8
	protoUDP   = 17
	serverPort = 67
	clientPort = 68

	fromServer = serverPort<<16 | clientPort // both ports of a UDP header
	fromClient = clientPort<<16 | serverPort
)

// dress is how a question presents itself. Servers may answer some and not others.
type dress struct {
	class string
	arch  iana.Arch
	card  net.HardwareAddr // the client id; nil: none
}

// discover builds the IP packet of a DISCOVER from mac in a dress.
func discover(mac net.HardwareAddr, d dress) ([]byte, error) {
	m, err := dhcpv4.NewDiscovery(mac, dhcpv4.WithBroadcast(true))
	if err != nil {
		return nil, err
	}

	if d.class != "" {
		m.UpdateOption(dhcpv4.OptClassIdentifier(d.class))
		m.UpdateOption(dhcpv4.OptClientArch(d.arch))
	}

	if d.card != nil {
		m.UpdateOption(dhcpv4.OptClientIdentifier(slices.Concat([]byte{byte(iana.HWTypeEthernet)}, d.card)))
	}

	return wrap(m.ToBytes()), nil
}

// wrap puts payload into an IPv4 UDP packet from 0.0.0.0:68 to 255.255.255.255:67.
// The UDP checksum is left out, which IPv4 permits (RFC 768).
func wrap(payload []byte) []byte {
	b := make([]byte, ipLen+udpLen, ipLen+udpLen+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(ipLen+udpLen+len(payload))) //nolint:gosec // a DISCOVER is some 300 bytes
	copy(b[16:20], []byte{255, 255, 255, 255})
	binary.BigEndian.PutUint16(b[10:], ^sum(b[:ipLen]))
	binary.BigEndian.PutUint16(b[ipLen:], clientPort)
	binary.BigEndian.PutUint16(b[ipLen+2:], serverPort)
	binary.BigEndian.PutUint16(b[ipLen+4:], uint16(udpLen+len(payload))) //nolint:gosec // as above

	return append(b, payload...)
}

// sum is the ones' complement sum of RFC 1071.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}

	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}

	return uint16(s) //nolint:gosec // folded above
}

// Offer is what another server said to a client.
type Offer struct {
	Server netip.Addr // option 54, or where the packet came from
	MAC    core.MAC   // of the sender of the frame
	To     core.MAC   // the client it was for
	Kind   dhcpv4.MessageType
	Addr   netip.Addr // given to the client
	File   string     // boot file, where it may be shown
	Boot   netip.Addr // where that is to be had (siaddr)
	Proxy  bool       // it gives no addresses, only says what to load (PXE 2.1 §2.2)

	// Appliance says that it is one like us. Where Kind is Discover it does not serve yet,
	// but is about to: Server is invalid then, and To what it asks with.
	Appliance bool
	// Firm says that it is one that falls silent for nobody.
	Firm bool
}

// parse reads an IP packet that a DHCP server sent to clients, or an appliance to others
// that is about to serve; ok is false for all else.
func parse(b []byte, from net.HardwareAddr) (offer Offer, ok bool) {
	payload, src, asks, ok := unwrap(b)
	if !ok {
		return Offer{}, false
	}

	var m message.Message
	if m.Parse(payload) != nil {
		return Offer{}, false
	}

	code, _ := m.Byte(message.OptMessageType)
	kind := dhcpv4.MessageType(code)

	if asks {
		return question(&m, kind, from)
	}

	if m.Op != 2 {
		return Offer{}, false
	}

	if kind != dhcpv4.MessageTypeOffer && kind != dhcpv4.MessageTypeAck && kind != dhcpv4.MessageTypeNak {
		return Offer{}, false
	}

	server, named := m.Addr(message.OptServerID)
	if !named {
		server = src
	}

	class := m.Text(message.OptVendorClass)
	speaksPXE := strings.HasPrefix(class, "PXEClient") || strings.HasPrefix(class, "HTTPClient")

	return Offer{
		Proxy:  kind == dhcpv4.MessageTypeOffer && m.YIAddr.IsUnspecified() && speaksPXE,
		Server: server, MAC: core.MAC(from.String()), To: core.MAC(net.HardwareAddr(m.MAC[:]).String()),
		Kind: kind, Addr: m.YIAddr, File: text(m.File), Boot: m.SIAddr, Appliance: m.Fellow(), Firm: class == message.ClassProxy,
	}, true
}

// question reads what an appliance asks that is about to serve.
func question(m *message.Message, kind dhcpv4.MessageType, from net.HardwareAddr) (offer Offer, ok bool) {
	if m.Op != 1 || kind != dhcpv4.MessageTypeDiscover || m.Text(message.OptVendorClass) != message.ClassAppliance {
		return Offer{}, false
	}

	card := from
	if id := m.Option(message.OptClientID); len(id) == 7 && iana.HWType(id[0]) == iana.HWTypeEthernet {
		card = id[1:]
	}

	return Offer{MAC: core.MAC(card.String()), To: core.MAC(net.HardwareAddr(m.MAC[:]).String()), Kind: kind, Appliance: true}, true
}

// unwrap takes the payload out of an IPv4 packet from UDP port 67 to port 68, or the other
// way round.
func unwrap(b []byte) (payload []byte, src netip.Addr, asks, ok bool) {
	if len(b) < ipLen || b[0]>>4 != 4 || b[9] != protoUDP || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return nil, src, false, false
	}

	head := int(b[0]&15) * 4
	if head < ipLen || len(b) < head+udpLen {
		return nil, src, false, false
	}

	udp := b[head:]
	ports := binary.BigEndian.Uint32(udp)

	if ports != fromServer && ports != fromClient {
		return nil, src, false, false
	}

	return udp[udpLen:], netip.AddrFrom4([4]byte(b[12:16])), ports == fromClient, true
}

// text is a field up to its first NUL, as far as it may be shown.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}

		if c < ' ' || c > '~' {
			return ""
		}
	}

	return string(b)
}
