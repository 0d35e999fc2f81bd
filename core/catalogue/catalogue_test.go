package catalogue_test

import (
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/catalogue"
)

func TestEveryEntryIsNamedAsItIsMeasured(t *testing.T) {
	seen := map[string]bool{}

	for _, e := range catalogue.All() {
		key := e.Key("x")

		if seen[key] {
			t.Errorf("%s is there twice", key)
		}

		seen[key] = true

		if e.Meaning == "" || !strings.HasSuffix(e.Quantity, "_"+e.Unit) && e.Quantity != "fan_"+e.Unit {
			t.Errorf("%s: unit %q, meaning %q", key, e.Unit, e.Meaning)
		}

		if got, ok := catalogue.Lookup(key); !ok || got != e {
			t.Errorf("%s is not found", key)
		}

		if strings.ToLower(key) != key {
			t.Errorf("%s is not lower case, as the wire demands", key)
		}
	}
}

func TestCheck(t *testing.T) {
	for key, ok := range map[string]bool{
		"disk/sda/temperature_celsius": true, "cpu/package0/temperature_celsius": true, "disk/0000:00:1f.2-ata-1/power_on_hours": true,
		"disk/sda/temperature": false, "disk//temperature_celsius": false, "disk/sda": false, "": false,
		"disk/*/temperature_celsius": false, "disk/a b/temperature_celsius": false, "disk/a/b/temperature_celsius": false,
		"Disk/sda/temperature_celsius": false, "disk/" + strings.Repeat("x", 200) + "/temperature_celsius": false,
	} {
		if err := catalogue.Check(key, ""); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		}
	}

	if catalogue.Check("disk/sda/temperature_celsius", "celsius") != nil || catalogue.Check("disk/sda/temperature_celsius", "kelvin") == nil {
		t.Error("units")
	}
}

func TestCheckGlob(t *testing.T) {
	for glob, ok := range map[string]bool{
		"disk/*/temperature_celsius": true, "*/*/*": true, "disk/sd?/*_count": true, "disk/sda/temperature_celsius": true,
		"disk/*/temperature_*": true, "disk/*": false, "disk/*/heat_*": false, "disc/*/*": false, "disk/[/temperature_celsius": false, "": false,
		"disk//temperature_celsius": false,
	} {
		if err := catalogue.CheckGlob(glob); (err == nil) != ok {
			t.Errorf("%q: %v", glob, err)
		}
	}
}

func TestABrokenLimitIsToldInWords(t *testing.T) {
	t.Parallel()

	for want, e := range map[string]core.Evaluation{
		"sda: temperature 95 °C, limit at most 90 °C":                                 {Key: "disk/sda/temperature_celsius", Value: 95, Limit: "lte 90"},
		"package0: headroom -2.5 °C, limit above 0 °C":                                {Key: "cpu/package0/headroom_celsius", Value: -2.5, Limit: "gt 0"},
		"S1: reallocated sectors 3, limit at most 0":                                  {Key: "disk/S1/reallocated_sectors_count", Value: 3, Limit: "lte 0"},
		"fan1: fan speed 210 rpm, limit at least 500 rpm":                             {Key: "board/fan1/fan_rpm", Value: 210, Limit: "gte 500"},
		"host: instructions a cycle 1.25, limit at least 2":                           {Key: "cpu/host/work_ipc", Value: 1.25, Limit: "gte 2"},
		"node0: copy 900 MiB/s, limit at least 85 % of 1500 (median of 5 hosts)":      {Key: "memory/node0/copy_mibps", Value: 900, Limit: "gte 85 % of 1500 (median of 5 hosts)"},
		"node0: copy 900 MiB/s, limit within 10 % of 1500 (golden host)":              {Key: "memory/node0/copy_mibps", Value: 900, Limit: "within_pct 10 of 1500 (golden host)"},
		"psu1: strangeness 7, limit below 5":                                          {Key: "board/psu1/strangeness", Value: 7, Limit: "lt 5"},
		"sdb: temperature 61 °C, limit at most 110 % of disk/sda/temperature_celsius": {Key: "disk/sdb/temperature_celsius", Value: 61, Limit: "lte 110 % of disk/sda/temperature_celsius"},
	} {
		if got := catalogue.Breach(&e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// No unit is shown to people as the catalogue writes it.
func TestEveryUnitHasASign(t *testing.T) {
	t.Parallel()

	for _, e := range catalogue.All() {
		switch sign := e.Sign(); {
		case e.Unit == "rpm" || e.Unit == "bytes":
		case sign == e.Unit && sign != "":
			t.Errorf("%s/%s is measured in %q, which nobody writes", e.Kind, e.Quantity, e.Unit)
		}
	}
}
