//go:build e2e

package netboot_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vetting/netboot"
)

// ended waits for the appliance to end by itself, with an error, and returns what
// it said.
func (a *appliance) ended(t *testing.T) string {
	t.Helper()

	select {
	case err := <-a.done:
		if err == nil {
			t.Error("the appliance ended without an error")
		}

		return a.log.String()
	case <-time.After(soon):
		t.Fatal("the appliance goes on")

		return ""
	}
}

// refused checks that the appliance has ended with an error that names all of
// this, and has left no address behind.
func (w *wire) refused(a *appliance, want ...string) {
	w.t.Helper()

	log := a.ended(w.t)
	for _, text := range want {
		if !strings.Contains(log, text) {
			w.t.Errorf("the refusal does not name %q", text)
		}
	}

	w.homeless()
}

// homeless checks that the appliance's card does not have its address.
func (w *wire) homeless() {
	w.t.Helper()

	if have := w.addresses(); strings.Contains(have, selfAddr) {
		w.t.Errorf("the card has the appliance's address: %s", have)
	}
}

func TestItDoesNotServeBesideAnotherServer(t *testing.T) {
	t.Run("that answers everybody", func(t *testing.T) {
		w := newWire(t)
		w.dnsmasq()
		a := w.start(order{Hosts: vet, Search: peek})

		if step := a.await(t, "rogue", soon); step.Code != "netboot/rogue-dhcp" || !strings.Contains(step.Detail, rivalAddr) {
			t.Errorf("the alarm is %+v", step)
		}

		w.refused(a, "another DHCP server answers on nb0", rivalAddr, "MAC "+rivalMAC, "pxelinux.0")
	})

	t.Run("that answers nobody but PXE ROMs", func(t *testing.T) {
		w := newWire(t)
		w.dnsmasq("--dhcp-vendorclass=set:pxe,PXEClient", "--dhcp-ignore=tag:!pxe")
		w.refused(w.start(order{Hosts: vet, Search: peek}), rivalAddr)
	})

	t.Run("whose network it is plugged into late", func(t *testing.T) {
		w := newWire(t)
		w.dnsmasq()
		w.unplug("nb0")

		a := w.start(order{Hosts: vet, Search: peek})
		a.await(t, "no-cable", soon)
		w.homeless()
		w.plug("nb0")
		w.refused(a, rivalAddr, "MAC "+rivalMAC)
	})

	t.Run("that has its address", func(t *testing.T) {
		w := newWire(t)
		w.must("ip", "-n", w.rival, "addr", "add", selfAddr+"/24", "dev", "r0")
		w.refused(w.start(order{Hosts: vet, Search: peek}), "the machine "+rivalMAC+" on nb0 uses "+selfAddr)
	})
}

func TestItServesOnceACableIsIn(t *testing.T) {
	w := newWire(t)
	w.unplug("nb0")

	a := w.start(order{Hosts: vet, Search: peek})
	a.await(t, "no-cable", soon)
	w.plug("nb0")
	a.await(t, "ready", soon)

	if addr := w.leaseWithin(soon); addr == "" {
		t.Error("udhcpc got no lease")
	}
}

func TestACableThatMovesToAnotherNetworkEndsTheService(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Search: peek})
	a.await(t, "ready", soon)

	if !strings.Contains(w.addresses(), selfAddr) {
		t.Fatal("the card has no address while the appliance serves")
	}

	w.unplug("nb0")
	a.await(t, "no-cable", soon)
	w.homeless()

	stop := w.dnsmasq()
	w.plug("nb0")
	a.await(t, "rogue", soon)
	w.homeless()

	// Back at home.
	w.unplug("nb0")
	stop()
	a.await(t, "no-cable", soon)
	w.plug("nb0")

	if addr := w.leaseWithin(soon); addr == "" {
		t.Error("back on its own network the appliance gives no lease")
	}
}

// leaseWithin asks until there is a lease.
func (w *wire) leaseWithin(limit time.Duration, args ...string) string {
	w.t.Helper()

	for end := time.Now().Add(limit); time.Now().Before(end); {
		if addr := w.lease(args...); addr != "" {
			return addr
		}
	}

	return ""
}

func TestASecondServerSilencesIt(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet, Search: peek})
	a.await(t, "ready", soon)

	if addr := w.leaseWithin(soon); addr == "" {
		t.Fatal("udhcpc got no lease")
	}

	w.dnsmasq()
	w.leaseWithin(soon, "-B")

	step := a.await(t, "rogue", soon)
	for step.Code == "" { // of the machine; that of the network has a code
		step = a.await(t, "rogue", soon)
	}

	if step.Code != "netboot/rogue-dhcp" || !strings.Contains(step.Detail, rivalAddr) {
		t.Errorf("the alarm is %+v", step)
	}

	// From now on only the other one is heard.
	for range 3 {
		if addr := w.leaseWithin(soon, "-B"); !strings.HasPrefix(addr, "10.77.0.2") {
			t.Errorf("udhcpc got %q, which is not the other server's", addr)
		}
	}

	a.await(t, "quiet", soon)
}

// Another server comes while a machine boots: nothing is offered from then on, and the
// machine that has its address keeps it and goes on to its seed. Once the other is gone
// machines are answered again, which takes two searches: RIVAL_GOES waits for that.
func TestASecondServerThatComesInMidBootHarmsNoRunningMachine(t *testing.T) {
	w := newWire(t)
	w.lay("c1", w.client, localMAC)
	a := w.start(order{Hosts: vet, Search: peek})
	a.await(t, "ready", soon)

	addr := w.leaseWithin(soon, "-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "93:0007")
	if addr == "" {
		t.Fatal("udhcpc got no lease")
	}

	loads := make(chan error, 1)

	go func() { // some three seconds
		_, err := w.try(2*soon, "curl", "-sSf", "--limit-rate", "50k", "-o", "/dev/null", "http://"+selfAddr+"/boot/vmlinuz")
		loads <- err
	}()

	stop := w.dnsmasq()
	other, _ := w.try(soon, "busybox", "udhcpc", "-i", "c1", "-f", "-q", "-n", "-B", "-t", "5", "-T", "1", "-s", "/bin/true")

	step := a.await(t, "rogue", soon)
	for step.Code == "" {
		step = a.await(t, "rogue", soon)
	}

	if step.Code != "netboot/rogue-dhcp" || !strings.Contains(step.Detail, rivalAddr) || !strings.Contains(step.Detail, "Nothing is offered until it is gone") {
		t.Errorf("the alarm is %+v", step)
	}

	if !strings.Contains(other, rivalAddr) && !strings.Contains(other, selfAddr) {
		t.Errorf("the other machine got nothing:\n%s", other)
	}

	if err := <-loads; err != nil {
		t.Errorf("the transfer that was under way broke off: %v", err)
	}

	for _, get := range []string{"/ipxe/" + knownMAC, "/boot/base.cpio.zst", "/seed/self.cpio"} {
		if out, err := w.try(soon, "curl", "-sSf", "-m", "5", "-o", "/dev/null", "http://"+selfAddr+get); err != nil {
			t.Errorf("%s: %v %s", get, err, out)
		}
	}

	if have := w.run("ip", "-4", "-br", "addr", "show", "dev", "c0"); !strings.Contains(have, addr+"/") {
		t.Errorf("the machine has %s, and had %s", have, addr)
	}

	stop()

	t.Run("and goes", func(t *testing.T) {
		if os.Getenv("RIVAL_GOES") == "" {
			t.Skip("not asked for")
		}

		if step := a.await(t, "rogue-gone", 4*time.Minute); !strings.Contains(step.Detail, "Machines are answered again") {
			t.Errorf("told %+v", step)
		}

		w.must("ip", "-n", w.client, "link", "del", "c1") // it would answer to ARP for the other card's address

		if again := w.leaseWithin(soon); again != addr {
			t.Errorf("afterwards it got %q, and had %q", again, addr)
		}
	})
}

func TestItKeepsOffACardWithTheDefaultRoute(t *testing.T) {
	const problem = "the default route leads through nb0"

	routes := map[string][]string{
		"of IPv4":                       {"-4", "route", "add", "default", "via", "10.99.0.1", "dev", "nb0"},
		"of IPv4, one way of two":       {"-4", "route", "add", "default", "nexthop", "via", "10.99.0.1", "dev", "nb0", "nexthop", "via", "10.99.0.3", "dev", "nb0"},
		"of IPv4, in a table of policy": {"-4", "route", "add", "default", "via", "10.99.0.1", "dev", "nb0", "table", "77"},
		"of IPv6":                       {"-6", "route", "add", "default", "via", "fe80::1", "dev", "nb0"},
	}

	for name, route := range routes {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			w.must("ip", "-n", w.server, "addr", "add", "10.99.0.2/24", "dev", "nb0")
			w.must("ip", append([]string{"-n", w.server}, route...)...)
			w.refused(w.start(order{Hosts: vet}), problem, "--i-own-this-network")
		})
	}

	t.Run("unless it is told to", func(t *testing.T) {
		w := newWire(t)
		w.must("ip", "-n", w.server, "addr", "add", "10.99.0.2/24", "dev", "nb0")
		w.must("ip", append([]string{"-n", w.server}, routes["of IPv4"]...)...)
		w.start(order{Hosts: vet, Own: true}).await(t, "ready", soon)
	})

	t.Run("unless it gives no addresses", func(t *testing.T) {
		w := newWire(t)
		w.must("ip", "-n", w.server, "addr", "add", "10.99.0.2/24", "dev", "nb0")
		w.must("ip", append([]string{"-n", w.server}, routes["of IPv4"]...)...)
		w.start(order{Hosts: vet, Mode: netboot.ModeProxy}).await(t, "ready", soon)
	})

	t.Run("also when the route comes later", func(t *testing.T) {
		w := newWire(t)
		a := w.start(order{Hosts: vet})
		a.await(t, "ready", soon)
		w.must("ip", "-n", w.server, "addr", "add", "10.99.0.2/24", "dev", "nb0")
		w.must("ip", append([]string{"-n", w.server}, routes["of IPv4"]...)...)

		if step := a.await(t, "default-route", soon); step.Code != "netboot/default-route" {
			t.Errorf("the alarm is %+v", step)
		}

		a.await(t, "rebind", soon)
		w.homeless()

		if addr := w.lease(); addr != "" {
			t.Errorf("udhcpc got %s from somebody's network", addr)
		}

		w.must("ip", "-n", w.server, "-4", "route", "del", "default")

		if addr := w.leaseWithin(soon); addr == "" {
			t.Error("once the route is gone the appliance gives no lease")
		}
	})
}

func TestAnAddressThatAPersonGaveStays(t *testing.T) {
	w := newWire(t)
	w.must("ip", "-n", w.server, "addr", "add", selfAddr+"/24", "dev", "nb0")

	a := w.start(order{Hosts: vet})
	a.await(t, "ready", soon)
	stop(t, a)

	if have := w.addresses(); !strings.Contains(have, selfAddr) {
		t.Errorf("the address was taken away: %s", have)
	}
}

func TestTheCardIsLeftAsItWas(t *testing.T) {
	w := newWire(t)
	a := w.start(order{Hosts: vet})
	a.await(t, "ready", soon)

	if have := w.must("ip", "-n", w.server, "-4", "addr", "show", "dev", "nb0"); !strings.Contains(have, selfAddr) || strings.Contains(have, "valid_lft forever") {
		t.Errorf("the address is not there for a time only:\n%s", have)
	}

	stop(t, a)
	w.homeless()

	t.Run("also after a death, by the next life", func(t *testing.T) {
		a := w.start(order{Hosts: vet})
		a.await(t, "ready", soon)
		_ = a.cmd.Process.Kill()
		<-a.done

		if !strings.Contains(w.addresses(), selfAddr) {
			t.Fatal("there is nothing left to take away")
		}

		w.dnsmasq()
		w.refused(w.start(order{Hosts: vet, Search: peek}), rivalAddr)
	})
}

// stop ends the appliance as systemd does.
func stop(t *testing.T, a *appliance) {
	t.Helper()

	if err := exec.Command("kill", fmt.Sprint(a.cmd.Process.Pid)).Run(); err != nil {
		t.Fatal(err)
	}

	select {
	case err := <-a.done:
		if err != nil {
			t.Errorf("told to end, the appliance failed: %v", err)
		}
	case <-time.After(soon):
		t.Fatal("told to end, the appliance goes on")
	}
}
