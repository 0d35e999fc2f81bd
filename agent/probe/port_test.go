package probe_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
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

func FuzzReadings(f *testing.F) {
	f.Add(sfp(5000))
	f.Add(qsfp(1, 2, 3, 4))

	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range probe.ParseReadings(b) {
			if r.Name == "" || r.HighAlarm <= r.LowAlarm {
				t.Errorf("%+v", r)
			}
		}
	})
}
