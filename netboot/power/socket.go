package power

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"
)

// socket is the UDP connection to a BMC that the library is given. It lets only
// those datagrams through that the library can decode: go-ipmi v0.9.1 decodes
// them in a goroutine of its own, where a short encrypted payload makes it index
// out of range and would end the whole appliance (client.decryptPayload).
type socket struct {
	ctx   context.Context //nolint:containedctx // the library's Dial has no room for it
	addr  string
	sound func(datagram []byte) bool

	mu    sync.Mutex // guards conn and fault
	conn  net.Conn
	fault error // why there is no connection, or why it broke
}

// Dial is what the library calls instead of net.Dial. It ignores the address,
// which the library writes wrongly for IPv6.
func (s *socket) Dial(_, _ string) (net.Conn, error) {
	conn, err := dialer().DialContext(s.ctx, "udp", s.addr)
	if err != nil {
		return nil, s.keep(err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	s.conn = &datagrams{Conn: conn, socket: s}

	return s.conn, nil
}

// close ends what the library's goroutine may still be waiting for.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.conn != nil {
		_ = s.conn.Close()
	}
}

func (s *socket) keep(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.fault = err

	return err
}

// because adds what the socket heard to an error: the library turns it to text.
func (s *socket) because(err error) error {
	if err == nil {
		return nil
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	var refused *Fault
	if errors.As(s.fault, &refused) { // by notLinkLocal, before anything was sent
		return refused
	}

	if s.fault != nil && classify(s.fault) == Unreachable {
		return errors.Join(err, s.fault)
	}

	return err
}

// datagrams drops what cannot be decoded.
type datagrams struct {
	net.Conn

	socket *socket
}

func (d *datagrams) Read(p []byte) (int, error) {
	for {
		n, err := d.Conn.Read(p)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				_ = d.socket.keep(err)
			}

			return n, err
		}

		if d.socket.sound(p[:n]) {
			return n, nil
		}
	}
}

// soundness returns a function that reports whether the library can decode a
// datagram, by letting it try where a panic can be caught.
func soundness(ctx context.Context, c *client.Client) func([]byte) bool {
	return func(datagram []byte) (ok bool) {
		defer func() {
			if recover() != nil {
				ok = false
			}
		}()

		// What comes of it does not matter: errors are handled by the library.
		_ = c.ParseRmcpResponse(ctx, append([]byte(nil), datagram...), types.CommandGetDeviceID, ignored{})

		return true
	}
}

// ignored is a response that takes anything.
type ignored struct{}

func (ignored) Unpack([]byte) error               { return nil }
func (ignored) CompletionCodes() map[uint8]string { return nil }
func (ignored) Format() string                    { return "" }
