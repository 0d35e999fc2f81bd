package tftp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vetting/netboot/nic"
)

const (
	firstWait = 200 * time.Millisecond // for an acknowledgement, before the client's pace is known
	leastWait = 50 * time.Millisecond  // a client that is fast now may have a slow moment
	mostWait  = time.Second
	patience  = 6 * time.Second // of silence; then the client is gone
	stuckTime = time.Second     // of silence about the first block: it may be too large for the way

	maxSegments = 64     // UDP_MAX_SEGMENTS of Linux
	maxDatagram = 65_507 // payload of one send, cut up or not
	mostHeard   = 256    // of a client's packet
)

// errProbe says that the client only wanted to know the size: EDK2 and Intel's
// UNDI ask for tsize, send an ERROR, and come again for the file.
var errProbe = errors.New("size probe")

// sender sends one file to one client, on a socket of its own (the server's TID).
// It is used by one goroutine.
type sender struct {
	conn  net.Conn // hears the client alone
	ear   *ear
	file  *File
	terms terms
	stuck func()      // told once when the first block is not acknowledged for a while; may be nil
	alone func() bool // whether a client that answers at once may be waited for awake; nil: no
	// begin is called once the client has acknowledged something, and then nil. A request alone
	// is one packet, which anybody can send in the name of another; what answers it goes to the
	// port of this transfer, which only who has the address knows.
	begin func() error

	acked  int // blocks acknowledged
	last   int // number of the last block, which is short
	nudged int // the value of acked for which a repeated ACK was answered
	buf    []byte
	heard  []byte // room for a packet
	out    []byte // what is still to be sent
	ready  func() error
	whole  bool // the kernel cuts windows into packets
	sent   int  // packets
	pace   pacer
}

func newSender(conn net.Conn, file *File, t terms) *sender {
	size := 4 + t.block
	s := &sender{
		conn: conn, ear: newEar(conn), file: file, terms: t, last: int(file.Size)/t.block + 1, nudged: -1,
		heard: make([]byte, mostHeard), pace: pacer{wait: firstWait},
	}
	s.ready = s.flush

	s.buf = make([]byte, size*min(t.window, maxSegments, max(1, maxDatagram/size)))

	return s
}

// cut has the kernel cut what is sent into datagrams of size bytes (UDP_SEGMENT,
// udp(7)), so that a window costs one system call; 0: no more.
func (s *sender) cut(size int) {
	conn, ok := s.conn.(syscall.Conn)
	if !ok {
		return
	}

	raw, err := conn.SyscallConn()
	if err == nil {
		err = nic.Set(raw, unix.SOL_UDP, unix.UDP_SEGMENT, size)
	}

	s.whole = err == nil && size > 0
}

// pacer knows how long the client takes to acknowledge (RFC 6298).
type pacer struct {
	wait, smooth, vary time.Duration
}

// took learns from an acknowledgement of what was sent once.
func (p *pacer) took(rtt time.Duration) {
	if p.smooth == 0 {
		p.smooth, p.vary = rtt, rtt/2
	} else {
		p.vary += ((p.smooth - rtt).Abs() - p.vary) / 4
		p.smooth += (rtt - p.smooth) / 8
	}

	p.wait = min(max(p.smooth+4*p.vary, leastWait), firstWait)
}

// soon is how long to watch for an answer without sleeping: as long as it usually takes, if
// that is hardly longer than waking up.
func (p *pacer) soon() time.Duration {
	if p.smooth == 0 || p.smooth > mostAwake {
		return 0
	}

	return min(p.smooth+4*p.vary, mostAwake)
}

// silent waits longer the next time.
func (p *pacer) silent() { p.wait = min(2*p.wait, mostWait) }

// run sends the file. It returns errProbe when the client wanted no more than
// the answer to its options.
func (s *sender) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()

	if len(s.terms.accept) > 0 {
		if err := s.negotiate(); err != nil {
			return err
		}
	}

	if len(s.buf) > 4+s.terms.block {
		s.cut(4 + s.terms.block)
	}

	for s.acked < s.last {
		if err := s.window(); err != nil {
			return err
		}
	}

	return nil
}

// negotiate sends the OACK until block 0 is acknowledged.
func (s *sender) negotiate() error {
	answer := oack(s.terms.accept)

	for begun := time.Now(); time.Since(begun) < patience; {
		block, err := s.ack(ask{send: func() error { return s.write(answer) }, until: time.Now().Add(firstWait)})

		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case errors.Is(err, errRefused):
			return errProbe
		case err != nil:
			return err
		case block == 0:
			return nil
		}
	}

	return errSilent
}

// window sends the blocks that follow the acknowledged ones, as many as agreed,
// and returns when at least one of them was acknowledged.
func (s *sender) window() error {
	again := false

	for begun := time.Now(); time.Since(begun) < patience; again = true {
		sent := time.Now()

		whole, err := s.burst()
		if err != nil {
			return err
		}

		// Nobody has answered what has not left yet; but a part of a window may have been
		// answered, and before a second sending the client may have said good-bye.
		moved, err := s.await(ask{send: s.ready, hasty: whole && !again, awake: s.awake(), until: sent.Add(s.pace.wait)})

		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.pace.silent()

			if s.acked == 0 && s.stuck != nil && time.Since(begun) > stuckTime {
				s.stuck()
				s.stuck = nil
			}
		case err != nil:
			return err
		case moved:
			if !again { // else it may be for either sending (Karn's rule)
				s.pace.took(time.Since(sent))
			}

			return nil
		}
	}

	return errSilent
}

// burst makes up a window and sends it, but for the end of it, which is left in out. whole
// is true when that is all of it.
func (s *sender) burst() (whole bool, err error) {
	size := 4 + s.terms.block
	end := min(s.acked+s.terms.window, s.last)

	for block := s.acked + 1; ; {
		n, begins := 0, block

		for ; block <= end && n+size <= len(s.buf); block++ {
			s.buf[n], s.buf[n+1] = 0, opData
			binary.BigEndian.PutUint16(s.buf[n+2:], uint16(block&0xffff)) //nolint:gosec // rolls over to 0, as clients expect

			read, err := s.file.Content.ReadAt(s.buf[n+4:n+size], int64(block-1)*int64(s.terms.block))
			if err != nil && !errors.Is(err, io.EOF) {
				return false, fmt.Errorf("reading the file: %w", err)
			}

			n += 4 + read
		}

		if s.out = s.buf[:n]; block > end {
			return begins == s.acked+1, nil
		}

		if err := s.flush(); err != nil {
			return false, err
		}
	}
}

// flush sends what is still to be sent.
func (s *sender) flush() error {
	b := s.out
	s.out = nil

	return s.writeAll(b, 4+s.terms.block)
}

// writeAll sends packets of size bytes each, the last one shorter or not.
func (s *sender) writeAll(b []byte, size int) error {
	if s.whole && len(b) > size {
		_, err := s.conn.Write(b)
		if err == nil {
			s.sent += (len(b) + size - 1) / size

			return nil
		}

		if ended(err) == nil {
			return fmt.Errorf("sending to client: %w", err)
		}

		// A card without checksums of its own, an old kernel, or a way that is too narrow.
		s.cut(0)
	}

	for len(b) > 0 {
		n := min(size, len(b))
		if err := s.write(b[:n]); err != nil {
			return err
		}

		b = b[n:]
	}

	return nil
}

// await reads acknowledgements, at first as next has it. moved is false when the window must
// be sent again: for a repeated acknowledgement, but once only, and not where one that goes
// further is there already. Answering each of them doubles every packet that follows
// (112 498 instead of 3 194, seen with OVMF).
func (s *sender) await(next ask) (moved bool, err error) {
	later, repeated := ask{until: next.until}, false

	for {
		block, err := s.ack(next)

		switch {
		case errors.Is(err, errNothing):
			s.nudged = s.acked

			return false, nil
		case err != nil:
			return false, err
		}

		ahead := int(block - uint16(s.acked&0xffff)) //nolint:gosec // modulo 65536 is meant

		switch {
		case ahead >= 1 && ahead <= s.terms.window && s.acked+ahead <= s.last:
			s.acked += ahead

			return true, nil
		case ahead == 0 && s.terms.window > 1 && s.nudged != s.acked:
			repeated = true
		}

		if next = later; repeated {
			next = ask{} // what is there
		}
	}
}

// awake is how long the client is waited for without sleeping.
func (s *sender) awake() time.Duration {
	if s.alone == nil || !s.alone() {
		return 0
	}

	return s.pace.soon()
}

// What ends a transfer early.
var (
	errSilent  = errors.New("the client fell silent")
	errRefused = errors.New("the client gave up")
)

// ack reads the next ACK.
func (s *sender) ack(next ask) (uint16, error) {
	next.into = s.heard

	for {
		n, err := s.ear.hear(next)

		switch {
		case errors.Is(err, errNothing):
			return 0, errNothing
		case err != nil:
			return 0, fmt.Errorf("reading from client: %w", err)
		}

		next.send = nil

		if n < 4 {
			continue
		}

		switch binary.BigEndian.Uint16(s.heard) {
		case opAck:
			return binary.BigEndian.Uint16(s.heard[2:]), s.prove()
		case opError:
			return 0, fmt.Errorf("%w: code %d", errRefused, binary.BigEndian.Uint16(s.heard[2:]))
		}
	}
}

// prove begins what the transfer brings with it. Where it cannot be, the client is told, and
// the transfer ends.
func (s *sender) prove() error {
	if s.begin == nil {
		return nil
	}

	if err := s.begin(); err != nil {
		_, _ = s.conn.Write(refusal(errUndefined, "this file cannot be given now"))

		return err
	}

	s.begin = nil

	return nil
}

func (s *sender) write(b []byte) error {
	s.sent++

	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("sending to client: %w", err)
	}

	return nil
}
