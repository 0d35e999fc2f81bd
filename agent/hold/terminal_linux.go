package hold

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal (pty(7)).
type terminal struct{ master, slave *os.File }

// openTerminal opens a new one. Both ends wait in Go's poller, so that closing
// the master ends whatever waits for it.
func openTerminal(size window) (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a terminal: %w", err)
	}

	t := &terminal{master: master}

	if t.slave, err = t.peer(); err != nil {
		_ = master.Close() // nothing was written

		return nil, fmt.Errorf("opening a terminal: %w", err)
	}

	return t, t.resize(size)
}

// peer unlocks and opens the other end.
func (t *terminal) peer() (*os.File, error) {
	var number int

	err := t.control(func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}

		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)

		return err
	})
	if err != nil {
		return nil, err
	}

	return os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
}

func (t *terminal) resize(size window) error {
	return t.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.rows, Col: size.columns})
	})
}

// control lends the master's descriptor without taking it out of the poller.
func (t *terminal) control(do func(fd int) error) error {
	raw, err := t.master.SyscallConn()
	if err != nil {
		return err
	}

	var did error

	if err := raw.Control(func(fd uintptr) { did = do(int(fd)) }); err != nil { //nolint:gosec // a descriptor
		return err
	}

	return did
}

// close hangs up: the kernel tells whoever still uses the terminal. It may be
// called twice.
func (t *terminal) close() {
	_ = t.slave.Close()
	_ = t.master.Close()
}
