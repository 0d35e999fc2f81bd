package message

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Option codes used in the conversation with boot ROMs (RFC 2132, RFC 4578, iPXE).
const (
	OptSubnetMask    = 1
	OptRouter        = 3
	OptDNS           = 6
	OptHostName      = 12
	OptNTP           = 42
	OptVendorInfo    = 43
	OptRequestedAddr = 50
	OptLeaseTime     = 51
	OptOverload      = 52
	OptMessageType   = 53
	OptServerID      = 54
	OptParameterList = 55
	OptMessage       = 56
	OptMaxSize       = 57
	OptRenewalTime   = 58
	OptRebindingTime = 59
	OptVendorClass   = 60
	OptClientID      = 61
	OptTFTPServer    = 66
	OptBootFile      = 67
	OptUserClass     = 77
	OptRelayInfo     = 82
	OptArch          = 93
	OptMachineID     = 97
	OptIPXE          = 175
)

const (
	headerLen  = 236 // RFC 2131 figure 1, up to the options
	cookieLen  = 4
	magic      = 0x63825363
	snameAt    = 44
	fileAt     = 108
	optPad     = 0
	optEnd     = 255
	etherType  = 1 // hardware type (RFC 1700)
	macLen     = 6
	bootReply  = 2
	flagBcast  = 0x8000
	padTo      = 300 // RFC 951: BOOTP relays and old ROMs drop anything shorter
	defaultMax = 576 // RFC 2131 §2: every client accepts this much
	ethMax     = 1500
	ipUDP      = 28
)

// What a packet can lack so much that it is not a DHCP message at all.
var (
	ErrShort    = errors.New("shorter than a header")
	ErrCookie   = errors.New("no DHCP magic cookie")
	ErrHardware = errors.New("not an Ethernet client")
)

// Message is a DHCP message as read. Its slices point into the bytes that were
// parsed and are good only as long as those.
type Message struct {
	Op     byte
	Hops   byte
	XID    [4]byte
	Secs   uint16
	Flags  uint16
	CIAddr netip.Addr
	YIAddr netip.Addr
	SIAddr netip.Addr
	GIAddr netip.Addr
	MAC    [macLen]byte
	SName  []byte
	File   []byte

	// Mended says what had to be forgiven; empty for a message in order.
	Mended string

	options [256][]byte
}

// Parse reads b into m, forgetting what m held. It forgives a missing END
// option and drops a last option that is cut short; options in the file and
// sname fields (RFC 2132 §9.3) are merged, options in pieces joined (RFC 3396).
func (m *Message) Parse(b []byte) error {
	*m = Message{}

	if len(b) < headerLen+cookieLen {
		return fmt.Errorf("reading %d bytes: %w", len(b), ErrShort)
	}

	if binary.BigEndian.Uint32(b[headerLen:]) != magic {
		return ErrCookie
	}

	if b[1] != etherType || b[2] != macLen {
		return fmt.Errorf("hardware type %d, address length %d: %w", b[1], b[2], ErrHardware)
	}

	m.header(b)

	if !m.collect(b[headerLen+cookieLen:]) {
		m.Mended = "no END option"
	}

	m.overload()

	return nil
}

func (m *Message) header(b []byte) {
	m.Op, m.Hops = b[0], b[3]
	copy(m.XID[:], b[4:8])
	m.Secs = binary.BigEndian.Uint16(b[8:])
	m.Flags = binary.BigEndian.Uint16(b[10:])
	m.CIAddr = netip.AddrFrom4([4]byte(b[12:16]))
	m.YIAddr = netip.AddrFrom4([4]byte(b[16:20]))
	m.SIAddr = netip.AddrFrom4([4]byte(b[20:24]))
	m.GIAddr = netip.AddrFrom4([4]byte(b[24:28]))
	copy(m.MAC[:], b[28:34])
	m.SName = b[snameAt:fileAt]
	m.File = b[fileAt:headerLen]
}

// overload reads the fields that option 52 says hold more options (file first).
func (m *Message) overload() {
	over, ok := m.Byte(OptOverload)
	if !ok {
		return
	}

	if over&1 != 0 {
		m.collect(m.File)
		m.File = nil
	}

	if over&2 != 0 {
		m.collect(m.SName)
		m.SName = nil
	}
}

// collect gathers options up to END and reports whether there was one.
func (m *Message) collect(b []byte) (ended bool) {
	for len(b) > 0 {
		code := b[0]

		switch {
		case code == optPad:
			b = b[1:]

			continue
		case code == optEnd:
			return true
		case len(b) < 2 || len(b) < 2+int(b[1]):
			m.Mended = fmt.Sprintf("option %d cut short", code)

			return true
		}

		value := b[2 : 2+int(b[1])]
		if before := m.options[code]; before != nil {
			value = append(before[:len(before):len(before)], value...)
		}

		m.options[code] = value
		b = b[2+int(b[1]):]
	}

	return false
}

// Has reports whether the option was sent, be it empty.
func (m *Message) Has(code byte) bool { return m.options[code] != nil }

// Option returns the value of an option; nil when absent.
func (m *Message) Option(code byte) []byte { return m.options[code] }

// Byte returns the first byte of an option.
func (m *Message) Byte(code byte) (byte, bool) {
	if v := m.options[code]; len(v) > 0 {
		return v[0], true
	}

	return 0, false
}

// Uint16 returns an option of two bytes, in network order. A value of another
// length does not count (some ROMs send option 93 with odd length).
func (m *Message) Uint16(code byte) (uint16, bool) {
	if v := m.options[code]; len(v) >= 2 && len(v)%2 == 0 {
		return binary.BigEndian.Uint16(v), true
	}

	return 0, false
}

// Addr returns an option that holds an IPv4 address.
func (m *Message) Addr(code byte) (netip.Addr, bool) {
	if v := m.options[code]; len(v) >= 4 {
		return netip.AddrFrom4([4]byte(v[:4])), true
	}

	return netip.Addr{}, false
}

// Asks reports whether the client's parameter list names an option.
func (m *Message) Asks(code byte) bool {
	return bytes.IndexByte(m.options[OptParameterList], code) >= 0
}

// Text returns an option as text without the NUL bytes that some clients end it with.
func (m *Message) Text(code byte) string {
	v := m.options[code]
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}

	return string(v)
}

// Room returns how long a reply, without IP and UDP header, may be: what option
// 57 says, at least 576 and at most what fits an Ethernet frame.
func (m *Message) Room() int {
	limit := defaultMax
	if asked, ok := m.Uint16(OptMaxSize); ok {
		limit = min(max(int(asked), defaultMax), ethMax)
	}

	return limit - ipUDP
}
