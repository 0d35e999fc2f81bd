package disk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// The SCSI commands and pages used (SPC-5, SBC-4).
const (
	scsiSense      = 0x03
	scsiInquiry    = 0x12
	scsiDiagnostic = 0x1d
	scsiLogSense   = 0x4d
	scsiDefects    = 0xb7

	vpdSerial     = 0x80
	vpdIdentity   = 0x83
	vpdExtended   = 0x86
	vpdMedium     = 0xb1
	vpdZoned      = 0xb6
	vpdATA        = 0x89
	pageLength    = 252
	logPageLength = 4096
)

// SCSI log pages.
const (
	LogSupported    byte = 0x00
	LogWriteErrors  byte = 0x02
	LogReadErrors   byte = 0x03
	LogVerifyErrors byte = 0x05
	LogNonMedium    byte = 0x06
	LogTemperature  byte = 0x0d
	LogStartStop    byte = 0x0e
	LogSelfTest     byte = 0x10
	LogSolidState   byte = 0x11
	LogBackground   byte = 0x15
	LogPort         byte = 0x18
	LogExceptions   byte = 0x2f
)

// Inquiry is standard INQUIRY data (SPC-5 §6.6.2).
type Inquiry struct {
	Type      byte // peripheral device type: 0 disk, 5 CD, 14 simplified disk, 20 zoned disk
	Removable bool
	Vendor    string
	Product   string
	Revision  string
}

// Disk reports whether the device is a direct-access block device.
func (i Inquiry) Disk() bool { return i.Type == 0 || i.Type == 0x0e || i.Type == 0x14 }

// HostManaged reports whether the device's zones are the host's to manage (ZBC-2).
func (i Inquiry) HostManaged() bool { return i.Type == 0x14 }

// ATA reports whether the device is an ATA disk behind a translation layer.
func (i Inquiry) ATA() bool { return i.Vendor == "ATA" }

// ParseInquiry decodes standard INQUIRY data.
func ParseInquiry(b []byte) (Inquiry, error) {
	if len(b) < 36 {
		return Inquiry{}, fmt.Errorf("decoding INQUIRY of %d bytes: %w", len(b), ErrShort)
	}

	return Inquiry{
		Type: b[0] & 0x1f, Removable: b[1]&0x80 != 0,
		Vendor: Text(b[8:16]), Product: Text(b[16:32]), Revision: Text(b[32:36]),
	}, nil
}

// ParseVPD returns the payload of a vital product data page.
func ParseVPD(page byte, b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("decoding VPD page %02x of %d bytes: %w", page, len(b), ErrShort)
	}

	if b[1] != page {
		return nil, fmt.Errorf("decoding VPD page %02x: the device sent page %02x: %w", page, b[1], ErrRefused)
	}

	length := int(binary.BigEndian.Uint16(b[2:]))

	return b[4:min(4+length, len(b))], nil
}

// ParseDesignators returns the WWN out of the payload of VPD page 83h: the NAA,
// else the EUI-64 designator of the logical unit, in lower-case hex (SPC-5 §7.7.6).
func ParseDesignators(b []byte) (wwn string) {
	var eui string

	for len(b) >= 4 {
		length := int(b[3])
		if 4+length > len(b) {
			break
		}

		value, association, kind := b[4:4+length], b[1]>>4&0x3, b[1]&0x0f

		switch {
		case association != 0 || length < 8:
		case kind == 3 && wwn == "":
			wwn = hex.EncodeToString(value)
		case kind == 2 && eui == "":
			eui = hex.EncodeToString(value)
		}

		b = b[4+length:]
	}

	if wwn == "" {
		return eui
	}

	return wwn
}

// Designators lists all NAA and EUI-64 designators of the payload of VPD page 83h:
// of the logical unit, of the port it was reached through and of the whole device.
func Designators(b []byte) (names [][]byte) {
	for len(b) >= 4 {
		end := 4 + int(b[3])
		if end > len(b) {
			break
		}

		if kind := b[1] & 0x0f; (kind == 2 || kind == 3) && end >= 4+8 {
			names = append(names, b[4:end])
		}

		b = b[end:]
	}

	return names
}

// ParseMedium decodes the payload of VPD page B1h, block device characteristics.
func ParseMedium(b []byte) (rotational bool, rpm int) {
	if len(b) < 2 {
		return true, 0
	}

	return rotation(binary.BigEndian.Uint16(b))
}

// ParseZoned returns the field ZONED of the payload of VPD page B1h (SBC-4).
func ParseZoned(b []byte) Shingling {
	const at = 8 - 4 // behind the page's header

	if len(b) <= at {
		return ""
	}

	return zonedField(b[at] >> 4 & 3)
}

// LogParam is one parameter of a log page.
type LogParam struct {
	Code  uint16
	Value []byte
}

// LogPage is a decoded LOG SENSE page.
type LogPage struct {
	Page   byte
	Params []LogParam
}

// ParseLogPage decodes LOG SENSE data (SPC-5 §7.3).
func ParseLogPage(page byte, b []byte) (LogPage, error) {
	if len(b) < 4 {
		return LogPage{}, fmt.Errorf("decoding log page %02x of %d bytes: %w", page, len(b), ErrShort)
	}

	if b[0]&0x3f != page {
		return LogPage{}, fmt.Errorf("decoding log page %02x: the device sent page %02x: %w", page, b[0]&0x3f, ErrRefused)
	}

	log, rest := LogPage{Page: page}, b[4:min(4+int(binary.BigEndian.Uint16(b[2:])), len(b))]

	for len(rest) >= 4 {
		end := 4 + int(rest[3])
		if end > len(rest) {
			break
		}

		log.Params = append(log.Params, LogParam{Code: binary.BigEndian.Uint16(rest), Value: rest[4:end]})
		rest = rest[end:]
	}

	return log, nil
}

// Counter returns the big-endian number of a parameter. Counters longer than
// eight bytes keep their low ones.
func (p LogPage) Counter(code uint16) (value uint64, ok bool) {
	for _, param := range p.Params {
		if param.Code != code || len(param.Value) == 0 {
			continue
		}

		for _, c := range param.Value {
			value = value<<8 | uint64(c)
		}

		return value, true
	}

	return 0, false
}

// Temperature decodes log page 0Dh; ok is false where the disk does not know.
func (p LogPage) Temperature() (current int, ok bool) { return p.celsius(0) }

// ReferenceTemperature decodes the temperature of log page 0Dh up to which the disk
// works without end; ok is false where the disk does not tell.
func (p LogPage) ReferenceTemperature() (most int, ok bool) { return p.celsius(1) }

func (p LogPage) celsius(code uint16) (degrees int, ok bool) {
	for _, param := range p.Params {
		if param.Code == code && len(param.Value) >= 2 && param.Value[1] != 0xff {
			return int(param.Value[1]), true
		}
	}

	return 0, false
}

// Exception decodes log page 2Fh: the additional sense code, where 5Dh predicts a
// failure, and the temperature (0: not told).
func (p LogPage) Exception() (asc, ascq byte, temperature int, ok bool) {
	for _, param := range p.Params {
		if param.Code != 0 || len(param.Value) < 2 {
			continue
		}

		if len(param.Value) > 2 && param.Value[2] != 0xff {
			temperature = int(param.Value[2])
		}

		return param.Value[0], param.Value[1], temperature, true
	}

	return 0, 0, 0, false
}

// PowerOnHours decodes the status parameter of log page 15h, background scan: the
// minutes that the disk was on in its life (SBC-4 §6.4.2).
func (p LogPage) PowerOnHours() (hours uint64, ok bool) {
	for _, param := range p.Params {
		if param.Code == 0 && len(param.Value) >= 4 {
			return uint64(binary.BigEndian.Uint32(param.Value)) / 60, true
		}
	}

	return 0, false
}

// StartStops decodes log page 0Eh: how often the disk was started (SPC-5 §7.3.21).
func (p LogPage) StartStops() (cycles uint64, ok bool) {
	const accumulated, unknown = 4, 0xffffffff

	cycles, ok = p.Counter(accumulated)

	return cycles, ok && cycles != unknown
}

// Endurance decodes log page 11h of solid-state disks: the per cent of their rated
// life that is used up, which may pass 100 (SBC-4 §6.4.9).
func (p LogPage) Endurance() (percent int, ok bool) {
	for _, param := range p.Params {
		if param.Code == 1 && len(param.Value) >= 4 {
			return int(param.Value[3]), true
		}
	}

	return 0, false
}

// ReadInquiry asks for standard INQUIRY data.
func ReadInquiry(dev SCSI) (Inquiry, error) {
	data, err := read(dev, "reading INQUIRY", 36, scsiInquiry, 0, 0, 0, 96, 0)
	if err != nil {
		return Inquiry{}, err
	}

	return ParseInquiry(data)
}

// ReadSerial asks for the unit serial number, VPD page 80h.
func ReadSerial(dev SCSI) (string, error) {
	payload, err := readVPD(dev, vpdSerial)

	return Text(payload), err
}

// ReadWWN asks for the designators, VPD page 83h.
func ReadWWN(dev SCSI) (string, error) {
	payload, err := readVPD(dev, vpdIdentity)

	return ParseDesignators(payload), err
}

// ReadDesignators asks for all designators, VPD page 83h.
func ReadDesignators(dev SCSI) ([][]byte, error) {
	payload, err := readVPD(dev, vpdIdentity)

	return Designators(payload), err
}

// ReadMedium asks for VPD page B1h.
func ReadMedium(dev SCSI) (rotational bool, rpm int, err error) {
	payload, err := readVPD(dev, vpdMedium)
	if err != nil {
		return true, 0, err
	}

	rotational, rpm = ParseMedium(payload)

	return rotational, rpm, nil
}

// ReadShingling asks a SCSI disk how it lets itself be written: VPD page B1h, and B6h,
// zoned block device characteristics, which disks alone have whose zones a host may
// manage (ZBC-2). What the disk does not know leaves it empty.
func ReadShingling(dev SCSI, inquiry Inquiry) Shingling {
	if inquiry.HostManaged() {
		return HostManaged
	}

	if payload, err := readVPD(dev, vpdMedium); err == nil {
		if s := ParseZoned(payload); s != "" {
			return s
		}
	}

	if payload, err := readVPD(dev, vpdZoned); err == nil && len(payload) > 0 {
		return HostAware
	}

	return ""
}

// BehindSAT reports whether an ATA disk answers behind a translation layer: such
// a device has the ATA information page, VPD 89h.
func BehindSAT(dev SCSI) bool {
	_, err := readVPD(dev, vpdATA)

	return err == nil
}

func readVPD(dev SCSI, page byte) ([]byte, error) {
	data, err := read(dev, fmt.Sprintf("reading VPD page %02x", page), 4, scsiInquiry, 1, page, 0, pageLength, 0)
	if err != nil {
		return nil, err
	}

	return ParseVPD(page, data)
}

// ReadLog asks for the cumulative values of a log page.
func ReadLog(dev SCSI, page byte) (LogPage, error) {
	data, err := read(dev, fmt.Sprintf("reading log page %02x", page), 4,
		scsiLogSense, 0, 0x40|page, 0, 0, 0, 0, byte(logPageLength>>8), byte(logPageLength&0xff), 0)
	if err != nil {
		return LogPage{}, err
	}

	return ParseLogPage(page, data)
}

// ReadGrownDefects asks for the length of the grown defect list (SBC-4 §5.23),
// in entries.
func ReadGrownDefects(dev SCSI) (int, error) {
	const wantGrown, physicalSector = 1 << 3, 5

	data, err := read(dev, "reading grown defects", 8, scsiDefects, wantGrown|physicalSector, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0)
	if err != nil {
		return 0, err
	}

	return ParseDefects(data)
}

// ParseDefects decodes the header of READ DEFECT DATA(12).
func ParseDefects(b []byte) (int, error) {
	if len(b) < 8 {
		return 0, fmt.Errorf("decoding defect list of %d bytes: %w", len(b), ErrShort)
	}

	size := 8 // physical sector and index formats
	if format := b[1] & 0x07; format == 0 {
		size = 4
	}

	return int(binary.BigEndian.Uint32(b[4:])) / size, nil
}

// StartSCSISelfTest starts a self-test in the background. ErrBusy where one is under
// way.
func StartSCSISelfTest(dev SCSI, length Length) error {
	code := byte(1)
	if length == ExtendedTest {
		code = 2
	}

	_, err := read(dev, "starting self-test", 0, scsiDiagnostic, code<<5, 0, 0, 0, 0)

	return err
}

// AbortSCSISelfTest ends the self-test in the background that is under way.
func AbortSCSISelfTest(dev SCSI) error {
	const abort = 4

	_, err := read(dev, "ending self-test", 0, scsiDiagnostic, abort<<5, 0, 0, 0, 0)

	return err
}

// ReadExtendedMinutes asks how long the extended self-test takes: VPD page 86h,
// extended INQUIRY data (SPC-5 §7.7.7). 0 where the disk does not tell.
func ReadExtendedMinutes(dev SCSI) (minutes int, err error) {
	const at = 10 - 4 // behind the page's header

	payload, err := readVPD(dev, vpdExtended)
	if err != nil || len(payload) < at+2 {
		return 0, err
	}

	return int(binary.BigEndian.Uint16(payload[at:])), nil
}

// ReadTestProgress asks by REQUEST SENSE how much of the self-test that is under way
// is done, 0..1 (SPC-5 §4.4.2.4.4); ok is false where the disk does not tell.
func ReadTestProgress(dev SCSI) (done float64, ok bool) {
	data, err := read(dev, "asking for progress", 8, scsiSense, 0, 0, 0, pageLength, 0)
	if err != nil {
		return 0, false
	}

	sense := ParseSense(data)

	return float64(sense.Progress) / 0x10000, sense.HasProgress
}

// read sends a CDB whose allocation length follows from the command.
func read(dev SCSI, what string, least int, cdb ...byte) ([]byte, error) {
	reply, err := dev.Execute(SCSIRequest{CDB: cdb, In: allocation(cdb), Timeout: 30 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}

	if reply.Status != 0 {
		sense := ParseSense(reply.Sense)

		return nil, &StatusError{
			What: what, Status: uint16(reply.Status), Key: sense.Key, ASC: sense.ASC, ASCQ: sense.ASCQ,
			Unsupp: sense.Key == 0x05, // illegal request
		}
	}

	if len(reply.Data) < least {
		return nil, fmt.Errorf("%s: %d of %d bytes: %w", what, len(reply.Data), least, ErrShort)
	}

	return reply.Data, nil
}

func allocation(cdb []byte) int {
	switch cdb[0] {
	case scsiSense:
		return int(cdb[4])
	case scsiInquiry:
		return int(binary.BigEndian.Uint16(cdb[3:]))
	case scsiLogSense:
		return int(binary.BigEndian.Uint16(cdb[7:]))
	case scsiDefects:
		return int(binary.BigEndian.Uint32(cdb[6:]))
	default:
		return 0
	}
}

// RAIDVolume reports whether the inquiry is that of a logical volume of a RAID
// controller, whose member disks are hidden from us.
func (i Inquiry) RAIDVolume() bool {
	name := strings.ToUpper(i.Vendor + " " + i.Product)
	for _, mark := range []string{"LOGICAL VOLUME", "PERC", "MEGARAID", "SERVERAID", "RAID", "ARECA", "MR9", "MRSAS", "SMART ARRAY"} {
		if strings.Contains(name, mark) {
			return true
		}
	}

	return false
}
