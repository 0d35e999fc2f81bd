package nic

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"vetting/core"
)

// Neighbour returns which machine has an address on the card's network, as the
// kernel knows it from ARP (rtnetlink(7), RTM_GETNEIGH).
func Neighbour(iface string, addr netip.Addr) (mac core.MAC, known bool) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return "", false
	}

	neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return "", false
	}

	for _, n := range neighbours {
		if at, ok := netip.AddrFromSlice(n.IP); ok && at.Unmap() == addr && len(n.HardwareAddr) == 6 &&
			n.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE) == 0 {
			return core.MAC(n.HardwareAddr.String()), true
		}
	}

	return "", false
}
