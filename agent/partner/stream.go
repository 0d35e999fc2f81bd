package partner

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"vetting/agent/partner/socket"
	"vetting/agent/wire/load"
)

// slack is how much longer than asked for a stream may go on.
const slack = 30 * time.Second

// takeStream verifies what comes and answers with a report.
func (p *Partner) takeStream(f *flow) error {
	check := load.NewChecker(load.NewNoise(f.ask.Seed, load.BodySize))

	if err := load.WriteLine(f.conn, load.Start{}); err != nil {
		return err
	}

	f.begun, f.before = time.Now(), p.gauge(f.ticket)
	last := f.begun.Add(f.ask.Time() + slack)
	room := make([]byte, load.FrameSize)

	for {
		_ = f.conn.SetReadDeadline(soonest(last, time.Now().Add(p.Patience))) // a connection that is closed says so below

		n, err := f.conn.Read(room)
		f.ticket.moved[incoming].Add(uint64(n)) //nolint:gosec // never negative
		check.Feed(room[:n])

		if _, over := check.Ended(); over {
			break
		}

		if err != nil {
			return fmt.Errorf("taking a stream: %w", err)
		}
	}

	report := load.Report{
		Frames: check.Frames, Bad: check.Bad, FirstBad: check.FirstBad, Bytes: check.Bytes, TookNS: time.Since(f.begun).Nanoseconds(),
		Appliance: p.side(f, incoming),
	}

	_ = f.conn.SetWriteDeadline(time.Now().Add(p.Patience)) // as above

	return p.end(f, 0, &report)
}

// sendStream sends until the time is over, with a report in the last frame.
func (p *Partner) sendStream(f *flow) error {
	noise := load.NewNoise(f.ask.Seed, load.BodySize)

	if err := load.WriteLine(f.conn, load.Start{}); err != nil {
		return err
	}

	f.begun, f.before = time.Now(), p.gauge(f.ticket)

	var (
		head [load.HeadSize]byte
		sent uint64
	)

	for f.more(sent) {
		body := noise.Put(head[:], load.Data, sent, uint64(time.Since(f.begun))) //nolint:gosec // never negative
		if f.ask.Plant && sent == 2 {
			body = flipped(body)
		}

		n, err := p.write(f.conn, head[:], body)
		f.ticket.moved[outgoing].Add(uint64(n)) //nolint:gosec // never negative

		if err != nil {
			return fmt.Errorf("sending a stream: %w", err)
		}

		sent++
	}

	report := load.Report{
		Frames: sent, Bytes: sent * load.FrameSize, TookNS: time.Since(f.begun).Nanoseconds(), Appliance: p.side(f, outgoing),
	}
	report.Segments, report.Retransmits = socket.Resent(f.conn)

	return p.end(f, sent, &report)
}

// more reports whether another frame is to be sent.
func (f *flow) more(sent uint64) bool {
	if f.ask.Frames > 0 {
		return sent < f.ask.Frames && time.Since(f.begun) < f.ask.Time()+slack
	}

	return time.Since(f.begun) < f.ask.Time()
}

// flipped is a copy with one bit that is wrong.
func flipped(body []byte) []byte {
	body = append([]byte(nil), body...)
	body[len(body)/2] ^= 0x10

	return body
}

// write sends a frame with one system call, and gives up when nothing goes any more.
func (p *Partner) write(conn net.Conn, head, body []byte) (int64, error) {
	_ = conn.SetWriteDeadline(time.Now().Add(p.Patience)) // a connection that is closed says so below
	frame := net.Buffers{head, body}

	return frame.WriteTo(conn)
}

// end sends the last frame, and waits for the machine to hang up, so that what is under
// way is not thrown away.
func (p *Partner) end(f *flow, number uint64, report *load.Report) error {
	line, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}

	if _, err := f.conn.Write(load.Ending(f.ask.Seed, number, line)); err != nil {
		return fmt.Errorf("sending a report: %w", err)
	}

	if tcp, ok := f.conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // nothing more follows
	}

	_ = f.conn.SetReadDeadline(time.Now().Add(p.Patience)) // as above
	_, err = f.conn.Read(make([]byte, 1))

	if errors.Is(err, net.ErrClosed) {
		return err
	}

	return nil
}

func soonest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}

	return b
}
