package gate

import (
	"net"
	"sync"
)

// crowd is a listener that turns away connections of an address that holds
// limit already.
type crowd struct {
	net.Listener
	limit int

	mu   sync.Mutex
	held map[string]int // guarded by mu
}

func newCrowd(ln net.Listener, limit int) *crowd {
	return &crowd{Listener: ln, limit: limit, held: map[string]int{}}
}

// Accept returns the next connection of an address that may have one more.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}

		addr := hostOf(conn.RemoteAddr())
		if c.enter(addr) {
			return &member{Conn: conn, leave: sync.OnceFunc(func() { c.leave(addr) })}, nil
		}

		_ = conn.Close() // it was never served
	}
}

func (c *crowd) enter(addr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.held[addr] >= c.limit {
		return false
	}

	c.held[addr]++

	return true
}

func (c *crowd) leave(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.held[addr]--; c.held[addr] == 0 {
		delete(c.held, addr)
	}
}

// member is a connection that gives its place back when it closes.
type member struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (m *member) Close() error {
	m.leave()

	return m.Conn.Close()
}

func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}

	return host
}
