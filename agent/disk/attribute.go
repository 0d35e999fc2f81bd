package disk

import (
	"encoding/binary"
	"fmt"
)

// Attribute is one line of the SMART data of an ATA disk. What Raw means is the
// vendor's business; see its methods.
type Attribute struct {
	ID        byte
	Flags     uint16
	Value     byte
	Worst     byte
	Threshold byte // 0: none
	Raw       uint64
}

// PreFail reports whether crossing the threshold predicts a failure within a day,
// rather than the end of the disk's design life.
func (a Attribute) PreFail() bool { return a.Flags&1 != 0 }

// Failing reports whether the normalised value has crossed the threshold now.
// FDh to FFh and 00h are not valid values.
func (a Attribute) Failing() bool {
	return a.Threshold > 0 && a.Threshold < 0xfe && a.Value > 0 && a.Value <= a.Threshold
}

// Low8 is the raw value of attributes that pack minimum and maximum above it
// (190, 194: QEMU's raw 522125343 is 31 °C).
func (a Attribute) Low8() int { return int(a.Raw & 0xff) }

// Low16 is the raw value of attributes that pack three counters (188).
func (a Attribute) Low16() int { return int(a.Raw & 0xffff) }

// Low32 is the raw value of counters above which some disks pack others (5, 9).
func (a Attribute) Low32() int { return int(a.Raw & 0xffffffff) }

// ATASMART is the SMART data of an ATA disk (ACS-3 §7.48.6).
type ATASMART struct {
	Attributes      []Attribute
	TestStatus      byte // high nibble result, low nibble tenths remaining
	ShortMinutes    int  // recommended polling time of the short self-test
	ExtendedMinutes int  // … and of the extended one; 0: not told
	SelfTest        bool // offline capability: self-tests
	ChecksumValid   bool
}

// Attribute returns the attribute with the id.
func (s ATASMART) Attribute(id byte) (Attribute, bool) {
	for _, a := range s.Attributes {
		if a.ID == id {
			return a, true
		}
	}

	return Attribute{}, false
}

// TestRunning reports whether a self-test is under way and the part left, 0..1.
func (s ATASMART) TestRunning() (left float64, running bool) {
	return float64(s.TestStatus&0x0f) / 10, s.TestStatus>>4 == 0x0f
}

// ParseSMART decodes SMART READ DATA and, where thresholds has 512 bytes, SMART
// READ THRESHOLDS.
func ParseSMART(data, thresholds []byte) (ATASMART, error) {
	if len(data) < sectorSize {
		return ATASMART{}, fmt.Errorf("decoding SMART data of %d bytes: %w", len(data), ErrShort)
	}

	limits := map[byte]byte{}

	for i := 2; i+12 <= 362 && len(thresholds) >= sectorSize; i += 12 {
		limits[thresholds[i]] = thresholds[i+1]
	}

	smart := ATASMART{
		TestStatus:    data[363],
		SelfTest:      data[367]&0x10 != 0,
		ShortMinutes:  int(data[372]),
		ChecksumValid: sum(data[:sectorSize]) == 0,
	}

	// Times of 255 minutes and more have a word of their own.
	if smart.ExtendedMinutes = int(data[373]); smart.ExtendedMinutes == 0xff {
		smart.ExtendedMinutes = int(binary.LittleEndian.Uint16(data[375:]))
	}

	for i := 2; i+12 <= 362; i += 12 {
		entry := data[i : i+12]
		if entry[0] == 0 {
			continue
		}

		smart.Attributes = append(smart.Attributes, Attribute{
			ID: entry[0], Flags: binary.LittleEndian.Uint16(entry[1:]), Value: entry[3], Worst: entry[4],
			Threshold: limits[entry[0]], Raw: uint64(binary.LittleEndian.Uint32(entry[5:])) | uint64(binary.LittleEndian.Uint16(entry[9:]))<<32,
		})
	}

	return smart, nil
}
