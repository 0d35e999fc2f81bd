package ipmi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Unit is what a gauge measures in.
type Unit string

// The units.
const (
	Celsius Unit = "celsius"
	RPM     Unit = "rpm"
)

// Gauge is a thermometer or fan that the BMC itself measures (IPMI 2.0 §43.1: a full
// sensor record).
type Gauge struct {
	Name string // as the board's maker calls it; may be empty
	Unit Unit
	Low  float64 // lower critical threshold; NaN: none
	High float64 // upper critical threshold; NaN: none

	number       byte
	format       byte // of a reading: unsigned, ones' or two's complement
	m, b         int
	exponent, bx int
}

// ReadGauges lists the thermometers and fans that the BMC measures in a straight line.
// It takes a request for each 16 bytes of the BMC's sensor records, which may be a minute
// for all of them. ErrAbsent: there is no BMC.
func ReadGauges(bmc BMC) (gauges []Gauge, err error) {
	err = eachSDR(bmc, func(record []byte) error {
		if g, ok := ParseGauge(record); ok {
			gauges = append(gauges, g)
		}

		return nil
	})

	return gauges, err
}

// Offsets in a full sensor record, from its header on.
const (
	sdrType       = 3
	sdrOwner      = 5
	sdrLUN        = 6
	sdrNumber     = 7
	sdrSensorType = 12
	sdrReadable   = 18 // thresholds that are told: bit 1 lower critical, bit 4 upper critical
	sdrUnits      = 20
	sdrUnit       = 21
	sdrLinear     = 23
	sdrM          = 24
	sdrB          = 26
	sdrExponents  = 29
	sdrHigh       = 37
	sdrLow        = 40
	sdrNameLength = 47
	sdrName       = 48
)

// ParseGauge decodes a sensor record; false: it is of no thermometer or fan that the BMC
// itself reads in a straight line.
func ParseGauge(record []byte) (g Gauge, ok bool) {
	const (
		full, bmcItself             = 1, 0x20
		temperature, fan            = 0x01, 0x04
		celsius, rpm                = 1, 18
		analogue, modifiers         = 0xc0, 0x07 // no analogue reading; per time, percentage
		lowerCritical, upperCritial = 1 << 1, 1 << 4
	)

	if len(record) < sdrName || record[sdrType] != full || record[sdrOwner] != bmcItself || record[sdrLUN]&3 != 0 ||
		record[sdrLinear]&0x7f != 0 || record[sdrUnits]&analogue == analogue || record[sdrUnits]&modifiers != 0 {
		return g, false
	}

	switch [2]byte{record[sdrSensorType], record[sdrUnit]} {
	case [2]byte{temperature, celsius}:
		g.Unit = Celsius
	case [2]byte{fan, rpm}:
		g.Unit = RPM
	default:
		return g, false
	}

	g.number = record[sdrNumber]
	g.line(record)
	g.Name, g.Low, g.High = letters(record, sdrNameLength), math.NaN(), math.NaN()

	if record[sdrReadable]&lowerCritical != 0 {
		g.Low = g.value(record[sdrLow])
	}

	if record[sdrReadable]&upperCritial != 0 {
		g.High = g.value(record[sdrHigh])
	}

	return g, true
}

// line takes in how a full record converts a reading (§43.1).
func (g *Gauge) line(record []byte) {
	g.format = record[sdrUnits] >> 6
	g.m, g.b = tenBits(record[sdrM:]), tenBits(record[sdrB:])
	g.exponent, g.bx = signed(int(record[sdrExponents]>>4), 4), signed(int(record[sdrExponents]&0xf), 4)
}

// letters is a text whose byte of type and length is at a place of a record, where it is
// in letters (§43.15).
func letters(record []byte, at int) string {
	const ascii = 3

	if at >= len(record) || record[at]>>6 != ascii {
		return ""
	}

	length := int(record[at] & 0x1f)

	return printable(record[at+1 : min(at+1+length, len(record))])
}

// printable is a text without padding and what no display shows.
func printable(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}

		return r
	}, string(text)))
}

// tenBits reads a number of two's complement whose two highest bits are those of the
// second byte.
func tenBits(b []byte) int { return signed(int(b[0])|int(b[1]>>6)<<8, 10) }

func signed(n, bits int) int {
	if n >= 1<<(bits-1) {
		n -= 1 << bits
	}

	return n
}

// value converts a reading (§36.3).
func (g *Gauge) value(raw byte) float64 {
	const onesComplement, twosComplement = 1, 2

	n := int(raw)

	switch g.format {
	case onesComplement:
		if n = signed(n, 8); n < 0 {
			n++
		}
	case twosComplement:
		n = signed(n, 8)
	}

	return (float64(g.m*n) + float64(g.b)*math.Pow10(g.bx)) * math.Pow10(g.exponent)
}

// Read asks the BMC for the value; NaN where it measures nothing now.
func (g *Gauge) Read(bmc BMC) (float64, error) {
	const scanning, unavailable = 1 << 6, 1 << 5

	answer, err := ask(bmc, Sensor, getSensorReading, g.number)
	if err != nil {
		return math.NaN(), fmt.Errorf("reading the BMC's sensor %q: %w", g.Name, err)
	}

	if len(answer) < 2 || answer[1]&scanning == 0 || answer[1]&unavailable != 0 {
		return math.NaN(), nil
	}

	return g.value(answer[0]), nil
}

// How often a reservation that was taken away is made anew, and the code that says so
// (table 5-2).
const (
	maxLost   = 64
	cancelled = 0xc5
)

// eachSDR reads all sensor records (§33).
func eachSDR(bmc BMC, take func(record []byte) error) error {
	if _, err := ask(bmc, Storage, getSDRInfo); err != nil {
		return err
	}

	answer, err := ask(bmc, Storage, reserveSDR)
	if err != nil || len(answer) < 2 {
		return err
	}

	reservation := binary.LittleEndian.Uint16(answer)

	for id, n, lost := uint16(0), 0, 0; id != lastRecord && n < maxRecords; n++ {
		record, next, err := readSDR(bmc, reservation, id)

		// Whoever else reads records takes the reservation away: the sidecar, a monitor.
		if code := (*CodeError)(nil); errors.As(err, &code) && code.Code == cancelled && lost < maxLost {
			lost++

			if answer, err = ask(bmc, Storage, reserveSDR); err == nil && len(answer) >= 2 {
				reservation = binary.LittleEndian.Uint16(answer)

				continue
			}
		}

		if err != nil {
			return err
		}

		if err := take(record); err != nil {
			return err
		}

		id = next
	}

	return nil
}
