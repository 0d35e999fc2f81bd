package socket

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Resent says how many segments with data TCP has sent, and how many of them again
// (struct tcp_info).
func Resent(conn net.Conn) (segments, retransmits uint64) {
	withSocket(conn, func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			segments, retransmits = uint64(info.Data_segs_out), uint64(info.Total_retrans)
		}
	})

	return segments, retransmits
}

// Dropped says how many datagrams the kernel had no room for in a socket (SO_MEMINFO,
// the last of its nine numbers).
func Dropped(conn net.Conn) (n uint64) {
	withSocket(conn, func(fd int) {
		var info [9]uint32

		size := uint32(unsafe.Sizeof(info))

		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // the call takes pointers
		if errno == 0 && size == uint32(unsafe.Sizeof(info)) {
			n = uint64(info[8])
		}
	})

	return n
}

func withSocket(conn net.Conn, do func(fd int)) {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return
	}

	if control, err := raw.SyscallConn(); err == nil {
		_ = control.Control(func(fd uintptr) { do(int(fd)) }) // a closed socket tells nothing
	}
}

// Through keeps a socket to a port, whatever the routes say (SO_BINDTODEVICE, socket(7)).
// It is for Control of a net.Dialer and of a net.ListenConfig; an empty name keeps it to
// none.
func Through(name string) func(network, addr string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) (err error) {
		if name == "" {
			return nil
		}

		if told := raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), name) }); told != nil {
			return told
		}

		return err
	}
}
