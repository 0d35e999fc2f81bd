//go:build e2e

package netboot_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netns"
	"golang.org/x/net/bpf"
)

// in does something in a namespace. What is opened there stays there.
func in(t *testing.T, namespace string, do func()) {
	t.Helper()

	// A namespace belongs to a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()

	there, err := netns.GetFromName(namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()

	if err := netns.Set(there); err != nil {
		t.Fatal(err)
	}

	defer func() {
		if err := netns.Set(home); err != nil {
			panic(err)
		}
	}()

	do()
}

// spy sits at the switch and sees all that a station sends, so that what a client says it
// got is not the only witness. Safe for concurrent use.
type spy struct {
	mu   sync.Mutex // guards said
	said map[string]int
}

// spyOn watches the switch's end of a cable for frames from a card.
func (w *wire) spyOn(name, mac string) *spy {
	w.t.Helper()

	hw, err := net.ParseMAC(mac)
	if err != nil {
		w.t.Fatal(err)
	}

	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(hw), SkipTrue: 3},
		bpf.LoadAbsolute{Off: 10, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(binary.BigEndian.Uint16(hw[4:])), SkipTrue: 1},
		bpf.RetConstant{Val: 2048},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		w.t.Fatal(err)
	}

	s := &spy{said: map[string]int{}}

	in(w.t, w.hub, func() {
		const all = 3 // ETH_P_ALL

		card, err := net.InterfaceByName("port-" + name)
		if err != nil {
			w.t.Fatal(err)
		}

		conn, err := packet.Listen(card, packet.Raw, all, &packet.Config{Filter: filter})
		if err != nil {
			w.t.Fatal(err)
		}

		w.t.Cleanup(func() { _ = conn.Close() })

		go func() {
			for buf := make([]byte, 2048); ; {
				n, _, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}

				s.note(buf[:n])
			}
		}()
	})

	return s
}

// note counts a frame under what it is and whom it is for.
func (s *spy) note(b []byte) {
	if len(b) < 34 {
		return
	}

	what := ""

	switch kind, ip := binary.BigEndian.Uint16(b[12:]), b[14:]; {
	case kind == 0x0800 && ip[9] == 17 && len(ip) > 28+34:
		head := int(ip[0]&15) * 4

		switch from := binary.BigEndian.Uint16(ip[head:]); from {
		case 67, 4011:
			what = fmt.Sprintf("dhcp to %s", net.HardwareAddr(ip[head+8+28:head+8+34]))
		default:
			what = fmt.Sprintf("udp to %s", net.IP(ip[16:20]))
		}
	case kind == 0x0800 && ip[9] == 17:
		what = fmt.Sprintf("udp to %s", net.IP(ip[16:20])) // short: of TFTP
	case kind == 0x0800 && ip[9] == 6:
		head := int(ip[0]&15) * 4
		if int(binary.BigEndian.Uint16(ip[2:])) > head+int(ip[head+12]>>4)*4 { // with content
			what = fmt.Sprintf("tcp to %s", net.IP(ip[16:20]))
		}
	case kind == 0x86dd && len(ip) > 42 && ip[6] == 17:
		what = fmt.Sprintf("udp6 to %s", net.HardwareAddr(b[:6]))
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	s.said[what]++
}

// heard returns how often each was said, and forgets it.
func (s *spy) heard() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()

	said := s.said
	s.said = map[string]int{}
	delete(said, "")

	return said
}

// about lists what was said about or to one of these, and forgets all.
func (s *spy) about(whom ...string) (said []string) {
	for what, n := range s.heard() {
		for _, who := range whom {
			if len(what) >= len(who) && what[len(what)-len(who):] == who {
				said = append(said, fmt.Sprintf("%s: %d", what, n))
			}
		}
	}

	slices.Sort(said)

	return said
}

// names lists what was said, and forgets it.
func (s *spy) names() []string { return slices.Sorted(maps.Keys(s.heard())) }
