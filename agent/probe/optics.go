package probe

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Reading is what a transceiver measures of itself, with its maker's own limits.
type Reading struct {
	Name  string // "receive power", "receive power of lane 2"
	Unit  string // "°C", "V", "mA", "mW"
	Value float64

	LowAlarm, LowWarning, HighWarning, HighAlarm float64
}

// Alarm reports whether the value is beyond what the maker allows.
func (r *Reading) Alarm() bool { return r.Value < r.LowAlarm || r.Value > r.HighAlarm }

// Warns reports whether it is near that.
func (r *Reading) Warns() bool { return r.Value < r.LowWarning || r.Value > r.HighWarning }

// String writes the value and its limits.
func (r *Reading) String() string {
	return fmt.Sprintf("%s is %.4g %s; alarm below %.4g and above %.4g, warning below %.4g and above %.4g",
		r.Name, r.Value, r.Unit, r.LowAlarm, r.HighAlarm, r.LowWarning, r.HighWarning)
}

// Where a module has a quantity: value and limits, as offsets into its memory.
type quantity struct {
	name, unit    string
	value, limits int
	lanes         int // values one after the other; 0: one for the module
	scale         float64
	signed        bool
}

const (
	sfpDiagnostics = 256 // address A2h follows A0h
	sfpLength      = 512
	qsfpLength     = 640 // lower page and upper pages 0 to 3
	qsfpLimits     = 512 // upper page 3

	milliwatt = 1e-4 // 0.1 µW
	milliamp  = 2e-3 // 2 µA
	volt      = 1e-4 // 100 µV
	celsius   = 1.0 / 256
)

// ParseReadings decodes the diagnostics of a module: SFF-8472 for SFP, SFF-8636 for
// QSFP, CMIS for the later kinds. None where the module measures nothing, tells no limits or leaves the arithmetic
// to others (external calibration).
func ParseReadings(b []byte) []Reading {
	if len(b) == 0 {
		return nil
	}

	switch b[0] {
	case kindSFP:
		const measures, internal = 1 << 6, 1 << 5

		if len(b) < sfpLength || b[92]&measures == 0 || b[92]&internal == 0 {
			return nil
		}

		d := sfpDiagnostics

		return read(b, []quantity{
			{"temperature", "°C", d + 96, d, 0, celsius, true},
			{"supply voltage", "V", d + 98, d + 8, 0, volt, false},
			{"laser bias", "mA", d + 100, d + 16, 0, milliamp, false},
			{"transmit power", "mW", d + 102, d + 24, 0, milliwatt, false},
			{"receive power", "mW", d + 104, d + 32, 0, milliwatt, false},
		}, every)
	case kindQSFP, kindQSFPp, kindQSFP28:
		if len(b) < qsfpLength {
			return nil
		}

		const lanes = 4

		return read(b, []quantity{
			{"temperature", "°C", 22, qsfpLimits, 0, celsius, true},
			{"supply voltage", "V", 26, qsfpLimits + 16, 0, volt, false},
			{"receive power", "mW", 34, qsfpLimits + 48, lanes, milliwatt, false},
			{"laser bias", "mA", 42, qsfpLimits + 56, lanes, milliamp, false},
			{"transmit power", "mW", 50, qsfpLimits + 64, lanes, milliwatt, false},
		}, every)
	case kindQSFPDD, kindOSFP, kindSFPDD, kindQSFPp22:
		return readCMIS(b)
	default:
		return nil
	}
}

// every is of modules whose lanes are all there.
func every(int) bool { return true }

// read reads quantities; there says which lanes the module has.
func read(b []byte, all []quantity, there func(lane int) bool) []Reading {
	return readFrom(b, all, 0, there)
}

// readFrom reads quantities whose first lane has a number of its own.
func readFrom(b []byte, all []quantity, first int, there func(lane int) bool) (readings []Reading) {
	for _, q := range all {
		number := func(at int) float64 {
			v := binary.BigEndian.Uint16(b[at:])
			if q.signed {
				return float64(int16(v)) * q.scale //nolint:gosec // that is what it is
			}

			return float64(v) * q.scale
		}

		r := Reading{
			Name: q.name, Unit: q.unit, HighAlarm: number(q.limits), LowAlarm: number(q.limits + 2),
			HighWarning: number(q.limits + 4), LowWarning: number(q.limits + 6),
		}
		if r.HighAlarm <= r.LowAlarm { // copper, and modules that tell none
			continue
		}

		readings = append(readings, lanes(r, q, first, number, there)...)
	}

	return readings
}

// lanes makes a reading of each lane. A lane that is dark beside others that are not
// belongs to another port, or to none.
func lanes(r Reading, q quantity, first int, number func(at int) float64, there func(lane int) bool) (readings []Reading) {
	if q.lanes == 0 {
		r.Value = number(q.value)

		return []Reading{r}
	}

	brightest := math.Inf(-1)
	for lane := range q.lanes {
		brightest = max(brightest, number(q.value+2*lane))
	}

	for lane := range q.lanes {
		if !there(lane) {
			continue
		}

		r.Name, r.Value = fmt.Sprintf("%s of lane %d", q.name, first+lane+1), number(q.value+2*lane)
		if r.Value == 0 && brightest > 0 {
			continue
		}

		readings = append(readings, r)
	}

	return readings
}
