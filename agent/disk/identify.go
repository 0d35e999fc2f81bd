package disk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// ATAIdentity is the part of IDENTIFY DEVICE (ACS-4 §7.13) that the product uses.
type ATAIdentity struct {
	Model         string
	Serial        string
	Firmware      string
	WWN           string // 16 hex digits, or empty
	Sectors       uint64
	LogicalBlock  int
	PhysBlock     int
	Rotational    bool
	RPM           int  // 0: unknown or none
	SMART         bool // supported
	SMARTOn       bool
	SelfTest      bool
	Logs          bool // general purpose logging
	HPA           bool // host protected area: READ NATIVE MAX ADDRESS EXT
	DCO           bool // device configuration overlay: DEVICE CONFIGURATION IDENTIFY
	AMAC          bool // accessible max address: GET NATIVE MAX ADDRESS EXT
	Locked        bool // security: every access to the medium fails
	Frozen        bool
	ChecksumValid bool // true also for disks that carry none
	Shingled      Shingling
	Trim          bool // it knows DATA SET MANAGEMENT with TRIM
}

// ParseIdentify decodes the 512 bytes of IDENTIFY DEVICE.
func ParseIdentify(b []byte) (ATAIdentity, error) {
	if len(b) < sectorSize {
		return ATAIdentity{}, fmt.Errorf("decoding ATA identity of %d bytes: %w", len(b), ErrShort)
	}

	word := func(n int) uint16 { return binary.LittleEndian.Uint16(b[2*n:]) }

	if word(0)&0x8000 != 0 {
		return ATAIdentity{}, fmt.Errorf("decoding ATA identity: a packet device: %w", ErrRefused)
	}

	id := ATAIdentity{
		Serial:   ataString(b[20:40]),
		Firmware: ataString(b[46:54]),
		Model:    ataString(b[54:94]),
		Sectors:  sectorsOf(b),
	}

	id.LogicalBlock, id.PhysBlock = blockSizes(word(106), uint32(word(117))|uint32(word(118))<<16)

	// Words 82-87 are valid when bit 14 is set and bit 15 is clear.
	if word(83)>>14 == 1 {
		id.SMART = word(82)&1 != 0
	}

	if word(87)>>14 == 1 {
		id.SMARTOn = word(85)&1 != 0
		id.SelfTest = word(87)&2 != 0 || word(84)&2 != 0
		id.Logs = word(87)&0x20 != 0 || word(84)&0x20 != 0

		// No-name disks say that they have a name and leave it empty.
		if word(87)&0x100 != 0 && word(108)|word(109)|word(110)|word(111) != 0 {
			id.WWN = fmt.Sprintf("%04x%04x%04x%04x", word(108), word(109), word(110), word(111))
		}
	}

	// Words 85 and 86 tell what is switched on, word 119 (as word 83) what there is.
	id.HPA = word(87)>>14 == 1 && word(85)&0x400 != 0 && word(86)&0x400 != 0
	id.DCO = word(83)>>14 == 1 && word(83)&0x800 != 0
	id.AMAC = word(119)>>14 == 1 && word(119)&0x100 != 0
	id.Rotational, id.RPM = rotation(word(217))
	id.Locked, id.Frozen = word(128)&4 != 0, word(128)&8 != 0
	id.ChecksumValid = b[510] != 0xa5 || sum(b[:sectorSize]) == 0
	id.Shingled, id.Trim = zonedField(byte(word(69)&3)), word(169)&1 != 0 && word(169) != 0xffff

	return id, nil
}

func sectorsOf(b []byte) uint64 {
	word83 := binary.LittleEndian.Uint16(b[166:])
	if word83>>14 == 1 && word83&0x400 != 0 { // 48-bit addresses
		if n := binary.LittleEndian.Uint64(b[200:]) & 0xffffffffffff; n != 0 {
			return n
		}
	}

	return uint64(binary.LittleEndian.Uint32(b[120:]))
}

// blockSizes decodes words 106 (sizes) and 117-118 (words per logical sector).
func blockSizes(sizes uint16, words uint32) (logical, physical int) {
	logical = sectorSize

	if sizes>>14 != 1 {
		return logical, logical
	}

	if sizes&0x1000 != 0 && words >= 256 && words <= 1<<20 {
		logical = int(words) * 2
	}

	physical = logical
	if sizes&0x2000 != 0 {
		physical = logical << (sizes & 0x0f)
	}

	return logical, physical
}

// rotation decodes the nominal media rotation rate, word 217, which VPD page B1h
// shares: 1 is a solid-state disk.
func rotation(rate uint16) (rotational bool, rpm int) {
	switch {
	case rate == 1:
		return false, 0
	case rate >= 0x401 && rate <= 0xfffe:
		return true, int(rate)
	default:
		return true, 0 // not reported: the kernel assumes a rotating disk as well
	}
}

// ataString swaps the bytes of each word and trims padding. What is not printable
// is dropped, so that no control character reaches a terminal or a page.
func ataString(b []byte) string {
	swapped := make([]byte, 0, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		swapped = append(swapped, b[i+1], b[i])
	}

	return Text(swapped)
}

// Text makes a fixed field of a device readable: printable ASCII only, without
// padding.
func Text(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}

		return r
	}, string(b)))
}

func sum(b []byte) (total byte) {
	for _, c := range b {
		total += c
	}

	return total
}
