package disk

import (
	"encoding/binary"
	"fmt"
)

// Outcome says how a self-test ended, in words common to ATA, NVMe and SCSI.
type Outcome string

// The outcomes of a self-test.
const (
	TestPassed  Outcome = "completed without error"
	TestAborted Outcome = "aborted"
	TestFailed  Outcome = "failed"
	TestBroken  Outcome = "could not be completed" // fatal or unknown error of the test itself
	TestRunning Outcome = "running"
)

// Length says how thorough a self-test is: a short one looks at the electronics and a
// part of the medium, an extended one reads all of it.
type Length string

// The lengths of self-tests.
const (
	ShortTest    Length = "short"
	ExtendedTest Length = "extended"
)

// SelfTest is one line of a disk's self-test log.
type SelfTest struct {
	Outcome Outcome
	Code    byte   // the device's own result code
	Length  Length // empty: of another kind, as conveyance or the vendor's own
	Hours   uint64 // power-on hours when it ended
	LBA     uint64 // first failing block, when HasLBA
	HasLBA  bool
}

// lengthOf tells a test by its number, which ATA, NVMe and SCSI have in common.
func lengthOf(number byte) Length {
	switch number {
	case 1:
		return ShortTest
	case 2:
		return ExtendedTest
	default:
		return ""
	}
}

// ParseATASelfTests decodes the SMART self-test log (ACS-3 §A.14), the latest
// test first.
func ParseATASelfTests(b []byte) ([]SelfTest, error) {
	const entries, entrySize = 21, 24

	if len(b) < sectorSize {
		return nil, fmt.Errorf("decoding self-test log of %d bytes: %w", len(b), ErrShort)
	}

	latest := int(b[508])
	if latest == 0 || latest > entries {
		return nil, nil
	}

	tests := make([]SelfTest, 0, entries)

	for i := range entries {
		entry := b[2+((latest-1-i+entries)%entries)*entrySize:][:entrySize]
		if entry[0] == 0 && entry[1] == 0 && binary.LittleEndian.Uint16(entry[2:]) == 0 {
			break
		}

		test := SelfTest{
			Code: entry[1] >> 4, Length: lengthOf(entry[0] & 0x7f), // captive or not
			Hours: uint64(binary.LittleEndian.Uint16(entry[2:])),
		}
		test.Outcome = ATAOutcome(test.Code)

		if lba := binary.LittleEndian.Uint32(entry[5:]); test.Outcome == TestFailed && lba != 0xffffffff {
			test.LBA, test.HasLBA = uint64(lba), true
		}

		tests = append(tests, test)
	}

	return tests, nil
}

// extSelfTests is how many entries a page of the extended self-test log has.
const extSelfTests = 19

// ParseATAExtSelfTests decodes a page of general purpose log 07h (ACS-4 §9.10), whose
// entry number latest, from 1, is the latest test, down to its first entry.
func ParseATAExtSelfTests(b []byte, latest int) ([]SelfTest, error) {
	const entrySize = 26

	if len(b) < sectorSize {
		return nil, fmt.Errorf("decoding extended self-test log of %d bytes: %w", len(b), ErrShort)
	}

	if latest > extSelfTests {
		return nil, fmt.Errorf("decoding extended self-test log: entry %d: %w", latest, ErrRefused)
	}

	var tests []SelfTest

	for i := latest - 1; i >= 0; i-- {
		entry := b[4+i*entrySize:][:entrySize]
		if entry[0] == 0 && entry[1] == 0 && binary.LittleEndian.Uint16(entry[2:]) == 0 {
			break
		}

		test := SelfTest{
			Code: entry[1] >> 4, Length: lengthOf(entry[0] & 0x7f), Hours: uint64(binary.LittleEndian.Uint16(entry[2:])),
		}
		test.Outcome = ATAOutcome(test.Code)

		var address [8]byte

		copy(address[:6], entry[5:11])

		if lba := binary.LittleEndian.Uint64(address[:]); test.Outcome == TestFailed && lba != 0xffffffffffff {
			test.LBA, test.HasLBA = lba, true
		}

		tests = append(tests, test)
	}

	return tests, nil
}

// ATAOutcome names a result code of an ATA self-test: ACS-3 table 136. NVMe and SCSI number theirs almost alike.
func ATAOutcome(code byte) Outcome {
	switch code {
	case 0:
		return TestPassed
	case 1, 2:
		return TestAborted
	case 3:
		return TestBroken
	case 15:
		return TestRunning
	default:
		return TestFailed
	}
}

// NVMeSelfTests is log page 06h: what runs now, and what ran.
type NVMeSelfTests struct {
	Running bool
	Done    float64 // part done of the running test, 0..1
	Tests   []SelfTest
}

// ParseNVMeSelfTests decodes log page 06h (NVMe 2.0 §5.16.1.7).
func ParseNVMeSelfTests(b []byte) (NVMeSelfTests, error) {
	const entries, entrySize = 20, 28

	if len(b) < 4+entrySize {
		return NVMeSelfTests{}, fmt.Errorf("decoding self-test log of %d bytes: %w", len(b), ErrShort)
	}

	log := NVMeSelfTests{Running: b[0]&0x0f != 0, Done: float64(min(b[1]&0x7f, 100)) / 100}

	for i := range entries {
		if len(b) < 4+(i+1)*entrySize {
			break
		}

		entry := b[4+i*entrySize:][:entrySize]
		if entry[0]&0x0f == 0x0f { // unused
			break
		}

		test := SelfTest{
			Code: entry[0] & 0x0f, Length: lengthOf(entry[0] >> 4), Outcome: nvmeOutcome(entry[0] & 0x0f),
			Hours: binary.LittleEndian.Uint64(entry[4:]),
		}
		if entry[2]&0x02 != 0 {
			test.LBA, test.HasLBA = binary.LittleEndian.Uint64(entry[16:]), true
		}

		log.Tests = append(log.Tests, test)
	}

	return log, nil
}

// nvmeOutcome: NVMe 2.0 figure 211.
func nvmeOutcome(code byte) Outcome {
	switch code {
	case 0:
		return TestPassed
	case 1, 2, 3, 4, 8, 9:
		return TestAborted
	case 5:
		return TestBroken
	default:
		return TestFailed
	}
}

// ParseSCSISelfTests decodes log page 10h (SPC-5 §7.3.20), the latest test first.
func ParseSCSISelfTests(page LogPage) []SelfTest {
	tests := make([]SelfTest, 0, len(page.Params))

	for _, param := range page.Params {
		if len(param.Value) < 16 || param.Code < 1 || param.Code > 20 {
			continue
		}

		code, kind, hours := param.Value[0]&0x0f, param.Value[0]>>5, binary.BigEndian.Uint16(param.Value[2:])
		if code == 0 && kind == 0 && hours == 0 { // never written
			continue
		}

		// 5 and 6 are the same tests in the foreground, 4 is their end.
		test := SelfTest{Code: code, Length: lengthOf(kind & 3), Hours: uint64(hours), Outcome: ATAOutcome(code)}
		if lba := binary.BigEndian.Uint64(param.Value[4:]); lba != ^uint64(0) && test.Outcome == TestFailed {
			test.LBA, test.HasLBA = lba, true
		}

		tests = append(tests, test)
	}

	return tests
}
