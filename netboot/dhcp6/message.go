package dhcp6

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
)

// Message types (RFC 8415 §7.3).
const (
	typeSolicit     = 1
	typeAdvertise   = 2
	typeRequest     = 3
	typeConfirm     = 4
	typeRenew       = 5
	typeRebind      = 6
	typeReply       = 7
	typeRelease     = 8
	typeDecline     = 9
	typeInformation = 11
)

// Options (RFC 8415 §21, RFC 5970).
const (
	optClientID    = 1
	optServerID    = 2
	optIANA        = 3
	optAddress     = 5
	optPreference  = 7
	optStatus      = 13
	optRapidCommit = 14
	optVendorClass = 16
	optBootFileURL = 59
	optArch        = 61
)

const (
	headLen = 4   // type and transaction
	maxDUID = 130 // RFC 8415 §11.1
	enough  = 64  // options; a client sends a dozen
)

// What is wrong with a message.
var (
	errShort   = errors.New("shorter than a header")
	errCut     = errors.New("an option is cut short")
	errCrowded = errors.New("too many options")
	errNoDUID  = errors.New("no client identifier, or one of a wrong length")
)

// message is a client's message. Its slices point into the bytes it was read from.
type message struct {
	kind   byte
	xid    [3]byte
	client []byte // DUID
	server []byte // likewise; nil: to all servers
	ia     []byte // identity of the association that it wants an address in; nil: none
	rapid  bool
	class  []byte // of the vendor class: enterprise number and data
	arch   int    // -1: not told
}

// parse reads a client's message.
func parse(b []byte) (m message, err error) {
	if len(b) < headLen {
		return m, errShort
	}

	m = message{kind: b[0], xid: [3]byte(b[1:4]), arch: -1}
	count := 0

	for b = b[headLen:]; len(b) > 0; count++ {
		if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
			return m, errCut
		}

		if count == enough {
			return m, errCrowded
		}

		value := b[4 : 4+int(binary.BigEndian.Uint16(b[2:]))]
		m.take(binary.BigEndian.Uint16(b), value)
		b = b[4+len(value):]
	}

	if len(m.client) < 3 || len(m.client) > maxDUID {
		return m, errNoDUID
	}

	return m, nil
}

func (m *message) take(code uint16, value []byte) {
	switch code {
	case optClientID:
		m.client = value
	case optServerID:
		m.server = value
	case optRapidCommit:
		m.rapid = true
	case optVendorClass:
		m.class = value
	case optIANA:
		if len(value) >= 12 && m.ia == nil { // one association is answered
			m.ia = value[:4]
		}
	case optArch:
		if len(value) >= 2 {
			m.arch = int(binary.BigEndian.Uint16(value))
		}
	}
}

// option appends one to b.
func option(b []byte, code uint16, value ...byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value))) //nolint:gosec // ours are short

	return append(b, value...)
}

// Hardware types and kinds of DUID (RFC 8415 §11, RFC 6355).
const (
	duidLinkTime = 1
	duidLink     = 3
	duidUUID     = 4
	ethernet     = 1
)

// duidMAC returns the MAC that a DUID is made of.
func duidMAC(duid []byte) (mac [6]byte, ok bool) {
	if len(duid) < 4 || binary.BigEndian.Uint16(duid[2:]) != ethernet {
		return mac, false
	}

	switch kind := binary.BigEndian.Uint16(duid); {
	case kind == duidLinkTime && len(duid) == 14:
		return [6]byte(duid[8:]), true
	case kind == duidLink && len(duid) == 10:
		return [6]byte(duid[4:]), true
	default:
		return mac, false
	}
}

// addrMAC returns the MAC that the lower half of an address is made of (RFC 4291
// appendix A: modified EUI-64).
func addrMAC(addr netip.Addr) (mac [6]byte, ok bool) {
	b := addr.As16()
	if b[11] != 0xff || b[12] != 0xfe {
		return mac, false
	}

	return [6]byte{b[8] ^ 2, b[9], b[10], b[13], b[14], b[15]}, true
}

// withMAC is the address of a network whose lower half is made of a MAC.
func withMAC(prefix netip.Prefix, mac [6]byte) netip.Addr {
	b := prefix.Addr().As16()
	copy(b[8:], []byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})

	return netip.AddrFrom16(b)
}

// own is our DUID: made of the card's MAC.
func own(mac [6]byte) []byte { return slices.Concat([]byte{0, duidLink, 0, ethernet}, mac[:]) }
