package netboot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/iana"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/dhcp"
	"vetting/netboot/dhcp6"
	"vetting/netboot/ipxe"
	"vetting/netboot/nic"
	"vetting/netboot/tftp"
)

// withoutSix tells that IPv6 is not served. What boots over IPv4, and that is nearly all,
// must not suffer from a port that another server has.
func (s *Server) withoutSix(err error) {
	s.cfg.Log.Warn("nothing is served over IPv6: firmware whose boot order comes to it waits there for about a minute",
		slog.String("error", err.Error()))
}

// addSix adds the boot services of IPv6, where the card has an address for them: DHCP and
// TFTP for firmware whose boot order comes to IPv6.
func (s *Server) addSix(ctx context.Context, card *net.Interface, services []service) ([]service, error) {
	self, ok := nic.LinkLocal(card)
	if !ok || len(card.HardwareAddr) != 6 {
		return services, nil
	}

	network := dhcp6.Network(card.HardwareAddr)
	ours := netip.PrefixFrom(network.Addr().Next(), network.Bits())

	six := dhcp6.New(dhcp6.Config{
		Card: card, Self: self, Prefix: network, Boot: s.bootSix, Quiet: s.quiet, Witness: s.cfg.Witness.Witness, Log: s.cfg.Log,
	})
	transfers := tftp.New(tftp.Config{
		Interface: card.Name, Self: self, MTU: card.MTU - 4*nic.Tags(card.Name) - 20, // the header is longer by that
		Lookup: func(addr netip.Addr, name string) (*tftp.File, core.BootClient, bool) {
			return s.loaderSix(six, addr, name)
		},
		Witness: s.cfg.Witness, Log: s.cfg.Log, Busy: &s.busy,
	})

	dhcpConn, err := six.Listen(ctx)
	if err != nil {
		s.withoutSix(err)

		return services, nil
	}

	context.AfterFunc(ctx, func() { _ = dhcpConn.Close() })

	tftpConn, err := transfers.Listen(ctx)
	if err != nil {
		s.withoutSix(errors.Join(err, dhcpConn.Close()))

		return services, nil
	}

	context.AfterFunc(ctx, func() { _ = tftpConn.Close() })

	return append(services,
		func(ctx context.Context) error { return six.Serve(ctx, dhcpConn) },
		func(ctx context.Context) error { return transfers.Serve(ctx, tftpConn) },
		func(ctx context.Context) error { return s.lend(ctx, ours) },
	), nil
}

// lend gives the card an address for the way to machines of IPv6, and takes it away again.
func (s *Server) lend(ctx context.Context, ours netip.Prefix) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()

	for {
		// Without it machines are told of a file and cannot fetch it, which is as if we were
		// not there. That the card has gone another service notices.
		if err := nic.GiveAddress(s.cfg.Interface, ours); err != nil && s.alarm.due("ipv6", time.Now()) {
			s.cfg.Log.Warn("no ipv6 address for the card; machines boot by ipv4 only", slog.String("interface", s.cfg.Interface), slog.String("error", err.Error()))
		}

		select {
		case <-ctx.Done():
			return nic.TakeAddress(s.cfg.Interface, ours)
		case <-tick.C:
		}
	}
}

// bootSix decides what firmware that boots by IPv6 may have: the same as by IPv4, where
// that goes on by IPv4.
func (s *Server) bootSix(client core.BootClient) (file string, known bool) {
	switch decision := s.cfg.Booter.Decide(client); {
	case decision.Action == core.BootIgnore:
		return "", false
	case decision.Action == core.BootVet && (client.Arch == int(iana.EFI_BC) || client.Arch == int(iana.EFI_X86_64)):
		// The rungs that go on by IPv4; of the others the lowest.
		return ladder.File(decision.Loader, core.ClientIPXE), true
	case decision.Action == core.BootVet && client.Arch == int(iana.EFI_ARM64):
		return ladder.FileARM64, true
	default:
		return dhcp.NoBoot, true
	}
}

// loaderSix finds the file that a machine may have over TFTP.
func (s *Server) loaderSix(six *dhcp6.Server, addr netip.Addr, name string) (file *tftp.File, client core.BootClient, known bool) {
	mac, ok := six.Holder(addr)
	if !ok {
		return nil, client, false
	}

	client = core.BootClient{MAC: mac, Kind: core.ClientUEFI, Arch: -1, Addr: addr.WithZone("")}

	switch decision := s.cfg.Booter.Decide(client); {
	case decision.Action == core.BootIgnore:
		return nil, client, false
	case name == "autoexec.ipxe":
		return tftp.Bytes(ipxe.Autoexec(s.cfg.Prefix.Addr())), client, true
	case decision.Action == core.BootVet:
		return tftp.Bytes(s.cfg.Files[name]), client, true
	default:
		return nil, client, true
	}
}
