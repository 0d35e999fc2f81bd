package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// portWait is how long a further port is given to get an address.
const portWait = 15 * time.Second

// Addresses gives the machine's further ports addresses on the test network, for as
// long as they are tested. Safe for concurrent use.
type Addresses struct {
	boot Lease
	log  *slog.Logger

	quiet func() error // keeps ports from answering for each other's addresses
	once  sync.Once
	fault error // of quiet
}

// NewAddresses returns the addresses of a machine that booted with a lease.
func NewAddresses(boot Lease, log *slog.Logger) *Addresses {
	return &Addresses{boot: boot, log: log, quiet: keepApart}
}

// Address gives a port an address until drop is called. The port that the machine booted
// from keeps the one it has.
func (a *Addresses) Address(ctx context.Context, port string) (addr netip.Addr, drop func(), err error) {
	a.once.Do(func() { a.fault = a.quiet() }) // before the first: the others would answer for it

	switch {
	case port == a.boot.Interface && a.fault != nil:
		a.log.Warn("what is meant for one port may come in by another", slog.String("error", a.fault.Error()))

		return a.boot.Addr.Addr(), func() {}, nil
	case port == a.boot.Interface:
		return a.boot.Addr.Addr(), func() {}, nil
	case a.fault != nil:
		return addr, nil, a.fault
	}

	ctx, cancel := context.WithTimeout(ctx, portWait)
	defer cancel()

	face, err := net.InterfaceByName(port)
	if err != nil {
		return addr, nil, fmt.Errorf("looking for %s: %w", port, err)
	}

	conn := &Connection{log: a.log, Lease: Lease{Interface: port}}
	conn.admit = func(l Lease) error { return sameNetwork(a.boot, l) }
	conn.only = true

	if err := conn.acquire(ctx); err != nil {
		return addr, nil, err
	}

	lease := conn.Lease

	return lease.Addr.Addr(), func() {
		if err := dropAddress(face.Index, lease.Addr); err != nil {
			a.log.Warn("the address of a port stays", slog.String("port", port), slog.String("error", err.Error()))
		}
	}, nil
}

// ErrElsewhere says that a port is cabled to another network.
var ErrElsewhere = errors.New("it is cabled to another network than the one that the machine booted from")

// sameNetwork refuses a lease of another network: what is there is nobody's to test. A
// private range may be in use twice, so that the addresses must be those of the same
// server, too.
func sameNetwork(boot, lease Lease) error {
	switch {
	case boot.Addr.Masked() != lease.Addr.Masked() || boot.Addr.Addr() == lease.Addr.Addr():
		return fmt.Errorf("%w: it was offered %s there", ErrElsewhere, lease.Addr)
	case boot.Server != lease.Server || boot.DHCP != lease.DHCP:
		return fmt.Errorf("%w: it was offered %s there, by the DHCP server %s, to boot from %s; the machine booted from %s, by %s",
			ErrElsewhere, lease.Addr, lease.DHCP, lease.Server, boot.Server, boot.DHCP)
	default:
		return nil
	}
}

// keepApart has each port answer ARP for its own address alone, and ask in its own
// name (ip-sysctl, arp_ignore and arp_announce); else what is meant for one port would
// come in by another of the same network.
func keepApart() error {
	for name, value := range map[string]string{"arp_ignore": "1", "arp_announce": "2"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("keeping the ports apart: %w", err)
		}
	}

	return nil
}
