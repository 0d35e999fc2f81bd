package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// ocpGUID is how log page C0h says that it is the one of the Datacenter NVMe SSD
// specification of the Open Compute Project (AFD514C9-7C6F-4F9C-A4F2-BFEA2810AFC5), least
// byte first.
func ocpGUID() []byte {
	return []byte{0xc5, 0xaf, 0x10, 0x28, 0xea, 0xbf, 0xf2, 0xa4, 0x9c, 0x4f, 0x6f, 0x7c, 0xc9, 0x14, 0xd5, 0xaf}
}

// OCPHealth is log page C0h of drives for data centres, SMART / Health Information
// Extended (OCP Datacenter NVMe SSD specification 2.0 §4.8.5), as far as it is judged.
// Counters are of the drive's life.
type OCPHealth struct {
	BadUserBlocks   uint64 // NAND blocks retired
	BadSystemBlocks uint64
	UserBlocks      int    // health of the user blocks, per cent: 100 when new, 0 when no spare is left
	SystemBlocks    int    // and of those that hold the drive's own data
	XORRecoveries   uint64 // times that data had to be put together from the other dies
	Uncorrectable   uint64 // reads that no means could correct
	EndToEnd        uint32 // errors on the way through the drive: detected
	EndToEndLost    uint32 // … and not corrected
	SystemUsed      int    // wear of the blocks of the drive's own data, per cent
	Throttles       byte   // times that it slowed itself down on account of heat; begins again after 255
	Throttling      bool   // it does so now
	LinkErrors      uint64 // correctable ones of PCI Express
	Retrains        uint64 // times that its link was trained again; 0 before log page version 3
	BrokenShutdowns uint32 // in which the capacitors did not last
	Capacitor       int    // energy beyond what a shutdown takes, per cent of that when new
	HasCapacitor    bool
}

// ParseOCPHealth decodes log page C0h. ErrRefused where the page is somebody else's.
func ParseOCPHealth(b []byte) (h OCPHealth, err error) {
	const (
		size           = 512
		guid           = 496
		version        = 494
		retrainVersion = 3
		noCapacitor    = 0xffff
		perCent        = 100
	)

	if len(b) < size {
		return h, fmt.Errorf("decoding OCP health of %d bytes: %w", len(b), ErrShort)
	}

	if !bytes.Equal(b[guid:size], ocpGUID()) {
		return h, fmt.Errorf("decoding OCP health: GUID %x: %w", b[guid:size], ErrRefused)
	}

	six := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) & (1<<48 - 1) }
	two := func(at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
	long := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	short := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

	h = OCPHealth{
		BadUserBlocks: six(32), UserBlocks: min(two(38), perCent), BadSystemBlocks: six(40), SystemBlocks: min(two(46), perCent),
		XORRecoveries: long(48), Uncorrectable: long(56), SystemUsed: int(b[80]),
		Throttles: b[96], Throttling: b[97] != 0, LinkErrors: long(104), BrokenShutdowns: short(112),
		Capacitor: two(128), HasCapacitor: two(128) != noCapacitor,
	}

	// Detected and corrected ones; drives and tools disagree about which comes first. No
	// drive corrects more than it detects.
	one, other := short(72), short(76)
	h.EndToEnd, h.EndToEndLost = max(one, other), max(one, other)-min(one, other)

	if two(version) >= retrainVersion {
		h.Retrains = long(192)
	}

	return h, nil
}

// ReadOCPHealth asks for log page C0h. ErrRefused where the drive has none of this kind.
func ReadOCPHealth(dev NVMe) (OCPHealth, error) {
	data, err := admin(dev, "reading OCP health log", logRequest(logNVMeOCP, nvmeOCPSize))
	if err != nil {
		return OCPHealth{}, err
	}

	return ParseOCPHealth(data)
}
