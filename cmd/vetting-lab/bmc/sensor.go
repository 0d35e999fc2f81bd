package bmc

import (
	"encoding/binary"
	"slices"
	"time"

	"vetting/agent/ipmi"
)

// sensor answers Get Sensor Reading and Get Sensor Thresholds (§35.9, §35.14).
func (b *BMC) sensor(req ipmi.Request) []byte {
	const reading, thresholds = 0x2d, 0x27

	if len(req.Data) < 1 {
		return []byte{noSuchLength}
	}

	number := req.Data[0]

	i := slices.IndexFunc(b.records, func(r []byte) bool { return r[3] != 0x11 && r[7] == number })
	if i < 0 {
		return []byte{notPresent}
	}

	switch req.Command {
	case reading:
		return b.reading(number)
	case thresholds:
		r := b.records[i]
		if r[3] != 0x01 {
			return []byte{invalidCommand}
		}

		return []byte{okay, r[18], r[41], r[40], r[39], r[38], r[37], r[36]}
	default:
		return []byte{invalidCommand}
	}
}

// reading answers what a sensor tells now. Bits 6 and 7 of the second byte: scanning, and
// events are on; bit 5: there is nothing to be read.
func (b *BMC) reading(number byte) []byte {
	const scanning, unavailable = 0xc0, 0xe0

	if b.begun.IsZero() && (number == numberStatus || number == numberStatus+1) {
		b.begun = time.Now()
	}

	b.happen()

	p := b.power()

	switch number {
	case numberRedundancy:
		return []byte{okay, 0, scanning, choose(p.Lost, 1<<1, choose(p.Degraded, 1<<2, 1<<0)), 0x80}
	case numberRail:
		return []byte{okay, volts().raw(p.Rail), scanning, 0xc0}
	case numberInlet:
		return []byte{okay, celsius().raw(p.Inlet), scanning, 0xc0}
	}

	s := &p.Supplies[number&1]

	switch {
	case s.Mute || s.Absent && number&^1 != numberStatus:
		return []byte{okay, 0, unavailable, 0, 0x80}
	case number&^1 == numberStatus:
		return []byte{okay, 0, scanning, s.states(), 0x80}
	case number&^1 == numberInput:
		return []byte{okay, watts().raw(s.Input), scanning, 0xc0}
	case number&^1 == numberOutput:
		return []byte{okay, watts().raw(s.Output), scanning, 0xc0}
	case number&^1 == numberInputVolts:
		return []byte{okay, mains().raw(s.InputVolts), scanning, 0xc0}
	default:
		return []byte{okay, volts().raw(s.Volts), scanning, 0xc0}
	}
}

func choose(first bool, a, b byte) byte {
	if first {
		return a
	}

	return b
}

// states are the state bits of a supply (table 42-3, sensor type 08h).
func (s *Supply) states() (bits byte) {
	for i, on := range []bool{!s.Absent, s.Failed, s.Predicted, s.InputLost, false, s.InputOut, s.Misplaced} {
		if on {
			bits |= 1 << i
		}
	}

	return bits
}

// happen writes into the log of events what has come to the supplies since it was looked
// at last (§32.1).
func (b *BMC) happen() {
	p := b.power()

	for i := range b.status {
		now := p.Supplies[i].states()

		for bit := range byte(7) {
			if now&^b.status[i]&(1<<bit) == 0 || bit == 0 {
				continue
			}

			b.added = time.Now()

			e := binary.LittleEndian.AppendUint16(nil, uint16(len(b.events)+1))
			e = binary.LittleEndian.AppendUint32(append(e, 0x02), uint32(b.added.Unix()))
			b.events = append(b.events, append(e, 0x20, 0x00, 0x04, 0x08, numberStatus+byte(i), 0x6f, bit, 0xff, 0xff))
		}

		b.status[i] = now
	}
}

// event answers Get SEL Entry (§31.5).
func (b *BMC) event(data []byte) []byte {
	const last = 0xffff

	if len(data) < 6 || len(b.events) == 0 {
		return []byte{notPresent}
	}

	id := int(binary.LittleEndian.Uint16(data[2:]))

	switch {
	case id == 0:
		id = 1
	case id == last:
		id = len(b.events)
	case id > len(b.events):
		return []byte{notPresent}
	}

	next := uint16(last)
	if id < len(b.events) {
		next = uint16(id + 1)
	}

	return append(binary.LittleEndian.AppendUint16([]byte{okay}, next), b.events[id-1]...)
}
