package ras

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxRecord is the most that one read of /dev/kmsg returns (PRINTK_MESSAGE_MAX with
// its dictionary).
const maxRecord = 16 << 10

// kernelLog reads /dev/kmsg without ever waiting.
type kernelLog struct {
	fd   int
	lost int // times that records were overwritten before they were read
}

func openKernelLog(path string) (*kernelLog, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the kernel's log: %w", err)
	}

	return &kernelLog{fd: fd}, nil
}

// drain hands over the records that are there.
func (l *kernelLog) drain(hear func(Record)) {
	buffer := make([]byte, maxRecord)

	for {
		n, err := unix.Read(l.fd, buffer)

		switch {
		case errors.Is(err, unix.EPIPE):
			l.lost++

			continue
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n <= 0:
			return
		}

		for _, raw := range splitRecords(buffer[:n]) {
			if r, ok := ParseRecord(raw); ok {
				hear(r)
			}
		}
	}
}

func (l *kernelLog) close() { _ = unix.Close(l.fd) } // nothing was written

// tracer is an instance of the kernel's tracing of our own, with the events about
// faults switched on.
type tracer struct {
	fd   int
	rest []byte // of a line that is not whole yet
}

// openTracer sets the instance up. dir is where tracefs is mounted.
func openTracer(dir string) (*tracer, error) {
	instance := filepath.Join(dir, "instances", "vetting")
	if err := os.Mkdir(instance, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("setting up trace events: %w", err)
	}

	var faults []error

	on := 0

	for _, event := range traces() {
		err := os.WriteFile(filepath.Join(instance, "events", event, "enable"), []byte("1"), 0)
		if err == nil {
			on++
		}

		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without this event
			faults = append(faults, err)
		}
	}

	if on == 0 {
		return nil, fmt.Errorf("setting up trace events: %w", errors.Join(append(faults, errors.New("the kernel has none of them"))...))
	}

	fd, err := unix.Open(filepath.Join(instance, "trace_pipe"), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening trace events: %w", err)
	}

	return &tracer{fd: fd}, nil
}

// drain hands over the events that are there.
func (t *tracer) drain(hear func(Event)) {
	buffer := make([]byte, maxRecord)

	for {
		n, err := unix.Read(t.fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}

		if err != nil || n <= 0 {
			return
		}

		t.rest = append(t.rest, buffer[:n]...)

		for {
			line, rest, found := bytes.Cut(t.rest, []byte("\n"))
			if !found {
				break
			}

			if e, ok := ParseTrace(string(line)); ok {
				hear(e)
			}

			t.rest = rest
		}
	}
}

func (t *tracer) close() { _ = unix.Close(t.fd) } // nothing was written
