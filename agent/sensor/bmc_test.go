package sensor_test

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/agent/ipmi"
	"vetting/core"
)

// management is a BMC with a thermometer and two fans, which a test turns. Safe for
// concurrent use.
type management struct {
	mu     sync.Mutex
	values map[byte]byte // by the sensor's number; absent: it measures nothing
	hangs  chan struct{} // closed: it does not any more
	asked  int           // for a value
	breaks int           // it does not find the record of this number and those behind it; 0: it finds all
	broken int           // how often it said so
}

func (m *management) set(number, value byte) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.values[number] = value
}

// record is a full sensor record: of a thermometer in °C, or of a fan in hundreds of
// revolutions a minute.
func record(number byte, name string, fan bool) []byte {
	r := make([]byte, 48, 64)
	r[0], r[2], r[3], r[4], r[5], r[7] = number, 0x51, 1, byte(43+len(name)), 0x20, number
	r[12], r[18], r[21], r[24], r[37], r[47] = 0x01, 1<<4, 1, 1, 90, 0xc0|byte(len(name))

	if fan {
		r[12], r[18], r[21], r[24], r[40] = 0x04, 1<<1, 18, 100, 3
	}

	return append(r, name...)
}

func (m *management) Do(req ipmi.Request) ([]byte, error) {
	if m.hangs != nil {
		<-m.hangs
	}

	m.mu.Lock()
	defer m.mu.Unlock()

	switch {
	case req.NetFn == ipmi.Storage && req.Command == 0x23 && m.breaks > 0 && max(int(req.Data[2]), 1) >= m.breaks:
		m.broken++

		return []byte{0xcb}, nil // requested record not present
	case req.NetFn == ipmi.Storage && (req.Command == 0x20 || req.Command == 0x22):
		return []byte{0, 1, 0}, nil
	case req.NetFn == ipmi.Storage && req.Command == 0x23:
		records := [][]byte{record(1, "CPU1 Temp", false), record(2, "FAN1", true), record(3, "FAN2", true)}
		i := max(int(req.Data[2]), 1) - 1
		next := []byte{byte(i + 2), 0}

		if i == len(records)-1 {
			next = []byte{0xff, 0xff}
		}

		at := int(req.Data[4])

		return slices.Concat([]byte{0}, next, records[i][at:at+int(req.Data[5])]), nil
	case req.NetFn == ipmi.Sensor:
		m.asked++

		if v, measured := m.values[req.Data[0]]; measured {
			return []byte{0, v, 0x40, 0xc0}, nil
		}

		return []byte{0, 0, 0x60, 0xc0}, nil
	default:
		return []byte{0xc1}, nil
	}
}

const (
	bmcHeat = "board/bmc-cpu1-temp/temperature_celsius"
	bmcFan1 = "board/bmc-fan1/fan_rpm"
	bmcFan2 = "board/bmc-fan2/fan_rpm"
)

// What a BMC measures is watched as other sensors are. It is asked every 15 s, and holds
// up nobody.
func TestSensorsOfTheBMC(t *testing.T) {
	bmc := &management{values: map[byte]byte{1: 45, 2: 54}}

	withinBMC(t, bmc, func(t *testing.T, r *rig) {
		seen := r.stage(core.Burn, func() {
			r.load = 100
			r.pass(5 * time.Minute)
			bmc.set(1, 93) // over its threshold
			r.pass(time.Minute)
			bmc.set(2, 0) // the fan stops
			r.pass(time.Minute)
		})

		if v := r.valuesOf(t, bmcHeat); len(v) < 20 || len(v) > 32 || v[0] != 45 || v[len(v)-1] != 93 {
			t.Errorf("temperatures %v in seven minutes, want one each quarter minute", v)
		}

		if v := r.valuesOf(t, bmcFan1); len(v) < 20 || v[0] != 5400 || v[len(v)-1] != 0 {
			t.Errorf("revolutions %v", v)
		}

		if latest := r.sidecar.Latest().Values; !math.IsNaN(latest[bmcFan2]) {
			t.Errorf("a fan that is not there turns at %v", latest[bmcFan2])
		}

		got := map[string]string{}
		for _, f := range seen.Findings {
			got[f.Code] = string(f.Severity) + " " + f.Part.Slot
		}

		if got["sensor/over-max"] != "warning BMC CPU1 Temp" || got["sensor/fan-stopped"] != "critical BMC FAN1" || got["sensor/fan-still"] != "" {
			t.Errorf("found %v", got)
		}

		if r.halted != nil {
			t.Errorf("the stage was halted by what the BMC thinks: %v", r.halted)
		}
	})
}

func TestABMCThatHangs(t *testing.T) {
	bmc := &management{values: map[byte]byte{1: 45, 2: 54}}

	withinBMC(t, bmc, func(t *testing.T, r *rig) {
		bmc.mu.Lock()
		bmc.hangs = make(chan struct{})
		bmc.mu.Unlock()

		seen := r.stage(core.Memory, func() {
			r.pass(5 * time.Minute)
			r.celsius(package1, 101)
			r.pass(15 * time.Second)
		})

		if r.halted == nil {
			t.Error("the hot CPU was not stopped")
		}

		var told []string

		for _, f := range seen.Findings {
			if f.Code == "sensor/stale" {
				told = append(told, f.Evidence)
			}
		}

		if len(told) != 1 || !strings.Contains(told[0], "BMC CPU1 Temp did not answer") || !strings.Contains(told[0], "BMC FAN1") {
			t.Errorf("told %v, want one finding for all that the BMC measures", told)
		}

		close(bmc.hangs)
		r.pass(time.Minute)

		if v := r.sidecar.Latest().Values[bmcHeat]; v != 45 {
			t.Errorf("the BMC answers again, and its temperature is %v", v)
		}
	})
}

// A BMC that does not tell all that it measures is asked less and less often. What it
// told is read meanwhile, and all of it once it tells.
func TestABMCThatDoesNotTellWhatItMeasures(t *testing.T) {
	bmc := &management{values: map[byte]byte{1: 45, 2: 54}, breaks: 2}
	breaks := func(at int) (before int) {
		bmc.mu.Lock()
		defer bmc.mu.Unlock()

		bmc.breaks = at

		return bmc.broken
	}

	withinBMC(t, bmc, func(t *testing.T, r *rig) {
		seen := r.stage(core.Burn, func() {
			breaks(1)
			r.pass(20 * time.Minute)

			if n := breaks(0); n < 4 || n > 6 {
				t.Errorf("it is asked %d times in 20 minutes", n)
			}

			if v := r.sidecar.Latest().Values; v[bmcHeat] != 45 || v[bmcFan1] != 0 {
				t.Errorf("of what it told once and not: %v and %v", v[bmcHeat], v[bmcFan1])
			}

			r.pass(12 * time.Minute)

			if v := r.sidecar.Latest().Values[bmcFan1]; v != 5400 {
				t.Errorf("it tells what it measures, and its fan turns at %v", v)
			}
		})

		for _, f := range seen.Findings {
			if f.Code == "sensor/vanished" {
				t.Errorf("found %+v", f)
			}
		}
	})
}
