package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// EndConnections ends the TCP connections between our port at local and machines, as
// they are left behind by a boot program that never closes them and takes the same ports
// next time: GRUB does (21550, 21551, …), the kernel then waits for minutes in LAST-ACK,
// and the new boot's connections time out. It returns how many there were. It takes
// CAP_NET_ADMIN and a kernel that can (CONFIG_INET_DIAG_DESTROY).
//
// One call looks through the kernel's whole table of connections, some milliseconds
// of a core however few there are: ask for many machines at once.
func EndConnections(local netip.AddrPort, remotes map[netip.Addr]bool) (ended int, err error) {
	all, err := netlink.SocketDiagTCP(unix.AF_INET)
	if err != nil {
		return 0, fmt.Errorf("listing connections: %w", err)
	}

	var errs []error

	for _, s := range all {
		from, okFrom := netip.AddrFromSlice(s.ID.Source.To4())
		to, okTo := netip.AddrFromSlice(s.ID.Destination.To4())

		if !okFrom || !okTo || from != local.Addr() || s.ID.SourcePort != local.Port() || !remotes[to] || s.ID.DestinationPort == 0 {
			continue
		}

		// One that is open is the new boot's already: those that the boot before had open
		// were closed by the server.
		if s.State == netlink.TCP_ESTABLISHED || s.State == netlink.TCP_SYN_RECV {
			continue
		}

		err := destroy(&s.ID)

		switch {
		case err == nil:
			ended++
		case errors.Is(err, unix.ENOENT): // gone by itself
		default:
			errs = append(errs, fmt.Errorf("ending a connection with %s: %w", to, err))
		}
	}

	return ended, errors.Join(errs...)
}

// destroy ends one connection (SOCK_DESTROY, sock_diag(7)). It is named in full, with
// the card that its socket is bound to, without which the kernel does not find it.
func destroy(id *netlink.SocketID) error {
	const sockDestroy = 21

	b := []byte{unix.AF_INET, unix.IPPROTO_TCP, 0, 0} // struct inet_diag_req_v2
	b = binary.NativeEndian.AppendUint32(b, 0xfff)    // in whatever state
	b = binary.BigEndian.AppendUint16(b, id.SourcePort)
	b = binary.BigEndian.AppendUint16(b, id.DestinationPort)
	b = append(append(b, id.Source.To4()...), make([]byte, 12)...)
	b = append(append(b, id.Destination.To4()...), make([]byte, 12)...)
	b = binary.NativeEndian.AppendUint32(b, id.Interface)
	b = binary.NativeEndian.AppendUint32(b, id.Cookie[0])
	b = binary.NativeEndian.AppendUint32(b, id.Cookie[1])

	question := nl.NewNetlinkRequest(sockDestroy, unix.NLM_F_ACK)
	question.AddRawData(b)

	_, err := question.Execute(unix.NETLINK_INET_DIAG, 0)

	return err
}

// Tags counts the VLAN tags that frames of the card carry: it is a VLAN of another card,
// or of a VLAN of one.
func Tags(iface string) int {
	const most = 4

	for tags := range most {
		link, err := netlink.LinkByName(iface)
		if err != nil || link.Type() != "vlan" {
			return tags
		}

		parent, err := netlink.LinkByIndex(link.Attrs().ParentIndex)
		if err != nil {
			return tags + 1
		}

		iface = parent.Attrs().Name
	}

	return most
}
