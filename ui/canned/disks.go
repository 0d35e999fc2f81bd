package canned

import (
	"fmt"
	"time"

	"vetting/core"
)

// fortyDisks is a machine of which forty disks are written and read back: each at another
// place, some over, one with errors.
func fortyDisks() row {
	run := at(begun(11, 9*time.Hour, 4), 3, 0.41, 13*time.Hour, "sdq verify")
	run.Stages[3].Name, run.State = core.Storage, core.State(core.Storage)

	inventory := server("Supermicro", "SSG-6049P-E1CR36L", "S40")

	for i := range 40 {
		serial := fmt.Sprintf("ZL2A%04d", 1000+37*i)
		inventory.Disks = append(inventory.Disks, core.Disk{
			Name: fmt.Sprintf("sd%c", 'a'+i%26), Model: "ST14000NM001G-2KJ103", Serial: serial, Bay: fmt.Sprint(i + 1), SizeBytes: 14_000_519_643_136,
		})

		run.Armed = append(run.Armed, serial)
		run.Stages[3].Meters = append(run.Stages[3].Meters, diskMeter(i, serial))
	}

	return row{host(11, "jbod-4"), run, inventory}
}

// diskMeter is how far the n-th of them is.
func diskMeter(n int, serial string) core.Meter {
	walks := []core.Walk{
		{Name: "write ends", Pass: 1, Done: 1},
		{Name: "verify ends", Pass: 1, Done: 1},
		{Name: "write", Pass: 1, Done: 1},
		{Name: "verify", Pass: 1, Done: 0.3 + 0.015*float64(n)},
		{Name: "write", Pass: 2},
		{Name: "verify backwards", Pass: 2},
	}
	m := core.Meter{
		Part: core.Part{Kind: "disk", Slot: fmt.Sprint(n + 1), Model: "ST14000NM001G-2KJ103", Serial: serial}, Step: "verify", Walks: walks,
		Done: 0.3 + 0.005*float64(n), Rate: 231e6 - 1e6*float64(n), LeftLow: 12 * time.Hour, LeftHigh: 14*time.Hour + time.Duration(n)*time.Minute,
	}

	switch n {
	case 7:
		m.Errors = 3
	case 12:
		m.Rate, m.LeftLow, m.LeftHigh = 0, 0, 0
	case 39:
		m.Over, m.Done, m.Rate, m.Step = true, 1, 0, "finish"
		for i := range m.Walks {
			m.Walks[i].Done = 1
		}
	}

	return m
}
