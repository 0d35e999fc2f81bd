package ras

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"vetting/core"
)

// Kind is what a counter counts. The reason code of its growth is "ras/" + Kind.
type Kind string

// The kinds of counter.
const (
	MemoryCorrected   Kind = "memory-corrected"    // EDAC: errors that ECC corrected
	MemoryUncorrected Kind = "memory-uncorrected"  // EDAC: errors that it could not
	MemoryPoisoned    Kind = "memory-poisoned"     // KiB that the kernel gave up
	MachineCheck      Kind = "machine-check"       // exceptions
	ThresholdEvent    Kind = "threshold-interrupt" // corrected errors over a bank's threshold
	DeferredError     Kind = "deferred-error"      // poison that was not used yet
	ThermalEvent      Kind = "thermal-interrupt"   // the CPU's own alarm
	PCIeCorrected     Kind = "pcie-corrected"      // AER
	PCIeUncorrected   Kind = "pcie-uncorrected"    // AER
	SASLink           Kind = "sas-link"            // of a phy
	DiskErrors        Kind = "disk-io-errors"      // commands that a SCSI device failed
	NICErrors         Kind = "nic-errors"          // frames damaged on the wire or in the card
	NICLink           Kind = "nic-link-changes"    // times that a link went up or down
)

// Counter is one number that only grows while the machine is on.
type Counter struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"` // unique for its kind: where the number stands
	// Instance tells a device from another that had the name before it.
	Instance string    `json:"instance,omitempty"`
	Part     core.Part `json:"part"`
	With     string    `json:"with,omitempty"` // the other end of the link, which may be the bad one
	Value    uint64    `json:"value"`
	Own      uint64    `json:"own,omitempty"`  // what the kernel counted besides, and was our own doing
	Rate     float64   `json:"rate,omitempty"` // of the PCIe link, in bits per second over all lanes; 0: not told
}

// Snapshot is all counters at one moment.
type Snapshot struct {
	Time     time.Time          `json:"time"`
	Counters map[string]Counter `json:"counters"` // by kind, name and instance
	Widths   map[string]int     `json:"widths"`   // lanes of PCIe links, by the function at their end
}

func newSnapshot(now time.Time, lists ...[]Counter) Snapshot {
	s := Snapshot{Time: now, Counters: map[string]Counter{}}

	for _, list := range lists {
		for _, c := range list {
			s.Counters[strings.TrimSpace(string(c.Kind)+" "+c.Name+" "+c.Instance)] = c
		}
	}

	return s
}

// steady takes back that a counter fell because a question of our own is under way, which
// is taken off until it is known whether the kernel counts it: it is not to grow by the same
// errors once more.
func (s Snapshot) steady(before Snapshot) Snapshot {
	for key, now := range s.Counters {
		if was := before.Counters[key]; now.Own > was.Own && now.Value < was.Value {
			now.Value = was.Value
			s.Counters[key] = now
		}
	}

	return s
}

// Delta is a counter that grew.
type Delta struct {
	Counter
	Before  uint64
	Over    time.Duration // between the snapshots
	Earlier uint64        // by how much it had grown before, within a day
	Storm   bool          // it grew fast, for minutes
	Shared  bool          // other programs may have brought it about
}

// Grew returns by how much.
func (d *Delta) Grew() uint64 { return d.Value - d.Before }

// Since returns the counters that grew since an earlier snapshot, in order. A
// counter that was not there before, since its driver was not, has not grown; one
// that is smaller than before was reset, by its driver or by a hot plug, and
// counts from zero.
func (s Snapshot) Since(before Snapshot) (grown []Delta) {
	over := s.Time.Sub(before.Time)

	for _, key := range slices.Sorted(maps.Keys(s.Counters)) {
		now := s.Counters[key]
		was, known := before.Counters[key]

		switch {
		case !known || now.Value == was.Value:
		case now.Value < was.Value:
			if now.Value > 0 {
				grown = append(grown, Delta{Counter: now, Over: over})
			}
		default:
			grown = append(grown, Delta{Counter: now, Before: was.Value, Over: over})
		}
	}

	return grown
}

// New returns the counters that were not there in an earlier snapshot and are not
// zero, in order: what a driver found when it was loaded.
func (s Snapshot) New(before Snapshot) (found []Counter) {
	for key, c := range s.Counters {
		if _, known := before.Counters[key]; !known && c.Value > 0 {
			found = append(found, c)
		}
	}

	slices.SortFunc(found, func(a, b Counter) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Name, b.Name))
	})

	return found
}

// of counts the counters of a kind.
func (s Snapshot) of(kinds ...Kind) (n int) {
	for _, c := range s.Counters {
		if slices.Contains(kinds, c.Kind) {
			n++
		}
	}

	return n
}
