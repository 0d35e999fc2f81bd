package arp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"

	"vetting/core"
)

const (
	protocol   = 0x0806 // EtherType
	frameLen   = 28     // RFC 826, Ethernet and IPv4
	opRequest  = 1
	hwEthernet = 1
	protoIPv4  = 0x0800
	probes     = 3 // RFC 5227 §1.1
)

// Conn is an ARP socket on one card. Safe for concurrent use.
type Conn struct {
	conn net.PacketConn
	mac  net.HardwareAddr
}

// Open opens the socket. It takes CAP_NET_RAW.
func Open(card *net.Interface) (*Conn, error) {
	conn, err := packet.Listen(card, packet.Datagram, protocol, nil)
	if err != nil {
		return nil, fmt.Errorf("opening arp socket on %s: %w", card.Name, err)
	}

	return &Conn{conn: conn, mac: card.HardwareAddr}, nil
}

// Close closes the socket.
func (c *Conn) Close() error { return c.conn.Close() }

// Probe asks once who has addr, without claiming any address itself. It does
// not block: a probe that cannot be sent is lost.
func (c *Conn) Probe(addr netip.Addr) {
	if addr.Is4() && len(c.mac) == 6 {
		_ = c.send(Probe(c.mac, addr))
	}
}

// Announce tells everybody that addr is ours now, so that those who remember
// another card under it forget that one (RFC 5227 §2.3).
func (c *Conn) Announce(addr netip.Addr) error {
	if err := c.send(announcement(c.mac, addr)); err != nil {
		return fmt.Errorf("announcing %s: %w", addr, err)
	}

	return nil
}

func (c *Conn) send(message []byte) error {
	_, err := c.conn.WriteTo(message, &packet.Addr{HardwareAddr: net.HardwareAddr{255, 255, 255, 255, 255, 255}})

	return err
}

// User finds out whether another machine uses addr, or is about to: it probes
// three times, spread over how long it listens, and returns the first that
// answers, or "". It must not run beside Run. When ctx ends the socket is closed.
func (c *Conn) User(ctx context.Context, addr netip.Addr, listen time.Duration) (core.MAC, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()

	start := time.Now()

	for i := range probes {
		if err := c.send(Probe(c.mac, addr)); err != nil {
			return "", fmt.Errorf("asking who has %s: %w", addr, err)
		}

		mac, err := c.rival(ctx, addr, start.Add(listen*time.Duration(i+1)/probes))
		if mac != "" || err != nil {
			return mac, err
		}
	}

	return "", nil
}

// rival listens until then for another that claims addr.
func (c *Conn) rival(ctx context.Context, addr netip.Addr, until time.Time) (core.MAC, error) {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return "", fmt.Errorf("asking who has %s: %w", addr, err)
	}

	buf := make([]byte, 256)

	for {
		n, _, err := c.conn.ReadFrom(buf)

		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "", nil
		case err != nil:
			return "", fmt.Errorf("asking who has %s: %w", addr, err)
		}

		if mac, ok := Claims(buf[:n], addr); ok && mac != core.MAC(c.mac.String()) {
			return mac, nil
		}
	}
}

// Run calls heard for each address that a machine speaks of as its own, until
// ctx ends, and closes the socket.
func (c *Conn) Run(ctx context.Context, heard func(addr netip.Addr, mac core.MAC, now time.Time)) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()

	buf := make([]byte, 256)

	for {
		n, _, err := c.conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return fmt.Errorf("reading arp: %w", err)
		}

		if addr, mac, ok := Parse(buf[:n]); ok {
			heard(addr, mac, time.Now())
		}
	}
}

// Probe writes an ARP probe for addr: a request whose sender address is all zero.
func Probe(mac net.HardwareAddr, addr netip.Addr) []byte {
	return request(mac, netip.IPv4Unspecified(), addr)
}

// announcement is a request for one's own address.
func announcement(mac net.HardwareAddr, addr netip.Addr) []byte { return request(mac, addr, addr) }

func request(mac net.HardwareAddr, sender, target netip.Addr) []byte {
	b := make([]byte, 0, frameLen)
	b = binary.BigEndian.AppendUint16(b, hwEthernet)
	b = binary.BigEndian.AppendUint16(b, protoIPv4)
	b = append(b, 6, 4)
	b = binary.BigEndian.AppendUint16(b, opRequest)
	b = append(append(b, mac...), sender.AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)

	return append(b, target.AsSlice()...)
}

// Parse returns whose address an ARP message of any kind speaks of as the
// sender's own; ok is false for probes and for what is not ARP for IPv4.
func Parse(b []byte) (addr netip.Addr, mac core.MAC, ok bool) {
	if !readable(b) {
		return addr, "", false
	}

	addr = netip.AddrFrom4([4]byte(b[14:18]))

	return addr, sender(b), !addr.IsUnspecified()
}

// Claims reports whether the sender of an ARP message has addr, or probes for it
// because it wants it (RFC 5227 §2.1.1).
func Claims(b []byte, addr netip.Addr) (mac core.MAC, ok bool) {
	if !readable(b) || !addr.Is4() {
		return "", false
	}

	from, about := netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	wants := from.IsUnspecified() && about == addr && binary.BigEndian.Uint16(b[6:]) == opRequest

	return sender(b), from == addr || wants
}

func readable(b []byte) bool {
	return len(b) >= frameLen && binary.BigEndian.Uint16(b) == hwEthernet && binary.BigEndian.Uint16(b[2:]) == protoIPv4 && b[4] == 6 && b[5] == 4
}

func sender(b []byte) core.MAC { return core.MAC(net.HardwareAddr(b[8:14]).String()) }
