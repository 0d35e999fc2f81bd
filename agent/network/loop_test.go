package network_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/network"
)

// switched has f run in a namespace with the ports boot0, port1 and port2 on one switch,
// port3 on another, and port4 and port5, which are one cable.
func switched(t *testing.T, f func()) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}

	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is not installed")
	}

	err := network.Rooms(func() {
		ip := func(args string) bool {
			out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput()
			if err != nil {
				t.Errorf("ip %s: %v: %s", args, err, out)
			}

			return err == nil
		}

		for _, args := range []string{
			"link add switch type bridge", "link set switch up", "link add other type bridge", "link set other up",
			"link add boot0 type veth peer name s0", "link add port1 type veth peer name s1", "link add port2 type veth peer name s2", "link add port3 type veth peer name s3",
			"link set s0 master switch up", "link set s1 master switch up", "link set s2 master switch up", "link set s3 master other up",
			"link add port4 type veth peer name port5", "addr add 10.77.0.50/24 dev boot0",
			"link set boot0 up", "link set port1 up", "link set port2 up", "link set port3 up", "link set port4 up", "link set port5 up",
		} {
			if !ip(args) {
				return
			}
		}

		f()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ipShow is what a port is, in words of ip, without what passes.
func ipShow(t *testing.T, port string) string {
	t.Helper()

	var all []byte

	for _, what := range [][]string{{"-o", "link", "show", port}, {"-o", "-4", "addr", "show", port}, {"neigh", "show", "dev", port, "nud", "permanent"}} {
		out, err := exec.CommandContext(t.Context(), "ip", what...).CombinedOutput()
		if err != nil {
			return err.Error()
		}

		all = append(all, out...)
	}

	_, after, _ := strings.Cut(string(all), ": ") // the index is another one

	return strings.ReplaceAll(after, "state LOWERLAYERDOWN", "state UP")
}

// TestPortsThatHearEachOther: those of one switch or cable do, whatever their addresses,
// and those of others do not.
func TestPortsThatHearEachOther(t *testing.T) {
	switched(t, func() {
		ports := []string{"boot0", "port1", "port2", "port3", "port4", "port5"}

		heard, err := network.Hear(t.Context(), ports, time.Second)
		if err != nil {
			t.Error(err)
		}

		domains := [][]string{{"boot0", "port1", "port2"}, {"port3"}, {"port4", "port5"}}
		for i, a := range ports {
			for _, b := range ports[i+1:] {
				want := slices.ContainsFunc(domains, func(d []string) bool { return slices.Contains(d, a) && slices.Contains(d, b) })
				if heard.Both(a, b) != want || heard[[2]string{a, b}] != want {
					t.Errorf("%s and %s hear each other: %t", a, b, !want)
				}
			}
		}

		begun := time.Now()
		if heard, err := network.Hear(t.Context(), []string{"port1", "port2"}, time.Minute); err != nil || !heard.Both("port1", "port2") || time.Since(begun) > 10*time.Second {
			t.Errorf("%v %v after %v", heard, err, time.Since(begun))
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		if _, err := network.Hear(ctx, ports, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped: %v", err)
		}

		if _, err := network.Hear(t.Context(), []string{"port1", "none"}, time.Minute); err == nil {
			t.Error("a port that is not there")
		}
	})
}

// TestALoopLeavesNothingBehind, whatever happened in it.
func TestALoopLeavesNothingBehind(t *testing.T) {
	for name, during := range map[string]func(t *testing.T, l *network.Loop){
		"nothing": func(*testing.T, *network.Loop) {},
		"a panic": func(t *testing.T, l *network.Loop) {
			if err := l.Inside(func() { panic("a fault") }); err == nil {
				t.Error("a panic is no error")
			}
		},
		"a port that is switched off": func(t *testing.T, l *network.Loop) {
			if err := l.Inside(func() { _ = exec.CommandContext(t.Context(), "ip", "link", "set", "port1", "down").Run() }); err != nil {
				t.Error(err)
			}
		},
		"an address that is gone already": func(t *testing.T, _ *network.Loop) {
			_ = exec.CommandContext(t.Context(), "ip", "addr", "flush", "dev", "port2").Run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			switched(t, func() {
				ports := []string{"boot0", "port1", "port2", "port3"}

				var before []string
				for _, port := range ports {
					before = append(before, ipShow(t, port))
				}

				l, err := network.NewLoop(t.Context(), "port1", "port2", 10*time.Second, 10*time.Second)
				if err != nil {
					t.Error(err)

					return
				}

				if _, err := net.InterfaceByName("port1"); err == nil {
					t.Error("the port was not moved")
				}

				var inside []net.Interface

				if err := l.Inside(func() { inside, _ = net.Interfaces() }); err != nil || !slices.ContainsFunc(inside, func(i net.Interface) bool { return i.Name == "port1" }) ||
					slices.ContainsFunc(inside, func(i net.Interface) bool { return i.Name == "port2" }) {
					t.Errorf("inside are %v: %v", inside, err)
				}

				during(t, l)

				if err := l.End(); err != nil {
					t.Error(err)
				}

				for i, port := range ports {
					if after := ipShow(t, port); after != before[i] {
						t.Errorf("%s was\n%s and is\n%s", port, before[i], after)
					}
				}

				if err := l.Inside(func() {}); err == nil {
					t.Error("the namespace is still there")
				}
			})
		})
	}
}

// TestLoopsThatCannotBe end where they began, and the port that the machine booted from is
// left alone.
func TestLoopsThatCannotBe(t *testing.T) {
	t.Parallel()

	boot := network.Lease{Interface: "boot0"}

	for name, c := range map[string]struct {
		boot         network.Lease
		moves, stays string
		want         error
	}{
		"the port it booted from":  {boot, "boot0", "port1", nil},
		"nobody knows which it is": {network.Lease{}, "port1", "port2", nil},
		"a port that is not there": {boot, "port9", "port1", nil},
		"another one is not there": {boot, "port1", "port9", nil},
		"different switches":       {boot, "port1", "port3", network.ErrDeaf},
		"a link that stays away":   {boot, "port4", "port1", network.ErrNoLink},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			switched(t, func() {
				if c.want == network.ErrNoLink { //nolint:errorlint // that one, of the table
					_ = exec.CommandContext(t.Context(), "ip", "link", "set", "port5", "down").Run()
				}

				before := ipShow(t, c.moves) + ipShow(t, c.stays)

				var err error

				if c.want == nil {
					_, err = network.NewAddresses(c.boot, nil).Loop(t.Context(), c.moves, c.stays)
				} else {
					_, err = network.NewLoop(t.Context(), c.moves, c.stays, 500*time.Millisecond, 500*time.Millisecond)
				}

				if err == nil || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%v", err)
				}

				if after := ipShow(t, c.moves) + ipShow(t, c.stays); after != before {
					t.Errorf("it was\n%s and is\n%s", before, after)
				}
			})
		})
	}
}

// TestPortsThatCameLate are switched on, and their links waited for.
func TestPortsThatCameLate(t *testing.T) {
	switched(t, func() {
		_ = exec.CommandContext(t.Context(), "ip", "link", "set", "port1", "down").Run()

		// Virtual ports are no hardware, of which alone a machine's ports are.
		late := &lateRoot{MapFS: fstest.MapFS{}}
		for _, port := range []string{"port1", "port2"} {
			late.MapFS["sys/class/net/"+port+"/device/x"] = &fstest.MapFile{}
			late.MapFS["sys/class/net/"+port+"/address"] = &fstest.MapFile{Data: []byte("52:54:00:00:00:01\n")}
		}

		if err := network.BringUp(t.Context(), late); err != nil {
			t.Error(err)
		}

		if shown := ipShow(t, "port1"); !strings.Contains(shown, "LOWER_UP") {
			t.Error(shown)
		}
	})
}

// lateRoot shows the carrier that ports really have, as soon as it was asked for.
type lateRoot struct{ fstest.MapFS }

func (r *lateRoot) ReadFile(name string) ([]byte, error) {
	port, ok := strings.CutSuffix(name, "/carrier")
	if !ok {
		return r.MapFS.ReadFile(name)
	}

	if path.Base(port) == "port2" { // it never was off, and is not waited for
		return []byte("0\n"), nil
	}

	return os.ReadFile("/" + name)
}

// TestWhatALoopLeft whose process ended in its midst is taken away.
func TestWhatALoopLeft(t *testing.T) {
	switched(t, func() {
		before := ipShow(t, "port2")

		for _, args := range []string{"addr add 169.254.77.1/30 dev port2", "neigh add 169.254.77.2 lladdr 02:00:00:00:00:09 dev port2 nud permanent"} {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}

		for range 2 {
			if err := network.Tidy([]network.Link{{Name: "port2"}, {Name: "boot0"}, {Name: "none"}}); err != nil {
				t.Error(err)
			}
		}

		if after := ipShow(t, "port2"); after != before {
			t.Errorf("it was\n%s and is\n%s", before, after)
		}

		if !strings.Contains(ipShow(t, "boot0"), "10.77.0.50/24") {
			t.Error("the machine's own address is gone")
		}
	})
}

// FuzzCall: no frame but ours is one.
func FuzzCall(f *testing.F) {
	nonce := bytes.Repeat([]byte{7}, 16)
	from, to := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}

	for _, frame := range [][]byte{network.CallFrame(from, to, nonce, 0, 1), network.CallFrame(from, to, nonce, 1, 1), network.CallFrame(to, from, nonce, 0, 1), nil} {
		f.Add(frame)
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		who, ok := network.ParseCall(b, nonce, to, 1, 3)
		if ok && (who != 0 && who != 2 || !bytes.Contains(b, nonce) || !bytes.HasPrefix(b, to)) {
			t.Errorf("%d sent %x", who, b)
		}
	})
}

// TestACall is taken by the port that it is for, and no other.
func TestACall(t *testing.T) {
	nonce, other := bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{8}, 16)
	from, to := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	frame := network.CallFrame(from, to, nonce, 2, 1)

	if who, ok := network.ParseCall(frame, nonce, to, 1, 3); len(frame) != 60 || who != 2 || !ok {
		t.Errorf("%d bytes of %d: %t", len(frame), who, ok)
	}

	for name, heard := range map[string]func() (int, bool){
		"of another time":    func() (int, bool) { return network.ParseCall(frame, other, to, 1, 3) },
		"to another address": func() (int, bool) { return network.ParseCall(frame, nonce, from, 1, 3) },
		"to another port":    func() (int, bool) { return network.ParseCall(frame, nonce, to, 0, 3) },
		"of nobody":          func() (int, bool) { return network.ParseCall(frame, nonce, to, 1, 2) },
		"cut short":          func() (int, bool) { return network.ParseCall(frame[:43], nonce, to, 1, 3) },
		"of the port's own": func() (int, bool) {
			return network.ParseCall(network.CallFrame(from, to, nonce, 1, 1), nonce, to, 1, 3)
		},
	} {
		if _, ok := heard(); ok {
			t.Errorf("%s: it is heard", name)
		}
	}
}
