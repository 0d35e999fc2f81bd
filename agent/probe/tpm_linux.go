package probe

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// SystemTPM is the TPM 2.0 of the running machine, through the kernel's resource manager,
// which keeps those who talk to it apart. The zero value uses /dev/tpmrm0.
type SystemTPM struct {
	Device string
}

// tpmTime is how long a TPM may take; the kernel gives one up after minutes.
const tpmTime = 20 * time.Second

// Do writes a command and reads its response. One that takes too long is left behind.
func (s SystemTPM) Do(command []byte) ([]byte, error) {
	type answer struct {
		response []byte
		err      error
	}

	device, answered := s.Device, make(chan answer, 1)
	if device == "" {
		device = "/dev/tpmrm0"
	}

	go func() {
		response, err := askTPM(device, command)
		answered <- answer{response, err}
	}()

	timer := time.NewTimer(tpmTime)
	defer timer.Stop()

	select {
	case a := <-answered:
		return a.response, a.err
	case <-timer.C:
		return nil, fmt.Errorf("it did not answer in %v", tpmTime)
	}
}

// askTPM uses the descriptor itself: an os.File does not block, and the kernel then answers
// a read that comes before the response with nothing.
func askTPM(device string, command []byte) ([]byte, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", device, err)
	}

	defer unix.Close(fd) //nolint:errcheck // nothing is buffered

	if n, err := unix.Write(fd, command); err != nil {
		return nil, fmt.Errorf("writing to %s: %w", device, err)
	} else if n != len(command) {
		return nil, errors.New("it took part of the command")
	}

	response := make([]byte, tpmMost)

	n, err := unix.Read(fd, response)
	if err != nil {
		return nil, fmt.Errorf("reading from %s: %w", device, err)
	}

	return response[:n], nil
}
