package netboot

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/netboot/nic"
	"vetting/netboot/rogue"
	"vetting/netboot/tftp"
)

// SearchWith makes s search with another's search, and ask after addresses with
// probe.
func (s *Server) SearchWith(search func() []rogue.Offer, probe func(addr netip.Addr)) {
	s.searcher = searchFunc(search)
	s.probe = probe
}

type searchFunc func() []rogue.Offer

func (f searchFunc) Search(context.Context, *net.Interface, time.Duration) ([]rogue.Offer, error) {
	return f(), nil
}

func (f searchFunc) Claim(context.Context, *net.Interface, time.Duration) ([]rogue.Offer, error) {
	return f(), nil
}

func (f searchFunc) Reclaim(context.Context, *net.Interface, time.Duration) ([]rogue.Offer, error) {
	return append(f(), rogue.Offer{Server: netip.IPv4Unspecified()}), nil
}

// Reclaims reports whether s, now that it has served if served says so, asks as one that has.
func (s *Server) Reclaims(ctx context.Context, served bool) bool {
	if served {
		s.opened.Do(func() { close(s.ready) })
	}

	found, _ := s.claim(ctx, ownCard())

	return len(found) > 0
}

// Seek searches for other servers as a session does.
func (s *Server) Seek(ctx context.Context) error { return s.seek(ctx, ownCard()) }

// Overhear is told what another server says, as a session's watch is.
func (s *Server) Overhear(o rogue.Offer) { s.watched(ownCard(), o) }

// ownCard is that of the tests.
func ownCard() *net.Interface {
	return &net.Interface{HardwareAddr: net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 5}}
}

// Greeted is told that another appliance asked.
func (s *Server) Greeted(card core.MAC) { s.fellow(card) }

// HearARP is told that mac answers under addr.
func (s *Server) HearARP(addr netip.Addr, mac core.MAC) {
	s.heard(&net.Interface{HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, addr, mac, time.Now())
}

// Silent reports whether other servers keep s silent, and names them.
func (s *Server) Silent() (bool, string) { return s.rivals.silent.Load(), s.rivals.list() }

// Settle makes s believe that it serves on the loopback device.
func (s *Server) Settle() error {
	card, err := nic.Find("lo")
	if err != nil {
		return err
	}

	carrier, err := nic.CarrierOf(card.Index)
	s.place.Store(&place{card: card, carrier: carrier})

	return err
}

// AnswerDHCP is what port 67 says to a packet; nil for nothing.
func (s *Server) AnswerDHCP(packet []byte, now time.Time) []byte {
	return s.dhcp.Answer(packet, nil, now).Reply
}

// AnswerHTTP answers a boot HTTP request.
func (s *Server) AnswerHTTP(ctx context.Context, c *fasthttp.RequestCtx) { s.http.Answer(ctx, c) }

// Load reads the leases.
func (s *Server) Load(ctx context.Context) error { return s.dhcp.Load(ctx) }

// ServeTFTP answers what arrives on conn; transfers go over what dial opens.
func (s *Server) ServeTFTP(ctx context.Context, conn tftp.Socket, dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)) error {
	return tftp.New(tftp.Config{
		Self: s.cfg.Prefix.Addr(), Lookup: s.loader, Dial: dial, Witness: s.cfg.Witness, Log: s.cfg.Log,
	}).Serve(ctx, conn)
}

// ServeHTTP answers boot HTTP on a listener.
func (s *Server) ServeHTTP(ctx context.Context, ln net.Listener) error { return s.http.Serve(ctx, ln) }

// LookupTFTP finds a file for the machine at addr, and has it begun.
func (s *Server) LookupTFTP(ctx context.Context, addr netip.Addr, name string) (content []byte, known bool, err error) {
	file, _, known := s.loader(addr, name)
	if file == nil {
		return nil, known, nil
	}

	if file.Begin != nil {
		if err := file.Begin(ctx); err != nil {
			return nil, known, err
		}
	}

	content, err = io.ReadAll(io.NewSectionReader(file.Content, 0, file.Size))

	return content, known, err
}

// Held reports whether a look at the cable, of so long ago, stands for a look now, at the
// same place or at the one of another session.
func Held(ago time.Duration, same bool) bool {
	now, here := time.Now(), &place{}

	at := here
	if !same {
		at = &place{}
	}

	last := &look{at: here, until: now.Add(lookHolds - ago)}

	return last.holds(at, now)
}

// HeldByNone reports whether no look at all stands for one.
func HeldByNone() bool { return (*look)(nil).holds(&place{}, time.Now()) }
