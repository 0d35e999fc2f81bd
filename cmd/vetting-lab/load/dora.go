//go:build linux

package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// DORA is a crowd of DHCP clients that get leases in a closed loop: a client
// that has its acknowledgement is followed by the next.
type DORA struct {
	Interface   string        // network interface of the crowd
	Hosts       int           // different MAC addresses: MAC(0) to MAC(Hosts-1)
	Outstanding int           // clients at a time
	Duration    time.Duration // of the measurement
	Retry       time.Duration // silence after which a client asks again
	Once        bool          // end when each host has its lease, or the duration is over
}

// DORAResult is what came of it.
type DORAResult struct {
	Leases   int     `json:"leases"` // DISCOVER, OFFER, REQUEST, ACK each
	Retries  int     `json:"retries"`
	Refused  int     `json:"refused"` // NAKs
	Seconds  float64 `json:"seconds"`
	PerSec   float64 `json:"per_second"`
	OfferP99 float64 `json:"offer_p99_ms"` // from a DISCOVER to its OFFER
}

// MAC is the address of the i-th client, as text.
func MAC(i int) string { return hardware(i).String() }

func hardware(i int) net.HardwareAddr {
	return net.HardwareAddr{0x52, 0x54, 0x01, byte(i >> 16), byte(i >> 8), byte(i)} //nolint:gosec // taken apart
}

// client is one place of the loop. Its transaction id is place<<20 | turn.
type client struct {
	xid   uint32
	mac   net.HardwareAddr
	asked time.Time
	last  []byte // the packet to repeat
}

type crowd struct {
	DORA

	conn    *ipv4.PacketConn
	clients []client
	next    int // host whose turn is next
	begun   int // turns
	offers  []time.Duration
	result  DORAResult
	out     []ipv4.Message
}

// Run measures. The calling machine must not run a DHCP client on the interface.
func (d DORA) Run(ctx context.Context) (DORAResult, error) {
	raw, err := listen(ctx, d.Interface)
	if err != nil {
		return DORAResult{}, err
	}
	defer raw.Close() //nolint:errcheck // nothing is waited for any more

	c := &crowd{DORA: d, conn: ipv4.NewPacketConn(raw), clients: make([]client, d.Outstanding)}
	begin := time.Now()

	for place := range c.clients {
		c.start(place, begin)
	}

	in := make([]ipv4.Message, 64)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}

	for time.Since(begin) < d.Duration && ctx.Err() == nil && (!d.Once || c.result.Leases < d.Hosts) {
		if err := c.turn(in); err != nil {
			return c.result, err
		}
	}

	c.result.Seconds = time.Since(begin).Seconds()
	c.result.PerSec = float64(c.result.Leases) / c.result.Seconds

	if slices.Sort(c.offers); len(c.offers) > 0 {
		c.result.OfferP99 = c.offers[len(c.offers)*99/100].Seconds() * 1000
	}

	return c.result, nil
}

// turn sends what is due and handles what has come.
func (c *crowd) turn(in []ipv4.Message) error {
	for len(c.out) > 0 {
		sent, err := c.conn.WriteBatch(c.out, 0)
		if err != nil {
			return fmt.Errorf("sending to the DHCP server: %w", err)
		}

		c.out = c.out[sent:]
	}

	c.out = nil

	if err := c.conn.SetReadDeadline(time.Now().Add(c.Retry)); err != nil {
		return fmt.Errorf("waiting for the DHCP server: %w", err)
	}

	n, err := c.conn.ReadBatch(in, 0)
	now := time.Now()

	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
	case err != nil:
		return fmt.Errorf("hearing the DHCP server: %w", err)
	}

	for i := range max(n, 0) {
		c.hear(in[i].Buffers[0][:in[i].N], now)
	}

	c.repeat(now)

	return nil
}

func listen(ctx context.Context, name string) (net.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, conn unixConn) (err error) {
		if controlErr := conn.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), //nolint:gosec // a descriptor fits an int; each hears what is broadcast
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
				unix.BindToDevice(int(fd), name),
			)
		}); controlErr != nil {
			return controlErr
		}

		return err
	}}

	conn, err := config.ListenPacket(ctx, "udp4", ":68")
	if err != nil {
		return nil, fmt.Errorf("listening as a DHCP client on %s: %w", name, err)
	}

	return conn, nil
}

// start has the next host ask at a place of the loop.
func (c *crowd) start(place int, now time.Time) {
	at := &c.clients[place]
	c.begun++
	at.mac = hardware(c.next)
	at.xid = uint32(place)<<20 | (at.xid+1)&0xfffff //nolint:gosec // places are few
	c.next = (c.next + 1) % c.Hosts

	c.send(at, message(at.xid, at.mac, discover), now)
}

func (c *crowd) send(at *client, packet []byte, now time.Time) {
	at.asked, at.last = now, packet
	c.out = append(c.out, ipv4.Message{
		Buffers: [][]byte{packet}, Addr: &net.UDPAddr{IP: net.IPv4bcast, Port: 67},
	})
}

// follow has the next host ask, if there is one.
func (c *crowd) follow(place int, now time.Time) {
	if c.Once && c.begun == c.Hosts {
		c.clients[place] = client{xid: c.clients[place].xid, asked: now.Add(time.Hour)} // had its turn

		return
	}

	c.start(place, now)
}

// repeat asks again where there was silence for too long.
func (c *crowd) repeat(now time.Time) {
	for i := range c.clients {
		if at := &c.clients[i]; now.Sub(at.asked) >= c.Retry {
			c.result.Retries++
			c.send(at, at.last, now)
		}
	}
}

// hear handles a packet of the server: an OFFER is requested, an ACK counts.
func (c *crowd) hear(packet []byte, now time.Time) {
	if len(packet) < atOptions || packet[0] != 2 {
		return
	}

	xid := binary.BigEndian.Uint32(packet[atXID:])
	place := int(xid >> 20)

	if place >= len(c.clients) || c.clients[place].xid != xid {
		return // of an earlier turn
	}

	at := &c.clients[place]

	switch kind := option(packet, 53); {
	case len(kind) != 1 || at.last == nil:
	case kind[0] == offer && at.last[atOptions+2] == discover:
		c.offers = append(c.offers, now.Sub(at.asked))
		c.send(at, message(at.xid, at.mac, request, field{50, packet[atYiaddr : atYiaddr+4]}, field{54, option(packet, 54)}), now)
	case kind[0] == ack && at.last[atOptions+2] == request:
		c.result.Leases++
		c.follow(place, now)
	case kind[0] == nak:
		c.result.Refused++
		c.start(place, now)
	}
}
