package nic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vetting/core"
)

const receiveBuffer = 4 << 20 // a storm of hosts arrives faster than it is read

// ListenUDP opens a UDP socket on port that hears only what arrives on the card
// named iface. It is not shared: when another program has the port on that card,
// the error names it.
func ListenUDP(ctx context.Context, iface string, port uint16) (*net.UDPConn, error) {
	return listenUDP(ctx, iface, "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port))
}

// ListenUDP6 does the same for IPv6, and for IPv6 alone.
func ListenUDP6(ctx context.Context, iface string, port uint16) (*net.UDPConn, error) {
	return listenUDP(ctx, iface, "udp6", netip.AddrPortFrom(netip.IPv6Unspecified(), port))
}

func listenUDP(ctx context.Context, iface, network string, addr netip.AddrPort) (*net.UDPConn, error) {
	port := addr.Port()
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error {
			return errors.Join(
				unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, iface),
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer),
			)
		})
	}}

	conn, err := lc.ListenPacket(ctx, network, addr.String())
	if err != nil {
		return nil, explain(err, strings.TrimSuffix(network, "4"), port)
	}

	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("listening on udp port %d: got a %T", port, conn)
	}

	return udp, nil
}

// ListenTCP opens a TCP listener on addr that hears only the card named iface.
func ListenTCP(ctx context.Context, iface string, addr netip.AddrPort) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: Bind(iface)}

	ln, err := lc.Listen(ctx, "tcp4", addr.String())
	if err != nil {
		return nil, explain(err, "tcp", addr.Port())
	}

	return ln, nil
}

// Bind returns a Control function for sockets that hear and speak only on the
// card named iface.
func Bind(iface string) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error { return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, iface) })
	}
}

// Set sets an option of a socket that is open.
func Set(raw syscall.RawConn, level, option, value int) error {
	return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, level, option, value) })
}

// control runs set on a socket. Its error is read after Control has returned:
// an argument list may read it before.
func control(raw syscall.RawConn, set func(fd int) error) error {
	var fault error

	if err := raw.Control(func(fd uintptr) { fault = set(int(fd)) }); err != nil {
		return fmt.Errorf("reaching the socket: %w", err)
	}

	return fault
}

// explain turns the errors of opening a socket into sentences that help.
func explain(err error, network string, port uint16) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return core.NewProblem(core.ErrConflict, "netboot/port-taken",
			fmt.Sprintf("%s port %d is already in use%s; stop that program or choose another network card", network, port, holders(network, port)))
	case errors.Is(err, os.ErrPermission):
		return Missing("opening " + network + " port " + strconv.Itoa(int(port)))
	default:
		return fmt.Errorf("listening on %s port %d: %w", network, port, err)
	}
}
