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
