package core_test

import (
	"testing"

	"vetting/core"
)

func TestWhatComputes(t *testing.T) {
	for name, tt := range map[string]struct {
		address, vendor, device, class string
		computes, console              bool
	}{
		"A100":                      {"0000:01:00.0", "10de", "20b2", "030200", true, false},
		"a GeForce":                 {"0000:01:00.0", "10de", "2206", "030000", true, false},
		"MI300X":                    {"0000:05:00.0", "1002", "74a1", "120000", true, false},
		"MI300A":                    {"0000:05:00.0", "1002", "74a0", "120000", true, false},
		"MI100":                     {"0000:83:00.0", "1002", "738c", "038000", true, false},
		"Intel Flex":                {"0000:3a:00.0", "8086", "56c0", "038000", true, false},
		"Intel Flex, other segment": {"0001:3a:00.0", "8086", "56c0", "038000", true, false},
		"Gaudi 2":                   {"0000:33:00.0", "1da3", "1020", "120000", true, false},
		"Ascend 910":                {"0000:c1:00.0", "19e5", "d801", "120000", true, false},
		"Intel graphics":            {"0000:00:02.0", "8086", "4c8a", "030000", false, false},
		"Intel NPU":                 {"0000:00:0b.0", "8086", "7d1d", "120000", false, false},
		"Ryzen 7000":                {"0000:0e:00.0", "1002", "164e", "030000", false, false},
		"Kaveri":                    {"0000:00:01.0", "1002", "130f", "030000", false, false},
		"ES1000":                    {"0000:01:03.0", "1002", "515e", "030000", false, true},
		"ASPEED":                    {"0000:02:00.0", "1a03", "2000", "030000", false, true},
		"Matrox":                    {"0000:03:00.0", "102b", "0536", "030000", false, true},
		"hibmc":                     {"0000:07:00.0", "19e5", "1711", "030000", false, true},
		"Silicon Motion":            {"0000:07:00.0", "126f", "0750", "030000", false, true},
		"VirtualBox":                {"0000:00:02.0", "80ee", "beef", "030000", false, true},
		"a port":                    {"0000:00:01.0", "8086", "1901", "060400", false, false},
	} {
		d := core.PCIDevice{Address: tt.address, Vendor: tt.vendor, Device: tt.device, Class: tt.class}
		if d.Computes() != tt.computes || d.Console() != tt.console {
			t.Errorf("%s: computes %t, console %t", name, d.Computes(), d.Console())
		}
	}
}
