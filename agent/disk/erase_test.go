package disk_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vetting/agent/disk"
	"vetting/agent/machines"
)

// What disks of recorded machines can do to erase themselves.
func TestWhatRecordedDisksCanErase(t *testing.T) {
	dev, err := machines.Open(t, "gigabyte-r152-p30-f17a").Disks.NVMe("nvme0n1")
	if err != nil {
		t.Fatal(err)
	}

	// Nobody asked it for its namespaces when it was recorded.
	can, err := disk.ReadNVMeErasure(dev)
	if err != nil || !can.Format || can.Known || can.Sole() {
		t.Errorf("%+v %v", can, err)
	}

	if _, err := can.Ways(); can.AllAtOnce && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a format that hits all, of a disk that does not tell of all: %v", err)
	}
}

// Parts of structures, and a controller that lists nothing.
func TestErasureOddities(t *testing.T) {
	whole := make([]byte, 4096)

	for name, c := range map[string]struct {
		controller, namespace, list []byte
		fails                       bool
		count                       int
	}{
		"half a controller": {whole[:600], whole, nil, true, 0},
		"half a namespace":  {whole, whole[:64], nil, true, 0},
		"no list":           {whole, whole, nil, false, 0},
		"a list cut short":  {whole, whole, []byte{1, 0, 0, 0, 2, 0}, false, 1},
		"a full list":       {whole, whole, bytes.Repeat([]byte{1, 0, 0, 0}, 1024), false, 1024},
	} {
		can, err := disk.ParseNVMeErasure(c.controller, c.namespace, c.list)
		if (err != nil) != c.fails || can.Namespaces != c.count {
			t.Errorf("%s: %+v %v", name, can, err)
		}
	}

	protected := bytes.Clone(whole)
	protected[99] = 1
	controller := bytes.Clone(whole)
	controller[256] = 2

	can, err := disk.ParseNVMeErasure(controller, protected, []byte{1, 0, 0, 0})
	if _, no := can.Ways(); err != nil || !can.Sole() || !errors.Is(no, errors.ErrUnsupported) {
		t.Errorf("write protected: %+v %v %v", can, err, no)
	}
}

func TestSanitizeStatus(t *testing.T) {
	log := func(progress, status uint16, action byte) []byte {
		b := make([]byte, 512)
		binary.LittleEndian.PutUint16(b, progress)
		binary.LittleEndian.PutUint16(b[2:], status)
		b[4] = action

		for i, seconds := range []uint32{7200, 90, 0xffffffff} {
			binary.LittleEndian.PutUint32(b[8+4*i:], seconds)
		}

		return b
	}

	for name, c := range map[string]struct {
		log                     []byte
		running, failed, passed bool
		done                    float64
		seconds                 uint32
	}{
		"never":                     {log(0xffff, 0, 0), false, false, false, 0, 0},
		"half done, blocks":         {log(0x8000, 2|3<<3, 2|8), true, false, false, 0.5, 90},
		"overwriting":               {log(0, 2, 3), true, false, false, 0, 7200},
		"done, key, time not told":  {log(0xffff, 1|1<<8, 4), false, false, true, 0, 0},
		"done, gave blocks back":    {log(0xffff, 4, 2), false, false, true, 0, 90},
		"failed":                    {log(0xffff, 3, 2), false, true, false, 0, 90},
		"an action that is unknown": {log(0xffff, 1, 7), false, false, true, 0, 0},
	} {
		s, err := disk.ParseNVMeSanitizing(c.log)
		if err != nil || s.Running != c.running || s.Failed != c.failed || s.Passed != c.passed || s.Done != c.done || s.Seconds() != c.seconds {
			t.Errorf("%s: %+v %d %v", name, s, s.Seconds(), err)
		}
	}

	if _, err := disk.ParseNVMeSanitizing(make([]byte, 20)); !errors.Is(err, disk.ErrShort) {
		t.Error(err)
	}
}

// A bus carries questions alone: whatever a caller makes of a request, nothing else
// reaches a driver.
func TestOnlyQuestionsAreSent(t *testing.T) {
	cdb := func(text string) []byte { b, _ := hex.DecodeString(text); return b }

	for text, asks := range map[string]bool{
		"120000006000": true, "4d0042000000001000" + "00": true, "1d2000000000": true, "1d8000000000": true, "030000006000": true,
		"5e000000000000" + "010000": true, "b70d00000000000000080000": true,
		"85080e00000001000000000000" + "00ec00": true, "85080e00d0000100000000" + "4f00c2b000"[2:]: false,
		"85080e00d00001000000" + "4f00c200b000": true, "850620" + "00d4000000" + "0200" + "4f00c200b000": true,
		"85072000000000000000000000007800": true, "85072000010000000000000000007800": false, // SET ACCESSIBLE MAX ADDRESS
		"85072000000000000000000000002700": true, "85072000000000000000000000003700": false, // SET MAX ADDRESS
		"85080e00c20001000000000000" + "00b100": true, "85062000c00000000000000000" + "00b100": false, // DEVICE CONFIGURATION RESTORE
		"85062000c10000000000000000" + "00b100": false, "85080e00c30001000000000000" + "00b100": false,
		"85062000000000000000000000" + "00f400": false, "85062000110000000000000000" + "00b400": false, // SECURITY ERASE UNIT, SANITIZE
		"85062000000000000000000000" + "000600": false, "85062000d90000000000" + "4f00c200b000": false, // DATA SET MANAGEMENT, SMART DISABLE
		"040000000000": false, "480300000000000000" + "00": false, "2a000000000000000100": false, "42000000000000001800": false,
		"8a000000000000000000000000010000": false, "93000000000000000000000000010000": false, "1b0000000000": false, "151000001800": false,
		"1d1000001000": false, "5f000000000000001800": false,
		"a1080e0001000000" + "00ec0000": true, "a10620d40002" + "4fc2" + "00b00000": true, "a106200000000000" + "00f40000": false,
		"a10100000000000000000000": false, "a1060000000000000000" + "0000": false, // BLANK as CD drives know it
		"3b000000000000000000": false,
	} {
		if err := disk.QuestionSCSI(cdb(text), true); (err == nil) != asks || err != nil && !errors.Is(err, disk.ErrRefused) {
			t.Errorf("%s: %v, want a question: %v", text, err, asks)
		}
	}

	// The shorter way of ATA commands is for what has said that it is a disk.
	if err := disk.QuestionSCSI(cdb("a1080e000100000000ec0000"), false); !errors.Is(err, disk.ErrRefused) {
		t.Errorf("to whatever it is: %v", err)
	}

	for opcode, asks := range map[byte]bool{
		0x02: true, 0x06: true, 0x14: true, 0x80: false, 0x81: false, 0x84: false, 0x0d: false, 0x15: false, 0x10: false, 0x11: false, 0x09: false, 0xc0: false, 0x82: false,
	} {
		if err := disk.QuestionNVMe(disk.NVMeRequest{Opcode: opcode}); (err == nil) != asks {
			t.Errorf("NVMe %#x: %v, want a question: %v", opcode, err, asks)
		}
	}

	// Everything that was ever recorded is one.
	for _, e := range exchanges(t) {
		if e.SCSI != "" {
			if err := disk.QuestionSCSI(cdb(e.SCSI), true); err != nil {
				t.Error(err)
			}
		}
	}
}

// Nothing that is no namespace can be erased.
func TestOnlyNamespacesAreErasable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "nvme0n1")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	if _, err := disk.Erasable(file, time.Minute); !errors.Is(err, disk.ErrRefused) {
		t.Error(err)
	}
}

// configuration is an answer to DEVICE CONFIGURATION IDENTIFY that adds up.
func configuration(last uint64) []byte {
	b := make([]byte, 512)
	b[0], b[510] = 2, 0xa5
	binary.LittleEndian.PutUint64(b[6:], last)

	sum := byte(0)
	for _, c := range b {
		sum += c
	}

	b[511] = -sum

	return b
}

// A disk as it left its maker, against what READ NATIVE MAX ADDRESS EXT tells. The
// registers of that answer say 0x123456789A.
func TestADeviceConfigurationOverlay(t *testing.T) {
	sense, _ := hex.DecodeString("7201001d0000000e" + "090c0100" + "0000" + "349a" + "1278" + "0056" + "40" + "50")
	broken := configuration(0x2000000000)
	broken[100]++

	both := disk.ATAIdentity{HPA: true, DCO: true}

	for name, c := range map[string]struct {
		id            disk.ATAIdentity
		configuration []byte
		want          uint64
	}{
		"an overlay makes it smaller": {both, configuration(0x1fffffffff), 0x2000000000},
		"no overlay":                  {both, configuration(0x123456789a), 0x123456789b},
		"the BIOS froze it":           {both, nil, 0x123456789b},
		"it does not add up":          {both, broken, 0x123456789b},
		"zeros":                       {both, make([]byte, 512), 0x123456789b},
		"an address of 49 bits":       {both, configuration(1 << 48), 0x123456789b},
		"without a protected area":    {disk.ATAIdentity{DCO: true}, configuration(0x1fffffffff), 0x2000000000},
		"not asked":                   {disk.ATAIdentity{HPA: true}, configuration(0x1fffffffff), 0x123456789b},
	} {
		talk := &overlaid{conversation{reply: disk.SCSIReply{Status: 2, Sense: sense}}, c.configuration}

		if sectors, err := disk.ReadNativeSectors(disk.ATAOver(talk), c.id); sectors != c.want || err != nil {
			t.Errorf("%s: %#x %v", name, sectors, err)
		}
	}
}

// overlaid answers DEVICE CONFIGURATION IDENTIFY, or aborts it.
type overlaid struct {
	conversation

	data []byte
}

func (o *overlaid) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	switch {
	case req.CDB[14] != 0xb1:
		return o.conversation.Execute(req)
	case o.data == nil:
		sense, _ := hex.DecodeString("720b00000000000e" + "090c00040000000000000000" + "4051")

		return disk.SCSIReply{Status: 2, Sense: sense}, nil
	default:
		return disk.SCSIReply{Data: o.data}, nil
	}
}
