package lldp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Listen waits until a port's neighbour announces itself, which switches do every 30 s,
// or ctx ends.
func Listen(ctx context.Context, port string) (Neighbour, error) {
	face, err := net.InterfaceByName(port)
	if err != nil {
		return Neighbour{}, fmt.Errorf("listening on %s: %w", port, err)
	}

	kind := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))

	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(kind))
	if err != nil {
		return Neighbour{}, fmt.Errorf("listening on %s: %w", port, err)
	}

	sock := os.NewFile(uintptr(fd), "lldp")
	defer sock.Close() //nolint:errcheck // nothing was written

	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind, Ifindex: face.Index}); err != nil {
		return Neighbour{}, fmt.Errorf("listening on %s: %w", port, err)
	}

	// The groups that bridges do not forward: nearest bridge, nearest non-TPMR bridge,
	// nearest customer bridge.
	for _, last := range []byte{0x0e, 0x03, 0x00} {
		group := unix.PacketMreq{Ifindex: int32(face.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6, Address: [8]uint8{0x01, 0x80, 0xc2, 0, 0, last}} //nolint:gosec // an interface index is small
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &group); err != nil {
			return Neighbour{}, fmt.Errorf("listening on %s: %w", port, err)
		}
	}

	stop := context.AfterFunc(ctx, func() { _ = sock.Close() })
	defer stop()

	frame := make([]byte, 2048)

	for {
		n, err := sock.Read(frame)
		if err != nil {
			if ctx.Err() != nil {
				return Neighbour{}, ctx.Err()
			}

			return Neighbour{}, fmt.Errorf("listening on %s: %w", port, err)
		}

		if heard, ok := Parse(frame[:n]); ok {
			return heard, nil
		}
	}
}
