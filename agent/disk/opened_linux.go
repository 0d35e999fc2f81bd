package disk

import (
	"fmt"
	"os"
	"strings"
	"unsafe"
)

const (
	nvmeIoctlIOCmd     = 0xc0484e43
	nvmeReservationRep = 0x0e // NVM command set: reservation report
)

// ReservationReport sends the reservation report by the NVME_IOCTL_IO_CMD ioctl.
func (d *nvmeDisk) ReservationReport(length int) (NVMeReply, error) {
	if length < 4 || length > 1<<20 || length%4 != 0 {
		return NVMeReply{}, fmt.Errorf("asking for %d bytes: %w", length, os.ErrInvalid)
	}

	data := make([]byte, length)
	cmd := nvmeCommand{
		opcode: nvmeReservationRep, nsid: d.nsid, addr: &data[0], dataLen: uint32(length), cdw10: uint32(length/4 - 1), timeoutMS: 20_000,
	}

	status, err := ioctlValue(d.file, nvmeIoctlIOCmd, unsafe.Pointer(&cmd)) //nolint:gosec // the ioctl takes a pointer
	if err != nil {
		return NVMeReply{}, fmt.Errorf("asking %s for reservations: %w", d.file.Name(), err)
	}

	return NVMeReply{Status: uint16(status & 0x7fff), Data: data}, nil
}

// Opened is the Bus of one disk that is open already: whatever name is asked for,
// the commands go to this file, which stays open when a device of it is closed. It is
// how an open descriptor is asked who it is.
type Opened struct {
	File  *os.File
	tally *Tally
}

// SCSI sends commands through the file.
func (o Opened) SCSI(name string) (SCSI, error) {
	if strings.HasPrefix(name, "nvme") {
		return nil, fmt.Errorf("asking %s by SCSI: %w", name, ErrRefused)
	}

	return openedSCSI{&sgDisk{file: o.File, tally: o.tally}}, nil
}

// NVMe sends commands through the file.
func (o Opened) NVMe(name string) (NVMe, error) {
	if !strings.HasPrefix(name, "nvme") {
		return nil, fmt.Errorf("asking %s by NVMe: %w", name, ErrRefused)
	}

	nsid, err := ioctlValue(o.File, nvmeIoctlID, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its namespace: %w", name, err)
	}

	return openedNVMe{&nvmeDisk{o.File, uint32(nsid & 0xffffffff)}}, nil
}

type openedSCSI struct{ *sgDisk }

// Close leaves the file open.
func (openedSCSI) Close() error { return nil }

type openedNVMe struct{ *nvmeDisk }

// Close leaves the file open.
func (openedNVMe) Close() error { return nil }
