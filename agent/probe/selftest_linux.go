package probe

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/disk"
)

const (
	selfTestSet     = 0  // ETH_SS_TEST
	selfTestHead    = 16 // struct ethtool_test without its data
	selfTestOffline = 1 << 0
	selfTestFailed  = 1 << 1
)

// SelfTest has a driver test its port (ethtool -t, ETHTOOL_TEST). Offline the link is
// taken down for some seconds, and registers, memory, interrupts and a loop in the port
// are tested; else only what does not disturb. It fails with disk.ErrRefused where the
// driver has no tests.
func (System) SelfTest(name string, offline bool) (PortTest, error) {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return PortTest{}, fmt.Errorf("testing %s: %w", name, err)
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	names, err := stringSet(sock, name, selfTestSet)
	if err != nil {
		return PortTest{}, fmt.Errorf("asking for the self-tests of %s: %w: %w", name, disk.ErrRefused, err)
	}

	// struct ethtool_test: command, flags, reserved, number, then the results.
	req := make([]byte, selfTestHead+8*len(names))
	binary.NativeEndian.PutUint32(req, unix.ETHTOOL_TEST)
	binary.NativeEndian.PutUint32(req[12:], uint32(len(names))) //nolint:gosec // bounded in stringSet

	if offline {
		binary.NativeEndian.PutUint32(req[4:], selfTestOffline)
	}

	if err := ethtool(sock, name, unsafe.Pointer(&req[0])); err != nil { //nolint:gosec // the ioctl takes a pointer
		return PortTest{}, fmt.Errorf("testing %s: %w", name, err)
	}

	results := make([]uint64, len(names))
	for i := range results {
		results[i] = binary.NativeEndian.Uint64(req[selfTestHead+8*i:])
	}

	return NewPortTest(names, results, binary.NativeEndian.Uint32(req[4:])&selfTestFailed != 0), nil
}
