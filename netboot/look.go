package netboot

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/arp"
	"vetting/netboot/nic"
	"vetting/netboot/rogue"
)

// Surroundings are what there is on a network besides us.
type Surroundings struct {
	Servers string        // DHCP servers that give addresses; empty: none
	Proxies string        // those that only say what to load
	Fellows string        // other appliances
	User    core.MAC      // who has the address that is to be ours; empty: nobody
	Deaf    time.Duration // how long the switch passes nothing after a cable is plugged in; 0: no spanning tree was heard
}

// Look asks and listens on a card for as long as told, as it is done before serving, and
// leaves nothing behind. It takes CAP_NET_RAW.
func Look(ctx context.Context, iface string, self netip.Addr, listen time.Duration) (s Surroundings, err error) {
	card, err := nic.Find(iface)
	if err != nil {
		return s, err
	}

	asks, err := rogue.NewSearcher()
	if err != nil {
		return s, err
	}

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error {
		found, err := asks.Search(ctx, card, listen)

		var servers, proxies, fellows []rogue.Offer

		for _, o := range found {
			switch {
			case o.Appliance:
				fellows = append(fellows, o)
			case o.Proxy:
				proxies = append(proxies, o)
			default:
				servers = append(servers, o)
			}
		}

		s.Servers, s.Proxies, s.Fellows = rogue.Describe(servers), rogue.Describe(proxies), rogue.Describe(fellows)

		return err
	})
	group.Go(func() error {
		conn, err := arp.Open(card)
		if err != nil {
			return err
		}

		s.User, err = conn.User(ctx, self, listen)

		return errors.Join(err, conn.Close())
	})
	group.Go(func() (err error) {
		s.Deaf, err = nic.SpanningTree(ctx, card, listen)

		return err
	})

	return s, group.Wait()
}

// Port is one that the boot services need.
type Port struct {
	Network string // "udp" or "tcp"
	Number  uint16
}

// Ports lists those of a mode, with the agent API's.
func Ports(mode Mode) []Port {
	all := []Port{{"udp", 67}, {"udp", 69}, {"tcp", 80}, {"tcp", 443}}
	if mode != ModeOff {
		all = append(all, Port{"udp", 4011})
	}

	return all
}

// FreeSix reports whether the ports of IPv6 can be opened on a card now; the error names
// who has them. Without them machines are served by IPv4 alone.
func FreeSix(ctx context.Context, iface string) error {
	for _, number := range []uint16{547, 69} {
		conn, err := nic.ListenUDP6(ctx, iface, number)
		if err != nil {
			return err
		}

		if err := conn.Close(); err != nil {
			return err
		}
	}

	return nil
}

// Free reports whether the port can be opened on a card now; the error names who has it.
func (p Port) Free(ctx context.Context, iface string) error {
	if p.Network == "udp" {
		conn, err := nic.ListenUDP(ctx, iface, p.Number)
		if err != nil {
			return err
		}

		return conn.Close()
	}

	ln, err := nic.ListenTCP(ctx, iface, netip.AddrPortFrom(netip.IPv4Unspecified(), p.Number))
	if err != nil {
		return err
	}

	return ln.Close()
}
