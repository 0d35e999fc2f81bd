package probe_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/probe"
)

// drivers answer for ports as their drivers would.
type drivers struct {
	ports    map[string]probe.Port
	counters map[string]map[string]uint64
}

func (d drivers) Port(name string) (probe.Port, error) {
	if p, ok := d.ports[name]; ok {
		return p, nil
	}

	return probe.Port{}, errors.New("no such driver")
}

func (d drivers) Statistics(name string) (map[string]uint64, error) {
	if c, ok := d.counters[name]; ok {
		return c, nil
	}

	return nil, errors.New("no counters")
}

func TestPortState(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	m := probe.Machine{
		Root: fstest.MapFS{
			"sys/class/net/eth0/carrier": file("1\n"), "sys/class/net/eth0/speed": file("1000\n"), "sys/class/net/eth0/duplex": file("full\n"),
			"sys/class/net/eth0/mtu": file("1500\n"), "sys/class/net/eth0/carrier_changes": file("2\n"),
			"sys/class/net/eth0/statistics/rx_bytes": file("1000\n"), "sys/class/net/eth0/statistics/tx_bytes": file("24\n"),
			"sys/class/net/eth0/statistics/rx_crc_errors": file("3\n"), "sys/class/net/eth0/statistics/rx_missed_errors": file("4\n"),
			"sys/class/net/eth1/carrier": file("1\n"), "sys/class/net/eth1/speed": file("-1\n"),
		},
		Ports: drivers{
			ports: map[string]probe.Port{
				"eth0": {MaxSpeedMbps: 10000, Module: hex.EncodeToString(sfp(5000))}, "eth1": {SpeedMbps: 25000},
			},
			counters: map[string]map[string]uint64{"eth0": {
				"rx_crc_errors_phy": 5, "rx_symbol_err_phy": 6, "rx_out_of_buffer": 7, "rx_packets": 8, "fec_uncorrectable_errors": 9,
			}},
		},
	}

	s := m.PortState("eth0")
	if !s.Link || s.SpeedMbps != 1000 || s.MaxSpeedMbps != 10000 || s.Duplex != "full" || s.MTU != 1500 || s.Changes != 2 || s.Bits != 8192 || len(s.Readings) != 5 {
		t.Errorf("%+v", s)
	}

	maps.DeleteFunc(s.Errors, func(_ string, n uint64) bool { return n == 0 })
	maps.DeleteFunc(s.NoRoom, func(_ string, n uint64) bool { return n == 0 })

	if want := map[string]uint64{"rx_crc_errors": 3, "driver/rx_crc_errors_phy": 5, "driver/rx_symbol_err_phy": 6, "driver/fec_uncorrectable_errors": 9}; !maps.Equal(s.Errors, want) {
		t.Errorf("errors %v", s.Errors)
	}

	if want := map[string]uint64{"rx_missed_errors": 4, "driver/rx_out_of_buffer": 7}; !maps.Equal(s.NoRoom, want) {
		t.Errorf("no room %v", s.NoRoom)
	}

	if s := m.PortState("eth1"); s.SpeedMbps != 25000 || s.Duplex != "" || len(s.Readings) != 0 {
		t.Errorf("%+v", s)
	}

	if s := m.PortState("eth9"); s.Link || s.SpeedMbps != 0 || s.Changes != 0 {
		t.Errorf("a port that is not there: %+v", s)
	}
}

// sfp is the memory of an SFP that measures itself, with a receive power in 0.1 µW.
func sfp(power uint16) []byte {
	b := make([]byte, 512)
	b[0], b[92] = 3, 0x60

	put := func(at int, values ...uint16) {
		for i, v := range values {
			binary.BigEndian.PutUint16(b[256+at+2*i:], v)
		}
	}

	put(0, 85<<8, 0xfb00, 80<<8, 0) // 85, -5, 80, 0 °C
	put(8, 36000, 30000, 35000, 31000)
	put(16, 50000, 500, 45000, 1000)
	put(24, 20000, 1000, 18000, 1500)
	put(32, 20000, 100, 18000, 200)
	put(96, 40<<8, 33000, 20000, 6000, power)

	return b
}

// qsfp is the memory of a QSFP28 with the receive power of four lanes.
func qsfp(power ...uint16) []byte {
	b := make([]byte, 640)
	b[0] = 0x11

	for at, limits := range map[int][]uint16{0: {75 << 8, 0, 70 << 8, 5 << 8}, 16: {36000, 30000, 35000, 31000}, 48: {20000, 100, 18000, 200}, 56: {50000, 500, 45000, 1000}} {
		for i, v := range limits {
			binary.BigEndian.PutUint16(b[512+at+2*i:], v)
		}
	}

	binary.BigEndian.PutUint16(b[22:], 30<<8)
	binary.BigEndian.PutUint16(b[26:], 33000)

	for i, p := range power {
		binary.BigEndian.PutUint16(b[34+2*i:], p)
		binary.BigEndian.PutUint16(b[42+2*i:], 3000)
	}

	return b
}

// TestTransceiversMeasureThemselves holds each reading against its maker's own limits.
func TestTransceiversMeasureThemselves(t *testing.T) {
	dark := sfp(50)
	dim := sfp(150)
	cold := sfp(5000)
	binary.BigEndian.PutUint16(cold[256+96:], 0xf600) // -10 °C

	external := sfp(50)
	external[92] = 0x50

	none := sfp(50)
	none[92] = 0

	for name, c := range map[string]struct {
		memory        []byte
		alarms, warns []string
		readings      int
	}{
		"a good one":                      {sfp(5000), nil, nil, 5},
		"one that gets too little light":  {dark, []string{"receive power"}, []string{"receive power"}, 5},
		"one that gets little":            {dim, nil, []string{"receive power"}, 5},
		"one that is too cold":            {cold, []string{"temperature"}, []string{"temperature"}, 5},
		"one that others must calibrate":  {external, nil, nil, 0},
		"one that measures nothing":       {none, nil, nil, 0},
		"a short memory":                  {sfp(50)[:256], nil, nil, 0},
		"four good lanes":                 {qsfp(5000, 5000, 5000, 5000), nil, nil, 10},
		"one lane that gets too little":   {qsfp(5000, 50, 5000, 5000), []string{"receive power of lane 2"}, []string{"receive power of lane 2"}, 10},
		"one lane, the others are unused": {qsfp(5000, 0, 0, 0), nil, nil, 7},
		"no lane gets anything":           {qsfp(0, 0, 0, 0), []string{"receive power of lane 1", "receive power of lane 2", "receive power of lane 3", "receive power of lane 4"}, []string{"receive power of lane 1", "receive power of lane 2", "receive power of lane 3", "receive power of lane 4"}, 10},
		"a QSFP of copper":                {append([]byte{0x11}, make([]byte, 639)...), nil, nil, 0},
		"nothing":                         {nil, nil, nil, 0},
	} {
		var alarms, warns []string

		all := probe.ParseReadings(c.memory)
		for _, r := range all {
			if r.Alarm() {
				alarms = append(alarms, r.Name)
			}

			if r.Warns() {
				warns = append(warns, r.Name)
			}

			if !strings.Contains(r.String(), r.Name) {
				t.Errorf("%s is told as %q", r.Name, r.String())
			}
		}

		if !slices.Equal(alarms, c.alarms) || !slices.Equal(warns, c.warns) || len(all) != c.readings {
			t.Errorf("%s: %d readings, alarms %q, warnings %q", name, len(all), alarms, warns)
		}
	}
}

// module is the memory of a recorded module.
func module(tb testing.TB, name string) []byte {
	tb.Helper()

	text, err := os.ReadFile("testdata/modules/" + name + ".hex")
	if err != nil {
		tb.Fatal(err)
	}

	var digits strings.Builder

	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.TrimSpace(line))
		}
	}

	raw, err := hex.DecodeString(digits.String())
	if err != nil {
		tb.Fatal(err)
	}

	return raw
}

// modules are the recorded ones.
func modules() []string {
	return []string{"osfp-juniper-740-174932", "osfp-credo-active-copper", "qsfp-dd-cisco-68-103205", "qsfp28-fs-ir4", "sfp-oem-10gb-lr", "sfp-flexoptix-b1696"}
}

// TestRecordedModules: what modules of the field tell of themselves.
func TestRecordedModules(t *testing.T) {
	// Each is what a reading is, near enough.
	type measured map[string]float64

	for name, c := range map[string]struct {
		kind, vendor, part string
		readings           int
		some               measured
		alarms             []string
	}{
		"osfp-juniper-740-174932": {"OSFP", "JUNIPER-1G1", "740-174932", 26, measured{
			"temperature": 57.93, "supply voltage": 3.3057, "receive power of lane 1": 1.6946, "receive power of lane 8": 1.5247,
			"laser bias of lane 1": 69.982, "transmit power of lane 1": 1.9723, "transmit power of lane 8": 1.5301,
		}, nil},
		"osfp-credo-active-copper": {"OSFP", "Credo", "CAC845301A2NC2XA", 2, measured{"temperature": 51.27, "supply voltage": 3.298}, nil},
		"qsfp-dd-cisco-68-103205":  {"QSFP-DD", "CISCO", "68-103205-02", 0, nil, nil},
		"qsfp28-fs-ir4":            {"QSFP28", "FS", "QSFP28-IR4-100G", 14, measured{"temperature": 28.59, "laser bias of lane 1": 34.432}, nil},
		"sfp-oem-10gb-lr":          {"SFP", "OEM", "SFP-10GB-LR", 5, measured{"temperature": 34.54, "laser bias": 35.994, "receive power": 0}, []string{"receive power"}},
		"sfp-flexoptix-b1696":      {"SFP", "FLEXOPTIX", "P.B1696.10.DA", 5, measured{"temperature": 25.54}, nil},
	} {
		raw := module(t, name)

		told, ok := probe.ParseTransceiver(raw)
		if !ok || told.Kind != c.kind || told.Vendor != c.vendor || told.Part != c.part || strings.Trim(told.Serial, "X") != "" {
			t.Errorf("%s: %+v", name, told)
		}

		all := probe.ParseReadings(raw)
		if len(all) != c.readings {
			t.Errorf("%s: %d readings", name, len(all))
		}

		var alarms []string

		for _, r := range all {
			if want, ok := c.some[r.Name]; ok && math.Abs(r.Value-want) > 0.01 {
				t.Errorf("%s: %s, want %v", name, &r, want)
			}

			if r.Alarm() {
				alarms = append(alarms, r.Name)
			}
		}

		if !slices.Equal(alarms, c.alarms) {
			t.Errorf("%s: alarms %q", name, alarms)
		}
	}
}

// TestModulesByCMIS: a module says what it measures, which lanes it has and whether they
// are in use; and each lane is held against the maker's own limits.
func TestModulesByCMIS(t *testing.T) {
	const page00, page01, page11 = 0, 128, 512 // where the addresses of each begin

	for name, c := range map[string]struct {
		change   func(b []byte)
		readings int
		alarms   []string
		bias     float64
	}{
		"as it is":                   {func([]byte) {}, 26, nil, 69.982},
		"too little light, lane 3":   {func(b []byte) { b[page11+190], b[page11+191] = 0, 9 }, 26, []string{"receive power of lane 3"}, 69.982},
		"a weak laser, lane 8":       {func(b []byte) { b[page11+168], b[page11+169] = 0, 9 }, 26, []string{"transmit power of lane 8"}, 69.982},
		"too hot":                    {func(b []byte) { b[14] = 90 }, 26, []string{"temperature"}, 69.982},
		"four lanes are not there":   {func(b []byte) { b[page00+210] = 0xf0; clear(b[page11+194 : page11+202]) }, 14, nil, 69.982},
		"two lanes are dark":         {func(b []byte) { clear(b[page11+198 : page11+202]) }, 24, nil, 69.982},
		"the laser rests":            {func(b []byte) { clear(b[page11+128 : page11+132]) }, 2, nil, 0},
		"the module is not ready":    {func(b []byte) { b[3] = 2 }, 2, nil, 0},
		"bias by 4 µA":               {func(b []byte) { b[page01+160] |= 1 << 3 }, 26, nil, 139.964},
		"bias of an unknown measure": {func(b []byte) { b[page01+160] |= 3 << 3 }, 18, nil, 0},
		"no received power":          {func(b []byte) { b[page01+160] &^= 4 }, 18, nil, 69.982},
		"nothing is measured":        {func(b []byte) { clear(b[page01+159 : page01+161]) }, 0, nil, 0},
		"pages that are not there":   {func(b []byte) { b[2] |= 0x80 }, 0, nil, 0},
	} {
		b := module(t, "osfp-juniper-740-174932")
		c.change(b)

		var alarms []string

		bias, all := 0.0, probe.ParseReadings(b)
		for _, r := range all {
			if r.Name == "laser bias of lane 1" {
				bias = r.Value
			}

			if r.Alarm() {
				alarms = append(alarms, r.Name)
			}
		}

		if len(all) != c.readings || math.Abs(bias-c.bias) > 0.001 || !slices.Equal(alarms[:min(2, len(alarms))], c.alarms) {
			t.Errorf("%s: %d readings, bias %v, alarms %q", name, len(all), bias, alarms)
		}
	}
}

// TestModulesOfManyLanes: each bank has eight of them, which are numbered on.
func TestModulesOfManyLanes(t *testing.T) {
	const page01, page11 = 128, 512

	one := module(t, "osfp-juniper-740-174932")
	one[page01+142] |= 1

	two := append(slices.Clone(one), one[512:]...)
	two[768+186], two[768+187] = 0, 9 // the receive power of lane 9: addresses of page 11h begin 128 before it

	rests := slices.Clone(two)
	clear(rests[768+128 : 768+132])

	for name, c := range map[string]struct {
		memory   []byte
		readings int
		alarms   []string
	}{
		"both banks":                   {two, 50, []string{"receive power of lane 9"}},
		"the second was not shown":     {one, 26, nil},
		"the second is not in use":     {rests, 26, nil},
		"half of the second was shown": {two[:900], 26, nil},
	} {
		var alarms []string

		all := probe.ParseReadings(c.memory)
		for _, r := range all {
			if r.Alarm() {
				alarms = append(alarms, r.Name)
			}
		}

		if len(all) != c.readings || !slices.Equal(alarms, c.alarms) {
			t.Errorf("%s: %d readings, alarms %q", name, len(all), alarms)
		}
	}

	two[page01+157], two[page01+158] = 7, 6
	clear(two[page11+134 : page11+150])
	clear(two[768+134 : 768+150])
	two[768+135], two[768+147] = 1<<7, 1

	if got, want := probe.ParseFlags(two), []probe.Flag{{What: "transmit fault", Lane: 16, Fault: true}, {What: "no received signal", Lane: 9}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestWhatModulesSayOfSignals, where they say that they do, and of lanes that are in use.
func TestWhatModulesSayOfSignals(t *testing.T) {
	const page01, page11 = 128, 512

	small := func(change func(b []byte)) []byte {
		b := sfp(5000)
		b[93] = 1<<5 | 1<<4
		change(b)

		return b
	}
	four := func(change func(b []byte)) []byte {
		b := qsfp(5000, 5000, 5000, 5000)
		b[194], b[195] = 1<<5|1<<4, 1<<3|1<<1
		change(b)

		return b
	}
	eight := func(change func(b []byte)) []byte {
		b := module(t, "osfp-juniper-740-174932")
		b[page01+157], b[page01+158] = 7, 6
		clear(b[page11+134 : page11+150])
		change(b)

		return b
	}

	for name, c := range map[string]struct {
		memory []byte
		want   []probe.Flag
	}{
		"an SFP":                       {small(func([]byte) {}), nil},
		"an SFP in the dark":           {small(func(b []byte) { b[256+110] = 1 << 1 }), []probe.Flag{{What: "no received signal"}}},
		"an SFP whose laser is broken": {small(func(b []byte) { b[256+110] = 1 << 2 }), []probe.Flag{{What: "transmit fault", Fault: true}}},
		"an SFP that does not tell":    {small(func(b []byte) { b[93], b[256+110] = 0, 6 }), nil},
		"an SFP without diagnostics":   {small(func(b []byte) { b[92], b[256+110] = 0, 6 }), nil},
		"a QSFP":                       {four(func([]byte) {}), nil},
		"a QSFP, received light":       {four(func(b []byte) { b[3] = 1 << 0 }), []probe.Flag{{What: "no received signal", Lane: 1}}},
		"a QSFP, what it is to send":   {four(func(b []byte) { b[3] = 1 << 7 }), []probe.Flag{{What: "no signal to send", Lane: 4}}},
		"a QSFP, its laser":            {four(func(b []byte) { b[4] = 1 << 1 }), []probe.Flag{{What: "transmit fault", Lane: 2, Fault: true}}},
		"a QSFP, its equaliser":        {four(func(b []byte) { b[4] = 1 << 5 }), nil},
		"a QSFP, locks":                {four(func(b []byte) { b[5] = 1<<2 | 1<<6 }), []probe.Flag{{What: "no lock on the received signal", Lane: 3}, {What: "no lock on the signal to send", Lane: 3}}},
		"a QSFP that tells nothing":    {four(func(b []byte) { b[3], b[4], b[5], b[194], b[195] = 0xff, 0xff, 0xff, 0, 0 }), nil},
		"a lane of another port":       {four(func(b []byte) { b[3] = 1 << 1; clear(b[36:38]) }), nil},
		"a QSFP, cut short":            {four(func(b []byte) { b[3] = 1 << 0 })[:255], nil},
		"an OSFP":                      {eight(func([]byte) {}), nil},
		"an OSFP, received light":      {eight(func(b []byte) { b[page11+147] = 1 << 5 }), []probe.Flag{{What: "no received signal", Lane: 6}}},
		"an OSFP, all that there is":   {eight(func(b []byte) { b[page11+135], b[page11+136], b[page11+137], b[page11+148] = 1, 1, 1, 1 }), []probe.Flag{{"transmit fault", 1, true}, {"no signal to send", 1, false}, {"no lock on the signal to send", 1, false}, {"no lock on the received signal", 1, false}}},
		"an OSFP that tells nothing":   {eight(func(b []byte) { b[page11+147], b[page01+158] = 0xff, 0 }), nil},
		"an OSFP, a lane not in use":   {eight(func(b []byte) { b[page11+147] = 1; b[page11+128] &^= 0xf }), nil},
		"an OSFP that is broken":       {eight(func(b []byte) { b[3] = 5 << 1 }), []probe.Flag{{"module fault", 0, true}}},
		"a kind that nobody knows":     {[]byte{0x7f, 1, 2, 3}, nil},
		"nothing":                      {nil, nil},
	} {
		if got := probe.ParseFlags(c.memory); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}

	// Modules of the field that work, or rest.
	for name, want := range map[string][]probe.Flag{
		"osfp-juniper-740-174932": nil, "osfp-credo-active-copper": nil, "qsfp-dd-cisco-68-103205": nil, "qsfp28-fs-ir4": nil,
		"sfp-oem-10gb-lr": {{What: "no received signal"}}, "sfp-flexoptix-b1696": nil,
	} {
		if got := probe.ParseFlags(module(t, name)); !slices.Equal(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzFlags(f *testing.F) {
	for _, name := range modules() {
		f.Add(module(f, name))
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		for _, flag := range probe.ParseFlags(b) {
			if flag.What == "" || flag.Lane < 0 || flag.Lane > 32 {
				t.Errorf("%+v", flag)
			}
		}
	})
}

func FuzzReadings(f *testing.F) {
	f.Add(sfp(5000))
	f.Add(qsfp(1, 2, 3, 4))

	for _, name := range modules() {
		f.Add(module(f, name))
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range probe.ParseReadings(b) {
			if r.Name == "" || r.HighAlarm <= r.LowAlarm {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestPortsOwnTests: each driver has its own numbers for what is well.
func TestPortsOwnTests(t *testing.T) {
	names := []string{"Register test  (offline)", "Eeprom test    (offline)", "Link test   (on/offline)"}

	for name, c := range map[string]struct {
		results []uint64
		failed  bool
		wrong   []string
	}{
		"all is well":               {[]uint64{0, 0, 0}, false, nil},
		"zero is well":              {[]uint64{0, 13, 0}, true, []string{"Eeprom test (offline)"}},
		"one is well, minus one no": {[]uint64{1, ^uint64(0), 1}, true, []string{"Eeprom test (offline)"}},
		"minus one of 32 bits":      {[]uint64{1, 1, 0xffffffff}, true, []string{"Link test (on/offline)"}},
		"numbers without a flag":    {[]uint64{1, 1, 1}, false, nil},
		"a flag without numbers":    {[]uint64{0, 0, 0}, true, nil},
		"fewer results":             {[]uint64{0, 1}, true, []string{"Eeprom test (offline)"}},
	} {
		got := probe.NewPortTest(names, c.results, c.failed)
		if got.Failed != c.failed || got.Tests != 3 || !slices.Equal(got.Wrong, c.wrong) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
