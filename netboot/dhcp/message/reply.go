package message

import (
	"encoding/binary"
	"net/netip"
)

// Option is one option of a reply.
type Option struct {
	Code  byte
	Value []byte
}

// Reply is a BOOTREPLY to be written. Options go out in their order, which is
// the sender's choice: 53 and 54 first, because some clients look no further
// (Windows XP setup, Xbox 360, old dhcpcd), 82 last (RFC 3046 §2.2).
type Reply struct {
	XID     [4]byte
	Secs    uint16
	Flags   uint16
	CIAddr  netip.Addr
	YIAddr  netip.Addr
	SIAddr  netip.Addr
	GIAddr  netip.Addr
	MAC     [macLen]byte
	SName   string // 63 bytes at most; longer is left out
	File    string // 127 bytes at most; longer is left out
	Options []Option
}

// Broadcast is the flag that asks relays and servers to answer by broadcast.
const Broadcast uint16 = flagBcast

// Append writes the reply after dst. Options that do not fit into limit bytes
// are left out, the others kept. The result is padded to 300 bytes. Options
// are never put into file or sname.
func (r *Reply) Append(dst []byte, limit int) []byte {
	start := len(dst)

	var header [headerLen + cookieLen]byte

	header[0], header[1], header[2] = bootReply, etherType, macLen
	copy(header[4:8], r.XID[:])
	binary.BigEndian.PutUint16(header[8:], r.Secs)
	binary.BigEndian.PutUint16(header[10:], r.Flags)
	put4(header[12:16], r.CIAddr)
	put4(header[16:20], r.YIAddr)
	put4(header[20:24], r.SIAddr)
	put4(header[24:28], r.GIAddr)
	copy(header[28:34], r.MAC[:])

	if len(r.SName) < fileAt-snameAt {
		copy(header[snameAt:fileAt], r.SName)
	}

	if len(r.File) < headerLen-fileAt {
		copy(header[fileAt:headerLen], r.File)
	}

	binary.BigEndian.PutUint32(header[headerLen:], magic)
	dst = append(dst, header[:]...)

	for _, o := range r.Options {
		if len(o.Value) > 255 || len(dst)-start+2+len(o.Value)+1 > limit {
			continue
		}

		dst = append(dst, o.Code, byte(len(o.Value)))
		dst = append(dst, o.Value...)
	}

	dst = append(dst, optEnd)
	for len(dst)-start < padTo {
		dst = append(dst, optPad)
	}

	return dst
}

func put4(dst []byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		copy(dst, v[:])
	}
}
