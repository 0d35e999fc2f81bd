package ipmi

import (
	"errors"
	"fmt"
)

// ErrAbsent means that the machine has no BMC, or no driver for it.
var ErrAbsent = errors.New("the machine shows no BMC")

// ErrShort means that an answer has fewer bytes than what it should hold.
var ErrShort = errors.New("answer too short")

// The network functions of requests (IPMI 2.0 table 5-1).
const (
	Chassis   byte = 0x00
	Sensor    byte = 0x04
	App       byte = 0x06
	Storage   byte = 0x0a
	Transport byte = 0x0c
	Group     byte = 0x2c // the first byte of the data says whose; DCh is DCMI
)

// Request is one command to the BMC.
type Request struct {
	NetFn   byte
	Command byte
	Data    []byte
}

// BMC carries requests to a management controller. The answer begins with the
// completion code. Do returns an error only when the request did not reach the
// BMC, or no answer came. Safe for concurrent use.
type BMC interface {
	Do(req Request) (answer []byte, err error)
}

// CodeError is a request that the BMC ended with a completion code other than 00h.
type CodeError struct {
	Request Request
	Code    byte
}

// Error names the command and the code.
func (e *CodeError) Error() string {
	return fmt.Sprintf("IPMI command %02x/%02x: completion code %02x", e.Request.NetFn, e.Request.Command, e.Code)
}

// ask sends a request and cuts the completion code off.
func ask(bmc BMC, netFn, command byte, data ...byte) ([]byte, error) {
	req := Request{NetFn: netFn, Command: command, Data: data}

	answer, err := bmc.Do(req)

	switch {
	case err != nil:
		return nil, err
	case len(answer) == 0:
		return nil, fmt.Errorf("IPMI command %02x/%02x: %w", netFn, command, ErrShort)
	case answer[0] != 0:
		return nil, &CodeError{Request: req, Code: answer[0]}
	default:
		return answer[1:], nil
	}
}
