package ipmi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The commands used (IPMI 2.0 appendix G).
const (
	getChassisStatus = 0x01
	getSensorReading = 0x2d
	getThresholds    = 0x27
	getDeviceID      = 0x01
	getSelfTest      = 0x04
	getDeviceGUID    = 0x08
	getSystemGUID    = 0x37
	getFRUInfo       = 0x10
	readFRU          = 0x11
	getSDRInfo       = 0x20
	reserveSDR       = 0x22
	getSDR           = 0x23
	getSELInfo       = 0x40
	getSELEntry      = 0x43
	getLAN           = 0x02
	getPower         = 0x02
)

const (
	lastRecord = 0xffff
	maxRecords = 4096 // more than any BMC keeps
	chunk      = 16   // bytes that every BMC gives at once
	maxFRU     = 4096 // bytes
)

// Survey asks a BMC everything that this package can ask, and throws the answers
// away: it is for a Recorder to hear. The error joins what was refused for other
// reasons than that the BMC does not know the command.
func Survey(bmc BMC) error {
	if _, err := ReadDevice(bmc); err != nil {
		return err
	}

	for _, req := range []Request{
		{App, getSelfTest, nil},
		{App, getDeviceGUID, nil},
		{App, getSystemGUID, nil},
		{Chassis, getChassisStatus, nil},
		{Group, getPower, []byte{0xdc, 1, 0, 0}},
	} {
		if _, err := bmc.Do(req); err != nil {
			return fmt.Errorf("asking the BMC: %w", err)
		}
	}

	ReadMAC(bmc)

	return errors.Join(surveySensors(bmc), surveyEvents(bmc), surveyFRU(bmc))
}

// surveySensors reads the sensor data records, and each sensor once.
func surveySensors(bmc BMC) error {
	return eachSDR(bmc, func(record []byte) error {
		if i, ok := ParseInventory(record); ok {
			// A FRU that is not there has no information.
			if _, err := readFRUData(bmc, i.Device); err != nil {
				if _, refused := errors.AsType[*CodeError](err); !refused && !errors.Is(err, ErrShort) {
					return err
				}
			}

			return nil
		}

		// Full and compact records are of sensors; the number is byte 7.
		if len(record) <= 8 || record[sdrType] != 1 && record[sdrType] != 2 {
			return nil
		}

		for _, command := range []byte{getSensorReading, getThresholds} {
			if _, err := bmc.Do(Request{Sensor, command, record[7:8]}); err != nil {
				return err
			}
		}

		return nil
	})
}

// readSDR reads a record whole: its header of five bytes says how long it is.
func readSDR(bmc BMC, reservation, id uint16) (record []byte, next uint16, err error) {
	for length := 5; len(record) < length; {
		n := min(length-len(record), chunk)

		answer, err := ask(bmc, Storage, getSDR, byte(reservation), byte(reservation>>8), byte(id), byte(id>>8), byte(len(record)), byte(n))
		if err != nil {
			return record, lastRecord, err
		}

		if len(answer) < 2+n {
			return record, lastRecord, fmt.Errorf("reading sensor record %d: %w", id, ErrShort)
		}

		if len(record) == 0 {
			length = 5 + int(answer[2+4])
		}

		record, next = append(record, answer[2:2+n]...), binary.LittleEndian.Uint16(answer)
	}

	return record, next, nil
}

// surveyEvents reads the system event log.
func surveyEvents(bmc BMC) error {
	answer, err := ask(bmc, Storage, getSELInfo)
	if err != nil || len(answer) < 3 || binary.LittleEndian.Uint16(answer[1:]) == 0 {
		return err
	}

	for id, n := uint16(0), 0; id != lastRecord && n < maxRecords; n++ {
		answer, err := ask(bmc, Storage, getSELEntry, 0, 0, byte(id), byte(id>>8), 0, 0xff)
		if err != nil || len(answer) < 2 {
			return err
		}

		id = binary.LittleEndian.Uint16(answer)
	}

	return nil
}

// surveyFRU reads the inventory of the BMC's own board, device 0. A BMC without
// one is no error.
func surveyFRU(bmc BMC) error {
	answer, err := ask(bmc, Storage, getFRUInfo, 0)
	if _, refused := errors.AsType[*CodeError](err); refused || err == nil && len(answer) < 2 {
		return nil
	}

	if err != nil {
		return err
	}

	size := min(int(binary.LittleEndian.Uint16(answer)), maxFRU)
	for at := 0; at < size; at += chunk {
		if _, err := ask(bmc, Storage, readFRU, 0, byte(at), byte(at>>8), byte(min(chunk, size-at))); err != nil {
			return err
		}
	}

	return nil
}
