package dhcp

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp/message"
	"vetting/netboot/pace"
)

// Server answers DHCP on one network card. Make it with New, give it its old
// leases with Load, then Serve. Safe for concurrent use.
type Server struct {
	cfg      Config
	selfText string // our address
	networks []*network
	strange  *strangers
	peers    *peers
	outrank  atomic.Bool
	count    counters
	came     tally
	broken   pace.Limiter
	greeted  pace.Limiter

	exchanges sync.Pool // of *exchange, 6 KiB each
}

type counters struct {
	received, answered, malformed, ignored, failed, dropped, quiet atomic.Uint64
}

// Counters returns how many packets were received, answered, malformed, ignored
// (strangers), failed (our fault), dropped (too many) and left unanswered while we
// had to be quiet, since the start.
func (s *Server) Counters() map[string]uint64 {
	return map[string]uint64{
		"received": s.count.received.Load(), "answered": s.count.answered.Load(),
		"malformed": s.count.malformed.Load(), "ignored": s.count.ignored.Load(),
		"failed": s.count.failed.Load(), "dropped": s.count.dropped.Load(),
		"quiet": s.count.quiet.Load(),
	}
}

// New checks cfg and returns a Server that does nothing yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	if cfg.Mode != Authoritative {
		cfg.Pool, cfg.Relayed, cfg.Reserved = DefaultPool(cfg.Prefix), nil, nil
	}

	if cfg.LeaseTime == 0 {
		cfg.LeaseTime = defaultLease
	}

	if cfg.Rate == 0 {
		cfg.Rate = defaultRate
	}

	if cfg.Quiet == nil {
		cfg.Quiet = func() bool { return false }
	}

	if cfg.Rival == nil {
		cfg.Rival = func(netip.Addr, core.MAC) {}
	}

	return &Server{
		cfg: cfg, selfText: cfg.Prefix.Addr().String(), networks: networks(cfg), strange: newStrangers(), peers: newPeers(),
		exchanges: sync.Pool{New: func() any { return new(exchange) }},
	}, nil
}

// Load reads the leases of an earlier life.
func (s *Server) Load(ctx context.Context) error {
	leases, err := s.cfg.Leases.Leases(ctx)
	if err != nil {
		return fmt.Errorf("reading leases: %w", err)
	}

	for _, n := range s.networks {
		n.table.load(leases)
	}

	return nil
}

// Holder returns the client that has a lease on addr, as it last introduced
// itself; where another gives the addresses, the one that was seen with it. TFTP
// and HTTP serve nobody else.
func (s *Server) Holder(addr netip.Addr) (core.BootClient, bool) {
	if s.cfg.Mode != Authoritative {
		return s.peer(addr)
	}

	client, expires, ok := s.leased(addr)
	if !ok || s.cfg.Neighbour == nil || time.Now().Before(expires) {
		return client, ok
	}

	// A boot program that waits long may outlive its lease, which none of them renews. But
	// the address may be somebody else's by now: the kernel knows to whom it answers.
	if mac, found := s.cfg.Neighbour(addr); found && mac != client.MAC {
		return core.BootClient{}, false
	}

	return client, true
}

// leased returns whose lease an address is, or was until expires.
func (s *Server) leased(addr netip.Addr) (client core.BootClient, expires time.Time, ok bool) {
	n := s.at(addr)
	if n == nil {
		return client, expires, false
	}

	return n.table.holder(addr)
}

// Answer is what the server does about one packet. It is free of I/O but for
// Witness and Prober.
type Answer struct {
	Reply []byte         // nil: no answer
	To    netip.AddrPort // where the reply goes
	Lease *core.Lease    // to be on stable storage before the reply is sent
}

// Answer reads a packet and says what to do about it. It appends the reply to
// buf[:0]. It does not panic, whatever the packet.
func (s *Server) Answer(packet, buf []byte, now time.Time) Answer {
	return s.answer(packet, buf, now, s.cfg.Quiet())
}

func (s *Server) answer(packet, buf []byte, now time.Time, quiet bool) Answer {
	return s.guarded(packet, now, quiet, func(x *exchange) Answer { return s.talk(x, packet, buf) })
}

// What is wrong with a message that can be read.
var (
	errNoRequest = errors.New("not a request of a DHCP client")
	errType      = errors.New("a message type that no client sends")
)

// malformed takes down that a packet was dropped.
func (s *Server) malformed(packet []byte, now time.Time, err error) {
	s.count.malformed.Add(1)

	if s.broken.Allow(now) {
		s.cfg.Log.Warn("dropping a malformed dhcp packet", slog.String("code", "netboot/dhcp-malformed"),
			slog.String("error", err.Error()), slog.String("hex", hex.EncodeToString(packet[:min(len(packet), 320)])))
	}
}

// exchange is one packet on its way to an answer.
type exchange struct {
	msg      message.Message
	kind     dhcpv4.MessageType
	client   client
	decision core.BootDecision
	now      time.Time
	detail   string
	came     result
	quiet    bool
	fellow   bool     // sent by another appliance, to us
	net      *network // that the sender is on
	server   [4]byte  // option 54 of the reply
	options  [18]message.Option
	room     [16]byte
}

// talk answers a machine that we know, unless it speaks to another server or we
// have to be quiet.
func (s *Server) talk(x *exchange, packet, buf []byte) Answer {
	known := s.admit(x, packet)
	if x.fellow {
		return s.greet(x, buf)
	}

	chosen := s.rival(x)

	switch {
	case !known:
		return Answer{}
	case s.cfg.Mode != Authoritative && !x.quiet:
		s.restarted(x)

		return s.overhear(x, buf)
	case chosen.IsValid():
		s.foreign(x, chosen)

		return Answer{}
	case x.quiet:
		s.hush(x)

		return Answer{}
	default:
		s.restarted(x)

		return s.sort(x, packet, buf)
	}
}

// restarted tells of a machine that was switched on, or goes on to its next program.
func (s *Server) restarted(x *exchange) {
	if x.kind != dhcpv4.MessageTypeDiscover || !x.client.Addr.IsValid() || s.cfg.Restarted == nil {
		return
	}

	switch x.client.Kind {
	case core.ClientBIOS, core.ClientUEFI, core.ClientHTTP, core.ClientIPXE:
		s.cfg.Restarted(x.client.Addr)
	case core.ClientAgent, core.ClientOther: // a system may ask while its connections are in use
	}
}

// admit reads who has sent the packet. It reports whether that is a machine that
// may be answered; strangers are taken down.
func (s *Server) admit(x *exchange, packet []byte) bool {
	const request = 1

	// It held another packet before.
	x.kind, x.client, x.fellow = dhcpv4.MessageTypeNone, client{}, false

	kind, ok := x.msg.Byte(message.OptMessageType)
	if x.msg.Op != request || !ok {
		x.came = malformed
		s.malformed(packet, x.now, errNoRequest)

		return false
	}

	x.kind = dhcpv4.MessageType(kind)

	if x.net = s.networkOf(&x.msg, x.kind); x.net == nil {
		x.kind, x.came = dhcpv4.MessageTypeNone, ignored
		s.unknownRelay(&x.msg)

		return false
	}

	if x.fellow = x.msg.Fellow(); x.fellow {
		return false
	}

	x.client = recognise(&x.msg, macText(x.msg.MAC))
	x.client.Addr = s.known(x)
	x.decision = s.cfg.Booter.Decide(x.client.BootClient)

	if x.decision.Action == core.BootIgnore {
		x.came = ignored
		s.count.ignored.Add(1)
		s.sighted(x)

		return false
	}

	if s.cfg.Rate > 0 && !s.strange.allow(x.msg.MAC, s.cfg.Rate, x.now) {
		x.came = dropped
		s.count.dropped.Add(1)

		return false
	}

	return true
}

// hush takes down that a machine is not answered because of another server.
func (s *Server) hush(x *exchange) {
	x.came = quieted
	s.count.quiet.Add(1)
	s.step(x.now, "quiet", x.client.BootClient, x.kind.String()+" not answered, because another DHCP server is on this network", netip.Addr{})
}

// rival returns the other server that a REQUEST is for; invalid when it is for
// us, or for any. One that came through a relay is about the relay's network.
func (s *Server) rival(x *exchange) netip.Addr {
	server, named := x.msg.Addr(message.OptServerID)
	if s.cfg.Mode != Authoritative || !named || x.kind != dhcpv4.MessageTypeRequest || server == netip.AddrFrom4([4]byte(s.serverID(x))) || server == s.cfg.Prefix.Addr() {
		return netip.Addr{}
	}

	if x.msg.GIAddr == netip.IPv4Unspecified() {
		s.cfg.Rival(server, x.client.MAC)
	}

	return server
}

func (s *Server) known(x *exchange) netip.Addr {
	if s.cfg.Mode != Authoritative {
		return s.peers.addrOf(x.client.MAC)
	}

	addr, _ := x.net.table.addrOf(x.msg.MAC, x.now)

	return addr
}

// unknownRelay takes down that a packet came through a relay that is not ours.
func (s *Server) unknownRelay(m *message.Message) {
	s.count.ignored.Add(1)
	s.cfg.Log.Debug("ignoring a relayed dhcp packet", slog.String("code", "netboot/dhcp-relay"),
		slog.String("relay", m.GIAddr.String()), slog.String("host", string(macText(m.MAC))))
}

// sort sends each type of message to its rule (RFC 2131 §4.3).
func (s *Server) sort(x *exchange, packet, buf []byte) Answer {
	switch x.kind { //nolint:exhaustive // the other types are answers of servers
	case dhcpv4.MessageTypeDiscover:
		return s.discover(x, buf)
	case dhcpv4.MessageTypeRequest:
		return s.request(x, buf)
	case dhcpv4.MessageTypeInform:
		return s.inform(x, buf)
	case dhcpv4.MessageTypeDecline:
		s.decline(x)
	case dhcpv4.MessageTypeRelease:
		if x.net.table.release(x.msg.MAC, x.msg.CIAddr, x.now) {
			s.witness(x, "release", x.msg.CIAddr)
		}
	default:
		x.came = malformed
		s.malformed(packet, x.now, errType)
	}

	return Answer{}
}

func (s *Server) discover(x *exchange, buf []byte) Answer {
	wish, _ := x.msg.Addr(message.OptRequestedAddr)

	s.witness(x, "discover", netip.Addr{})

	addr, ok := x.net.table.offer(x.msg.MAC, wish, x.now)
	if !ok {
		s.cfg.Log.Error("the address pool is used up", slog.String("code", "netboot/pool-empty"), slog.String("host", string(x.client.MAC)))
		s.step(x.now, "pool-empty", x.client.BootClient, "no address is free for this machine; enlarge the pool", netip.Addr{})

		return Answer{}
	}

	x.net.table.note(x.msg.MAC, x.client)

	if s.cfg.Prober != nil && !x.net.relayed && x.net.table.probeSticky(x.msg.MAC, x.now) {
		s.cfg.Prober.Probe(addr)
	}

	answer := s.reply(x, buf, dhcpv4.MessageTypeOffer, addr)
	s.witness(x, "offer", addr)

	return answer
}

// request tells apart the four situations of RFC 2131 §4.3.2: choosing an offer
// (option 54), coming back (option 50 only), renewing and rebinding (ciaddr).
func (s *Server) request(x *exchange, buf []byte) Answer {
	wish, wishes := x.msg.Addr(message.OptRequestedAddr)

	if !wishes {
		wish = x.msg.CIAddr
	}

	addr, ok := x.net.table.addrOf(x.msg.MAC, x.now)
	if !ok && x.net.table.claim(x.msg.MAC, wish, x.now) {
		addr, ok = wish, true
	}

	if !ok || addr != wish {
		return s.refuse(x, buf, wish)
	}

	lease := x.net.table.grant(x.msg.MAC, addr, x.now, x.now.Add(s.cfg.LeaseTime))
	x.net.table.note(x.msg.MAC, x.client)
	s.witness(x, "request", addr)

	answer := s.reply(x, buf, dhcpv4.MessageTypeAck, addr)
	answer.Lease = &lease

	return answer
}

// acknowledged takes down that an ACK has left.
func (s *Server) acknowledged(lease core.Lease, now time.Time) {
	client, _, _ := s.leased(lease.Addr)
	s.step(now, "ack", client, "", lease.Addr)
}

// inform answers a machine that has an address already with the options alone.
func (s *Server) inform(x *exchange, buf []byte) Answer {
	if !x.net.prefix.Contains(x.msg.CIAddr) {
		return Answer{}
	}

	s.witness(x, "inform", x.msg.CIAddr)

	return s.reply(x, buf, dhcpv4.MessageTypeInform, netip.IPv4Unspecified())
}

func (s *Server) decline(x *exchange) {
	addr, ok := x.msg.Addr(message.OptRequestedAddr)
	if !ok || !x.net.table.decline(x.msg.MAC, addr, x.now) {
		return
	}

	s.cfg.Log.Warn("a machine says its address is in use by another", slog.String("code", "netboot/address-conflict"),
		slog.String("host", string(x.client.MAC)), slog.String("address", addr.String()))
	s.witness(x, "decline", addr)

	if s.cfg.Prober != nil && !x.net.relayed {
		s.cfg.Prober.Probe(addr)
	}
}

// foreign takes down that a machine chose another server's offer.
func (s *Server) foreign(x *exchange, server netip.Addr) {
	s.cfg.Log.Warn("another dhcp server was chosen", slog.String("code", "netboot/rogue-dhcp"),
		slog.String("host", string(x.client.MAC)), slog.String("server", server.String()))
	s.step(x.now, "rogue", x.client.BootClient, "the machine chose the DHCP server "+server.String()+" instead of us", server)
}

// Heard takes an ARP message into account: mac speaks of addr as its own.
func (s *Server) Heard(addr netip.Addr, mac core.MAC, now time.Time) {
	if s.cfg.Mode != Authoritative {
		s.Learn(mac, addr)

		return
	}

	hw, ok := macBytes(mac)
	if !ok {
		return
	}

	owner, dispute := s.networks[0].table.heard(addr, hw, now)
	if !dispute {
		return
	}

	s.cfg.Log.Warn("an address of the pool is in use by another machine", slog.String("code", "netboot/address-conflict"),
		slog.String("address", addr.String()), slog.String("host", string(owner)), slog.String("user", string(mac)))
	s.step(now, "conflict", core.BootClient{MAC: owner, Kind: core.ClientOther, Arch: -1}, addr.String()+" is in use by "+string(mac), addr)
}

func (s *Server) witness(x *exchange, kind string, addr netip.Addr) {
	s.step(x.now, kind, x.client.BootClient, x.detail, addr)
}

func (s *Server) step(now time.Time, kind string, c core.BootClient, detail string, addr netip.Addr) {
	s.cfg.Witness.Witness(core.BootStep{Time: now, MAC: c.MAC, Kind: kind, Detail: detail, Addr: addr, Client: c})
}
