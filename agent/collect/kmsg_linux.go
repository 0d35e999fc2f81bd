package collect

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	maxKmsg   = 16 << 20 // bytes
	maxRecord = 8 << 10  // the kernel's limit for one record with all its fields
)

// Kmsg reads the kernel's log from its beginning, a record a line with its
// continuation lines, as /dev/kmsg gives it, and does not wait for more.
func Kmsg() ([]byte, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the kernel's log: %w", err)
	}

	defer unix.Close(fd) //nolint:errcheck // opened for reading

	var log []byte

	for record := make([]byte, maxRecord); len(log) < maxKmsg; {
		n, err := unix.Read(fd, record)

		switch {
		case errors.Is(err, unix.EAGAIN), n == 0 && err == nil:
			return log, nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // overwritten before it was read
			continue
		case err != nil:
			return log, fmt.Errorf("reading the kernel's log: %w", err)
		}

		log = append(log, record[:n]...)
	}

	return log, nil
}
