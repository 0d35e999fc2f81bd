//go:build linux

package load

import (
	"encoding/binary"
	"net"
)

// DHCP message types and options (RFC 2132) and the fields of RFC 2131 §2.
const (
	discover = 1
	offer    = 2
	request  = 3
	ack      = 5
	nak      = 6

	atXID     = 4
	atYiaddr  = 16
	atChaddr  = 28
	atOptions = 240
)

type field struct {
	code  byte
	value []byte
}

// message is what a PXE ROM sends: broadcast flag, architecture 0, machine id,
// and the list of what it wants to know. The message type comes first.
func message(xid uint32, mac net.HardwareAddr, kind byte, more ...field) []byte {
	p := make([]byte, atOptions, 512)
	p[0], p[1], p[2] = 1, 1, 6
	binary.BigEndian.PutUint32(p[atXID:], xid)
	p[10] = 0x80
	copy(p[atChaddr:], mac)
	copy(p[236:], "\x63\x82\x53\x63")

	uuid := append([]byte{0, 0x4c, 0x4c, 0x45, 0x44, 0, 0x51, 0x48, 0x10, 0x80, 0x31}, mac...)
	fields := append([]field{{53, []byte{kind}}}, more...)
	fields = append(fields,
		field{57, []byte{0x05, 0xc0}},
		field{93, []byte{0, 0}},
		field{94, []byte{1, 2, 1}},
		field{97, uuid},
		field{60, []byte("PXEClient:Arch:00000:UNDI:002001")},
		field{55, []byte{1, 2, 3, 5, 6, 11, 12, 13, 15, 16, 17, 18, 43, 54, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135}},
	)

	for _, f := range fields {
		p = append(append(p, f.code, byte(len(f.value))), f.value...) //nolint:gosec // short values
	}

	return append(p, 255)
}

// option is the value of an option; nil when it is not there.
func option(packet []byte, code byte) []byte {
	for rest := packet[atOptions:]; len(rest) >= 2 && rest[0] != 255; {
		if rest[0] == 0 {
			rest = rest[1:]

			continue
		}

		end := 2 + int(rest[1])
		if end > len(rest) {
			return nil
		}

		if rest[0] == code {
			return rest[2:end]
		}

		rest = rest[end:]
	}

	return nil
}
