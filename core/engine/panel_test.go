package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// talker is a controller that tells of itself by one protocol.
type talker struct {
	*waker

	by    core.PowerMethod
	panel core.Panel
	block chan struct{} // answers once it is closed; nil: at once
}

func (k *talker) Do(ctx context.Context, order core.PowerOrder) core.PowerAnswer {
	answer := k.waker.Do(ctx, order)
	if k.block != nil {
		<-k.block
	}

	if order.Way == k.by && order.Op == core.PowerLook && answer.Worked() {
		panel := k.panel
		answer.Panel = &panel
	}

	return answer
}

// talks gives the rig a controller that is asked by IPMI alone, after Redfish.
func (r *rig) talks() *talker {
	k := &talker{waker: r.waker, by: core.PowerIPMI, panel: core.Panel{
		State: core.PowerIsOn, Gauges: []core.Gauge{{Name: "CPU\x1b[31m Temp"}}, Events: make([]core.PanelEvent, 40),
	}}
	r.tune = func(c *engine.Config) { c.Power = k }
	r.restart()
	r.waker.breaks(core.PowerRedfish, "power/unreachable")

	return k
}

func TestAControllerTellsByTheFirstProtocolThatWorks(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.talks()
		r.powered(1, core.PowerWoL) // it is switched another way, and has a controller all the same
		r.powered(2, core.PowerManual)

		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(2), func(h *core.Host) { h.Power.BMC = core.BMC{} }); err != nil {
			t.Fatal(err)
		}

		panel, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1))
		if err != nil || panel.State != core.PowerIsOn || panel.Gauges[0].Name != "CPU[31m Temp" || len(panel.Events) != core.MaxPanelEvents {
			t.Fatalf("%+v %v", panel, err)
		}

		if len(panel.Tried) != 2 || panel.Tried[0].Code != "power/unreachable" || panel.Tried[1].Way != core.PowerIPMI {
			t.Errorf("tried %+v", panel.Tried)
		}

		asked := r.waker.count()
		if _, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1)); err != nil || r.waker.count() != asked {
			t.Errorf("a second look a moment later asked again: %v", err)
		}

		r.pass(16 * time.Second)

		if _, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1)); err != nil || r.waker.count() != asked+2 {
			t.Errorf("a look later was not asked: %v", err)
		}

		if err := r.LocateHost(t.Context(), "ann", coretest.MAC(1), true); err != nil || r.waker.orders[len(r.waker.orders)-1].Op != core.PowerLocate {
			t.Errorf("the light: %v", err)
		}

		if _, err := r.LookAtController(t.Context(), "ann", coretest.MAC(2)); codeOf(err) != "host/power-method" {
			t.Errorf("a host without a controller: %v", err)
		}

		if _, err := r.LookAtController(t.Context(), "ann", coretest.MAC(3)); codeOf(err) != "host/not-found" {
			t.Errorf("no host: %v", err)
		}

		if did := r.audited("host.controller"); len(did) != 3 || did[0].Who != "ann" || !strings.Contains(did[2].Text, "light") {
			t.Errorf("the audit trail: %+v", did)
		}
	})
}

// A wrong password and a wrong certificate are not tried again by another protocol.
func TestAControllerThatRefusesIsNotAskedAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.talks()
		r.powered(1, core.PowerRedfish, core.PowerIPMI)

		for _, code := range []string{"power/wrong-password", "power/untrusted"} {
			r.waker.breaks(core.PowerRedfish, code)

			before := r.waker.count()
			if _, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1)); codeOf(err) != code || r.waker.count() != before+1 {
				t.Errorf("%s: %v, asked %d times", code, err, r.waker.count()-before)
			}

			if code != "power/wrong-password" {
				continue
			}

			// Looking again would lock the user out; with another password it is another question.
			_, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1))
			_, tried := r.TryController(t.Context(), "local", coretest.MAC(1))
			if lit := r.LocateHost(t.Context(), "ann", coretest.MAC(1), true); codeOf(err) != code || codeOf(tried) != code || codeOf(lit) != code || r.waker.count() != before+1 {
				t.Errorf("again: %v, %v, %v, asked %d times", err, tried, lit, r.waker.count()-before)
			}

			if _, err := r.SetHostSecret(t.Context(), "op", coretest.MAC(1), core.HostSecret{BMCPassword: "another"}); err != nil {
				t.Fatal(err)
			}
		}

		r.waker.breaks(core.PowerRedfish, "power/unreachable")
		r.waker.breaks(core.PowerIPMI, "power/timeout")

		_, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1))
		if codeOf(err) != "power/timeout" || !strings.Contains(err.Error(), "redfish: Management controller not reachable") || !strings.Contains(err.Error(), "ipmi: Management controller silent") {
			t.Errorf("both are silent: %v", err)
		}
	})
}

// A run that brings its host up has the controller for itself.
func TestARunHasItsControllerForItself(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.talks()
		r.powered(1, core.PowerIPMI)
		r.start(1)

		before := r.waker.count()

		if _, err := r.LookAtController(t.Context(), "ann", coretest.MAC(1)); codeOf(err) != "power/busy" {
			t.Errorf("while the host is awaited: %v", err)
		}

		if _, err := r.TryController(t.Context(), "local", coretest.MAC(1)); codeOf(err) != "power/busy" {
			t.Errorf("by doctor while the host is awaited: %v", err)
		}

		m := r.machine(1)
		m.boot()

		if _, err := m.send(m.passing(core.InventoryCheck)); err != nil {
			t.Fatal(err)
		}

		if err := r.LocateHost(t.Context(), "ann", coretest.MAC(1), true); codeOf(err) != "power/busy" {
			t.Errorf("at the stage Firmware: %v", err)
		}

		if r.waker.count() != before {
			t.Error("the controller was asked all the same")
		}
	})
}

func TestAControllerIsReadByOneAtATime(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		k := r.talks()
		k.block = make(chan struct{})
		r.powered(1, core.PowerIPMI)

		ended := make(chan error)

		go func() {
			_, err := r.LookAtController(context.Background(), "ann", coretest.MAC(1))
			ended <- err
		}()

		for !slices.Contains(r.waker.by(), core.PowerIPMI) {
			time.Sleep(time.Millisecond) // of the bubble's clock
		}

		if _, err := r.LookAtController(t.Context(), "bob", coretest.MAC(1)); codeOf(err) != "power/busy" {
			t.Errorf("a second at the same time: %v", err)
		}

		close(k.block)

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
