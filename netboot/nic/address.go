package nic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vetting/core"
)

// The address that we give a card has a lifetime, which is renewed as long as we
// serve. So it goes by itself when we are killed, and it can be told from an
// address that a person has given the card for good, which we never take away.
const (
	lifetime = 5 * time.Minute
	renewAt  = 3 * time.Minute // of lifetime left
)

// Holding says what a card has of an address.
type Holding int

// The kinds of holding.
const (
	Nothing  Holding = iota
	Borrowed         // given by us, for a time
	Owned            // given by somebody else, for good
)

// Raise sees to it that the card is up and that we may give it the address. It
// gives it none. Without the right to do either the error says what to run.
func Raise(iface string, prefix netip.Prefix) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("looking up %s: %w", iface, err)
	}

	kind, _, err := holding(link, prefix)
	if err != nil {
		return err
	}

	rights, err := Held()
	if err != nil {
		return err
	}

	up := link.Attrs().Flags&net.FlagUp != 0

	switch {
	case !rights.Admin && (kind == Nothing || !up):
		return noAddress(iface, prefix)
	case up:
		return nil
	}

	if err := netlink.LinkSetUp(link); err != nil {
		return explainAddress(err, iface, prefix)
	}

	return nil
}

// GiveAddress sees to it that the card has the address, and will keep it for
// some minutes. Call it again before they are over.
func GiveAddress(iface string, prefix netip.Prefix) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("looking up %s: %w", iface, err)
	}

	kind, left, err := holding(link, prefix)
	if err != nil || kind == Owned || kind == Borrowed && left > renewAt {
		return err
	}

	flags := 0
	if prefix.Addr().Is6() {
		flags = unix.IFA_F_NODAD // nobody else makes one of our card's MAC
	}

	// Replaced, not added: that renews the lifetime of one that is there.
	return explainAddress(netlink.AddrReplace(link, &netlink.Addr{
		Flags:    flags,
		IPNet:    &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())},
		ValidLft: int(lifetime / time.Second), PreferedLft: int(lifetime / time.Second),
	}), iface, prefix)
}

// TakeAddress takes the address away again if we have given it, now or in an
// earlier life. An address that a person gave the card stays. It is no error that
// the card is gone.
func TakeAddress(iface string, prefix netip.Prefix) error {
	link, err := netlink.LinkByName(iface)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("looking up %s: %w", iface, err)
	}

	kind, _, err := holding(link, prefix)
	if err != nil || kind != Borrowed {
		return err
	}

	err = netlink.AddrDel(link, &netlink.Addr{
		IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())},
	})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("taking the address %s from %s: %w", prefix, iface, err)
	}

	return nil
}

// Holds says what the card has of the address.
func Holds(iface string, prefix netip.Prefix) (Holding, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return Nothing, fmt.Errorf("looking up %s: %w", iface, err)
	}

	kind, _, err := holding(link, prefix)

	return kind, err
}

// holding looks for the address, with whatever length, and says how long it
// still lives when it is ours.
func holding(link netlink.Link, prefix netip.Prefix) (Holding, time.Duration, error) {
	const forever = 1<<32 - 1

	family := netlink.FAMILY_V4
	if prefix.Addr().Is6() {
		family = netlink.FAMILY_V6
	}

	addrs, err := netlink.AddrList(link, family)
	if err != nil {
		return Nothing, 0, fmt.Errorf("reading the addresses of %s: %w", link.Attrs().Name, err)
	}

	for _, a := range addrs {
		addr, ok := netip.AddrFromSlice(a.IP)

		switch {
		case !ok || addr.Unmap() != prefix.Addr():
		case a.ValidLft == forever:
			return Owned, 0, nil
		default:
			return Borrowed, time.Duration(a.ValidLft) * time.Second, nil
		}
	}

	return Nothing, 0, nil
}

func noAddress(iface string, prefix netip.Prefix) error {
	return core.NewProblem(core.ErrRefused, "netboot/no-address", fmt.Sprintf(
		"%s does not have the address %s, and giving it takes CAP_NET_ADMIN. Run: sudo ip addr add %s dev %s && sudo ip link set %s up",
		iface, prefix.Addr(), prefix, iface, iface))
}

func explainAddress(err error, iface string, prefix netip.Prefix) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrPermission):
		return noAddress(iface, prefix)
	default:
		return fmt.Errorf("giving %s the address %s: %w", iface, prefix, err)
	}
}
