package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp/message"
)

// Network is a network that a relay agent joins to us.
type Network struct {
	// Prefix is the relay's own address on it, which its machines take for their
	// router, and the network's length.
	Prefix netip.Prefix
	Pool   Range
}

// Sub-options of the relay agent's option 82.
const (
	relayLink     = 5  // RFC 3527: the client's network, where giaddr does not tell
	relayServerID = 11 // RFC 5107: the address to show as ours, so that renewals pass the relay too
)

// network is one of the networks that we give addresses on, the first our own.
type network struct {
	prefix  netip.Prefix
	relayed bool
	table   *table
	fixed   fixedOptions
}

// fixedOptions are the option values that are the same in every reply on a network.
type fixedOptions struct {
	mask, router, dns, ntp  []byte // dns and ntp are nil where none are told of
	lease, renew, rebinding []byte
}

func newNetwork(c *Config, prefix netip.Prefix, pool Range, router netip.Addr) *network {
	var mask [4]byte

	binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-prefix.Bits()))

	n := &network{
		prefix: prefix, table: newTable(prefix.Addr(), pool),
		fixed: fixedOptions{
			mask: mask[:], dns: addresses(c.DNS), ntp: addresses(c.NTP),
			lease: seconds(c.LeaseTime), renew: seconds(c.LeaseTime / 2), rebinding: seconds(c.LeaseTime * 7 / 8),
		},
	}

	if router.Is4() {
		n.fixed.router = router.AsSlice()
	}

	for mac, addr := range c.Reserved {
		if hw, ok := macBytes(mac); ok && prefix.Contains(addr) {
			n.table.reserve(hw, addr)
		}
	}

	return n
}

// addresses is the value of an option that lists addresses (RFC 2132 section 3).
func addresses(list []netip.Addr) (value []byte) {
	for _, a := range list {
		value = append(value, a.AsSlice()...)
	}

	return value
}

func seconds(d time.Duration) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(d/time.Second)) //nolint:gosec // Validate allows a year at most
}

// networks makes those of a configuration.
func networks(c Config) []*network {
	all := []*network{newNetwork(&c, c.Prefix, c.Pool, c.Router)}

	for _, r := range c.Relayed {
		n := newNetwork(&c, r.Prefix, r.Pool, r.Prefix.Addr())
		n.relayed = true
		all = append(all, n)
	}

	return all
}

// at returns the network that addr is on; nil when it is none of ours.
func (s *Server) at(addr netip.Addr) *network {
	i := slices.IndexFunc(s.networks, func(n *network) bool { return n.prefix.Contains(addr) })
	if i < 0 {
		return nil
	}

	return s.networks[i]
}

// networkOf returns the network that the sender of a message is on: the one that
// its relay names, or that the address which it renews is on, else our own. nil
// when a relay is not one of those we know: answering any would let strangers in
// and make us an amplifier.
func (s *Server) networkOf(m *message.Message, kind dhcpv4.MessageType) *network {
	if m.GIAddr != netip.IPv4Unspecified() {
		link, ok := subAddr(m.Option(message.OptRelayInfo), relayLink)
		if !ok {
			link = m.GIAddr
		}

		if n := s.at(link); n != nil && n.relayed {
			return n
		}

		return nil
	}

	if n := s.at(m.CIAddr); n != nil && renews(m, kind) {
		return n
	}

	return s.networks[0]
}

// renews reports whether ciaddr is an address that the sender uses. In a DISCOVER,
// or beside a wish for another, it is of an earlier life.
func renews(m *message.Message, kind dhcpv4.MessageType) bool {
	return kind != dhcpv4.MessageTypeDiscover && !m.Has(message.OptRequestedAddr)
}

// subAddr finds an address among the sub-options of option 82 (RFC 3046 §2.0).
func subAddr(b []byte, code byte) (netip.Addr, bool) {
	for len(b) >= 2 {
		end := 2 + int(b[1])
		if end > len(b) {
			break
		}

		if b[0] == code && end == 6 {
			return netip.AddrFrom4([4]byte(b[2:6])), true
		}

		b = b[end:]
	}

	return netip.Addr{}, false
}

func validatePrefix(prefix netip.Prefix) error {
	if !prefix.IsValid() || !prefix.Addr().Is4() || prefix.Bits() > 30 || prefix.Bits() < 8 {
		return fmt.Errorf("prefix %q: want an IPv4 address with a length from 8 to 30, like 10.77.0.1/24", prefix)
	}

	return nil
}

// validateNetwork says what is wrong with a network.
func validateNetwork(prefix netip.Prefix, pool Range) error {
	if err := validatePrefix(prefix); err != nil {
		return err
	}

	switch first, last := pool.First, pool.Last; {
	case !first.Is4() || !last.Is4() || last.Less(first):
		return fmt.Errorf("pool %s–%s: want a first and a last IPv4 address", first, last)
	case !prefix.Contains(first) || !prefix.Contains(last):
		return fmt.Errorf("pool %s–%s: not inside %s", first, last, prefix.Masked())
	case first == prefix.Masked().Addr() || last == broadcast(prefix):
		return fmt.Errorf("pool %s–%s: must leave out the first and the last address of the network", first, last)
	case toUint(last)-toUint(first) >= 1<<16:
		return fmt.Errorf("pool %s–%s: more than 65536 addresses", first, last)
	default:
		return nil
	}
}

// validateReserved says what is wrong with the addresses set apart for machines.
func (c *Config) validateReserved() error {
	var errs []error

	seen := map[netip.Addr]core.MAC{}

	for mac, addr := range c.Reserved {
		var on netip.Prefix

		for _, p := range c.prefixes() {
			if p.Contains(addr) {
				on = p
			}
		}

		_, ok := macBytes(mac)

		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("reservation of %s: %q is not a MAC address in lower case", addr, mac))
		case !on.IsValid():
			errs = append(errs, fmt.Errorf("reservation for %s: %s is on none of the networks", mac, addr))
		case addr == on.Addr() || addr == on.Masked().Addr() || addr == broadcast(on):
			errs = append(errs, fmt.Errorf("reservation for %s: %s is not for machines", mac, addr))
		case seen[addr] != "":
			errs = append(errs, fmt.Errorf("reservation for %s: %s is reserved for %s as well", mac, addr, seen[addr]))
		}

		seen[addr] = mac
	}

	return errors.Join(errs...)
}

func (c *Config) prefixes() []netip.Prefix {
	all := []netip.Prefix{c.Prefix}
	for _, r := range c.Relayed {
		all = append(all, r.Prefix)
	}

	return all
}

// validateRelayed says what is wrong with the networks behind relays.
func (c *Config) validateRelayed() error {
	var errs []error

	all := c.prefixes()

	for i, r := range c.Relayed {
		if err := validateNetwork(r.Prefix, r.Pool); err != nil {
			errs = append(errs, fmt.Errorf("relayed network: %w", err))

			continue
		}

		for _, other := range all[:i+1] {
			if other.Overlaps(r.Prefix) {
				errs = append(errs, fmt.Errorf("relayed network %s overlaps %s", r.Prefix.Masked(), other.Masked()))
			}
		}
	}

	return errors.Join(errs...)
}
