package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
)

func TestAnIgnoredMachineStaysIgnored(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		heard := func(n int, after time.Duration) {
			s := step(n, "discover")
			s.Time = s.Time.Add(after)
			r.Witness(s)
			synctest.Wait()
			r.pass(time.Second)
		}

		heard(9, 0)

		if s, err := r.IgnoreMachine(t.Context(), "op", coretest.MAC(9)); err != nil || s.IgnoredBy != "op" || s.IgnoredAt.IsZero() {
			t.Fatalf("%+v %v", s, err)
		}

		since := get[core.Sighting](r, core.TableSighting, string(coretest.MAC(9))).IgnoredAt

		// It is heard again, the appliance restarts, and a flood of others goes by.
		heard(9, time.Second)
		r.restart()

		for n := range 1200 {
			s := step(100+n, "discover")
			s.Time = s.Time.Add(time.Duration(n) * time.Minute)
			r.Witness(s)

			if n%100 == 99 {
				synctest.Wait()
				r.pass(time.Second)
			}
		}

		s := get[core.Sighting](r, core.TableSighting, string(coretest.MAC(9)))
		if !s.IgnoredAt.Equal(since) || s.IgnoredBy != "op" || s.Count != 2 {
			t.Errorf("after all that: %+v", s)
		}

		ledger, _ := r.ledger.(*coretest.Ledger)
		if n := len(ledger.Dump(core.TableSighting)); n != 512 {
			t.Errorf("%d sightings", n)
		}

		if s, err := r.HeedMachine(t.Context(), "op", coretest.MAC(9)); err != nil || !s.IgnoredAt.IsZero() || s.IgnoredBy != "" {
			t.Errorf("back in the inbox: %+v %v", s, err)
		}

		did := map[string]int{}
		for _, a := range r.audits() {
			did[a.Action+" "+a.Object]++
		}

		if object := "machine/" + string(coretest.MAC(9)); did["inbox.ignore "+object] != 1 || did["inbox.heed "+object] != 1 {
			t.Errorf("audit trail %v", did)
		}
	})
}

func TestIgnoringIsRefusedWithAReason(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		if _, err := r.IgnoreMachine(t.Context(), "op", coretest.MAC(9)); codeOf(err) != "host/not-seen" {
			t.Errorf("never heard: %v", err)
		}

		r.host(1)

		if _, err := r.IgnoreMachine(t.Context(), "op", coretest.MAC(1)); codeOf(err) != "host/not-seen" {
			t.Errorf("a host: %v", err)
		}

		for n := range core.MostIgnored + 1 {
			r.Witness(step(100+n, "discover"))
		}

		synctest.Wait()
		r.pass(time.Second)

		for n := range core.MostIgnored {
			if _, err := r.IgnoreMachine(t.Context(), "op", coretest.MAC(100+n)); err != nil {
				t.Fatal(err)
			}
		}

		if _, err := r.IgnoreMachine(t.Context(), "op", coretest.MAC(100+core.MostIgnored)); codeOf(err) != "host/too-many-ignored" {
			t.Errorf("one too many: %v", err)
		}
	})
}
