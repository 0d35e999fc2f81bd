//go:build (e2e || bench) && linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/coldplug"
	"vetting/agent/network"
	"vetting/agent/stage"
	"vetting/agent/traffic"
)

// loopsVar is how many virtual hosts the campaign of loops has; none without it.
const loopsVar = "LOOPS_OF_HOSTS"

// TestLoopsThatAreKilled: ports that are hardware (e1000e) come home when the process that
// moved one of them is killed, and can be tested with each other again then. It is a
// campaign of make endure.
func TestLoopsThatAreKilled(t *testing.T) {
	switch {
	case os.Getenv(guestWord) == "killed":
		dieInALoop(t)
	case os.Getpid() == 1:
		beGuest(t)
	case os.Getenv(loopsVar) == "":
		t.Skip("not asked for")
	}

	card := func(name, mac, hub string) []string {
		return []string{"-netdev", "hubport,id=" + name + ",hubid=" + hub, "-device", "e1000e,romfile=,netdev=" + name + ",mac=" + mac}
	}

	h := bootHost(t, "loop", "TestLoopsThatAreKilled", t.TempDir(),
		slices.Concat(card("boot", "52:54:00:00:00:01", "0"), card("one", "52:54:00:00:00:02", "1"), card("two", "52:54:00:00:00:03", "1"))...)

	for _, step := range []string{"killed", "home", "measured"} {
		told := h.await(step)
		t.Log(told.Text)

		if told.Failed != "" {
			t.Fatal(told.Failed)
		}
	}

	h.await("end")
}

// trialPorts are the ports by their addresses: that of the boot, and two on one cable.
func trialPorts() (boot, one, two string) {
	for _, link := range network.Links(os.DirFS("/")) {
		switch link.MAC {
		case "52:54:00:00:00:01":
			boot = link.Name
		case "52:54:00:00:00:02":
			one = link.Name
		case "52:54:00:00:00:03":
			two = link.Name
		}
	}

	return boot, one, two
}

func trialWires(boot string, g *guest) wires {
	return wires{network.NewAddresses(network.Lease{Interface: boot, Addr: netip.MustParsePrefix("10.77.0.50/24")}, g.log), g.log}
}

// dieInALoop is the process that is killed.
func dieInALoop(t *testing.T) {
	t.Helper()

	boot, one, two := trialPorts()

	if _, err := trialWires(boot, &guest{}).Loop(context.Background(), one, two); err != nil { //nolint:usetesting // it is killed
		t.Fatal(err)
	}

	_ = unix.Kill(os.Getpid(), unix.SIGKILL)

	select {}
}

// loop is what the virtual host does.
func (g *guest) loop() error {
	if err := g.plugPorts(); err != nil {
		return err
	}

	boot, one, two := trialPorts()
	linked := func() bool { return g.look.PortState(one).Link && g.look.PortState(two).Link }

	if err := g.until("the links", linked); err != nil {
		return err
	}

	for range 3 {
		cmd := exec.CommandContext(g.ctx, "/proc/self/exe", "-test.run=^TestLoopsThatAreKilled$")
		cmd.Env = append(os.Environ(), guestWord+"=killed")
		out, err := cmd.CombinedOutput()

		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
			return fmt.Errorf("the process was not killed: %w: %s", err, out)
		}

		if err := g.until("the port to come home", func() bool { _, again, _ := trialPorts(); return again == one }); err != nil {
			return err
		}

		left := addressesOf(two)

		if err := network.Tidy(network.Links(g.look.Root)); err != nil {
			return err
		}

		if !strings.Contains(left, "169.254.77.1") || strings.Contains(addressesOf(two), "169.254.") {
			return fmt.Errorf("%s had %q, and has %q", two, left, addressesOf(two))
		}

		if err := network.SwitchOn(network.Links(g.look.Root)); err != nil {
			return err
		}

		if err := g.until("the links after that", linked); err != nil {
			return err
		}
	}

	g.say(said{Step: "killed", Text: []string{boot, one, two}})
	g.say(said{Step: "home", Text: []string{addressesOf(one), addressesOf(two)}})

	loop, err := trialWires(boot, g).Loop(g.ctx, one, two)
	if err != nil {
		return err
	}

	before := g.look.PortState(two)
	r := loop.Measure(g.ctx, traffic.Schedule{Each: time.Second, Streams: 2}, stage.Observer{Phase: func(string, float64, time.Duration) {}, Moved: func(int) {}})
	after := g.look.PortState(two)

	if err := loop.End(); err != nil {
		return err
	}

	// What the driver counts went through the hardware.
	if bits := after.Bits - before.Bits; r.Err != nil || !r.Proven || r.Bad() > 0 || r.Down.Bytes == 0 || bits < 8*r.Bytes() {
		return fmt.Errorf("while %s: %w: %d bits for %d bytes: %+v", r.Phase, r.Err, bits, r.Bytes(), r)
	}

	if err := g.until("the links in the end", linked); err != nil {
		return err
	}

	g.say(said{Step: "measured", Text: []string{fmt.Sprintf("%.0f Mbit/s, back %.0f, %d bytes verified", r.Up.Mbps(), r.Down.Mbps(), r.Bytes())}})

	return nil
}

// plugPorts loads the driver and switches the ports on.
func (g *guest) plugPorts() error {
	folder, err := modulesFolder()
	if err != nil {
		return err
	}

	tables, err := coldplug.ReadTables(g.look.Root, strings.TrimPrefix(folder, "/"))
	if err != nil {
		return err
	}

	loader := coldplug.NewLoader(tables, coldplug.Insert(folder), g.log)

	if err := g.until("the ports", func() bool {
		_ = loader.Walk(g.ctx, g.look.Root) // again, until the bus is found
		_, _, two := trialPorts()

		return two != ""
	}); err != nil {
		return err
	}

	return network.SwitchOn(network.Links(g.look.Root))
}

// addressesOf are those of a port.
func addressesOf(port string) string {
	face, err := net.InterfaceByName(port)
	if err != nil {
		return err.Error()
	}

	addrs, err := face.Addrs()

	return fmt.Sprint(addrs, err)
}
