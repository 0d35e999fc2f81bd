package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/network"
	"vetting/agent/stage"
	"vetting/agent/traffic"
)

// alone runs a test once more, as a process in a network namespace of its own with its own
// /sys, and reports whether this is that process.
func alone(t *testing.T, name string) bool {
	t.Helper()

	const mark = "VETTING_ALONE"
	if os.Getenv(mark) == name {
		return true
	}

	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}

	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is not installed")
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+name+"$", "-test.v") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), mark+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}

	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}

	t.Logf("%s", out)

	return false
}

// TestPortsOfOneMachine: traffic between two ports of the machine leaves by one and comes
// in by the other, through a switch that counts it, verified both ways, over and over; and
// the port with the conversation stays where it is.
func TestPortsOfOneMachine(t *testing.T) {
	if !alone(t, t.Name()) {
		return
	}

	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}

	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		t.Fatal(err)
	}

	for _, args := range []string{
		"link set lo up", "link add switch type bridge", "link set switch up",
		"link add boot0 type veth peer name s0", "link add port1 type veth peer name s1", "link add port2 type veth peer name s2",
		"link set s0 master switch up", "link set s1 master switch up", "link set s2 master switch up",
		"link set boot0 up", "link set port1 up", "link set port2 up", "addr add 10.77.0.50/24 dev boot0",
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec // of the list
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}

	boot := network.Lease{Interface: "boot0", Addr: netip.MustParsePrefix("10.77.0.50/24")}
	w := wires{network.NewAddresses(boot, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler)}

	hears, err := w.Hear(t.Context(), []string{"boot0", "port1", "port2"}, 10*time.Second)
	if err != nil || !hears("port1", "port2") || !hears("port2", "port1") || !hears("boot0", "port1") {
		t.Fatalf("they do not hear each other: %v", err)
	}

	for _, stays := range []string{"port2", "boot0"} {
		loops(t, w, "port1", stays)
	}

	if _, err := w.Loop(t.Context(), "boot0", "port1"); err == nil {
		t.Error("the port of the conversation was moved")
	}
}

// loops measures two ports with each other.
func loops(t *testing.T, w wires, moves, stays string) {
	t.Helper()

	loop, err := w.Loop(t.Context(), moves, stays)
	if err != nil {
		t.Fatal(err)
	}

	in, out := bridged(t, "s"+moves[4:], "rx"), bridged(t, "s"+stays[4:], "tx")

	if _, err := os.Stat("/sys/class/net/" + moves); err == nil {
		t.Error("the moved port is still here")
	}

	if err := loop.Inside(func() {
		if _, err := os.Stat("/sys/class/net/" + moves); err != nil {
			t.Error("the moved port is not there")
		}
	}); err != nil {
		t.Error(err)
	}

	r := loop.Measure(t.Context(), traffic.Schedule{Each: 300 * time.Millisecond, Streams: 2}, stage.Observer{
		Phase: func(string, float64, time.Duration) {}, Moved: func(int) {},
	})
	if r.Err != nil || !r.Proven || r.Bad() > 0 || r.Up.Bytes == 0 || r.Down.Bytes == 0 || r.BothUp.Bytes == 0 || r.BothDown.Bytes == 0 || len(r.Idle.Times) == 0 {
		t.Errorf("while %s: %v: %+v", r.Phase, r.Err, r)
	}

	// What the moved port sent came into the switch by its cable, and left it by the other.
	sent := r.Up.Bytes + r.BothUp.Bytes
	if came, left := bridged(t, "s"+moves[4:], "rx")-in, bridged(t, "s"+stays[4:], "tx")-out; came < sent || left < sent {
		t.Errorf("of %d bytes %d came to the switch, and %d left it", sent, came, left)
	}

	t.Logf("%s to %s %.0f Mbit/s, back %.0f, %d bytes verified", moves, stays, r.Up.Mbps(), r.Down.Mbps(), r.Bytes())

	if err := loop.End(); err != nil {
		t.Error(err)
	}

	face, err := net.InterfaceByName(moves)
	if err != nil || face.Flags&net.FlagUp == 0 {
		t.Errorf("the port is not back: %+v %v", face, err)
	}

	for _, name := range []string{moves, stays} {
		face, err := net.InterfaceByName(name)
		if err != nil {
			t.Fatal(err)
		}

		addrs, err := face.Addrs()
		for _, addr := range addrs {
			if strings.HasPrefix(addr.String(), "169.254.") {
				t.Errorf("%s has %s: %v", name, addr, err)
			}
		}
	}
}

// bridged is how many bytes a port of the switch has taken ("rx") or sent ("tx").
func bridged(t *testing.T, port, way string) uint64 {
	t.Helper()

	text, err := os.ReadFile("/sys/class/net/" + port + "/statistics/" + way + "_bytes")
	if err != nil {
		t.Fatal(err)
	}

	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}

	return n
}
