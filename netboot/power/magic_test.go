package power_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"vetting/core"
	"vetting/netboot/power"
)

// Each MAC is called three times on each of the two customary ports.
func TestMagicPacketsLeaveByTheNIC(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}

	// Whatever else runs on this machine talks over the loopback too, and must not
	// push the calls out of the socket's buffer.
	calls, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 36, Size: 2}, // UDP destination port of a packet without IP options
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 7, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 9, SkipTrue: 1},
		bpf.RetConstant{Val: 2048},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		t.Fatal(err)
	}

	wire, err := packet.Listen(lo, packet.Raw, 0x0003, &packet.Config{Filter: calls}) // ETH_P_ALL
	if errors.Is(err, os.ErrPermission) {
		t.Skip("needs CAP_NET_RAW to see what is sent")
	}

	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()

	macs := []core.MAC{"02:76:65:74:00:01", "02:76:65:74:00:02"}
	way := wayTo(t, power.Target{Method: power.WoL, MACs: macs}, long)

	mustBe(t, way.On(t.Context()), power.OK)

	if err := wire.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}

	seen := map[string]int{}
	frame := make([]byte, 2048)

	for seen[string(macs[1])+" 7"] < 3 {
		n, _, err := wire.ReadFrom(frame)
		if err != nil {
			t.Fatalf("%v after %v", err, seen)
		}

		for _, mac := range macs {
			hw, _ := net.ParseMAC(string(mac))

			call := append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(hw, 16)...)
			if n < 42+len(call) || !bytes.Equal(frame[42:42+len(call)], call) {
				continue
			}

			if port := int(frame[36])<<8 | int(frame[37]); port == 9 {
				seen[string(mac)+" 9"]++
			} else if port == 7 {
				seen[string(mac)+" 7"]++
			}
		}
	}

	// Loopback shows a packet twice, as it leaves and as it comes.
	for _, mac := range macs {
		for _, port := range []string{" 9", " 7"} {
			if n := seen[string(mac)+port]; n < 3 {
				t.Errorf("%s was called %d times on port%s", mac, n, port)
			}
		}
	}

	mustBe(t, way.Off(t.Context()), power.Unsupported)
	mustBe(t, way.OneTimePXE(t.Context()), power.Unsupported)
}
