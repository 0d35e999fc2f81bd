package gatetest

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Wire is a network in memory with one address on it. It works inside
// testing/synctest, where real sockets do not. Safe for concurrent use.
type Wire struct {
	mu    sync.Mutex
	at    *listener // guarded by mu; nil: nobody listens
	conns []net.Conn
	dials int
}

// Listen takes the address.
func (w *Wire) Listen() net.Listener {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.at = &listener{conns: make(chan net.Conn), closed: make(chan struct{})}

	return w.at
}

// Cut lets every connection fail and the address be nobody's, as a power cut
// does.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.at != nil {
		_ = w.at.Close()
	}

	w.at = nil

	for _, conn := range w.conns {
		_ = conn.Close()
	}

	w.conns = nil
}

// Dials returns how often the address was dialled with somebody there.
func (w *Wire) Dials() int {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.dials
}

// Dial connects to the address, whatever it is called.
func (w *Wire) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	at := w.at
	w.mu.Unlock()

	if at == nil {
		return nil, errors.New("connection refused")
	}

	mine, theirs := net.Pipe()

	select {
	case at.conns <- theirs:
	case <-at.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	w.dials++
	w.conns = append(w.conns, mine, theirs)

	return mine, nil
}

type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })

	return nil
}

func (*listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 443} }
