//go:build linux

package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// The office network: the cable between the appliance and a desk.
const (
	OfficeAddress = "192.168.77.1" // the appliance's
	deskAddress   = "192.168.77.2"
	officePort    = "office0" // at both ends
)

// Desk puts a desk beside the segment: a machine with a cable to the appliance,
// and none to the segment. It goes with the segment.
func (s *Segment) Desk(appliance *Station) (*Namespace, error) {
	space, err := openNamespace(s.prefix + "desk")
	if err != nil {
		return nil, err
	}

	s.keep(&Station{Namespace: space, role: "desk"})

	if err := space.Do(func() error { return layCable(appliance) }); err != nil {
		return nil, err
	}

	for at, addr := range map[*Namespace]string{space: deskAddress, appliance.Namespace: OfficeAddress} {
		own := netip.PrefixFrom(netip.MustParseAddr(addr), 24)
		if err := at.Do(func() error { return address(officePort, own) }); err != nil {
			return nil, err
		}
	}

	return space, nil
}

// layCable lays a cable from the calling thread's namespace to a station.
func layCable(to *Station) error {
	target, err := netnsFd(to.name)
	if err != nil {
		return err
	}
	defer target.Close() //nolint:errcheck // a descriptor that was only read

	cable := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: officePort, TxQLen: -1}, PeerName: officePort, PeerNamespace: netlink.NsFd(int(target)),
	}

	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("laying a cable to %s: %w", to.role, err)
	}

	return nil
}

// Route has a namespace send what is for a network by way of a gateway.
func (n *Namespace) Route(network netip.Prefix, gateway netip.Addr) error {
	return n.Do(func() error {
		err := netlink.RouteAdd(&netlink.Route{
			Dst: &net.IPNet{IP: network.Masked().Addr().AsSlice(), Mask: net.CIDRMask(network.Bits(), network.Addr().BitLen())},
			Gw:  gateway.AsSlice(),
		})
		if err != nil {
			return fmt.Errorf("adding the route to %s: %w", network, err)
		}

		return nil
	})
}
