// Package netboot talks to the ROMs of machines under test: everything the
// appliance says on the dedicated network card, from the first DHCP packet to
// the last byte of the live image. See README.md for the conversation.
package netboot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/dhcp"
	"vetting/netboot/grub"
	"vetting/netboot/httpboot"
	"vetting/netboot/ipxe"
	"vetting/netboot/nic"
	"vetting/netboot/rogue"
	"vetting/netboot/tftp"
)

// Server is all the boot services of one network card. Safe for concurrent use.
type Server struct {
	cfg      Config
	dhcp     *dhcp.Server
	http     *httpboot.Server
	searcher searcher
	rivals   rivals
	prober   *prober
	probe    func(addr netip.Addr) // asks the wire who has addr
	alarm    alarm
	yielding hourly          // appliances that are to fall silent
	fellows  hourly          // those that ask whether we serve
	old      chan netip.Addr // machines whose old connections are to be ended
	sought   chan struct{}   // another server was overheard, and is to be asked
	ready    chan struct{}
	opened   sync.Once
	place    atomic.Pointer[place] // where we serve; nil while we do not
	looked   atomic.Pointer[look]  // the last one at the cable
	busy     atomic.Int64          // TFTP transfers under way, of IPv4 and IPv6
}

// searcher asks the wire for DHCP servers.
type searcher interface {
	// Claim does it for one that means to serve, Reclaim for one that has served already,
	// Search for one that looks around.
	Claim(ctx context.Context, card *net.Interface, listen time.Duration) ([]rogue.Offer, error)
	Reclaim(ctx context.Context, card *net.Interface, listen time.Duration) ([]rogue.Offer, error)
	Search(ctx context.Context, card *net.Interface, listen time.Duration) ([]rogue.Offer, error)
}

// New checks cfg and returns a Server that does nothing yet.
func New(cfg Config) (*Server, error) {
	cfg.fill()

	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	asks, err := rogue.NewSearcher()
	if err != nil {
		return nil, err
	}

	s := &Server{cfg: cfg, searcher: asks, prober: &prober{}, old: make(chan netip.Addr, 256), sought: make(chan struct{}, 1), ready: make(chan struct{})}
	s.probe = s.prober.Probe

	dhcpConfig := cfg.dhcp()
	dhcpConfig.Prober = s.prober
	dhcpConfig.Quiet = s.quiet
	dhcpConfig.Restarted = s.restarted
	dhcpConfig.Fellow = s.fellow
	dhcpConfig.Neighbour = func(addr netip.Addr) (core.MAC, bool) { return nic.Neighbour(cfg.Interface, addr) }
	dhcpConfig.Rival = func(server netip.Addr, client core.MAC) { s.overheard(rogue.Offer{Server: server, To: client}) }

	if s.dhcp, err = dhcp.New(*dhcpConfig); err != nil {
		return nil, err
	}

	s.http = httpboot.New(httpboot.Config{
		Interface: cfg.Interface, Self: cfg.Prefix.Addr(), Files: cfg.Files, Cmdline: cfg.arguments(),
		Stub: cfg.Stub, Holder: s.dhcp.Holder, Stands: s.dhcp.Stands, Settled: cfg.settled, Overlays: cfg.Overlays, Booter: cfg.Booter, Witness: cfg.Witness, Log: cfg.Log,
	})

	return s, nil
}

// Ready is closed when all services answer for the first time.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Health says why machines are not answered now; nil when they are.
func (s *Server) Health() error {
	switch _, err := net.InterfaceByName(s.cfg.Interface); {
	case s.place.Load() == nil && err != nil:
		return core.NewProblem(core.ErrConflict, "netboot/no-card", "no machine is answered: the network card "+s.cfg.Interface+" is gone")
	case s.place.Load() == nil:
		return core.NewProblem(core.ErrConflict, "netboot/no-cable",
			"the boot services do not answer yet: "+s.cfg.Interface+" has no cable, or its network is still being looked at")
	case s.rivals.silent.Load():
		return core.NewProblem(core.ErrConflict, "netboot/rogue-dhcp", fmt.Sprintf(
			"nothing is offered on %s while another DHCP server is at work there: %s", s.cfg.Interface, s.rivals.list()))
	default:
		return nil
	}
}

// Counters returns counts of packets since the start, by name.
func (s *Server) Counters() map[string]uint64 {
	all := map[string]uint64{}

	for name, n := range s.dhcp.Counters() {
		all["dhcp_"+name] = n
	}

	return all
}

// Messages counts the DHCP messages that came in since the start, by type and what came
// of them.
func (s *Server) Messages() []dhcp.Messages { return s.dhcp.Messages() }

// Run serves until ctx ends, and then returns nil. What keeps it from starting
// is an error: missing rights, another DHCP server, a port that is taken, a card
// that is somebody's network. Once it has started it waits for better days
// instead: when the card is unplugged and comes back, it serves again.
func (s *Server) Run(ctx context.Context) error {
	if err := nic.Check(); err != nil {
		return err
	}

	if err := s.dhcp.Load(ctx); err != nil {
		return err
	}

	for {
		err := s.session(ctx)

		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the services were asked to end
		case !s.started():
			return err
		}

		if s.alarm.due(err.Error(), time.Now()) {
			s.cfg.Log.Warn("the boot services stopped; starting them again", slog.String("interface", s.cfg.Interface), slog.Any("error", err))
			s.witness("rebind", "the boot services on "+s.cfg.Interface+" start again: "+err.Error())
		}

		if !s.pause(ctx, err) {
			return nil
		}
	}
}

func (s *Server) started() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// pause waits until another try makes sense after a session that ended with err.
// False when ctx ended.
func (s *Server) pause(ctx context.Context, err error) bool {
	const moment, long = 300 * time.Millisecond, time.Minute

	wait := moment

	// No, nobody may serve here: that is not tried again every second, but when
	// the card or its cable changes.
	if errors.Is(err, core.ErrConflict) || errors.Is(err, core.ErrRefused) || errors.Is(err, core.ErrNotFound) {
		wait = long
	}

	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()

	s.await(limit)

	select {
	case <-ctx.Done():
		return false
	case <-time.After(moment):
		return true
	}
}

// glance is what there is of a card, for comparison with another time.
type glance struct {
	index   int // 0 when it is not there
	carrier nic.Carrier
	carries bool // the default route leads through it
}

func (s *Server) glance() (g glance) {
	if card, err := nic.Find(s.cfg.Interface); err == nil {
		g.index = card.Index
		g.carrier, _ = nic.CarrierOf(card.Index)
		g.carries, _ = nic.Carries(s.cfg.Interface)
	}

	return g
}

// await returns when the card comes, goes, has its cable moved or gets or loses
// the default route, or ctx ends.
func (s *Server) await(ctx context.Context) {
	var before *glance

	errNow := errors.New("now")

	err := nic.Watch(ctx, func() error {
		now := s.glance()

		switch {
		case before == nil:
			before = &now
		case now != *before:
			return errNow
		}

		return nil
	})
	if err != nil && !errors.Is(err, errNow) {
		s.cfg.Log.Warn("the network cards cannot be watched", slog.String("error", err.Error()))
	}
}

// loader finds the file that a machine may have over TFTP: what DHCP offers it, and what
// that asks for in turn. The appliance itself may have whatever is the same for all: see
// Fetcher.
func (s *Server) loader(addr netip.Addr, name string) (file *tftp.File, client core.BootClient, known bool) {
	// The kernel takes packets with its own address from itself alone.
	if addr == s.cfg.Prefix.Addr() {
		return tftp.Bytes(s.cfg.Files[name]), client, true
	}

	client, ok := s.dhcp.Holder(addr)
	if !ok {
		return nil, client, false
	}

	client.Addr = addr
	decision := s.cfg.Booter.Decide(client)
	name = s.dhcp.Stands(addr, name)

	if file, known = s.file(client, decision, name); file != nil {
		file.Name = name
	}

	return file, client, known
}

// file finds a file by its own name.
func (s *Server) file(client core.BootClient, decision core.BootDecision, name string) (file *tftp.File, known bool) {
	switch {
	case decision.Action == core.BootIgnore:
		return nil, false
	case name == "autoexec.ipxe":
		return tftp.Bytes(ipxe.Autoexec(s.cfg.Prefix.Addr())), true
	case name == grub.ConfigName:
		file = tftp.Bytes(s.http.GRUBConfig(client, decision))
		file.Begin = func(ctx context.Context) error { return s.http.ArmGRUB(ctx, client, decision) }

		return file, true
	case name == ladder.FileUKI:
		return s.program(client, decision), true
	case httpboot.Serves(decision, name):
		return tftp.Bytes(s.cfg.Files[name]), true
	default:
		return nil, true
	}
}

// program is the live image as one program; nil when there is none for the machine.
func (s *Server) program(client core.BootClient, decision core.BootDecision) *tftp.File {
	program, _, ok := s.http.Program(client, decision)
	if !ok {
		return nil
	}

	return &tftp.File{
		Content: program, Size: program.Size(),
		Begin: func(ctx context.Context) error { return s.http.ArmProgram(ctx, client) },
	}
}
