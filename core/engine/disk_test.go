package engine_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"vetting/core"
	"vetting/core/coretest"
)

// An inventory of this very run says nothing of who an armed disk is, however often the
// host boots; disks that nobody names are known, and no more.
func TestExpectedDisksOfTheRunItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), withStorage)
		m, _ := r.reachStorage()

		reply := m.boot()
		named := func(serial string) core.ExpectedDisk {
			i := slices.IndexFunc(reply.Disks, func(d core.ExpectedDisk) bool { return d.Serial == serial })
			if i < 0 {
				t.Fatalf("no %s in %+v", serial, reply.Disks)
			}

			return reply.Disks[i]
		}

		if d := named("HDD0001"); !d.Armed || d.Known || d.WWN != "" || d.SizeBytes != 0 {
			t.Errorf("%+v", d)
		}

		for _, d := range m.inv.Disks {
			if got := named(d.Serial); got.Known == got.Armed {
				t.Errorf("%+v", got)
			}
		}
	})
}

// What the spec says of a disk wins over the last inventory, which fills in what the spec
// leaves open; a disk that the spec names is expected, also one that nobody has seen.
func TestTheSpecIsLaidOverTheLastInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), withStorage)
		m, _ := r.reachStorage()
		m.finish(core.State(core.Storage))

		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) {
			h.SpecYAML = "disks:\n- {serial: HDD0001, wwn: 5000c500a0000001, model: Other HDD}\n- {serial: NEW0001, size: 1000204886016}\n"
		}); err != nil {
			t.Fatal(err)
		}

		if _, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Armed: []string{"HDD0001"}}); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		got := r.machine(1).boot().Disks
		want := []core.ExpectedDisk{
			{Serial: "HDD0001", WWN: "5000c500a0000001", Model: "Other HDD", SizeBytes: 4000787030016, Armed: true},
			{Serial: "SSD0001", Model: "Example SSD", SizeBytes: 960197124096, Known: true},
			{Serial: "NEW0001", SizeBytes: 1000204886016},
		}

		if !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
