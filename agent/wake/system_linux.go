package wake

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System asks the running kernel's drivers.
type System struct{}

// interfaceRequest is struct ifreq with a pointer, on 64-bit Linux.
type interfaceRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// WoL implements [Port]. A driver that knows of no waking is ErrUnsupported.
func (System) WoL(name string, s *Setting) error {
	if len(name) >= unix.IFNAMSIZ {
		return unix.EINVAL
	}

	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	req := interfaceRequest{data: unsafe.Pointer(s)} //nolint:gosec // the ioctl takes a pointer
	copy(req.name[:], name)

	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(sock), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))) //nolint:gosec // as above
	runtime.KeepAlive(s)

	switch {
	case errno == 0:
		return nil
	case errors.Is(errno, unix.EOPNOTSUPP):
		return ErrUnsupported
	default:
		return errno
	}
}
