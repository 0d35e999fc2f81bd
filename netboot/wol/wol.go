// Package wol wakes hosts with magic packets on the boot NIC.
package wol

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/mdlayher/wol"
	"golang.org/x/sys/unix"

	"vetting/core"
)

// A round is three packets 200 ms apart to each of the two customary ports.
const (
	packets = 3
	pause   = 200 * time.Millisecond
)

// Waker sends magic packets out of one NIC. Safe for concurrent use.
type Waker struct{ Interface string }

// Wake broadcasts one round of magic packets for the host's primary MAC on UDP
// ports 9 and 7, out of the NIC only. It returns when they are out, or ctx ends.
func (w Waker) Wake(ctx context.Context, host core.Host) error {
	mac, err := net.ParseMAC(string(host.MAC))
	if err != nil {
		return fmt.Errorf("reading the address of %s: %w", host.Name, err)
	}

	packet, err := (&wol.MagicPacket{Target: mac}).MarshalBinary()
	if err != nil {
		return fmt.Errorf("writing the magic packet for %s: %w", host.MAC, err)
	}

	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return bind(raw, w.Interface) }}

	conn, err := config.ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return fmt.Errorf("opening a socket on %s: %w", w.Interface, err)
	}

	err = send(ctx, conn, packet)

	return errors.Join(err, conn.Close())
}

// bind ties the socket to the NIC, so that nothing leaves by another one.
func bind(raw syscall.RawConn, nic string) error {
	var fault error

	err := raw.Control(func(fd uintptr) {
		fault = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1), //nolint:gosec // descriptors are small
			unix.BindToDevice(int(fd), nic),                                    //nolint:gosec // likewise
		)
	})

	return errors.Join(err, fault)
}

func send(ctx context.Context, conn net.PacketConn, packet []byte) error {
	for i := range packets {
		if i > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}

		for _, port := range []int{9, 7} {
			if _, err := conn.WriteTo(packet, &net.UDPAddr{IP: net.IPv4bcast, Port: port}); err != nil {
				return fmt.Errorf("sending the magic packet: %w", err)
			}
		}
	}

	return nil
}
