package ras_test

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/agent/ras"
	"vetting/core"
	"vetting/core/problem"
)

var update = flag.Bool("update", false, "write the golden files")

// TestMachines reads the error counters and the kernel's log of every recorded machine.
func TestMachines(t *testing.T) {
	list := classes(t)

	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		inv, _ := r.Machine().Inventory("") //nolint:errcheck // what its disks do not answer is no matter here
		m := ras.Machine{Root: r.Root, DIMMs: inv.DIMMs, Statistics: r.Ports.Counters}

		now := m.Read(time.Unix(1_800_000_000, 0))
		if found := ras.Judge(now, m.Read(time.Unix(1_800_000_100, 0)), core.Memory, false); len(found) > 0 {
			t.Errorf("nothing happened, and yet: %+v", found)
		}

		rows := make([]string, 0, len(now.Counters))

		for _, c := range now.Counters {
			row := fmt.Sprintf("%s %s of %s %s: %d", c.Kind, c.Name, c.Part.Kind, c.Part.Slot, c.Value)
			if c.With != "" {
				row += ", with " + c.With
			}

			rows = append(rows, row)
		}

		slices.Sort(rows)
		machines.Golden(t, r, "counters", rows, *update)

		events := []string{}

		for record := range bytes.Lines(r.Kmsg) {
			if record[0] == ' ' {
				continue // of a record's dictionary
			}

			if e, ok := classifyRecord(t, list, record); ok {
				events = append(events, fmt.Sprintf("%s %s %s: %s", e.Severity, e.When, e.Code, e.Text))
			}
		}

		machines.Golden(t, r, "kernel-log", events, *update)
	})
}

// classifyRecord reads a recorded line of the log.
func classifyRecord(t *testing.T, list []ras.Class, raw []byte) (ras.Event, bool) {
	t.Helper()

	record, ok := ras.ParseRecord(raw)
	if !ok {
		t.Errorf("no record: %q", raw)
	}

	e, ok := ras.Classify(list, record.Text)
	if _, known := problem.Lookup(e.Code); ok && !known {
		t.Errorf("%s is not explained", e.Code)
	}

	return e, ok
}
