package spec_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/spec"
)

// The example machine has 1 CPU of 8 cores, 2 DIMMs of 16 GiB in 4 slots, an HDD of
// 4 TB (sata, sda), an SSD of 960 GB (nvme), one port at 1000 Mb/s, BIOS 1.2.3.
func TestWhatAFieldMayBe(t *testing.T) {
	for text, differs := range map[string]bool{
		"cpus: {cores: 8}":                                   false,
		"cpus: {cores: 9}":                                   true,
		"cpus: {cores: 4..8}":                                false,
		"cpus: {cores: 8..16}":                               false,
		"cpus: {cores: 9..16}":                               true,
		"cpus: {cores: 8..}":                                 false,
		"cpus: {cores: 9..}":                                 true,
		"cpus: {cores: ..8}":                                 false,
		"cpus: {cores: ..7}":                                 true,
		"cpus: {cores: [4, 8]}":                              false,
		"cpus: {cores: [4, 16]}":                             true,
		"cpus: {cores: [4, 6..10]}":                          false,
		"cpus: {count: 1..2}":                                false,
		"cpus: {count: 2..4}":                                true,
		"memory: {total: 32 GiB..64 GiB}":                    false,
		"memory: {total: 16 GiB..31 GiB}":                    true,
		"memory: {dimms: {count: 2..4}}":                     false,
		"memory: {dimms: {count: [1, 4]}}":                   true,
		"memory: {dimms: {each: {size: [8 GiB, 16 GiB]}}}":   false,
		"memory: {dimms: {each: {speed_mts: 3000..3200}}}":   false,
		"memory: {dimms: {each: {speed_mts: ..2933}}}":       true,
		"bios: {version: '/^1\\.[0-9]+\\.3$/'}":              false,
		"bios: {version: /^2/}":                              true,
		"bios: {version: [1.2.2, 1.2.3]}":                    false,
		"bios: {version: [1.1.*, /^2/]}":                     true,
		"bios: {mode: [bios, uefi]}":                         false,
		"bios: {secure_boot: {is: false, severity: info}}":   false,
		"cpus: {model: '/EXAMPLE cpu [0-9]{4}/'}":            false,
		"disks: [{transport: [sata, nvme], count: 2}]":       false,
		"disks: [{count: 1..4}]":                             false,
		"disks: [{count: 3..4}]":                             true,
		"disks: [{transport: sata}, {count: 0..3}]":          false,
		"disks: [{transport: sata}, {count: 0.., model: X}]": true,
		"disks: [{transport: sata, count: 1..}]":             true, // the other disk is none of them
		"disks: [{size: 900 GB..1 TB}, {size: 4 TB}]":        false,
		"nics: [{speed_mbps: [1000, 10000]}]":                false,
		"nics: [{mac: ['52:54:00:00:00:77', /01$/]}]":        false,
		"nics: [{mac: [52-54-00-00-00-01]}]":                 false,
		"nics: [{count: 0}]":                                 true,
		"pci: [{vendor: 10de, class: '03', count: 0}]":       false,
		"pci: [{vendor: '8086', count: 0}]":                  true,
		"pci: [{vendor: ['8086', 10de], class: '/^0[12]/'}]": false,
	} {
		inv := coretest.Inventory(1)
		r := spec.Compare(parse(t, text), &inv)

		if (len(r.Diffs) > 0) != differs {
			t.Errorf("%s: %+v", text, r.Diffs)
		}

		if len(r.Diffs) > 0 != (len(r.Findings) > 0) {
			t.Errorf("%s: %d differences, %d findings", text, len(r.Diffs), len(r.Findings))
		}
	}
}

// Each field may say how much a difference of it matters.
func TestAFieldSaysHowMuchADifferenceMatters(t *testing.T) {
	for text, want := range map[string]struct {
		severity core.Severity
		expected string
	}{
		"bios: {version: 9}":                                                       {core.Warning, "9"},
		"bios: {version: {is: 9, severity: critical}}":                             {core.Critical, "9"},
		"bios: {version: {is: [9, '/^1[0-9]/'], severity: info}}":                  {core.Info, "9 or /^1[0-9]/"},
		"cpus: {cores: {is: 16..32, severity: warning}}":                           {core.Warning, "16 to 32"},
		"cpus: {cores: {is: 16.., severity: info}}":                                {core.Info, "16 or more"},
		"cpus: {count: {is: 2, severity: info}}":                                   {core.Info, "2"},
		"memory: {total: {is: 64 GiB.., severity: warning}}":                       {core.Warning, "64 GiB or more"},
		"memory: {ecc: {is: false, severity: info}}":                               {core.Info, "no"},
		"memory: {dimms: {count: {is: 3..4, severity: warning}}}":                  {core.Warning, "3 to 4"},
		"memory: {dimms: {count: {is: 1, severity: info}}}":                        {core.Info, "1"},
		"memory: {dimms: {slots: {DIMM_A1: {size: {is: 8 GiB, severity: info}}}}}": {core.Info, "8 GiB"},
		"disks: [{count: {is: 3, severity: warning}}]":                             {core.Warning, "a disk"},
		"disks: [{size: {is: 8 TB, severity: info}}, {}]":                          {core.Info, "8 TB"},
		"nics: [{link: {is: false, severity: warning}}]":                           {core.Warning, "no"},
		"pci: [{vendor: 10de, count: {is: 2, severity: info}}]":                    {core.Info, "2 of 10de:"},
		"system: {sku: {is: X, severity: critical}}":                               {core.Warning, "X"}, // the machine does not tell it
		"system: {sku: {is: X, severity: info}}":                                   {core.Info, "X"},
	} {
		inv := coretest.Inventory(1)
		r := spec.Compare(parse(t, text), &inv)

		if len(r.Diffs) == 0 || r.Diffs[0].Severity != want.severity || r.Diffs[0].Expected != want.expected {
			t.Errorf("%s: %+v", text, r.Diffs)

			continue
		}

		if f := r.Findings[0]; f.Severity != want.severity || !strings.Contains(f.Evidence, "expected "+want.expected) {
			t.Errorf("%s: %+v", text, f)
		}

		if r.Critical() != (want.severity == core.Critical) {
			t.Errorf("%s: critical %v", text, r.Critical())
		}
	}
}

// What is written is read as the same, and says the same.
func TestASpecComesBackAsItWasWritten(t *testing.T) {
	for _, text := range []string{
		whole,
		"bios: {version: 1.10, vendor: '007', mode: [bios, uefi]}",
		"bios: {version: {is: [/^1/, 2.*], severity: info}, secure_boot: {is: true, severity: info}}",
		"cpus: {cores: 8..16, threads: {is: [16, 32..], severity: warning}}",
		"memory: {total: ..64 GiB, dimms: {count: 0..4, each: {size: [8 GiB, 16 GiB]}}}",
		"disks: [{count: 2.., size: 900 GB..1 TB, serial: [A1, B2]}]",
		"pci: [{vendor: 8086, device: 1e10, count: 0}]",
		"system: {serial: 'true', product: '~'}",
	} {
		s := parse(t, text)

		out, err := yaml.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(s, parse(t, string(out))); diff != "" {
			t.Errorf("%s written as\n%s\nand read again:\n%s", text, out, diff)
		}
	}
}

// A number that looks like one is a text where a text belongs: a version 1.10 is
// not 1.1, a serial 007 not 7.
func TestTextsAreReadLetterByLetter(t *testing.T) {
	inv := coretest.Inventory(1)
	inv.BIOS.Version, inv.System.Serial, inv.Board.Serial = "1.10", "007", "0x1F"

	for _, text := range []string{"bios: {version: 1.10}", "system: {serial: 007}", "board: {serial: 0x1F}", "bios: {version: [1.10]}"} {
		if r := spec.Compare(parse(t, text), &inv); len(r.Diffs) != 0 {
			t.Errorf("%s: %+v", text, r.Diffs)
		}
	}

	if r := spec.Compare(parse(t, "bios: {version: 1.1}"), &inv); len(r.Diffs) != 1 {
		t.Errorf("1.1 is taken for 1.10")
	}
}

// The spec that was learned from a machine fits it, however its parts are called.
func TestALearnedSpecFitsTheMachine(t *testing.T) {
	inv := coretest.Inventory(1)
	inv.BIOS.Version, inv.System.Product, inv.Disks[0].Model = "2.10", "/SSG*(2)/", "ST4000*"
	inv.CPUs[0].Model = "8..16"

	text, err := yaml.Marshal(spec.Learn(&inv))
	if err != nil {
		t.Fatal(err)
	}

	if r := spec.Compare(parse(t, string(text)), &inv); len(r.Diffs) != 0 || r.Compared < 25 {
		t.Errorf("%d compared, %+v\n%s", r.Compared, r.Diffs, text)
	}

	other := coretest.Inventory(1)
	other.BIOS.Version, other.System.Product, other.Disks[0].Model = "2.10", "/SSGx(2)/", "ST4000X"
	other.CPUs[0].Model = "8..16"

	if r := spec.Compare(parse(t, string(text)), &other); len(r.Diffs) != 2 {
		t.Errorf("another machine: %+v", r.Diffs)
	}
}
