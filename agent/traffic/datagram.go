package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"vetting/agent/partner/socket"
	"vetting/agent/wire/load"
)

// Datagrams is what came of a test with UDP.
type Datagrams struct {
	Sent, Came, Bad       uint64
	Reordered, Duplicates uint64
	// Dropped are those that whoever took them had no room for: the network brought them.
	Dropped   uint64
	Jitter    time.Duration
	Bytes     uint64
	Took      time.Duration
	Appliance load.Appliance
}

// Lost are those that the network did not bring.
func (d *Datagrams) Lost() uint64 {
	had := d.Came + d.Dropped + d.Bad
	if had >= d.Sent {
		return 0
	}

	return d.Sent - had
}

// Mbps is how much arrived.
func (d *Datagrams) Mbps() float64 {
	return float64(d.Bytes) * 8 / 1e6 / max(d.Took.Seconds(), 1e-9)
}

// Rate is what a test with UDP is to do.
type Rate struct {
	Down   bool
	For    time.Duration
	Mbps   int
	Packet int // bytes of a datagram
}

const (
	udpRoom = 4 << 20 // bytes of the kernel's buffer that is asked for
	burst   = 64 << 10
	quiet   = 300 * time.Millisecond // without a datagram: nothing is under way any more
)

// dialog is a test with datagrams: a socket for them, and the connection beside it.
type dialog struct {
	c     *Client
	ask   load.Ask
	noise *load.Noise
	line  net.Conn // lines of JSON
	sock  net.Conn // datagrams
}

// converse opens both. The caller hangs up.
func (c *Client) converse(ctx context.Context, ask load.Ask) (*dialog, error) {
	ask.Seed = rand.Uint64() //nolint:gosec // noise, no secret

	line, start, err := c.open(ctx, &ask)
	if err != nil {
		return nil, err
	}

	sock, err := c.Dial(ctx, "udp", port(c.Ticket.Server, start.Port))
	if err != nil {
		_ = line.Close()

		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}

	if udp, ok := sock.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(udpRoom)  // as much as the system lets us have
		_ = udp.SetWriteBuffer(udpRoom) // as above
	}

	return &dialog{c: c, ask: ask, noise: load.NewNoise(ask.Seed, ask.Packet-load.HeadSize), line: line, sock: sock}, nil
}

func (d *dialog) hangUp() {
	_ = d.sock.Close()
	_ = d.line.Close()
}

// finish tells the partner that it is over and hears what it saw.
func (d *dialog) finish(sent uint64) (report load.Report, err error) {
	_ = d.line.SetDeadline(time.Now().Add(4 * d.c.patience())) // a connection that is closed says so below

	if err := load.WriteLine(d.line, load.Finish{Sent: sent}); err != nil {
		return report, err
	}

	return report, load.ReadLine(d.line, &report)
}

// Datagrams sends or takes datagrams at a rate.
func (c *Client) Datagrams(ctx context.Context, r Rate) (out Datagrams, err error) {
	ask := load.Ask{Kind: load.PacketUp, MilliS: max(1, r.For.Milliseconds()), Mbps: r.Mbps, Packet: r.Packet}
	if r.Down {
		ask.Kind = load.PacketDn
	}

	d, err := c.converse(ctx, ask)
	if err != nil {
		return out, err
	}
	defer d.hangUp()

	if r.Down {
		out, err = d.take(ctx, r.For)
	} else {
		out, err = d.send(ctx, r)
	}

	return out, c.because(ctx, err)
}

// send sends at the rate, and makes no bursts of what it is late with.
func (d *dialog) send(ctx context.Context, r Rate) (out Datagrams, err error) {
	packet := make([]byte, r.Packet)
	perSecond := float64(r.Mbps) * 1e6 / 8 / float64(r.Packet)
	begun := time.Now()

	for ctx.Err() == nil {
		gone := time.Since(begun)
		if gone >= r.For {
			break
		}

		due := uint64(gone.Seconds()*perSecond) + 1
		if out.Sent >= due {
			time.Sleep(time.Duration(float64(out.Sent-due+1) / perSecond * float64(time.Second)))

			continue
		}

		for range min(due-out.Sent, max(1, burst/uint64(r.Packet))) {
			copy(packet[load.HeadSize:], d.noise.Put(packet, load.Data, out.Sent, uint64(time.Since(begun)))) //nolint:gosec // never negative

			n, err := d.sock.Write(packet)
			if err != nil {
				return out, fmt.Errorf("sending datagrams: %w", err)
			}

			d.c.moved(n)

			out.Sent++
		}
	}

	took := time.Since(begun)

	report, err := d.finish(out.Sent)
	if err != nil {
		return out, fmt.Errorf("waiting for the partner's report: %w", err)
	}

	out.Came, out.Bad, out.Reordered, out.Duplicates, out.Dropped = report.Frames, report.Bad, report.Reordered, report.Duplicates, report.Dropped
	out.Jitter, out.Bytes, out.Took, out.Appliance = time.Duration(report.JitterUS)*time.Microsecond, report.Bytes, took, report.Appliance

	return out, nil
}

// take takes what the partner sends once it knows where we are.
func (d *dialog) take(ctx context.Context, lasts time.Duration) (out Datagrams, err error) {
	begun := time.Now()
	arrivals := load.NewArrivals(d.noise)
	room := make([]byte, load.MaxPacket+1)
	knock := make([]byte, load.HeadSize)
	first := time.Time{}

	for ctx.Err() == nil && (first.IsZero() || time.Since(first) < lasts) {
		if first.IsZero() {
			if time.Since(begun) > d.c.patience() {
				return out, fmt.Errorf("%w: the partner was asked for datagrams and none came for %v", ErrStalled, d.c.patience())
			}

			load.Head{Kind: load.Knock, Seed: d.ask.Seed}.Put(knock)

			_, _ = d.sock.Write(knock) // again, until something comes
		}

		if d.receive(arrivals, room, begun, quiet) && first.IsZero() {
			first = time.Now()
		}
	}

	for ctx.Err() == nil && time.Since(first) < lasts+4*d.c.patience() && d.receive(arrivals, room, begun, quiet) {
	}

	out.Took = max(time.Since(first)-quiet, time.Millisecond)

	report, err := d.finish(0)
	if err != nil {
		return out, fmt.Errorf("waiting for the partner's report: %w", err)
	}

	out.Sent, out.Appliance = report.Sent, report.Appliance
	out.Came, out.Bad, out.Reordered, out.Duplicates = arrivals.Came, arrivals.Bad, arrivals.Reordered, arrivals.Duplicates
	out.Jitter, out.Bytes, out.Dropped = time.Duration(arrivals.JitterUS())*time.Microsecond, arrivals.Bytes, socket.Dropped(d.sock)

	return out, nil
}

// receive waits for one datagram and reports whether it came.
func (d *dialog) receive(arrivals *load.Arrivals, room []byte, begun time.Time, wait time.Duration) bool {
	_ = d.sock.SetReadDeadline(time.Now().Add(wait)) // a socket that is closed says so below

	n, err := d.sock.Read(room)
	if err != nil {
		return false
	}

	d.c.moved(n)

	return !arrivals.Take(room[:n], uint64(time.Since(begun))) //nolint:gosec // never negative
}

// Echoes are the times that datagrams took there and back.
type Echoes struct {
	Sent  int
	Times []time.Duration // of those that came back, sorted
}

// Quantile is the time that a share of them kept; 0 where none came back.
func (e *Echoes) Quantile(share float64) time.Duration {
	if len(e.Times) == 0 {
		return 0
	}

	return e.Times[min(len(e.Times)-1, int(share*float64(len(e.Times))))]
}

const (
	echoSize = 64
	echoMbps = 10 // what is asked for; far more than is sent
)

// Echo sends a datagram each period and measures how long it takes there and back,
// until the time is over or ctx ends, which is no error.
func (c *Client) Echo(ctx context.Context, lasts, every time.Duration) (out Echoes, err error) {
	d, err := c.converse(ctx, load.Ask{Kind: load.PingPong, MilliS: max(1, (lasts + time.Minute).Milliseconds()), Mbps: echoMbps, Packet: echoSize})
	if err != nil {
		return out, err
	}
	defer d.hangUp()

	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()

	var (
		group sync.WaitGroup
		back  []time.Duration
		begun = time.Now()
		over  = make(chan struct{})
	)

	group.Go(func() { back = d.listen(begun, over) })

	packet := make([]byte, echoSize)
	tick := time.NewTicker(every)

	for ctx.Err() == nil {
		copy(packet[load.HeadSize:], d.noise.Put(packet, load.Echo, uint64(out.Sent), uint64(time.Since(begun)))) //nolint:gosec // never negative

		if _, err = d.sock.Write(packet); err != nil {
			break
		}

		out.Sent++

		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}

	tick.Stop()
	close(over)
	group.Wait()

	if err != nil && !errors.Is(err, net.ErrClosed) {
		return out, fmt.Errorf("sending datagrams: %w", err)
	}

	slices.Sort(back)
	out.Times = back

	_, err = d.finish(uint64(out.Sent)) //nolint:gosec // never negative

	return out, err
}

// listen takes what comes back, until it is over and nothing has come for a while.
func (d *dialog) listen(begun time.Time, over <-chan struct{}) (times []time.Duration) {
	room := make([]byte, load.MaxPacket+1)

	for {
		_ = d.sock.SetReadDeadline(time.Now().Add(quiet)) // a socket that is closed says so below

		n, err := d.sock.Read(room)
		now := time.Since(begun)

		if err != nil {
			select {
			case <-over:
				return times
			default:
				continue
			}
		}

		if head, ok := load.ReadHead(room[:n]); ok && head.Seed == d.ask.Seed && head.Kind == load.Echo && head.Sent <= uint64(now) { //nolint:gosec // never negative
			times = append(times, now-time.Duration(head.Sent)) //nolint:gosec // not more than now
		}
	}
}

func decode(line []byte, into any) error { return json.Unmarshal(line, into) }
