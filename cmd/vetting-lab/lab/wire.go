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
	// VLAN makes the switch's end an access port of that VLAN (IEEE 802.1Q, 1 to 4094): what
	// the machine says is tagged, the machine hears what was, without its tag, and nothing
	// else. 0: the cable takes no notice of tags.
	VLAN uint16

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

		if frame, ok := w.through(buf[:n], false); ok {
			_, _ = port.Write(frame) //nolint:errcheck // a frame that the switch does not take is lost
		}
	}
}

// down carries what is for the machine.
func (w *Wire) down(port io.Reader, machine io.Writer) {
	buf := make([]byte, 64<<10)

	for {
		n, err := port.Read(buf)
		if err != nil {
			return
		}

		frame, ok := w.through(buf[:n], true)
		if !ok {
			continue
		}

		head := binary.BigEndian.AppendUint32(nil, uint32(len(frame))) //nolint:gosec // a frame

		if _, err := machine.Write(append(head, frame...)); err != nil {
			return
		}
	}
}

// through has a frame pass the cable, and returns it as it comes out.
func (w *Wire) through(frame []byte, toMachine bool) (out []byte, passes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()

	seen := Frame{At: time.Now(), Data: append([]byte(nil), frame...)}

	if toMachine && w.VLAN != 0 {
		if frame, passes = untag(frame, w.VLAN); !passes {
			return nil, false
		}
	}

	passes = w.Pass == nil || w.Pass(frame, toMachine)

	if !toMachine {
		if w.VLAN != 0 {
			frame = tag(frame, w.VLAN)
		}

		seen.Data = append(seen.Data[:0], frame...) // as it leaves the cable
	}

	if w.Note != nil && (toMachine || passes) {
		w.Note(seen, toMachine)
	}

	return frame, passes
}

// etherVLAN is the type of a frame with a tag (IEEE 802.1Q, 9.4), which lies behind both
// addresses: the type, and 16 bits of which twelve are the VLAN.
const (
	etherVLAN = 0x8100
	addresses = 12
	tagBytes  = 4
	vlanBits  = 0x0fff
)

// tag returns a frame with the tag of a VLAN.
func tag(frame []byte, vlan uint16) []byte {
	if len(frame) < addresses {
		return frame
	}

	out := append(make([]byte, 0, len(frame)+tagBytes), frame[:addresses]...)
	out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, etherVLAN), vlan)

	return append(out, frame[addresses:]...)
}

// untag returns a frame of a VLAN without its tag; false: it has none, or another one.
func untag(frame []byte, vlan uint16) ([]byte, bool) {
	if len(frame) < addresses+tagBytes || binary.BigEndian.Uint16(frame[addresses:]) != etherVLAN ||
		binary.BigEndian.Uint16(frame[addresses+2:])&vlanBits != vlan {
		return nil, false
	}

	return append(append(make([]byte, 0, len(frame)), frame[:addresses]...), frame[addresses+tagBytes:]...), true
}
