package ipmi_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"vetting/agent/ipmi"
)

// compactRecord is a compact sensor record of a power supply's states.
func compactRecord(name string, change func(r []byte)) []byte {
	r := make([]byte, 32, 48)
	r[2], r[3], r[4], r[5], r[7] = 0x51, 2, byte(27+len(name)), 0x20, 0x40
	r[8], r[9], r[12], r[13] = ipmi.EntitySupply, 1, ipmi.TypeSupply, ipmi.FormOwn
	r[18], r[20], r[23], r[31] = 0x7f, 0xc0, 1, 0xc0|byte(len(name))

	if change != nil {
		change(r)
	}

	return append(r, name...)
}

func TestSensorRecords(t *testing.T) {
	for name, c := range map[string]struct {
		record []byte
		want   string // name, entity and instance of each
	}{
		"states of a supply":         {compactRecord("PS1 Status", nil), "PS1 Status 10.1 "},
		"a value":                    {gaugeRecord("VIN", func(r []byte) { r[8], r[9], r[12], r[21] = 10, 2, 2, 4 }), "VIN 10.2 volts"},
		"watts":                      {gaugeRecord("PIN", func(r []byte) { r[8], r[9], r[12], r[21] = 10, 2, 0x0b, 6 }), "PIN 10.2 watts"},
		"a percentage":               {gaugeRecord("FAN", func(r []byte) { r[20] = 1 }), "FAN 0.0 "},
		"three of one record":        {compactRecord("PS", func(r []byte) { r[23], r[24] = 3, 0x80|1 }), "PS1 10.1 |PS2 10.2 |PS3 10.3 "},
		"two of one, with letters":   {compactRecord("PS ", func(r []byte) { r[23], r[24] = 0x12, 0 }), "PSA 10.1 |PSB 10.1 "},
		"an instance of the device":  {compactRecord("P", func(r []byte) { r[9] = 0x62 }), "P 10.2 "},
		"behind another controller":  {compactRecord("P", func(r []byte) { r[5] = 0x2c }), ""},
		"on another logical unit":    {compactRecord("P", func(r []byte) { r[6] = 1 }), ""},
		"a locator":                  {compactRecord("P", func(r []byte) { r[3] = 0x11 }), ""},
		"cut off":                    {compactRecord("P", nil)[:31], ""},
		"a name longer than its own": {compactRecord("P", func(r []byte) { r[31] = 0xdf }), "P 10.1 "},
	} {
		var got []string
		for _, s := range ipmi.ParseSensors(c.record) {
			got = append(got, fmt.Sprintf("%s %d.%d %s", s.Name, s.Entity, s.Instance, s.Unit))
		}

		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", name, strings.Join(got, "|"), c.want)
		}
	}
}

// Healthy and dead supplies, with the bytes that tools print as "lnc" and "unc" because
// they read them as a threshold status.
func TestStatesAreReadFromTheirBits(t *testing.T) {
	record := ipmi.ParseSensors(compactRecord("PS1 Status", func(r []byte) { r[7] = 0x31 }))[0]

	for name, c := range map[string]struct {
		answer []byte
		known  bool
		states uint16
	}{
		"present":                  {[]byte{0, 0, 0xc0, 0x01, 0x80}, true, 1},
		"input lost":               {[]byte{0, 0, 0xc0, 0x09, 0x80}, true, 1 | 1<<3},
		"present and failed":       {[]byte{0, 0, 0xc0, 0x03, 0x80}, true, 1 | 1<<1},
		"a state above the eighth": {[]byte{0, 0, 0xc0, 0x01, 0x82}, true, 1 | 1<<9},
		"one byte of states":       {[]byte{0, 0, 0xc0, 0x01}, true, 1},
		"nothing to be read":       {[]byte{0, 0, 0xe0, 0x02, 0x80}, false, 0},
		"nothing is looked at":     {[]byte{0, 0, 0x80, 0x02, 0x80}, false, 0},
		"no states at all":         {[]byte{0, 0, 0xc0}, false, 0},
	} {
		r, err := record.Read(answering(t, c.answer))
		if err != nil || r.Known != c.known || r.States != c.states || !math.IsNaN(r.Value) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}

	if _, err := record.Read(new(ipmi.Replay)); err == nil {
		t.Error("a BMC that is not there has answered")
	}
}

func TestThresholds(t *testing.T) {
	voltage := func(change func(r []byte)) ipmi.SensorRecord {
		return ipmi.ParseSensors(gaugeRecord("12V", func(r []byte) {
			r[12], r[21], r[24], r[29] = 2, 4, 6, 0xe0 // 0.06 V
			r[18], r[37], r[38], r[40], r[41] = 0x1b, 220, 210, 180, 190

			if change != nil {
				change(r)
			}
		}))[0]
	}

	plain := voltage(nil)
	if l := plain.Limits; !same(l.Low, 10.8) || !same(l.LowWarn, 11.4) || !same(l.HighWarn, 12.6) || !same(l.High, 13.2) || !math.IsNaN(l.LowFatal) || !math.IsNaN(l.HighFatal) {
		t.Errorf("%+v", l)
	}

	// Limits that nobody has set say nothing.
	unset := voltage(func(r []byte) { r[18] = 0x3f; clear(r[36:42]) }).Limits
	for _, v := range []float64{unset.Low, unset.LowWarn, unset.LowFatal, unset.High, unset.HighWarn, unset.HighFatal} {
		if !math.IsNaN(v) {
			t.Errorf("%+v", unset)
		}
	}

	if l := (ipmi.Limits{Low: math.NaN(), High: 0, LowWarn: -13, HighWarn: -11}).Sane(); !math.IsNaN(l.High) || l.HighWarn != -11 {
		t.Errorf("%+v", l)
	}

	// Those in force count before those of the record.
	bmc, err := ipmi.NewReplay(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}

	bmc.Set(ipmi.Request{NetFn: ipmi.Sensor, Command: 0x27, Data: []byte{0x31}}, []byte{0, 0x12, 0, 170, 0, 0, 230, 0})

	if l := plain.ReadLimits(bmc); !same(l.Low, 10.2) || !same(l.High, 13.8) || !math.IsNaN(l.LowWarn) {
		t.Errorf("%+v", l)
	}

	if l := plain.ReadLimits(new(ipmi.Replay)); !same(l.Low, 10.8) {
		t.Errorf("%+v", l)
	}
}

// supplyFRU is the information of a supply with each way to write a text.
func supplyFRU() []byte {
	product := closed(append([]byte{1, 4, 0, 0xc3, 'L', 'a', 'b', 0xc6, 'L', 'P', '-', '8', '0', '0', 0x42, 0x12, 0x3c, 0x83, 0x29, 0xdc, 0xa6, 0x02, 0xab, 0xcd, 0xc1}, make([]byte, 6)...))
	record := make([]byte, 24)
	record[0], record[1] = 0x20, 0x43 // 800 W; the highest bits are of something else

	multi := append(closed([]byte{0, 0x82, 24, -total(record)}), record...)

	return append(append(closed([]byte{1, 0, 0, 0, 1, 5, 0}), product...), multi...)
}

func closed(b []byte) []byte { return append(b, -total(b)) }

func total(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}

	return s
}

func TestIdentity(t *testing.T) {
	want := ipmi.Identity{Manufacturer: "Lab", Model: "LP-800", Part: "123.", Version: "IPMI", Serial: "abcd", Watts: 800}

	id, err := ipmi.ParseIdentity(supplyFRU())
	if err != nil || id != want {
		t.Errorf("%+v %v, want %+v", id, err, want)
	}

	for name, change := range map[string]func(b []byte) []byte{
		"a wrong checksum": func(b []byte) []byte { b[7]++; return b },
		"another format":   func(b []byte) []byte { b[0] = 2; b[7]--; return b },
		"nothing":          func([]byte) []byte { return nil },
		"an erased EEPROM": func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) },
	} {
		if id, err := ipmi.ParseIdentity(change(supplyFRU())); err == nil {
			t.Errorf("%s: %+v", name, id)
		}
	}

	damaged := supplyFRU()
	damaged[12]++

	if id, err := ipmi.ParseIdentity(damaged); err != nil || id.Model != "" || id.Watts != 800 {
		t.Errorf("%+v %v", id, err)
	}
}

// frus is a BMC with one FRU, which it counts in bytes or words.
type frus struct {
	raw   []byte
	words bool
}

func (f frus) Do(req ipmi.Request) ([]byte, error) {
	unit, flag := 1, byte(0)
	if f.words {
		unit, flag = 2, 1
	}

	switch req.Command {
	case 0x10:
		return []byte{0, byte(len(f.raw)), byte(len(f.raw) >> 8), flag}, nil
	case 0x11:
		at, n := (int(req.Data[1])|int(req.Data[2])<<8)*unit, int(req.Data[3])*unit
		part := f.raw[at:min(at+n, len(f.raw))]

		return append([]byte{0, byte(len(part) / unit)}, part...), nil
	default:
		return []byte{0xc1}, nil
	}
}

func TestReadingAFRU(t *testing.T) {
	for _, words := range []bool{false, true} {
		if id, err := ipmi.ReadIdentity(frus{supplyFRU(), words}, 3); err != nil || id.Watts != 800 || id.Serial != "abcd" {
			t.Errorf("by words %v: %+v %v", words, id, err)
		}
	}

	if _, err := ipmi.ReadIdentity(new(ipmi.Replay), 3); err == nil {
		t.Error("a BMC that is not there has answered")
	}
}

func TestPower(t *testing.T) {
	bmc, err := ipmi.NewReplay(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}

	ask := ipmi.Request{NetFn: ipmi.Group, Command: 0x02, Data: []byte{0xdc, 1, 0, 0}}
	answer := []byte{0, 0xdc, 0x2c, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40}

	for state, want := range map[byte]float64{0x40: 300, 0x00: math.NaN()} {
		answer[18] = state
		bmc.Set(ask, answer)

		if watts, err := ipmi.ReadPower(bmc); err != nil || !same(watts, want) {
			t.Errorf("%v %v", watts, err)
		}
	}

	answer[2], answer[3], answer[18] = 0, 0, 0x40
	bmc.Set(ask, answer)

	if watts, err := ipmi.ReadPower(bmc); err != nil || !math.IsNaN(watts) {
		t.Errorf("a machine that is on draws %v W: %v", watts, err)
	}

	bmc.Set(ask, []byte{0xc1})

	if watts, err := ipmi.ReadPower(bmc); err == nil || !math.IsNaN(watts) {
		t.Errorf("%v %v", watts, err)
	}
}

func FuzzParseSensors(f *testing.F) {
	f.Add(compactRecord("PS1 Status", nil))
	f.Add(compactRecord("PS", func(r []byte) { r[23], r[24] = 0x1f, 0xff }))
	f.Add(gaugeRecord("12V", func(r []byte) { r[12], r[21] = 2, 4 }))

	f.Fuzz(func(t *testing.T, record []byte) {
		sensors := ipmi.ParseSensors(record)
		if len(sensors) > 15 {
			t.Errorf("%d of one record", len(sensors))
		}

		for _, s := range sensors {
			if len(s.Name) > 40 || math.IsInf(s.Limits.Low, 0) || s.Limits.Low >= s.Limits.High {
				t.Errorf("%+v", s)
			}
		}

		if i, ok := ipmi.ParseInventory(record); ok && len(i.Name) > 31 {
			t.Errorf("%+v", i)
		}
	})
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(supplyFRU())
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0xfe})

	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := ipmi.ParseIdentity(raw)
		if err == nil && (id.Watts < 0 || id.Watts > 4095 || len(id.Model) > 128) {
			t.Errorf("%+v", id)
		}
	})
}
