//go:build linux

package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Frame is an Ethernet frame seen on a port, and when.
type Frame struct {
	At   time.Time
	Data []byte
}

// Watch hands every frame that enters the switch on a port (a guest's tap, or
// "p-<role>" of a station) to each, until ctx ends. Of TCP it shows only what
// opens a connection or carries a request (SYN or PSH), to stay out of the way
// of a download.
func (s *Segment) watch(ctx context.Context, port string, each func(Frame)) error {
	var socket *os.File

	err := s.wire.Do(func() (err error) {
		socket, err = openTap(port)

		return err
	})
	if err != nil {
		return fmt.Errorf("watching port %s: %w", port, err)
	}

	context.AfterFunc(ctx, func() {
		_ = socket.Close() //nolint:errcheck // ends the reader
	})

	go func() {
		buffer := make([]byte, 64<<10)

		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return // closed, or the port is gone
			}

			each(Frame{At: time.Now(), Data: append([]byte(nil), buffer[:n]...)})
		}
	}()

	return nil
}

// openTap opens a packet socket on a port of the calling thread's namespace that
// hears what comes in there (packet(7)).
func openTap(port string) (*os.File, error) {
	link, err := net.InterfaceByName(port)
	if err != nil {
		return nil, err
	}

	// Protocol 0 hears nothing until bound: no frame slips in before the filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}

	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		attach(fd),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: link.Index}),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}

	return os.NewFile(uintptr(fd), "packet:"+port), nil
}

// swap is htons.
func swap(n uint16) uint16 { return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n)) }

// attach sets the filter: everything but IPv4 TCP segments with neither SYN nor PSH.
func attach(fd int) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 23, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 3},
		bpf.LoadMemShift{Off: 14},
		bpf.LoadIndirect{Off: 14 + 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x0a, SkipTrue: 1},
		bpf.RetConstant{Val: 64 << 10},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}

	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}

	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}) //nolint:gosec // nine instructions
}
