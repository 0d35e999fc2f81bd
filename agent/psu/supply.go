package psu

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"vetting/agent/ipmi"
	"vetting/core"
)

// Supply is a power supply, or the place of one.
type Supply struct {
	Slot   string        // as it is named: "PSU1"
	ID     ipmi.Identity // what is known of it
	number int           // in the machine, in which some count from 0; none: another than the BMC tells of it
}

// Part names the supply.
func (s *Supply) Part() core.Part {
	model := s.ID.Model
	if model == "" {
		model = s.ID.Part
	}

	return core.Part{Kind: "psu", Slot: s.Slot, Model: model, Serial: s.ID.Serial}
}

// Key is the supply in sample keys.
func (s *Supply) Key() string { return keyPart(s.Slot) }

// Quantity is what a channel measures: the last part of its sample's key.
type Quantity string

// The quantities.
const (
	InputWatts    Quantity = "input_watts"
	OutputWatts   Quantity = "output_watts"
	InputVolts    Quantity = "input_volts"
	OutputVolts   Quantity = "output_volts"
	InputAmperes  Quantity = "input_amperes"
	OutputAmperes Quantity = "output_amperes"
	Temperature   Quantity = "temperature_celsius"
	Fan           Quantity = "fan_rpm"
	Rail          Quantity = "voltage_volts" // of the board
	PackageWatts  Quantity = "package_watts" // of a CPU, as it counts them itself (RAPL)
)

// voltage reports whether thresholds are those of a voltage.
func (q Quantity) voltage() bool { return q == InputVolts || q == OutputVolts || q == Rail }

// Channel is something that is measured again and again.
type Channel struct {
	Key      string // of its samples; empty: others send them
	Name     string // for people
	Slot     string // of the supply; empty: it is of the board or the whole machine
	Quantity Quantity
	Nominal  float64 // of a rail, by its name; 0: none that is known
	Named    bool    // its limits are made of its name: it tells none of its own
	Inlet    bool    // the air that the machine takes in
	Limits   ipmi.Limits

	sensor *ipmi.SensorRecord // what the BMC is asked for
	file   string             // or what is read
	scale  float64
	wrap   float64 // the file counts energy, in scale joules, and begins anew at this one; 0: it does not
	dcmi   bool    // or what the BMC tells of the whole machine
}

// State is something that is wrong with a supply, or with all of them together.
type State string

// The states, and what they come from (IPMI 2.0 table 42-3, type 08h, and table 42-2,
// form 0Bh).
const (
	Absent        State = "absent"
	Failed        State = "failed"
	Predicted     State = "failure predicted"
	InputLost     State = "input lost"
	InputOut      State = "input out of range"
	Misconfigured State = "configuration error"
	Lost          State = "redundancy lost"
	Degraded      State = "redundancy degraded"
	OnBattery     State = "on battery" // no adapter of a portable machine has power
)

// Detector tells states of a supply, or of all together.
type Detector struct {
	Name string
	Slot string // empty: of all supplies together

	sensor *ipmi.SensorRecord
	online string // a file that holds 1 while there is power
}

// states are what a reading of the detector says.
func (d *Detector) states(r ipmi.Reading) (all []State) {
	for _, s := range d.offsets() {
		if r.Has(s.offset) {
			all = append(all, s.state)
		}
	}

	return all
}

// offset is a bit, and what it says.
type offset struct {
	offset int
	state  State
}

// offsets lists what the states of a sensor mean.
func (d *Detector) offsets() []offset {
	switch {
	case d.sensor == nil:
		return nil
	case d.sensor.Form == ipmi.FormRedundancy:
		return []offset{{1, Lost}, {2, Degraded}, {3, Lost}, {4, Lost}, {5, Lost}, {6, Degraded}, {7, Degraded}}
	case d.sensor.Form == ipmi.FormPresence:
		return []offset{{0, Absent}}
	case d.sensor.Form == ipmi.FormPredictive:
		return []offset{{1, Predicted}}
	default:
		return []offset{{1, Failed}, {2, Predicted}, {3, InputLost}, {4, InputLost}, {5, InputOut}, {6, Misconfigured}}
	}
}

// presence is the offset that says that the supply is there; false: it does not say.
func (d *Detector) presence() bool {
	const there = 1 << 0

	return d.sensor != nil && d.sensor.Form == ipmi.FormOwn && d.sensor.States&there != 0
}

// none is no number of a supply.
const none = -1

// numberOf is the number of a supply in the name of what tells of it: "PS1 Status",
// "PSU2_PIN", "Power Supply 1"; none: there is none.
func numberOf(name string) int {
	m := regexp.MustCompile(`(?i)(?:^|[^a-z])(?:psu|pws|ps|(?:power|pwr)[ _-]?(?:supply|sup))[ _#-]*(\d{1,2})(?:[^0-9]|$)`).FindStringSubmatch(name)
	if m == nil {
		return none
	}

	n, err := strconv.Atoi(m[1])
	if err != nil {
		return none
	}

	return n
}

// slotIn is the supply's name in such a name: "PS1" of "PS1 Status".
func slotIn(name string) string {
	m := regexp.MustCompile(`(?i)(?:^|[^a-z])((?:psu|pws|ps|(?:power|pwr)[ _-]?(?:supply|sup))[ _#-]*\d{1,2})(?:[^0-9]|$)`).FindStringSubmatch(name)
	if m == nil {
		return ""
	}

	return strings.TrimSpace(m[1])
}

// nominal is the voltage of a rail by its name: "12V", "P5V", "+3.3V", "3.3VSB"; 0: none
// that everybody agrees on. Names that speak of something else besides are not taken.
func nominal(name string) float64 {
	m := regexp.MustCompile(`(?i)^(?:(?:bb|mb|sys|pcie)[ _]?)?p?\+?(12|5|3[.v]3)[ _]?v?[ _-]*(?:cc|sb|vsb|stby|aux|main|sys|standby|dual|voltage)?$`).
		FindStringSubmatch(strings.TrimSpace(name))
	if m == nil {
		return 0
	}

	switch m[1] {
	case "12":
		return 12
	case "5":
		return 5
	default:
		return 3.3
	}
}

// byName gives a rail that tells no limits those of its name: 5 % either way.
func (c *Channel) byName() {
	const tolerance = 0.05

	l := c.Limits
	for _, limit := range []float64{l.LowWarn, l.Low, l.LowFatal, l.HighWarn, l.High, l.HighFatal} {
		if !math.IsNaN(limit) {
			return
		}
	}

	if c.Nominal > 0 {
		c.Named = true
		c.Limits.LowWarn, c.Limits.HighWarn = c.Nominal*(1-tolerance), c.Nominal*(1+tolerance)
	}
}

// keyPart makes a name fit to be the part of a sample's key.
func keyPart(name string) string {
	const longest = 48

	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._:-", r) {
			return r
		}

		return '-'
	}, strings.ToLower(strings.TrimSpace(name)))

	return name[:min(len(name), longest)]
}
