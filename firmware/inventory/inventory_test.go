package inventory_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/core"
	"vetting/firmware/inventory"
)

// structure is one SMBIOS structure as firmware writes it.
func structure(kind byte, handle uint16, body []byte, texts ...string) []byte {
	out := append(binary.LittleEndian.AppendUint16([]byte{kind, byte(4 + len(body))}, handle), body...)
	for _, text := range texts {
		out = append(append(out, text...), 0)
	}

	if len(texts) == 0 {
		out = append(out, 0)
	}

	return append(out, 0)
}

// parse decodes tables that are whole.
func parse(t *testing.T, tables ...[]byte) []inventory.Structure {
	t.Helper()

	all, err := inventory.ParseSMBIOS(bytes.Join(tables, nil))
	if err != nil {
		t.Fatal(err)
	}

	return all
}

// memory is a type 17 structure with what the callback sets; the offsets are those
// of the standard, from the structure's start.
func memory(handle uint16, locator, bank string, set func(at func(offset int, bytes ...byte))) []byte {
	body := make([]byte, 0x5c-4)
	at := func(offset int, b ...byte) { copy(body[offset-4:], b) }

	at(0x04, 0, 0x10) // array 1000h
	at(0x10, 1)
	at(0x11, 2)
	set(at)

	return structure(17, handle, body, locator, bank, "maker", "serial no 1", "part no 1")
}

func array(use, ecc byte) []byte {
	return structure(16, 0x1000, []byte{3, use, ecc, 0, 0, 0, 2, 0xfe, 0xff, 4, 0})
}

// TestCutTables: firmware's tables cut off anywhere give the structures before the
// cut, and an error that says so.
func TestCutTables(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		whole, err := inventory.ReadSMBIOS(r.Root)
		if errors.Is(err, inventory.ErrNoSMBIOS) {
			t.Skip("the machine has none")
		}

		if err != nil {
			t.Fatal(err)
		}

		tables, err := r.Root.ReadFile(inventory.SMBIOSPath)
		if err != nil {
			t.Fatal(err)
		}

		for cut := 1; cut < len(tables); cut += 13 {
			all, err := inventory.ParseSMBIOS(tables[:cut])

			size := 0
			for _, s := range all {
				size += len(s.Data) + 1
				for _, text := range s.Strings {
					size += len(text) + 1
				}

				if len(s.Strings) == 0 {
					size++
				}
			}

			if len(all) > len(whole) || (err == nil) != (size == cut) && !strings.Contains(string(tables), "\x1b") {
				t.Fatalf("cut at %d: %d structures of %d bytes, %v", cut, len(all), size, err)
			}

			_ = inventory.DIMMs(all)
		}
	})
}

func TestTablesOddities(t *testing.T) {
	for name, c := range map[string]struct {
		tables []byte
		want   int
		fault  string
	}{
		"nothing":                 {nil, 0, ""},
		"half a header":           {[]byte{1, 27}, 0, "structure 0 is cut off"},
		"a length of 3":           {[]byte{1, 3, 0, 0, 0, 0}, 0, "structure 0 is cut off"},
		"strings that do not end": {append(structure(1, 1, nil, "a"), 2, 4, 0, 0, 'x'), 1, "the strings of structure 1 do not end"},
		"bytes after the end":     {append(structure(127, 1, nil), 0xff, 0xff, 0xff), 1, ""},
		"a header and no strings": {structure(2, 1, nil), 1, ""},
	} {
		all, err := inventory.ParseSMBIOS(c.tables)
		if len(all) != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %d structures, %v", name, len(all), err)
		}
	}

	s := parse(t, structure(1, 1, []byte{1, 2, 9}, " a ", "b\x07c"))[0]
	if s.Text(4) != "a" || s.Text(5) != "bc" || s.Text(6) != "" || s.Text(99) != "" || s.Byte(99) != 0 || s.Word(6) != 0 || s.DWord(5) != 0 || s.QWord(0) != 0 {
		t.Errorf("%+v", s)
	}

	big := fstest.MapFS{inventory.SMBIOSPath: &fstest.MapFile{Data: make([]byte, 1<<20+1)}}
	if _, err := inventory.ReadSMBIOS(big); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a megabyte of tables: %v", err)
	}
}

func TestPlaceholders(t *testing.T) {
	for text, want := range map[string]string{
		"To be filled by O.E.M.": "", "To Be Filled By O.E.M": "", " Not Specified ": "", "Default string": "", "00000000": "", "FFFFFFFF": "", "xxxx": "",
		"****": "", "N/A": "", "System Serial Number": "", "Chassis Asset Tag": "", "0123456789": "", "NO DIMM": "", "": "", "  ": "", "Unknown": "",
		"No Asset Information": "", "01234567890123456789AB": "",
		"0": "0", "F": "F", "AB12CD": "AB12CD", "WM209S600123": "WM209S600123", "000000001": "000000001", "Default": "",
		"Not available here": "Not available here",
	} {
		if got := inventory.Told(text); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
}

// TestMemorySizes: every way of writing the size of a module.
func TestMemorySizes(t *testing.T) {
	word := func(v uint16) func(at func(int, ...byte)) {
		return func(at func(int, ...byte)) { at(0x0c, byte(v), byte(v>>8)) }
	}

	for name, c := range map[string]struct {
		set  func(at func(int, ...byte))
		want uint64
	}{
		"empty":             {word(0), 0},
		"unknown":           {word(0xffff), 0},
		"MiB":               {word(8192), 8 << 30},
		"KiB":               {word(0x8000 | 512), 512 << 10},
		"extended":          {func(at func(int, ...byte)) { at(0x0c, 0xff, 0x7f); at(0x1c, 0, 0, 1, 0) }, 64 << 30},
		"extended, bit 31":  {func(at func(int, ...byte)) { at(0x0c, 0xff, 0x7f); at(0x1c, 0, 0, 1, 0x80) }, 64 << 30},
		"the most extended": {func(at func(int, ...byte)) { at(0x0c, 0xff, 0x7f); at(0x1c, 0xff, 0xff, 0xff, 0x7f) }, 0x7fffffff << 20},
		"the most in MiB":   {word(0x7ffe), 0x7ffe << 20},
	} {
		dimms := inventory.DIMMs(parse(t, array(3, 6), memory(1, "A1", "B", c.set)))
		if len(dimms) != 1 || dimms[0].SizeBytes != c.want || c.want == 0 && dimms[0].Type != "" {
			t.Errorf("%s: %+v", name, dimms)
		}
	}
}

func TestMemoryModules(t *testing.T) {
	filled := func(at func(int, ...byte)) {
		at(0x0c, 0, 0x40)             // 16 GiB
		at(0x12, 0x22)                // DDR5
		at(0x15, 0xff, 0xff)          // rated: see 54h
		at(0x17, 3, 4)                // maker, serial
		at(0x1a, 5)                   // part number
		at(0x20, 0x80, 0x12)          // configured 4736
		at(0x54, 0x00, 0x19, 0, 0x80) // 6400
	}
	empty := func(func(int, ...byte)) {}

	// Locators that repeat get their bank in front, those without any a number.
	all := parse(t, array(3, 6), memory(1, "DIMM1", "P0", filled), memory(2, "DIMM1", "P1", filled), memory(3, "DIMM2", "P1", empty),
		memory(4, " ", "P1", empty), memory(5, "X", "P2", filled), memory(6, "X", "P2", filled))

	var slots []string
	for _, d := range inventory.DIMMs(all) {
		slots = append(slots, d.Slot)
	}

	if diff := cmp.Diff([]string{"P0/DIMM1", "P1/DIMM1", "DIMM2", "P1/", "P2/X#4", "P2/X#5"}, slots); diff != "" {
		t.Error(diff)
	}

	want := core.DIMM{
		Slot: "P0/DIMM1", Bank: "P0", SizeBytes: 16 << 30, Type: "DDR5", Manufacturer: "maker", PartNumber: "part no 1", Serial: "serial no 1",
		RatedMTs: 6400, ConfiguredMTs: 4736,
	}
	if diff := cmp.Diff(want, inventory.DIMMs(all)[0]); diff != "" {
		t.Error(diff)
	}

	total := inventory.Memory(all)
	if total.TotalBytes != 4*16<<30 || total.Slots != 6 || total.ECC != "multi-bit" {
		t.Errorf("%+v", total)
	}

	// Flash and video memory is no memory; a module of an array that is not there is.
	if n := len(inventory.DIMMs(parse(t, array(5, 3), memory(1, "BIOS", " ", filled)))); n != 0 {
		t.Errorf("%d modules of flash", n)
	}

	if n := len(inventory.DIMMs(parse(t, memory(1, "A", " ", filled)))); n != 1 {
		t.Errorf("%d modules without an array", n)
	}

	for kind, want := range map[byte]string{3: "none", 4: "parity", 5: "single-bit", 6: "multi-bit", 7: "crc", 2: "", 0: ""} {
		if got := inventory.Memory(parse(t, array(3, kind))).ECC; got != want {
			t.Errorf("ECC %d is %q", kind, got)
		}
	}
}

func TestSockets(t *testing.T) {
	socket := func(status, kind byte, cores, enabled, threads byte, wide ...byte) []byte {
		body := make([]byte, 0x30-4)
		body[0], body[1], body[3], body[0x0c] = 1, kind, 2, 3
		body[0x10], body[0x11], body[0x14] = 0xa0, 0x0f, status
		body[0x1f], body[0x20], body[0x21] = cores, enabled, threads
		copy(body[0x26:], wide)

		return structure(4, 1, body, "CPU1", "Maker  Inc", "Model   X   ")
	}

	got := inventory.Sockets(parse(t, socket(0x41, 3, 8, 6, 16), socket(0x01, 3, 0, 0, 0), socket(0x41, 6, 1, 1, 1),
		socket(0x41, 3, 0xff, 0xff, 0xff, 0x40, 1, 0x3f, 1, 0x80, 2), socket(0x41, 3, 0xff, 0xff, 0xff)))
	want := []inventory.Socket{
		{Name: "CPU1", Populated: true, Manufacturer: "Maker  Inc", Model: "Model X", MaxMHz: 4000, Cores: 8, Enabled: 6, Threads: 16},
		{Name: "CPU1", Manufacturer: "Maker  Inc", Model: "Model X", MaxMHz: 4000},
		{Name: "CPU1", Populated: true, Manufacturer: "Maker  Inc", Model: "Model X", MaxMHz: 4000, Cores: 320, Enabled: 319, Threads: 640},
		{Name: "CPU1", Populated: true, Manufacturer: "Maker  Inc", Model: "Model X", MaxMHz: 4000},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSystem(t *testing.T) {
	system := func(uuid string) []byte {
		return structure(1, 1, append(append([]byte{1, 2, 0, 3}, uuid...), 6, 4, 5), "Maker", "Model", "S1", "K-1", "Family")
	}

	for raw, want := range map[string]string{
		"\x44\x45\x4c\x4c\x58\x00\x10\x4b\x80\x32\xb7\xc0\x4f\x50\x51\x33": "4c4c4544-0058-4b10-8032-b7c04f505133",
		strings.Repeat("\x00", 16): "", strings.Repeat("\xff", 16): "",
		"\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00\x09": "", // AMI's template
	} {
		got := inventory.System(parse(t, system(raw)))
		if got.UUID != want || got.Manufacturer != "Maker" || got.Product != "Model" || got.Serial != "S1" || got.SKU != "K-1" {
			t.Errorf("%x: %+v", raw, got)
		}
	}

	if got := inventory.System(parse(t, structure(1, 1, []byte{1, 2, 0, 3}, "Maker", "Model", "S1"))); got.UUID != "" || got.Serial != "S1" {
		t.Errorf("SMBIOS 2.0: %+v", got)
	}

	// The motherboard of several boards.
	board := func(kind byte, serial string) []byte {
		return structure(2, 1, []byte{1, 2, 0, 3, 0, 0, 0, 0, 0, kind}, "Maker", "Board", serial)
	}
	if got := inventory.Board(parse(t, board(0x0b, "riser"), board(0x0a, "main"), board(0x0a, "second"))); got.Serial != "main" {
		t.Errorf("%+v", got)
	}

	if got := inventory.Board(parse(t, board(0x0b, "riser"))); got.Serial != "riser" {
		t.Errorf("%+v", got)
	}

	if got := inventory.Chassis(parse(t, structure(3, 1, []byte{1, 0x97, 0, 2, 3}, "Maker", "C1", "T1"))); got != (core.Chassis{Manufacturer: "Maker", Type: "rack mount chassis", Serial: "C1", AssetTag: "T1"}) {
		t.Errorf("%+v", got)
	}
}

func TestBIOS(t *testing.T) {
	const secure = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

	table := func(date string) []inventory.Structure {
		return parse(t, structure(0, 1, []byte{1, 2, 0, 0xf0, 3}, "Maker", "1.2", date))
	}

	for date, want := range map[string]string{"02/21/2020": "2020-02-21", "2020-02-21": "2020-02-21", "2/21/20": "2/21/20", " ": ""} {
		if got := inventory.BIOS(fstest.MapFS{}, table(date)); got != (core.BIOS{Vendor: "Maker", Version: "1.2", Date: want, Mode: "bios"}) {
			t.Errorf("%q: %+v", date, got)
		}
	}

	for value, want := range map[string]bool{"\x06\x00\x00\x00\x01": true, "\x06\x00\x00\x00\x00": false, "\x06\x00": false, "": false} {
		root := fstest.MapFS{secure: &fstest.MapFile{Data: []byte(value)}}
		if got := inventory.BIOS(root, nil); got.Mode != "uefi" || got.SecureBoot != want {
			t.Errorf("%x: %+v", value, got)
		}
	}
}

func TestVersion(t *testing.T) {
	for entry, want := range map[string][2]int{
		"_SM3_\x00\x18\x03\x07\x00": {3, 7}, "_SM_\x00\x1f\x02\x08": {2, 8}, "_SM3_\x00": {0, 0}, "junk": {0, 0}, "": {0, 0},
	} {
		root := fstest.MapFS{"sys/firmware/dmi/tables/smbios_entry_point": &fstest.MapFile{Data: []byte(entry)}}
		if major, minor := inventory.Version(root); [2]int{major, minor} != want {
			t.Errorf("%q: %d.%d", entry, major, minor)
		}
	}

	if major, _ := inventory.Version(fstest.MapFS{}); major != 0 {
		t.Error("a version of nothing")
	}
}

func files(texts map[string]string) fs.FS {
	root := fstest.MapFS{}
	for name, text := range texts {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}

	return root
}

func TestMicrocode(t *testing.T) {
	sysfs := map[string]string{"sys/devices/system/cpu/cpu0/microcode/version": "0xF4\n", "sys/devices/system/cpu/cpu10/microcode/version": "0xf5\n"}
	proc := map[string]string{"proc/cpuinfo": "processor\t: 0\nmicrocode\t: 0xAA\n\nprocessor\t: 1\n\nmicrocode : 0x1\n"}

	if got := inventory.Microcode(files(sysfs)); !cmp.Equal(got, map[int]string{0: "0xf4", 10: "0xf5"}) {
		t.Errorf("%v", got)
	}

	if got := inventory.Microcode(files(proc)); !cmp.Equal(got, map[int]string{0: "0xaa"}) {
		t.Errorf("%v", got)
	}

	// One item for each revision in a package.
	both := map[string]string{}
	for n, text := range map[string]string{"0": "0x1", "1": "0x2", "2": "0x1", "3": "0x1"} {
		both["sys/devices/system/cpu/cpu"+n+"/microcode/version"] = text
		both["sys/devices/system/cpu/cpu"+n+"/topology/physical_package_id"] = map[string]string{"0": "0", "1": "0", "2": "1", "3": "1"}[n]
	}

	var items []string
	for _, item := range inventory.Host(files(both), nil) {
		items = append(items, item.Part.Slot+" "+item.Version)
	}

	if diff := cmp.Diff([]string{"CPU0 0x1", "CPU0 0x2", "CPU1 0x1"}, items); diff != "" {
		t.Error(diff)
	}

	if got := inventory.Package(files(map[string]string{"sys/devices/system/cpu/cpu3/topology/physical_package_id": "-1"}), 3); got != "0" {
		t.Errorf("package %q", got)
	}
}

func TestFirmwareOfTheBoard(t *testing.T) {
	const esrt = "sys/firmware/efi/esrt/entries/entry0/"

	root := files(map[string]string{
		esrt + "fw_class": "9f2ac1c4\n", esrt + "fw_version": "7\n", esrt + "lowest_supported_fw_version": "5\n", esrt + "last_attempt_status": "6\n",
		"sys/firmware/efi/esrt/entries/entry1/fw_version": "1\n", "sys/class/mei/mei0/fw_ver": "0:4.1.4.339\n0:4.0\n", "sys/class/tpm/tpm0/tpm_version_major": "2\n",
	})

	if diff := cmp.Diff([]inventory.Update{{Class: "9f2ac1c4", Version: "7", Lowest: "5", Status: 6}}, inventory.Updates(root)); diff != "" {
		t.Error(diff)
	}

	var names []string
	for _, item := range inventory.Host(root, parse(t, structure(0, 1, []byte{1, 2, 0, 0, 0}, "V", "1.0"),
		structure(45, 9, []byte{1, 2, 0, 3, 0, 4, 5}, "BMC", "2.88", "id", "2023-01-02", "Maker"))) {
		names = append(names, item.Name+" "+item.Version)
	}

	if diff := cmp.Diff([]string{"BIOS 1.0", "ESRT 9f2ac1c4 7", "ME 4.1.4.339", "BMC 2.88"}, names); diff != "" {
		t.Error(diff)
	}

	for text, want := range map[string]string{"0:0.0.0.0\n": "", "nothing": "", "": "", "0:1.2.3.4": "1.2.3.4"} {
		if got := inventory.ManagementEngine(files(map[string]string{"sys/class/mei/mei0/fw_ver": text})); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestSlots(t *testing.T) {
	slot := func(kind, width, usage byte, rest ...byte) []byte {
		return structure(9, 1, append([]byte{1, kind, width, usage, 4, 1, 0, 0, 0}, rest...), "SLOT1")
	}

	got := inventory.Slots(parse(t, slot(0xb8, 0x0d, 4, 1, 0, 0x18, 0x09), slot(0xb4, 0x0b, 3, 0xff, 0xff, 0xff, 0xff), slot(0x17, 0x0a, 4), slot(0xff, 0, 2, 0, 0, 0xff, 0xff),
		structure(9, 1, []byte{0, 0xb8, 0x0d, 4})))
	want := []core.Slot{
		{Name: "SLOT1", Type: "PCIe 4", Lanes: 16, InUse: true, Address: "0001:18:01.1"},
		{Name: "SLOT1", Type: "PCIe 3", Lanes: 8},
		{Name: "SLOT1", Type: "M.2 key M", Lanes: 4, InUse: true},
		{Name: "SLOT1"},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSupplies(t *testing.T) {
	supply := func(location byte, watts, traits uint16) []byte {
		body := []byte{1, location, 2, 3, 4, 0, 5, 6}
		body = binary.LittleEndian.AppendUint16(body, watts)

		return structure(39, 1, binary.LittleEndian.AppendUint16(body, traits), "PSU1", "Model", "Maker", "S1", "P1", "A1")
	}

	got := inventory.PSUs(parse(t, supply(1, 750, 2), supply(0, 0x8000, 1)))
	want := []core.Supply{
		{Slot: "PSU1", Model: "Model", Manufacturer: "Maker", Serial: "S1", PartNumber: "P1", Revision: "A1", Watts: 750, Present: true},
		{Slot: "PSU2", Model: "Model", Manufacturer: "Maker", Serial: "S1", PartNumber: "P1", Revision: "A1"},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestManagement(t *testing.T) {
	for kind, want := range map[byte]string{1: "KCS", 3: "BT", 4: "SSIF", 9: "unknown"} {
		if got := inventory.BMCInterface(parse(t, structure(38, 1, []byte{kind, 0x20, 0x20}))); got != want {
			t.Errorf("%d is %q", kind, got)
		}
	}

	if inventory.BMCInterface(nil) != "" || inventory.TrustedModule(fstest.MapFS{}, nil) != nil {
		t.Error("found in an empty machine")
	}

	module := func(major, minor byte, first, second uint32) []byte {
		body := append([]byte("IFX\x00"), major, minor)
		body = binary.LittleEndian.AppendUint32(body, first)

		return structure(43, 1, binary.LittleEndian.AppendUint32(body, second))
	}
	family := files(map[string]string{"sys/class/tpm/tpm0/tpm_version_major": "2\n"})

	for name, c := range map[string]struct {
		root  fs.FS
		table []byte
		want  core.TPM
	}{
		"2.0":                {family, module(2, 0, 0x0007003e, 0x00154b02), core.TPM{Version: "2.0", Manufacturer: "IFX", Firmware: "7.62.21.19202"}},
		"1.2":                {fstest.MapFS{}, module(1, 2, 0x00280400, 0), core.TPM{Version: "1.2", Manufacturer: "IFX", Firmware: "4.40"}},
		"no firmware":        {fstest.MapFS{}, module(2, 0, 0, 0), core.TPM{Version: "2.0", Manufacturer: "IFX"}},
		"cut":                {fstest.MapFS{}, structure(43, 1, []byte("IFX\x00\x02")), core.TPM{Version: "2.0"}},
		"the kernel's alone": {family, nil, core.TPM{Version: "2.0"}},
	} {
		if got := inventory.TrustedModule(c.root, parse(t, c.table)); got == nil || *got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSpans(t *testing.T) {
	device := func(handle uint16, start, end uint32, position byte, wide ...byte) []byte {
		body := binary.LittleEndian.AppendUint32(nil, start)
		body = binary.LittleEndian.AppendUint32(body, end)
		body = binary.LittleEndian.AppendUint16(body, handle)

		return structure(20, 9, append(append(body, 0, 0, 0xff, position, 2), wide...))
	}
	filled := func(at func(int, ...byte)) { at(0x0c, 0, 0x40) }

	all := parse(t, array(3, 6), memory(0x1100, "A1", "B0", filled), memory(0x1101, "B1", "B1", filled),
		device(0x1101, 0xffffffff, 0xffffffff, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x13, 0, 0, 0),
		device(0x1100, 0, 0xffffff, 1), device(0x1100, 5, 4, 1), device(0x4711, 0x1000000, 0x1ffffff, 0xff))
	want := []inventory.Span{
		{Slot: "A1", Start: 0, End: 16<<30 - 1, Interleave: 1, Depth: 2},
		{Start: 16 << 30, End: 32<<30 - 1, Depth: 2},
		{Slot: "B1", Start: 0x10_0000_0000, End: 0x13_ffff_ffff, Interleave: 2, Depth: 2},
	}

	if diff := cmp.Diff(want, inventory.Spans(all)); diff != "" {
		t.Error(diff)
	}

	arrays := parse(t, structure(19, 1, []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0x10, 1}))
	if diff := cmp.Diff([]inventory.Span{{End: 16<<30 - 1}}, inventory.Spans(arrays)); diff != "" {
		t.Error(diff)
	}
}

// FuzzSMBIOS: whatever firmware hands out, every decoder comes back, and nothing of
// it can move a terminal's cursor.
func FuzzSMBIOS(f *testing.F) {
	for _, name := range machines.Names(f) {
		if tables, err := machines.Open(f, name).Root.ReadFile(inventory.SMBIOSPath); err == nil {
			f.Add(tables)
		}
	}

	f.Fuzz(func(t *testing.T, tables []byte) {
		all, err := inventory.ParseSMBIOS(tables)
		if err == nil && len(tables) > 0 && len(all) == 0 {
			t.Error("bytes that are nothing")
		}

		for _, s := range all {
			for _, text := range s.Strings {
				if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%q", text)
				}
			}
		}

		_, _, _, _ = inventory.System(all), inventory.Board(all), inventory.Chassis(all), inventory.Sockets(all)
		_, _, _, _ = inventory.Slots(all), inventory.PSUs(all), inventory.BMCInterface(all), inventory.Components(all)
		_, _, _ = inventory.TrustedModule(fstest.MapFS{}, all), inventory.BIOS(fstest.MapFS{}, all), inventory.Host(fstest.MapFS{}, all)

		var slots []string
		for _, d := range inventory.DIMMs(all) {
			if slices.Contains(slots, d.Slot) {
				t.Errorf("two modules in slot %q", d.Slot)
			}

			slots = append(slots, d.Slot)
		}

		if total := inventory.Memory(all); total.Slots < len(slots) {
			t.Errorf("%d slots, %d modules", total.Slots, len(slots))
		}

		for _, span := range inventory.Spans(all) {
			if span.End <= span.Start {
				t.Errorf("%+v", span)
			}
		}
	})
}

// TestSettings reads the states of the platform that are no versions.
func TestSettings(t *testing.T) {
	const (
		vars = "sys/firmware/efi/efivars/"
		guid = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
		dell = "sys/class/firmware-attributes/dell-wmi-sysman/"
	)

	root := fstest.MapFS{
		"sys/devices/system/cpu/vulnerabilities/mds":      {Data: []byte("Vulnerable: Clear CPU buffers attempted, no microcode\n")},
		"sys/devices/system/cpu/vulnerabilities/meltdown": {Data: []byte("Not affected\n")},
		"sys/devices/system/cpu/smt/control":              {Data: []byte("on\n")},
		"sys/kernel/iommu_groups/0/type":                  {Data: []byte("DMA\n")},
		"sys/class/tpm/tpm0/tpm_version_major":            {Data: []byte("2\n")},
		"sys/class/mei/mei0/fw_status":                    {Data: []byte("94000245\n30850106\n")},
		"sys/bus/pci/devices/0000:19:00.0/sriov_totalvfs": {Data: []byte("64\n")},
		"sys/bus/pci/devices/0000:1a:00.0/sriov_totalvfs": {Data: []byte("0\n")},
		vars + "SecureBoot" + guid:                        {Data: []byte{6, 0, 0, 0, 1}},
		vars + "SetupMode" + guid:                         {Data: []byte{6, 0, 0, 0, 0}},
		dell + "attributes/BootMode/current_value":        {Data: []byte("Uefi\n")},
		dell + "attributes/AdminPassword/current_value":   {Data: []byte("secret\n")},
		dell + "attributes/reset_bios":                    {Data: []byte("factory\n")},
		dell + "authentication/Admin/current_password":    {Data: []byte("secret\n")},
	}

	var got []string
	for _, s := range inventory.Settings(root) {
		got = append(got, strings.Join([]string{s.Part.Kind + s.Part.Slot, s.Group, s.Name, s.Value}, " "))
	}

	want := []string{
		"cpu vulnerability mds Vulnerable: Clear CPU buffers attempted, no microcode", "cpu vulnerability meltdown Not affected",
		"board platform secure-boot on", "board platform tpm 2.0", "board platform smt on", "board platform iommu on",
		"board platform me-status 0x94000245", "pci0000:19:00.0 platform sriov-functions 64", "board bios BootMode Uefi",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	root[vars+"SetupMode"+guid] = &fstest.MapFile{Data: []byte{6, 0, 0, 0, 1}}
	if got := inventory.Settings(root)[2]; got.Value != "setup" {
		t.Errorf("a machine in setup mode: %+v", got)
	}

	if got := inventory.Settings(fstest.MapFS{}); len(got) != 0 {
		t.Errorf("a machine that tells nothing: %+v", got)
	}
}

// TestManagementEngineTrouble reads the status register; 0x94000245 is of a healthy
// server, as published for Skylake-SP.
func TestManagementEngineTrouble(t *testing.T) {
	for status, want := range map[uint32]string{
		0x94000245: "", 0x90000255: "", 0x94003045: "it tells the error 3", 0x80000002: "it is in recovery", 0: "",
	} {
		if got := inventory.METrouble(status); got != want {
			t.Errorf("%#x: %q", status, got)
		}
	}

	for _, text := range []string{"", "zz000245\n", "94\n", "940002455\n"} {
		if _, ok := inventory.MEStatus(fstest.MapFS{"sys/class/mei/mei0/fw_status": {Data: []byte(text)}}); ok {
			t.Errorf("%q is a status", text)
		}
	}
}
