package stage

import (
	"fmt"
	"math"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
)

// powerUse is what a package drew while all CPUs did the hottest kernel.
type powerUse struct {
	part  string // of sample keys: "package0"
	watts float64
	limit float64 // PL1; NaN: not told
}

// powerMeters measures it. It is used by one goroutine.
type powerMeters struct {
	machine probe.Machine
	meters  []probe.PowerMeter
	watts   [][]float64 // by meter
}

func newPowerMeters(m probe.Machine) *powerMeters {
	meters := m.PowerMeters()

	return &powerMeters{machine: m, meters: meters, watts: make([][]float64, len(meters))}
}

// around measures what packages draw in slots in which all of so many CPUs do the
// hottest kernel.
func (p *powerMeters) around(cpus int) func(drill.Slot) (after func()) {
	return func(s drill.Slot) func() {
		if !s.Full(cpus) || s.Kernel != drill.Hottest() {
			return func() {}
		}

		return p.during()
	}
}

// during begins a measurement, and what it returns ends it.
func (p *powerMeters) during() (end func()) {
	begin, before := time.Now(), make([]float64, len(p.meters))
	for i := range p.meters {
		before[i] = p.meters[i].Joules(p.machine)
	}

	return func() {
		passed := time.Since(begin).Seconds()

		for i := range p.meters {
			used := p.meters[i].Joules(p.machine) - before[i]
			if used < 0 {
				used += p.meters[i].Wrap // the counter began anew
			}

			if !math.IsNaN(used) && passed > 0 {
				p.watts[i] = append(p.watts[i], used/passed)
			}
		}
	}
}

func (p *powerMeters) uses() (uses []powerUse) {
	for i, m := range p.meters {
		uses = append(uses, powerUse{part: fmt.Sprintf("package%d", m.Package), watts: middle(p.watts[i]), limit: m.Limit})
	}

	return uses
}
