package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sgHeader is struct sg_io_hdr of <scsi/sg.h>, version 3, on 64-bit Linux.
type sgHeader struct {
	interfaceID    int32
	direction      int32
	cmdLen         uint8
	maxSense       uint8
	iovecCount     uint16
	dataLen        uint32
	data           *byte
	cdb            *byte
	sense          *byte
	timeout        uint32
	flags          uint32
	packID         int32
	_              int32
	user           uintptr
	status         uint8
	maskedStatus   uint8
	messageStatus  uint8
	senseWritten   uint8
	hostStatus     uint16
	driverStatus   uint16
	residual       int32
	durationMillis uint32
	info           uint32
}

const (
	sgIO          = 0x2285
	sgDirNone     = -1
	sgDirFromDev  = -3
	sgSenseLength = 64
	sgTimeout     = 20 * time.Second
)

// sgDisk is a block or sg device opened for SG_IO.
type sgDisk struct {
	file  *os.File
	tally *Tally
	disk  bool // it answered INQUIRY as one
}

// Execute sends the command by the SG_IO ioctl.
func (d *sgDisk) Execute(req SCSIRequest) (SCSIReply, error) {
	if len(req.CDB) == 0 || len(req.CDB) > 32 || req.In < 0 || req.In > 1<<20 {
		return SCSIReply{}, fmt.Errorf("sending %d bytes of command for %d bytes: %w", len(req.CDB), req.In, os.ErrInvalid)
	}

	if err := questionSCSI(req.CDB, d.disk); err != nil {
		return SCSIReply{}, fmt.Errorf("asking %s: %w", d.file.Name(), err)
	}

	if req.Timeout == 0 {
		req.Timeout = sgTimeout
	}

	data, sense := make([]byte, max(req.In, 1)), make([]byte, sgSenseLength)
	header := sgHeader{
		interfaceID: 'S', direction: sgDirNone, cmdLen: uint8(len(req.CDB)), maxSense: sgSenseLength,
		cdb: &req.CDB[0], sense: &sense[0], timeout: uint32(min(req.Timeout.Milliseconds(), 1<<30)), //nolint:gosec // bounded here
	}

	if req.In > 0 {
		header.direction, header.dataLen, header.data = sgDirFromDev, uint32(req.In), &data[0] //nolint:gosec // bounded above
	}

	var err error

	d.tally.around(filepath.Base(d.file.Name()), func() (failed bool) {
		err = ioctl(d.file, sgIO, unsafe.Pointer(&header)) //nolint:gosec // the ioctl takes a pointer

		return err != nil || header.status != 0 || header.hostStatus != 0 || header.driverStatus != 0
	})

	if err != nil {
		return SCSIReply{}, fmt.Errorf("sending SCSI command %#x to %s: %w", req.CDB[0], d.file.Name(), err)
	}

	runtime.KeepAlive(data)
	runtime.KeepAlive(sense)

	if header.hostStatus != 0 {
		return SCSIReply{}, fmt.Errorf("sending SCSI command %#x to %s: host adapter status %#x", req.CDB[0], d.file.Name(), header.hostStatus)
	}

	got := req.In - min(max(int(header.residual), 0), req.In)
	d.hear(req.CDB, header.status, data[:got])

	return SCSIReply{
		Status: header.status,
		Sense:  sense[:min(int(header.senseWritten), len(sense))],
		Data:   data[:got],
	}, nil
}

// hear remembers what standard INQUIRY data says that the device is.
func (d *sgDisk) hear(cdb []byte, status byte, data []byte) {
	if cdb[0] != scsiInquiry || cdb[1]&1 != 0 || status != 0 {
		return
	}

	inquiry, err := ParseInquiry(data)
	d.disk = err == nil && inquiry.Disk()
}

// Close gives the device back.
func (d *sgDisk) Close() error { return d.file.Close() }

// nvmeCommand is struct nvme_passthru_cmd of <linux/nvme_ioctl.h>.
type nvmeCommand struct {
	opcode      uint8
	flags       uint8
	_           uint16
	nsid        uint32
	cdw2        uint32
	cdw3        uint32
	metadata    uint64
	addr        *byte
	metadataLen uint32
	dataLen     uint32
	cdw10       uint32
	cdw11       uint32
	cdw12       uint32
	cdw13       uint32
	cdw14       uint32
	cdw15       uint32
	timeoutMS   uint32
	result      uint32
}

const (
	nvmeIoctlID       = 0x4e40
	nvmeIoctlAdminCmd = 0xc0484e41
	nvmeTimeout       = 20 * time.Second
)

// nvmeDisk is an NVMe block or controller device.
type nvmeDisk struct {
	file *os.File
	nsid uint32
}

// Admin sends the command by the NVME_IOCTL_ADMIN_CMD ioctl.
func (d *nvmeDisk) Admin(req NVMeRequest) (NVMeReply, error) {
	if err := questionNVMe(req); err != nil {
		return NVMeReply{}, fmt.Errorf("asking %s: %w", d.file.Name(), err)
	}

	return d.send(req, nvmeTimeout)
}

// send sends any command.
func (d *nvmeDisk) send(req NVMeRequest, patience time.Duration) (NVMeReply, error) {
	if req.In < 0 || req.In > 1<<20 {
		return NVMeReply{}, fmt.Errorf("asking for %d bytes: %w", req.In, os.ErrInvalid)
	}

	data := make([]byte, max(req.In, 1))
	cmd := nvmeCommand{
		opcode: req.Opcode, nsid: req.NSID, cdw10: req.CDW10, cdw11: req.CDW11,
		timeoutMS: uint32(min(patience.Milliseconds(), 1<<30)), //nolint:gosec // bounded here
	}

	if req.Namespaced {
		cmd.nsid = d.nsid
	}

	if req.In > 0 {
		cmd.addr, cmd.dataLen = &data[0], uint32(req.In) //nolint:gosec // bounded above
	}

	status, err := ioctlValue(d.file, nvmeIoctlAdminCmd, unsafe.Pointer(&cmd)) //nolint:gosec // the ioctl takes a pointer
	if err != nil {
		return NVMeReply{}, fmt.Errorf("sending NVMe command %#x to %s: %w", req.Opcode, d.file.Name(), err)
	}

	runtime.KeepAlive(data)

	return NVMeReply{Status: uint16(status & 0x7fff), Result: cmd.result, Data: data[:req.In]}, nil
}

// Close gives the device back.
func (d *nvmeDisk) Close() error { return d.file.Close() }

// Erasable is an NVMe disk that is open for writing, to which a command of an
// NVMeErasure can be sent as well as questions. It is for agent/blockdev alone, as a test
// of cmd/vetting holds. ErrRefused where the file is no namespace.
func Erasable(file *os.File, patience time.Duration) (NVMe, error) {
	nsid, err := ioctlValue(file, nvmeIoctlID, nil)
	if err != nil || nsid == 0 || nsid >= allNamespaces {
		return nil, fmt.Errorf("asking %s for its namespace (%d, %w): %w", file.Name(), nsid, err, ErrRefused)
	}

	return erasable{&nvmeDisk{file, uint32(nsid)}, patience}, nil
}

type erasable struct {
	*nvmeDisk

	patience time.Duration
}

// Admin sends questions, a format of this one namespace, and a sanitize.
func (d erasable) Admin(req NVMeRequest) (NVMeReply, error) {
	format := req.Opcode == nvmeFormat && req.Namespaced && req.In == 0
	if sanitize := req.Opcode == nvmeSanitize && req.In == 0; !format && !sanitize {
		return d.nvmeDisk.Admin(req)
	}

	return d.send(req, d.patience)
}

// Close leaves the file open.
func (erasable) Close() error { return nil }

func ioctl(file *os.File, number uintptr, arg unsafe.Pointer) error {
	_, err := ioctlValue(file, number, arg)

	return err
}

// ioctlValue goes through SyscallConn, so that the file cannot be closed under it.
func ioctlValue(file *os.File, number uintptr, arg unsafe.Pointer) (value uintptr, err error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}

	var errno unix.Errno

	err = conn.Control(func(fd uintptr) {
		value, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, number, uintptr(arg))
	})
	if err != nil {
		return 0, err
	}

	if errno != 0 {
		return 0, errno
	}

	return value, nil
}
