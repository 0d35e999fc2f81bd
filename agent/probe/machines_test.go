package probe_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/core/spec"
)

var update = flag.Bool("update", false, "write the golden files")

// faults lists what an enumeration could not read.
func faults(err error) []string {
	if err == nil {
		return nil
	}

	return strings.Split(err.Error(), "\n")
}

// TestMachines runs every probe over every recorded machine.
func TestMachines(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		m := r.Machine()

		// A recording made without rights has disks that nobody could ask: what does
		// not answer is part of what the probes say.
		inv, err := m.Inventory("")
		machines.Golden(t, r, "faults", faults(err), *update)

		machines.Golden(t, r, "inventory", inv, *update)
		machines.Golden(t, r, "spec-general", spec.General(&inv), *update)

		items, again := m.Firmware("")
		if diff := cmp.Diff(faults(err), faults(again)); diff != "" {
			t.Errorf("the firmware's faults are others: %s", diff)
		}

		machines.Golden(t, r, "firmware", items, *update)
		machines.Golden(t, r, "identity", m.Identity(), *update)
		machines.Golden(t, r, "threads", m.Threads(), *update)
	})
}
