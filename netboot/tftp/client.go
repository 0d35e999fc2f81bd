package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// What a server did not do for Fetch.
var (
	// ErrSilent: it did not answer, or no more.
	ErrSilent = errors.New("no answer in time")
	// ErrMissing: it has no such file.
	ErrMissing = errors.New("file not found")
)

const (
	fetchTries  = 3  // for each answer
	fetchWindow = 16 // blocks that are sent without waiting for us
)

// Fetch reads a file from a server, as firmware does, into to. patience is how long it waits
// for each answer before it asks again; it asks three times.
func Fetch(ctx context.Context, at netip.AddrPort, name string, to io.Writer, patience time.Duration) error {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return fmt.Errorf("opening a socket for %s: %w", name, err)
	}

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	defer conn.Close() //nolint:errcheck // nothing is lost with it

	ask := append([]byte{0, opRead}, name...)
	for _, word := range []string{"", "octet", "blksize", strconv.Itoa(MostBlock), "windowsize", strconv.Itoa(fetchWindow)} {
		ask = append(append(ask, word...), 0)
	}

	f := &fetch{conn: conn, to: to, at: at, next: ask, patience: patience, block: plainBlock, window: 1}
	for err == nil && !f.whole {
		err = f.step()
	}

	if err == nil {
		_, _ = conn.WriteToUDPAddrPort(f.next, f.at) // the file is here, whether the sender hears of it or not
	}

	if ctx.Err() != nil {
		return ctx.Err()
	}

	return err
}

// fetch is a transfer to us.
type fetch struct {
	conn     *net.UDPConn
	to       io.Writer
	at       netip.AddrPort // where it is asked, and from the first answer on who sends
	begun    bool
	next     []byte // what is to be sent next: the request, then the ACK of what has come
	patience time.Duration

	block  int    // bytes
	window int    // blocks
	got    uint16 // number of the last block that came
	since  int    // blocks since the last ACK that was sent
	whole  bool
}

// step sends what is to be sent, and takes packets until there is more to send.
func (f *fetch) step() error {
	for range fetchTries {
		f.since = 0

		if _, err := f.conn.WriteToUDPAddrPort(f.next, f.at); err != nil {
			return fmt.Errorf("asking: %w", err)
		}

		err := f.hear()

		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() {
			return err
		}
	}

	return ErrSilent
}

// hear takes packets until an ACK is due.
func (f *fetch) hear() error {
	packet := make([]byte, 4+MostBlock)

	for {
		if err := f.conn.SetReadDeadline(time.Now().Add(f.patience)); err != nil {
			return fmt.Errorf("waiting: %w", err)
		}

		n, from, err := f.conn.ReadFromUDPAddrPort(packet)

		switch {
		case err != nil:
			return fmt.Errorf("waiting: %w", err)
		case from.Addr().Unmap() != f.at.Addr() || f.begun && from.Port() != f.at.Port() || n < 4:
			continue // from somebody else
		}

		f.at, f.begun = netip.AddrPortFrom(f.at.Addr(), from.Port()), true

		if due, err := f.take(packet[:n]); due || err != nil {
			return err
		}
	}
}

// take takes one packet; due says that it is time for an ACK.
func (f *fetch) take(packet []byte) (due bool, err error) {
	number := binary.BigEndian.Uint16(packet[2:])

	switch {
	case packet[1] == opError && number == errNotFound:
		return false, ErrMissing
	case packet[1] == opError:
		return false, fmt.Errorf("it answers with error %d: %.100q", number, packet[4:])
	case packet[1] == opOAck && f.got == 0:
		f.agreed(packet[2:])
		f.next = []byte{0, opAck, 0, 0}

		return true, nil
	case packet[1] != opData || number != f.got+1:
		return false, nil // one was lost, or comes twice; its sender hears what we have
	}

	f.got = number
	f.since++
	f.whole = len(packet)-4 < f.block
	f.next = binary.BigEndian.AppendUint16([]byte{0, opAck}, f.got)

	if _, err := f.to.Write(packet[4:]); err != nil {
		return false, fmt.Errorf("writing: %w", err)
	}

	return f.whole || f.since >= f.window, nil
}

// agreed reads which of our options are accepted.
func (f *fetch) agreed(options []byte) {
	words := bytes.Split(options, []byte{0})

	for i := 0; i+1 < len(words); i += 2 {
		n, err := strconv.Atoi(string(words[i+1]))
		if err != nil || n < 1 {
			continue
		}

		switch string(bytes.ToLower(words[i])) {
		case "blksize":
			f.block = min(n, MostBlock)
		case "windowsize":
			f.window = min(n, fetchWindow)
		}
	}
}
