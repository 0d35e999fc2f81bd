package partner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"vetting/agent/partner/socket"
	"vetting/agent/wire/load"
)

const (
	udpRoom = 4 << 20 // bytes of the kernel's buffer that is asked for
	burst   = 64 << 10
	quiet   = 300 * time.Millisecond // without a datagram: nothing is under way any more
)

// exchange is a test with datagrams.
type exchange struct {
	*flow
	p     *Partner
	sock  *net.UDPConn
	noise *load.Noise
	sent  uint64
	over  atomic.Bool // the machine has sent all
}

// listenUDP opens a socket at the address that a connection came to.
func (p *Partner) listenUDP(ctx context.Context, local *net.TCPAddr) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: socket.Through(p.Port)}

	sock, err := config.ListenPacket(ctx, "udp", (&net.UDPAddr{IP: local.IP, Zone: local.Zone}).String())
	if err != nil {
		return nil, err
	}

	udp, ok := sock.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("listening on %s: not UDP", local)
	}

	return udp, nil
}

// datagrams sends, takes or returns datagrams by a socket of this test alone, until the
// machine says that it is over. It speaks to the machine's own address and to no other.
func (p *Partner) datagrams(ctx context.Context, f *flow) error {
	local, ok := f.conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("exchanging datagrams on %s: not TCP", f.conn.LocalAddr())
	}

	sock, err := p.listenUDP(ctx, local)
	if err != nil {
		return errors.Join(err, load.WriteLine(f.conn, load.Start{Refused: "The appliance has no UDP port left; try again."}))
	}
	defer sock.Close() //nolint:errcheck // nothing is left in it

	_ = sock.SetReadBuffer(udpRoom)  // as much as the system lets us have
	_ = sock.SetWriteBuffer(udpRoom) // as above

	x := &exchange{flow: f, p: p, sock: sock, noise: load.NewNoise(f.ask.Seed, f.ask.Packet-load.HeadSize)}

	port, _ := netip.ParseAddrPort(sock.LocalAddr().String())
	if err := load.WriteLine(f.conn, load.Start{Port: int(port.Port())}); err != nil {
		return err
	}

	last := time.Now().Add(f.ask.Time() + slack)
	_ = sock.SetDeadline(last)   // a socket that is closed says so when used
	_ = f.conn.SetDeadline(last) // as above

	return x.run(ctx)
}

// run works until the machine ends the test.
func (x *exchange) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	arrivals := load.NewArrivals(x.noise)
	x.begun, x.before = time.Now(), x.p.gauge(x.ticket)

	var (
		group sync.WaitGroup
		fault error
	)

	group.Go(func() {
		if fault = x.work(ctx, arrivals); fault != nil {
			_ = x.conn.Close()
		}
	})

	var finish load.Finish

	err := load.ReadLine(x.conn, &finish)

	cancel()
	x.drain()
	group.Wait()

	if err := errors.Join(fault, err); err != nil {
		return err
	}

	direction := incoming
	if x.ask.Kind == load.PacketDn {
		direction = outgoing
	}

	return load.WriteLine(x.conn, load.Report{
		Frames: arrivals.Came, Bad: arrivals.Bad, Bytes: arrivals.Bytes, TookNS: time.Since(x.begun).Nanoseconds(), Sent: x.sent,
		Reordered: arrivals.Reordered, Duplicates: arrivals.Duplicates, Dropped: socket.Dropped(x.sock), JitterUS: arrivals.JitterUS(),
		Appliance: x.p.side(x.flow, direction),
	})
}

// drain lets what is still under way be read, until nothing has come for a while.
func (x *exchange) drain() {
	x.over.Store(true)

	_ = x.sock.SetReadDeadline(time.Now().Add(quiet)) // who reads now waits for so long
}

// await sets how long the next datagram is waited for, once all are sent.
func (x *exchange) await(last time.Time) {
	if x.over.Load() {
		_ = x.sock.SetReadDeadline(soonest(last, time.Now().Add(quiet))) // a socket that is closed says so when read
	}
}

// work takes datagrams, and after the first one sends them where that is asked for.
func (x *exchange) work(ctx context.Context, arrivals *load.Arrivals) error {
	machine, _ := netip.ParseAddr(hostOf(x.conn.RemoteAddr()))
	room := make([]byte, load.MaxPacket+1)

	var sender sync.WaitGroup
	defer sender.Wait()

	known := netip.AddrPort{}
	last := time.Now().Add(x.ask.Time() + slack)

	for {
		x.await(last)

		n, from, err := x.sock.ReadFromUDPAddrPort(room)

		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed):
			return nil // it is over, and what was seen of it is in the report
		case err != nil:
			return fmt.Errorf("taking datagrams: %w", err)
		case from.Addr().Unmap() != machine.Unmap() || known.IsValid() && from != known:
			continue
		}

		head, ok := load.ReadHead(room[:n])
		if ok && head.Seed != x.ask.Seed {
			continue
		}

		x.ticket.moved[incoming].Add(uint64(n)) //nolint:gosec // never negative

		switch {
		case x.ask.Kind == load.PacketUp:
			arrivals.Take(room[:n], uint64(time.Since(x.begun))) //nolint:gosec // never negative
		case !ok:
		case x.ask.Kind == load.PingPong && head.Kind == load.Echo:
			known = from

			if _, err := x.sock.WriteToUDPAddrPort(room[:n], from); err == nil {
				x.sent++
				x.ticket.moved[outgoing].Add(uint64(n)) //nolint:gosec // never negative
			}
		case x.ask.Kind == load.PacketDn && head.Kind == load.Knock && !known.IsValid():
			known = from

			sender.Go(func() { x.send(ctx, from) })
		}
	}
}

// send sends datagrams at the rate asked for, for the time asked for.
func (x *exchange) send(ctx context.Context, to netip.AddrPort) {
	packet := make([]byte, x.ask.Packet)
	begun := time.Now()
	perSecond := float64(x.ask.Mbps) * 1e6 / 8 / float64(x.ask.Packet)

	for ctx.Err() == nil {
		gone := time.Since(begun)
		if gone >= x.ask.Time() {
			return
		}

		due := uint64(gone.Seconds()*perSecond) + 1
		if x.sent >= due {
			time.Sleep(time.Duration(float64(x.sent-due+1) / perSecond * float64(time.Second)))

			continue
		}

		// What could not be sent in time is not made up for in one go: that would be a
		// burst of our own making, and lost for it.
		most := max(1, burst/uint64(x.ask.Packet))
		for range min(due-x.sent, most) {
			copy(packet[load.HeadSize:], x.noise.Put(packet, load.Data, x.sent, uint64(time.Since(begun)))) //nolint:gosec // never negative

			if _, err := x.sock.WriteToUDPAddrPort(packet, to); err != nil {
				return
			}

			x.sent++
			x.ticket.moved[outgoing].Add(uint64(x.ask.Packet))
		}
	}
}
