package dhcp

import (
	"net/netip"
	"path"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/dhcp/message"
)

// Beside another DHCP server we give no addresses: a proxy adds to that server's
// offer what to load (PXE 2.1 §2.2). Who has which address is learned from what
// passes by.

const (
	maxPeers = 4096
	// A machine that has taken the proxy's offer asks the boot server within
	// moments; one that comes again after this has dropped it.
	bootServerWait = 8 * time.Second
)

// bypass is option 43 for "do not look for boot servers, load what the header
// says": PXE discovery control 8 (PXE 2.1 table 2-1).
func bypass() []byte { return []byte{6, 1, 8, 255} }

// peer is a registered machine on a network where another gives the addresses.
type peer struct {
	client  core.BootClient
	stands  string    // what it is sent under a name that another server gave; empty: what is named
	offered time.Time // our last offer without discovery control
	bypass  bool      // it needs the other kind
}

// peers are the machines met as a proxy. Safe for concurrent use.
type peers struct {
	mu     sync.Mutex // guards all below
	byMAC  map[core.MAC]*peer
	byAddr map[netip.Addr]*peer
}

func newPeers() *peers {
	return &peers{byMAC: map[core.MAC]*peer{}, byAddr: map[netip.Addr]*peer{}}
}

// meet notes how a machine has introduced itself. p.mu is held.
func (p *peers) meet(c core.BootClient) *peer {
	known := p.byMAC[c.MAC]
	if known == nil {
		if len(p.byMAC) >= maxPeers {
			clear(p.byMAC)
			clear(p.byAddr)
		}

		known = &peer{}
		p.byMAC[c.MAC] = known
	}

	c.Addr = known.client.Addr
	known.client = c

	return known
}

// discovers notes that a machine asks for an offer, and returns whether that
// must have discovery control: UEFI before April 2017 drops offers that have it
// (edk2 #6944, Dell T430), later ones may do without the boot server. So it comes
// when the machine has not asked that server after the offer before.
func (p *peers) discovers(c core.BootClient, now time.Time) (withBypass bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	known := p.meet(c)
	if !known.offered.IsZero() && now.Sub(known.offered) >= bootServerWait {
		known.bypass = true
	}

	if known.offered.IsZero() {
		known.offered = now
	}

	return known.bypass
}

// stand notes what a machine is to be sent in this boot.
func (p *peers) stand(c core.BootClient, file string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.meet(c).stands = file
}

// satisfied notes that the machine has what it needs of us.
func (p *peers) satisfied(c core.BootClient) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.meet(c).offered = time.Time{}
}

// learn notes that a machine has an address.
func (p *peers) learn(mac core.MAC, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()

	known := p.byMAC[mac]
	if known == nil {
		known = p.meet(core.BootClient{MAC: mac, Kind: core.ClientOther, Arch: -1})
	}

	if other := p.byAddr[addr]; other != nil && other != known {
		other.client.Addr = netip.Addr{}
	}

	delete(p.byAddr, known.client.Addr)

	known.client.Addr = addr
	p.byAddr[addr] = known
}

// addrOf returns the address that a machine was seen with.
func (p *peers) addrOf(mac core.MAC) netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()

	if known := p.byMAC[mac]; known != nil {
		return known.client.Addr
	}

	return netip.Addr{}
}

// at returns who has an address.
func (p *peers) at(addr netip.Addr) (core.BootClient, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	known := p.byAddr[addr]
	if known == nil {
		return core.BootClient{}, false
	}

	return known.client, true
}

// peer returns who has an address. The first packet of a machine to us may be served
// before its ARP request was read, which the kernel had to answer for it to come; so the
// kernel is asked. It has the last word, too: what is answered goes to whom it knows
// there, who may have been given the address of a machine that is off.
func (s *Server) peer(addr netip.Addr) (core.BootClient, bool) {
	client, known := s.peers.at(addr)
	if s.cfg.Neighbour == nil {
		return client, known
	}

	mac, found := s.cfg.Neighbour(addr)
	if !found || known && mac == client.MAC {
		return client, known
	}

	s.Learn(mac, addr)

	if client, known = s.peers.at(addr); client.MAC != mac {
		return core.BootClient{}, false
	}

	return client, known
}

// Learn is told that a machine has an address: from ARP, or from what another
// server acknowledges. It matters to Proxy and Listen alone.
func (s *Server) Learn(mac core.MAC, addr netip.Addr) {
	if s.cfg.Mode == Authoritative || !s.cfg.Prefix.Contains(addr) {
		return
	}

	if s.cfg.Booter.Decide(core.BootClient{MAC: mac, Kind: core.ClientOther, Arch: -1, Addr: addr}).Action != core.BootIgnore {
		s.peers.learn(mac, addr)
	}
}

// overhear takes down what a machine that we know says to another server, and,
// as a proxy, answers a DISCOVER.
func (s *Server) overhear(x *exchange, buf []byte) Answer {
	if addr, ok := x.msg.Addr(message.OptRequestedAddr); ok && x.kind == dhcpv4.MessageTypeRequest {
		s.peers.learn(x.client.MAC, addr)
	} else if renews(&x.msg, x.kind) && s.cfg.Prefix.Contains(x.msg.CIAddr) {
		s.peers.learn(x.client.MAC, x.msg.CIAddr)
	}

	if x.kind != dhcpv4.MessageTypeDiscover {
		s.witness(x, "overheard", x.client.Addr)

		return Answer{}
	}

	s.witness(x, "discover", netip.Addr{})

	if s.cfg.Mode == Listen {
		s.stand(x)

		return Answer{}
	}

	return s.proxyOffer(x, buf)
}

// stand takes down what would be offered to a firmware that another server tells what to
// load. It is fixed here, for this boot, as by an offer.
func (s *Server) stand(x *exchange) {
	switch x.client.Kind {
	case core.ClientBIOS, core.ClientUEFI, core.ClientHTTP:
		x.detail = path.Base(s.boot(x).file)
		s.peers.stand(x.client.BootClient, x.detail)
		s.witness(x, "stand", netip.Addr{})
	case core.ClientIPXE, core.ClientAgent, core.ClientOther: // it runs something already
		s.peers.stand(x.client.BootClient, "")
	}
}

// Stands returns the file that a machine at an address is sent when it asks for one by a name.
// Where we only listen, another server has one name for all machines: that of the lowest rung
// stands for whichever program the machine starts.
func (s *Server) Stands(addr netip.Addr, name string) (file string) {
	if s.cfg.Mode != Listen || name != ladder.FileSNPOnly && name != ladder.FileUNDI {
		return name
	}

	s.peers.mu.Lock()
	defer s.peers.mu.Unlock()

	if known := s.peers.byAddr[addr]; known != nil && known.stands != "" {
		return known.stands
	}

	return name
}

// proxyOffer offers what to load, and no address.
func (s *Server) proxyOffer(x *exchange, buf []byte) Answer {
	withBypass := false

	switch x.client.Kind { //nolint:exhaustive // of the others it does not matter
	case core.ClientUEFI:
		withBypass = s.peers.discovers(x.client.BootClient, x.now)
	case core.ClientIPXE:
		// So the ROM before it took our offer.
		s.peers.satisfied(x.client.BootClient)
	}

	boot := s.boot(x)
	if boot.file == "" {
		return Answer{} // an operating system: nothing that we have
	}

	m := &x.msg
	x.detail = boot.file
	s.witness(x, "offer", netip.Addr{})

	list := s.bootOptions(x, dhcpv4.MessageTypeOffer, boot)

	if x.client.Kind == core.ClientBIOS || withBypass {
		list = append(list, message.Option{Code: message.OptVendorInfo, Value: bypass()})
	}

	r := message.Reply{
		XID: m.XID, Flags: m.Flags | message.Broadcast, SIAddr: s.cfg.Prefix.Addr(), MAC: m.MAC,
		SName: s.selfText, File: boot.file, Options: echo(list, m),
	}
	s.count.answered.Add(1)

	return Answer{Reply: r.Append(buf[:0], m.Room()), To: s.destination(x, dhcpv4.MessageTypeOffer)}
}

// bootOptions are the options of an answer that gives no address: who we are,
// that we speak PXE, and the boot file where the header is not enough.
func (s *Server) bootOptions(x *exchange, kind dhcpv4.MessageType, boot bootReply) []message.Option {
	class := boot.class
	if class == "" {
		class = "PXEClient"
	}

	x.room[0] = byte(kind)
	list := append(x.options[:0], message.Option{Code: message.OptMessageType, Value: x.room[:1]},
		message.Option{Code: message.OptServerID, Value: s.serverID(x)}, message.Option{Code: message.OptVendorClass, Value: []byte(class)})

	return append(list, bootFile(&x.msg, boot)...)
}

// Outrank says that another proxy is at work on our network: UEFI prefers our
// complete offer to its one only with discovery control in it (EDK2,
// PxeBcDhcp4.c: DhcpPxe10 comes before every proxy's offer).
func (s *Server) Outrank(yes bool) { s.outrank.Store(yes) }
