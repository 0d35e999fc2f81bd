package disk

import (
	"encoding/binary"
	"fmt"
)

const logPhyEvents = 0x11

// PhyEvents are the counters that a SATA disk keeps of its link (Serial ATA 3.5
// §13.7.2, general purpose log 11h), by their number.
type PhyEvents map[uint16]uint64

// The counters that are summed up. Which of them a disk keeps is its own choice.
const (
	phyInterfaceCRC = 0x001 // commands that failed on a CRC error of the link
	phyData         = 0x002 // data frames refused, either way
	phyDataIn       = 0x003
	phyDataOut      = 0x004
	phyOther        = 0x005 // other frames refused, either way
	phyOtherIn      = 0x006
	phyOtherOut     = 0x007
	phyLost         = 0x009 // the link went down
	phyCRC          = 0x00b // frames with a wrong CRC, as the disk heard them
	phyDataCRC      = 0x00f
	phyOtherCRC     = 0x012
)

// Errors counts frames damaged on the link. A counter and the two it is the sum of
// count once.
func (e PhyEvents) Errors() uint64 {
	return e[phyInterfaceCRC] + max(e[phyData], e[phyDataIn]+e[phyDataOut]) + max(e[phyOther], e[phyOtherIn]+e[phyOtherOut]) +
		max(e[phyCRC], e[phyDataCRC]+e[phyOtherCRC])
}

// Losses counts how often the link went down for other reasons than to save power.
func (e PhyEvents) Losses() uint64 { return e[phyLost] }

// ReadPhyEvents asks for general purpose log 11h. ErrRefused where the disk does
// not keep it.
func ReadPhyEvents(ata ATA) (PhyEvents, error) {
	reply, err := ata.Do(ATARequest{Command: ataReadLogExt, LBA: logPhyEvents, Count: 1, Ext: true, In: sectorSize})
	if err != nil {
		return nil, fmt.Errorf("reading link counters: %w", err)
	}

	return ParsePhyEvents(reply.Data)
}

// ParsePhyEvents decodes general purpose log 11h: after four bytes, entries of a
// 16-bit identifier, whose bits 12-14 are the words of the value that follows,
// until one is 0. Vendors' own counters (bit 15) are left out.
func ParsePhyEvents(b []byte) (PhyEvents, error) {
	if len(b) < sectorSize {
		return nil, fmt.Errorf("decoding link counters of %d bytes: %w", len(b), ErrShort)
	}

	events, rest := PhyEvents{}, b[4:sectorSize-1] // the last byte is the checksum

	for len(rest) >= 2 {
		id := binary.LittleEndian.Uint16(rest)
		size := 2 * int(id>>12&0x7)

		if id == 0 || size == 0 || size > 8 || 2+size > len(rest) {
			break
		}

		var value [8]byte

		copy(value[:], rest[2:2+size])

		if id&0x8000 == 0 {
			events[id&0xfff] = binary.LittleEndian.Uint64(value[:])
		}

		rest = rest[2+size:]
	}

	return events, nil
}

// SASPhy is one link of a SAS disk, as the disk sees it.
type SASPhy struct {
	Port         uint16 // relative target port: 1 or 2 on a disk with two
	Phy          byte
	Rate         byte   // negotiated logical link rate; 8: 1.5, 9: 3, 10: 6, 11: 12, 12: 22.5 Gbit/s
	Address      uint64 // SAS address of the disk's port
	Attached     uint64 // of what it is plugged into; 0: nothing
	InvalidDword uint32
	Disparity    uint32
	SyncLosses   uint32
	ResetFaults  uint32
}

// Errors adds the four counters up.
func (p SASPhy) Errors() uint64 {
	return uint64(p.InvalidDword) + uint64(p.Disparity) + uint64(p.SyncLosses) + uint64(p.ResetFaults)
}

// ParseSASPhys decodes log page 18h, protocol specific port, of SAS (SPL-4
// §9.2.8.2): a parameter for each port, a descriptor of 48 bytes for each phy.
func ParseSASPhys(page LogPage) (phys []SASPhy) {
	const sas, header, least = 6, 4, 48

	for _, param := range page.Params {
		if len(param.Value) < header || param.Value[0]&0x0f != sas {
			continue
		}

		rest := param.Value[header:]

		for range int(param.Value[3]) {
			if len(rest) < least {
				break
			}

			phys = append(phys, SASPhy{
				Port: param.Code, Phy: rest[1], Rate: rest[5] & 0x0f,
				Address: binary.BigEndian.Uint64(rest[8:]), Attached: binary.BigEndian.Uint64(rest[16:]),
				InvalidDword: binary.BigEndian.Uint32(rest[32:]), Disparity: binary.BigEndian.Uint32(rest[36:]),
				SyncLosses: binary.BigEndian.Uint32(rest[40:]), ResetFaults: binary.BigEndian.Uint32(rest[44:]),
			})

			rest = rest[min(max(4+int(rest[3]), least), len(rest)):]
		}
	}

	return phys
}
