package spec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
	"vetting/core/spec"
)

func parse(t *testing.T, text string) (s spec.Spec) {
	t.Helper()

	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", text, err)
	}

	if err := s.Validate(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}

	return s
}

const whole = `
system: {manufacturer: example, product: "Server*", serial: SYS0001}
board: {product: Board 1, serial: BOARD0001}
bios: {vendor: Example, version: 1.2.3, mode: uefi, secure_boot: false}
cpus: {count: 1, model: "Example CPU*", cores: 8, threads: 16}
memory:
  total: 32 GiB
  ecc: true
  dimms:
    count: 2
    each: {size: 16 GiB, type: DDR4, part_number: EX16G, speed_mts: 3200}
    slots:
      DIMM_A1: {size: 16 GiB}
      DIMM_A2: {empty: true}
disks:
  - {model: Example HDD, transport: sata, size: 4 TB, rotational: true}
  - {serial: SSD0001, size: 960 GB}
nics:
  - {mac: 52-54-00-00-00-01, speed_mbps: 1000, link: true}
pci:
  - {vendor: "8086", class: "0106"}
`

func TestASpecThatFits(t *testing.T) {
	inv := coretest.Inventory(1)

	r := spec.Compare(parse(t, whole), &inv)
	if len(r.Diffs) != 0 || len(r.Findings) != 0 || r.Critical() || r.Compared < 30 {
		t.Errorf("%d compared, %+v, %+v", r.Compared, r.Diffs, r.Findings)
	}
}

func TestOneThingIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spec     string // empty: whole
		change   func(*core.Inventory)
		path     string
		code     string
		severity core.Severity
		evidence string
		slot     string
	}{
		"a DIMM of a named slot is missing": {
			"", func(i *core.Inventory) {
				i.DIMMs[0].SizeBytes = 0
				i.Memory.TotalBytes = 32 * coretest.GiB
				i.DIMMs[1].SizeBytes = 0
				i.DIMMs[3] = i.DIMMs[2]
			},
			"memory.dimms.slots.DIMM_A1", "spec/dimm-missing", core.Critical, "DIMM_A1", "DIMM_A1",
		},
		"one DIMM more is asked for, and two slots are empty": {
			"memory: {dimms: {count: 3}}", nil, "memory.dimms.count", "spec/dimm-missing", core.Critical, "empty slots: DIMM_A2, DIMM_B2", "DIMM 3 of 3",
		},
		"two DIMMs more are asked for, and two slots are empty": {
			"memory: {dimms: {count: 4}}", nil, "memory.dimms.count", "spec/dimm-missing", core.Critical, "slot DIMM_A2 is empty", "DIMM_A2",
		},
		"one DIMM more is asked for, and no slot is empty": {
			"memory: {dimms: {count: 3}}", func(i *core.Inventory) { i.DIMMs = []core.DIMM{i.DIMMs[0], i.DIMMs[2]} },
			"memory.dimms.count", "spec/dimm-missing", core.Critical, "reports no empty slot", "DIMM 3 of 3",
		},
		"a slot that the platform does not know": {
			"memory: {dimms: {slots: {DIMM_Z9: {size: 16 GiB}}}}", nil, "memory.dimms.slots.DIMM_Z9", "spec/dimm-missing", core.Critical, "16 GiB", "DIMM_Z9",
		},
		"a DIMM more than asked for": {
			"memory: {dimms: {count: 1}}", nil, "memory.dimms.count", "spec/dimm-extra", core.Warning, "expected 1, found 2", "",
		},
		"a slot that should be empty": {
			"memory: {dimms: {slots: {DIMM_A1: {empty: true}}}}", nil, "memory.dimms.slots.DIMM_A1", "spec/dimm-extra", core.Warning, "expected empty", "DIMM_A1",
		},
		"a DIMM of another size": {
			"memory: {dimms: {each: {size: 32 GiB}}}", func(i *core.Inventory) { i.DIMMs[2].SizeBytes = 32 * coretest.GiB },
			"memory.dimms.DIMM_A1.size", "spec/dimm-size", core.Critical, "expected 32 GiB, found 16 GiB", "DIMM_A1",
		},
		"less memory":     {"memory: {total: 64 GiB}", nil, "memory.total", "spec/memory-total", core.Critical, "expected 64 GiB, found 32 GiB", ""},
		"no ECC":          {"", func(i *core.Inventory) { i.Memory.ECC = "none" }, "memory.ecc", "spec/ecc", core.Critical, "found none", ""},
		"fewer CPUs":      {"cpus: {count: 2}", nil, "cpus.count", "spec/cpu-missing", core.Critical, "expected 2, found 1", ""},
		"more CPUs":       {"cpus: {count: 1}", func(i *core.Inventory) { i.CPUs = append(i.CPUs, i.CPUs[0]) }, "cpus.count", "spec/cpu", core.Critical, "found 2", ""},
		"another CPU":     {"cpus: {model: Xeon*}", nil, "cpus.CPU0.model", "spec/cpu", core.Critical, "Example CPU 8000", "CPU0"},
		"fewer cores":     {"cpus: {cores: 16}", nil, "cpus.CPU0.cores", "spec/cpu", core.Critical, "found 8", "CPU0"},
		"another box":     {"system: {serial: OTHER}", nil, "system.serial", "spec/system", core.Critical, "SYS0001", ""},
		"older BIOS":      {"bios: {version: 1.2.4}", nil, "bios.version", "spec/firmware", core.Warning, "1.2.3", ""},
		"legacy boot":     {"bios: {mode: bios}", nil, "bios.mode", "spec/boot-mode", core.Warning, "uefi", ""},
		"a missing disk":  {"disks: [{count: 2, rotational: true}]", func(i *core.Inventory) { i.Disks = i.Disks[:1] }, "disks[0].2", "spec/disk-missing", core.Critical, "found none", ""},
		"the wrong disk":  {"disks: [{transport: sata}, {serial: SSD9999}]", nil, "disks[1].serial", "spec/disk", core.Critical, "expected SSD9999, found SSD0001", "nvme0n1"},
		"a smaller disk":  {"disks: [{transport: nvme, size: 1.92 TB}, {transport: sata}]", nil, "disks[0].size", "spec/disk-size", core.Critical, "1.92 TB", "nvme0n1"},
		"a disk too many": {"disks: [{transport: sata}]", nil, "disks.nvme0n1", "spec/disk-extra", core.Warning, "not in the expected spec", "nvme0n1"},
		"a disk that no entry fits": {
			"disks: [{transport: sata}, {count: 0..2, model: X}]", nil, "disks.nvme0n1", "spec/disk-extra", core.Warning, "not in the expected spec", "nvme0n1",
		},
		"other disk firmware": {"disks: [{transport: sata, firmware: F2}, {}]", func(i *core.Inventory) { i.Disks[0].Firmware = "F1" }, "disks[0].firmware", "spec/firmware", core.Warning, "F1", "sda"},
		"a missing port":      {"nics: [{count: 2}]", nil, "nics[0].2", "spec/nic-missing", core.Critical, "found none", ""},
		"a slow port":         {"nics: [{speed_mbps: 10000}]", nil, "nics[0].speed_mbps", "spec/nic-speed", core.Critical, "found 1000", "eth0"},
		"a port without link": {"nics: [{link: true}]", func(i *core.Inventory) { i.NICs[0].Link = false }, "nics[0].link", "spec/nic-link", core.Critical, "found no", "eth0"},
		"another correction":  {"nics: [{fec: rs}]", func(i *core.Inventory) { i.NICs[0].FEC = "baser" }, "nics[0].fec", "spec/nic-fec", core.Critical, "found baser", "eth0"},
		"no correction told":  {"nics: [{fec: rs}]", nil, "nics[0].fec", "spec/not-reported", core.Warning, "not reported", "eth0"},
		"a missing card":      {"pci: [{vendor: 10de, class: '03', count: 2}]", nil, "pci[0].count", "spec/pci-missing", core.Critical, "2 of 10de:", ""},
		"a card too many":     {"pci: [{vendor: '8086'}]", func(i *core.Inventory) { i.PCI = append(i.PCI, i.PCI[0]) }, "pci[0].count", "spec/pci-extra", core.Warning, "found 2", ""},
		"a serial the platform does not tell": {
			"system: {serial: X}", func(i *core.Inventory) { i.System.Serial = "" }, "system.serial", "spec/not-reported", core.Warning, "not reported by the platform", "",
		},
		"a speed the card does not tell": {
			"nics: [{speed_mbps: 1000}]", func(i *core.Inventory) { i.NICs[0].SpeedMbps = 0 }, "nics[0].speed_mbps", "spec/not-reported", core.Warning, "not reported", "eth0",
		},
	} {
		inv := coretest.Inventory(1)
		if c.change != nil {
			c.change(&inv)
		}

		text := c.spec
		if text == "" {
			text = whole
		}

		r := spec.Compare(parse(t, text), &inv)
		if !tells(r, c.path, c.code, c.severity, c.evidence, c.slot) {
			t.Errorf("%s:\n%+v\n%+v", name, r.Diffs, r.Findings)
		}

		if r.Critical() != (c.severity == core.Critical) {
			t.Errorf("%s: critical %v: %+v", name, r.Critical(), r.Findings)
		}
	}
}

func tells(r spec.Result, path, code string, severity core.Severity, evidence, slot string) bool {
	diff, finding := false, false

	for _, d := range r.Diffs {
		diff = diff || d.Path == path && d.Severity == severity && d.NotReported == (code == "spec/not-reported")
	}

	for _, f := range r.Findings {
		finding = finding || f.Code == code && f.Severity == severity && strings.Contains(f.Evidence, evidence) &&
			f.Part.Slot == slot && f.Next != "" && f.Title != "" && f.Stage == core.SpecValidate
	}

	return diff && finding
}

func TestGeneralChecks(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*core.Inventory)
		code     string
		severity core.Severity
	}{
		"nothing wrong":           {func(*core.Inventory) {}, "", ""},
		"a logical CPU is off":    {func(i *core.Inventory) { i.CPUs[0].Online = 15 }, "spec/cpu-offline", core.Critical},
		"half the cores are off":  {func(i *core.Inventory) { i.CPUs[0].Online = 4 }, "spec/cpu-offline", core.Critical},
		"hyperthreading is off":   {func(i *core.Inventory) { i.CPUs[0].Online = 8 }, "spec/smt-off", core.Info},
		"CPUs not told":           {func(i *core.Inventory) { i.CPUs[0].Online = 0 }, "", ""},
		"a slow DIMM":             {func(i *core.Inventory) { i.DIMMs[0].ConfiguredMTs = 2666 }, "spec/dimm-slow", core.Warning},
		"mixed DIMMs":             {func(i *core.Inventory) { i.DIMMs[0].PartNumber = "X" }, "spec/dimm-mixed", core.Warning},
		"unequal DIMMs":           {func(i *core.Inventory) { i.DIMMs[0].SizeBytes *= 2 }, "spec/dimm-unequal", core.Warning},
		"memory kept back":        {func(i *core.Inventory) { i.Memory.UsableBytes = 24 * coretest.GiB }, "spec/memory-usable", core.Warning},
		"a small machine's share": {func(i *core.Inventory) { i.Memory = core.MemoryTotal{TotalBytes: 512 << 20, UsableBytes: 300 << 20} }, "", ""},
		"a USB stick":             {func(i *core.Inventory) { i.Disks = append(i.Disks, core.Disk{Name: "sdb", Transport: "usb"}) }, "spec/usb-storage", core.Warning},
		"one serial twice":        {func(i *core.Inventory) { i.Disks = append(i.Disks, i.Disks[0]) }, "spec/duplicate-serial", core.Warning},
	} {
		inv := coretest.Inventory(1)
		c.change(&inv)

		r := spec.General(&inv)

		switch {
		case c.code == "" && len(r.Findings) != 0:
			t.Errorf("%s: %+v", name, r.Findings)
		case c.code != "" && (len(r.Findings) != 1 || r.Findings[0].Code != c.code || r.Findings[0].Severity != c.severity):
			t.Errorf("%s: %+v", name, r.Findings)
		}
	}
}

func TestUSBStorageThatTheSpecAsksForIsFine(t *testing.T) {
	inv := coretest.Inventory(1)
	inv.Disks = append(inv.Disks, core.Disk{Name: "sdb", Transport: "usb"})

	r := spec.Compare(parse(t, "disks: [{transport: sata}, {transport: nvme}, {transport: usb}]"), &inv)
	if len(r.Findings) != 0 {
		t.Errorf("%+v", r.Findings)
	}
}

func TestEveryCodeOfAComparisonIsListed(t *testing.T) {
	for _, inv := range []core.Inventory{{}, coretest.Inventory(1), coretest.Inventory(2)} {
		for _, f := range spec.Compare(parse(t, whole), &inv).Findings {
			if _, ok := problem.Lookup(f.Code); !ok {
				t.Errorf("%s is not listed", f.Code)
			}
		}
	}
}

func TestASpecThatMeansNothingIsRefused(t *testing.T) {
	for text, path := range map[string]string{
		"cpus: {count: -1}":                                         "cpus.count",
		"cpus: {cores: 8, threads: 4}":                              "cpus.threads",
		"memory: {dimms: {count: 1, slots: {A: {}, B: {}}}}":        "memory.dimms.count",
		"memory: {dimms: {slots: {A: {empty: true, size: 1 GiB}}}}": "memory.dimms.slots.A",
		"disks: [{count: 2, serial: X}]":                            "disks[0]",
		"disks: [{size: 4}]":                                        "disks[0].size",
		"disks: [{}, {transport: floppy}]":                          "disks[1].transport",
		"nics: [{mac: zz}]":                                         "nics[0].mac",
		"nics: [{mac: '52:54:00:00:00:01', count: 2}]":              "nics[0]",
		"disks: [{count: 300}]":                                     "disks",
		"pci: [{}]":                                                 "pci[0]",
		"pci: [{vendor: intel}]":                                    "pci[0].vendor",
		"bios: {mode: uboot}":                                       "bios.mode",
		"disks: [{size: 4 XB}]":                                     "disks[0].size",
		"disks: [{size: -1 GB}]":                                    "disks[0].size",
		"disks: [{size: 1e30 TB}]":                                  "disks[0].size",
		"memory: {total: lots}":                                     "memory.total",
		"cpus: {cores: 16..8}":                                      "cpus.cores",
		"cpus: {cores: ..}":                                         "cpus.cores",
		"cpus: {cores: /8/}":                                        "cpus.cores",
		"cpus: {cores: [8, many]}":                                  "cpus.cores",
		"cpus: {count: 1..5000}":                                    "cpus.count",
		"memory: {total: 16 GiB..8 GiB}":                            "memory.total",
		"memory: {ecc: maybe}":                                      "memory.ecc",
		"memory: {ecc: [true, false]}":                              "memory.ecc",
		"bios: {version: /(/}":                                      "bios.version",
		"bios: {version: '/((a{99}){9}b){9}/'}":                     "bios.version",
		"bios: {version: [1, '']}":                                  "bios.version",
		"bios: {version: {is: 1, severity: fatal}}":                 "bios.version.severity",
		"bios: {version: {severity: info}}":                         "bios.version",
		"bios: {version: [" + strings.Repeat("1, ", 40) + "]}":      "bios.version",
		"bios: {mode: [uefi, uboot]}":                               "bios.mode",
		"disks: [{count: [1, 2]}]":                                  "disks[0].count",
		"disks: [{count: 2.., serial: X}]":                          "disks[0]",
		"system: {serial: " + strings.Repeat("x", 300) + "}":        "system.serial",
	} {
		var s spec.Spec
		if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", text, err)
		}

		err := s.Validate()

		p, ok := errors.AsType[*core.Problem](err)
		if !ok || p.Code != "spec/invalid" || !strings.HasPrefix(p.Message, path+":") {
			t.Errorf("%.80s: %v", text, err)
		}
	}

	var s spec.Spec
	if err := yaml.UnmarshalWithOptions([]byte("memroy: {}"), &s, yaml.Strict()); err == nil {
		t.Errorf("a key that there is not was read as %+v", s)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]spec.Size{
		"16 GiB": 16 << 30, "16gib": 16 << 30, "1024": 1024, "3.84 TB": 3840000000000, "1 MiB": 1 << 20, "512 KiB": 512 << 10, "0": 0, "2T": 2 << 40,
	} {
		var s spec.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d %v", text, s, err)
		}

		var again spec.Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s came back as %s", text, s)
		}
	}

	out, err := yaml.Marshal(parse(t, whole))
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(parse(t, whole), parse(t, string(out))); diff != "" {
		t.Errorf("written and read again:\n%s\n%s", out, diff)
	}
}

// FuzzCompare: no spec and no inventory makes the comparison panic, and the same
// input gives the same output.
func FuzzCompare(f *testing.F) {
	f.Add(whole, uint8(3), "DIMM_A1", "sda")
	f.Add("disks: [{count: 3}]", uint8(0), "", "")

	f.Fuzz(func(t *testing.T, text string, n uint8, slot, disk string) {
		var s spec.Spec
		if yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()) != nil || s.Validate() != nil {
			return
		}

		inv := coretest.Inventory(int(n))
		inv.DIMMs[0].Slot, inv.Disks[0].Serial = slot, disk

		if diff := cmp.Diff(spec.Compare(s, &inv), spec.Compare(s, &inv)); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzSize: any text is a size or an error, and a size is read as it is written.
func FuzzSize(f *testing.F) {
	f.Add("16 GiB")
	f.Add("3.84TB")
	f.Add("NaN B")

	f.Fuzz(func(t *testing.T, text string) {
		var s, again spec.Size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}

		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is %d, came back as %d: %v", text, s, again, err)
		}
	})
}
