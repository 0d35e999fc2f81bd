package ui

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Bounds of what is read, and thrown away, of a body that was refused.
const (
	lingerBytes = 64 << 20
	lingerTime  = time.Minute
)

// heedful is a listener whose connections can be closed after what still comes was read. One
// that is closed while its peer is sending is reset, and the peer never sees the answer.
type heedful struct{ net.Listener }

// Accept is of net.Listener.
func (l heedful) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	return &lingering{Conn: conn}, nil
}

type lingering struct {
	net.Conn

	refused atomic.Bool
}

// Close ends our half first where a body was refused, and the other when the peer does.
func (c *lingering) Close() error {
	if half, can := c.Conn.(interface{ CloseWrite() error }); can && c.refused.CompareAndSwap(true, false) {
		if half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) //nolint:errcheck // it is closed in any case
		}
	}

	return c.Conn.Close()
}

// linger lets the peer of a connection send what it is sending, before it is closed.
func linger(conn net.Conn) {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}

	if c, ok := conn.(*lingering); ok {
		c.refused.Store(true)
	}
}
