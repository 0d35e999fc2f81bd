package probe

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Blink has a driver blink the lights of its port for some seconds (ethtool -p,
// ETHTOOL_PHYS_ID), and returns when they are over.
func (System) Blink(name string, seconds uint32) error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("blinking %s: %w", name, err)
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	// struct ethtool_value: command, data. None at all would blink for ever.
	req := [2]uint32{unix.ETHTOOL_PHYS_ID, max(1, seconds)}
	if err := ethtool(sock, name, unsafe.Pointer(&req[0])); err != nil { //nolint:gosec // the ioctl takes a pointer
		return fmt.Errorf("blinking %s: %w", name, err)
	}

	return nil
}
