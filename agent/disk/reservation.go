package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Reservation is what a disk says of hosts that share it: SPC-5 §5.14, and the
// reservation report of the NVM command set.
type Reservation struct {
	Registered int  // hosts that have registered a key
	Held       bool // one of them has reserved the disk
}

// None reports whether nobody claims the disk.
func (r Reservation) None() bool { return r.Registered == 0 && !r.Held }

const (
	scsiReserveIn      = 0x5e
	reserveReadKeys    = 0x00
	reserveReadHolder  = 0x01
	reserveLength      = 256
	scsiUnitAttention  = 0x06 // sense key
	reserveHeader      = 8
	reserveKey         = 8
	nvmeReportLength   = 4096
	nvmeReportHeader   = 24
	nvmeCapabilityByte = 31 // of Identify Namespace: RESCAP
)

// ReadReservation asks a SCSI disk by PERSISTENT RESERVE IN. A disk that does not
// know the command has no reservations.
func ReadReservation(dev SCSI) (r Reservation, err error) {
	keys, err := reserveIn(dev, reserveReadKeys)
	if errors.Is(err, ErrRefused) {
		return Reservation{}, nil
	}

	if err != nil {
		return Reservation{}, err
	}

	holder, err := reserveIn(dev, reserveReadHolder)
	if err != nil {
		return Reservation{}, err
	}

	return Reservation{Registered: keys / reserveKey, Held: holder > 0}, nil
}

// reserveIn returns how many bytes of parameters follow the header.
func reserveIn(dev SCSI, action byte) (length int, err error) {
	const what = "reading reservations"

	request := SCSIRequest{CDB: []byte{scsiReserveIn, action, 0, 0, 0, 0, 0, reserveLength >> 8, reserveLength & 0xff, 0}, In: reserveLength}

	reply, err := dev.Execute(request)
	if err == nil && reply.Status != 0 && ParseSense(reply.Sense).Key == scsiUnitAttention {
		reply, err = dev.Execute(request) // it told once that it was reset (SAM-6 §5.14)
	}

	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}

	if reply.Status != 0 {
		sense := ParseSense(reply.Sense)

		return 0, &StatusError{
			What: what, Status: uint16(reply.Status), Key: sense.Key, ASC: sense.ASC, ASCQ: sense.ASCQ, Unsupp: sense.Key == 0x05,
		}
	}

	return ParseReserveIn(reply.Data)
}

// ParseReserveIn decodes the header of READ KEYS and READ RESERVATION: how many bytes
// follow it.
func ParseReserveIn(b []byte) (length int, err error) {
	if len(b) < reserveHeader {
		return 0, fmt.Errorf("decoding reservations of %d bytes: %w", len(b), ErrShort)
	}

	return int(min(binary.BigEndian.Uint32(b[4:]), 1<<24)), nil
}

// NVMeReserver is an NVMe that can also send the one I/O command which asks for
// reservations.
type NVMeReserver interface {
	NVMe
	// ReservationReport returns In bytes of the report of the disk's namespace.
	ReservationReport(length int) (NVMeReply, error)
}

// ReadNVMeReservation asks an NVMe disk, where it says that it knows reservations at
// all.
func ReadNVMeReservation(dev NVMe) (Reservation, error) {
	data, err := admin(dev, "identifying NVMe namespace", NVMeRequest{Opcode: nvmeIdentify, Namespaced: true, In: nvmePageSize})
	if err != nil {
		return Reservation{}, err
	}

	if len(data) <= nvmeCapabilityByte {
		return Reservation{}, fmt.Errorf("decoding NVMe namespace of %d bytes: %w", len(data), ErrShort)
	}

	if data[nvmeCapabilityByte] == 0 {
		return Reservation{}, nil
	}

	reserver, ok := dev.(NVMeReserver)
	if !ok {
		return Reservation{}, fmt.Errorf("reading NVMe reservations: no way to ask: %w", ErrRefused)
	}

	reply, err := reserver.ReservationReport(nvmeReportLength)
	if err != nil {
		return Reservation{}, fmt.Errorf("reading NVMe reservations: %w", err)
	}

	if reply.Status != 0 {
		return Reservation{}, &StatusError{What: "reading NVMe reservations", Status: reply.Status}
	}

	return ParseNVMeReservation(reply.Data)
}

// ParseNVMeReservation decodes the reservation status data structure (NVM command
// set 1.0, figure 88).
func ParseNVMeReservation(b []byte) (Reservation, error) {
	if len(b) < nvmeReportHeader {
		return Reservation{}, fmt.Errorf("decoding NVMe reservations of %d bytes: %w", len(b), ErrShort)
	}

	return Reservation{Held: b[4] != 0, Registered: int(binary.LittleEndian.Uint16(b[5:]))}, nil
}
