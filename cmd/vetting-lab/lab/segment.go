//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const bridgeName = "br0"

// Segment is an Ethernet segment of its own: a bridge in a namespace ("wire"),
// into which stations (namespaces) and guests (taps) are plugged. It stands for
// the appliance's dedicated port and the switch behind it.
type Segment struct {
	prefix   string // vt<pid>-<n>-, for the names of namespaces
	dir      string // scratch files, removed by Close
	wire     *Namespace
	mu       sync.Mutex // guards the rest
	stations []*Station
	taps     int
}

// Station is a machine on the segment that is no guest: a namespace with one
// port, NIC.
type Station struct {
	*Namespace
	role string
}

// NIC is the name of a station's port inside its namespace.
const NIC = "test0"

// OpenSegment sweeps up after dead labs and makes a new segment. The process
// must be root. The caller closes it.
func OpenSegment() (*Segment, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the lab makes network namespaces: run it as root")
	}

	if err := sweep(); err != nil {
		return nil, err
	}

	dir, err := os.MkdirTemp("", scratchPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, fmt.Errorf("making the lab's scratch directory: %w", err)
	}

	s := &Segment{prefix: freePrefix(), dir: dir}

	if s.wire, err = openNamespace(s.prefix + "wire"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	if err := s.wire.Do(makeBridge); err != nil {
		return nil, errors.Join(err, s.Close())
	}

	return s, nil
}

// freePrefix is the start of the names of this process's next segment:
// vt<pid>-<n>-.
func freePrefix() string {
	for n := 0; ; n++ {
		prefix := fmt.Sprintf("%s%x-%d-", namespacePrefix, os.Getpid(), n)
		if len(glob(filepath.Join(namespaceDir, prefix+"*"))) == 0 {
			return prefix
		}
	}
}

// makeBridge makes the switch: no spanning tree, and no snooping, so that the
// multicast of router solicitation passes from the first second.
func makeBridge() error {
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, TxQLen: -1}, MulticastSnooping: &snooping}

	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("adding bridge: %w", err)
	}

	return raise(bridgeName)
}

// Dir is a scratch directory that goes with the segment.
func (s *Segment) Dir() string { return s.dir }

// Station plugs a new station into the segment, with addr on its port.
func (s *Segment) Station(role string, addr netip.Prefix) (*Station, error) {
	space, err := openNamespace(s.prefix + role)
	if err != nil {
		return nil, err
	}

	station := &Station{Namespace: space, role: role}
	s.keep(station)

	if err := s.plug(station); err != nil {
		return nil, err
	}

	return station, station.SetAddress(addr)
}

// SetAddress adds an address (none when it is invalid) to the station's port and
// sets the port up.
func (s *Station) SetAddress(addr netip.Prefix) error {
	return s.Do(func() error { return address(NIC, addr) })
}

func (s *Segment) keep(station *Station) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.stations = append(s.stations, station)
}

// plug lays a cable (veth) from the bridge to the station.
func (s *Segment) plug(station *Station) error {
	return s.wire.Do(func() error {
		target, err := netnsFd(station.name)
		if err != nil {
			return err
		}
		defer target.Close() //nolint:errcheck // a descriptor that was only read

		port := "p-" + station.role
		cable := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: port, TxQLen: -1},
			PeerName:      NIC,
			PeerNamespace: netlink.NsFd(int(target)),
		}

		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("laying a cable to %s: %w", station.role, err)
		}

		return enslave(port)
	})
}

// enslave puts a link into the bridge and sets it up.
func enslave(name string) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("finding the bridge: %w", err)
	}

	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}

	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("plugging %s into the bridge: %w", name, err)
	}

	return raise(name)
}

// address gives a port of the calling thread's namespace its address and sets it
// up.
func address(port string, addr netip.Prefix) error {
	link, err := netlink.LinkByName(port)
	if err != nil {
		return fmt.Errorf("finding port %s: %w", port, err)
	}

	if addr.IsValid() {
		network := &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), addr.Addr().BitLen())}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: network}); err != nil {
			return fmt.Errorf("giving port %s %s: %w", port, addr, err)
		}
	}

	return raise(port)
}

// SetMAC changes the hardware address of the station's port.
func (s *Station) SetMAC(mac net.HardwareAddr) error {
	return s.Do(func() error {
		link, err := netlink.LinkByName(NIC)
		if err != nil {
			return fmt.Errorf("finding the station's port: %w", err)
		}

		return netlink.LinkSetHardwareAddr(link, mac)
	})
}

// tap makes a port for a guest and returns its name.
func (s *Segment) tap() (string, error) {
	return s.port(netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR)
}

// socket makes a port for a wire, and returns the end that is to be read and written:
// a frame at a time, as it is on the wire.
func (s *Segment) socket() (name string, end *os.File, err error) {
	if name, err = s.port(netlink.TUNTAP_NO_PI); err != nil {
		return name, nil, err
	}

	err = s.wire.Do(func() error {
		request, err := unix.NewIfreq(name)
		if err != nil {
			return fmt.Errorf("naming port %s: %w", name, err)
		}

		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)

		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("opening port %s: %w", name, err)
		}

		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return errors.Join(fmt.Errorf("opening port %s: %w", name, err), unix.Close(fd))
		}

		end = os.NewFile(uintptr(fd), name) //nolint:gosec // a descriptor

		return nil
	})

	return name, end, err
}

// port makes a port of the switch that a program is behind.
func (s *Segment) port(flags netlink.TuntapFlag) (string, error) {
	s.mu.Lock()
	name := "tap" + strconv.Itoa(s.taps)
	s.taps++
	s.mu.Unlock()

	return name, s.wire.Do(func() error {
		tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP, Flags: flags}

		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("making a port for a guest: %w", err)
		}

		return enslave(name)
	})
}

// untap removes a guest's port.
func (s *Segment) untap(name string) error {
	return s.wire.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("finding link %s: %w", name, err)
		}

		return netlink.LinkDel(link)
	})
}

// Close removes the namespaces, the links in them and the scratch directory.
// What runs in them must have ended.
func (s *Segment) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	var faults []error
	for _, station := range s.stations {
		faults = append(faults, station.close())
	}

	s.stations = nil
	faults = append(faults, s.wire.close(), os.RemoveAll(s.dir))

	return errors.Join(faults...)
}
