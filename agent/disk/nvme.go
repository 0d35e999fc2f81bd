package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// The NVMe admin commands and log pages used (NVMe 2.0 §5).
const (
	nvmeGetLog   = 0x02
	nvmeIdentify = 0x06
	nvmeSelfTest = 0x14

	logNVMeErrors   = 0x01
	logNVMeHealth   = 0x02
	logNVMeFirmware = 0x03
	logNVMeSelfTest = 0x06
	logNVMeOfHost   = 0x07 // telemetry, host-initiated
	logNVMeOCP      = 0xc0 // of drives for data centres; others have something else there, or nothing

	allNamespaces = 0xffffffff

	nvmePageSize     = 4096
	nvmeHealthSize   = 512
	nvmeErrorSize    = 64
	nvmeSelfTestSize = 564
	nvmeFirmwareSize = 512
	nvmeOCPSize      = 512

	kelvin = 273 // 0 °C as the NVMe specification rounds it
)

// NVMeController is the part of Identify Controller that the product uses.
type NVMeController struct {
	Model        string
	Serial       string
	Firmware     string
	SelfTest     bool // OACS bit 4
	Telemetry    bool // LPA bit 3: log pages 07h and 08h
	Namespaces   uint32
	WarningTemp  int // °C; 0: not told
	CriticalTemp int
	TestMinutes  int // extended self-test
	ErrorEntries int // size of the error log
}

// ParseNVMeController decodes Identify Controller (figure 275).
func ParseNVMeController(b []byte) (NVMeController, error) {
	if len(b) < nvmePageSize {
		return NVMeController{}, fmt.Errorf("decoding NVMe controller of %d bytes: %w", len(b), ErrShort)
	}

	return NVMeController{
		Serial: Text(b[4:24]), Model: Text(b[24:64]), Firmware: Text(b[64:72]),
		SelfTest:     binary.LittleEndian.Uint16(b[256:])&0x10 != 0,
		Telemetry:    b[261]&0x08 != 0,
		ErrorEntries: int(b[262]) + 1,
		WarningTemp:  celsius(binary.LittleEndian.Uint16(b[266:])),
		CriticalTemp: celsius(binary.LittleEndian.Uint16(b[268:])),
		TestMinutes:  int(binary.LittleEndian.Uint16(b[316:])),
		Namespaces:   binary.LittleEndian.Uint32(b[516:]),
	}, nil
}

func celsius(k uint16) int {
	if k == 0 {
		return 0
	}

	return int(k) - kelvin
}

// NVMeNamespace is the part of Identify Namespace that the product uses.
type NVMeNamespace struct {
	Blocks     uint64
	BlockBytes int
	WWN        string   // NGUID, else EUI-64, lower-case hex; empty: neither
	IDs        [][]byte // NGUID and EUI-64, those that are set
}

// ParseNVMeNamespace decodes Identify Namespace (NVM command set 1.0, figure 97).
func ParseNVMeNamespace(b []byte) (NVMeNamespace, error) {
	if len(b) < nvmePageSize {
		return NVMeNamespace{}, fmt.Errorf("decoding NVMe namespace of %d bytes: %w", len(b), ErrShort)
	}

	ns := NVMeNamespace{Blocks: binary.LittleEndian.Uint64(b)}

	format := int(b[26]&0x0f) | int(b[26]&0x60)>>1
	if shift := b[128+4*format+2]; shift >= 9 && shift <= 20 {
		ns.BlockBytes = 1 << shift
	}

	for _, id := range [][]byte{b[104:120], b[120:128]} {
		if len(bytes.Trim(id, "\x00")) > 0 {
			ns.IDs = append(ns.IDs, bytes.Clone(id))
		}
	}

	if len(ns.IDs) > 0 {
		ns.WWN = hex.EncodeToString(ns.IDs[0])
	}

	return ns, nil
}

// NVMeHealth is log page 02h, SMART / health information.
type NVMeHealth struct {
	CriticalWarning byte
	Temperature     int // °C; 0: not told
	Spare           int // per cent
	SpareThreshold  int
	Used            int // per cent of the design life, may pass 100
	PowerCycles     uint64
	Hours           uint64
	UnsafeShutdowns uint64
	MediaErrors     uint64
	LogEntries      uint64
	WarningMinutes  uint32 // minutes above WCTEMP
	CriticalMinutes uint32
	LightThrottles  uint32 // times the disk slowed itself down at its first temperature (TMT1)
	HeavyThrottles  uint32 // … and at its second (TMT2)
	UnitsRead       uint64 // thousands of 512 bytes
	UnitsWritten    uint64
}

// ParseNVMeHealth decodes log page 02h (figure 207). Counters of 128 bits are cut
// to the 64 that no disk will fill.
func ParseNVMeHealth(b []byte) (NVMeHealth, error) {
	if len(b) < nvmeHealthSize {
		return NVMeHealth{}, fmt.Errorf("decoding NVMe health of %d bytes: %w", len(b), ErrShort)
	}

	word := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

	return NVMeHealth{
		CriticalWarning: b[0], Temperature: celsius(binary.LittleEndian.Uint16(b[1:])),
		Spare: int(b[3]), SpareThreshold: int(b[4]), Used: int(b[5]),
		UnitsRead: word(32), UnitsWritten: word(48),
		PowerCycles: word(112), Hours: word(128), UnsafeShutdowns: word(144), MediaErrors: word(160), LogEntries: word(176),
		WarningMinutes: binary.LittleEndian.Uint32(b[192:]), CriticalMinutes: binary.LittleEndian.Uint32(b[196:]),
		LightThrottles: binary.LittleEndian.Uint32(b[216:]), HeavyThrottles: binary.LittleEndian.Uint32(b[220:]),
	}, nil
}

// NVMeError is one entry of log page 01h.
type NVMeError struct {
	Count  uint64
	Status uint16 // without the phase bit: SCT in bits 8-10, SC in bits 0-7
	LBA    uint64
	NSID   uint32
}

// Media reports whether the entry is about the medium (status code type 2), rather
// than about a command the controller did not like.
func (e NVMeError) Media() bool { return e.Status>>8&0x7 == 2 }

// ParseNVMeErrors decodes log page 01h (figure 206); unused entries are left out.
func ParseNVMeErrors(b []byte) []NVMeError {
	var entries []NVMeError

	for ; len(b) >= nvmeErrorSize; b = b[nvmeErrorSize:] {
		count := binary.LittleEndian.Uint64(b)
		if count == 0 {
			continue
		}

		entries = append(entries, NVMeError{
			Count: count, Status: binary.LittleEndian.Uint16(b[12:]) >> 1,
			LBA: binary.LittleEndian.Uint64(b[16:]), NSID: binary.LittleEndian.Uint32(b[24:]),
		})
	}

	return entries
}

// ReadNVMeController asks for Identify Controller.
func ReadNVMeController(dev NVMe) (NVMeController, error) {
	data, err := admin(dev, "identifying NVMe controller", NVMeRequest{Opcode: nvmeIdentify, CDW10: 1, In: nvmePageSize})
	if err != nil {
		return NVMeController{}, err
	}

	return ParseNVMeController(data)
}

// ReadNVMeNamespace asks for Identify Namespace of the disk.
func ReadNVMeNamespace(dev NVMe) (NVMeNamespace, error) {
	data, err := admin(dev, "identifying NVMe namespace", NVMeRequest{Opcode: nvmeIdentify, Namespaced: true, In: nvmePageSize})
	if err != nil {
		return NVMeNamespace{}, err
	}

	return ParseNVMeNamespace(data)
}

// ReadNVMeHealth asks for log page 02h of the controller.
func ReadNVMeHealth(dev NVMe) (NVMeHealth, error) {
	data, err := admin(dev, "reading NVMe health log", logRequest(logNVMeHealth, nvmeHealthSize))
	if err != nil {
		return NVMeHealth{}, err
	}

	return ParseNVMeHealth(data)
}

// ReadNVMeErrors asks for log page 01h, 64 entries at most.
func ReadNVMeErrors(dev NVMe, entries int) ([]NVMeError, error) {
	data, err := admin(dev, "reading NVMe error log", logRequest(logNVMeErrors, min(max(entries, 1), 64)*nvmeErrorSize))
	if err != nil {
		return nil, err
	}

	return ParseNVMeErrors(data), nil
}

// telemetryMost is how much of a telemetry log is read: what every controller gives in
// one command.
const telemetryMost = 128 << 10

// ReadNVMeTelemetry lets the controller note its state and asks for what it noted, log
// page 07h (NVMe 2.0 §5.16.1.8): words for its maker, 128 KiB at most.
func ReadNVMeTelemetry(dev NVMe) ([]byte, error) {
	const create, block = 1 << 8, 512

	req := logRequest(logNVMeOfHost, block)
	req.CDW10 |= create

	head, err := admin(dev, "making NVMe telemetry", req)
	if err != nil {
		return nil, err
	}

	// The last block of the third data area is the last of all.
	length := min((1+int(binary.LittleEndian.Uint16(head[12:])))*block, telemetryMost)

	return admin(dev, "reading NVMe telemetry", logRequest(logNVMeOfHost, length))
}

// ReadNVMeSelfTests asks for log page 06h.
func ReadNVMeSelfTests(dev NVMe) (NVMeSelfTests, error) {
	data, err := admin(dev, "reading NVMe self-test log", logRequest(logNVMeSelfTest, nvmeSelfTestSize))
	if err != nil {
		return NVMeSelfTests{}, err
	}

	return ParseNVMeSelfTests(data)
}

// StartNVMeSelfTest starts a self-test of the controller and all its namespaces.
// ErrBusy where one is under way.
func StartNVMeSelfTest(dev NVMe, length Length) error {
	code := uint32(1)
	if length == ExtendedTest {
		code = 2
	}

	_, err := admin(dev, "starting NVMe self-test", NVMeRequest{Opcode: nvmeSelfTest, NSID: allNamespaces, CDW10: code})

	return err
}

// AbortNVMeSelfTest ends the self-test that is under way.
func AbortNVMeSelfTest(dev NVMe) error {
	const abort = 0xf

	_, err := admin(dev, "ending NVMe self-test", NVMeRequest{Opcode: nvmeSelfTest, NSID: allNamespaces, CDW10: abort})

	return err
}

// logRequest is Get Log Page for length bytes, a multiple of four.
func logRequest(page byte, length int) NVMeRequest {
	dwords := uint32(length/4-1) & 0x3ffff //nolint:gosec // lengths are constants of this file

	return NVMeRequest{
		Opcode: nvmeGetLog, NSID: allNamespaces,
		CDW10: uint32(page) | dwords<<16, CDW11: dwords >> 16, In: length,
	}
}

func admin(dev NVMe, what string, req NVMeRequest) ([]byte, error) {
	reply, err := dev.Admin(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}

	if status := reply.Status & 0x7ff; status != 0 {
		// Generic: invalid opcode, invalid field. Specific: invalid log page.
		return nil, &StatusError{What: what, Status: status, Unsupp: status == 0x01 || status == 0x02 || status == 0x109}
	}

	if len(reply.Data) < req.In {
		return nil, fmt.Errorf("%s: %d of %d bytes: %w", what, len(reply.Data), req.In, ErrShort)
	}

	return reply.Data, nil
}
