package ra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"vetting/netboot/nic"
)

const (
	solicitation  = 133
	advertisement = 134
	hopLimit      = 255 // RFC 4861 §6.1.1: anything else has come through a router
	minLen        = 8
)

// Conn answers solicitations on one card.
type Conn struct {
	card *net.Interface
	conn *ipv6.PacketConn
	raw  net.PacketConn
}

// ErrNoIPv6 says that the card has no IPv6 and cannot answer.
var ErrNoIPv6 = errors.New("no ipv6 on this card")

// Open opens the socket. It takes CAP_NET_RAW. ErrNoIPv6 where the kernel or the
// card has IPv6 turned off.
func Open(ctx context.Context, card *net.Interface) (*Conn, error) {
	lc := net.ListenConfig{Control: nic.Bind(card.Name)}

	raw, err := lc.ListenPacket(ctx, "ip6:ipv6-icmp", "::")
	if err != nil {
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil, fmt.Errorf("listening for router solicitations on %s: %w", card.Name, ErrNoIPv6)
		}

		return nil, fmt.Errorf("listening for router solicitations on %s: %w", card.Name, err)
	}

	c := &Conn{card: card, raw: raw, conn: ipv6.NewPacketConn(raw)}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for router solicitations on %s: %w", card.Name, err), raw.Close())
	}

	return c, nil
}

func (c *Conn) prepare() error {
	var filter ipv6.ICMPFilter

	filter.SetAll(true)
	filter.Accept(ipv6.ICMPType(solicitation))

	err := c.conn.JoinGroup(c.card, &net.IPAddr{IP: net.IPv6linklocalallrouters})
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
		err = errors.Join(ErrNoIPv6, err)
	}

	return errors.Join(
		err,
		c.conn.SetICMPFilter(&filter),
		c.conn.SetControlMessage(ipv6.FlagHopLimit, true),
		c.conn.SetMulticastInterface(c.card),
		c.conn.SetMulticastHopLimit(hopLimit),
		c.conn.SetMulticastLoopback(false),
		c.conn.SetHopLimit(hopLimit),
		c.conn.SetChecksum(true, 2), // the kernel fills it in
	)
}

// Run answers until ctx ends, and closes the socket.
func (c *Conn) Run(ctx context.Context, log *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	defer stop()

	answer := Advertisement(c.card.HardwareAddr)
	buf := make([]byte, 1500)

	for {
		n, cm, from, err := c.conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return fmt.Errorf("reading router solicitations: %w", err)
		}

		if cm == nil || cm.HopLimit != hopLimit || !Solicitation(buf[:n]) {
			continue
		}

		if err := c.send(answer, from); err != nil {
			log.Debug("a router advertisement could not be sent", slog.String("error", err.Error()))
		}
	}
}

// send answers the asker, or all nodes when it has no address yet.
func (c *Conn) send(answer []byte, from net.Addr) error {
	to, ok := from.(*net.IPAddr)
	if !ok || to.IP.IsUnspecified() {
		to = &net.IPAddr{IP: net.IPv6linklocalallnodes}
	}

	to.Zone = c.card.Name

	if err := c.raw.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("setting deadline: %w", err)
	}

	// A router speaks from its link-local address, or is not heard (RFC 4861 §6.1.2); the
	// kernel would take a better one that the card has.
	how := &ipv6.ControlMessage{IfIndex: c.card.Index, HopLimit: hopLimit}
	if self, ok := nic.LinkLocal(c.card); ok {
		how.Src = self.AsSlice()
	}

	if _, err := c.conn.WriteTo(answer, how, to); err != nil {
		return fmt.Errorf("sending router advertisement to %s: %w", to, err)
	}

	return nil
}

// Solicitation reports whether b is a valid Router Solicitation (RFC 4861 §6.1.1;
// hop limit and checksum are checked before).
func Solicitation(b []byte) bool {
	if len(b) < minLen || b[0] != solicitation || b[1] != 0 {
		return false
	}

	for opts := b[minLen:]; len(opts) > 0; {
		if len(opts) < 8 || opts[1] == 0 || len(opts) < 8*int(opts[1]) {
			return false
		}

		opts = opts[8*int(opts[1]):]
	}

	return true
}

// Advertisement writes a Router Advertisement of a router that routes nothing
// (RFC 4861 §4.2), with our link-layer address.
func Advertisement(mac net.HardwareAddr) []byte {
	b := []byte{
		advertisement, 0, 0, 0, // checksum by the kernel
		64, 0, 0, 0, // hop limit; M=O=0; router lifetime 0
		0, 0, 0, 0, 0, 0, 0, 0, // reachable time, retransmission timer: unspecified
	}

	if len(mac) == 6 {
		b = append(append(b, 1, 1), mac...) // source link-layer address
	}

	return b
}
