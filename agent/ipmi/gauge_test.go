package ipmi_test

import (
	"math"
	"strings"
	"testing"

	"vetting/agent/ipmi"
)

// gaugeRecord is a full sensor record, with what a test changes.
func gaugeRecord(name string, change func(r []byte)) []byte {
	r := make([]byte, 48, 64)
	r[2], r[3], r[4], r[5], r[7] = 0x51, 1, byte(43+len(name)), 0x20, 0x31
	r[12], r[13] = 0x01, 0x01 // a thermometer with thresholds
	r[18], r[21], r[24] = 1<<1|1<<4, 1, 1
	r[37], r[40], r[47] = 95, 5, 0xc0|byte(len(name))

	if change != nil {
		change(r)
	}

	return append(r, name...)
}

func TestGauges(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(r []byte)
		raw       byte
		flags     byte
		want      float64
		low, high float64
		unit      ipmi.Unit
	}{
		"as it is":           {raw: 41, flags: 0x40, want: 41, low: 5, high: 95, unit: ipmi.Celsius},
		"below zero":         {change: func(r []byte) { r[20] = 2 << 6; r[18] = 0 }, raw: 0xfb, flags: 0x40, want: -5, low: math.NaN(), high: math.NaN(), unit: ipmi.Celsius},
		"ones' complement":   {change: func(r []byte) { r[20] = 1 << 6; r[18] = 0 }, raw: 0xfb, flags: 0x40, want: -4, low: math.NaN(), high: math.NaN(), unit: ipmi.Celsius},
		"a slope and a base": {change: func(r []byte) { r[24], r[26], r[29] = 5, 10, 0xf1 }, raw: 40, flags: 0x40, want: 30, low: 12.5, high: 57.5, unit: ipmi.Celsius},
		"a slope of ten bits": {
			change: func(r []byte) { r[12], r[21], r[24], r[25], r[37], r[40] = 4, 18, 0x2c, 1<<6, 0, 2; r[18] = 1 << 1 }, raw: 9, flags: 0xc0,
			want: 2700, low: 600, high: math.NaN(), unit: ipmi.RPM,
		},
		"nothing is measured":  {raw: 41, flags: 0x60, want: math.NaN(), low: 5, high: 95, unit: ipmi.Celsius},
		"nothing is looked at": {raw: 41, flags: 0x00, want: math.NaN(), low: 5, high: 95, unit: ipmi.Celsius},
	} {
		t.Run(name, func(t *testing.T) {
			g, ok := ipmi.ParseGauge(gaugeRecord("CPU1 Temp", c.change))
			if !ok || g.Name != "CPU1 Temp" || g.Unit != c.unit || !same(g.Low, c.low) || !same(g.High, c.high) {
				t.Fatalf("%+v %t", g, ok)
			}

			bmc := new(ipmi.Replay)
			if _, err := g.Read(bmc); err == nil {
				t.Error("a BMC that is not there has answered")
			}

			bmc = answering(t, []byte{0, c.raw, c.flags, 0xc0})
			if v, err := g.Read(bmc); err != nil || !same(v, c.want) {
				t.Errorf("%v, %v; want %v", v, err, c.want)
			}
		})
	}
}

func same(a, b float64) bool { return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b) }

// answering is a BMC whose sensor 31h answers so.
func answering(t *testing.T, answer []byte) *ipmi.Replay {
	t.Helper()

	bmc, err := ipmi.NewReplay(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}

	bmc.Set(ipmi.Request{NetFn: ipmi.Sensor, Command: 0x2d, Data: []byte{0x31}}, answer)

	return bmc
}

func TestRecordsOfOtherThings(t *testing.T) {
	for name, change := range map[string]func(r []byte){
		"a compact record":        func(r []byte) { r[3] = 2 },
		"behind another":          func(r []byte) { r[5] = 0x2c },
		"on another logical unit": func(r []byte) { r[6] = 1 },
		"a voltage":               func(r []byte) { r[12], r[21] = 2, 4 },
		"a fan in percent":        func(r []byte) { r[12], r[21], r[20] = 4, 18, 1 },
		"a state":                 func(r []byte) { r[20] = 0xc0 },
		"a logarithm":             func(r []byte) { r[23] = 1 },
	} {
		if g, ok := ipmi.ParseGauge(gaugeRecord("X", change)); ok {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

func FuzzParseGauge(f *testing.F) {
	f.Add(gaugeRecord("CPU1 Temp", nil))
	f.Add(gaugeRecord("", func(r []byte) { r[47] = 0xff }))

	f.Fuzz(func(t *testing.T, record []byte) {
		g, ok := ipmi.ParseGauge(record)
		if ok && (math.IsInf(g.Low, 0) || math.IsInf(g.High, 0) || len(g.Name) > 31) {
			t.Errorf("%+v", g)
		}
	})
}
