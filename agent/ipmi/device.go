package ipmi

import (
	"encoding/binary"
	"fmt"
	"net"
)

// Device is what a BMC says of itself (IPMI 2.0 §20.1).
type Device struct {
	ID           byte
	Revision     byte
	Firmware     string // "2.88", and the auxiliary revision where there is one: "1.71.0a0b0c0d"
	IPMI         string // "2.0"
	Manufacturer uint32 // IANA enterprise number
	Product      uint16
}

// ParseDevice decodes the answer to Get Device ID, without its completion code.
func ParseDevice(b []byte) (Device, error) {
	const least, whole = 11, 15

	if len(b) < least {
		return Device{}, fmt.Errorf("decoding device id of %d bytes: %w", len(b), ErrShort)
	}

	// Major is seven bits, the minor revision is BCD.
	d := Device{
		ID: b[0], Revision: b[1] & 0x0f, Firmware: fmt.Sprintf("%d.%02x", b[2]&0x7f, b[3]),
		IPMI:         fmt.Sprintf("%d.%d", b[4]&0x0f, b[4]>>4),
		Manufacturer: uint32(b[6]) | uint32(b[7])<<8 | uint32(b[8]&0x0f)<<16, Product: binary.LittleEndian.Uint16(b[9:]),
	}

	if len(b) >= whole && binary.LittleEndian.Uint32(b[11:]) != 0 {
		d.Firmware += fmt.Sprintf(".%x", b[11:whole])
	}

	return d, nil
}

// ReadDevice asks who the BMC is.
func ReadDevice(bmc BMC) (Device, error) {
	answer, err := ask(bmc, App, getDeviceID)
	if err != nil {
		return Device{}, fmt.Errorf("identifying the BMC: %w", err)
	}

	return ParseDevice(answer)
}

// lanChannels is how many channels are asked for a LAN port: boards have it on 1,
// some on 8 as well.
const lanChannels = 8

// ReadMAC returns the hardware address of the BMC's first LAN port; nothing where
// it has none.
func ReadMAC(bmc BMC) string {
	const parameterMAC = 5

	for channel := range byte(lanChannels) {
		answer, err := ask(bmc, Transport, getLAN, channel+1, parameterMAC, 0, 0)
		if err != nil || len(answer) < 7 {
			continue
		}

		if mac := net.HardwareAddr(answer[1:7]); mac.String() != "00:00:00:00:00:00" {
			return mac.String()
		}
	}

	return ""
}
