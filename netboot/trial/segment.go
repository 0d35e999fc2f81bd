package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vetting/core"
)

// Card is the name of the network card that the boot services are to serve on.
const Card = "trial0"

// Names inside the namespace of the switch.
const (
	bridge = "bridge0"
	socket = "socket0" // where the cable to Card is plugged in
	tap    = "machine0"
)

// Segment is a switch in a network namespace of its own, with a cable to Card in the
// namespace of whoever laid it, and a socket for one machine. The namespace has no name:
// it goes with the process, whatever that dies of. Safe for concurrent use.
type Segment struct {
	work chan func()
	over chan struct{} // closed when the thread has left
}

// Lay makes the segment. The calling process must be in a network namespace that has no
// network card yet: ErrRefused otherwise, since this is never to happen on a network of
// others. It takes CAP_NET_ADMIN and CAP_SYS_ADMIN.
func Lay() (*Segment, error) {
	if err := desert(); err != nil {
		return nil, err
	}

	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("looking up the network namespace: %w", err)
	}
	defer home.Close() //nolint:errcheck // only read

	s := &Segment{work: make(chan func()), over: make(chan struct{})}
	ready := make(chan error, 1)

	go s.inhabit(ready, int(home.Fd())) //nolint:gosec // a descriptor

	if err := <-ready; err != nil {
		return nil, errors.Join(fmt.Errorf("making a network to try on: %w", err), s.Close())
	}

	return s, errors.Join(raise("lo"), raise(Card))
}

// desert refuses a namespace that has a network card.
func desert() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("looking for network cards: %w", err)
	}

	for _, link := range links {
		if a := link.Attrs(); a.EncapType == "ether" {
			return core.NewProblem(core.ErrRefused, "netboot/trial-network", "The trial stays away from networks that it has not made, and here is "+a.Name+".")
		}
	}

	return nil
}

// inhabit is the thread that lives inside. It is never unlocked: Go ends a thread whose
// goroutine returned locked, so that none comes back to the pool in a foreign namespace.
func (s *Segment) inhabit(ready chan<- error, home int) {
	runtime.LockOSThread()
	defer close(s.over)

	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		ready <- err
	} else {
		ready <- build(home)
	}

	for job := range s.work {
		job()
	}
}

// build makes the switch and what is plugged into it, in the namespace of the calling
// thread: without spanning tree and snooping, so that it passes everything at once.
func build(home int) error {
	snooping := false
	hub := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, TxQLen: -1}, MulticastSnooping: &snooping}

	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: socket, TxQLen: -1}, PeerName: Card, PeerNamespace: netlink.NsFd(home)}

	machine := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: tap}, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}

	for _, link := range []netlink.Link{hub, cable, machine} {
		switch err := netlink.LinkAdd(link); {
		case link == machine && errors.Is(err, os.ErrPermission):
			return fmt.Errorf("opening /dev/net/tun for the machine, which takes root here: %w", err)
		case err != nil:
			return fmt.Errorf("adding %s: %w", link.Attrs().Name, err)
		}
	}

	for _, name := range []string{socket, tap} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetMaster(link, hub)
		}

		if err != nil {
			return fmt.Errorf("plugging %s in: %w", name, err)
		}
	}

	return errors.Join(raise("lo"), raise(bridge), raise(socket), raise(tap))
}

// raise sets a link of the calling thread's namespace up.
func raise(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}

	if err != nil {
		return fmt.Errorf("setting %s up: %w", name, err)
	}

	return nil
}

// inside runs f on the thread in the namespace of the switch.
func (s *Segment) inside(f func() error) error {
	done := make(chan error, 1)
	s.work <- func() { done <- f() }

	return <-done
}

// Close takes the segment down. What runs in it must have ended.
func (s *Segment) Close() error {
	close(s.work)
	<-s.over

	return nil
}

// reside gives the switch itself an address, for who serves there.
func (s *Segment) reside(addr netip.Prefix) error {
	return s.inside(func() error {
		link, err := netlink.LinkByName(bridge)
		if err == nil {
			err = netlink.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{
				IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), addr.Addr().BitLen()),
			}})
		}

		if err != nil {
			return fmt.Errorf("giving the switch the address %s: %w", addr, err)
		}

		return nil
	})
}

// listen opens a UDP socket at the switch.
func (s *Segment) listen(ctx context.Context, open func(ctx context.Context) (*net.UDPConn, error)) (conn *net.UDPConn, err error) {
	err = s.inside(func() error {
		conn, err = open(ctx)

		return err
	})

	return conn, err
}
