package nic

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Carries reports whether a default route of IPv4 or IPv6, in any routing table,
// leads through the card, alone or as one of several ways: then it is somebody's
// network, not a test network.
func Carries(iface string) (bool, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return false, fmt.Errorf("looking up %s: %w", iface, err)
	}

	// All tables: policy routing keeps default routes in others than the main one.
	// All cards: a route over several cards belongs to none.
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return false, fmt.Errorf("reading the routes of %s: %w", iface, err)
	}

	return carries(routes, link.Attrs().Index), nil
}

// carries looks for a default route over the card with the index.
func carries(routes []netlink.Route, index int) bool {
	for _, r := range routes {
		if !isDefault(r) {
			continue
		}

		if r.LinkIndex == index {
			return true
		}

		for _, hop := range r.MultiPath {
			if hop.LinkIndex == index {
				return true
			}
		}
	}

	return false
}

// isDefault reports whether a route leads everywhere. 0.0.0.0/1 and 128.0.0.0/1
// together do too, which is how VPNs hide a default route; either counts.
func isDefault(r netlink.Route) bool {
	if r.Type != unix.RTN_UNICAST {
		return false
	}

	if r.Dst == nil {
		return r.MPLSDst == nil
	}

	ones, bits := r.Dst.Mask.Size()

	return ones <= 1 && bits > 0
}
