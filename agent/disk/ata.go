package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The ATA commands and SMART features used (ACS-4 §7).
const (
	ataIdentify   = 0xec
	ataSMART      = 0xb0
	ataReadLogExt = 0x2f
	ataNativeMax  = 0x27 // READ NATIVE MAX ADDRESS EXT (ACS-2 §7.33)
	ataAccessible = 0x78 // GET NATIVE MAX ADDRESS EXT (ACS-4 §7.1.2), feature 0

	ataConfiguration      = 0xb1 // DEVICE CONFIGURATION (ACS-2 §7.4); its other features change the disk
	configurationIdentify = 0xc2

	smartReadData       = 0xd0
	smartReadThresholds = 0xd1
	smartRunTest        = 0xd4
	smartReadLog        = 0xd5
	smartEnable         = 0xd8
	smartStatus         = 0xda

	smartLBA     = 0xc24f00 // LBA mid 4Fh, high C2h: the key to every SMART command
	smartFailing = 0x2cf400 // what SMART RETURN STATUS gives back for a failing disk
	lbaKeyMask   = 0xffff00

	logSelfTest    = 0x06
	logDeviceStats = 0x04
	logExtErrors   = 0x03 // extended comprehensive error log
	logExtSelfTest = 0x07

	sectorSize = 512
)

// The two commands that carry ATA commands (SAT-4 §12.2.2). To devices of type 5, CD and
// DVD drives, the shorter one's number is BLANK, which erases (MMC-6 §6.2).
const (
	passThrough16 = 0x85
	passThrough12 = 0xa1
)

// overSCSI carries ATA commands in ATA PASS-THROUGH(16), and in (12) where a bridge knows
// that one alone. Not safe for concurrent use.
type overSCSI struct {
	scsi SCSI

	short  bool // the shorter command was taken when the other was not
	direct *bool
}

// ATAOver returns ATA through the SCSI layer, as libata and most USB bridges and
// SAS adapters offer it.
func ATAOver(scsi SCSI) ATA { return &overSCSI{scsi: scsi} }

// Do wraps the command and unwraps registers and data.
func (o *overSCSI) Do(req ATARequest) (ATAReply, error) {
	if o.short && !req.Ext {
		return o.through(shortPassThrough(req), req)
	}

	reply, err := o.through(passThrough(req), req)

	// There is no way for commands of 48 bits in the shorter one.
	if err == nil || req.Ext || !unknownCommand(err) || !o.disk() {
		return reply, err
	}

	again, second := o.through(shortPassThrough(req), req)
	if second != nil && unknownCommand(second) {
		return reply, err
	}

	o.short = second == nil

	return again, second
}

// unknownCommand reports whether it was not the disk that refused but the layer before
// it: INVALID COMMAND OPERATION CODE or, as some bridges say, INVALID FIELD IN CDB.
func unknownCommand(err error) bool {
	var status *StatusError

	return errors.As(err, &status) && !status.ata && status.Key == 0x05 && (status.ASC == 0x20 || status.ASC == 0x24)
}

// disk reports whether the device says that it is a disk, and nothing that could be
// blanked. It is asked once, whatever was heard of it before.
func (o *overSCSI) disk() bool {
	if o.direct == nil {
		inquiry, err := ReadInquiry(o.scsi)
		is := err == nil && inquiry.Disk()
		o.direct = &is
	}

	return *o.direct
}

// through sends a command in its wrapping.
func (o *overSCSI) through(cdb []byte, req ATARequest) (ATAReply, error) {
	what := fmt.Sprintf("ATA command %02x/%02x", req.Command, req.Feature)

	reply, err := o.scsi.Execute(SCSIRequest{CDB: cdb, In: req.In})
	if err != nil {
		return ATAReply{}, err
	}

	sense := ParseSense(reply.Sense)
	if sense.ATA != nil && sense.ATA.Status&0x01 != 0 { // ERR
		return ATAReply{}, &StatusError{
			What: what, Status: uint16(sense.ATA.Status), Key: sense.Key, ASC: sense.ASC, ASCQ: sense.ASCQ,
			Unsupp: sense.ATA.Error&0x04 != 0, // ABRT
			ata:    true,
		}
	}

	if req.In == 0 && sense.ATA != nil {
		return *sense.ATA, nil
	}

	if reply.Status != 0 {
		return ATAReply{}, &StatusError{
			What: what, Status: uint16(reply.Status), Key: sense.Key, ASC: sense.ASC, ASCQ: sense.ASCQ,
			Unsupp: sense.Key == 0x05 || sense.Key == 0x0b, // illegal request, aborted command
		}
	}

	if len(reply.Data) < req.In {
		return ATAReply{}, fmt.Errorf("%s: %d of %d bytes: %w", what, len(reply.Data), req.In, ErrShort)
	}

	return ATAReply{Data: reply.Data}, nil
}

// wrapping returns bytes 1 and 2 of both commands: the protocol, and where the data goes.
// CK_COND is set for non-data commands only: that is how the output registers come back.
func wrapping(req ATARequest) (protocol, transfer byte) {
	const (
		protoNonData = 3 << 1
		protoPIOIn   = 4 << 1
		checkCond    = 1 << 5
		fromDevice   = 1 << 3
		blocks       = 1 << 2
		lengthCount  = 2
	)

	if req.In > 0 {
		return protoPIOIn, fromDevice | blocks | lengthCount
	}

	return protoNonData, checkCond
}

// passThrough builds the 16-byte CDB.
func passThrough(req ATARequest) []byte {
	cdb := make([]byte, 16)
	cdb[0] = passThrough16
	cdb[1], cdb[2] = wrapping(req)

	if req.Ext {
		cdb[1] |= 1
	}

	cdb[4], cdb[6] = req.Feature, req.Count
	cdb[8], cdb[10], cdb[12] = byte(req.LBA), byte(req.LBA>>8), byte(req.LBA>>16)
	cdb[14] = req.Command

	return cdb
}

// shortPassThrough builds the 12-byte CDB, for commands of 28 bits.
func shortPassThrough(req ATARequest) []byte {
	cdb := make([]byte, 12)
	cdb[0] = passThrough12
	cdb[1], cdb[2] = wrapping(req)
	cdb[3], cdb[4] = req.Feature, req.Count
	cdb[5], cdb[6], cdb[7] = byte(req.LBA), byte(req.LBA>>8), byte(req.LBA>>16)
	cdb[9] = req.Command

	return cdb
}

// ReadIdentify asks for the IDENTIFY DEVICE data.
func ReadIdentify(ata ATA) (ATAIdentity, error) {
	reply, err := ata.Do(ATARequest{Command: ataIdentify, Count: 1, In: sectorSize})
	if err != nil {
		return ATAIdentity{}, fmt.Errorf("reading ATA identity: %w", err)
	}

	return ParseIdentify(reply.Data)
}

// ReadNativeSectors asks how many sectors the disk has with those that a host
// protected area, a lowered maximum address or a device configuration overlay hides.
// ErrRefused where it knows none of them.
func ReadNativeSectors(ata ATA, id ATAIdentity) (uint64, error) {
	native, err := readNativeMax(ata, id)
	if !id.DCO {
		return native, err
	}

	// An overlay lowers what READ NATIVE MAX ADDRESS tells, too. Many a BIOS freezes it,
	// and then the disk does not answer.
	factory, refused := readFactorySectors(ata)
	if refused != nil {
		return native, err
	}

	return max(native, factory), nil
}

func readNativeMax(ata ATA, id ATAIdentity) (uint64, error) {
	req := ATARequest{Command: ataNativeMax, LBA: 0, Ext: true}

	switch {
	case id.AMAC:
		req.Command = ataAccessible
	case !id.HPA:
		return 0, fmt.Errorf("reading native size: %w", ErrRefused)
	}

	reply, err := ata.Do(req)
	if err != nil {
		return 0, fmt.Errorf("reading native size: %w", err)
	}

	last := uint64(reply.High)<<24 | uint64(reply.LBA)
	if last == 0 {
		return 0, fmt.Errorf("reading native size: no address came back: %w", ErrRefused)
	}

	return last + 1, nil
}

func readFactorySectors(ata ATA) (uint64, error) {
	reply, err := ata.Do(ATARequest{Command: ataConfiguration, Feature: configurationIdentify, Count: 1, In: sectorSize})
	if err != nil {
		return 0, fmt.Errorf("reading device configuration: %w", err)
	}

	return ParseDeviceConfiguration(reply.Data)
}

// ParseDeviceConfiguration decodes DEVICE CONFIGURATION IDENTIFY (ACS-2 table 30): how
// many sectors the disk has as it left its maker. ErrRefused where the answer is none.
func ParseDeviceConfiguration(b []byte) (sectors uint64, err error) {
	const signature, most = 0xa5, 1 << 48

	if len(b) < sectorSize {
		return 0, fmt.Errorf("decoding device configuration of %d bytes: %w", len(b), ErrShort)
	}

	last := binary.LittleEndian.Uint64(b[6:])
	if b[510] != signature || sum(b[:sectorSize]) != 0 || last == 0 || last >= most {
		return 0, fmt.Errorf("decoding device configuration: signature %02x, sum %02x, last address %d: %w", b[510], sum(b[:sectorSize]), last, ErrRefused)
	}

	return last + 1, nil
}

// EnableSMART switches SMART on, for disks whose BIOS switched it off.
func EnableSMART(ata ATA) error {
	if _, err := ata.Do(ATARequest{Command: ataSMART, Feature: smartEnable, LBA: smartLBA}); err != nil {
		return fmt.Errorf("switching SMART on: %w", err)
	}

	return nil
}

// ReadAttributes asks for the SMART data and, where the disk still has them, the
// thresholds (obsolete since ACS-4, so their absence is no error).
func ReadAttributes(ata ATA) (ATASMART, error) {
	data, err := ata.Do(ATARequest{Command: ataSMART, Feature: smartReadData, LBA: smartLBA, Count: 1, In: sectorSize})
	if err != nil {
		return ATASMART{}, fmt.Errorf("reading SMART data: %w", err)
	}

	thresholds, err := ata.Do(ATARequest{Command: ataSMART, Feature: smartReadThresholds, LBA: smartLBA, Count: 1, In: sectorSize})
	if err != nil {
		thresholds.Data = nil
	}

	return ParseSMART(data.Data, thresholds.Data)
}

// ReadHealth asks for SMART RETURN STATUS: false is a disk that predicts its own
// failure.
func ReadHealth(ata ATA) (healthy bool, err error) {
	reply, err := ata.Do(ATARequest{Command: ataSMART, Feature: smartStatus, LBA: smartLBA})
	if err != nil {
		return false, fmt.Errorf("reading SMART status: %w", err)
	}

	switch reply.LBA & lbaKeyMask {
	case smartLBA:
		return true, nil
	case smartFailing:
		return false, nil
	default:
		return false, fmt.Errorf("reading SMART status: registers %06x mean nothing: %w", reply.LBA, ErrRefused)
	}
}

// ReadATASelfTests asks for the self-test log, the latest test first.
func ReadATASelfTests(ata ATA) ([]SelfTest, error) {
	reply, err := ata.Do(ATARequest{
		Command: ataSMART, Feature: smartReadLog, LBA: smartLBA | logSelfTest, Count: 1, In: sectorSize,
	})
	if err != nil {
		return nil, fmt.Errorf("reading self-test log: %w", err)
	}

	return ParseATASelfTests(reply.Data)
}

// ReadATAExtSelfTests asks general purpose log 07h for the latest self-tests, the
// latest first: unlike the older log it has room for addresses of 48 bits.
func ReadATAExtSelfTests(ata ATA) ([]SelfTest, error) {
	page := func(number uint32) ([]byte, error) {
		// The page's number is the second byte of the address.
		reply, err := ata.Do(ATARequest{Command: ataReadLogExt, LBA: number<<8 | logExtSelfTest, Count: 1, Ext: true, In: sectorSize})
		if err != nil {
			return nil, fmt.Errorf("reading extended self-test log: %w", err)
		}

		return reply.Data, nil
	}

	first, err := page(0)
	if err != nil {
		return nil, err
	}

	latest := int(binary.LittleEndian.Uint16(first[2:]))

	number := (latest - 1) / extSelfTests
	if latest < 1 || number == 0 {
		return ParseATAExtSelfTests(first, latest)
	}

	more, err := page(uint32(number)) //nolint:gosec // of 16 bits
	if err != nil {
		return nil, err
	}

	return ParseATAExtSelfTests(more, latest-number*extSelfTests)
}

// StartATASelfTest starts a self-test in the background; one that is under way ends.
func StartATASelfTest(ata ATA, length Length) error {
	number := uint32(1)
	if length == ExtendedTest {
		number = 2
	}

	if _, err := ata.Do(ATARequest{Command: ataSMART, Feature: smartRunTest, LBA: smartLBA | number}); err != nil {
		return fmt.Errorf("starting self-test: %w", err)
	}

	return nil
}

// AbortATASelfTest ends the self-test that is under way.
func AbortATASelfTest(ata ATA) error {
	const abort = 0x7f

	if _, err := ata.Do(ATARequest{Command: ataSMART, Feature: smartRunTest, LBA: smartLBA | abort}); err != nil {
		return fmt.Errorf("ending self-test: %w", err)
	}

	return nil
}

// ReadEndurance asks the device statistics log for the endurance used, in per
// cent (ACS-4 §9.5.9, page 7). ErrRefused where the disk does not keep it.
func ReadEndurance(ata ATA) (percent int, err error) {
	const page = 7

	reply, err := ata.Do(ATARequest{Command: ataReadLogExt, LBA: page<<8 | logDeviceStats, Count: 1, Ext: true, In: sectorSize})
	if err != nil {
		return 0, fmt.Errorf("reading device statistics: %w", err)
	}

	return ParseEndurance(reply.Data)
}

// ParseEndurance decodes page 7 of the device statistics log.
func ParseEndurance(b []byte) (percent int, err error) {
	if len(b) < 16 {
		return 0, fmt.Errorf("decoding device statistics: %w", ErrShort)
	}

	value := binary.LittleEndian.Uint64(b[8:])
	if b[2] != 7 || value>>62 != 3 { // page number; supported and valid
		return 0, fmt.Errorf("decoding device statistics: %w", ErrRefused)
	}

	return int(value & 0xff), nil
}
