package disk

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrRefused means that the device understood the transport but not the command,
// or does not have the feature asked for. It is an answer about the device, not a
// fault of ours.
var ErrRefused = errors.New("the device refuses the command")

// ErrBusy means that a self-test is under way, which the device does not end for
// another one.
var ErrBusy = errors.New("a self-test is under way")

// ErrShort means that the device answered with fewer bytes than the structure
// asked for has.
var ErrShort = errors.New("answer too short")

// SCSIRequest is a SCSI command that reads In bytes (0: no data).
type SCSIRequest struct {
	CDB     []byte
	In      int
	Timeout time.Duration // 0: 20 s
}

// SCSIReply is what came back of a command that reached the device. Status is the
// SAM status (0 good, 2 check condition); Data is cut to what was transferred.
type SCSIReply struct {
	Status byte
	Sense  []byte
	Data   []byte
}

// SCSI carries SCSI commands to one disk. Execute returns an error only when the
// command did not reach the device or got lost on the way. Not safe for
// concurrent use.
type SCSI interface {
	Execute(req SCSIRequest) (SCSIReply, error)
	io.Closer
}

// ATARequest is a 28-bit ATA command, or with Ext a 48-bit one, that reads In
// bytes (0: non-data, and the output registers are asked for).
type ATARequest struct {
	Command byte
	Feature byte
	Count   byte
	LBA     uint32 // 24 bits, in the order low, mid, high
	Ext     bool
	In      int
}

// ATAReply carries the data of a data-in command, or the output registers of a
// non-data one.
type ATAReply struct {
	Data   []byte
	Status byte
	Error  byte
	Count  byte
	LBA    uint32 // the low 24 bits
	High   uint32 // the high 24 bits of a 48-bit command
}

// ATA carries ATA commands to one disk. ErrRefused when the device aborts the
// command. Not safe for concurrent use.
type ATA interface {
	Do(req ATARequest) (ATAReply, error)
}

// NVMeRequest is an admin command that reads In bytes (0: no data).
type NVMeRequest struct {
	Opcode     byte
	NSID       uint32
	CDW10      uint32
	CDW11      uint32
	In         int
	Namespaced bool // use the namespace of the block device instead of NSID
}

// NVMeReply is what came back: the status field (0 good; SCT in bits 8-10, SC in
// bits 0-7), the command-specific result and the data.
type NVMeReply struct {
	Status uint16
	Result uint32
	Data   []byte
}

// NVMe carries admin commands to one controller. Admin returns an error only when
// the command did not reach the controller. Not safe for concurrent use.
type NVMe interface {
	Admin(req NVMeRequest) (NVMeReply, error)
	io.Closer
}

// Bus opens disks by their kernel name ("sda", "nvme0n1"). A method returns an
// error that matches ErrRefused when the disk does not speak that language.
type Bus interface {
	SCSI(name string) (SCSI, error)
	NVMe(name string) (NVMe, error)
}

// StatusError is a command that the device ended with a status other than good.
// It matches ErrRefused when the device does not know the command.
type StatusError struct {
	What   string
	Status uint16 // SAM status or NVMe status field
	Key    byte   // SCSI sense key
	ASC    byte   // SCSI additional sense code
	ASCQ   byte
	Unsupp bool

	ata bool // it is the disk behind a translation layer that ended it, not the layer
}

// Error names the command and the codes.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: status %#x, sense %x/%02x/%02x", e.What, e.Status, e.Key, e.ASC, e.ASCQ)
}

// Is reports whether target is ErrRefused and the command is unknown to the device, or
// ErrBusy and a self-test is under way: NVMe status 11Dh, SCSI NOT READY 04h/09h.
func (e *StatusError) Is(target error) bool {
	busy := e.Status == 0x11d || e.Key == 2 && e.ASC == 4 && e.ASCQ == 9

	return target == ErrRefused && e.Unsupp || target == ErrBusy && busy
}
