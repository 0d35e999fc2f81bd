package tftp

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
)

// proven calls begin once its client has acknowledged something. A request alone is one
// packet, which anybody can send in the name of another; what answers it goes to the port of
// this transfer, which only who has the address knows. Used by one goroutine.
type proven struct {
	net.Conn

	begin func() error // nil once it was called
}

// Read reads a packet. Where begin fails the client is told, and the transfer ends.
func (p *proven) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if err != nil || p.begin == nil || n < 4 || binary.BigEndian.Uint16(b) != opAck {
		return n, err //nolint:wrapcheck // it is the connection
	}

	begin := p.begin
	p.begin = nil

	if err := begin(); err != nil {
		_, _ = p.Write(refusal(errUndefined, "this file cannot be given now"))

		return 0, err
	}

	return n, nil
}

// SyscallConn is that of the connection, by which the sender has the kernel cut windows.
func (p *proven) SyscallConn() (syscall.RawConn, error) {
	conn, ok := p.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}

	return conn.SyscallConn() //nolint:wrapcheck // it is the connection
}
