//go:build e2e

package power_test

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/types"

	"vetting/netboot/power"
)

// guest is a QEMU machine that a BMC starts and stops. Its NIC is a UDP socket
// of the test's.
type guest struct {
	t    *testing.T
	args []string

	mu      sync.Mutex
	running *exec.Cmd
}

// change starts the guest, from the network when the boot flags say so, or ends
// it. c.mu is held.
func (g *guest) change(c *chassis, on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()

	if !on {
		g.end()

		return
	}

	order := "c" // a disk, of which there is none
	if c.flags.BootFlagsValid && c.flags.BootDeviceSelector == types.BootDeviceSelectorForcePXE {
		order = "n"
	}

	c.flags = types.BootOptionParam_BootFlags{} // once

	g.running = exec.CommandContext(context.WithoutCancel(g.t.Context()), "qemu-system-x86_64", append(g.args, "-boot", "order="+order)...)
	g.running.Stderr = g.t.Output()

	if err := g.running.Start(); err != nil {
		g.t.Errorf("starting the guest: %v", err)

		g.running = nil
	}
}

// end is called with g.mu held.
func (g *guest) end() {
	if g.running == nil {
		return
	}

	_ = g.running.Process.Kill()
	_ = g.running.Wait()
	g.running = nil
}

func (g *guest) alive() bool {
	g.mu.Lock()
	defer g.mu.Unlock()

	return g.running != nil && g.running.Process.Signal(syscall.Signal(0)) == nil
}

// The whole chain: RMCP+ to a BMC that starts a machine, which then asks for an
// address from the network because it was told to, and only once.
func TestABMCStartsARealMachineFromTheNetwork(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64")
	}

	wire, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()

	mac := []byte{0x02, 0x76, 0x65, 0x74, 0x00, 0x07}
	g := &guest{t: t, args: []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-m", "128", "-display", "none", "-nodefaults", "-no-reboot",
		"-netdev", "dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=0,remote.type=inet,remote.host=127.0.0.1,remote.port=" + portOf(wire.LocalAddr()),
		"-device", "virtio-net-pci,netdev=n,mac=02:76:65:74:00:07",
	}}

	c := &chassis{hasFlags: true}
	c.change = func(on bool) { g.change(c, on) }

	t.Cleanup(func() {
		g.mu.Lock()
		defer g.mu.Unlock()

		g.end()
	})

	way := ipmiTo(t, startBMC(t, c, bmc.PrivilegeLevelAdministrator), long)

	mustBe(t, way.OneTimePXE(t.Context()), power.OK)
	mustBe(t, way.On(t.Context()), power.OK)
	mustState(t, way, power.On)

	if !g.alive() {
		t.Fatal("no machine was started")
	}

	if err := wire.SetReadDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}

	frame := make([]byte, 2048)

	for {
		n, err := wire.Read(frame)
		if err != nil {
			t.Fatalf("the machine did not ask for an address: %v", err)
		}

		// Ethernet, IPv4, UDP 68 to 67: DHCP of that machine.
		if n > 240 && bytes.Equal(frame[6:12], mac) && bytes.Equal(frame[34:38], []byte{0, 68, 0, 67}) {
			break
		}
	}

	if flags, _ := c.seen(); flags.BootFlagsValid {
		t.Error("the next start but one would be from the network too")
	}

	mustBe(t, way.Cycle(t.Context()), power.OK)

	if !g.alive() {
		t.Error("the machine did not come back")
	}

	mustBe(t, way.Off(t.Context()), power.OK)
	mustState(t, way, power.Off)

	if g.alive() {
		t.Error("the machine is still on")
	}
}

func portOf(addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String())

	return port
}
