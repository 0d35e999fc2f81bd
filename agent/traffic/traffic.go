package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/agent/partner/socket"
	"vetting/agent/wire/load"
)

// Ticket lets us use the partner; see wire.TrafficReply.
type Ticket struct {
	ID, Key string
	Server  netip.AddrPort
}

// Client tests one port. Its fields are not changed once it is used. Safe for
// concurrent use.
type Client struct {
	Ticket Ticket
	// Dial opens a connection or a UDP socket to the partner through the port under test.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Patience is how long nothing may move; 0 is 15 s.
	Patience time.Duration
	// Stat reads /proc/stat; nil: nobody knows how busy the machine's CPUs are.
	Stat func() ([]byte, error)
	// Moved is told of bytes as they move, from several goroutines; optional.
	Moved func(bytes int)
}

// What a test may fail by, besides the errors of sockets.
var (
	// ErrStalled: the connection is there and nothing moves.
	ErrStalled = errors.New("nothing moves any more")
	// ErrRefused: the partner does not want to.
	ErrRefused = errors.New("the partner refuses")
	// ErrGarbled: what the partner says makes no sense.
	ErrGarbled = errors.New("the partner's answer is garbled")
)

// Stream is what came of one stream of TCP.
type Stream struct {
	Frames, Bad, FirstBad uint64
	Bytes                 uint64
	Took                  time.Duration
	Segments, Retransmits uint64 // by whoever sent
	Appliance             load.Appliance
}

// Mbps is how fast it went.
func (s *Stream) Mbps() float64 { return float64(s.Bytes) * 8 / 1e6 / max(s.Took.Seconds(), 1e-9) }

// Plan is what a stream is to do.
type Plan struct {
	Down   bool          // from the partner to us
	For    time.Duration // how long
	Frames uint64        // how many frames instead; 0: for that time
	Plant  bool          // the sender flips a bit in the third frame
}

func (c *Client) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}

	return 15 * time.Second
}

// Canary has a few frames sent each way, of which one is wrong, and returns an error
// unless it is found in both.
func (c *Client) Canary(ctx context.Context) error {
	const frames, planted = 8, 2

	for _, down := range []bool{false, true} {
		s, err := c.Stream(ctx, Plan{Down: down, For: time.Minute, Frames: frames, Plant: true})
		if err != nil {
			return err
		}

		if s.Frames != frames || s.Bad == 0 || s.Bad == 1 && s.FirstBad != planted {
			return &CanaryError{Down: down, Frames: s.Frames, Bad: s.Bad}
		}
	}

	return nil
}

// CanaryError says that a planted fault was not found.
type CanaryError struct {
	Down        bool
	Frames, Bad uint64
}

func (e *CanaryError) Error() string {
	whence := "sent to the partner"
	if e.Down {
		whence = "sent by the partner"
	}

	return fmt.Sprintf("of %d frames %s, one was altered on purpose, and %d were found to be", e.Frames, whence, e.Bad)
}

// Stream moves one stream.
func (c *Client) Stream(ctx context.Context, plan Plan) (out Stream, err error) {
	ask := load.Ask{Kind: load.Up, Seed: rand.Uint64(), MilliS: max(1, plan.For.Milliseconds()), Frames: plan.Frames, Plant: plan.Plant && plan.Down} //nolint:gosec // noise, no secret
	if plan.Down {
		ask.Kind = load.Down
	}

	noise := load.NewNoise(ask.Seed, load.BodySize)

	conn, _, err := c.open(ctx, &ask)
	if err != nil {
		return out, err
	}
	defer conn.Close() //nolint:errcheck // what was to be learnt from it was

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	if plan.Down {
		out, err = c.take(conn, noise)
	} else {
		out, err = c.send(conn, noise, plan)
	}

	return out, c.because(ctx, err)
}

// Streams moves several at once, in any direction each.
func (c *Client) Streams(ctx context.Context, plans []Plan) ([]Stream, error) {
	all := make([]Stream, len(plans))
	group, ctx := errgroup.WithContext(ctx)

	for i, plan := range plans {
		group.Go(func() (err error) {
			all[i], err = c.Stream(ctx, plan)

			return err
		})
	}

	return all, group.Wait()
}

// because says why a test ended: that of ctx, or that nothing moved.
func (c *Client) because(ctx context.Context, err error) error {
	var waited net.Error

	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &waited) && waited.Timeout():
		return fmt.Errorf("%w, for %v: %w", ErrStalled, c.patience(), err)
	default:
		return err
	}
}

// open dials the partner and asks it.
func (c *Client) open(ctx context.Context, ask *load.Ask) (net.Conn, load.Start, error) {
	var start load.Start

	conn, err := c.Dial(ctx, "tcp", c.Ticket.Server.String())
	if err != nil {
		return nil, start, fmt.Errorf("dialling the partner: %w", err)
	}

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	_ = conn.SetDeadline(time.Now().Add(4 * c.patience())) // a connection that is closed says so below

	if start, err = c.greet(conn, ask); err != nil {
		_ = conn.Close()

		return nil, start, c.because(ctx, err)
	}

	return conn, start, nil
}

func (c *Client) greet(conn net.Conn, ask *load.Ask) (start load.Start, err error) {
	if _, err := io.WriteString(conn, load.Greeting); err != nil {
		return start, fmt.Errorf("greeting the partner: %w", err)
	}

	var challenge load.Challenge
	if err := load.ReadLine(conn, &challenge); err != nil {
		return start, fmt.Errorf("greeting the partner: %w", err)
	}

	ask.Ticket = c.Ticket.ID
	ask.Sign(c.Ticket.Key, challenge.Challenge)

	if err := load.WriteLine(conn, ask); err != nil {
		return start, err
	}

	for { // where many come at once, one waits for a place, for as long as the partner says so
		start = load.Start{}
		if err := load.ReadLine(conn, &start); err != nil {
			return start, fmt.Errorf("asking the partner: %w", err)
		}

		if !start.Queued {
			break
		}

		_ = conn.SetDeadline(time.Now().Add(4 * c.patience())) // as above
	}

	if start.Refused != "" {
		return start, fmt.Errorf("%w: %.200q", ErrRefused, start.Refused)
	}

	return start, nil
}

func (c *Client) moved(n int) {
	if c.Moved != nil && n > 0 {
		c.Moved(n)
	}
}

// send sends a stream and waits for the partner's report.
func (c *Client) send(conn net.Conn, noise *load.Noise, plan Plan) (out Stream, err error) {
	var (
		head  [load.HeadSize]byte
		sent  uint64
		begun = time.Now()
	)

	for plan.Frames > 0 && sent < plan.Frames || plan.Frames == 0 && time.Since(begun) < plan.For {
		body := noise.Put(head[:], load.Data, sent, uint64(time.Since(begun))) //nolint:gosec // never negative
		if plan.Plant && sent == 2 {
			body = append([]byte(nil), body...)
			body[len(body)/3] ^= 0x10
		}

		_ = conn.SetWriteDeadline(time.Now().Add(c.patience())) // a connection that is closed says so below
		frame := net.Buffers{head[:], body}

		n, err := frame.WriteTo(conn)
		c.moved(int(n))

		if err != nil {
			return out, fmt.Errorf("sending: %w", err)
		}

		sent++
	}

	_ = conn.SetDeadline(time.Now().Add(4 * c.patience())) // as above; what waits in buffers may take its time

	if _, err := conn.Write(load.Ending(noise.Seed(), sent, nil)); err != nil {
		return out, fmt.Errorf("sending: %w", err)
	}

	out.Segments, out.Retransmits = socket.Resent(conn)

	check := load.NewChecker(noise)

	report, err := c.read(conn, check, 4*c.patience())
	if err != nil {
		return out, fmt.Errorf("waiting for the partner's report: %w", err)
	}

	if out.Segments == 0 {
		out.Segments, out.Retransmits = socket.Resent(conn)
	}

	out.Frames, out.Bad, out.FirstBad, out.Bytes = report.Frames, report.Bad, report.FirstBad, report.Bytes
	out.Took, out.Appliance = time.Duration(report.TookNS), report.Appliance

	if report.Frames != sent {
		out.Bad += max(report.Frames, sent) - min(report.Frames, sent)
	}

	return out, nil
}

// take takes a stream and the report at its end.
func (c *Client) take(conn net.Conn, noise *load.Noise) (out Stream, err error) {
	check := load.NewChecker(noise)
	begun := time.Now()
	report, err := c.read(conn, check, c.patience())
	out = Stream{Frames: check.Frames, Bad: check.Bad, FirstBad: check.FirstBad, Bytes: check.Bytes, Took: time.Since(begun)}

	if err != nil {
		return out, fmt.Errorf("taking: %w", err)
	}

	out.Segments, out.Retransmits, out.Appliance = report.Segments, report.Retransmits, report.Appliance

	if report.Frames != check.Frames {
		out.Bad += max(report.Frames, check.Frames) - min(report.Frames, check.Frames)
	}

	return out, nil
}

// read feeds a checker until the last frame, which has the partner's report.
func (c *Client) read(conn net.Conn, check *load.Checker, patience time.Duration) (report load.Report, err error) {
	room := make([]byte, load.FrameSize)

	for {
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // a connection that is closed says so below

		n, err := conn.Read(room)
		check.Feed(room[:n])
		c.moved(n)

		if line, over := check.Ended(); over {
			if err := decode(line, &report); err != nil {
				return report, fmt.Errorf("%w: %w", ErrGarbled, err)
			}

			return report, nil
		}

		if err != nil {
			return report, err
		}
	}
}

func port(addr netip.AddrPort, n int) string {
	return net.JoinHostPort(addr.Addr().String(), strconv.Itoa(n))
}
