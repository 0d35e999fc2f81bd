//go:build linux

package boots

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// packet is what is read of an Ethernet frame with IPv4 in it (RFC 791, 768, 9293).
type packet struct {
	proto    byte // 6 TCP, 17 UDP, 0: something else, or a later fragment
	src, dst netip.Addr
	from, to uint16 // ports
	ack      uint32 // of TCP
	flags    byte   // of TCP
	payload  []byte // part of the frame
}

const (
	tcp, udp = 6, 17
	fin, syn = 1, 2
	rst      = 4
)

func read(frame []byte) (p packet) {
	if len(frame) < 34 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return p
	}

	ip := frame[14:]
	head := int(ip[0]&15) * 4
	whole := min(int(binary.BigEndian.Uint16(ip[2:])), len(ip))

	if head < 20 || whole < head+8 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
		return p
	}

	body := ip[head:whole]
	p.src, p.dst = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	p.from, p.to = binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])

	switch {
	case ip[9] == udp:
		p.proto, p.payload = udp, body[8:]
	case ip[9] == tcp && len(body) >= 20:
		p.proto, p.ack, p.flags = tcp, binary.BigEndian.Uint32(body[8:]), body[13]
		p.payload = body[min(int(body[12]>>4)*4, len(body)):]
	}

	return p
}

// question reports whether the packet is a DHCP client's DISCOVER, and whether iPXE's.
func (p *packet) question() (asks, ipxe bool) {
	if p.proto != udp || p.to != 67 || len(p.payload) < 244 {
		return false, false
	}

	for o := p.payload[240:]; len(o) > 2 && o[0] != 255; o = o[min(2+int(o[1]), len(o)):] {
		switch {
		case o[0] == 53:
			asks = o[2] == 1
		case o[0] == 175, o[0] == 77 && bytes.HasPrefix(o[2:], []byte("iPXE")):
			ipxe = true
		}
	}

	return asks, ipxe
}

// reads reports whether the packet asks for a file by TFTP.
func (p *packet) reads() bool {
	return p.proto == udp && p.to == 69 && len(p.payload) > 2 && p.payload[1] == 1
}
