package ipmi

import (
	"fmt"
	"math"
)

// More units.
const (
	Volts   Unit = "volts"
	Amperes Unit = "amperes"
	Watts   Unit = "watts"
)

// Kinds of sensors (IPMI 2.0 table 42-3), as far as others ask for them.
const (
	TypeTemperature byte = 0x01
	TypeVoltage     byte = 0x02
	TypeCurrent     byte = 0x03
	TypeSupply      byte = 0x08
	TypePowerUnit   byte = 0x09
)

// Forms of what sensors tell (IPMI 2.0 tables 42-1 and 42-2): the offsets of their states
// mean what the form says.
const (
	FormThreshold  byte = 0x01
	FormPredictive byte = 0x04 // 1: a failure is predicted
	FormPresence   byte = 0x08 // 0: absent, 1: present
	FormRedundancy byte = 0x0b
	FormOwn        byte = 0x6f // offsets are those of the sensor's type
)

// Entities (IPMI 2.0 table 43-13).
const (
	EntitySupply   byte = 0x0a
	EntityInlet    byte = 0x37
	EntityInletTwo byte = 0x40 // that of DCMI
)

// SensorRecord is a sensor of the BMC with all that its record tells: it measures a value, or
// tells states, or both. The zero value of Unit says that it measures nothing that can be
// reckoned.
type SensorRecord struct {
	Name     string // as the board's maker calls it; may be empty
	Type     byte   // table 42-3
	Form     byte   // table 42-1
	Entity   byte   // table 43-13: what it sits on …
	Instance byte   // … and on which of them, from 1; that of a part behind the BMC counts from 1 as well
	States   uint16 // offsets that it can tell, one bit each; 0 with FormThreshold
	Unit     Unit
	Limits   Limits // as the record has them; ReadLimits asks for those in force

	gauge Gauge
}

// Limits are thresholds (§35.5); NaN: there is none.
type Limits struct {
	LowWarn, Low, LowFatal    float64 // non-critical, critical, non-recoverable
	HighWarn, High, HighFatal float64
}

// NoLimits has none.
func NoLimits() Limits {
	none := math.NaN()

	return Limits{none, none, none, none, none, none}
}

// Reading is what a sensor tells at one moment.
type Reading struct {
	Known  bool    // false: the BMC measures nothing now, which is neither 0 nor a state
	Value  float64 // NaN: it is no number
	States uint16  // offsets that are asserted; 0 for a sensor with thresholds
}

// Has reports whether a state is asserted.
func (r Reading) Has(offset int) bool { return r.Known && r.States&(1<<offset) != 0 }

// Offsets in a compact sensor record, where it differs from a full one (§43.2).
const (
	compactSharing = 23 // number of sensors of this record
	compactNext    = 24 // how the instances and names of the others are counted
	compactLength  = 31
	compactName    = 32

	sdrEntity   = 8
	sdrInstance = 9
	sdrForm     = 13
	sdrStates   = 18
	sdrLimits   = 36 // upper non-recoverable, critical, non-critical, then lower ones
	fullRecord  = 1
	sharedMost  = 15
)

// ReadSensors lists all sensors that the BMC itself has. It takes a request for each 16
// bytes of the BMC's sensor records, which may be a minute for all of them. ErrAbsent:
// there is no BMC.
func ReadSensors(bmc BMC) (sensors []SensorRecord, inventories []Inventory, err error) {
	err = eachSDR(bmc, func(record []byte) error {
		sensors = append(sensors, ParseSensors(record)...)

		if i, ok := ParseInventory(record); ok {
			inventories = append(inventories, i)
		}

		return nil
	})

	return sensors, inventories, err
}

// Number is the sensor's number, by which the event log names it.
func (s *SensorRecord) Number() byte { return s.gauge.number }

// ParseSensors decodes a full or compact sensor record; a compact one may stand for
// several sensors (§43.2). Records of other things, and of sensors behind other
// controllers, yield none.
func ParseSensors(record []byte) []SensorRecord {
	const bmcItself, compact, compactLeast = 0x20, 2, 32

	if len(record) < compactLeast || record[sdrOwner] != bmcItself || record[sdrLUN]&3 != 0 {
		return nil
	}

	s := SensorRecord{
		Type: record[sdrSensorType], Form: record[sdrForm] & 0x7f, Entity: record[sdrEntity],
		Instance: instance(record[sdrInstance]), Limits: NoLimits(), gauge: Gauge{number: record[sdrNumber]},
	}

	if s.Form != FormThreshold {
		s.States = (uint16(record[sdrStates]) | uint16(record[sdrStates+1])<<8) & 0x7fff
	}

	switch {
	case record[sdrType] == fullRecord && len(record) >= sdrName:
		s.Name = letters(record, sdrNameLength)
		s.measure(record)

		return []SensorRecord{s}
	case record[sdrType] == compact:
		s.Name = letters(record, compactLength)

		return s.shared(record)
	default:
		return nil
	}
}

// instance is the number of an entity: those from 60h on are relative to the device.
func instance(b byte) byte {
	const logical, relative = 0x7f, 0x60

	if b &= logical; b >= relative {
		return b - relative
	}

	return b
}

// measure takes in how a full record reckons a value, where it does so in a straight line.
func (s *SensorRecord) measure(record []byte) {
	const analogue, modifiers = 0xc0, 0x07

	units := map[byte]Unit{1: Celsius, 4: Volts, 5: Amperes, 6: Watts, 18: RPM}

	unit, known := units[record[sdrUnit]]
	if !known || record[sdrLinear]&0x7f != 0 || record[sdrUnits]&analogue == analogue || record[sdrUnits]&modifiers != 0 {
		return
	}

	s.Unit = unit
	s.gauge.line(record)

	if s.Form == FormThreshold {
		s.Limits = s.limits(record[sdrReadable], record[sdrLimits:sdrLimits+6])
	}
}

// limits converts thresholds in the order of the record: upper non-recoverable, critical
// and non-critical, then the lower ones; boards ship records with limits that nobody set.
func (s *SensorRecord) limits(told byte, raw []byte) Limits {
	at := func(bit, i int) float64 {
		if told&(1<<bit) == 0 {
			return math.NaN()
		}

		return s.gauge.value(raw[i])
	}

	return Limits{HighFatal: at(5, 0), High: at(4, 1), HighWarn: at(3, 2), LowFatal: at(2, 3), Low: at(1, 4), LowWarn: at(0, 5)}.Sane()
}

// Sane leaves out thresholds that make no sense beside their counterparts, and upper ones
// of zero, which nobody has set.
func (l Limits) Sane() Limits {
	for _, pair := range [][2]*float64{{&l.LowFatal, &l.HighFatal}, {&l.Low, &l.High}, {&l.LowWarn, &l.HighWarn}} {
		if *pair[0] >= *pair[1] {
			*pair[0], *pair[1] = math.NaN(), math.NaN()
		}

		if *pair[1] == 0 {
			*pair[1] = math.NaN()
		}
	}

	return l
}

// shared makes the sensors of a compact record: their numbers follow one another, and so
// do their instances and the numbers at the end of their names, where the record says so.
func (s *SensorRecord) shared(record []byte) (all []SensorRecord) {
	const (
		instances   = 0x80 // the entity's instance grows with each
		kind, alpha = 0x30, 0x10
		offset      = 0x7f
	)

	count := max(1, int(record[compactSharing]&sharedMost))
	next := record[compactNext]

	for i := range count {
		one := *s
		one.gauge.number += byte(i)

		if next&instances != 0 {
			one.Instance += byte(i)
		}

		if count > 1 && one.Name != "" {
			number := int(next&offset) + i

			if record[compactSharing]&kind == alpha {
				one.Name += alphabetic(number)
			} else {
				one.Name += fmt.Sprint(number)
			}
		}

		all = append(all, one)
	}

	return all
}

// alphabetic counts A to Z, AA, AB …
func alphabetic(n int) string {
	const all = 26

	if n < all {
		return string(rune('A' + n))
	}

	return alphabetic(n/all-1) + alphabetic(n%all)
}

// Read asks the BMC what the sensor tells. States come from the state bytes of the answer
// (§35.14), never from the comparison with thresholds, which the same bytes hold for other
// sensors.
func (s *SensorRecord) Read(bmc BMC) (Reading, error) {
	const scanning, unavailable = 1 << 6, 1 << 5

	r := Reading{Value: math.NaN()}

	answer, err := ask(bmc, Sensor, getSensorReading, s.gauge.number)
	if err != nil {
		return r, fmt.Errorf("reading the BMC's sensor %q: %w", s.Name, err)
	}

	if len(answer) < 2 || answer[1]&scanning == 0 || answer[1]&unavailable != 0 {
		return r, nil
	}

	if s.Unit != "" {
		r.Known, r.Value = true, s.gauge.value(answer[0])
	}

	if s.Form != FormThreshold && len(answer) > 2 {
		r.Known, r.States = true, uint16(answer[2])

		if len(answer) > 3 {
			r.States |= uint16(answer[3]&0x7f) << 8
		}
	}

	return r, nil
}

// ReadLimits asks for the thresholds in force, which may be others than those of the
// record; those of the record where the BMC does not say.
func (s *SensorRecord) ReadLimits(bmc BMC) Limits {
	const whole = 7

	if s.Form != FormThreshold || s.Unit == "" {
		return NoLimits()
	}

	answer, err := ask(bmc, Sensor, getThresholds, s.gauge.number)
	if err != nil || len(answer) < whole {
		return s.Limits
	}

	// The answer has the lower ones first, non-critical before critical.
	return s.limits(answer[0], []byte{answer[6], answer[5], answer[4], answer[3], answer[2], answer[1]})
}
