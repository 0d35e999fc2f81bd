package netboot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/arp"
	"vetting/netboot/httpboot"
	"vetting/netboot/nic"
	"vetting/netboot/ra"
	"vetting/netboot/rogue"
	"vetting/netboot/tftp"
)

// session serves on the card as it is now, until it or its cable changes.
func (s *Server) session(ctx context.Context) error {
	at, err := s.enter(ctx)
	if err != nil {
		return err
	}

	defer s.leave()

	// The sockets go with the session.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	services, err := s.open(ctx, at)
	if err != nil {
		return err
	}

	s.place.Store(&at)
	defer s.place.Store(nil)

	group, ctx := errgroup.WithContext(ctx)

	for _, service := range services {
		group.Go(func() error { return service(ctx) })
	}

	s.opened.Do(func() { close(s.ready) })
	s.cfg.Log.Info("boot services ready", slog.String("mode", s.cfg.Mode.String()), slog.String("interface", s.cfg.Interface), slog.String("address", s.cfg.Prefix.String()),
		slog.String("first", s.cfg.Pool.First.String()), slog.String("last", s.cfg.Pool.Last.String()))

	return group.Wait()
}

// quiet reports whether DHCP must answer nobody: another server is at work, or
// the cable was out since we searched for one. Safe for concurrent use.
func (s *Server) quiet() bool {
	at := s.place.Load()
	if at == nil || s.cfg.Mode == ModeDHCP && s.rivals.silent.Load() {
		return true
	}

	now := time.Now()
	if s.looked.Load().holds(at, now) {
		return false
	}

	if at.same() != nil {
		return true
	}

	s.looked.Store(&look{at: at, until: now.Add(lookHolds)})

	return false
}

// lookHolds is how long a look at the cable holds. Nobody puts it into another network in that
// time, nor does a card find a link again; a storm of machines has it looked at for every
// batch of packets otherwise, which took a tenth of the DHCP server's time.
const lookHolds = 5 * time.Millisecond

// look is the last look at a place that found it to be what it was.
type look struct {
	at    *place
	until time.Time
}

// holds reports whether the look was at this place, and not long ago; a nil one does not.
func (l *look) holds(at *place, now time.Time) bool {
	return l != nil && l.at == at && now.Before(l.until)
}

type service func(ctx context.Context) error

// open opens all sockets. Those opened are closed when ctx ends: each service
// closes its own, and before they run, AfterFunc does.
func (s *Server) open(ctx context.Context, at place) ([]service, error) {
	transfers := tftp.New(tftp.Config{
		Interface: s.cfg.Interface, Self: s.cfg.Prefix.Addr(), MTU: at.card.MTU - 4*nic.Tags(s.cfg.Interface),
		Lookup: s.loader, Witness: s.cfg.Witness, Log: s.cfg.Log, Busy: &s.busy,
	})

	dhcpConn, err := s.dhcp.Listen(ctx)
	if err != nil {
		return nil, err
	}

	context.AfterFunc(ctx, func() { _ = dhcpConn.Close() })

	tftpConn, err := transfers.Listen(ctx)
	if err != nil {
		return nil, err
	}

	context.AfterFunc(ctx, func() { _ = tftpConn.Close() })

	ln, err := s.http.Listen(ctx)
	if err != nil {
		return nil, err
	}

	context.AfterFunc(ctx, func() { _ = ln.Close() })

	neighbours, err := arp.Open(at.card)
	if err != nil {
		return nil, err
	}

	s.prober.conn.Store(neighbours)

	if err := neighbours.Announce(s.cfg.Prefix.Addr()); err != nil {
		return nil, errors.Join(err, neighbours.Close())
	}

	services := []service{
		func(ctx context.Context) error { return s.dhcp.Serve(ctx, dhcpConn) },
		func(ctx context.Context) error { return transfers.Serve(ctx, tftpConn) },
		func(ctx context.Context) error { return s.http.Serve(ctx, ln) },
		func(ctx context.Context) error {
			return neighbours.Run(ctx, func(a netip.Addr, mac core.MAC, now time.Time) { s.heard(at.card, a, mac, now) })
		},
		func(ctx context.Context) error {
			return rogue.Watch(ctx, at.card, func(o rogue.Offer) { s.watched(at.card, o) })
		},
		func(ctx context.Context) error { return s.seek(ctx, at.card) },
		func(ctx context.Context) error { return s.guard(ctx, at) },
		s.clear,
	}

	if services, err = s.addBootServer(ctx, services); err != nil {
		return nil, err
	}

	return s.addRouter(ctx, at.card, services)
}

// restarted has a machine's old connections ended.
func (s *Server) restarted(addr netip.Addr) {
	s.http.Forget(addr)

	select {
	case s.old <- addr:
	default: // a crowd; those left out have most likely none
	}
}

// clearEvery is the time between two looks through the kernel's connections, each of
// which costs milliseconds: a crowd that starts at once is looked after together. The
// programs that need it open their first connection long after.
const clearEvery = 200 * time.Millisecond

// clear ends the connections to boot HTTP that machines have left behind.
func (s *Server) clear(ctx context.Context) error {
	local := netip.AddrPortFrom(s.cfg.Prefix.Addr(), httpboot.Port)

	for {
		restarted := map[netip.Addr]bool{}

		select {
		case <-ctx.Done():
			return nil
		case addr := <-s.old:
			restarted[addr] = true
		}

		for len(s.old) > 0 {
			restarted[<-s.old] = true
		}

		if _, err := nic.EndConnections(local, restarted); err != nil && s.alarm.due("connections", time.Now()) {
			s.cfg.Log.Warn("connections that machines left behind cannot be ended; GRUB may time out at its second boot",
				slog.String("error", err.Error()))
		}

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(clearEvery):
		}
	}
}

// addBootServer adds the PXE boot server, where we say anything.
func (s *Server) addBootServer(ctx context.Context, services []service) ([]service, error) {
	if s.cfg.Mode == ModeOff {
		return services, nil
	}

	conn, err := s.dhcp.ListenBoot(ctx)
	if err != nil {
		return nil, err
	}

	context.AfterFunc(ctx, func() { _ = conn.Close() })

	return append(services, func(ctx context.Context) error { return s.dhcp.ServeBoot(ctx, conn) }), nil
}

// addRouter adds the answer to router solicitations, where the card has IPv6.
func (s *Server) addRouter(ctx context.Context, card *net.Interface, services []service) ([]service, error) {
	if s.cfg.NoRouter {
		return services, nil
	}

	conn, err := ra.Open(ctx, card)

	switch {
	case errors.Is(err, ra.ErrNoIPv6):
		s.cfg.Log.Warn("no ipv6 on the card; iPXE will wait for it some seconds at every boot", slog.String("interface", card.Name))

		return services, nil
	case err != nil:
		return nil, err
	}

	services = append(services, func(ctx context.Context) error { return conn.Run(ctx, s.cfg.Log) })

	if s.cfg.Mode != ModeDHCP {
		return services, nil
	}

	return s.addSix(ctx, card, services)
}

// guard ends the session when the card is replaced, its cable was out, or the
// default route leads through it, and keeps the card's address alive.
func (s *Server) guard(ctx context.Context, at place) error {
	return nic.Watch(ctx, func() error {
		now, err := net.InterfaceByName(s.cfg.Interface)
		if err != nil || now.Index != at.card.Index || now.HardwareAddr.String() != at.card.HardwareAddr.String() {
			return nic.ErrGone
		}

		if err := at.same(); err != nil {
			return err
		}

		if err := s.ours(); err != nil {
			if s.alarm.due("route", time.Now()) {
				s.alert("default-route", "netboot/default-route", "Serving no more on "+s.cfg.Interface+": the default route leads through it now.")
			}

			return err
		}

		return nic.GiveAddress(s.cfg.Interface, s.cfg.Prefix)
	})
}

// heard takes note of who uses which address.
func (s *Server) heard(card *net.Interface, addr netip.Addr, mac core.MAC, now time.Time) {
	s.rivals.answered(addr, now)

	if addr != s.cfg.Prefix.Addr() || mac == core.MAC(card.HardwareAddr.String()) {
		s.dhcp.Heard(addr, mac, now)

		return
	}

	if s.alarm.due("self", now) {
		s.cfg.Log.Error("another machine uses the appliance's own address", slog.String("code", "netboot/address-conflict"),
			slog.String("address", addr.String()), slog.String("user", string(mac)))
		s.alert("conflict", "netboot/address-conflict", "The appliance's own address "+addr.String()+" is in use by "+string(mac)+".")
	}
}

// witness takes down something about the network as a whole.
func (s *Server) witness(kind, detail string) { s.alert(kind, "", detail) }

// alert does the same for what people must hear of, with its problem code.
func (s *Server) alert(kind, code, detail string) {
	s.cfg.Witness.Witness(core.BootStep{Time: time.Now(), Kind: kind, Detail: detail, Addr: s.cfg.Prefix.Addr(), Code: code})
}

// prober passes probes to the ARP socket of the session. Safe for concurrent use.
type prober struct {
	conn atomic.Pointer[arp.Conn]
}

// Probe asks the wire who has addr.
func (p *prober) Probe(addr netip.Addr) {
	if conn := p.conn.Load(); conn != nil {
		conn.Probe(addr)
	}
}

// alarm lets each thing be told once a minute. Safe for concurrent use.
type alarm struct {
	mu   sync.Mutex // guards told
	told map[string]time.Time
}

func (a *alarm) due(what string, now time.Time) bool {
	const pause, most = time.Minute, 100

	a.mu.Lock()
	defer a.mu.Unlock()

	if last, ok := a.told[what]; ok && now.Sub(last) < pause {
		return false
	}

	if a.told == nil || len(a.told) >= most {
		a.told = map[string]time.Time{}
	}

	a.told[what] = now

	return true
}

// hourly lets the same card be told once an hour. Safe for concurrent use.
type hourly struct {
	mu   sync.Mutex // guards all below
	card core.MAC
	told time.Time
}

func (h *hourly) due(card core.MAC, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()

	if h.card == card && now.Sub(h.told) < time.Hour {
		return false
	}

	h.card, h.told = card, now

	return true
}
