package simhost_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent"
	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/simhost"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/coretest"
)

func TestAHealthyHostIsVettedAndPoweredOff(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		h := s.boot(1, "boot-1")

		if err := s.end(s.run(h)); err != nil {
			t.Fatal(err)
		}

		if !h.PoweredOff() {
			t.Error("the machine is still on")
		}

		run := s.wantState(id, core.StateCompleted)
		if run.Verdict != core.Pass {
			t.Errorf("verdict %s", run.Verdict)
		}

		if diff := cmp.Diff(coretest.Inventory(1).Disks, record[core.Inventory](s, core.TableInventory, string(id)).Disks); diff != "" {
			t.Errorf("the inventory changed on its way (-sent +kept):\n%s", diff)
		}

		if n := len(s.samples(id)); n < 120 || n > 122 {
			t.Errorf("%d samples, want one a second for two minutes", n)
		}

		if !slices.ContainsFunc(s.Book.Lines(), func(l core.LogLine) bool { return l.Text == "short self-test of sda" && l.Stage == core.SMART }) {
			t.Errorf("the log lacks the stage's line: %+v", s.Book.Lines())
		}
	})
}

// The appliance wrote the claim down, and the answer got lost: on the wire, or with
// an appliance that was killed before it could give it.
func TestALostAnswerToAClaimDoesNotEndTheRun(t *testing.T) {
	for name, killed := range map[string]bool{"on the wire": false, "with the appliance": true} {
		t.Run(name, func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				var lost atomic.Int32
				s.Lose = func(q *http.Request) bool {
					begins := strings.HasSuffix(q.URL.Path, "/hello") || strings.HasSuffix(q.URL.Path, "/claim")

					return begins && lost.Add(1)%3 != 0 // of three answers two
				}

				id := s.start(1)
				h := s.boot(1, "boot-1")
				p := s.run(h)

				if killed {
					for record[core.Run](s, core.TableRun, string(id)).Epoch == 0 {
						time.Sleep(time.Millisecond)
					}

					s.down()
					time.Sleep(2 * time.Minute)
					s.up()
				}

				if err := s.end(p); err != nil || !h.PoweredOff() {
					t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
				}

				if run := s.wantState(id, core.StateCompleted); run.Epoch != 1 || s.noticed(wire.CodeTokenReused) != 0 {
					t.Errorf("%d epochs, %d alarms", run.Epoch, s.noticed(wire.CodeTokenReused))
				}

				if lost.Load() < 6 {
					t.Errorf("only %d answers: the test proves nothing", lost.Load())
				}
			})
		})
	}
}

// The run takes about two minutes, so that the kills fall into every part of it.
func TestAnApplianceKilledAtAnyMomentFinishesTheRun(t *testing.T) {
	for after := time.Second; after < 140*time.Second; after += 9300 * time.Millisecond {
		t.Run(after.String(), func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				id := s.start(1)
				h := s.boot(1, "boot-1")
				p := s.run(h)

				time.Sleep(after)
				s.down()
				time.Sleep(2 * time.Minute)
				s.up()

				if err := s.end(p); err != nil || !h.PoweredOff() {
					t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
				}

				s.wantState(id, core.StateCompleted)
				wantEverySecond(t, s.samples(id))
			})
		})
	}
}

// wantEverySecond demands a sample for each second of the stage, each once.
// Somebody sets the appliance's clock in the middle of a run, before its claim and
// after: the run goes on, and nothing that was measured is lost.
func TestAClockThatIsSetDisturbsNoRun(t *testing.T) {
	const day, years = 24 * time.Hour, 10 * 365 * 24 * time.Hour

	for _, by := range []time.Duration{day, -day, years, -years} {
		t.Run(by.String(), func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				id := s.start(1)
				h := s.boot(1, "boot-1")

				s.clock.off.Add(int64(by))
				time.Sleep(2 * time.Second) // it is noticed at the next tick

				p := s.run(h)

				time.Sleep(40 * time.Second)
				s.clock.off.Add(int64(by))
				time.Sleep(40 * time.Second)
				s.clock.off.Add(-2 * int64(by))

				if err := s.end(p); err != nil || !h.PoweredOff() {
					t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
				}

				run := s.wantState(id, core.StateCompleted)
				if run.Verdict != core.Pass || s.noticed("appliance/clock-jumped") != 3 {
					t.Errorf("verdict %s, told %d times", run.Verdict, s.noticed("appliance/clock-jumped"))
				}

				wantEverySecond(t, s.samples(id))
			})
		})
	}
}

// The appliance's disk is full for a while: it answers 507, the agent keeps what
// it has, and nothing is lost, least of all the run.
func TestADiskThatIsFullForAWhileLosesNothing(t *testing.T) {
	for _, long := range []time.Duration{30 * time.Second, 30 * time.Minute} {
		t.Run(long.String(), func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				id := s.start(1)
				h := s.boot(1, "boot-1")
				p := s.run(h)

				time.Sleep(40 * time.Second)
				s.ledger.full.Store(true)
				s.Book.SetFull(true)
				time.Sleep(long)
				s.ledger.full.Store(false)
				s.Book.SetFull(false)

				if err := s.end(p); err != nil || !h.PoweredOff() {
					t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
				}

				run := s.wantState(id, core.StateCompleted)
				if run.Verdict != core.Pass || s.ledger.refused.Load() == 0 {
					t.Errorf("verdict %s, %d writes were refused", run.Verdict, s.ledger.refused.Load())
				}

				wantEverySecond(t, s.samples(id))
			})
		})
	}
}

func wantEverySecond(t *testing.T, samples []core.Sample) {
	t.Helper()

	if len(samples) < 120 || len(samples) > 122 {
		t.Errorf("%d samples, want one a second for two minutes", len(samples))
	}

	for i := 1; i < len(samples)-1; i++ {
		if gap := samples[i].Time.Sub(samples[i-1].Time); gap != time.Second {
			t.Errorf("sample %d comes %v after the one before", i, gap)
		}
	}
}

func TestAnAgentKilledAtAnyMomentFinishesTheRun(t *testing.T) {
	for after := 500 * time.Millisecond; after < 140*time.Second; after += 13300 * time.Millisecond {
		t.Run(after.String(), func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				id := s.start(1)
				h := s.boot(1, "boot-1")
				p := s.run(h)

				time.Sleep(after)
				p.kill()
				time.Sleep(3 * time.Second)

				if err := s.end(s.run(h)); err != nil || !h.PoweredOff() {
					t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
				}

				if run := s.wantState(id, core.StateCompleted); run.Epoch != 1 || run.Verdict != core.Pass {
					t.Errorf("epoch %d, verdict %s", run.Epoch, run.Verdict)
				}
			})
		})
	}
}

// claimed is a host whose script is spoken line by line.
func claimed(t *testing.T, s *site, n int, bootID string) (*agent.Client, wire.ClaimReply) {
	t.Helper()

	h := s.boot(n, bootID)

	client, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(client.Close)

	hello := wire.Hello{
		ProtocolVersion: 1, AgentVersion: "test", MAC: string(coretest.MAC(n)), BootID: bootID, Firmware: wire.ModeUEFI,
	}
	if _, err := client.Hello(t.Context(), h.Seed.BootToken, hello); err != nil {
		t.Fatal(err)
	}

	reply, err := client.Claim(t.Context(), h.Seed.BootToken, claimOf(n, bootID))
	if err != nil {
		t.Fatal(err)
	}

	return client, reply
}

func claimOf(n int, bootID string) wire.Claim {
	id := coretest.Identity(n)

	return wire.Claim{BootID: bootID, Identity: wire.Identity{
		SMBIOSUUID: id.SMBIOSUUID, BoardSerial: id.BoardSerial, MACs: []string{string(coretest.MAC(n))},
	}}
}

func batch(seq uint64, at time.Time) wire.SensorBatch {
	b := wire.SensorBatch{Seq: seq}

	for i := range 5 {
		value := float64(seq)*10 + float64(i)
		b.Samples = append(b.Samples, wire.Sample{
			Time: wire.At(at.Add(time.Duration(seq*5+uint64(i)) * time.Second)), Key: "memory/all/used_bytes", Value: &value, Unit: "bytes",
		})
	}

	return b
}

func TestShuffledAndDoubledBatchesCountOnce(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		client, reply := claimed(t, s, 1, "boot-1")
		begin := time.Now()

		const n = 40

		order := append(rand.Perm(n), rand.Perm(n)...)
		for _, i := range order {
			if _, err := client.Sensor(t.Context(), reply.SessionToken, batch(uint64(i+1), begin)); err != nil {
				t.Fatal(err)
			}

			time.Sleep(100 * time.Millisecond)
		}

		samples := s.samples(id)
		if len(samples) != 5*n {
			t.Fatalf("%d samples kept of %d sent twice", len(samples), 5*n)
		}

		for i := 1; i < len(samples); i++ {
			if samples[i].Time.Sub(samples[i-1].Time) != time.Second {
				t.Fatalf("sample %d is out of order", i)
			}
		}
	})
}

func TestTheSameResultTwiceGetsTheSameAnswer(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		client, reply := claimed(t, s, 1, "boot-1")
		result := wire.Result{
			Seq: 1, Stage: "InventoryCheck", Verdict: wire.VerdictPass,
			Inventory: &wire.Inventory{Disks: []wire.Disk{{Name: "sda", Serial: "S1"}}},
		}

		for range 3 {
			got, err := client.Result(t.Context(), reply.SessionToken, result)
			if err != nil || got.NextState != "Firmware" {
				t.Errorf("answer %+v, %v", got, err)
			}
		}

		result.Seq = 2
		_, err := client.Result(t.Context(), reply.SessionToken, result)

		refusal, ok := errors.AsType[*agent.Refusal](err)
		if !ok || refusal.Status != 409 || refusal.State != "Firmware" {
			t.Errorf("the result of a stage that is over: %v", err)
		}

		s.wantState(id, core.State(core.Firmware))
	})
}

// speak makes each call of the contract once, and returns what came of it.
func speak(ctx context.Context, client *agent.Client, boot, session string) map[string]error {
	errs := map[string]error{}
	_, errs["hello"] = client.Hello(ctx, boot, wire.Hello{
		ProtocolVersion: 1, AgentVersion: "t", MAC: string(coretest.MAC(1)), BootID: "b", Firmware: wire.ModeBIOS,
	})
	_, errs["claim"] = client.Claim(ctx, boot, claimOf(1, "b"))
	_, errs["heartbeat"] = client.Heartbeat(ctx, session, wire.Heartbeat{})
	_, errs["log"] = client.Log(ctx, session, wire.LogBatch{Seq: 1})
	_, errs["sensor"] = client.Sensor(ctx, session, wire.SensorBatch{Seq: 1})
	_, errs["result"] = client.Result(ctx, session, wire.Result{Seq: 1, Stage: "InventoryCheck", Verdict: "pass"})

	return errs
}

func wantStatus(t *testing.T, errs map[string]error, want int, calls ...string) {
	t.Helper()

	for _, call := range calls {
		refusal, ok := errors.AsType[*agent.Refusal](errs[call])
		if !ok || refusal.Status != want {
			t.Errorf("%s: %v, want %d", call, errs[call], want)
		}
	}
}

func TestATokenOpensItsOwnRunOnly(t *testing.T) {
	session := []string{"heartbeat", "log", "sensor", "result"}

	onSite(t, func(t *testing.T, s *site) {
		first := s.start(1)
		s.start(2)
		client, _ := claimed(t, s, 1, "boot-1")
		_, other := claimed(t, s, 2, "boot-2")
		waiting := s.boot(1, "boot-3")

		errs := speak(t.Context(), client, "guess", "guess")
		wantStatus(t, errs, 401, append([]string{"hello", "claim"}, session...)...)

		errs = speak(t.Context(), client, other.SessionToken, other.SessionToken)
		wantStatus(t, errs, 403, append([]string{"hello", "claim"}, session...)...)

		errs = speak(t.Context(), client, "guess", waiting.Seed.BootToken)
		wantStatus(t, errs, 401, session...)

		if run := s.wantState(first, core.State(core.InventoryCheck)); run.Epoch != 1 {
			t.Errorf("epoch %d", run.Epoch)
		}
	})
}

func TestASecondUseOfABootTokenIsRefusedAndAnAlarm(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		s.start(1)
		h := s.boot(1, "boot-1")

		client, err := h.Client()
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()

		if _, err := client.Claim(t.Context(), h.Seed.BootToken, claimOf(1, "boot-1")); err != nil {
			t.Fatal(err)
		}

		_, err = client.Claim(t.Context(), h.Seed.BootToken, claimOf(1, "boot-2"))
		wantStatus(t, map[string]error{"claim": err}, 403, "claim")

		if s.noticed(wire.CodeTokenReused) != 1 {
			t.Error("there is no alarm")
		}

		if host := record[core.Host](s, core.TableHost, string(coretest.MAC(1))); host.Quarantine != "" {
			t.Errorf("the same machine is in quarantine: %s", host.Quarantine)
		}
	})
}

func TestAnotherMachineBehindTheAddressGetsNothing(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)

		if err := s.end(s.run(s.boot(1, "boot-1"))); err != nil { // records the identity
			t.Fatal(err)
		}

		run, err := s.engine.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op"})
		if err != nil {
			t.Fatal(err)
		}

		time.Sleep(2 * time.Second)

		h := s.boot(1, "boot-2")
		h.Identity.SMBIOSUUID = "00000000-0000-0000-0000-00000000beef"
		p := s.run(h)

		time.Sleep(10 * time.Minute)
		p.kill()

		s.wantState(id, core.StateCompleted)

		if got := s.wantState(run.ID, core.StateBooting); got.Epoch != 0 {
			t.Errorf("epoch %d: the run was given away", got.Epoch)
		}

		if host := record[core.Host](s, core.TableHost, string(coretest.MAC(1))); !strings.Contains(host.Quarantine, "beef") {
			t.Errorf("quarantine %q", host.Quarantine)
		}

		if s.noticed(wire.CodeTokenReused) != 0 {
			t.Error("the agent used its spent token again")
		}
	})
}

func TestANewBootFencesTheOlderOne(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		older := s.run(s.boot(1, "boot-1"))

		time.Sleep(30 * time.Second)

		client, reply := claimed(t, s, 1, "boot-2")
		if reply.Epoch != 2 || len(reply.Stages) != 0 || reply.State != wire.StateFailedHolding {
			t.Errorf("claim after a spontaneous reset: %+v", reply)
		}

		if err := s.end(older); !errors.Is(err, agent.ErrFenced) {
			t.Errorf("the older boot ended with %v", err)
		}

		s.wantState(id, core.StateFailedHolding)

		if _, err := client.Heartbeat(t.Context(), reply.SessionToken, wire.Heartbeat{}); err != nil {
			t.Errorf("the newer boot: %v", err)
		}
	})
}

func TestAResetIsHeldAndTheStageCanBeRetried(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		p := s.run(s.boot(1, "boot-1"))

		time.Sleep(time.Minute)
		p.kill()

		h := s.boot(1, "boot-2")
		again := s.run(h)

		time.Sleep(time.Minute)
		s.wantState(id, core.StateFailedHolding)

		if _, err := s.engine.RetryStage(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if err := s.end(again); err != nil || !h.PoweredOff() {
			t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
		}

		s.wantState(id, core.StateCompleted)
	})
}

func TestACriticalThresholdStopsTheStageAndReleaseEndsTheHold(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		h := s.boot(1, "boot-1")
		h.Script = simhost.With(h.Script, core.SMART, simhost.Play{
			Samples: []core.Sample{{Key: "disk/sda/temperature_celsius", Value: 101, Unit: "celsius"}},
			Every:   time.Second, Takes: time.Hour, Result: core.Result{Verdict: core.Pass},
		})
		p := s.run(h)

		time.Sleep(5 * time.Minute)
		run := s.wantState(id, core.StateFailedHolding)

		if beat := time.Since(run.LastBeat); beat > 16*time.Second {
			t.Errorf("the last heartbeat of the hold is %v ago", beat)
		}

		if n := len(s.samples(id)); n > 60 {
			t.Errorf("%d samples: the stage went on", n)
		}

		if _, err := s.engine.ReleaseRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if err := s.end(p); err != nil || h.PoweredOff() {
			t.Errorf("Run() = %v, powered off %v; want the machine left on", err, h.PoweredOff())
		}
	})
}

func TestAStageThatPanicsIsAnErrorThatIsHeld(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		h := s.boot(1, "boot-1")
		h.Script = simhost.With(h.Script, core.Firmware, simhost.Play{Panic: "index out of range"})
		p := s.run(h)

		time.Sleep(time.Minute)

		run := s.wantState(id, core.StateFailedHolding)
		row := run.Stages[run.StageAt(core.Firmware)]

		if run.Verdict != core.Error || row.Verdict != core.Error || len(row.Findings) == 0 || row.Findings[0].Code != "agent/stage-panic" {
			t.Errorf("verdict %s, row %+v", run.Verdict, row)
		}

		p.kill()
	})
}

func TestACancelledRunLeavesTheMachineAlone(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		h := s.boot(1, "boot-1")
		p := s.run(h)

		time.Sleep(time.Minute)

		if _, err := s.engine.CancelRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if err := s.end(p); err != nil || h.PoweredOff() {
			t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
		}
	})
}

func TestAnAppliancesImpostorLearnsNothing(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		h := s.boot(1, "boot-1")
		h.Seed.SPKISHA256 = gate.SPKI(gatetest.NewCert(t).Leaf)
		p := s.run(h)

		time.Sleep(5 * time.Minute)
		p.kill()

		if run := s.wantState(id, core.StateBooting); run.Agent.Version != "" {
			t.Errorf("a hello arrived: %+v", run.Agent)
		}

		if s.Wire.Dials() == 0 {
			t.Error("the agent never tried")
		}
	})
}

func TestManyHostsAtOnce(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		const n = 12

		ids := make([]core.RunID, n)
		for i := range n {
			ids[i] = s.start(i + 1)
		}

		hosts := make(chan string, n)

		for i := range n {
			go func() {
				for { // the dispatcher lets three at a time boot
					if run := record[core.Run](s, core.TableRun, string(ids[i])); run.State != core.StateQueued {
						break
					}

					time.Sleep(time.Second)
				}

				h := s.boot(i+1, fmt.Sprintf("boot-%d", i))
				err := h.Run(t.Context())
				hosts <- fmt.Sprint(err, h.PoweredOff())
			}()
		}

		for range n {
			if got := <-hosts; got != "<nil> true" && got != "<nil>true" {
				t.Errorf("a host ended with %s", got)
			}
		}

		for _, id := range ids {
			s.wantState(id, core.StateCompleted)
		}
	})
}
