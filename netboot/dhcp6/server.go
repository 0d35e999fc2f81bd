package dhcp6

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/ipv6"

	"vetting/core"
	"vetting/netboot/nic"
	"vetting/netboot/pace"
)

const (
	port     = 547
	lifetime = 12 * time.Hour
	mostSize = 1500
)

// Config is all a Server needs.
type Config struct {
	Card   *net.Interface
	Self   netip.Addr   // our link-local address, where the boot program is fetched from
	Prefix netip.Prefix // of 64 bits, that machines get addresses in

	// Boot names the file for a client; known is false for machines that are not answered.
	Boot    func(client core.BootClient) (file string, known bool)
	Quiet   func() bool // nobody may be answered now
	Witness func(step core.BootStep)
	Log     *slog.Logger
}

// Server answers the PXE clients of registered machines. Safe for concurrent use.
type Server struct {
	cfg    Config
	duid   []byte
	broken pace.Limiter
}

// New returns a Server that does nothing yet.
func New(cfg Config) *Server {
	var mac [6]byte

	copy(mac[:], cfg.Card.HardwareAddr)

	return &Server{cfg: cfg, duid: own(mac)}
}

// Listen opens the socket and joins all DHCP agents' group (ff02::1:2).
func (s *Server) Listen(ctx context.Context) (*net.UDPConn, error) {
	conn, err := nic.ListenUDP6(ctx, s.cfg.Card.Name, port)
	if err != nil {
		return nil, err
	}

	group := &net.UDPAddr{IP: net.ParseIP("ff02::1:2")}
	if err := ipv6.NewPacketConn(conn).JoinGroup(s.cfg.Card, group); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for DHCPv6 on %s: %w", s.cfg.Card.Name, err), conn.Close())
	}

	return conn, nil
}

// Serve answers what arrives on conn until ctx ends, and closes conn.
func (s *Server) Serve(ctx context.Context, conn *net.UDPConn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	in, out := make([]byte, mostSize), make([]byte, 0, mostSize)

	for {
		n, from, err := conn.ReadFromUDPAddrPort(in)
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return fmt.Errorf("reading dhcpv6 packets: %w", err)
		}

		if reply := s.Answer(in[:n], out, from.Addr(), time.Now()); reply != nil {
			_, _ = conn.WriteToUDPAddrPort(reply, from) // the client asks again
		}
	}
}

// Answer says what to reply to a packet; nil for nothing. It appends to buf[:0]. It does not
// panic, whatever the packet.
func (s *Server) Answer(packet, buf []byte, from netip.Addr, now time.Time) (reply []byte) {
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Log.Error("a dhcpv6 packet could not be handled", slog.String("code", "netboot/dhcp-packet"),
				slog.Any("panic", r), slog.String("hex", hex.EncodeToString(packet[:min(len(packet), 600)])))

			reply = nil
		}
	}()

	m, err := parse(packet)
	if err != nil {
		if s.broken.Allow(now) {
			s.cfg.Log.Warn("dropping a malformed dhcpv6 packet", slog.String("code", "netboot/dhcp-malformed"),
				slog.String("error", err.Error()), slog.String("hex", hex.EncodeToString(packet[:min(len(packet), 320)])))
		}

		return nil
	}

	kind, ok := s.answers(&m)
	if !ok || !from.IsLinkLocalUnicast() || s.cfg.Quiet() {
		return nil
	}

	mac, ok := s.asker(&m, from)
	if !ok {
		return nil
	}

	client := core.BootClient{MAC: core.MAC(net.HardwareAddr(mac[:]).String()), Kind: core.ClientUEFI, Arch: m.arch, Vendor: vendor(m.class), Addr: withMAC(s.cfg.Prefix, mac)}

	file, known := s.cfg.Boot(client)
	if !known {
		return nil
	}

	s.cfg.Witness(core.BootStep{Time: now, MAC: client.MAC, Kind: "dhcp6", Detail: step(m.kind) + " answered: " + file, Addr: client.Addr, Client: client})

	return s.write(buf[:0], &m, kind, client.Addr, file)
}

// answers says with which type of message one is answered, if at all: only what PXE clients
// say, and what is for us or for every server.
func (s *Server) answers(m *message) (kind byte, ok bool) {
	mine := m.server != nil && bytes.Equal(m.server, s.duid)

	if m.server != nil && !mine || !strings.HasPrefix(vendor(m.class), "PXEClient") {
		return 0, false
	}

	switch m.kind {
	case typeSolicit:
		if m.rapid {
			return typeReply, m.server == nil
		}

		return typeAdvertise, m.server == nil
	case typeRequest, typeRenew, typeRelease, typeDecline:
		return typeReply, mine
	case typeConfirm, typeRebind, typeInformation:
		return typeReply, true
	default:
		return 0, false
	}
}

// asker is the MAC of who asks: that of the address it speaks from, else that of its DUID.
func (s *Server) asker(m *message, from netip.Addr) (mac [6]byte, ok bool) {
	if mac, ok = addrMAC(from); ok {
		return mac, true
	}

	return duidMAC(m.client)
}

// vendor is the text of a vendor class (RFC 8415 §21.16: enterprise number, then texts
// with their lengths), as far as it may be shown.
func vendor(class []byte) string {
	const limit = 64

	if len(class) < 6 {
		return ""
	}

	text := class[6:]
	text = text[:min(len(text), int(binary.BigEndian.Uint16(class[4:])), limit)]

	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}

		return r
	}, string(text))
}

func step(kind byte) string {
	names := map[byte]string{
		typeSolicit: "SOLICIT", typeRequest: "REQUEST", typeConfirm: "CONFIRM", typeRenew: "RENEW", typeRebind: "REBIND",
		typeRelease: "RELEASE", typeDecline: "DECLINE", typeInformation: "INFORMATION-REQUEST",
	}

	return names[kind]
}

// write appends the answer to b.
func (s *Server) write(b []byte, m *message, kind byte, addr netip.Addr, file string) []byte {
	b = append(append(b, kind), m.xid[:]...)
	b = option(b, optClientID, m.client...)
	b = option(b, optServerID, s.duid...)

	switch m.kind {
	case typeRelease, typeDecline, typeConfirm:
		return option(b, optStatus, 0, 0) // success: the address follows from the MAC, and is its own again
	}

	if kind == typeAdvertise {
		b = option(b, optPreference, 255) // no need to wait for other servers
	}

	if kind == typeReply && m.kind == typeSolicit {
		b = option(b, optRapidCommit)
	}

	if m.ia != nil {
		b = option(b, optIANA, association(m.ia, addr)...)
	}

	return option(b, optBootFileURL, []byte("tftp://["+s.cfg.Self.WithZone("").String()+"]/"+file)...)
}

// association is an IA_NA with an address (RFC 8415 §21.4 and §21.6).
func association(id []byte, addr netip.Addr) []byte {
	seconds := func(d time.Duration) uint32 { return uint32(d / time.Second) } //nolint:gosec // half a day

	b := append([]byte(nil), id...)
	b = binary.BigEndian.AppendUint32(b, seconds(lifetime/2))
	b = binary.BigEndian.AppendUint32(b, seconds(lifetime*4/5))

	inner := addr.AsSlice()
	inner = binary.BigEndian.AppendUint32(inner, seconds(lifetime))
	inner = binary.BigEndian.AppendUint32(inner, seconds(lifetime))

	return option(b, optAddress, inner...)
}

// Holder returns the MAC of who may have an address: one of the network's or a link-local
// one, that is made of it.
func (s *Server) Holder(addr netip.Addr) (core.MAC, bool) {
	if !addr.IsLinkLocalUnicast() && !s.cfg.Prefix.Contains(addr.WithZone("")) {
		return "", false
	}

	mac, ok := addrMAC(addr)

	return core.MAC(net.HardwareAddr(mac[:]).String()), ok
}

// Network is the network that a card's machines get addresses in: a unique local one
// (RFC 4193) that follows from the card's MAC, so that it is the same in every life.
func Network(card net.HardwareAddr) netip.Prefix {
	b := [16]byte{0: 0xfd}
	copy(b[1:], card)

	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}
