package tftp

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// mostAwake is how long an answer is watched for without sleeping. A client that takes
	// longer gains nothing worth a core from it: waking up costs 10 to 50 microseconds.
	mostAwake = 150 * time.Microsecond
	// awakeInARow is after how much of that the others get a turn: with one processor they
	// would otherwise hear nothing from the network until the transfer is over.
	awakeInARow = time.Millisecond
	// slack is by which part of a wait it may be exceeded. The timer of a transfer is
	// then set anew now and then, and not for every window.
	slack = 16
)

// errNothing says that no packet is there now.
var errNothing = errors.New("nothing to read")

// ear reads what a client says after something was sent to it. It is used by one goroutine.
type ear struct {
	conn net.Conn
	raw  syscall.RawConn // nil: conn is no socket, and is read as it is
	turn func(fd uintptr) bool

	armed time.Time // the deadline of conn
	woken time.Time // when it was last woken

	// Of the reading under way.
	ask
	n      int
	err    error
	asleep bool
}

// ask is what a reading is to do.
type ask struct {
	into  []byte
	send  func() error  // first; nil: nothing
	hasty bool          // not even to look before the first sleep
	awake time.Duration // to stay so, at most
	until time.Time     // sleep at most; zero: not at all
}

func newEar(conn net.Conn) *ear {
	e := &ear{conn: conn}
	e.turn = e.look

	if socket, ok := conn.(syscall.Conn); ok {
		e.raw, _ = socket.SyscallConn() // nil with an error
	}

	return e
}

// hear sends, and returns the size of the next packet. Where it must not sleep and there is
// none, the error is errNothing.
func (e *ear) hear(a ask) (n int, err error) {
	if !a.until.IsZero() {
		if err := e.arm(a.until); err != nil {
			return 0, err
		}
	}

	e.ask, e.n, e.err, e.asleep = a, 0, nil, false

	switch {
	case e.raw != nil:
		err = e.raw.Read(e.turn)
	case a.until.IsZero():
		return 0, errNothing
	default:
		if a.send != nil {
			err = a.send()
		}

		if err == nil {
			e.n, err = e.conn.Read(a.into)
		}
	}

	if err == nil {
		err = e.err
	}

	return e.n, err
}

// arm has the reading end at a moment, or little later.
func (e *ear) arm(until time.Time) error {
	late := time.Until(until) / slack
	if ahead := e.armed.Sub(until); ahead >= 0 && ahead <= late {
		return nil
	}

	e.armed = until.Add(late)
	if err := e.conn.SetReadDeadline(e.armed); err != nil {
		return fmt.Errorf("setting deadline: %w", err)
	}

	return nil
}

// look is called by the runtime at first, and then whenever something has arrived, until it
// returns true. Whatever arrives after the first call has begun wakes us; so what is sent
// leaves within it, and a look right after that, when nobody can have answered, is spared.
func (e *ear) look(fd uintptr) (done bool) {
	begun := time.Now()

	if e.asleep {
		e.woken, e.awake = begun, 0
	}

	if e.send != nil {
		e.err, e.send = e.send(), nil
		if e.err != nil {
			return true
		}

		if e.hasty && !e.stays(begun) {
			e.asleep = true

			return false
		}
	}

	for {
		e.n, e.err = unix.Read(int(fd), e.into) //nolint:gosec // a descriptor fits an int

		switch {
		case errors.Is(e.err, unix.EINTR):
		case !errors.Is(e.err, unix.EAGAIN):
			return true
		case e.until.IsZero():
			e.err = errNothing

			return true
		case !e.stays(begun):
			e.asleep = true

			return false
		}
	}
}

// stays reports whether it stays awake, as it does since begun.
func (e *ear) stays(begun time.Time) bool {
	if e.awake == 0 {
		return false
	}

	now := time.Now()

	return now.Sub(begun) < e.awake && now.Sub(e.woken) < awakeInARow
}
