// Package hostiletest makes what a broken or ill-willed station on the test network sends, for
// tests of what becomes of the machines beside it.
package hostiletest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/mdlayher/packet"
)

// Packets reads recorded DHCP packets, those that match a pattern.
func Packets(pattern string) (all [][]byte, err error) {
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no recorded packets match %s (%w)", pattern, err)
	}

	for _, name := range names {
		b, err := os.ReadFile(name) //nolint:gosec // what a test names
		if err != nil {
			return nil, fmt.Errorf("reading a recorded packet: %w", err)
		}

		all = append(all, b)
	}

	return all, nil
}

// Flood sends frames on conn, so many a second, until ctx ends, and counts them. It closes
// conn at its end.
func (h *Source) Flood(ctx context.Context, conn *packet.Conn, rate int) (sent *atomic.Int64) {
	sent = &atomic.Int64{}

	go func() {
		defer conn.Close() //nolint:errcheck // nothing is kept in it

		for start := time.Now(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			for due := int64(time.Since(start).Seconds() * float64(rate)); sent.Load() < due && ctx.Err() == nil; sent.Add(1) {
				_, _ = conn.WriteTo(h.Next(), &packet.Addr{HardwareAddr: h.to}) //nolint:errcheck // a full queue is the way of floods
			}
		}
	}()

	return sent
}

// Source makes frames that a broken or ill-willed station sends: everything that the
// appliance listens to, mutated. What it leaves out is what a DHCP server says, and a
// machine's choice of another one: by that anybody can silence the appliance, on purpose.
type Source struct {
	rnd   *rand.Rand
	seeds [][]byte // recorded DHCP packets
	to    net.HardwareAddr
	aimed bool
}

// New returns a source of frames to a card, made from recorded DHCP packets: at least one, of
// 300 bytes and more each. It is not safe for concurrent use.
func New(seed uint64, packets [][]byte, to net.HardwareAddr) *Source {
	return &Source{rnd: rand.New(rand.NewPCG(seed, 1)), seeds: packets, to: to} //nolint:gosec // the same each time
}

// Bytes are n of them by chance.
func (h *Source) Bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.rnd.Uint32())
	}

	return b
}

// stranger is a MAC that nobody has registered.
func (h *Source) stranger() net.HardwareAddr {
	return append(net.HardwareAddr{2, 0xbd}, h.Bytes(4)...)
}

// address is one of the network that no station has: neither ours nor of the pool's lower
// half, where the machine of the test is.
func (h *Source) address() []byte { return []byte{10, 77, 0, byte(160 + h.rnd.IntN(60))} }

// Aim has all frames go to the card alone, also what is meant for everybody: an emulated
// machine beside it has no processor for thousands of broadcasts a second.
func (h *Source) Aim() *Source {
	h.aimed = true

	return h
}

// Next is the next frame.
func (h *Source) Next() []byte {
	frame := h.frame()
	if h.aimed {
		copy(frame, h.to)
	}

	return frame
}

func (h *Source) frame() []byte {
	everybody := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	from := h.stranger()

	switch h.rnd.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		return h.udp(from, everybody, []byte{0, 0, 0, 0}, []byte{255, 255, 255, 255}, 68, 67, h.dhcp(from))
	case 8:
		return h.udp(from, h.to, h.address(), []byte{10, 77, 0, 1}, 68, 4011, h.dhcp(from))
	case 9, 10, 11, 12, 13:
		return h.udp(from, h.to, h.address(), []byte{10, 77, 0, 1}, h.port(), 69, h.tftp())
	case 14, 15:
		return h.six(from)
	case 16, 17:
		return h.arp(from, everybody)
	default:
		return h.tcp(from)
	}
}

func (h *Source) port() uint16 { return uint16(1024 + h.rnd.IntN(60_000)) }

func (h *Source) dhcp(from net.HardwareAddr) []byte {
	if h.rnd.IntN(4) == 0 {
		return h.Bytes(h.rnd.IntN(700))
	}

	b := append([]byte(nil), h.seeds[h.rnd.IntN(len(h.seeds))]...)
	copy(b[28:34], from)

	// Behind the cookie: options that lie about their length, types that no client sends.
	for range h.rnd.IntN(6) {
		b[240+h.rnd.IntN(len(b)-240)] = byte(h.rnd.Uint32())
	}

	b[0] = 1

	if b[242] == 3 || h.rnd.IntN(8) == 0 {
		return b[:240+h.rnd.IntN(len(b)-240)]
	}

	return b
}

func (h *Source) tftp() []byte {
	switch h.rnd.IntN(4) {
	case 0:
		return h.Bytes(h.rnd.IntN(600))
	case 1:
		return []byte("\x00\x01../../../../etc/passwd\x00octet\x00blksize\x0065464\x00windowsize\x0065535\x00")
	case 2:
		return append([]byte("\x00\x02vmlinuz\x00netascii\x00"), h.Bytes(40)...)
	default:
		return []byte("\x00\x01snponly.efi\x00octet\x00tsize\x000\x00windowsize\x0064\x00")
	}
}

func (h *Source) arp(from, to net.HardwareAddr) []byte {
	b := append(append(append([]byte{}, to...), from...), 8, 6, 0, 1, 8, 0, 6, 4, 0, byte(1+h.rnd.IntN(2)))
	b = append(append(append(b, from...), h.address()...), 0, 0, 0, 0, 0, 0, 10, 77, 0, byte(1+h.rnd.IntN(254)))

	if h.rnd.IntN(4) == 0 {
		return b[:14+h.rnd.IntN(28)]
	}

	return b
}

func (h *Source) tcp(from net.HardwareAddr) []byte {
	seg := h.Bytes(20 + h.rnd.IntN(200))
	binary.BigEndian.PutUint16(seg[2:], []uint16{80, 443}[h.rnd.IntN(2)])
	seg[12] = 0x50

	return h.ip(from, h.to, h.address(), []byte{10, 77, 0, 1}, 6, seg)
}

func (h *Source) udp(from, to net.HardwareAddr, src, dst []byte, sport, dport uint16, payload []byte) []byte {
	seg := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, sport), dport)
	seg = append(binary.BigEndian.AppendUint16(seg, uint16(8+len(payload))), 0, 0)

	return h.ip(from, to, src, dst, 17, append(seg, payload...))
}

func (h *Source) ip(from, to net.HardwareAddr, src, dst []byte, protocol byte, segment []byte) []byte {
	head := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(segment)))
	head = append(append(head, src...), dst...)
	binary.BigEndian.PutUint16(head[10:], ^fold(head, 0))

	return append(append(append(append(append([]byte{}, to...), from...), 8, 0), head...), segment...)
}

// six is a DHCPv6 message to the servers' group.
func (h *Source) six(from net.HardwareAddr) []byte {
	payload := append([]byte{1, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1}, from...)
	payload = append(payload, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 61, 0, 2, 0, 7)

	if h.rnd.IntN(2) == 0 {
		payload = append(payload[:4+h.rnd.IntN(len(payload)-4)], h.Bytes(h.rnd.IntN(300))...)
	}

	seg := binary.BigEndian.AppendUint16([]byte{2, 34, 2, 35}, uint16(8+len(payload)))
	seg = append(append(seg, 0, 0), payload...)
	src := append([]byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xbd, 0xff, 0xff, 0xfe}, from[3:]...)
	dst := []byte{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2}
	pseudo := append(append(append([]byte{}, src...), dst...), 0, 0, byte(len(seg)>>8), byte(len(seg)), 0, 0, 0, 17)
	binary.BigEndian.PutUint16(seg[6:], ^fold(append(pseudo, seg...), 0))

	head := append(append([]byte{0x60, 0, 0, 0, byte(len(seg) >> 8), byte(len(seg)), 17, 64}, src...), dst...)

	return append(append(append([]byte{0x33, 0x33, 0, 1, 0, 2}, from...), 0x86, 0xdd), append(head, seg...)...)
}

// fold is the sum of RFC 1071.
func fold(b []byte, sum uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}

		sum += word
	}

	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}

	return uint16(sum)
}
