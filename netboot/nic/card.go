package nic

import (
	"fmt"
	"net"
	"net/netip"

	"vetting/core"
)

// Find returns the card.
func Find(iface string) (*net.Interface, error) {
	card, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, core.NewProblem(core.ErrNotFound, "netboot/no-card",
			fmt.Sprintf("there is no network card named %q; `ip link` lists those there are", iface))
	}

	return card, nil
}

// LinkLocal returns the card's own link-local address, with its zone; false when it has none.
func LinkLocal(card *net.Interface) (netip.Addr, bool) {
	addrs, err := card.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}

	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
			return prefix.Addr().WithZone(card.Name), true
		}
	}

	return netip.Addr{}, false
}
