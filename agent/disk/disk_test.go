package disk_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/disk"
	"vetting/agent/machines"
)

func scsi(t *testing.T, machine, name string) disk.SCSI {
	t.Helper()

	dev, err := machines.Open(t, machine).Disks.SCSI(name)
	if err != nil {
		t.Fatal(err)
	}

	return dev
}

func TestIdentity(t *testing.T) {
	id, err := disk.ReadIdentify(disk.ATAOver(scsi(t, "supermicro-x11dpi-n-3.3", "sdc")))
	want := disk.ATAIdentity{
		Model: "ST8000NM000A-2KE101", Serial: "WKD0102X", Firmware: "SN02", WWN: "5000c500c9f1a566", Sectors: 15628053168,
		LogicalBlock: 512, PhysBlock: 4096, Rotational: true, RPM: 7200, SMART: true, SMARTOn: true, SelfTest: true, Logs: true, HPA: true, DCO: true, AMAC: true, ChecksumValid: true,
	}

	if diff := cmp.Diff(want, id); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// TestIdentityOddities: what IDENTIFY may say besides.
func TestIdentityOddities(t *testing.T) {
	plain := func() []byte { return make([]byte, 512) }
	word := func(b []byte, n int, v uint16) []byte { binary.LittleEndian.PutUint16(b[2*n:], v); return b }

	for name, c := range map[string]struct {
		data []byte
		ok   func(disk.ATAIdentity) bool
	}{
		"a small old disk":      {word(word(plain(), 60, 0x1234), 61, 1), func(id disk.ATAIdentity) bool { return id.Sectors == 0x11234 && id.LogicalBlock == 512 && !id.SMART }},
		"48 bits without 83":    {word(plain(), 100, 7), func(id disk.ATAIdentity) bool { return id.Sectors == 0 }},
		"4Kn":                   {word(word(plain(), 106, 0x5000), 117, 2048), func(id disk.ATAIdentity) bool { return id.LogicalBlock == 4096 && id.PhysBlock == 4096 }},
		"512e":                  {word(plain(), 106, 0x6003), func(id disk.ATAIdentity) bool { return id.LogicalBlock == 512 && id.PhysBlock == 4096 }},
		"520 bytes":             {word(word(plain(), 106, 0x5000), 117, 260), func(id disk.ATAIdentity) bool { return id.LogicalBlock == 520 }},
		"an absurd sector":      {word(word(plain(), 106, 0x5000), 118, 0xffff), func(id disk.ATAIdentity) bool { return id.LogicalBlock == 512 }},
		"flash":                 {word(plain(), 217, 1), func(id disk.ATAIdentity) bool { return !id.Rotational && id.RPM == 0 }},
		"rate not told":         {word(plain(), 217, 0), func(id disk.ATAIdentity) bool { return id.Rotational && id.RPM == 0 }},
		"a reserved rate":       {word(plain(), 217, 0x400), func(id disk.ATAIdentity) bool { return id.RPM == 0 }},
		"locked":                {word(plain(), 128, 0x7), func(id disk.ATAIdentity) bool { return id.Locked && !id.Frozen }},
		"frozen":                {word(plain(), 128, 0x9), func(id disk.ATAIdentity) bool { return id.Frozen && !id.Locked }},
		"a wrong checksum":      {word(plain(), 255, 0x01a5), func(id disk.ATAIdentity) bool { return !id.ChecksumValid }},
		"a name left empty":     {word(plain(), 87, 0x4100), func(id disk.ATAIdentity) bool { return id.WWN == "" }},
		"a name":                {word(word(plain(), 87, 0x4100), 108, 0x5000), func(id disk.ATAIdentity) bool { return id.WWN == "5000000000000000" }},
		"control characters":    {append(append(plain()[:54], 0x1b, 'a', 0x07, 'b'), plain()[58:]...), func(id disk.ATAIdentity) bool { return id.Model == "ab" }},
		"words 82-87 not valid": {word(word(plain(), 82, 1), 83, 0xc000), func(id disk.ATAIdentity) bool { return !id.SMART }},
	} {
		t.Run(name, func(t *testing.T) {
			if id, err := disk.ParseIdentify(c.data); err != nil || !c.ok(id) {
				t.Errorf("%+v %v", id, err)
			}
		})
	}

	if _, err := disk.ParseIdentify(word(plain(), 0, 0x8580)); !errors.Is(err, disk.ErrRefused) {
		t.Errorf("a packet device: %v", err)
	}

	if _, err := disk.ParseIdentify(plain()[:511]); !errors.Is(err, disk.ErrShort) {
		t.Errorf("cut off: %v", err)
	}
}

func TestAttributes(t *testing.T) {
	smart, err := disk.ReadAttributes(disk.ATAOver(scsi(t, "supermicro-x11dpi-n-3.3", "sda")))
	if err != nil || !smart.ChecksumValid || !smart.SelfTest || smart.ShortMinutes != 2 || len(smart.Attributes) != 27 {
		t.Fatalf("%+v %v", smart, err)
	}

	want := disk.Attribute{ID: 170, Flags: 0x33, Value: 100, Worst: 100, Threshold: 10}
	if got, ok := smart.Attribute(170); !ok || got != want || !got.PreFail() || got.Failing() {
		t.Errorf("%+v", got)
	}

	heat, _ := smart.Attribute(190)
	if heat.Low8() != 27 || heat.PreFail() {
		t.Errorf("%+v", heat)
	}

	if _, ok := smart.Attribute(1); ok {
		t.Error("an attribute that is not there")
	}

	for _, a := range []disk.Attribute{{Value: 10, Threshold: 0}, {Value: 0, Threshold: 10}, {Value: 11, Threshold: 10}, {Value: 1, Threshold: 0xfe}} {
		if a.Failing() {
			t.Errorf("%+v is failing", a)
		}
	}

	if !(disk.Attribute{Value: 10, Threshold: 10}).Failing() {
		t.Error("a value at its threshold is not failing")
	}
}

// TestSelfTestLogWraps: the ATA log is a ring of 21.
func TestSelfTestLogWraps(t *testing.T) {
	b := make([]byte, 512)
	for i := range 21 {
		b[2+24*i] = 1
		binary.LittleEndian.PutUint16(b[2+24*i+2:], uint16(100+i))
	}

	b[508] = 2

	tests, err := disk.ParseATASelfTests(b)
	if err != nil || len(tests) != 21 || tests[0].Hours != 101 || tests[1].Hours != 100 || tests[2].Hours != 120 || tests[0].Length != disk.ShortTest {
		t.Errorf("%v %+v", err, tests)
	}

	for latest, want := range map[byte]int{0: 0, 22: 0, 255: 0, 21: 21} {
		b[508] = latest
		if tests, err := disk.ParseATASelfTests(b); err != nil || len(tests) != want {
			t.Errorf("latest %d: %d tests, %v", latest, len(tests), err)
		}
	}

	clear(b[2+24:])
	b[2+1], b[508] = 0x70, 1
	binary.LittleEndian.PutUint32(b[2+5:], 4711)

	if tests, _ := disk.ParseATASelfTests(b); len(tests) != 1 || tests[0].Outcome != disk.TestFailed || !tests[0].HasLBA || tests[0].LBA != 4711 {
		t.Errorf("%+v", tests)
	}
}

func TestPhyEvents(t *testing.T) {
	b := make([]byte, 512)
	for i, e := range []struct {
		id    uint16
		value uint32
	}{{0x2001, 1}, {0x2002, 2}, {0x2003, 3}, {0x2004, 4}, {0x2009, 7}, {0xa00b, 99}, {0x200f, 5}} {
		binary.LittleEndian.PutUint16(b[4+6*i:], e.id)
		binary.LittleEndian.PutUint32(b[6+6*i:], e.value)
	}

	// An ICRC failure, seven data frames, five frames of wrong CRC; a vendor's counter is not ours.
	events, err := disk.ParsePhyEvents(b)
	if err != nil || events.Errors() != 1+7+5 || events.Losses() != 7 {
		t.Errorf("%v %v: %d errors, %d losses", events, err, events.Errors(), events.Losses())
	}

	// Counters of two and of eight bytes.
	clear(b)
	copy(b[4:], []byte{0x09, 0x10, 0x34, 0x12, 0x0b, 0x40, 1, 0, 0, 0, 0, 0, 0, 1})

	events, err = disk.ParsePhyEvents(b)
	if err != nil || events.Losses() != 0x1234 || events.Errors() != 1<<56+1 {
		t.Errorf("%v %v", events, err)
	}
}

func TestSAS(t *testing.T) {
	dev := scsi(t, "supermicro-ssg-6029p-e1cr12h-3.4", "sdb")

	inquiry, err := disk.ReadInquiry(dev)
	if want := (disk.Inquiry{Vendor: "HGST", Product: "HUS728T8TAL5204", Revision: "C3N0"}); err != nil || inquiry != want {
		t.Errorf("%+v %v", inquiry, err)
	}

	serial, err := disk.ReadSerial(dev)
	if err != nil || serial != "2YG8101KJD" {
		t.Errorf("serial %q %v", serial, err)
	}

	wwn, err := disk.ReadWWN(dev)
	if err != nil || wwn != "5000cca2a1b30090" {
		t.Errorf("WWN %q %v", wwn, err)
	}

	names, err := disk.ReadDesignators(dev)
	if err != nil || len(names) != 3 {
		t.Errorf("%x %v", names, err)
	}

	if disk.BehindSAT(dev) {
		t.Error("a SAS disk is no ATA disk")
	}

	page, err := disk.ReadLog(dev, disk.LogPort)
	if err != nil {
		t.Fatal(err)
	}

	want := []disk.SASPhy{
		{Port: 1, Phy: 0, Rate: 11, Address: 0x5000cca2a1b30091, Attached: 0x5003048020b1e57f, InvalidDword: 4, Disparity: 3, SyncLosses: 1},
		{Port: 2, Phy: 1, Rate: 11, Address: 0x5000cca2a1b30092, Attached: 0x5003048020b1e580, InvalidDword: 4, Disparity: 3, SyncLosses: 1},
	}
	if diff := cmp.Diff(want, disk.ParseSASPhys(page)); diff != "" {
		t.Error(diff)
	}

	for code, check := range map[byte]func(disk.LogPage) bool{
		disk.LogBackground:  func(p disk.LogPage) bool { n, ok := p.PowerOnHours(); return ok && n == 13 },
		disk.LogStartStop:   func(p disk.LogPage) bool { n, ok := p.StartStops(); return ok && n == 8 },
		disk.LogWriteErrors: func(p disk.LogPage) bool { n, ok := p.Counter(5); return ok && n == 123456789 },
		disk.LogTemperature: func(p disk.LogPage) bool { n, ok := p.Temperature(); return ok && n == 35 },
	} {
		page, err := disk.ReadLog(dev, code)
		if err != nil || !check(page) {
			t.Errorf("page %02x: %+v %v", code, page, err)
		}
	}
}

// TestLogPageOddities: values that mean that the disk does not know.
func TestLogPageOddities(t *testing.T) {
	page := func(code byte, params ...byte) disk.LogPage {
		p, err := disk.ParseLogPage(code, append([]byte{code, 0, 0, byte(len(params))}, params...))
		if err != nil {
			t.Fatal(err)
		}

		return p
	}

	if _, ok := page(disk.LogTemperature, 0, 0, 3, 2, 0, 0xff).Temperature(); ok {
		t.Error("a temperature of FFh")
	}

	if _, ok := page(disk.LogStartStop, 0, 4, 3, 4, 0xff, 0xff, 0xff, 0xff).StartStops(); ok {
		t.Error("FFFFFFFFh starts")
	}

	if percent, ok := page(disk.LogSolidState, 0, 1, 3, 4, 0, 0, 0, 104).Endurance(); !ok || percent != 104 {
		t.Errorf("%d per cent %t", percent, ok)
	}

	if n, ok := page(disk.LogReadErrors, 0, 6, 3, 10, 9, 9, 0, 0, 0, 0, 0, 0, 0, 7).Counter(6); !ok || n != 7 {
		t.Errorf("a counter of ten bytes is %d", n)
	}

	// A parameter that is cut off ends the page.
	if p := page(disk.LogReadErrors, 0, 6, 3, 1, 5, 0, 7, 3, 9, 1); len(p.Params) != 1 {
		t.Errorf("%+v", p)
	}

	if _, err := disk.ParseLogPage(disk.LogReadErrors, []byte{disk.LogWriteErrors, 0, 0, 0}); !errors.Is(err, disk.ErrRefused) {
		t.Errorf("another page: %v", err)
	}

	for b, want := range map[string]int{"000d000000000010": 2, "0008000000000010": 4, "000d000000000000": 0} {
		raw, _ := hex.DecodeString(b)
		if n, err := disk.ParseDefects(raw); err != nil || n != want {
			t.Errorf("%s: %d %v", b, n, err)
		}
	}
}

func TestDesignators(t *testing.T) {
	for payload, want := range map[string]string{
		"010300085000c50012345678": "5000c50012345678", "01020008aabbccddeeff0011": "aabbccddeeff0011",
		"01020008aabbccddeeff0011010300085000c50012345678": "5000c50012345678", // NAA before EUI-64
		"619300085000c50012345679010300085000c50012345678": "5000c50012345678", // a port is not the disk
		"02010004414141410103000850":                       "",                 // cut off
		"0103000450000000":                                 "", "": "",
	} {
		raw, err := hex.DecodeString(payload)
		if err != nil {
			t.Fatal(err)
		}

		if got := disk.ParseDesignators(raw); got != want {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

func TestSense(t *testing.T) {
	for text, want := range map[string]disk.Sense{
		"72052000000000":                   {Key: 5, ASC: 0x20},
		"70000500000000000000000024000000": {Key: 5, ASC: 0x24},
		"700005":                           {}, "71000500": {Key: 5}, "00000000": {}, "7f000000": {}, "": {},
		// Registers: SAT-4 §12.2.2.7, in the descriptor and in the fixed format.
		"7201001d0000000e090c000000aa0000004f00c20050":               {Key: 1, ASCQ: 0x1d, ATA: &disk.ATAReply{Status: 0x50, LBA: 0xc24f00, Count: 0xaa}},
		"7000010451003300" + "00114f2c" + "001d":                     {Key: 1, ASCQ: 0x1d, ATA: &disk.ATAReply{Error: 4, Status: 0x51, LBA: 0x2c4f11, Count: 0x33}},
		"7201001d0000000e090c0000":                                   {Key: 1, ASCQ: 0x1d}, // cut off
		"7201001d00000010" + "0300" + "090c000400aa0000004f00c20051": {Key: 1, ASCQ: 0x1d, ATA: &disk.ATAReply{Error: 4, Status: 0x51, LBA: 0xc24f00, Count: 0xaa}},
	} {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(want, disk.ParseSense(raw)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// conversation answers one command with what it is told.
type conversation struct {
	reply disk.SCSIReply
	err   error
	sent  [][]byte
}

func (c *conversation) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	c.sent = append(c.sent, req.CDB)

	return c.reply, c.err
}

func (*conversation) Close() error { return nil }

func TestPassThrough(t *testing.T) {
	hexed := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	abort := hexed("720b00000000000e090c000400000000000000000051")

	for name, c := range map[string]struct {
		reply disk.SCSIReply
		err   error
		want  error
	}{
		"the disk aborts":           {disk.SCSIReply{Status: 2, Sense: append(abort, 0x51)}, nil, disk.ErrRefused},
		"the layer knows no ATA":    {disk.SCSIReply{Status: 2, Sense: hexed("7000050000000000000000002000")}, nil, disk.ErrRefused},
		"half an answer":            {disk.SCSIReply{Data: make([]byte, 511)}, nil, disk.ErrShort},
		"it did not reach the disk": {disk.SCSIReply{}, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			talk := &conversation{reply: c.reply, err: c.err}
			if _, err := disk.ReadIdentify(disk.ATAOver(talk)); !errors.Is(err, c.want) {
				t.Error(err)
			}

			if got := fmt.Sprintf("%x", talk.sent[0]); got != "85080e0000000100000000000000ec00" {
				t.Errorf("sent %s", got)
			}
		})
	}

	// A medium error is no refusal.
	talk := &conversation{reply: disk.SCSIReply{Status: 2, Sense: hexed("72031100000000")}}
	if _, err := disk.ReadInquiry(talk); err == nil || errors.Is(err, disk.ErrRefused) || !strings.Contains(err.Error(), "3/11/00") {
		t.Errorf("%v", err)
	}
}

func TestNVMe(t *testing.T) {
	r := machines.Open(t, "gigabyte-r152-p30-f17a")

	dev, err := r.Disks.NVMe("nvme0n1")
	if err != nil {
		t.Fatal(err)
	}

	controller, err := disk.ReadNVMeController(dev)
	if err != nil || controller.Model != "Samsung SSD 980 PRO 1TB" || !controller.SelfTest || controller.WarningTemp != 82 || controller.CriticalTemp != 85 || controller.ErrorEntries != 64 {
		t.Errorf("%+v %v", controller, err)
	}

	namespace, err := disk.ReadNVMeNamespace(dev)
	if err != nil || namespace.WWN != "002538b921b1a0c7" || namespace.BlockBytes != 512 || namespace.Blocks != 1953525168 {
		t.Errorf("%+v %v", namespace, err)
	}

	tests, err := disk.ReadNVMeSelfTests(dev)
	if err != nil || tests.Running || len(tests.Tests) != 1 || tests.Tests[0].Outcome != disk.TestPassed || tests.Tests[0].Hours != 4 {
		t.Errorf("%+v %v", tests, err)
	}

	if _, err := r.Disks.SCSI("nvme0n1"); !errors.Is(err, disk.ErrRefused) {
		t.Errorf("SCSI to an NVMe disk: %v", err)
	}

	if _, err := r.Disks.NVMe("sda"); !errors.Is(err, disk.ErrRefused) {
		t.Errorf("a disk that is not there: %v", err)
	}

	// Running: 40 % done; all other results.
	b := make([]byte, 564)
	b[0], b[1] = 1, 40

	for i, code := range []byte{0, 1, 5, 6, 7, 0x0f} {
		b[4+28*i] = 0x10 | code
	}

	log, err := disk.ParseNVMeSelfTests(b)
	want := []disk.Outcome{disk.TestPassed, disk.TestAborted, disk.TestBroken, disk.TestFailed, disk.TestFailed}

	var got []disk.Outcome
	for _, test := range log.Tests {
		got = append(got, test.Outcome)
	}

	if diff := cmp.Diff(want, got); err != nil || diff != "" || !log.Running || log.Done != 0.4 {
		t.Errorf("%+v %v %s", log, err, diff)
	}
}

// TestRefusedNVMe: what a controller does not know is told apart from what failed.
func TestRefusedNVMe(t *testing.T) {
	for status, refused := range map[uint16]bool{0x01: true, 0x02: true, 0x109: true, 0x4001: true, 0x06: false, 0x281: false} {
		r := machines.Open(t, "gigabyte-r152-p30-f17a")
		r.Disks.Set(disk.Exchange{Disk: "nvme0n1", NVMe: "02 ffffffff 007f0002 00000000", Status: status})

		dev, err := r.Disks.NVMe("nvme0n1")
		if err != nil {
			t.Fatal(err)
		}

		if _, err := disk.ReadNVMeHealth(dev); err == nil || errors.Is(err, disk.ErrRefused) != refused {
			t.Errorf("status %#x: %v", status, err)
		}
	}
}

func TestRAIDVolumes(t *testing.T) {
	for product, want := range map[string]bool{
		"DELL PERC H740P Mini": true, "HPE LOGICAL VOLUME": true, "AVAGO MR9361-8i": true, "LSI MegaRAID": true, "Areca ARC-1883-VOL#00": true,
		"HGST HUS728T8TAL5204": false, "ATA ST8000NM000A": false, "SEAGATE ST16000NM002G": false,
	} {
		vendor, product, _ := strings.Cut(product, " ")
		if got := (disk.Inquiry{Vendor: vendor, Product: product}).RAIDVolume(); got != want {
			t.Errorf("%s %s: %t", vendor, product, got)
		}
	}
}

func TestReplayKeepsOrder(t *testing.T) {
	replay, err := disk.NewReplay(strings.NewReader(`{"disk":"sda","scsi":"1200","length":3,"data":"01"}

{"disk":"sda","scsi":"1200","length":2,"data":"0202"}
{"disk":"sda","scsi":"1201","error":"gone"}
{"disk":"sda","scsi":"1202","sense":"zz"}
{"disk":"sda","scsi":"1203","data":"zz"}
`))
	if err != nil {
		t.Fatal(err)
	}

	dev, err := replay.SCSI("sda")
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range [][]byte{{1, 0, 0}, {2, 2}, {2, 2}} {
		if reply, err := dev.Execute(disk.SCSIRequest{CDB: []byte{0x12, 0}}); err != nil || !bytes.Equal(reply.Data, want) {
			t.Errorf("%x %v, want %x", reply.Data, err, want)
		}
	}

	for _, cdb := range [][]byte{{0x12, 1}, {0x12, 2}, {0x12, 3}, {0x12, 4}} {
		if reply, err := dev.Execute(disk.SCSIRequest{CDB: cdb}); err == nil {
			t.Errorf("%x is answered %x", cdb, reply.Data)
		}
	}

	if err := replay.Edit("sda", "99", func(b []byte) []byte { return b }); err == nil {
		t.Error("an answer that is not there was edited")
	}

	if _, err := disk.NewReplay(strings.NewReader("{")); err == nil {
		t.Error("nonsense was read")
	}
}

// TestSystemRefuses: names that lead out of the folder of devices, or to a disk of
// another language, open nothing.
func TestSystemRefuses(t *testing.T) {
	bus := disk.System{Dev: t.TempDir()}

	for _, name := range []string{"", "../etc/passwd", "a/b", "sd.a", "missing"} {
		if _, err := bus.SCSI(name); err == nil {
			t.Errorf("%q was opened for SCSI", name)
		}
	}

	if _, err := bus.SCSI("nvme0n1"); !errors.Is(err, disk.ErrRefused) {
		t.Error(err)
	}

	if _, err := bus.NVMe("sda"); !errors.Is(err, disk.ErrRefused) {
		t.Error(err)
	}
}

// TestNativeSize: what a host protected area hides is told, by the command that the
// disk knows.
func TestNativeSize(t *testing.T) {
	// The last address, 0x123456789A, comes back in the registers (SAT-4 §12.2.2.7).
	sense, _ := hex.DecodeString("7201001d0000000e" + "090c0100" + "0000" + "349a" + "1278" + "0056" + "40" + "50")

	for name, c := range map[string]struct {
		id      disk.ATAIdentity
		command byte
		want    uint64
	}{
		"by its protected area":     {disk.ATAIdentity{HPA: true}, 0x27, 0x123456789b},
		"by its accessible address": {disk.ATAIdentity{AMAC: true, HPA: true}, 0x78, 0x123456789b},
		"it knows neither":          {disk.ATAIdentity{}, 0, 0},
	} {
		talk := &conversation{reply: disk.SCSIReply{Status: 2, Sense: sense}}

		sectors, err := disk.ReadNativeSectors(disk.ATAOver(talk), c.id)
		if sectors != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %#x %v", name, sectors, err)
		}

		if len(talk.sent) > 0 && (talk.sent[0][14] != c.command || talk.sent[0][1] != 0x07) {
			t.Errorf("%s: sent %x", name, talk.sent[0])
		}
	}

	// No registers, or zeros in them: nothing was told.
	for _, sense := range [][]byte{nil, make([]byte, 22)} {
		talk := &conversation{reply: disk.SCSIReply{Sense: sense}}
		if sectors, err := disk.ReadNativeSectors(disk.ATAOver(talk), disk.ATAIdentity{HPA: true}); err == nil {
			t.Errorf("%d sectors of nothing", sectors)
		}
	}
}
