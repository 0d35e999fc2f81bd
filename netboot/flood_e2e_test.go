//go:build e2e

package netboot_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mdlayher/packet"
)

// hostile makes frames that a broken or ill-willed station sends: everything that the
// appliance listens to, mutated. What it leaves out is what a DHCP server says, and a
// machine's choice of another one: by that anybody can silence the appliance, on purpose.
type hostile struct {
	rnd   *rand.Rand
	seeds [][]byte // recorded DHCP packets
	to    net.HardwareAddr
}

func newHostile(t *testing.T, seed uint64) *hostile {
	t.Helper()

	h := &hostile{rnd: rand.New(rand.NewPCG(seed, 1)), to: net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}}

	names, err := filepath.Glob("dhcp/testdata/packets/*-discover-*.bin")
	if err != nil || len(names) < 5 {
		t.Fatalf("found %d recorded packets (%v)", len(names), err)
	}

	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		h.seeds = append(h.seeds, b)
	}

	return h
}

func (h *hostile) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.rnd.Uint32())
	}

	return b
}

// stranger is a MAC that nobody has registered.
func (h *hostile) stranger() net.HardwareAddr {
	return append(net.HardwareAddr{2, 0xbd}, h.bytes(4)...)
}

// address is one of the network that no station has: neither ours nor of the pool's lower
// half, where the machine of the test is.
func (h *hostile) address() []byte { return []byte{10, 77, 0, byte(160 + h.rnd.IntN(60))} }

// next is the next frame.
func (h *hostile) next() []byte {
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

func (h *hostile) port() uint16 { return uint16(1024 + h.rnd.IntN(60_000)) }

func (h *hostile) dhcp(from net.HardwareAddr) []byte {
	if h.rnd.IntN(4) == 0 {
		return h.bytes(h.rnd.IntN(700))
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

func (h *hostile) tftp() []byte {
	switch h.rnd.IntN(4) {
	case 0:
		return h.bytes(h.rnd.IntN(600))
	case 1:
		return []byte("\x00\x01../../../../etc/passwd\x00octet\x00blksize\x0065464\x00windowsize\x0065535\x00")
	case 2:
		return append([]byte("\x00\x02vmlinuz\x00netascii\x00"), h.bytes(40)...)
	default:
		return []byte("\x00\x01snponly.efi\x00octet\x00tsize\x000\x00windowsize\x0064\x00")
	}
}

func (h *hostile) arp(from, to net.HardwareAddr) []byte {
	b := append(append(append([]byte{}, to...), from...), 8, 6, 0, 1, 8, 0, 6, 4, 0, byte(1+h.rnd.IntN(2)))
	b = append(append(append(b, from...), h.address()...), 0, 0, 0, 0, 0, 0, 10, 77, 0, byte(1+h.rnd.IntN(254)))

	if h.rnd.IntN(4) == 0 {
		return b[:14+h.rnd.IntN(28)]
	}

	return b
}

func (h *hostile) tcp(from net.HardwareAddr) []byte {
	seg := h.bytes(20 + h.rnd.IntN(200))
	binary.BigEndian.PutUint16(seg[2:], []uint16{80, 443}[h.rnd.IntN(2)])
	seg[12] = 0x50

	return h.ip(from, h.to, h.address(), []byte{10, 77, 0, 1}, 6, seg)
}

func (h *hostile) udp(from, to net.HardwareAddr, src, dst []byte, sport, dport uint16, payload []byte) []byte {
	seg := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, sport), dport)
	seg = append(binary.BigEndian.AppendUint16(seg, uint16(8+len(payload))), 0, 0)

	return h.ip(from, to, src, dst, 17, append(seg, payload...))
}

func (h *hostile) ip(from, to net.HardwareAddr, src, dst []byte, protocol byte, segment []byte) []byte {
	head := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(segment)))
	head = append(append(head, src...), dst...)
	binary.BigEndian.PutUint16(head[10:], ^fold(head, 0))

	return append(append(append(append(append([]byte{}, to...), from...), 8, 0), head...), segment...)
}

// six is a DHCPv6 message to the servers' group.
func (h *hostile) six(from net.HardwareAddr) []byte {
	payload := append([]byte{1, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1}, from...)
	payload = append(payload, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 61, 0, 2, 0, 7)

	if h.rnd.IntN(2) == 0 {
		payload = append(payload[:4+h.rnd.IntN(len(payload)-4)], h.bytes(h.rnd.IntN(300))...)
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

// flood sends frames from the rival's card, so many a second, until ctx ends, and returns
// how many it sent.
func (w *wire) flood(ctx context.Context, h *hostile, rate int) (sent *atomic.Int64) {
	w.t.Helper()

	var conn *packet.Conn

	in(w.t, w.rival, func() {
		card, err := net.InterfaceByName("r0")
		if err == nil {
			conn, err = packet.Listen(card, packet.Raw, 0x88b5, nil) // hears nothing
		}

		if err != nil {
			w.t.Fatal(err)
		}
	})

	sent = &atomic.Int64{}

	go func() {
		defer conn.Close()

		for start := time.Now(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			for due := int64(time.Since(start).Seconds() * float64(rate)); sent.Load() < due && ctx.Err() == nil; sent.Add(1) {
				_, _ = conn.WriteTo(h.next(), &packet.Addr{HardwareAddr: h.to})
			}
		}
	}()

	return sent
}

// garbage opens connections to boot HTTP as a stranger with an address, and says what is no
// HTTP, until ctx ends. It returns how many, and what of ours was read.
func (w *wire) garbage(ctx context.Context, h *hostile) (opened, leaked *atomic.Int64, done *sync.WaitGroup) {
	w.t.Helper()
	w.must("ip", "-n", w.rival, "addr", "replace", "10.77.0.150/24", "dev", "r0")

	opened, leaked, done = &atomic.Int64{}, &atomic.Int64{}, &sync.WaitGroup{}
	lines := []string{"GET /boot/vmlinuz HTTP/1.1\r\n\r\n", "GET /seed/self.cpio HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n\r\n"}
	noise := string(h.bytes(4000))

	for range 4 {
		done.Go(func() {
			in(w.t, w.rival, func() {
				for i := 0; ctx.Err() == nil; i++ {
					conn, err := net.DialTimeout("tcp", selfAddr+":80", time.Second)
					if err != nil {
						continue
					}

					opened.Add(1)

					_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
					_, _ = conn.Write([]byte(append(lines, noise)[i%(len(lines)+1)]))

					buf := make([]byte, 4096)
					if n, _ := conn.Read(buf); strings.Contains(string(buf[:n]), " 200 ") {
						leaked.Add(1)
					}

					_ = conn.Close()
				}
			})
		})
	}

	return opened, leaked, done
}

// resident is the most memory that the appliance had at a time, in MiB.
func (a *appliance) resident(t *testing.T) int {
	t.Helper()

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}

	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		t.Fatal("no VmHWM")
	}

	kib, _ := strconv.Atoi(string(match[1]))

	return kib >> 10
}

// A machine boots from its first DISCOVER to its seed while a station sends ten thousand
// hostile packets a second. FLOOD_SECONDS makes a campaign of it.
func TestAMachineBootsUnderAFlood(t *testing.T) {
	const rate = 10_000

	least := 4 * time.Second
	if s, err := strconv.Atoi(os.Getenv("FLOOD_SECONDS")); err == nil {
		least = time.Duration(s) * time.Second
	}

	w := newWire(t)
	said := w.spyOn("nb0", applianceMAC)
	a := w.start(order{Hosts: map[string]string{knownMAC: "vet"}})
	a.await(t, "ready", soon)

	var steps atomic.Int64

	go func() {
		for range a.steps {
			steps.Add(1)
		}
	}()

	before := a.resident(t)
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	sent := w.flood(ctx, newHostile(t, 1), rate)
	opened, leaked, done := w.garbage(ctx, newHostile(t, 2))
	boots := 0

	for time.Since(start) < least || boots == 0 {
		if took, ok := w.boot(); ok {
			boots++
			t.Logf("boot %d: from DISCOVER to the seed in %s", boots, took.Round(time.Millisecond))
		} else if time.Since(start) > least+2*soon {
			t.Error("the machine does not boot")

			break
		}
	}

	spent := time.Since(start)
	cancel()
	done.Wait()

	after := a.resident(t)
	t.Logf("%d hostile packets in %s, %.0f a second, and %d connections of garbage; %d boots; memory %d MiB at most, %d before; %d notes",
		sent.Load(), spent.Round(time.Millisecond), float64(sent.Load())/spent.Seconds(), opened.Load(), boots, after, before, steps.Load())

	if after-before > 64 {
		t.Errorf("memory grew by %d MiB", after-before)
	}

	// Notes of strangers are as few as people can read.
	if most := 200*int64(spent.Seconds()+1) + int64(boots)*100; steps.Load() > most {
		t.Errorf("%d notes were taken, more than %d", steps.Load(), most)
	}

	if leaked.Load() > 0 {
		t.Errorf("%d files were given to a stranger", leaked.Load())
	}

	client := ""

	for what, n := range said.heard() {
		to := what[strings.LastIndexByte(what, ' ')+1:]

		switch {
		case to == knownMAC || to == "10.77.0.150": // the machine; and refusals by HTTP
		case strings.HasPrefix(to, "10.77.0.") && (client == "" || client == to): // TFTP and HTTP to the one machine
			client = to
		default:
			t.Errorf("a stranger was answered: %s, %d times", what, n)
		}
	}

	select {
	case err := <-a.done:
		t.Errorf("the appliance ended: %v", err)
	default:
	}
}

// boot is all that a machine asks of the boot services: an address, its boot program, its
// script, and what that names.
func (w *wire) boot() (took time.Duration, ok bool) {
	start := time.Now()
	if addr := w.lease("-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007"); addr == "" {
		return 0, false
	}

	if _, err := w.try(soon, "curl", "-sSf", "-m", "8", "-o", "/dev/null", "tftp://"+selfAddr+"/snponly.efi"); err != nil {
		return 0, false
	}

	script, err := w.try(soon, "curl", "-sSf", "-m", "8", "http://"+selfAddr+"/ipxe/"+knownMAC)
	if err != nil {
		return 0, false
	}

	paths := regexp.MustCompile(`\$\{base\}(/(?:boot|seed)/\S+)`).FindAllStringSubmatch(script, -1)
	if len(paths) < 3 {
		return 0, false
	}

	for _, path := range paths {
		if _, err := w.try(soon, "curl", "-sSf", "-m", "8", "-o", "/dev/null", "http://"+selfAddr+path[1]); err != nil {
			return 0, false
		}
	}

	return time.Since(start), true
}
