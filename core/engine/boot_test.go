package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
)

func TestWhoIsNotRegisteredGetsNothing(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		if d := r.Decide(core.BootClient{MAC: coretest.MAC(7)}); !cmp.Equal(d, core.BootDecision{Action: core.BootIgnore}) {
			t.Errorf("decision %+v", d)
		}

		if _, err := r.Arm(t.Context(), coretest.MAC(7), addr(7)); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("arm: %v", err)
		}

		r.host(1)

		if _, err := r.Arm(t.Context(), coretest.MAC(1), addr(1)); codeOf(err) != "boot/no-run" {
			t.Errorf("arm without a run: %v", err)
		}
	})
}

func TestTheKernelIsToldWhatTheProfileWants(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "deep", Who: "op"}); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Action != core.BootVet || d.Kernel != "memtest=1" {
			t.Errorf("decision %+v", d)
		}
	})
}

func TestAnAliasIsTheSameHost(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		host := coretest.Host(1)
		host.Aliases = []core.MAC{coretest.MAC(100)}

		if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
			t.Fatal(err)
		}

		id := r.start(100)

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(100)}); d.Action != core.BootVet || d.Host != coretest.MAC(1) || d.Run != id {
			t.Errorf("decision %+v", d)
		}

		if _, err := r.Arm(t.Context(), coretest.MAC(100), addr(1)); err != nil {
			t.Error(err)
		}

		other := coretest.Host(100)
		if _, err := r.RegisterHost(t.Context(), "op", other); codeOf(err) != "host/mac-taken" {
			t.Errorf("registering an alias as a host: %v", err)
		}

		other = coretest.Host(2)
		other.Aliases = []core.MAC{coretest.MAC(1)}

		if _, err := r.RegisterHost(t.Context(), "op", other); codeOf(err) != "host/mac-taken" {
			t.Errorf("taking a host's address as an alias: %v", err)
		}

		// The alias moves to another host.
		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Aliases = nil }); err != nil {
			t.Fatal(err)
		}

		other.Aliases = []core.MAC{coretest.MAC(100)}
		if _, err := r.RegisterHost(t.Context(), "op", other); err != nil {
			t.Fatal(err)
		}

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(100)}); d.Action != core.BootLocal || d.Host != coretest.MAC(2) {
			t.Errorf("after the move: %+v", d)
		}
	})
}

// decisions.md: minted when the script is fetched, 10 min, only the leased
// address, until claimed, 8 GETs, HEAD free.
func TestTheSeedIsGivenToOneAddressAFewTimes(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)

		nonce, err := r.Arm(t.Context(), coretest.MAC(1), addr(1))
		if err != nil {
			t.Fatal(err)
		}

		r.wantState(id, core.StateBooting)

		if _, err := r.Seed(t.Context(), nonce, addr(2), false); !errors.Is(err, core.ErrRefused) || !r.noticed("boot/wrong-address") {
			t.Errorf("from another address: %v", err)
		}

		if _, err := r.Seed(t.Context(), "0123", addr(1), false); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("an unknown nonce: %v", err)
		}

		for range 20 {
			if _, err := r.Seed(t.Context(), nonce, addr(1), true); err != nil {
				t.Fatalf("HEAD: %v", err)
			}
		}

		var first []byte

		for i := range 8 {
			got, err := r.Seed(t.Context(), nonce, netip.AddrFrom16(addr(1).As16()), false)
			if err != nil {
				t.Fatalf("GET %d: %v", i+1, err)
			}

			if i == 0 {
				first = got
			} else if string(got) != string(first) {
				t.Error("two GETs got two seeds")
			}
		}

		if _, err := r.Seed(t.Context(), nonce, addr(1), false); codeOf(err) != "boot/seed-spent" {
			t.Errorf("the ninth GET: %v", err)
		}

		next, err := r.Arm(t.Context(), coretest.MAC(1), addr(1))
		if err != nil || next == nonce {
			t.Fatalf("%q %v", next, err)
		}

		if _, err := r.Seed(t.Context(), nonce, addr(1), false); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the void nonce: %v", err)
		}

		r.clock.Advance(11 * time.Minute)

		if _, err := r.Seed(t.Context(), next, addr(1), false); codeOf(err) != "boot/token-expired" {
			t.Errorf("after eleven minutes: %v", err)
		}
	})
}

func TestTheSeedOfARunThatWaitsForAMachine(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.host(2)

		if _, err := r.SeedOf(t.Context(), coretest.MAC(1), addr(1), false); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("before a run: %v", err)
		}

		run := r.start(1)

		for _, other := range []int{2, 3} {
			if _, err := r.SeedOf(t.Context(), coretest.MAC(other), addr(1), false); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("of machine %d: %v", other, err)
			}
		}

		if _, err := r.SeedOf(t.Context(), coretest.MAC(1), addr(1), true); err != nil {
			t.Errorf("HEAD: %v", err)
		}

		m := r.machine(1)

		var a, b core.Seed

		for _, into := range []*core.Seed{&a, &b} {
			raw, err := r.SeedOf(t.Context(), coretest.MAC(1), addr(1), false)
			if err != nil {
				t.Fatal(err)
			}

			if err := json.Unmarshal(raw, into); err != nil {
				t.Fatal(err)
			}
		}

		if a != b || a.BootToken == "" || a.Run != run {
			t.Errorf("two GETs: %v %v", a, b)
		}

		// Too often is not too late: the token that is out stays good.
		for i := range 7 {
			_, err := r.SeedOf(t.Context(), coretest.MAC(1), addr(1), false)
			if often := errors.Is(err, core.ErrTooOften); errors.Is(err, core.ErrExpired) || often != (i == 6) {
				t.Errorf("GET %d: %v", i+3, err)
			}
		}

		if _, err := m.claim(a); err != nil {
			t.Fatal(err)
		}

		if _, err := r.SeedOf(t.Context(), coretest.MAC(1), addr(1), false); !errors.Is(err, core.ErrExpired) {
			t.Errorf("after the claim: %v", err)
		}
	})
}

// reliability.md decision 9: consumed in the transaction that checks it.
func TestOfTwoHundredClaimsOneWins(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)

		seed, err := r.machine(1).arm()
		if err != nil {
			t.Fatal(err)
		}

		var (
			wg           sync.WaitGroup
			won, refused atomic.Int32
		)

		for i := range 200 {
			wg.Go(func() {
				m := r.machine(1)
				m.bootID = fmt.Sprintf("boot-%d", i)

				switch _, err := m.claim(seed); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, core.ErrRefused) && codeOf(err) == "boot/token-reused":
					refused.Add(1)
				default:
					t.Errorf("claim: %v", err)
				}
			})
		}

		wg.Wait()

		if won.Load() != 1 || refused.Load() != 199 {
			t.Errorf("%d won, %d were refused", won.Load(), refused.Load())
		}

		if run := r.run(id); run.Epoch != 1 || !r.noticed("boot/token-reused") || r.hostOf(1).Quarantine != "" {
			t.Errorf("epoch %d, quarantine %q", run.Epoch, r.hostOf(1).Quarantine)
		}
	})
}

func TestATokenUsedTwiceByAnotherMachineQuarantines(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.start(1)

		m := r.machine(1)

		seed, err := m.arm()
		if err != nil {
			t.Fatal(err)
		}

		if _, err := m.claim(seed); err != nil {
			t.Fatal(err)
		}

		thief := r.machine(1)
		thief.identity = coretest.Identity(66)

		if _, err := thief.claim(seed); codeOf(err) != "boot/token-reused" {
			t.Errorf("the thief: %v", err)
		}

		if q := r.hostOf(1).Quarantine; q == "" {
			t.Error("no quarantine")
		}
	})
}

func TestAnotherMachineBehindAKnownAddress(t *testing.T) {
	good := coretest.Identity(1)

	for name, c := range map[string]struct {
		change func(*core.Identity)
		ok     bool
	}{
		"the same":                      {func(*core.Identity) {}, true},
		"the UUID in capitals":          {func(i *core.Identity) { i.SMBIOSUUID = "6BA7B810-9DAD-11D1-80B4-000000000001" }, true},
		"one more network port":         {func(i *core.Identity) { i.MACs = append(i.MACs, coretest.MAC(50)) }, true},
		"another UUID":                  {func(i *core.Identity) { i.SMBIOSUUID = coretest.Identity(2).SMBIOSUUID }, false},
		"another board":                 {func(i *core.Identity) { i.BoardSerial = "OTHER" }, false},
		"a UUID no longer told":         {func(i *core.Identity) { i.SMBIOSUUID = "" }, false},
		"none of the host's addresses":  {func(i *core.Identity) { i.MACs = []core.MAC{coretest.MAC(50)} }, false},
		"no addresses told, same board": {func(i *core.Identity) { i.MACs = nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				r.host(1)

				first := r.machine(1)
				id := r.start(1)
				first.boot()

				if !r.noticed("host/identity-recorded") || r.hostOf(1).Identity.BoardSerial != good.BoardSerial {
					t.Fatal("the identity was not recorded")
				}

				if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
					t.Fatal(err)
				}

				id = r.start(1)
				m := r.machine(1)
				c.change(&m.identity)

				seed, err := m.arm()
				if err != nil {
					t.Fatal(err)
				}

				_, err = m.claim(seed)
				if c.ok {
					if err != nil {
						t.Error(err)
					}

					return
				}

				if !errors.Is(err, core.ErrRefused) || codeOf(err) != "host/identity-mismatch" {
					t.Errorf("claim: %v", err)
				}

				r.wantState(id, core.StateBooting)

				if r.hostOf(1).Quarantine == "" || !r.noticed("host/identity-mismatch") {
					t.Error("no quarantine, or nobody was told")
				}

				// The token is spent, and while in quarantine not even the right machine gets in.
				again := r.machine(1)

				seed, err = again.arm()
				if err != nil {
					t.Fatal(err)
				}

				if _, err := again.claim(seed); codeOf(err) != "host/quarantined" {
					t.Errorf("the right machine: %v", err)
				}

				r.pass(16 * time.Minute)
				run := r.wantState(id, core.StateFailedHolding)

				if run.Verdict != core.Error || run.Findings[0].Code != "boot/deadline" {
					t.Errorf("after the deadline: %s %+v", run.Verdict, run.Findings)
				}
			})
		})
	}
}

func TestTheQuarantineIsLifted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		r.machine(1).boot()

		if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		id = r.start(1)
		swapped := r.machine(1)
		swapped.identity = coretest.Identity(2)
		swapped.identity.MACs = []core.MAC{coretest.MAC(1)}

		seed, _ := swapped.arm()
		if _, err := swapped.claim(seed); err == nil {
			t.Fatal("another board was let in")
		}

		if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick"}); codeOf(err) != "host/quarantined" {
			t.Errorf("starting in quarantine: %v", err)
		}

		if _, err := r.ClearQuarantine(t.Context(), "op", coretest.MAC(1)); err != nil {
			t.Fatal(err)
		}

		if _, err := r.ClearQuarantine(t.Context(), "op", coretest.MAC(1)); !errors.Is(err, core.ErrConflict) {
			t.Errorf("lifting it twice: %v", err)
		}

		r.start(1)
		swapped.boot()

		if got := r.hostOf(1).Identity.BoardSerial; got != swapped.identity.BoardSerial {
			t.Errorf("the new board is %s", got)
		}
	})
}

func TestTokensThatDoNotFit(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.host(2)
		id := r.start(1)
		r.start(2)

		seed, _ := r.machine(1).arm()
		other, _ := r.machine(2).arm()
		hello := core.Hello{MAC: coretest.MAC(1), BootID: "b"}

		for name, c := range map[string]struct {
			run   core.RunID
			token string
			kind  error
		}{
			"none":               {id, "", core.ErrUnauthorized},
			"invented":           {id, "invented", core.ErrUnauthorized},
			"of another run":     {id, other.BootToken, core.ErrRefused},
			"for no run":         {"0123456789ABCDEFGHJKMNPQRS", seed.BootToken, core.ErrNotFound},
			"of another machine": {other.Run, other.BootToken, core.ErrRefused},
		} {
			if _, err := r.Hello(t.Context(), c.run, c.token, hello); !errors.Is(err, c.kind) {
				t.Errorf("hello with a token %s: %v", name, err)
			}
		}

		m := r.machine(1)
		if _, err := m.hello(seed); err != nil {
			t.Fatal(err)
		}

		if _, err := m.claim(seed); err != nil {
			t.Fatal(err)
		}

		m2 := r.machine(2)
		if _, err := m2.claim(other); err != nil {
			t.Fatal(err)
		}

		for name, c := range map[string]struct {
			token string
			kind  error
		}{
			"none": {"", core.ErrUnauthorized}, "invented": {"x", core.ErrUnauthorized},
			"of another run": {m2.token, core.ErrRefused}, "the boot token": {seed.BootToken, core.ErrUnauthorized},
		} {
			if _, err := r.Heartbeat(t.Context(), id, c.token, core.Beat{}); !errors.Is(err, c.kind) {
				t.Errorf("beat with a token %s: %v", name, err)
			}

			if _, err := r.Sensor(t.Context(), id, c.token, 1, nil); !errors.Is(err, c.kind) {
				t.Errorf("samples with a token %s: %v", name, err)
			}

			if _, err := r.Result(t.Context(), id, c.token, m.passing(core.InventoryCheck)); !errors.Is(err, c.kind) {
				t.Errorf("result with a token %s: %v", name, err)
			}
		}

		if _, err := m.beat(core.InventoryCheck); err != nil {
			t.Fatal(err)
		}

		if _, err := m.hello(seed); codeOf(err) != "boot/token-reused" {
			t.Errorf("hello with the spent token: %v", err)
		}
	})
}

func TestABootTokenDiesAfterTenMinutes(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.start(1)
		m := r.machine(1)
		seed, _ := m.arm()

		r.clock.Advance(10*time.Minute + time.Second)

		if _, err := m.claim(seed); codeOf(err) != "boot/token-expired" || !errors.Is(err, core.ErrExpired) {
			t.Errorf("claim: %v", err)
		}
	})
}

// Two agents on one run: the older epoch is fenced. An agent that lost its
// session, on the same boot, goes on in the stage it was in.
func TestAReclaimFencesTheEpochBefore(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)
		m.boot()

		if _, err := m.send(m.passing(core.InventoryCheck)); err != nil {
			t.Fatal(err)
		}

		old := *m
		reply := m.boot()

		if reply.Epoch != 2 || reply.State != core.State(core.Firmware) || reply.Stages[0] != core.Firmware {
			t.Errorf("the second claim: %+v", reply)
		}

		for name, err := range map[string]error{
			"beat":   func() error { _, err := old.beat(core.Firmware); return err }(),
			"result": func() error { _, err := old.send(old.passing(core.Firmware)); return err }(),
			"sensor": func() error { _, err := r.Sensor(t.Context(), id, old.token, 1, nil); return err }(),
			"log":    func() error { _, err := r.Authorise(t.Context(), id, old.token); return err }(),
		} {
			if !errors.Is(err, core.ErrExpired) || codeOf(err) != "run/old-epoch" {
				t.Errorf("%s of the older epoch: %v", name, err)
			}
		}

		if epoch, err := r.Authorise(context.Background(), id, m.token); err != nil || epoch != 2 {
			t.Errorf("the newer: %d %v", epoch, err)
		}

		if got := m.finish(reply.State); got != core.StateCompleted {
			t.Errorf("ended in %s", got)
		}
	})
}

func TestAMachineThatResetItselfFails(t *testing.T) {
	for _, at := range []string{"hello", "claim"} {
		t.Run(at, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				r.host(1)
				id := r.start(1)
				m := r.machine(1)
				m.boot()

				if _, err := m.send(m.passing(core.InventoryCheck)); err != nil {
					t.Fatal(err)
				}

				if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Action != core.BootVet {
					t.Fatalf("a machine that comes back gets %s", d.Action)
				}

				m.bootID = "boot-2"
				seed, err := m.arm()
				if err != nil {
					t.Fatal(err)
				}

				if at == "hello" {
					if reply, err := m.hello(seed); err != nil || reply.State != core.StateFailedHolding {
						t.Errorf("hello: %+v %v", reply, err)
					}
				}

				reply, err := m.claim(seed)
				if err != nil || reply.State != core.StateFailedHolding || len(reply.Stages) != 0 {
					t.Errorf("claim: %+v %v", reply, err)
				}

				run := r.wantState(id, core.StateFailedHolding)
				row := run.Stages[run.StageAt(core.Firmware)]

				if run.Verdict != core.Fail || row.Verdict != core.Fail || row.Findings[0].Code != "host/spontaneous-reset" {
					t.Errorf("%s: %s", run.Verdict, summary(run.Stages))
				}

				// In the hold the operator may power-cycle the machine as often as he likes.
				m.bootID = "boot-3"
				m.boot()
				r.wantState(id, core.StateFailedHolding)

				if _, err := r.RetryStage(t.Context(), "op", id); err != nil {
					t.Fatal(err)
				}

				// He retries, and the machine restarts before the agent has heard of it.
				r.clock.Advance(time.Second)
				m.bootID = "boot-4"

				if reply := m.boot(); reply.State != core.State(core.Firmware) || reply.Stages[0] != core.Firmware {
					t.Fatalf("after the retry: %+v", reply)
				}

				if got := m.finish(core.State(core.Firmware)); got != core.StateCompleted {
					t.Errorf("ended in %s: %s", got, summary(r.run(id).Stages))
				}
			})
		})
	}
}

// The other ports of a machine under test get an address for its agent, and nobody
// gets anything to boot by them.
func TestFurtherPortsOfAMachineUnderTest(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.host(2)
		r.start(1)

		port, other := coretest.MAC(101), coretest.MAC(2)
		ask := func(mac core.MAC, kind core.ClientKind) core.BootAction {
			synctest.Wait()

			return r.Decide(core.BootClient{MAC: mac, Kind: kind}).Action
		}

		if got := ask(port, core.ClientAgent); got != core.BootIgnore {
			t.Errorf("before anybody told of it: %s", got)
		}

		m := r.machine(1)
		m.identity.MACs = []core.MAC{coretest.MAC(1), port, other}
		m.boot()

		for kind, want := range map[core.ClientKind]core.BootAction{
			core.ClientAgent: core.BootLocal, core.ClientBIOS: core.BootIgnore, core.ClientIPXE: core.BootIgnore, core.ClientOther: core.BootIgnore,
		} {
			if got := ask(port, kind); got != want {
				t.Errorf("the port, asked by %s: %s, want %s", kind, got, want)
			}
		}

		if d := r.Decide(core.BootClient{MAC: other, Kind: core.ClientAgent}); d.Host != other {
			t.Errorf("the port of another host is taken for one of ours: %+v", d)
		}

		if _, err := r.Arm(t.Context(), port, addr(9)); err == nil {
			t.Error("a run was armed by a port that nobody registered")
		}

		if _, err := r.CancelRun(t.Context(), "op", r.hostOf(1).CurrentRun); err != nil {
			t.Fatal(err)
		}

		if got := ask(port, core.ClientAgent); got != core.BootIgnore {
			t.Errorf("after the run: %s", got)
		}
	})
}
