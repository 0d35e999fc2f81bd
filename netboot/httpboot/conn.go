package httpboot

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunk     = 1 << 20         // bytes per write, between two looks at the clock
	copied    = 64 << 10        // bytes held of an answer that is made while it is sent
	stall     = 2 * time.Minute // iPXE gives up after as long
	perClient = 64              // connections from one address

	// sendBuffer bounds what the kernel holds of one connection. By itself it lets that grow
	// to 4 MiB, more than a processor's cache: each byte then goes through main memory twice
	// more, which halves the rate of one client and of 32 (measured against 64 KiB to 1 MiB
	// and sendfile(2), over loopback and veth). Kernels before 6.17 make it 208 KiB
	// (net.core.wmem_max). It still fills 10 Gbit/s at a round trip of 0.3 ms; iPXE's own
	// window is 256 KiB.
	sendBuffer = 256 << 10
)

// listener counts connections per address, so that one machine cannot take all,
// and can end them all. Safe for concurrent use.
type listener struct {
	net.Listener

	copies sync.Pool // of *[copied]byte

	mu    sync.Mutex // guards all below
	conns map[*conn]bool
	count map[netip.Addr]int
}

func newListener(ln net.Listener) *listener {
	return &listener{
		Listener: ln, conns: map[*conn]bool{}, count: map[netip.Addr]int{}, copies: sync.Pool{New: func() any { return new([copied]byte) }},
	}
}

// Accept returns the next connection; one too many from an address is closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}

		if c, ok := l.admit(raw); ok {
			return c, nil
		}

		_ = raw.Close()
	}
}

func (l *listener) admit(raw net.Conn) (*conn, bool) {
	from := remote(raw)

	l.mu.Lock()
	defer l.mu.Unlock()

	if l.count[from] >= perClient {
		return nil, false
	}

	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // it works without, more slowly
	}

	c := &conn{Conn: raw, from: from, owner: l}
	l.count[from]++
	l.conns[c] = true

	return c, true
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if !l.conns[c] {
		return
	}

	delete(l.conns, c)

	if l.count[c.from]--; l.count[c.from] == 0 {
		delete(l.count, c.from)
	}
}

// closeAll ends every connection.
func (l *listener) closeAll() {
	for _, c := range l.list(func(*conn) bool { return true }) {
		_ = c.Close()
	}
}

// closeFrom ends the connections from an address at once: nobody is there any more to
// acknowledge anything.
func (l *listener) closeFrom(addr netip.Addr) {
	for _, c := range l.list(func(c *conn) bool { return c.from == addr }) {
		c.abrupt.Store(true)

		_ = c.Close()
	}
}

func (l *listener) list(which func(*conn) bool) (some []*conn) {
	l.mu.Lock()
	defer l.mu.Unlock()

	for c := range l.conns {
		if which(c) {
			some = append(some, c)
		}
	}

	return some
}

func remote(c net.Conn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}

	return netip.Addr{}
}

// conn writes in chunks: a client that takes nothing for two minutes is cut off,
// however long the whole takes, and progress can be told. Its writer is one goroutine.
type conn struct {
	net.Conn

	from  netip.Addr
	owner *listener
	// abrupt ends it by RST: the kernel then keeps nothing of it. Else it waits for
	// minutes for a machine that uses the same port again and never answers.
	abrupt atomic.Bool

	progress func(sent int) // told of each chunk of the answer under way; may be nil
	sent     int
}

// watch makes the answer that follows tell of its progress.
func (c *conn) watch(progress func(sent int)) { c.progress, c.sent = progress, 0 }

// Write sends b.
func (c *conn) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if err = c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return n, err
		}

		m, err := c.Conn.Write(b[n:min(n+chunk, len(b))])
		n += m

		if err != nil {
			return n, err
		}

		if c.sent += m; c.progress != nil {
			c.progress(c.sent)
		}
	}

	return n, nil
}

// ReadFrom sends what r gives until its end: what is made while it is sent, and files.
// bufio.Writer would pass that on in pieces of its own 4 KiB.
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	buf, _ := c.owner.copies.Get().(*[copied]byte) // nothing else is in it
	defer c.owner.copies.Put(buf)

	for {
		got, err := r.Read(buf[:])

		sent, fault := c.Write(buf[:got])
		n += int64(sent)

		switch {
		case fault != nil:
			return n, fault
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// Close closes the connection and gives its place back.
func (c *conn) Close() error {
	c.owner.forget(c)

	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.abrupt.Load() {
		_ = tcp.SetLinger(0)
	}

	return c.Conn.Close()
}

// contextOf returns a context for calls made while answering.
func contextOf(parent context.Context) (context.Context, context.CancelFunc) {
	const limit = 10 * time.Second

	return context.WithTimeout(parent, limit)
}
