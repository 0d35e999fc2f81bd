package ipmi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System is the BMC of the running machine, through the kernel's ipmi_devintf.
// The zero value uses /dev/ipmi0, and opens it for each request.
type System struct {
	Device string

	mu sync.Mutex // one request at a time
}

// answerTime is how long a BMC may take; KCS interfaces are slow, and a BMC that
// starts anew answers nothing.
const answerTime = 10 * time.Second

// systemAddress is struct ipmi_system_interface_addr of <linux/ipmi.h>.
type systemAddress struct {
	kind    int32
	channel int16
	_       uint8    // logical unit 0
	_       [33]byte // to the largest address
}

// message is struct ipmi_msg.
type message struct {
	netFn   uint8
	command uint8
	length  uint16
	_       uint32
	data    *byte
}

// sendRequest is struct ipmi_req.
type sendRequest struct {
	address    *systemAddress
	addressLen uint32
	_          uint32
	id         int64
	message    message
}

// receiveRequest is struct ipmi_recv.
type receiveRequest struct {
	kind       int32
	_          uint32
	address    *systemAddress
	addressLen uint32
	_          uint32
	id         int64
	message    message
}

const (
	ipmiSend    = 0x8028690d // IPMICTL_SEND_COMMAND
	ipmiReceive = 0xc030690b // IPMICTL_RECEIVE_MSG_TRUNC

	kindSystem    = 0x0c
	channelBMC    = 0xf
	addressLength = 8
	maxAnswer     = 1024
	kindResponse  = 1 // IPMI_RESPONSE_RECV_TYPE
)

// Do sends the request and waits for its answer.
func (s *System) Do(req Request) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	device := s.Device
	if device == "" {
		device = "/dev/ipmi0"
	}

	file, err := os.OpenFile(device, os.O_RDWR|unix.O_CLOEXEC, 0)

	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV):
		return nil, ErrAbsent
	case err != nil:
		return nil, fmt.Errorf("opening the BMC: %w", err)
	}

	defer file.Close() //nolint:errcheck // nothing is written

	fd := int(file.Fd()) //nolint:gosec // a descriptor is small

	if err := send(fd, req); err != nil {
		return nil, fmt.Errorf("sending IPMI command %02x/%02x: %w", req.NetFn, req.Command, err)
	}

	answer, err := receive(fd)
	if err != nil {
		return nil, fmt.Errorf("awaiting IPMI command %02x/%02x: %w", req.NetFn, req.Command, err)
	}

	return answer, nil
}

func send(fd int, req Request) error {
	data := append([]byte{}, req.Data...)
	data = append(data, 0) // so that there is a first byte

	out := sendRequest{
		address: &systemAddress{kind: kindSystem, channel: channelBMC}, addressLen: addressLength, id: 1,
		message: message{netFn: req.NetFn, command: req.Command, length: uint16(len(req.Data)), data: &data[0]}, //nolint:gosec // requests are short
	}

	err := ioctl(fd, ipmiSend, unsafe.Pointer(&out)) //nolint:gosec // the ioctl takes a pointer
	runtime.KeepAlive(data)

	return err
}

// receive waits for the answer; events that the BMC sends meanwhile are passed over.
func receive(fd int) ([]byte, error) {
	for end := time.Now().Add(answerTime); ; {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // as above

		n, err := unix.Poll(poll, int(max(time.Until(end), 0).Milliseconds()))

		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return nil, os.ErrDeadlineExceeded
		}

		buffer := make([]byte, maxAnswer)
		in := receiveRequest{
			address: &systemAddress{}, addressLen: uint32(unsafe.Sizeof(systemAddress{})),
			message: message{data: &buffer[0], length: maxAnswer},
		}

		err = ioctl(fd, ipmiReceive, unsafe.Pointer(&in)) //nolint:gosec // the ioctl takes a pointer
		runtime.KeepAlive(buffer)

		if err != nil && !errors.Is(err, unix.EMSGSIZE) { // cut off, which the decoders see
			return nil, err
		}

		if in.kind == kindResponse {
			return buffer[:min(int(in.message.length), maxAnswer)], nil
		}
	}
}

func ioctl(fd int, number uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), number, uintptr(arg)); errno != 0 {
		return errno
	}

	return nil
}
