package netboot

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/rogue"
)

const (
	// A switch with spanning tree forwards nothing for the first 30 s after a
	// cable is plugged in (802.1D: listening and learning, 15 s each), so that the
	// search before we serve is deaf there. It is repeated when they are over.
	forwarding = 31 * time.Second
	searchRest = 5 * time.Minute  // between two searches, while all is well
	searchSoon = 30 * time.Second // likewise, while another server is known
	peace      = 70 * time.Second // without a sign of it, another server counts as gone: two searches
	maxRivals  = 64
)

// rivals are the other DHCP servers on the wire. While there is one we are
// silent. Safe for concurrent use.
type rivals struct {
	silent atomic.Bool

	mu    sync.Mutex // guards known and their fields
	known map[netip.Addr]*rival
}

// rival is one of them.
type rival struct {
	offer   rogue.Offer // the last it said
	answers bool        // it answers when we ask; else it was only overheard
	sign    time.Time   // when something of it was last heard
	alive   time.Time   // when its address last answered to ARP
}

// heard takes note of a server, and returns true when it was not known.
// asked says that it has answered us, and not only another machine.
func (r *rivals) heard(o rogue.Offer, asked bool, now time.Time) (fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()

	known := r.known[o.Server]
	if known == nil {
		if r.known == nil {
			r.known = map[netip.Addr]*rival{}
		}

		// A flood of made-up servers is as good a reason for silence as one of them.
		if len(r.known) >= maxRivals {
			return false
		}

		known = &rival{}
		r.known[o.Server] = known
		fresh = true
	}

	if o.MAC == "" {
		o.MAC = known.offer.MAC
	}

	known.offer, known.sign, known.answers = o, now, known.answers || asked
	r.silent.Store(true)

	return fresh
}

// answered takes note that somebody has answered to ARP under addr.
func (r *rivals) answered(addr netip.Addr, now time.Time) {
	if !r.silent.Load() {
		return
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if known := r.known[addr]; known != nil {
		known.alive = now
	}
}

// addresses lists those whose machine must be gone before we believe that the
// server is: they do not answer us, so that their silence tells nothing.
func (r *rivals) addresses() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()

	var list []netip.Addr

	for addr, known := range r.known {
		if !known.answers {
			list = append(list, addr)
		}
	}

	return list
}

// forget takes a server for none that keeps us silent, unless another is known by its address.
func (r *rivals) forget(o rogue.Offer) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if known := r.known[o.Server]; known != nil && (known.offer.MAC == "" || known.offer.MAC == o.MAC) {
		delete(r.known, o.Server)
	}

	r.silent.Store(len(r.known) > 0)
}

// review forgets the servers that are gone, and returns them.
func (r *rivals) review(now time.Time) (gone []rogue.Offer) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for addr, known := range r.known {
		last := known.sign
		if !known.answers && known.alive.After(last) {
			last = known.alive
		}

		if now.Sub(last) >= peace {
			gone = append(gone, known.offer)
			delete(r.known, addr)
		}
	}

	r.silent.Store(len(r.known) > 0)
	slices.SortFunc(gone, func(a, b rogue.Offer) int { return a.Server.Compare(b.Server) })

	return gone
}

// list names those known, for a person.
func (r *rivals) list() string {
	r.mu.Lock()
	defer r.mu.Unlock()

	all := make([]rogue.Offer, 0, len(r.known))
	for _, known := range r.known {
		all = append(all, known.offer)
	}

	slices.SortFunc(all, func(a, b rogue.Offer) int { return a.Server.Compare(b.Server) })

	return rogue.Describe(all)
}

// watched takes note of what another DHCP server says on the card.
func (s *Server) watched(card *net.Interface, o rogue.Offer) {
	if s.cfg.Mode == ModeDHCP && yields(card, o) {
		s.unmoved(o, time.Now())

		return
	}

	s.overheard(o)
}

// yields reports whether o is an appliance that falls silent when it finds us. Two may both
// have begun, each deaf to the other: a switch with spanning tree gave their cards a link at
// the same time. Each knows both cards' MACs, and the one with the lower goes on. A proxy
// falls silent for nobody.
func yields(card *net.Interface, o rogue.Offer) bool {
	return o.Appliance && !o.Firm && core.MAC(card.HardwareAddr.String()) < o.MAC
}

// unmoved goes on beside an appliance that yields, and says so. Until it was asked it may
// have been taken for any DHCP server.
func (s *Server) unmoved(o rogue.Offer, now time.Time) {
	s.rivals.forget(o)

	if !s.alarm.due("yields", now) || !s.yielding.due(o.MAC, now) {
		return
	}

	s.cfg.Log.Warn("another appliance serves on the test network, too, and is to fall silent",
		slog.String("code", "netboot/other-appliance"), slog.String("server", o.Server.String()), slog.String("server_mac", string(o.MAC)))
	s.alert("appliance", "netboot/other-appliance", fmt.Sprintf("On %s there is %s, which began at the same time. This one goes on, and the other falls silent.", s.cfg.Interface, o))
}

// overheard takes note of another DHCP server at work: at once we are silent, or,
// where we are its proxy, learn whose address is whose.
func (s *Server) overheard(o rogue.Offer) {
	if s.cfg.Mode != ModeDHCP {
		if o.Kind == dhcpv4.MessageTypeAck {
			s.dhcp.Learn(o.To, o.Addr)
		}

		return
	}

	if len(s.outrank([]rogue.Offer{o})) == 0 {
		return
	}

	now := time.Now()
	s.rival(o, false, now)

	if o.To != "" && s.alarm.due(string(o.To)+o.Server.String(), now) {
		s.cfg.Witness.Witness(core.BootStep{
			Time: now, MAC: o.To, Kind: "rogue", Addr: o.Server, Detail: "the DHCP server " + o.String() + " answered this machine",
		})
	}
}

// outrank leaves out of what was found the servers that only say what to load:
// they break no machine's network, and our offers are made to come before theirs.
func (s *Server) outrank(found []rogue.Offer) (servers []rogue.Offer) {
	for _, o := range found {
		if !o.Proxy {
			servers = append(servers, o)

			continue
		}

		s.dhcp.Outrank(true)

		if s.alarm.due("proxy", time.Now()) {
			s.cfg.Log.Warn("another server tells machines what to load", slog.String("code", "netboot/other-proxy"),
				slog.String("server", o.Server.String()), slog.String("server_mac", string(o.MAC)))
			s.alert("other-proxy", "netboot/other-proxy", fmt.Sprintf("The proxy %s on %s tells machines what to load, too.", o, s.cfg.Interface))
		}
	}

	return servers
}

// rival raises the alarm over a server that was not known.
func (s *Server) rival(o rogue.Offer, asked bool, now time.Time) {
	if !s.rivals.heard(o, asked, now) {
		return
	}

	// Whether it answers us, too, tells later whether it is gone; it may not be there for
	// the next search.
	if !asked {
		s.seekSoon()
	}

	s.cfg.Log.Error("another dhcp server is at work on the test network; offering nothing until it is gone",
		slog.String("code", "netboot/rogue-dhcp"), slog.String("server", o.Server.String()), slog.String("server_mac", string(o.MAC)),
		slog.String("host", string(o.To)))
	s.alert("rogue", "netboot/rogue-dhcp", fmt.Sprintf("The DHCP server %s is at work on %s. Nothing is offered until it is gone.", o, s.cfg.Interface))
}

// seekSoon has the network searched at once.
func (s *Server) seekSoon() {
	select {
	case s.sought <- struct{}{}:
	default: // it is about to be
	}
}

// seek searches for other servers while we serve: once a switch has had time to
// let us through, and then now and then.
func (s *Server) seek(ctx context.Context, card *net.Interface) error {
	if s.cfg.SearchTime < 0 || s.cfg.Mode != ModeDHCP {
		return nil
	}

	select {
	case <-s.sought: // in a session that has ended; this one is deaf as yet
	default:
	}

	for wait := forwarding; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-s.sought:
		case <-time.After(wait):
		}

		for _, addr := range s.rivals.addresses() {
			s.probe(addr)
		}

		found, err := s.searcher.Search(ctx, card, s.cfg.SearchTime)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to end
		}

		if err != nil {
			return err
		}

		now := time.Now()
		for _, o := range s.outrank(found) {
			if yields(card, o) {
				s.unmoved(o, now)
			} else {
				s.rival(o, true, now)
			}
		}

		s.reconcile(now)

		wait = searchRest
		if s.rivals.silent.Load() {
			wait = searchSoon
		}
	}
}

// reconcile ends our silence when all other servers are gone.
func (s *Server) reconcile(now time.Time) {
	gone := s.rivals.review(now)
	if len(gone) == 0 {
		return
	}

	then := "Others are still there: " + s.rivals.list() + "."
	if !s.rivals.silent.Load() {
		then = "Machines are answered again."
	}

	s.cfg.Log.Info("another dhcp server is gone", slog.String("code", "netboot/rogue-gone"), slog.String("server", rogue.Describe(gone)),
		slog.Bool("answering", !s.rivals.silent.Load()))
	s.alert("rogue-gone", "netboot/rogue-gone", fmt.Sprintf("The DHCP server %s is gone from %s. %s", rogue.Describe(gone), s.cfg.Interface, then))
}
