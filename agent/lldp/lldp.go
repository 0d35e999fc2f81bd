// Package lldp hears which switch and port a network port is cabled to (IEEE 802.1AB).
// It sends nothing.
package lldp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
)

// Neighbour is what the other end of a cable says of itself. Fields that it does not
// tell are empty.
type Neighbour struct {
	Chassis  string // its identity, mostly a MAC address
	Port     string // "Ethernet1/7"
	Describe string // of the port, as its operator named it
	System   string // its name
}

// String names the neighbour as people do.
func (n *Neighbour) String() string {
	system, port := n.System, n.Port
	if system == "" {
		system = n.Chassis
	}

	if n.Describe != "" && n.Describe != port {
		port += " (" + n.Describe + ")"
	}

	return "switch " + system + " port " + port
}

const (
	etherType  = 0x88cc
	etherHead  = 14
	maxText    = 128
	idMAC      = 4 // subtype of a chassis id
	portMAC    = 3 // of a port id
	idNetwork  = 5
	portNet    = 4
	familyIPv4 = 1
)

// Parse reads a frame of Ethernet; ok is false where it is no announcement, or names
// neither chassis nor port.
func Parse(frame []byte) (n Neighbour, ok bool) {
	if len(frame) < etherHead || binary.BigEndian.Uint16(frame[12:]) != etherType {
		return n, false
	}

	for rest := frame[etherHead:]; len(rest) >= 2; {
		head := binary.BigEndian.Uint16(rest)
		kind, size := head>>9, int(head&0x1ff)

		if kind == 0 || size > len(rest)-2 {
			break
		}

		value := rest[2 : 2+size]
		rest = rest[2+size:]

		switch kind {
		case 1:
			n.Chassis = identity(value, idMAC, idNetwork)
		case 2:
			n.Port = identity(value, portMAC, portNet)
		case 4:
			n.Describe = text(value)
		case 5:
			n.System = text(value)
		}
	}

	return n, n.Chassis != "" && n.Port != ""
}

// identity reads an id, which begins with its subtype.
func identity(value []byte, mac, network byte) string {
	if len(value) < 2 {
		return ""
	}

	kind, value := value[0], value[1:]

	switch {
	case kind == mac && len(value) == 6:
		return net.HardwareAddr(value).String()
	case kind == network && value[0] == familyIPv4 && len(value) == 5:
		return netip.AddrFrom4([4]byte(value[1:])).String()
	default:
		return text(value)
	}
}

// text cuts foreign bytes down to what may be shown.
func text(value []byte) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}

		return r
	}, strings.TrimRight(string(value), "\x00"))

	return strings.TrimSpace(clean[:min(len(clean), maxText)])
}
