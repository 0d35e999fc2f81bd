//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// Forward is a TCP port on the machine's own loopback that leads to the same
// port on a namespace's loopback: how the console can be clicked from outside.
type Forward struct {
	Port     int
	listener net.Listener
	target   *Namespace
	cancel   context.CancelFunc
	pumps    sync.WaitGroup
}

// OpenForward listens on 127.0.0.1:port, or on a free port where that is taken,
// and forwards to target until Close.
func OpenForward(ctx context.Context, target *Namespace, port int) (*Forward, error) {
	var config net.ListenConfig

	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		if listener, err = config.Listen(ctx, "tcp4", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("opening a port for the console: %w", err)
		}
	}

	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(errors.New("a TCP listener without a TCP address"), listener.Close())
	}

	ctx, cancel := context.WithCancel(ctx)
	f := &Forward{Port: addr.Port, listener: listener, target: target, cancel: cancel}
	f.pumps.Go(func() { f.accept(ctx) })

	return f, nil
}

// accept serves until the listener is closed.
func (f *Forward) accept(ctx context.Context) {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return
		}

		f.pumps.Go(func() { f.pump(ctx, near) })
	}
}

// pump carries one connection. One whose far end does not answer is closed at once.
func (f *Forward) pump(ctx context.Context, near net.Conn) {
	defer near.Close() //nolint:errcheck // a connection that has ended

	far, err := f.target.Dial(ctx, "tcp4", "127.0.0.1:"+strconv.Itoa(f.Port))
	if err != nil {
		return
	}
	defer far.Close() //nolint:errcheck // a connection that has ended

	stop := context.AfterFunc(ctx, func() {
		_ = near.Close() //nolint:errcheck // to end the copying
		_ = far.Close()  //nolint:errcheck // to end the copying
	})
	defer stop()

	var both sync.WaitGroup

	both.Go(func() { carry(far, near) })
	carry(near, far)
	both.Wait()
}

// carry copies until from ends and tells to so, as TCP does.
func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from) //nolint:errcheck // the end of a connection, however it came

	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite() //nolint:errcheck // it may be closed already
	}
}

// Close ends the forwarding and the connections it carries.
func (f *Forward) Close() error {
	err := f.listener.Close()
	f.cancel()
	f.pumps.Wait()

	return err
}
