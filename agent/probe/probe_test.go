package probe_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/core"
)

// read reads a machine, and must.
func read(t *testing.T, r *collect.Recording) core.Inventory {
	t.Helper()

	inv, err := r.Machine().Inventory("")
	if err != nil {
		t.Fatal(err)
	}

	return inv
}

// put changes files of a machine.
func put(t *testing.T, r *collect.Recording, files map[string]string) {
	t.Helper()

	for name, text := range files {
		if err := r.Root.Put(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParseList(t *testing.T) {
	for text, want := range map[string][]int{
		"0-3,8,10-11\n": {0, 1, 2, 3, 8, 10, 11}, "5": {5}, "": nil, "\n": nil, "x": nil, "0,x,2": {0}, "3-1": nil, "-1": nil, "1-": nil,
		"0-99999999": nil,
	} {
		if got := probe.ParseList(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("0-3,8,10-11")
	f.Add("0-65535,0-65535,0-65535")

	f.Fuzz(func(t *testing.T, text string) {
		for _, n := range probe.ParseList(text) {
			if n < 0 {
				t.Errorf("%d of %q", n, text)
			}
		}

		if n := len(probe.ParseList(text)); n > 1<<17 {
			t.Errorf("%d numbers of %q", n, text)
		}
	})
}

func TestFastestMode(t *testing.T) {
	bit := func(bits ...int) []uint32 {
		mask := make([]uint32, 4)
		for _, b := range bits {
			mask[b/32] |= 1 << (b % 32)
		}

		return mask
	}

	for name, c := range map[string]struct {
		mask []uint32
		want int
	}{
		"none": {nil, 0}, "only pause and autonegotiation": {bit(6, 13, 14), 0}, "10/100/1000": {bit(0, 1, 2, 3, 5, 6), 1000}, "2.5G": {bit(5, 47), 2500},
		"10G fibre": {bit(12, 43), 10000}, "100G": {bit(36, 31), 100000}, "400G": {bit(69), 400000}, "800G": {bit(93, 5), 800000},
		"a mode nobody knows": {bit(127, 5), 1000}, "a short mask": {bit(93)[:1], 0},
	} {
		if got := probe.FastestMode(c.mask); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestTransceivers(t *testing.T) {
	module := func(kind byte, fields map[int]string) []byte {
		b := make([]byte, 256)
		b[0] = kind

		for at, text := range fields {
			copy(b[at:at+16], text+strings.Repeat(" ", 16))
		}

		return b
	}

	for name, c := range map[string]struct {
		memory []byte
		want   core.Transceiver
		ok     bool
	}{
		"SFP":       {module(3, map[int]string{20: "Intel Corp", 40: "FTLX8571D3BCV-IT", 68: "AJT1A8X"}), core.Transceiver{Kind: "SFP", Vendor: "Intel Corp", Part: "FTLX8571D3BCV-IT", Serial: "AJT1A8X"}, true},
		"QSFP28":    {module(0x11, map[int]string{148: "Mellanox", 168: "MCP1600-C001", 196: "MT2029VS"}), core.Transceiver{Kind: "QSFP28", Vendor: "Mellanox", Part: "MCP1600-C001", Serial: "MT2029VS"}, true},
		"QSFP-DD":   {module(0x18, map[int]string{129: "Innolight", 148: "T-DQ4CNT", 166: "INK1"}), core.Transceiver{Kind: "QSFP-DD", Vendor: "Innolight", Part: "T-DQ4CNT", Serial: "INK1"}, true},
		"cut off":   {module(3, map[int]string{20: "Intel Corp"})[:50], core.Transceiver{Kind: "SFP", Vendor: "Intel Corp"}, true},
		"something": {module(0x7f, nil), core.Transceiver{}, false},
		"nothing":   {nil, core.Transceiver{}, false},
	} {
		if got, ok := probe.ParseTransceiver(c.memory); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v %t", name, got, ok)
		}
	}
}

func FuzzTransceiver(f *testing.F) {
	for _, name := range machines.Names(f) {
		for _, port := range machines.Open(f, name).Ports {
			if raw, err := hex.DecodeString(port.Module); err == nil {
				f.Add(raw)
			}
		}
	}

	f.Fuzz(func(t *testing.T, memory []byte) {
		got, ok := probe.ParseTransceiver(memory)
		if ok != (got.Kind != "") || strings.ContainsFunc(got.Vendor+got.Part+got.Serial, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%+v %t", got, ok)
		}
	})
}

// TestOfflineCPU: a thread that is off still counts, and is told to be off.
func TestOfflineCPU(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	r.Root.Remove("sys/devices/system/cpu/cpu17/topology")
	put(t, r, map[string]string{"sys/devices/system/cpu/online": "0-16,18-31\n", "sys/devices/system/cpu/cpu17/online": "0\n"})

	cpu := read(t, r).CPUs[0]
	if cpu.Threads != 16 || cpu.Online != 15 || cpu.Cores != 8 || len(cpu.Logical) != 15 {
		t.Errorf("%+v", cpu)
	}
}

// TestSameNameNoWWN: two no-name disks that say nothing of themselves are two disks;
// two ways to one disk are one.
func TestSameNameNoWWN(t *testing.T) {
	r := machines.Open(t, "azw-mini-s12-adln.m6s")
	twin := twinOf(t, r, "sda", "sdb")

	for name, c := range map[string]struct {
		change func(data []byte) []byte
		want   int
	}{
		"other serial":   {func(b []byte) []byte { b[20], b[21] = 'Z', 'Z'; return b }, 2},
		"same in all":    {func(b []byte) []byte { return b }, 1},
		"no serial told": {func(b []byte) []byte { copy(b[20:40], strings.Repeat(" ", 20)); return b }, 2},
	} {
		bus := twin(t, c.change)

		m := r.Machine()
		m.Bus = bus

		if drives, err := m.Disks(); err != nil || len(drives) != c.want {
			t.Errorf("%s: %d disks, %v", name, len(drives), err)
		}
	}
}

// twinOf plugs a second disk in that answers as the first one, but for a change.
func twinOf(t *testing.T, r *collect.Recording, name, twin string) func(t *testing.T, change func([]byte) []byte) disk.Bus {
	t.Helper()

	target, err := r.Root.ReadLink("sys/block/" + name)
	if err != nil {
		t.Fatal(err)
	}

	if err := r.Root.Link("sys/block/"+twin, target); err != nil {
		t.Fatal(err)
	}

	return func(t *testing.T, change func([]byte) []byte) disk.Bus {
		t.Helper()

		var recording strings.Builder
		if err := disk.Survey(disk.NewRecorder(machines.Open(t, r.Name).Disks, &recording), name); err != nil {
			t.Fatal(err)
		}

		both := recording.String() + strings.ReplaceAll(recording.String(), `"disk":"`+name+`"`, `"disk":"`+twin+`"`)

		replay, err := disk.NewReplay(strings.NewReader(both))
		if err != nil {
			t.Fatal(err)
		}

		if err := replay.Edit(twin, "85080e0000000100", change); err != nil {
			t.Fatal(err)
		}

		return replay
	}
}

// TestMemoryMap: who may not see addresses is told zeros, and the firmware's map is
// read instead.
func TestMemoryMap(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	want := read(t, r).Memory.RAMBytes

	put(t, r, map[string]string{"proc/iomem": "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n"})

	if got := read(t, r).Memory.RAMBytes; got == 0 || max(got, want)-min(got, want) > 1<<20 {
		t.Errorf("%d bytes, and %d for those who may see", got, want)
	}

	put(t, r, map[string]string{"proc/iomem": "zz-zz : System RAM\n2000-1000 : System RAM\n"})
	r.Root.Remove("sys/firmware/memmap")

	if got := read(t, r).Memory.RAMBytes; got != 0 {
		t.Errorf("%d bytes of nonsense", got)
	}
}

// TestClock compares the machine's own clock with the time.
func TestClock(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	put(t, r, map[string]string{"sys/class/rtc/rtc0/since_epoch": "1262304000\n"})

	m := r.Machine()
	m.Now = func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }

	inv, err := m.Inventory("")
	if want := (core.Clock{Year: 2010, OffSeconds: 1262304000 - m.Now().Unix()}); err != nil || inv.Clock == nil || *inv.Clock != want {
		t.Errorf("%+v %v", inv.Clock, err)
	}

	r.Root.Remove("sys/class/rtc")

	if inv := read(t, r); inv.Clock != nil {
		t.Errorf("%+v", inv.Clock)
	}
}

// TestBMC: the BMC's own word goes before the driver's.
func TestBMC(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	if bmc := read(t, r).BMC; bmc == nil || bmc.Firmware != "1.71" || bmc.Manufacturer != 10876 || bmc.MAC != "" {
		t.Errorf("by the driver: %+v", bmc)
	}

	r.BMC.Set(ipmi.Request{NetFn: ipmi.App, Command: 1}, []byte{0, 0x20, 0x81, 1, 0x73, 2, 0xbf, 0x7c, 0x2a, 0, 0x5d, 9})
	r.BMC.Set(ipmi.Request{NetFn: ipmi.Transport, Command: 2, Data: []byte{1, 5, 0, 0}}, []byte{0, 0x11, 0xac, 0x1f, 0x6b, 1, 2, 3})

	want := core.Management{Interface: "KCS", Manufacturer: 10876, Product: 0x95d, Firmware: "1.73", IPMI: "2.0", MAC: "ac:1f:6b:01:02:03"}
	if diff := cmp.Diff(&want, read(t, r).BMC); diff != "" {
		t.Error(diff)
	}
}

// TestSilentDisk: a disk that does not answer is listed all the same.
func TestSilentDisk(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	r.Disks.Set(disk.Exchange{Disk: "sdc", SCSI: "120000006000", Error: "host adapter status 0x1"})

	drives, err := r.Machine().Disks()
	if err == nil || !strings.Contains(err.Error(), "identifying sdc:") || len(drives) != 6 {
		t.Errorf("%d disks, %v", len(drives), err)
	}

	if drives[2].Name != "sdc" || drives[2].SizeBytes == 0 || drives[2].Transport != "sata" {
		t.Errorf("%+v", drives[2])
	}
}

// TestTheStickIsNoPart: the stick that a machine was started from is none of its disks,
// and tells the serial number of its descriptor where it is one.
func TestTheStickIsNoPart(t *testing.T) {
	m := machines.Open(t, "asus-prime-b650-plus-3057").Machine()

	all, _ := m.Disks()

	i := slices.IndexFunc(all, func(d probe.Drive) bool { return d.Transport == "usb" })
	if i < 0 || all[i].Serial != "4C530001230815118352" {
		t.Fatalf("%+v", all)
	}

	m.Except = all[i].Name

	rest, _ := m.Disks()
	if len(rest) != len(all)-1 || slices.ContainsFunc(rest, func(d probe.Drive) bool { return d.Name == m.Except }) {
		t.Errorf("%+v", rest)
	}
}

// TestPortsOddities: drivers that answer nothing, or half.
func TestPortsOddities(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	r.Ports["eno1"] = collect.PortAnswer{Error: "operation not supported"}
	r.Ports["eno2"] = collect.PortAnswer{Port: probe.Port{PermMAC: "00:00:00:00:00:00", Firmware: "N/A", Module: "zz"}}

	nics := r.Machine().NICs("ac:1f:6b:d0:4c:22")
	if len(nics) != 2 || nics[0].MAC != "ac:1f:6b:d0:4c:22" || !nics[0].BootNIC || nics[0].SpeedMbps != 10000 || nics[0].Driver != "i40e" {
		t.Errorf("%+v", nics)
	}

	if n := nics[1]; n.MAC != "ac:1f:6b:d0:4c:23" || n.Firmware != "" || n.Transceiver != nil || n.BootNIC || n.SpeedMbps != 0 {
		t.Errorf("%+v", n)
	}

	// A port of a bond tells the bond's address; the driver knows the one burnt in.
	r.Ports["eno2"] = collect.PortAnswer{Port: probe.Port{PermMAC: "ac:1f:6b:d0:4c:99"}}

	if n := r.Machine().NICs("ac:1f:6b:d0:4c:99")[1]; n.MAC != "ac:1f:6b:d0:4c:99" || !n.BootNIC {
		t.Errorf("%+v", n)
	}
}

// TestEmptyMachine: a machine that tells nothing has nothing, and no error.
func TestEmptyMachine(t *testing.T) {
	m := probe.Machine{Root: collect.NewTree(), Bus: &disk.Replay{}, Ports: collect.Ports{}}

	inv, err := m.Inventory("")
	if err != nil || len(inv.CPUs)+len(inv.DIMMs)+len(inv.Disks)+len(inv.NICs)+len(inv.PCI)+len(inv.Nodes) != 0 || inv.BMC != nil || inv.TPM != nil {
		t.Errorf("%+v %v", inv, err)
	}

	if id := m.Identity(); id.SMBIOSUUID != "" || len(id.MACs) != 0 {
		t.Errorf("%+v", id)
	}

	if _, err := m.Tables(); err != nil {
		t.Error(err)
	}

	broken := collect.NewTree()
	if err := errors.Join(broken.Put("sys/firmware/dmi/tables/DMI", []byte{1, 2}), broken.Put("sys/block/sda/size", []byte("x"))); err != nil {
		t.Fatal(err)
	}

	m.Root = broken
	if _, err := m.Inventory(""); err == nil || !strings.Contains(err.Error(), "decoding SMBIOS") || !strings.Contains(err.Error(), "identifying sda") {
		t.Errorf("%v", err)
	}
}

// FuzzFirmwareSlots: whatever a controller says, the slots named are there.
func FuzzFirmwareSlots(f *testing.F) {
	f.Add([]byte("\x21\x00\x00\x00\x00\x00\x00\x00E2MU110 E2MU200                                         "))
	f.Add(make([]byte, 512))
	f.Fuzz(func(t *testing.T, page []byte) {
		slots, err := probe.ParseFirmwareSlots(page)
		if err != nil {
			return
		}

		if slots.Active < 1 || slots.Active > 7 || slots.Next < 0 || slots.Next > 7 {
			t.Fatalf("%+v", slots)
		}

		_ = slots.Pending()
	})
}
