package probe

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/disk"
)

const (
	maxCounters  = 1 << 14 // far more than any driver has
	counterName  = 32      // ETH_GSTRING_LEN
	counterSet   = 1       // ETH_SS_STATS
	maxModule    = 1 << 12 // bytes of a transceiver's memory; drivers show up to 640
	eepromHeader = 16      // struct ethtool_eeprom without its data
)

// Counters returns what the driver of a port counts, by the driver's own names
// (ethtool -S).
func (System) Counters(name string) (map[string]uint64, error) {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("asking for the counters of %s: %w", name, err)
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	names, err := stringSet(sock, name, counterSet)
	if err != nil {
		return nil, fmt.Errorf("asking for the counters of %s: %w", name, err)
	}

	// struct ethtool_stats: command, number, then the values.
	req := make([]byte, 8+8*len(names))
	binary.NativeEndian.PutUint32(req, unix.ETHTOOL_GSTATS)
	binary.NativeEndian.PutUint32(req[4:], uint32(len(names))) //nolint:gosec // bounded in stringSet

	if err := ethtool(sock, name, unsafe.Pointer(&req[0])); err != nil { //nolint:gosec // the ioctl takes a pointer
		return nil, fmt.Errorf("asking for the counters of %s: %w", name, err)
	}

	counters := make(map[string]uint64, len(names))
	for i, name := range names {
		counters[name] = binary.NativeEndian.Uint64(req[8+8*i:])
	}

	return counters, nil
}

// stringSet asks for the names of a set of things that a driver has.
func stringSet(sock int, name string, set uint32) (names []string, err error) {
	info := struct {
		cmd, reserved uint32
		mask          uint64
		count         [2]uint32
	}{cmd: unix.ETHTOOL_GSSET_INFO, mask: 1 << set}

	if err := ethtool(sock, name, unsafe.Pointer(&info)); err != nil { //nolint:gosec // as above
		return nil, err
	}

	count := info.count[0]
	if info.mask == 0 || count == 0 || count > maxCounters {
		return nil, fmt.Errorf("%d names: %w", count, disk.ErrRefused)
	}

	// struct ethtool_gstrings: command, set, number, then the names.
	req := make([]byte, 12+counterName*count)
	binary.NativeEndian.PutUint32(req, unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(req[4:], set)
	binary.NativeEndian.PutUint32(req[8:], count)

	if err := ethtool(sock, name, unsafe.Pointer(&req[0])); err != nil { //nolint:gosec // as above
		return nil, err
	}

	for i := range int(count) {
		names = append(names, fixed(req[12+counterName*i:][:counterName]))
	}

	return names, nil
}

// module reads the memory of the transceiver in a port; nothing when there is
// none, or the driver does not show it.
func module(sock int, name string) []byte {
	memory := oldModule(sock, name)
	if len(memory) == 0 || !isCMIS(memory[0]) {
		if pages := cmisModule(name); pages != nil {
			return pages
		}

		return memory
	}

	memory = memory[:min(len(memory), cmisLength)] // what comes behind it is of no known order
	if len(memory) < cmisLength || cmisBanks(memory) > 1 {
		if pages := cmisModule(name); len(pages) >= len(memory) {
			return pages
		}
	}

	return memory
}

// oldModule reads it all at once, as far as drivers show the later kinds so.
func oldModule(sock int, name string) []byte {
	info := struct {
		cmd, kind, length uint32
		reserved          [8]uint32
	}{cmd: unix.ETHTOOL_GMODULEINFO}

	if err := ethtool(sock, name, unsafe.Pointer(&info)); err != nil || info.length == 0 || info.length > maxModule { //nolint:gosec // as above
		return nil
	}

	// struct ethtool_eeprom: command, magic, offset, length, then the bytes.
	req := make([]byte, eepromHeader+info.length)
	binary.NativeEndian.PutUint32(req, unix.ETHTOOL_GMODULEEEPROM)
	binary.NativeEndian.PutUint32(req[12:], info.length)

	if err := ethtool(sock, name, unsafe.Pointer(&req[0])); err != nil { //nolint:gosec // as above
		return nil
	}

	return req[eepromHeader:]
}

// wakes reports whether a port can wake its machine by a magic packet.
func wakes(sock int, name string) bool {
	const magic = 1 << 5 // WAKE_MAGIC

	info := struct {
		cmd, supported, options uint32
		password                [8]byte
	}{cmd: unix.ETHTOOL_GWOL}

	return ethtool(sock, name, unsafe.Pointer(&info)) == nil && info.supported&magic != 0 //nolint:gosec // as above
}
