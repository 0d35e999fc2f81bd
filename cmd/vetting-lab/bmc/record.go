package bmc

import (
	"math"
	"slices"
)

// Numbers of the sensors. Those of the second supply are one higher.
const (
	numberStatus     = 0x10
	numberRedundancy = 0x18
	numberInput      = 0x20
	numberOutput     = 0x22
	numberInputVolts = 0x24
	numberVolts      = 0x26
	numberRail       = 0x30
	numberInlet      = 0x31
)

// scale converts a value of a full sensor record: m × raw × 10^exponent.
type scale struct {
	m        byte
	exponent int
}

func (s scale) raw(v float64) byte {
	return byte(max(0, min(255, math.Round(v/(float64(s.m)*math.Pow10(s.exponent))))))
}

// The scales of the sensors.
func watts() scale   { return scale{4, 0} }
func volts() scale   { return scale{6, -2} }
func mains() scale   { return scale{2, 0} }
func celsius() scale { return scale{1, 0} }

// limits are thresholds of a full sensor record, in its unit; 0: none.
type limits struct{ low, lowWarn, highWarn, high float64 }

// full is a full sensor record with thresholds (IPMI 2.0 §43.1).
func full(number, entity, instance, kind, unit byte, name string, s scale, l limits) []byte {
	r := make([]byte, 48, 64)
	r[2], r[3], r[4] = 0x51, 0x01, byte(43+len(name))
	r[5], r[7], r[8], r[9] = 0x20, number, entity, instance
	r[10], r[11] = 0x7f, 0x68
	r[12], r[13] = kind, 0x01
	r[21] = unit
	r[24] = s.m
	r[29] = byte(s.exponent&0xf) << 4

	for _, t := range []struct {
		bit, at int
		value   float64
	}{{4, 37, l.high}, {3, 38, l.highWarn}, {1, 40, l.low}, {0, 41, l.lowWarn}} {
		if t.value > 0 {
			r[18] |= 1 << t.bit
			r[t.at] = s.raw(t.value)
		}
	}

	r[47] = 0xc0 | byte(len(name))

	return append(r, name...)
}

// compact is a compact sensor record of states (§43.2), of one sensor.
func compact(number, entity, instance, kind, form byte, states uint16, name string) []byte {
	r := make([]byte, 32, 48)
	r[2], r[3], r[4] = 0x51, 0x02, byte(27+len(name))
	r[5], r[7], r[8], r[9] = 0x20, number, entity, instance
	r[10], r[11] = 0x67, 0x40
	r[12], r[13] = kind, form
	r[18], r[19] = byte(states), byte(states>>8)
	r[20] = 0xc0 // no analogue reading
	r[23] = 1
	r[31] = 0xc0 | byte(len(name))

	return append(r, name...)
}

// locator is a FRU device locator record (§43.8).
func locator(device, entity, instance byte, name string) []byte {
	r := make([]byte, 16, 32)
	r[2], r[3], r[4] = 0x51, 0x11, byte(11+len(name))
	r[5], r[6], r[7] = 0x20, device, 0x80
	r[10] = 0x10 // FRU inventory device
	r[12], r[13] = entity, instance
	r[15] = 0xc0 | byte(len(name))

	return append(r, name...)
}

// records are all sensor data records of the controller, with their numbers filled in.
func records() [][]byte {
	const (
		supply, board, power, inlet = 0x0a, 0x07, 0x15, 0x37
		typeTemperature, typeVolts  = 0x01, 0x02
		typeSupply, typeUnit        = 0x08, 0x09
		typeOther                   = 0x0b
		unitC, unitV, unitW         = 1, 4, 6
		own, redundancy             = 0x6f, 0x0b
	)

	var all [][]byte

	for i, name := range []string{"PSU1", "PSU2"} {
		n, instance := byte(i), byte(i+1)
		all = append(all,
			compact(numberStatus+n, supply, instance, typeSupply, own, 0x7f, name+" Status"),
			full(numberInput+n, supply, instance, typeOther, unitW, name+" PIN", watts(), limits{}),
			full(numberOutput+n, supply, instance, typeOther, unitW, name+" POUT", watts(), limits{}),
			full(numberInputVolts+n, supply, instance, typeVolts, unitV, name+" VIN", mains(), limits{low: 90, high: 264}),
			full(numberVolts+n, supply, instance, typeVolts, unitV, name+" VOUT", volts(), limits{low: 10.8, lowWarn: 11.4, highWarn: 12.6, high: 13.2}),
			locator(1+n, supply, instance, name+" FRU"),
		)
	}

	all = append(all,
		compact(numberRedundancy, power, 1, typeUnit, redundancy, 0xff, "PS Redundancy"),
		full(numberRail, board, 1, typeVolts, unitV, "12V", volts(), limits{}),
		full(numberInlet, inlet, 1, typeTemperature, unitC, "Inlet Temp", celsius(), limits{}),
	)

	for i := range all {
		all[i][0] = byte(i + 1)
	}

	return all
}

// information is what a supply says of itself (FRU Information Storage Definition 1.3):
// a product area, and the record of a power supply with its capacity.
func information(maker, model, part, version, serial string) []byte {
	const capacity = 24

	product := []byte{1, 0, 0}
	for _, text := range []string{maker, model, part, version, serial} {
		product = append(append(product, 0xc0|byte(len(text))), text...)
	}

	product = append(product, 0xc1)
	for len(product)%8 != 7 {
		product = append(product, 0)
	}

	product[1] = byte(len(product)+1) / 8
	product = closed(product)

	record := make([]byte, capacity)
	record[0], record[1] = Watts&0xff, Watts>>8

	header := closed([]byte{0x00, 0x82, capacity, -sum(record)})

	return slices.Concat(closed([]byte{1, 0, 0, 0, 1, byte(1 + len(product)/8), 0}), product, header, record)
}

// closed appends the checksum with which all bytes add up to 0.
func closed(b []byte) []byte { return append(b, -sum(b)) }

func sum(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}

	return s
}
