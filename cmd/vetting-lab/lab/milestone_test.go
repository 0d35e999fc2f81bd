//go:build linux

package lab_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
)

// frame is an Ethernet frame with a TCP segment to 10.77.0.1.
func frame(port uint16, flags byte, payload string) []byte {
	f := make([]byte, 14+20+20, 128)
	f[12], f[13], f[14], f[23] = 8, 0, 0x45, 6
	copy(f[30:], []byte{10, 77, 0, 1})
	binary.BigEndian.PutUint16(f[36:], port)
	f[46], f[47] = 0x50, flags

	return append(f, payload...)
}

// datagram is an Ethernet frame with a UDP datagram.
func datagram(port uint16, payload string) []byte {
	f := make([]byte, 14+20+8, 128)
	f[12], f[13], f[14], f[23] = 8, 0, 0x45, 17
	binary.BigEndian.PutUint16(f[36:], port)

	return append(f, payload...)
}

func TestMilestonesOfSignedBootAreReadOffTheWire(t *testing.T) {
	server := netip.MustParseAddr("10.77.0.1")
	start := time.Now()

	for name, script := range map[string][]byte{
		"TFTP": datagram(69, "\x00\x01/grub/grub.cfg\x00octet\x00"),
		"HTTP": frame(80, 0x18, "GET /boot/grub/grub.cfg HTTP/1.1\r\n"),
	} {
		var at lab.Milestones

		for i, data := range [][]byte{
			datagram(68, "nothing of it"),
			datagram(67, "DISCOVER"),
			datagram(67, "REQUEST"),
			datagram(69, "\x00\x01grubx64.efi\x00octet\x00"),
			script,
			script,
		} {
			lab.Note(&at, lab.Frame{At: start.Add(time.Duration(i+1) * time.Second), Data: data}, start, server)
		}

		if at.Asked != 2*time.Second || at.Script != 5*time.Second {
			t.Errorf("%s: the milestones are %+v", name, at)
		}
	}
}

func TestMilestonesAreReadOffTheWire(t *testing.T) {
	server := netip.MustParseAddr("10.77.0.1")
	start := time.Now()

	var at lab.Milestones

	for i, data := range [][]byte{
		frame(80, 0x18, "GET /autoexec.ipxe HTTP/1.1\r\n"),
		frame(80, 0x18, "GET /ipxe/52:54:00:7e:57:01 HTTP/1.1\r\n"),
		frame(80, 0x18, "GET /ipxe/52:54:00:7e:57:01 HTTP/1.1\r\n"),
		frame(443, 0x18, "hello of an older boot"),
		frame(443, 0x02, ""),
	} {
		lab.Note(&at, lab.Frame{At: start.Add(time.Duration(i+1) * time.Second), Data: data}, start, server)
	}

	if at.Script != 2*time.Second || at.Hello != 5*time.Second {
		t.Errorf("the milestones are %+v", at)
	}
}

func FuzzSegmentOf(f *testing.F) {
	f.Add(frame(443, 2, ""))
	f.Add(frame(80, 0x18, "GET / HTTP/1.1"))
	f.Add([]byte{})

	server := netip.MustParseAddr("10.77.0.1")

	f.Fuzz(func(_ *testing.T, data []byte) { lab.SegmentOf(data, server) })
}
