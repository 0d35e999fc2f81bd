package bmc

import (
	"bufio"
	"context"
	"net"

	"vetting/agent/ipmi"
)

// The bytes that structure the protocol between QEMU's ipmi-bmc-extern and a controller
// (OpenIPMI's serial "VM" protocol; QEMU hw/ipmi/ipmi_bmc_extern.c).
const (
	endMessage = 0xa0
	endControl = 0xa1
	escape     = 0xaa
	escaped    = 0x10 // the bit that is set in a byte after escape

	longest = 512 // bytes of a message; more than KCS carries
)

// Serve answers machines that connect until ctx ends, each power-on of a machine by a
// connection of its own.
func (b *BMC) Serve(ctx context.Context, listener net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()

	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}

		go b.talk(ctx, conn)
	}
}

// talk answers the messages of one connection. QEMU's control messages, which tell of
// versions and resets, need no answer.
func (b *BMC) talk(ctx context.Context, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // nothing is lost
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	var (
		in       = bufio.NewReader(conn)
		message  []byte
		toEscape bool
	)

	for {
		c, err := in.ReadByte()
		if err != nil {
			return
		}

		switch {
		case c == escape:
			toEscape = true
		case c == endControl:
			message = message[:0]
		case c == endMessage:
			if answer := b.answer(message); answer != nil {
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}

			message = message[:0]
		case len(message) < longest:
			if toEscape {
				c, toEscape = c&^escaped, false
			}

			message = append(message, c)
		}
	}
}

// answer reads a message (sequence number, network function and logical unit, command,
// data, checksum) and makes the one that answers it; nil: it was damaged.
func (b *BMC) answer(message []byte) []byte {
	const least, header = 4, 3

	if len(message) < least || sum(message) != 0 {
		return nil
	}

	data, err := b.Do(ipmi.Request{NetFn: message[1] >> 2, Command: message[2], Data: message[header : len(message)-1]})
	if err != nil {
		return nil
	}

	var out []byte

	for _, c := range closed(append([]byte{message[0], message[1] | 1<<2, message[2]}, data...)) {
		if c == endMessage || c == endControl || c == escape {
			out = append(out, escape)
			c |= escaped
		}

		out = append(out, c)
	}

	return append(out, endMessage)
}
