package tftp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	roundTrip = 200 * time.Millisecond // then what was not acknowledged is sent again
	patience  = 30                     // times in a row, 6 s
)

// errProbe says that the client only wanted to know the size: EDK2 and Intel's
// UNDI ask for tsize, send an ERROR, and come again for the file.
var errProbe = errors.New("size probe")

// sender sends one file to one client, on a socket of its own (the server's TID).
// It is used by one goroutine.
type sender struct {
	conn  net.Conn // connected: hears the client alone
	data  []byte
	terms terms

	acked  int // blocks acknowledged
	last   int // number of the last block, which is short
	nudged int // the value of acked for which a repeated ACK was answered
	buf    []byte
	sent   int // packets
}

func newSender(conn net.Conn, data []byte, t terms) *sender {
	return &sender{
		conn: conn, data: data, terms: t, last: len(data)/t.block + 1, nudged: -1,
		buf: make([]byte, 4+t.block),
	}
}

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

	for range patience {
		if err := s.write(answer); err != nil {
			return err
		}

		block, err := s.ack()

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
	for range patience {
		if err := s.burst(); err != nil {
			return err
		}

		moved, err := s.await()

		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return err
		case moved:
			return nil
		}
	}

	return errSilent
}

func (s *sender) burst() error {
	for block := s.acked + 1; block <= min(s.acked+s.terms.window, s.last); block++ {
		from := (block - 1) * s.terms.block
		n := copy(s.buf[4:], s.data[from:min(from+s.terms.block, len(s.data))])

		s.buf[0], s.buf[1] = 0, opData
		binary.BigEndian.PutUint16(s.buf[2:], uint16(block&0xffff)) //nolint:gosec // rolls over to 0, as clients expect

		if err := s.write(s.buf[:4+n]); err != nil {
			return err
		}
	}

	return nil
}

// await reads acknowledgements. moved is false when the window must be sent
// again: for a repeated acknowledgement, but once only. Answering each of them
// doubles every packet that follows (112 498 instead of 3 194, seen with OVMF).
func (s *sender) await() (moved bool, err error) {
	for {
		block, err := s.ack()
		if err != nil {
			return false, err
		}

		ahead := int(block - uint16(s.acked&0xffff)) //nolint:gosec // modulo 65536 is meant

		switch {
		case ahead >= 1 && ahead <= s.terms.window && s.acked+ahead <= s.last:
			s.acked += ahead

			return true, nil
		case ahead == 0 && s.terms.window > 1 && s.nudged != s.acked:
			s.nudged = s.acked

			return false, nil
		}
	}
}

// What ends a transfer early.
var (
	errSilent  = errors.New("the client fell silent")
	errRefused = errors.New("the client gave up")
)

// ack reads the next ACK, for one round trip at most.
func (s *sender) ack() (uint16, error) {
	var b [256]byte

	if err := s.conn.SetReadDeadline(time.Now().Add(roundTrip)); err != nil {
		return 0, fmt.Errorf("setting deadline: %w", err)
	}

	for {
		n, err := s.conn.Read(b[:])
		if err != nil {
			return 0, fmt.Errorf("reading from client: %w", err)
		}

		if n < 4 {
			continue
		}

		switch binary.BigEndian.Uint16(b[:]) {
		case opAck:
			return binary.BigEndian.Uint16(b[2:]), nil
		case opError:
			return 0, fmt.Errorf("%w: code %d", errRefused, binary.BigEndian.Uint16(b[2:]))
		}
	}
}

func (s *sender) write(b []byte) error {
	s.sent++

	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("sending to client: %w", err)
	}

	return nil
}
