package psu

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"

	"vetting/agent/ipmi"
	"vetting/core"
)

// Survey is what of a machine's power can be observed.
type Survey struct {
	Supplies  []Supply
	Channels  []Channel
	Detectors []Detector
	BMC       bool  // it has one that answers
	Err       error // why the BMC did not tell everything

	root fs.FS
	bmc  ipmi.BMC
	of   map[int]int // the number of the supply that sensors name, by the instance of its entity
}

// supplyOutput is the main output of nearly all supplies. One that is far from it has
// another (54 V), which its limits are to tell.
const supplyOutput = 12

// What a BMC can make us read again and again, and tell of, has bounds: no machine has so
// many supplies.
const (
	maxChannels  = 192
	maxDetectors = 96
	maxSupplies  = 32
)

// Find looks for what tells of a machine's power, which takes a BMC up to a minute. bmc
// may be nil; tables are what SMBIOS says of power supplies.
func Find(root fs.FS, bmc ipmi.BMC, tables []core.Supply) *Survey {
	s := &Survey{root: root, bmc: bmc}

	if bmc != nil {
		s.fromBMC()
	}

	s.fromSystem()
	s.fromTables(tables)
	s.distinct()

	slices.SortStableFunc(s.Supplies, func(a, b Supply) int { return a.number - b.number })
	s.Channels = s.Channels[:min(len(s.Channels), maxChannels)]
	s.Detectors = s.Detectors[:min(len(s.Detectors), maxDetectors)]

	return s
}

// fromBMC takes in what the BMC has.
func (s *Survey) fromBMC() {
	if _, err := ipmi.ReadDevice(s.bmc); err != nil {
		if !errors.Is(err, ipmi.ErrAbsent) {
			s.Err = err
		}

		return
	}

	s.BMC = true

	sensors, inventories, err := ipmi.ReadSensors(s.bmc)
	s.Err = err

	// The states name the supplies, so that they come first.
	slices.SortStableFunc(sensors, func(a, b ipmi.SensorRecord) int { return rank(&a) - rank(&b) })

	s.count(sensors)

	for i := range sensors {
		s.sensor(&sensors[i])
	}

	s.identify(inventories)

	if watts, err := ipmi.ReadPower(s.bmc); err == nil && !math.IsNaN(watts) {
		s.Channels = append(s.Channels, Channel{Key: "psu/system/" + string(InputWatts), Name: "whole machine (DCMI)", Quantity: InputWatts, Limits: ipmi.NoLimits(), dcmi: true})
	}
}

// Supplies looks for the supplies alone, and reads what they say of themselves: what the
// BMC has of them, what they tell the kernel over PMBus, and what SMBIOS says of those that
// are there. bmc may be nil. The error says why the BMC did not tell everything.
func Supplies(root fs.FS, bmc ipmi.BMC, tables []core.Supply) ([]Supply, error) {
	s := &Survey{root: root, bmc: bmc}

	if bmc != nil {
		s.named()
	}

	for _, dir := range s.glob("sys/class/hwmon/hwmon*") {
		s.chip(dir, s.text(dir+"/name"))
	}

	tables = slices.Clone(tables)
	told := slices.ContainsFunc(s.Supplies, func(p Supply) bool { return p.ID.Version != "" })

	for i := range tables {
		t := &tables[i]

		if !t.Present { // what it says is of one that was there
			*t = core.Supply{Slot: t.Slot}
		}

		if told { // revisions of two sources are not alike, though the supplies are
			t.Revision = ""
		}
	}

	if len(s.Supplies) == 0 { // nobody tells of them but the board
		for i := range tables[:min(len(tables), maxSupplies)] {
			if tables[i].Present {
				s.supply(place(&tables[i], i), tables[i].Slot)
			}
		}
	}

	s.fromTables(tables)

	slices.SortStableFunc(s.Supplies, func(a, b Supply) int { return a.number - b.number })

	return s.Supplies, s.Err
}

// named takes in the supplies that the BMC has sensors of, and their identities.
func (s *Survey) named() {
	if _, err := ipmi.ReadDevice(s.bmc); err != nil {
		if !errors.Is(err, ipmi.ErrAbsent) {
			s.Err = err
		}

		return
	}

	sensors, inventories, err := ipmi.ReadSensors(s.bmc)
	s.BMC, s.Err = true, err

	slices.SortStableFunc(sensors, func(a, b ipmi.SensorRecord) int { return rank(&a) - rank(&b) })
	s.count(sensors)

	for i := range sensors {
		if r := &sensors[i]; len(s.Supplies) < maxSupplies && r.Form != ipmi.FormRedundancy {
			if number := s.numberedBy(r); number != none {
				s.supply(number, slotIn(r.Name))
			}
		}
	}

	s.identify(inventories)
}

// rank puts sensors of states before those that measure.
func rank(s *ipmi.SensorRecord) int {
	if s.Type == ipmi.TypeSupply && s.Form != ipmi.FormThreshold {
		return 0
	}

	return 1
}

// count learns from sensors that have the number of a supply in their names which instance
// of the entity it is, so that sensors without one are known by that. Instances that are
// the same for several supplies say nothing.
func (s *Survey) count(sensors []ipmi.SensorRecord) {
	s.of = map[int]int{}

	for i := range sensors {
		r := &sensors[i]

		number, instance := numberOf(r.Name), int(r.Instance)
		if number == none || r.Entity != ipmi.EntitySupply {
			continue
		}

		if known, ok := s.of[instance]; ok && known != number {
			number = none
		}

		s.of[instance] = number
	}
}

// numbered is the number of the supply that something is of, by its name or else by the
// instance of its entity.
func (s *Survey) numbered(name string, instance byte) int {
	if number := numberOf(name); number != none {
		return number
	}

	if number, known := s.of[int(instance)]; known && number != none {
		return number
	}

	return int(instance)
}

// numberedBy is the number of the supply that a sensor is of; none: it is of no single one.
func (s *Survey) numberedBy(r *ipmi.SensorRecord) int {
	if (r.Entity == ipmi.EntitySupply || r.Type == ipmi.TypeSupply) && r.Form != ipmi.FormRedundancy {
		return s.numbered(r.Name, r.Instance)
	}

	return numberOf(r.Name)
}

// sensor takes in one sensor, if it is about power.
func (s *Survey) sensor(r *ipmi.SensorRecord) {
	number := s.numberedBy(r)

	switch {
	case len(s.Supplies) >= maxSupplies:
	case r.Form == ipmi.FormRedundancy:
		if r.Type == ipmi.TypeSupply || r.Type == ipmi.TypePowerUnit {
			s.Detectors = append(s.Detectors, Detector{Name: r.Name, sensor: r})
		}
	case r.Type == ipmi.TypeSupply && slices.Contains([]byte{ipmi.FormOwn, ipmi.FormPresence, ipmi.FormPredictive}, r.Form):
		slot := s.supply(number, slotIn(r.Name)).Slot
		s.Detectors = append(s.Detectors, Detector{Name: r.Name, Slot: slot, sensor: r})

		s.measures(r, slot) // some makers have states and watts in one sensor
	case r.Form != ipmi.FormThreshold && r.Form != ipmi.FormOwn: // states of something, which only their maker can read
	case number != none:
		s.measures(r, s.supply(number, slotIn(r.Name)).Slot)
	default:
		s.ofBoard(r)
	}
}

// supply is the one of a number, which it adds where it is new.
func (s *Survey) supply(number int, name string) *Supply {
	i := slices.IndexFunc(s.Supplies, func(p Supply) bool { return p.number == number })
	if i < 0 {
		if name == "" {
			name = fmt.Sprintf("PSU%d", number)
		}

		s.Supplies = append(s.Supplies, Supply{Slot: name, number: number})
		i = len(s.Supplies) - 1
	}

	return &s.Supplies[i]
}

// measures adds what a sensor of a supply measures.
func (s *Survey) measures(r *ipmi.SensorRecord, slot string) {
	q := s.quantity(r)
	if q == "" {
		return
	}

	c := Channel{
		Key: "psu/" + keyPart(slot) + "/" + string(q), Name: strings.TrimSpace(r.Name), Slot: slot, Quantity: q,
		Limits: ipmi.NoLimits(), sensor: r,
	}

	if q.voltage() {
		c.Limits = r.ReadLimits(s.bmc)
	}

	if q == OutputVolts {
		c.Nominal = supplyOutput
		c.byName()
	}

	s.Channels = append(s.Channels, c)
}

// quantity says what a sensor of a supply measures. Where its name does not tell input
// from output, a power is that of the input, and a voltage what it looks like.
func (s *Survey) quantity(r *ipmi.SensorRecord) Quantity {
	const mains = 60 // volts: no output of a supply is so high

	name := strings.ToLower(r.Name)
	out := regexp.MustCompile(`out|12v`).MatchString(name)
	in := regexp.MustCompile(`in\b|_in|input|vin|pin|iin|ac`).MatchString(name)

	switch r.Unit {
	case ipmi.Watts:
		return either(out, OutputWatts, InputWatts)
	case ipmi.Amperes:
		return either(out, OutputAmperes, InputAmperes)
	case ipmi.Volts:
		if !out && !in {
			reading, err := r.Read(s.bmc)
			out = err == nil && reading.Value < mains
		}

		return either(out, OutputVolts, InputVolts)
	case ipmi.Celsius:
		return Temperature
	case ipmi.RPM:
		return Fan
	default:
		return ""
	}
}

func either(first bool, a, b Quantity) Quantity {
	if first {
		return a
	}

	return b
}

// ofBoard adds voltages of the board and the air that it takes in.
func (s *Survey) ofBoard(r *ipmi.SensorRecord) {
	c := Channel{Name: strings.TrimSpace(r.Name), Limits: ipmi.NoLimits(), sensor: r}

	switch {
	case r.Unit == ipmi.Volts && r.Type == ipmi.TypeVoltage:
		c.Quantity, c.Limits, c.Nominal = Rail, r.ReadLimits(s.bmc), nominal(r.Name)
		c.Key = "board/" + keyPart("bmc-"+r.Name) + "/" + string(Rail)
		c.byName()
	case r.Unit == ipmi.Celsius && inlet(r):
		c.Quantity, c.Inlet = Temperature, true // the thermal sidecar sends its samples
	default:
		return
	}

	s.Channels = append(s.Channels, c)
}

// inlet reports whether a thermometer is in the air that the machine takes in.
func inlet(r *ipmi.SensorRecord) bool {
	return r.Entity == ipmi.EntityInlet || r.Entity == ipmi.EntityInletTwo || regexp.MustCompile(`(?i)\b(inlet|ambient|intake)\b`).MatchString(r.Name)
}

// identify reads what the supplies say of themselves.
func (s *Survey) identify(inventories []ipmi.Inventory) {
	for _, i := range inventories {
		number := numberOf(i.Name)
		if i.Entity == ipmi.EntitySupply {
			number = s.numbered(i.Name, i.Instance)
		}

		at := slices.IndexFunc(s.Supplies, func(p Supply) bool { return number != none && p.number == number })
		if at < 0 {
			continue
		}

		if id, err := ipmi.ReadIdentity(s.bmc, i.Device); err == nil {
			s.Supplies[at].ID = id
		}
	}
}

// fromTables fills in what SMBIOS knows of the supplies, by the number in their place. A
// machine that tells of none otherwise has them from here, unobserved.
func (s *Survey) fromTables(tables []core.Supply) {
	for i := range tables {
		t := &tables[i]

		number := place(t, i)
		at := slices.IndexFunc(s.Supplies, func(p Supply) bool { return p.number == number })
		if at < 0 {
			continue
		}

		id := &s.Supplies[at].ID
		id.Manufacturer, id.Model, id.Part = other(id.Manufacturer, t.Manufacturer), other(id.Model, t.Model), other(id.Part, t.PartNumber)
		id.Version, id.Serial = other(id.Version, t.Revision), other(id.Serial, t.Serial)

		if id.Watts == 0 {
			id.Watts = t.Watts
		}
	}
}

// place is the number of the supply that is the i-th of SMBIOS.
func place(t *core.Supply, i int) int {
	if number := numberOf(t.Slot); number != none {
		return number
	}

	return i + 1
}

// other is a word, or the second one where it is empty. Boards fill tables with words that
// say nothing.
func other(word, second string) string {
	if word != "" || regexp.MustCompile(`(?i)^(to be filled|not specified|unknown|none|n/?a|default|0+$|\.+$)`).MatchString(second) {
		return word
	}

	return second
}

// distinct gives channels of one key names of their own: a supply may have two
// thermometers.
func (s *Survey) distinct() {
	seen := map[string]int{}

	for i := range s.Channels {
		c := &s.Channels[i]
		if c.Key == "" {
			continue
		}

		seen[c.Key]++
		if n := seen[c.Key]; n > 1 {
			words := strings.SplitN(c.Key, "/", 3)
			c.Key = fmt.Sprintf("%s/%s-%d/%s", words[0], words[1], n, words[2])
		}
	}
}
