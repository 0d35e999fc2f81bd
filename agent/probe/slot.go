package probe

import (
	"errors"
	"fmt"

	"vetting/agent/disk"
	"vetting/core"
)

// nvmeSlots is how many firmware slots an NVMe controller may have.
const nvmeSlots = 7

// errNoSlot is of a controller that says that no firmware runs on it.
var errNoSlot = errors.New("no slot is active")

// FirmwareSlots is what log page 03h of an NVMe controller tells (NVMe 2.0 §5.16.1.4).
type FirmwareSlots struct {
	Active    int // slot whose firmware runs, from 1
	Next      int // slot that is taken at the next reset; 0: the same
	Revisions [nvmeSlots]string
}

// Pending returns the firmware that the next reset brings in place of the one that
// runs; empty: none, or the same.
func (s FirmwareSlots) Pending() string {
	if s.Next == 0 || s.Next == s.Active || s.Revisions[s.Next-1] == s.Revisions[s.Active-1] {
		return ""
	}

	return s.Revisions[s.Next-1]
}

// ParseFirmwareSlots reads log page 03h. An error: it is too short, or names slots
// that there are not.
func ParseFirmwareSlots(b []byte) (s FirmwareSlots, err error) {
	const first, width = 8, 8

	if len(b) < first+nvmeSlots*width {
		return s, fmt.Errorf("reading NVMe firmware slots: %d bytes: %w", len(b), disk.ErrShort)
	}

	s.Active, s.Next = int(b[0]&0x7), int(b[0]>>4&0x7)
	if s.Active == 0 {
		return FirmwareSlots{}, fmt.Errorf("reading NVMe firmware slots: %w", errNoSlot)
	}

	for i := range s.Revisions {
		s.Revisions[i] = disk.Text(b[first+i*width : first+(i+1)*width])
	}

	return s, nil
}

// firmwareSlots asks the controller of an NVMe disk.
func (m Machine) firmwareSlots(d *Drive) (s FirmwareSlots, err error) {
	const getLog, page, length = 0x02, 0x03, 512

	dev, err := m.Bus.NVMe(d.Name)
	if err != nil {
		return s, fmt.Errorf("reading the firmware slots of %s: %w", d.Name, err)
	}

	defer dev.Close() //nolint:errcheck // opened for reading

	reply, err := dev.Admin(disk.NVMeRequest{Opcode: getLog, NSID: 0xffffffff, CDW10: page | (length/4-1)<<16, In: length})

	switch {
	case err != nil:
		return s, fmt.Errorf("reading the firmware slots of %s: %w", d.Name, err)
	case reply.Status&0x7ff != 0:
		return s, fmt.Errorf("reading the firmware slots of %s: %w", d.Name, disk.ErrRefused)
	default:
		return ParseFirmwareSlots(reply.Data)
	}
}

// SlotsOf is the firmware slots of one disk.
type SlotsOf struct {
	Part core.Part

	FirmwareSlots
}

// FirmwareSlots lists the firmware slots of the NVMe disks that tell them.
func (m Machine) FirmwareSlots() (list []SlotsOf) {
	drives, _ := m.Disks() //nolint:errcheck // InventoryCheck says which disks do not answer

	for i := range drives {
		if drives[i].Language != SpeaksNVMe {
			continue
		}

		if slots, err := m.firmwareSlots(&drives[i]); err == nil {
			list = append(list, SlotsOf{DiskPart(drives[i].Disk), slots})
		}
	}

	return list
}
