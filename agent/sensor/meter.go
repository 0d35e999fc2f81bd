package sensor

import (
	"io/fs"
	"math"
	"path"
	"strings"
	"time"
)

// Meter is a counter of energy of a CPU package or of a part of it (RAPL:
// Documentation/power/powercap/powercap.rst).
type Meter struct {
	Key    string  // of the samples of its power
	Name   string  // "package-0", "package-0 dram"
	Socket bool    // of a whole package
	Limit  float64 // sustained power limit in watts (PL1); NaN: not told
	dir    string
	wrap   float64 // microjoules at which the counter begins anew
}

// Meters lists the energy counters. Those of AMD carry Intel's name.
func Meters(root fs.FS) (meters []Meter) {
	t := tree{root}

	for _, dir := range t.glob("sys/class/powercap/*-rapl:*") {
		name := t.text(dir + "/name")
		wrap := t.number(dir + "/max_energy_range_uj")

		if name == "" || math.IsNaN(wrap) || strings.Contains(path.Base(dir), "-mmio") { // the same counters by another way
			continue
		}

		m := Meter{Name: name, Socket: strings.HasPrefix(name, "package-"), Limit: math.NaN(), dir: dir, wrap: wrap}

		if !m.Socket {
			above := dir[:strings.LastIndex(dir, ":")]
			if parent := t.text(above + "/name"); parent != "" {
				m.Name = parent + " " + name
			}
		}

		if limit := t.number(dir + "/constraint_0_power_limit_uw"); t.text(dir+"/constraint_0_name") == "long_term" && limit > 0 {
			m.Limit = limit * 1e-6
		}

		m.Key = "cpu/" + strings.Replace(keyPart(m.Name), "package-", "package", 1) + "/" + string(Power)
		meters = append(meters, m)
	}

	return meters
}

// Energy reads the counter in microjoules; NaN when the kernel does not tell.
func (m *Meter) Energy(root fs.FS) float64 { return tree{root}.number(m.dir + "/energy_uj") }

// Watts returns the mean power between two readings of the counter. A counter
// that was passed round more than once in between cannot be told from one that
// was not: at 400 W it takes ten minutes.
func (m *Meter) Watts(before, after float64, passed time.Duration) float64 {
	if passed <= 0 {
		return math.NaN()
	}

	used := after - before
	if used < 0 {
		used += m.wrap
	}

	return used * 1e-6 / passed.Seconds()
}
