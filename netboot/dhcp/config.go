package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/ladder"
)

// Range is a span of addresses, both ends included.
type Range struct {
	First, Last netip.Addr
}

// Booter decides what a client may have. Safe for concurrent use, never blocks.
type Booter interface {
	Decide(client core.BootClient) core.BootDecision
}

// Leases keeps leases over a restart.
type Leases interface {
	Leases(ctx context.Context) ([]core.Lease, error)
	// SaveLeases returns when the leases are on stable storage.
	SaveLeases(ctx context.Context, leases []core.Lease) error
}

// Witness takes down what was seen. It never blocks.
type Witness interface {
	Witness(step core.BootStep)
}

// Prober asks the wire who has an address. It must not block.
type Prober interface {
	Probe(addr netip.Addr)
}

// Loader names, as offered: the lowest rungs of the ladder. Whoever serves TFTP and HTTP must know them all.
const (
	LoaderBIOS = ladder.FileUNDI    // any BIOS ROM with UNDI
	LoaderUEFI = ladder.FileSNPOnly // UEFI x64
	// NoBoot is offered to UEFI firmware that should go to its own disk, and is
	// never there: "file not found" ends the attempt in 5 s, where silence takes
	// 60 s and more (measured on OVMF 2025.02).
	NoBoot = core.NoBoot
)

// Mode says what a Server does about DHCP.
type Mode int

// The modes.
const (
	Authoritative Mode = iota // gives addresses, and in the same offer what to load
	Proxy                     // another server gives the addresses; we add what to load
	Listen                    // nobody is answered; what is heard is taken down
)

// String names the mode as the configuration does.
func (m Mode) String() string {
	switch m {
	case Authoritative:
		return "dhcp"
	case Proxy:
		return "proxy"
	case Listen:
		return "off"
	default:
		return "unknown"
	}
}

// ParseMode reads the name of a mode.
func ParseMode(text string) (Mode, error) {
	for _, m := range []Mode{Authoritative, Proxy, Listen} {
		if m.String() == text {
			return m, nil
		}
	}

	return Authoritative, fmt.Errorf("mode %q: want dhcp, proxy or off", text)
}

// Config is all a Server needs. Everything but Mode, Prober, Router, DNS, NTP, Relayed,
// Reserved, Rate, LeaseTime, Quiet, Rival, Restarted and Neighbour must be set.
type Config struct {
	Mode      Mode
	Interface string       // network card
	Prefix    netip.Prefix // our address and the network's length
	Pool      Range        // inside Prefix; Proxy and Listen give no addresses
	Router    netip.Addr   // option 3; none by default: the test network leads nowhere
	DNS       []netip.Addr // option 6, IPv4, for those that ask for it; at most MostServers
	NTP       []netip.Addr // option 42, likewise
	LeaseTime time.Duration
	Relayed   []Network // networks whose relay agents are answered; others are not
	Reserved  map[core.MAC]netip.Addr
	Rate      int // packets a second from one MAC before it is ignored; 50 by default, below 0 without limit

	Booter  Booter
	Leases  Leases
	Witness Witness
	Prober  Prober
	Log     *slog.Logger

	// Quiet reports whether nobody may be answered now, because another server
	// does. It is asked for every batch of packets, and again before
	// acknowledgements leave.
	Quiet func() bool
	// Rival is told that a machine, registered or not, has chosen another server.
	Rival func(server netip.Addr, client core.MAC)
	// Fellow is told that another appliance, by its card, asks whether one serves here; may
	// be nil.
	Fellow func(card core.MAC)
	// Restarted is told that the firmware or the boot program at addr asks for an
	// address: whatever ran there before is gone. It must not block; may be nil.
	Restarted func(addr netip.Addr)
	// Neighbour asks the kernel which machine has an address; may be nil. Proxy and
	// Listen use it for machines whose ARP the kernel has answered and we not read yet,
	// Authoritative where a lease has run out.
	Neighbour func(addr netip.Addr) (mac core.MAC, known bool)
}

// MostServers is how many servers of a kind a machine is told of: an answer has to have
// room for them beside all else, in the 312 bytes that old ROMs read.
const MostServers = 3

const (
	defaultLease = 12 * time.Hour // outlasts every test between two renewals
	defaultRate  = 50
)

// Validate returns all that is wrong with the configuration, joined.
func (c *Config) Validate() error {
	if c.Mode != Authoritative {
		return validatePrefix(c.Prefix)
	}

	errs := []error{validateNetwork(c.Prefix, c.Pool)}

	if errs[0] == nil {
		errs = append(errs, c.validateRelayed(), c.validateReserved())
	}

	for name, servers := range map[string][]netip.Addr{"DNS": c.DNS, "NTP": c.NTP} {
		if len(servers) > MostServers || !allHosts(servers) {
			errs = append(errs, fmt.Errorf("%s servers %v: want at most %d IPv4 addresses of machines", name, servers, MostServers))
		}
	}

	if c.LeaseTime != 0 && (c.LeaseTime < time.Minute || c.LeaseTime > 365*24*time.Hour) {
		errs = append(errs, fmt.Errorf("lease time %s: want a minute to a year", c.LeaseTime))
	}

	return errors.Join(errs...)
}

// allHosts reports whether every address is one that a machine can have, seen from another.
func allHosts(list []netip.Addr) bool {
	return !slices.ContainsFunc(list, func(a netip.Addr) bool {
		return !a.Is4() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
	})
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}

	return netip.AddrFrom4(b)
}

// DefaultPool is the network of prefix without its lowest ten addresses, which
// are for us and for what people set by hand, and without the last; 1000 at most.
func DefaultPool(prefix netip.Prefix) Range {
	const spare, most = 10, 1000

	first, last := toUint(prefix.Masked().Addr()), toUint(broadcast(prefix))
	size := last - first

	low := first + min(spare, size/2)
	t := table{first: low, size: last - low}

	return Range{First: t.at(0), Last: t.at(min(last-low-1, most-1))}
}
