package stage_test

import (
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"

	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/catalogue"
)

// qsfpSaying is the memory of a QSFP28 that says something of its four lanes.
func qsfpSaying(change func(b []byte)) string {
	b := make([]byte, 640)
	b[0], b[194], b[195] = 0x11, 1<<5|1<<4, 1<<3|1<<1
	change(b)

	return hex.EncodeToString(b)
}

// TestWhatATransceiverSays is judged when it comes under load or stays; what was latched
// before may be of when the cable was plugged in.
func TestWhatATransceiverSays(t *testing.T) {
	quiet := qsfpSaying(func([]byte) {})
	dark := qsfpSaying(func(b []byte) { b[3] = 1 << 1 })
	broken := qsfpSaying(func(b []byte) { b[4] = 1 << 0 })
	unlocked := qsfpSaying(func(b []byte) { b[5] = 1 << 2 })

	// It is read for the inventory, before the test twice, and after it twice.
	for name, c := range map[string]struct {
		read     []string
		code     string
		severity core.Severity
		verdict  core.Verdict
		words    string
	}{
		"nothing":                          {[]string{quiet}, "", "", core.Pass, ""},
		"a signal that was lost before":    {[]string{quiet, dark, quiet}, "network/optics-signal", core.Info, core.Pass, "no received signal in lane 2, before its test, and not since"},
		"a fault that was there before":    {[]string{quiet, broken, quiet}, "network/optics-fault", core.Info, core.Pass, "transmit fault in lane 1, before its test"},
		"a signal that is lost under load": {[]string{quiet, quiet, quiet, dark, quiet}, "network/optics-signal", core.Warning, core.Pass, "while it was tested"},
		"a lock that is lost under load":   {[]string{quiet, quiet, quiet, unlocked, quiet}, "network/optics-signal", core.Warning, core.Pass, "no lock on the received signal in lane 3"},
		"a fault under load":               {[]string{quiet, quiet, quiet, broken, quiet}, "network/optics-fault", core.Critical, core.Fail, "while it was tested"},
		"a signal that stays lost":         {[]string{dark}, "network/optics-signal", core.Warning, core.Pass, "before, during and after"},
		"a fault that stays":               {[]string{broken}, "network/optics-fault", core.Critical, core.Fail, "before, during and after"},
		"a signal that came back":          {[]string{dark, dark, dark, dark, quiet}, "network/optics-signal", core.Info, core.Pass, "and not since"},
	} {
		b := newNetBench()
		b.modules = slices.Clone(c.read)

		r := b.run(t)
		found := find(r, c.code)

		if r.Verdict != c.verdict || c.code == "" && len(r.Findings) != 0 || c.code != "" && (len(found) != 1 || len(r.Findings) != 1 || found[0].Severity != c.severity || !strings.Contains(found[0].Evidence, c.words)) {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}
	}
}

// TestATransceiverWithinItsLimits finds nothing, and what it measures is told: the darkest
// lane, and the laser that works hardest.
func TestATransceiverWithinItsLimits(t *testing.T) {
	b := newNetBench()
	b.port.Module = qsfpSaying(func(b []byte) {
		put := func(at int, values ...uint16) {
			for i, v := range values {
				b[at+2*i], b[at+2*i+1] = byte(v>>8), byte(v)
			}
		}

		put(512, 75<<8, 0, 70<<8, 5<<8)         // 75, 0, 70, 5 °C
		put(512+16, 36000, 30000, 35000, 31000) // in 100 µV
		put(512+48, 20000, 100, 18000, 200)     // in 0.1 µW
		put(512+56, 50000, 500, 45000, 1000)    // in 2 µA
		put(512+64, 20000, 100, 18000, 200)
		put(22, 30<<8)
		put(26, 33000)
		put(34, 5000, 4000, 5000, 6000)
		put(42, 3000, 3000, 4000, 3000)
		put(50, 7000, 7000, 7000, 8000)
	})

	r := b.run(t)
	if r.Verdict != core.Pass || len(r.Findings) != 0 {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}

	want := map[string]float64{"module_celsius": 30, "module_volts": 3.3, "received_light_milliwatts": 0.4, "sent_light_milliwatts": 0.7, "laser_milliamperes": 8}
	for _, m := range r.Measurements {
		if value, ok := want[strings.TrimPrefix(m.Key, "nic/eth0/")]; ok && math.Abs(m.Value-value) < 1e-9 {
			delete(want, strings.TrimPrefix(m.Key, "nic/eth0/"))
		}

		if err := catalogue.Check(m.Key, m.Unit); err != nil {
			t.Error(err)
		}
	}

	if len(want) > 0 {
		t.Errorf("not told as it is: %v of %+v", want, r.Measurements)
	}
}

// TestErrorCorrection: what is mended is told, and is no error.
func TestErrorCorrection(t *testing.T) {
	b := newNetBench()
	b.port.FEC = &probe.FEC{Active: "rs", Counts: true, Corrected: 10}
	b.during = func() { b.port.FEC = &probe.FEC{Active: "rs", Counts: true, Corrected: 25} }

	r := b.run(t)
	if r.Verdict != core.Pass || len(r.Findings) != 0 || !strings.Contains(r.SubSteps[0].Summary, "FEC rs, 15 blocks corrected") ||
		!slices.ContainsFunc(r.Measurements, func(s core.Sample) bool { return s.Key == "nic/eth0/fec_corrected_count" && s.Value == 15 }) {
		t.Errorf("%s %+v %+v", r.Verdict, r.Findings, r.SubSteps)
	}
}

// TestBlocksThatAreNotMended are errors of the line.
func TestBlocksThatAreNotMended(t *testing.T) {
	b := newNetBench()
	b.port.FEC = &probe.FEC{Active: "rs", Counts: true, Corrected: 10, Uncorrectable: 1}
	b.during = func() { b.port.FEC = &probe.FEC{Active: "rs", Counts: true, Corrected: 25, Uncorrectable: 9} }

	r := b.run(t)
	if found := find(r, "network/errors"); r.Verdict != core.Fail || len(found) != 1 || !strings.Contains(found[0].Evidence, "fec_uncorrectable_blocks 8") {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}
}
