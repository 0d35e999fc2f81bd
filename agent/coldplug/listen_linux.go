package coldplug

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Listener hears the kernel's uevents. Open it before the first walk, so that no
// device falls between the two.
type Listener struct{ file *os.File }

// Listen subscribes to the kernel's group of NETLINK_KOBJECT_UEVENT.
func Listen() (*Listener, error) {
	const kernelGroup, buffer = 1, 4 << 20

	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listening for devices: %w", err)
	}

	// A machine with hundreds of devices says thousands of things at once.
	err = errors.Join(
		unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer),
		unix.Bind(sock, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for devices: %w", err), unix.Close(sock))
	}

	return &Listener{file: os.NewFile(uintptr(sock), "uevents")}, nil
}

// Next waits until the deadline for a message. missed is true when the kernel had
// to drop messages: walk again. os.ErrDeadlineExceeded when nothing came.
func (l *Listener) Next(deadline time.Time) (event Uevent, missed bool, err error) {
	if err := l.file.SetReadDeadline(deadline); err != nil {
		return Uevent{}, false, fmt.Errorf("listening for devices: %w", err)
	}

	message := make([]byte, 16<<10)

	for {
		n, err := l.file.Read(message)

		switch {
		case errors.Is(err, unix.ENOBUFS):
			return Uevent{}, true, nil
		case err != nil:
			return Uevent{}, false, fmt.Errorf("listening for devices: %w", err)
		}

		if event, ok := ParseUevent(message[:n]); ok {
			return event, false, nil
		}
	}
}

// Close ends the subscription.
func (l *Listener) Close() error { return l.file.Close() }

// closeOn closes the listener when ctx ends, which wakes Next.
func (l *Listener) closeOn(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = l.Close() })
}
