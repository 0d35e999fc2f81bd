package ui

import "net"

// choosy is a listener that lets only some in.
type choosy struct {
	net.Listener

	admit func(net.Conn) bool
}

// Accept returns the next connection that is let in; the others are closed.
func (l choosy) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.admit(conn) {
			return conn, err
		}

		_ = conn.Close() // whoever it was is told nothing
	}
}
