//go:build e2e

package netboot_test

import (
	"strings"
	"testing"

	"vetting/netboot"
)

const secondAddr = "10.77.0.2"

// Two appliances that know the same machine, on one segment: one of them serves, and the
// machine never gets two answers.
func TestTwoAppliancesDoNotShareASegment(t *testing.T) {
	for name, second := range map[string]order{
		"the second gives addresses": {Hosts: vet, Self: secondAddr, Search: peek},
		"the second is a proxy":      {Hosts: vet, Self: secondAddr, Search: peek, Mode: netboot.ModeProxy},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			said := w.spyOn("r0", rivalMAC)
			first := w.start(order{Hosts: vet, Search: peek})
			first.await(t, "ready", soon)

			second.Leases = w.scratch + "/second.json"
			late := w.startAt(w.rival, "r0", second)

			// Both say so: the second as its own, the first as an alarm.
			if step := late.await(t, "appliance", soon); step.Code != "netboot/other-appliance" || !strings.Contains(step.Detail, "another appliance at "+selfAddr) {
				t.Errorf("the second says %+v", step)
			}

			if log := late.ended(t); !strings.Contains(log, "two appliances do not share a network") || !strings.Contains(log, selfAddr) {
				t.Error("the refusal does not say why")
			}

			if step := first.await(t, "appliance", soon); step.Code != "netboot/other-appliance" || !strings.Contains(step.Detail, rivalMAC) {
				t.Errorf("the first says %+v", step)
			}

			if addr := w.leaseWithin(soon); addr == "" {
				t.Error("the first gives no lease any more")
			}

			if told := said.about(knownMAC); len(told) > 0 {
				t.Errorf("the second was heard, too: %q", told)
			}
		})
	}
}

// Switched on by one switch, neither serves yet when the other asks.
func TestOfTwoAppliancesThatStartTogetherOneServes(t *testing.T) {
	w := newWire(t)
	one := w.start(order{Hosts: vet, Search: peek * 3})
	other := w.startAt(w.rival, "r0", order{Hosts: vet, Self: secondAddr, Search: peek * 3, Leases: w.scratch + "/second.json"})

	serving, waiting := one, other

	select {
	case <-one.done:
		serving, waiting = other, one
	case <-other.done:
		other.done <- nil
	}

	if !strings.Contains(waiting.log.String(), "another appliance that is being started") {
		t.Error("the one that waits does not say for whom")
	}

	serving.await(t, "ready", soon)

	if addr := w.leaseWithin(soon); addr == "" {
		t.Error("udhcpc got no lease")
	}
}

// Two networks that become one by a cable between their switches: both were serving. With
// the first offer one at least falls silent, so that no machine gets two answers from then on.
func TestOfTwoServingAppliancesWhoseNetworksAreJoinedOneAtMostIsHeard(t *testing.T) {
	w := newWire(t)
	first := w.start(order{Hosts: vet})
	first.await(t, "ready", soon)

	second := w.startAt(w.rival, "r0", order{Hosts: vet, Self: secondAddr, Leases: w.scratch + "/second.json"})
	second.await(t, "ready", soon)

	w.leaseWithin(soon, "-B")

	heard := []*spy{w.spyOn("nb0", applianceMAC), w.spyOn("r0", rivalMAC)}

	for range 2 {
		w.lease("-B")

		answered := 0

		for _, s := range heard {
			if len(s.about(knownMAC)) > 0 {
				answered++
			}
		}

		if answered > 1 {
			t.Error("both answered")
		}
	}

	log := func(a *appliance) string {
		_ = a.cmd.Process.Kill()
		<-a.done

		return a.log.String()
	}

	if !strings.Contains(log(first)+log(second), "another dhcp server is at work on the test network; offering nothing until it is gone") {
		t.Error("neither says so")
	}
}

// The same, of two that look for others as in use: after the first machine that both know has
// asked, the one whose card has the lower MAC goes on, and the other is silent for as long.
func TestOfTwoServingAppliancesThatMeetTheLowerGoesOn(t *testing.T) {
	w := newWire(t)
	w.must("ip", "-n", w.hub, "link", "add", "br1", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
	w.must("ip", "-n", w.hub, "link", "set", "br1", "up")
	w.must("ip", "-n", w.hub, "link", "set", "port-r0", "master", "br1")

	higher := w.start(order{Hosts: vet, Search: peek})
	lower := w.startAt(w.rival, "r0", order{Hosts: vet, Self: secondAddr, Search: peek, Leases: w.scratch + "/second.json"})

	higher.await(t, "ready", soon)
	lower.await(t, "ready", soon)

	w.must("ip", "-n", w.hub, "link", "set", "port-r0", "master", "br0")
	w.leaseWithin(soon, "-B")

	if step := higher.await(t, "rogue", 3*soon); !strings.Contains(step.Detail, secondAddr) || step.Code != "netboot/rogue-dhcp" {
		t.Errorf("the higher says %+v", step)
	}

	silent, serving := w.spyOn("nb0", applianceMAC), w.spyOn("r0", rivalMAC)

	for range 3 {
		if addr := w.leaseWithin(2*soon, "-B"); addr == "" {
			t.Fatal("the lower gives no lease any more")
		}
	}

	if told := silent.about(knownMAC); len(told) > 0 {
		t.Errorf("the higher answers on: %q", told)
	}

	if told := serving.about(knownMAC); len(told) == 0 {
		t.Error("the lower was not heard")
	}

	select {
	case err := <-lower.done:
		t.Errorf("the lower ended: %v", err)
	case err := <-higher.done:
		t.Errorf("the higher ended: %v", err)
	default:
	}
}
