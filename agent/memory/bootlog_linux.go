package memory

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// BootLog returns the kernel's messages that it still has; none where they cannot
// be read.
func BootLog() (lines []string) {
	const longest = 8192 // CONSOLE_EXT_LOG_MAX

	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}

	defer unix.Close(fd) //nolint:errcheck // nothing was written

	record := make([]byte, longest)

	for {
		n, err := unix.Read(fd, record)

		switch {
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // records were overwritten: read on
		case err != nil || n <= 0:
			return lines
		default:
			line, _, _ := bytes.Cut(record[:n], []byte{'\n'})
			lines = append(lines, string(line))
		}
	}
}
