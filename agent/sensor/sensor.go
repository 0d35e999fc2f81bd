package sensor

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"vetting/agent/ipmi"
	"vetting/core"
)

// Quantity is what a sensor measures: the last part of its sample's key.
type Quantity string

// The quantities.
const (
	Temperature Quantity = "temperature_celsius"
	Fan         Quantity = "fan_rpm"
	Voltage     Quantity = "voltage_volts"
	Current     Quantity = "current_amperes"
	Power       Quantity = "power_watts"
)

// Sensor is one thing that can be read again and again.
type Sensor struct {
	Key      string // of its samples
	Name     string // for people: "coretemp.0 Core 3"
	Kind     string // of the part: "cpu", "memory", "disk", "nic", "gpu", "board"
	Quantity Quantity
	Max      float64 // the sensor's own limits; NaN: it tells none, or was not asked yet
	Crit     float64
	Socket   int  // of a CPU; -1: none
	Core     bool // of a CPU: of one core only

	bank  string      // name of the chip, with whose sensors it is read
	label string      // as the board names it; may be empty
	file  string      // what is read
	sas   string      // instead of a file: the disk that is asked by a SCSI command
	gauge *ipmi.Gauge // instead of a file: what the BMC is asked for; nil: nothing
	fault string      // a file that holds 1 when the sensor is not connected; may be empty
	scale float64

	min    float64 // of a fan; NaN: it tells none
	driven bool    // of a fan: the board drives it
}

// Part names what the sensor sits on.
func (s *Sensor) Part() core.Part { return core.Part{Kind: s.Kind, Slot: s.Name} }

// tree reads small files of sysfs.
type tree struct{ root fs.FS }

func (t tree) text(name string) string {
	b, err := fs.ReadFile(t.root, name)
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(b))
}

// number reads a file that holds one number; NaN when it does not.
func (t tree) number(name string) float64 {
	n, err := strconv.ParseFloat(t.text(name), 64)
	if err != nil || math.IsInf(n, 0) {
		return math.NaN()
	}

	return n
}

func (t tree) glob(pattern string) []string {
	names, err := fs.Glob(t.root, pattern)
	if err != nil {
		return nil
	}

	return names
}

// device is the name of the device that a class's folder stands for; empty when it
// does not say. The link is relative to where the folder itself links to.
func (t tree) device(dir string) string {
	to, err := fs.ReadLink(t.root, dir+"/device")
	if err != nil {
		return ""
	}

	if folder, err := fs.ReadLink(t.root, dir); err == nil {
		dir = path.Join(path.Dir(dir), folder)
	}

	return path.Base(path.Join(dir, to))
}

// Read returns what the sensor says now; NaN when it says nothing, or nothing that
// a sensor can say.
func (s *Sensor) Read(root fs.FS) float64 {
	t := tree{root}
	if s.fault != "" && t.text(s.fault) == "1" {
		return math.NaN()
	}

	v := t.number(s.file) * s.scale
	if s.Quantity == Temperature && bogus(v) {
		return math.NaN()
	}

	return v
}

// limits asks a thermometer or fan for its own limits, which is a question to the
// device as well.
func (s *Sensor) limits(root fs.FS) limits {
	t := tree{root}
	stem, isChip := strings.CutSuffix(s.file, "_input")
	l := limits{max: s.Max, crit: s.Crit, min: math.NaN()}

	switch {
	case !isChip:
	case s.Quantity == Temperature:
		l.max, l.crit = sane(t.number(stem+"_max")*s.scale), sane(t.number(stem+"_crit")*s.scale)
	case s.Quantity == Fan:
		output := path.Join(path.Dir(stem), "pwm"+strings.TrimPrefix(path.Base(stem), "fan"))
		l.min, l.driven = t.number(stem+"_min"), t.number(output) > 0 && t.number(output+"_enable") > 0
	}

	return l
}

// warm is the temperature that the part should not reach: the limit that its sensor told
// (WCTEMP of NVMe) or, for a disk that tells none, where flash begins to slow itself down;
// NaN: there is none.
func (s *Sensor) warm(told float64) float64 {
	const warmDisk = 70

	if math.IsNaN(told) && s.wholeDisk() {
		return warmDisk
	}

	return told
}

// hot is the temperature at which the part must not work on: the limit that its sensor
// told (CCTEMP of NVMe) or, for a CPU, DIMM or disk that tells none, one that none is
// made for.
func (s *Sensor) hot(told float64) float64 {
	const hottestCPU, hottestDIMM, hottestDisk = 105, 100, 85

	switch {
	case !math.IsNaN(told):
		return told
	case s.Kind == "cpu":
		return hottestCPU
	case s.Kind == "memory":
		return hottestDIMM
	case s.wholeDisk():
		return hottestDisk
	default:
		return math.Inf(1)
	}
}

// wholeDisk reports whether the sensor is a disk's own, and not one of the further ones
// of NVMe, which sit anywhere.
func (s *Sensor) wholeDisk() bool { return s.Kind == "disk" && !strings.Contains(s.Key, "-sensor-") }

// bogus reports whether no thermometer in a running machine says so: the ends of
// the scale of 8-bit sensors, or cold and heat that nothing survives.
func bogus(celsius float64) bool {
	const coldest, hottest = -30, 200

	return celsius == 127 || celsius <= coldest || celsius >= hottest
}

// sane returns a limit, or NaN where the sensor tells one that makes no sense
// (65261.85 °C is what NVMe drives without a limit answer).
func sane(celsius float64) float64 {
	const lowest, highest = 40, 150

	if celsius > lowest && celsius <= highest {
		return celsius
	}

	return math.NaN()
}

// keyPart makes a name fit to be the part of a sample's key.
func keyPart(words ...string) string {
	const longest = 64

	name := strings.ToLower(strings.Join(words, "-"))
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._:-", r) {
			return r
		}

		return '-'
	}, name)

	return name[:min(len(name), longest)]
}
