package simhost_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/simhost"
	"vetting/core"
	"vetting/core/coretest"
)

// Disks of the first host.
const (
	hdd = "HDD0001"
	ssd = "SSD0001"
)

// writeOn starts a run that may overwrite the armed disks of the first host.
func (s *site) writeOn(armed ...string) core.RunID {
	s.t.Helper()

	if _, err := s.engine.RegisterHost(s.t.Context(), "op", coretest.Host(1)); err != nil {
		s.t.Fatal(err)
	}

	run, err := s.engine.StartRun(s.t.Context(), coretest.MAC(1), core.StartRun{Profile: "writing", Armed: armed, Who: "op"})
	if err != nil {
		s.t.Fatal(err)
	}

	synctest.Wait()

	return run.ID
}

// writer boots the first host with a pretend Storage stage.
func (s *site) writer(w *simhost.Writer, bootID string) *simhost.Host {
	s.t.Helper()

	h := s.boot(1, bootID)
	h.Script = simhost.With(h.Script, core.Storage, simhost.Play{Do: w.Perform})

	return h
}

// serialsOf lists the disks that were written to.
func serialsOf(blocks []simhost.Block) (serials []string) {
	for _, b := range blocks {
		serials = append(serials, b.Serial)
	}

	slices.Sort(serials)

	return slices.Compact(serials)
}

func TestOnlyArmedDisksAreWritten(t *testing.T) {
	for name, c := range map[string]struct{ armed, want []string }{
		"none":         {},
		"one of two":   {[]string{ssd}, []string{ssd}},
		"both of them": {[]string{hdd, ssd}, []string{hdd, ssd}},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				id := s.writeOn(c.armed...)
				w := &simhost.Writer{Blocks: 90}

				if len(c.armed) == 0 {
					w.Blocks = 0 // nothing armed, no lease
				}

				if err := s.end(s.run(s.writer(w, "boot-1"))); err != nil {
					t.Fatal(err)
				}

				s.wantState(id, core.StateCompleted)

				if diff := cmp.Diff(c.want, serialsOf(w.Written())); diff != "" {
					t.Errorf("disks written (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// foreign lets a run fail on somebody's data and an operator override it.
func foreign(t *testing.T, s *site, w *simhost.Writer) (core.RunID, *simhost.Host, process) {
	t.Helper()

	id := s.writeOn(hdd, ssd)
	h := s.writer(w, "boot-1")
	p := s.run(h)

	time.Sleep(time.Minute)
	s.wantState(id, core.StateFailedHolding)

	if len(w.Written()) > 0 {
		t.Fatalf("%d blocks were written over somebody's data", len(w.Written()))
	}

	if _, err := s.engine.OverrideWipe(t.Context(), "op", id, []string{ssd}, "the data is not needed"); err != nil {
		t.Fatal(err)
	}

	return id, h, p
}

func TestAnOverrideReachesTheStageOnceAndEndsWithIt(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		w := &simhost.Writer{Foreign: []string{hdd, ssd}, Blocks: 5}
		id, _, p := foreign(t, s, w) // the data on the other disk is not overridden

		time.Sleep(time.Minute)
		s.wantState(id, core.StateFailedHolding)

		if _, err := s.engine.RetryStage(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		time.Sleep(time.Minute)
		p.kill()
		s.wantState(id, core.StateFailedHolding)

		want := []string{"[]", fmt.Sprint([]string{core.WipeFlag(ssd)}), "[]"}
		if diff := cmp.Diff(want, w.Tries()); diff != "" {
			t.Errorf("overrides of each try (-want +got):\n%s", diff)
		}
	})
}

func TestAnOverrideLetsTheStagePass(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		w := &simhost.Writer{Foreign: []string{ssd}, Blocks: 30}
		id, h, p := foreign(t, s, w)

		if err := s.end(p); err != nil || !h.PoweredOff() {
			t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
		}

		s.wantState(id, core.StateCompleted)

		if diff := cmp.Diff([]string{hdd, ssd}, serialsOf(w.Written())); diff != "" {
			t.Error(diff)
		}
	})
}

// A host out of reach knows nothing of the hold; when it is back its stage has been
// overridden already, and it is still in the old attempt, or has its result to tell.
func TestAnOldAttemptMakesRoomForTheOneThatWasOrdered(t *testing.T) {
	for name, blocks := range map[string]int{"under way": 600, "at its end": 50} {
		t.Run(name, func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				w := &simhost.Writer{Blocks: blocks}
				id := s.writeOn(hdd, ssd)
				h := s.writer(w, "boot-1")
				p := s.run(h)

				time.Sleep(30 * time.Second)
				s.wantState(id, core.State(core.Storage))
				s.Kill(t)
				time.Sleep(6 * time.Minute)
				s.wantState(id, core.StateFailedHolding)

				if _, err := s.engine.OverrideWipe(t.Context(), "op", id, []string{ssd}, "the data is not needed"); err != nil {
					t.Fatal(err)
				}

				s.Start(t)

				if err := s.end(p); err != nil || !h.PoweredOff() {
					t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
				}

				run := s.wantState(id, core.StateCompleted)
				if row := run.Stages[run.StageAt(core.Storage)]; row.Attempt != 2 {
					t.Errorf("%d attempts", row.Attempt)
				}

				want := []string{"[]", fmt.Sprint([]string{core.WipeFlag(ssd)})}
				if diff := cmp.Diff(want, w.Tries()); diff != "" {
					t.Errorf("overrides of each try (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The appliance tells an override only until the agent beats in the stage: the
// agent's next process must know it all the same.
func TestAnOverrideOutlivesTheAgentsProcess(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		w := &simhost.Writer{Foreign: []string{ssd}, Blocks: 300}
		id, h, p := foreign(t, s, w)

		time.Sleep(2 * time.Minute)
		p.kill()

		wiped := record[core.Run](s, core.TableRun, string(id)).Wipe
		if wiped == nil || wiped.UsedAt.IsZero() {
			t.Fatalf("the override is not used yet: %+v; the test proves nothing", wiped)
		}

		if err := s.end(s.run(h)); err != nil {
			t.Fatal(err)
		}

		s.wantState(id, core.StateCompleted)

		want := fmt.Sprint([]string{core.WipeFlag(ssd)})
		if tries := w.Tries(); len(tries) != 3 || tries[1] != want || tries[2] != want {
			t.Errorf("overrides of each try: %q", tries)
		}
	})
}

func TestAnOverrideReachesTheNextBoot(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		w := &simhost.Writer{Foreign: []string{ssd}, Blocks: 30}
		id := s.writeOn(hdd, ssd)
		p := s.run(s.writer(w, "boot-1"))

		time.Sleep(time.Minute)
		p.kill() // held, and then somebody resets it
		s.wantState(id, core.StateFailedHolding)

		if _, err := s.engine.OverrideWipe(t.Context(), "op", id, []string{ssd}, "the data is not needed"); err != nil {
			t.Fatal(err)
		}

		if err := s.end(s.run(s.writer(w, "boot-2"))); err != nil {
			t.Fatal(err)
		}

		s.wantState(id, core.StateCompleted)
	})
}

func TestASecondOverrideIsASecondUse(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		w := &simhost.Writer{Foreign: []string{hdd, ssd}, Blocks: 5}
		id, _, p := foreign(t, s, w)

		time.Sleep(time.Minute)
		s.wantState(id, core.StateFailedHolding)

		if _, err := s.engine.OverrideWipe(t.Context(), "op", id, []string{hdd, ssd}, "the data is not needed"); err != nil {
			t.Fatal(err)
		}

		if err := s.end(p); err != nil {
			t.Fatal(err)
		}

		s.wantState(id, core.StateCompleted)

		if tries := w.Tries(); len(tries) != 3 || tries[2] != fmt.Sprint([]string{core.WipeFlag(hdd), core.WipeFlag(ssd)}) {
			t.Errorf("overrides of each try: %q", tries)
		}
	})
}

func TestNothingIsWrittenOnceTheLeaseIsPast(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.writeOn(hdd)
		w := &simhost.Writer{Blocks: 300}
		p := s.run(s.writer(w, "boot-1"))

		time.Sleep(time.Minute)

		cut := time.Now()

		s.down()
		time.Sleep(4 * time.Minute)

		quiet := len(w.Written())

		s.up()

		if err := s.end(p); err != nil {
			t.Fatal(err)
		}

		s.wantState(id, core.StateCompleted)

		blocks := w.Written()
		if len(blocks) != 300 || quiet == 0 || quiet == 300 {
			t.Fatalf("%d blocks, %d before the appliance was back", len(blocks), quiet)
		}

		if last := blocks[quiet-1].At; last.Sub(cut) > time.Minute {
			t.Errorf("written %v after the last heartbeat was answered, want a minute at most", last.Sub(cut))
		}

		for _, b := range blocks {
			if !b.At.Before(b.Lease) {
				t.Errorf("written at %v under a lease until %v", b.At, b.Lease)
			}
		}
	})
}

func TestAHeldHostOffersItsDoor(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		id := s.start(1)
		h := s.boot(1, "boot-1")
		h.Script = simhost.With(h.Script, core.SMART, simhost.Play{Result: core.Result{Verdict: core.Fail, Findings: []core.Finding{{
			Code: "smart/failing", Severity: core.Critical, Title: "The disk predicts its own failure",
		}}}})
		p := s.run(h)

		time.Sleep(time.Minute)
		run := s.wantState(id, core.StateFailedHolding)

		keys, open := h.Door().Admitted()
		if run.Hold == nil || run.Hold.HostKey != h.Door().HostKey() || len(keys) == 0 || !open {
			t.Fatalf("hold %+v, keys %v, open %v", run.Hold, keys, open)
		}

		if _, err := s.engine.ReleaseRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if err := s.end(p); err != nil {
			t.Fatal(err)
		}

		if _, open := h.Door().Admitted(); open {
			t.Error("the door is still open")
		}
	})
}
