//go:build linux

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// Lease gets one lease for mac on a network interface and returns its address.
// It asks every second until ctx ends.
func Lease(ctx context.Context, name string, mac net.HardwareAddr) (netip.Addr, error) {
	conn, err := listen(ctx, name)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close() //nolint:errcheck // nothing is waited for any more

	one := solo{conn: conn, mac: mac}

	for ctx.Err() == nil {
		offered, err := one.ask(ctx, discover, offer)
		if err != nil {
			return netip.Addr{}, err
		}

		addr := offered[atYiaddr : atYiaddr+4]

		given, err := one.ask(ctx, request, ack, field{50, addr}, field{54, option(offered, 54)})
		if err != nil {
			return netip.Addr{}, err
		}

		if given != nil {
			return netip.AddrFrom4([4]byte(given[atYiaddr : atYiaddr+4])), nil
		}
	}

	return netip.Addr{}, ctx.Err()
}

// solo is one client.
type solo struct {
	conn net.PacketConn
	mac  net.HardwareAddr
	xid  uint32
}

// ask sends a message, again every second, until an answer of the kind wanted
// comes; nil when the answer is no (NAK).
func (s *solo) ask(ctx context.Context, kind, wanted byte, more ...field) ([]byte, error) {
	s.xid++
	packet := message(s.xid, s.mac, kind, more...)

	for ctx.Err() == nil {
		if _, err := s.conn.WriteTo(packet, &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			return nil, fmt.Errorf("asking for a lease: %w", err)
		}

		answer, err := s.hear(time.Now().Add(time.Second))

		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return nil, fmt.Errorf("waiting for a lease: %w", err)
		case bytes.Equal(option(answer, 53), []byte{wanted}):
			return answer, nil
		case bytes.Equal(option(answer, 53), []byte{nak}):
			return nil, nil
		}
	}

	return nil, fmt.Errorf("no answer to a DHCP message of type %d for %s: %w", kind, s.mac, ctx.Err())
}

// hear returns the next packet that is for us.
func (s *solo) hear(deadline time.Time) ([]byte, error) {
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}

	for buffer := make([]byte, 1500); ; {
		n, _, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return nil, err
		}

		if n >= atOptions && buffer[0] == 2 && bytes.Equal(buffer[atChaddr:atChaddr+6], s.mac) {
			return buffer[:n], nil
		}
	}
}
