package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// System is the Bus of the running machine. Dev is the folder of device nodes,
// "/dev" when empty; Tally, if there is one, counts what the kernel counts among the
// errors of disks.
type System struct {
	Dev   string
	Tally *Tally
}

// Opened is the Bus of one disk of this one that is open already.
func (s System) Opened(file *os.File) Bus { return Opened{File: file, tally: s.Tally} }

// SCSI opens the disk for SG_IO.
func (s System) SCSI(name string) (SCSI, error) {
	if strings.HasPrefix(name, "nvme") {
		return nil, fmt.Errorf("opening %s for SCSI: %w", name, ErrRefused)
	}

	file, err := s.open(name)
	if err != nil {
		return nil, err
	}

	return &sgDisk{file: file, tally: s.Tally}, nil
}

// NVMe opens the disk for admin commands.
func (s System) NVMe(name string) (NVMe, error) {
	if !strings.HasPrefix(name, "nvme") {
		return nil, fmt.Errorf("opening %s for NVMe: %w", name, ErrRefused)
	}

	file, err := s.open(name)
	if err != nil {
		return nil, err
	}

	// A controller node ("nvme0") has no namespace: the commands then name one.
	nsid, err := ioctlValue(file, nvmeIoctlID, nil)
	if err != nil {
		nsid = 0
	}

	return &nvmeDisk{file: file, nsid: uint32(nsid & 0xffffffff)}, nil
}

// open never waits for a medium, and never opens for writing.
func (s System) open(name string) (*os.File, error) {
	dev := s.Dev
	if dev == "" {
		dev = "/dev"
	}

	if name == "" || strings.ContainsAny(name, "/.") {
		return nil, fmt.Errorf("opening disk %q: %w", name, os.ErrInvalid)
	}

	file, err := os.OpenFile(filepath.Join(dev, name), os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening disk: %w", err)
	}

	return file, nil
}
