package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// powered registers the n-th host with ways to be switched.
func (r *rig) powered(n int, ways ...core.PowerMethod) {
	r.t.Helper()

	host := coretest.Host(n)
	host.Power = core.Power{
		Method: ways[0], Then: ways[1:], BMC: core.BMC{Address: "10.0.0.5", User: "admin"}, Webhook: core.Webhook{URL: "https://hook.example/"},
	}

	if _, err := r.RegisterHost(r.t.Context(), "op", host); err != nil {
		r.t.Fatal(err)
	}
}

// attempts lists the power steps on the n-th host's boot trace: "ipmi", or
// "ipmi!power/timeout" where it did not work.
func (r *rig) attempts(n int) (found []string) {
	var trace core.BootTrace

	err := r.ledger.View(context.Background(), func(rd core.Reader) error { return rd.Get(core.TableBoot, string(coretest.MAC(n)), &trace) })
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		r.t.Fatal(err)
	}

	for _, s := range trace.Steps {
		if s.Kind != "power" {
			continue
		}

		word := string(s.Way)
		if s.Code != "" {
			word += "!" + s.Code
		}

		found = append(found, word)
	}

	return found
}

func TestTheFirstWayThatWorksInTheHostsOrder(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.waker.breaks(core.PowerRedfish, "power/wrong-password")
		r.powered(1, core.PowerRedfish, core.PowerIPMI, core.PowerWoL, core.PowerManual)

		if _, err := r.SetHostSecret(t.Context(), "op", coretest.MAC(1), core.HostSecret{BMCPassword: "hush"}); err != nil {
			t.Fatal(err)
		}

		id := r.start(1)
		r.wantState(id, core.StateWaitingPower)

		if got := r.waker.by(); !slices.Equal(got, []core.PowerMethod{core.PowerRedfish, core.PowerIPMI}) {
			t.Errorf("tried %v", got)
		}

		if o := r.waker.orders[1]; o.Secret.BMCPassword != "hush" || o.Op != core.PowerBoot || o.Host.Power.BMC.User != "admin" {
			t.Errorf("%+v", o)
		}

		// IPMI said yes, and the host is never heard: the next way has its turn.
		r.pass(4 * time.Minute)
		r.wantState(id, core.StateWaitingWoL)
		r.pass(30 * time.Second)
		r.pass(30 * time.Second)
		r.pass(4 * time.Minute)
		r.wantState(id, core.StateWaitingPower)

		want := []string{
			"redfish!power/wrong-password", "redfish!power/wrong-password", "ipmi", "ipmi!power/no-answer",
			"wol", "wol", "wol", "wol!power/no-answer",
		}
		if got := r.attempts(1); !slices.Equal(got, want) {
			t.Errorf("the trace tells %v", got)
		}

		// The boot deadline is that of the first turn.
		r.pass(15*time.Minute - 9*time.Minute)
		r.wantState(id, core.StateFailedHolding)
	})
}

func TestAControllerThatIsAloneIsAskedThreeTimes(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.waker.breaks(core.PowerIPMI, "power/timeout")
		r.powered(1, core.PowerIPMI)
		id := r.start(1)

		for range 10 {
			r.pass(time.Minute)
		}

		r.wantState(id, core.StateWaitingPower) // somebody may press the button

		if n := r.waker.count(); n != 3 {
			t.Errorf("asked %d times", n)
		}

		if !r.noticed("power/wake-failed") {
			t.Error("nobody was told")
		}
	})
}

func TestAHostThatBootsIsNotSwitchedAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerIPMI, core.PowerWoL)
		id := r.start(1)

		if _, err := r.machine(1).arm(); err != nil {
			t.Fatal(err)
		}

		for range 10 {
			r.pass(time.Minute)
		}

		r.wantState(id, core.StateBooting)

		if n := r.waker.count(); n != 1 {
			t.Errorf("switched %d times", n)
		}
	})
}

// reliability.md §5: what is owed after a restart follows from the state.
func TestAnOrderWithoutAnAnswerIsGivenAgainAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), nil)
		hang := &hanging{asked: make(chan core.PowerOrder, 8)}
		r.tune = func(c *engine.Config) { c.Power = hang }
		r.restart()
		r.powered(1, core.PowerIPMI)
		id := r.start(1)
		<-hang.asked

		r.restart() // killed before the answer
		<-hang.asked

		r.tune = nil
		r.restart()

		if got := r.waker.by(); !slices.Equal(got, []core.PowerMethod{core.PowerIPMI}) {
			t.Errorf("after the restart: %v", got)
		}

		if run := r.wantState(id, core.StateWaitingPower); run.Wakes != 1 || !run.Switched {
			t.Errorf("attempt %d, switched %v", run.Wakes, run.Switched)
		}

		r.restart() // nothing is owed any more

		if n := r.waker.count(); n != 1 {
			t.Errorf("switched %d times", n)
		}
	})
}

// hanging is a controller that does not answer until the appliance stops.
type hanging struct{ asked chan core.PowerOrder }

func (h *hanging) Do(ctx context.Context, order core.PowerOrder) core.PowerAnswer {
	h.asked <- order
	<-ctx.Done()

	return core.PowerAnswer{}
}

func TestASlowControllerDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), nil)
		hang := &hanging{asked: make(chan core.PowerOrder, 64)}
		r.tune = func(c *engine.Config) { c.Power, c.MaxConcurrent = hang, 10 }
		r.restart()

		for n := 1; n <= 10; n++ {
			r.powered(n, core.PowerIPMI)
			r.start(n)
		}

		if n := len(hang.asked); n != 10 {
			t.Errorf("%d of 10 were asked", n)
		}
	})
}

func TestAHostWhoseAgentIsSilentIsSwitchedOffAfterItsHold(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerIPMI)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		res := m.passing(core.InventoryCheck)
		res.Verdict = core.Error

		if _, err := m.send(res); err != nil {
			t.Fatal(err)
		}

		r.pass(24 * time.Hour)
		r.wantState(id, core.StateReleased)

		last := r.waker.orders[len(r.waker.orders)-1]
		if last.Op != core.PowerOff || r.hostOf(1).OffOwed {
			t.Errorf("%+v, owed %v", last, r.hostOf(1).OffOwed)
		}
	})
}

func TestAnOperatorSwitchesAHost(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.waker.breaks(core.PowerRedfish, "power/unreachable")
		r.waker.state = core.PowerIsOn
		r.powered(1, core.PowerWoL, core.PowerRedfish, core.PowerIPMI)
		r.powered(2, core.PowerManual)

		if state, err := r.PowerHost(t.Context(), "op", coretest.MAC(1), core.PowerStatus); err != nil || state != core.PowerIsOn {
			t.Errorf("%s %v", state, err)
		}

		if got := r.waker.by(); !slices.Equal(got, []core.PowerMethod{core.PowerRedfish, core.PowerIPMI}) {
			t.Errorf("a magic packet tells no state, and yet: %v", got)
		}

		if _, err := r.PowerHost(t.Context(), "op", coretest.MAC(1), core.PowerOff); err != nil {
			t.Error(err)
		}

		if got := r.attempts(1); !slices.Equal(got, []string{"redfish!power/unreachable", "ipmi"}) {
			t.Errorf("the trace tells %v", got)
		}

		r.waker.breaks(core.PowerIPMI, "power/timeout")

		if _, err := r.PowerHost(t.Context(), "op", coretest.MAC(1), core.PowerCycle); codeOf(err) != "power/timeout" || !strings.Contains(err.Error(), "rack1-u01") {
			t.Errorf("%v", err)
		}

		for name, c := range map[string]struct {
			n    int
			op   core.PowerOp
			code string
		}{
			"a host without a way":     {2, core.PowerOff, "host/power-method"},
			"a host that is not there": {3, core.PowerOn, "host/not-found"},
			"an order that is none":    {1, "explode", "host/power-method"},
		} {
			if _, err := r.PowerHost(t.Context(), "op", coretest.MAC(c.n), c.op); codeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}

		r.start(1)
		r.machine(1).boot()

		if _, err := r.PowerHost(t.Context(), "op", coretest.MAC(1), core.PowerCycle); codeOf(err) != "power/busy" {
			t.Errorf("while a stage works: %v", err)
		}
	})
}

func TestPowerSettingsThatMakeNoSense(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for name, p := range map[string]core.Power{
			"an unknown way":            {Method: "telepathy"},
			"a way twice":               {Method: core.PowerWoL, Then: []core.PowerMethod{core.PowerManual, core.PowerWoL}},
			"ipmi without a controller": {Method: core.PowerIPMI},
			"ipmi without a user":       {Method: core.PowerIPMI, BMC: core.BMC{Address: "10.0.0.5"}},
			"an address of two words":   {Method: core.PowerIPMI, BMC: core.BMC{Address: "10.0.0.5 -h", User: "a"}},
			"a port that is none":       {Method: core.PowerIPMI, BMC: core.BMC{Address: "bmc:70000", User: "a"}},
			"a pin that is none":        {Method: core.PowerManual, BMC: core.BMC{Pin: "abc"}},
			"webhook without address":   {Method: core.PowerWebhook},
			"a file to call":            {Method: core.PowerWebhook, Webhook: core.Webhook{URL: "file:///etc/passwd"}},
			"a password in the address": {Method: core.PowerWebhook, Webhook: core.Webhook{URL: "https://a:b@hook/"}},
		} {
			host := coretest.Host(1)
			host.Power = p

			if _, err := r.RegisterHost(t.Context(), "op", host); codeOf(err) != "host/power-method" {
				t.Errorf("%s: %v", name, err)
			}
		}

		for _, address := range []string{"10.0.0.5", "10.0.0.5:623", "bmc-4.lan", "bmc-4.lan:8443", "fd00::7", "[fd00::7]:623", "https://10.0.0.5:8443"} {
			host := coretest.Host(1)
			host.Power = core.Power{Method: core.PowerRedfish, BMC: core.BMC{Address: address, User: "a"}}

			if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
				t.Errorf("%s: %v", address, err)
			}

			if err := r.DeleteHost(t.Context(), "op", host.MAC); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestASecretIsNeverShown(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerIPMI)

		host, err := r.SetHostSecret(t.Context(), "op", coretest.MAC(1), core.HostSecret{BMCPassword: "hush-hush"})
		if err != nil || !host.Power.BMC.PasswordSet || host.Power.Webhook.SecretSet {
			t.Fatalf("%+v %v", host.Power, err)
		}

		if host, err = r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Power.BMC.PasswordSet = false }); err != nil || !host.Power.BMC.PasswordSet {
			t.Errorf("an edit forgets the password: %+v %v", host.Power, err)
		}

		err = r.ledger.View(t.Context(), func(rd core.Reader) error {
			events, err := rd.Events(0, 0)
			for _, e := range events {
				if strings.Contains(string(e.Data), "hush") {
					t.Errorf("it is in an event: %s", e.Data)
				}
			}

			return err
		})
		if err != nil || strings.Contains(r.log.String(), "hush") {
			t.Errorf("%v; or it is in the log", err)
		}
	})
}

// What the room that switches hosts says of their settings counts wherever they
// are set, with the secrets that were given before.
func TestPowerSettingsThatCannotWorkAreRefused(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.tune = func(c *engine.Config) {
			c.CheckPower = func(host core.Host, secret core.HostSecret) error {
				if host.Power.BMC.System == "none" || len(secret.BMCPassword) > 20 || secret.BMCPassword != "" && host.Power.BMC.System == "two" {
					return errors.New("ipmi: what was given\nipmi: cannot work")
				}

				return nil
			}
		}
		r.restart()
		r.powered(1, core.PowerIPMI)

		refused := func(what string, err error) {
			t.Helper()

			var p *core.Problem
			if !errors.As(err, &p) || !errors.Is(err, core.ErrInvalid) || p.Code != "host/power-method" || !strings.Contains(p.Message, "given; ipmi: cannot") {
				t.Errorf("%s: %v", what, err)
			}
		}

		bad := coretest.Host(2)
		bad.Power = core.Power{Method: core.PowerIPMI, BMC: core.BMC{Address: "10.0.0.6", User: "admin", System: "none"}}
		_, err := r.RegisterHost(t.Context(), "op", bad)
		refused("register", err)

		_, err = r.SetHostSecret(t.Context(), "op", coretest.MAC(1), core.HostSecret{BMCPassword: strings.Repeat("p", 21)})
		refused("secret", err)

		if _, err = r.SetHostSecret(t.Context(), "op", coretest.MAC(1), core.HostSecret{BMCPassword: "hush"}); err != nil {
			t.Fatal(err)
		}

		two := func(h *core.Host) { h.Power.BMC.System = "two" }
		_, err = r.UpdateHost(t.Context(), "op", coretest.MAC(1), two)
		refused("update", err)

		_, err = r.ImportHosts(t.Context(), "op", []core.ImportRow{{Line: 2, MAC: coretest.MAC(1), Edit: two}}, false)
		refused("import", err)

		if _, err = r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Notes = "fine" }); err != nil {
			t.Error(err)
		}
	})
}

// passed brings the first host to the end of a run that it passes.
func (r *rig) passed() (*machine, core.RunID) {
	r.t.Helper()

	id := r.start(1)
	m := r.machine(1)
	m.finish(m.boot().State)
	r.wantState(id, core.StateCompleted)

	return m, id
}

// offs counts the orders to switch a host off.
func (w *waker) offs() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()

	for i := range w.orders {
		if w.orders[i].Op == core.PowerOff {
			n++
		}
	}

	return n
}

func TestAHostThatPassedAndWasNotToldIsSwitchedOff(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerIPMI)
		r.passed()
		r.pass(15*time.Minute - time.Second)

		if n := r.waker.offs(); n != 0 {
			t.Errorf("switched off %d times before the agent had its last word", n)
		}

		r.pass(time.Second)
		r.pass(time.Hour)

		if h := r.hostOf(1); r.waker.offs() != 1 || h.OffOwed || !h.OffDue.IsZero() {
			t.Errorf("switched off %d times; owed %v, due %s", r.waker.offs(), h.OffOwed, h.OffDue)
		}
	})
}

func TestAHostThatPassedAndCannotBeSwitchedIsToldOnItsTrace(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerManual)
		_, id := r.passed()
		r.pass(15 * time.Minute)

		trace := get[core.BootTrace](r, core.TableBoot, string(coretest.MAC(1)))
		if last := trace.Steps[len(trace.Steps)-1]; last.Op != core.PowerOff || !strings.Contains(last.Detail, "may still be on") {
			t.Errorf("the trace ends with %+v", last)
		}

		if run := r.run(id); run.Verdict != core.Pass || r.waker.offs() != 0 || !r.hostOf(1).OffDue.IsZero() {
			t.Errorf("%s, switched off %d times", run.Verdict, r.waker.offs())
		}
	})
}

func TestAHostThatSomebodyHasIsNotSwitchedOffForAnOldRun(t *testing.T) {
	uses := map[string]func(r *rig, m *machine) error{
		"its agent was told": func(_ *rig, m *machine) error {
			o, err := m.beat("")
			if o.Cmd != core.CmdShutdown {
				return fmt.Errorf("it was told %s: %w", o.Cmd, err)
			}

			return err
		},
		"another run": func(r *rig, _ *machine) error {
			r.start(1)

			return nil
		},
		"an operator has switched it": func(r *rig, _ *machine) error {
			_, err := r.PowerHost(context.Background(), "op", coretest.MAC(1), core.PowerCycle)

			return err
		},
		"it boots": func(r *rig, _ *machine) error {
			r.Witness(core.BootStep{Time: r.clock.Now(), MAC: coretest.MAC(1), Kind: "discover", Client: core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientUEFI}})

			return nil
		},
		"its system has come up": func(r *rig, _ *machine) error {
			_, err := r.HostBeat(context.Background(), coretest.MAC(1), core.HostBeat{BootID: "os"})

			return err
		},
		"the appliance was away": func(r *rig, _ *machine) error {
			r.stop()
			r.clock.Advance(20 * time.Minute)
			r.restart()

			return nil
		},
		"the appliance came up with another clock": func(r *rig, _ *machine) error {
			r.stop()
			r.clock.Advance(-time.Hour)
			r.restart()

			return nil
		},
	}

	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.TrustLAN = true })
				r.powered(1, core.PowerIPMI)
				m, _ := r.passed()

				if err := use(r, m); err != nil {
					t.Fatal(err)
				}

				r.pass(time.Second)

				if !r.hostOf(1).OffDue.IsZero() {
					t.Error("it is still to be switched off")
				}

				r.pass(2 * time.Hour)

				if n := r.waker.offs(); n != 0 {
					t.Errorf("switched off %d times", n)
				}
			})
		})
	}
}

// A start that is withdrawn takes nothing back of what was owed before: the host is
// switched off when it was due, and not while the start could still be withdrawn.
func TestAHostIsSwitchedOffThoughAStartWasWithdrawnMeanwhile(t *testing.T) {
	for name, ends := range map[string]struct {
		offs int
		end  func(r *rig, id core.RunID) error
	}{
		"withdrawn": {1, func(r *rig, id core.RunID) error {
			_, err := r.WithdrawRun(r.t.Context(), "op", id)

			return err
		}},
		"begun": {0, func(r *rig, _ core.RunID) error {
			r.pass(core.Grace)

			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				r.powered(1, core.PowerIPMI)
				r.passed()
				r.pass(15*time.Minute - 5*time.Second)

				id := r.startedLater(1)
				r.pass(8 * time.Second)

				if n := r.waker.offs(); n != 0 {
					t.Errorf("switched off %d times under a start that could be withdrawn", n)
				}

				if err := ends.end(r, id); err != nil {
					t.Fatal(err)
				}

				r.pass(2 * time.Second)

				if n := r.waker.offs(); n != ends.offs || !r.hostOf(1).OffDue.IsZero() {
					t.Errorf("switched off %d times, want %d; due %s", n, ends.offs, r.hostOf(1).OffDue)
				}
			})
		})
	}
}

func TestALeaseThatOurAgentRenewsIsNobodyElse(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerIPMI)
		r.passed()
		r.Witness(core.BootStep{Time: r.clock.Now(), MAC: coretest.MAC(1), Kind: "request", Client: core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientAgent}})
		r.pass(time.Second)
		r.pass(15 * time.Minute)

		if n := r.waker.offs(); n != 1 {
			t.Errorf("switched off %d times", n)
		}
	})
}
