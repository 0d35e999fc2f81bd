//go:build linux

package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Wire is a cable between a machine and the switch with a fault of its own: a relay in
// user space, since the kernels at hand have no netem.
type Wire struct {
	// Pass reports whether a frame gets through, to the machine or away from it, and may
	// change it. It is called by two goroutines, but never by both at once.
	Pass func(frame []byte, toMachine bool) bool
	// Note is told of what the switch's end of the cable carries: all that is sent to the
	// machine, and what gets through of what it says. It is called like Pass.
	Note func(frame Frame, toMachine bool)

	mu sync.Mutex // held while Pass and Note are called
}

// wirePath is the socket at which a machine's card finds its cable.
func wirePath(dir string) string { return filepath.Join(dir, "wire") }

// lay waits for the machine at its socket and relays between it and the port of the
// switch until ctx ends or the machine is off.
func (w *Wire) lay(ctx context.Context, dir string, port *os.File) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", wirePath(dir))
	if err != nil {
		return fmt.Errorf("laying a wire: %w", err)
	}

	go func() {
		defer port.Close() //nolint:errcheck // the end of the wire

		stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) //nolint:errcheck // likewise
		defer stop()

		conn, err := listener.Accept()
		_ = listener.Close() //nolint:errcheck // there is one machine

		if err != nil {
			return
		}

		end := context.AfterFunc(ctx, func() { _ = errors.Join(conn.Close(), port.Close()) }) //nolint:errcheck // both readers end
		defer end()

		go w.down(port, conn)
		w.up(conn, port)

		_ = conn.Close() //nolint:errcheck // the machine is off
	}()

	return nil
}

// up carries what the machine says: QEMU puts the length before each frame.
func (w *Wire) up(machine io.Reader, port io.Writer) {
	head := make([]byte, 4)
	buf := make([]byte, 64<<10)

	for {
		if _, err := io.ReadFull(machine, head); err != nil {
			return
		}

		n := binary.BigEndian.Uint32(head)
		if n > uint32(len(buf)) { //nolint:gosec // a constant
			return
		}

		if _, err := io.ReadFull(machine, buf[:n]); err != nil {
			return
		}

		if w.through(buf[:n], false) {
			_, _ = port.Write(buf[:n]) //nolint:errcheck // a frame that the switch does not take is lost
		}
	}
}

// down carries what is for the machine.
func (w *Wire) down(port io.Reader, machine io.Writer) {
	buf := make([]byte, 4+64<<10)

	for {
		n, err := port.Read(buf[4:])
		if err != nil {
			return
		}

		if !w.through(buf[4:4+n], true) {
			continue
		}

		binary.BigEndian.PutUint32(buf, uint32(n)) //nolint:gosec // a frame

		if _, err := machine.Write(buf[:4+n]); err != nil {
			return
		}
	}
}

func (w *Wire) through(frame []byte, toMachine bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	seen := Frame{At: time.Now(), Data: append([]byte(nil), frame...)}
	passes := w.Pass == nil || w.Pass(frame, toMachine)

	if !toMachine {
		seen.Data = append(seen.Data[:0], frame...) // as it leaves the cable
	}

	if w.Note != nil && (toMachine || passes) {
		w.Note(seen, toMachine)
	}

	return passes
}
