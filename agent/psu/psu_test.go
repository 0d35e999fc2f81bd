package psu_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/ipmi"
	"vetting/agent/psu"
	"vetting/cmd/vetting-lab/bmc"
	"vetting/core"
)

// works stands for the CPUs: it plays the slots that are dealt, and loads the machine.
func works(machine *bmc.BMC) func(context.Context, drill.Options) drill.Outcome {
	return func(ctx context.Context, o drill.Options) (out drill.Outcome) {
		for {
			s, more := o.Next()
			if !more || ctx.Err() != nil {
				machine.SetLoad(0)

				return out
			}

			for left := s.For; left > 0; left -= s.On + s.Off {
				machine.SetLoad(1)

				if s.On == 0 {
					time.Sleep(left)

					break
				}

				time.Sleep(s.On)
				machine.SetLoad(0)
				time.Sleep(s.Off)
			}

			out.Slots++

			o.Noted(&out)
		}
	}
}

// play takes a machine through the course, in time that does not pass.
func play(t *testing.T, machine *bmc.BMC, way ipmi.BMC, whole time.Duration) (survey *psu.Survey, out *psu.Outcome) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		machine.SetLoad(0)

		survey = psu.Find(fstest.MapFS{}, way, nil)
		out = psu.Run(t.Context(), psu.Options{
			Survey: survey, For: whole, Drill: works(machine), Progress: func(psu.Phase, float64, time.Duration) {}, Sensor: func(...core.Sample) {},
		})
	})

	return survey, out
}

func TestSurvey(t *testing.T) {
	survey := psu.Find(fstest.MapFS{}, bmc.New(bmc.Healthy), []core.Supply{
		{Slot: "PSU1", Serial: "ELSE", Watts: 1}, {Slot: "Power Supply 2", Revision: "To Be Filled By O.E.M."}, {Slot: "PSU3", Model: "unseen"},
	})

	want := []psu.Supply{
		{Slot: "PSU1", ID: ipmi.Identity{Manufacturer: "Lab Power", Model: "LP-800", Part: "LP-800-A", Version: "1.2", Serial: "LP0000001", Watts: 800}},
		{Slot: "PSU2", ID: ipmi.Identity{Manufacturer: "Lab Power", Model: "LP-800", Part: "LP-800-A", Version: "1.2", Serial: "LP0000002", Watts: 800}},
	}

	if len(survey.Supplies) != 2 || survey.Supplies[0].Slot != "PSU1" || survey.Supplies[0].ID != want[0].ID || survey.Supplies[1].ID != want[1].ID {
		t.Errorf("%+v", survey.Supplies)
	}

	var keys []string
	for _, c := range survey.Channels {
		keys = append(keys, c.Key)
	}

	if want := []string{
		"psu/psu1/input_watts", "psu/psu1/output_watts", "psu/psu1/input_volts", "psu/psu1/output_volts",
		"psu/psu2/input_watts", "psu/psu2/output_watts", "psu/psu2/input_volts", "psu/psu2/output_volts",
		"board/bmc-12v/voltage_volts", "", "psu/system/input_watts",
	}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}

	if len(survey.Detectors) != 3 || survey.Detectors[2].Name != "PS Redundancy" || survey.Detectors[2].Slot != "" {
		t.Errorf("%+v", survey.Detectors)
	}
}

// What supplies say of themselves is had without a look at what they measure.
func TestSuppliesAndTheirRevisions(t *testing.T) {
	meter := fstest.MapFS{
		"sys/class/hwmon/hwmon4/name": {Data: []byte("ibm-cffps\n")}, "sys/class/hwmon/hwmon4/in1_label": {Data: []byte("vin\n")},
		"sys/class/hwmon/hwmon4/in1_input": {Data: []byte("208500\n")}, "sys/kernel/debug/pmbus/hwmon4/mfr_revision": {Data: []byte("NB\x00\n")},
		"sys/kernel/debug/pmbus/hwmon4/mfr_model": {Data: []byte("CFFPS2\n")}, "sys/kernel/debug/pmbus/hwmon4/mfr_serial": {Data: []byte("S1\n")},
		"sys/kernel/debug/pmbus/hwmon2/mfr_revision": {Data: []byte("of a regulator\n")},
	}

	for name, test := range map[string]struct {
		root   fstest.MapFS
		way    ipmi.BMC
		tables []core.Supply
		want   []string // slot, model, serial number, revision
	}{
		"a BMC": {
			fstest.MapFS{},
			bmc.New(bmc.Healthy),
			[]core.Supply{{Slot: "PSU3", Model: "of the board", Revision: "9", Present: true}},
			[]string{"PSU1 LP-800 LP0000001 1.2", "PSU2 LP-800 LP0000002 1.2"},
		},
		"PMBus": {meter, nil, nil, []string{"ibm-cffps hwmon4 CFFPS2 S1 NB"}},
		"SMBIOS": {
			fstest.MapFS{},
			nil,
			[]core.Supply{{Slot: "Bay A", Model: "gone", Revision: "A00"}, {Slot: "Bay B", Model: "PWR 550W", Revision: "A01", Serial: "CN1", Present: true}},
			[]string{"Bay B PWR 550W CN1 A01"},
		},
		"words that say nothing": {fstest.MapFS{}, nil, []core.Supply{{Slot: "PSU1", Model: "X", Revision: "To Be Filled By O.E.M.", Present: true}}, []string{"PSU1 X  "}},
		"nobody":                 {fstest.MapFS{}, nil, nil, nil},
	} {
		supplies, err := psu.Supplies(test.root, test.way, test.tables)

		var got []string
		for _, s := range supplies {
			got = append(got, strings.Join([]string{s.Slot, s.ID.Model, s.ID.Serial, s.ID.Version}, " "))
		}

		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q: %v", name, got, test.want, err)
		}
	}
}

// counting is a machine whose CPU counts the energy that it takes, 80 W, in a counter that
// begins anew in two of three seconds.
type counting struct {
	fstest.MapFS

	begun time.Time
}

func (c counting) ReadFile(name string) ([]byte, error) {
	const watts, wrap = 80e6, 120_000_000

	if strings.HasSuffix(name, "/energy_uj") {
		return fmt.Appendf(nil, "%d\n", int64(watts*time.Since(c.begun).Seconds())%wrap), nil
	}

	return c.MapFS.ReadFile(name)
}

// On a machine without BMC and meters the CPUs tell of the load.
func TestEnergyThatTheCPUsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := counting{fstest.MapFS{
			"sys/class/powercap/intel-rapl:0/name": {Data: []byte("package-0\n")}, "sys/class/powercap/intel-rapl:0/energy_uj": {},
			"sys/class/powercap/intel-rapl:0/max_energy_range_uj": {Data: []byte("120000000\n")},
			"sys/class/powercap/intel-rapl:0:0/name":              {Data: []byte("dram\n")}, // a part of it
			"sys/class/powercap/intel-rapl:1/name":                {Data: []byte("psys\n")},
		}, time.Now()}

		survey := psu.Find(root, nil, nil)
		if len(survey.Channels) != 1 || survey.Channels[0].Quantity != psu.PackageWatts || survey.Channels[0].Key != "" {
			t.Fatalf("%+v", survey.Channels)
		}

		out := psu.Run(t.Context(), psu.Options{
			Survey: survey, For: 3 * time.Minute, Drill: works(bmc.New(bmc.Healthy)), Progress: func(psu.Phase, float64, time.Duration) {}, Sensor: func(...core.Sample) {},
		})

		for _, phase := range []psu.Phase{psu.Rest, psu.Load, psu.After} {
			if watts := out.Seen.Series[0].Median(phase); math.Abs(watts-80) > 0.5 {
				t.Errorf("%s: %v W", phase, watts)
			}
		}
	})
}

// A machine that was recorded tells the same when it is replayed.
func TestARecordedMachine(t *testing.T) {
	var recording bytes.Buffer

	machine := bmc.New(bmc.Hogs)
	if err := ipmi.Survey(ipmi.NewRecorder(machine, &recording)); err != nil {
		t.Fatal(err)
	}

	replay, err := ipmi.NewReplay(&recording)
	if err != nil {
		t.Fatal(err)
	}

	live, again := psu.Find(fstest.MapFS{}, machine, nil), psu.Find(fstest.MapFS{}, replay, nil)
	if len(again.Supplies) != 2 || again.Supplies[1].ID != live.Supplies[1].ID || len(again.Channels) != len(live.Channels) || len(again.Detectors) != len(live.Detectors) {
		t.Errorf("%+v, want %+v", again, live)
	}
}

// Boards that count their supplies from 0, name some sensors by no number, or have all
// sensors of one entity.
func TestSuppliesAreToldApart(t *testing.T) {
	rename := func(r []byte, from, to string) {
		if i := bytes.Index(r, []byte(from)); i >= 0 {
			copy(r[i:], to)
		}
	}

	for name, change := range map[string]func(r []byte){
		"from 0": func(r []byte) {
			rename(r, "PSU1", "PSU0")
			rename(r, "PSU2", "PSU1")
		},
		"measures without a number": func(r []byte) {
			if r[3] == 1 {
				rename(r, "PSU1 ", "Main ")
				rename(r, "PSU2 ", "Main ")
			}
		},
		"from 0, measures without a number": func(r []byte) {
			rename(r, "PSU1", "PSU0")
			rename(r, "PSU2", "PSU1")

			if r[3] == 1 {
				rename(r, "PSU0 ", "Main ")
				rename(r, "PSU1 ", "Main ")
			}
		},
		"all of one entity": func(r []byte) {
			if r[8] == 0x0a {
				r[9] = 1
			}
		},
		"behind the BMC": func(r []byte) {
			if r[8] == 0x0a {
				r[9] += 0x60
			}
		},
	} {
		machine := bmc.New(bmc.Healthy)
		machine.Change(change)

		survey := psu.Find(fstest.MapFS{}, machine, nil)
		if len(survey.Supplies) != 2 || survey.Supplies[0].ID.Serial != "LP0000001" || survey.Supplies[1].ID.Serial != "LP0000002" {
			t.Errorf("%s: %+v", name, survey.Supplies)

			continue
		}

		for i, s := range survey.Supplies {
			of := slices.DeleteFunc(slices.Clone(survey.Channels), func(c psu.Channel) bool { return c.Slot != s.Slot })
			if len(of) != 4 || len(survey.Sensors(s.Slot)) != 5 || survey.Sensors(s.Slot)[0] != byte(0x10+i) {
				t.Errorf("%s: %s has %x", name, s.Slot, survey.Sensors(s.Slot))
			}
		}
	}
}

// What SMBIOS knows of a supply that the BMC does not identify.
func TestTablesFillIn(t *testing.T) {
	machine := bmc.New(bmc.Healthy)
	machine.Without(func(r []byte) bool { return r[3] == 0x11 })

	survey := psu.Find(fstest.MapFS{}, machine, []core.Supply{
		{Slot: "PSU1", Model: "LP-800", Serial: "A", Revision: "Not Specified", Watts: 800}, {Slot: "PSU2", Model: "LP-800", Serial: "00000000"},
	})

	if one, two := survey.Supplies[0], survey.Supplies[1]; one.ID.Serial != "A" || one.ID.Watts != 800 || one.ID.Version != "" || two.ID.Serial != "" || two.ID.Model != "LP-800" {
		t.Errorf("%+v", survey.Supplies)
	}
}

// Names as boards have them: ipmitool's and FreeIPMI's lists in issues of the field.
func TestNames(t *testing.T) {
	for name, want := range map[string]struct {
		number int
		slot   string
	}{
		"PS1 Status": {1, "PS1"}, "PSU2_PIN": {2, "PSU2"}, "Power Supply 1": {1, "Power Supply 1"}, "PWS 1": {1, "PWS 1"}, "PS2 Input Power": {2, "PS2"},
		"Pwr Supply 2": {2, "Pwr Supply 2"}, "PSU #3": {3, "PSU #3"}, "PSU0 Status": {0, "PSU0"},
		"Power Supplies": {-1, ""}, "PS Redundancy": {-1, ""}, "CAPS1": {-1, ""}, "VPS1V8": {-1, ""}, "Status": {-1, ""}, "": {-1, ""},
	} {
		if n, slot := psu.NumberOf(name), psu.SlotIn(name); n != want.number || slot != want.slot {
			t.Errorf("%q: %d %q", name, n, slot)
		}
	}

	for name, want := range map[string]float64{
		"12V": 12, "P12V": 12, "+12V": 12, "BB +12V": 12, "BB +5.0V": 0, "5VSB": 5, "+5VSB": 5, "3.3V": 3.3, "3.3VSB": 3.3, "P3V3": 3.3, "+3.3V Stby": 3.3, "P5V_AUX": 5, "5VCC": 5,
		"3.3VCC": 3.3, "VBAT": 0, "V_DIMM": 0, "Vcore": 0, "12V PG": 0, "CPU1 12V": 0, "1.2V": 0, "12VA fault": 0,
	} {
		if got := psu.Nominal(name); got != want {
			t.Errorf("%q: %v V, want %v", name, got, want)
		}
	}
}

func TestCourse(t *testing.T) {
	want := []psu.Phase{psu.Rest, psu.Load, psu.Slow, psu.Medium, psu.Fast, psu.After}

	for _, whole := range []time.Duration{0, time.Second, 3 * time.Minute, 15 * time.Minute, 12 * time.Hour} {
		phases, takes := psu.Course(whole)

		sum := time.Duration(0)
		for _, d := range takes {
			sum += d
		}

		if !slices.Equal(phases, want) || sum != whole || takes[0] > time.Minute {
			t.Errorf("%v: %v %v", whole, phases, takes)
		}

		if every := psu.Pace(whole); every < 500*time.Millisecond || every > 11*time.Second {
			t.Errorf("%v: the BMC is asked each %v", whole, every)
		}

		if every := psu.Pace(whole); whole > 10*time.Minute && every%(10*time.Second) == 0 {
			t.Errorf("%v: the BMC is asked each %v, and sees one half of the slow pulses only", whole, every)
		}
	}
}

// The phases have their lengths, and what was measured belongs to them.
func TestTheCourseOfAHealthyMachine(t *testing.T) {
	machine := bmc.New(bmc.Healthy)
	survey, out := play(t, machine, machine, 15*time.Minute)

	var took []time.Duration
	for _, l := range out.Legs {
		took = append(took, l.Took)
	}

	if want := []time.Duration{time.Minute, 390 * time.Second, 130 * time.Second, 130 * time.Second, 130 * time.Second, time.Minute}; !slices.Equal(took, want) {
		t.Errorf("%v, want %v", took, want)
	}

	i := slices.IndexFunc(survey.Channels, func(c psu.Channel) bool { return c.Key == "psu/psu1/output_watts" })

	series := out.Seen.Series[i]
	if idle, load, after := series.Median(psu.Rest), series.Median(psu.Load), series.Median(psu.After); idle != 60 || load != 520 || after != 60 {
		t.Errorf("%v W, %v W, %v W", idle, load, after)
	}

	// Both halves of the slow pulses are seen, though the BMC is asked seldom.
	if all := series.In(psu.Slow); all[0] != 60 || all[len(all)-1] != 520 {
		t.Errorf("pulses %v", all)
	}

	if len(out.Seen.Events)+len(out.Seen.Crossings)+len(out.Seen.Silent)+len(out.Seen.Empty) > 0 || out.Seen.Failed > 0 || out.Seen.Looks < 75 {
		t.Errorf("%+v", out.Seen)
	}

	if !math.IsNaN(series.Median("never")) || !math.IsNaN(series.Low("never")) {
		t.Error("something was measured in no phase")
	}
}

// A course that is shortened to nothing still looks at the BMC in each phase.
func TestAShortCourse(t *testing.T) {
	machine := bmc.New(bmc.Healthy)
	survey, out := play(t, machine, machine, 100*time.Millisecond)

	for i := range survey.Channels {
		for _, l := range out.Legs {
			if len(out.Seen.Series[i][l.Phase]) == 0 {
				t.Errorf("%s was not read in %s", survey.Channels[i].Name, l.Phase)
			}
		}
	}

	if out.Took > 15*time.Second {
		t.Errorf("it took %v", out.Took)
	}
}

// blink answers the first of two questions about a supply wrongly.
type blink struct {
	ipmi.BMC

	mu    sync.Mutex
	asked map[byte]int
}

func (b *blink) Do(req ipmi.Request) ([]byte, error) {
	answer, err := b.BMC.Do(req)

	b.mu.Lock()
	defer b.mu.Unlock()

	if req.NetFn == ipmi.Sensor && req.Command == 0x2d && len(answer) > 3 && answer[3] == 1 && answer[4] == 0x80 {
		if b.asked[req.Data[0]]++; b.asked[req.Data[0]] > 0 && b.asked[req.Data[0]]%2 == 1 {
			answer[3] |= 1 << 3
		}
	}

	return answer, err
}

// A state that the next question does not find again does not count.
func TestAStateThatIsNoMoreWhenAskedAgain(t *testing.T) {
	machine := bmc.New(bmc.Healthy)

	_, out := play(t, machine, &blink{BMC: machine, asked: map[byte]int{}}, 15*time.Minute)
	if len(out.Seen.Events) > 0 {
		t.Errorf("%+v", out.Seen.Events)
	}
}

// A cord counts as pulled when two looks in a row say so.
func TestACordThatIsInAgainAtTheNextLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		survey := psu.Find(fstest.MapFS{}, &blink{BMC: bmc.New(bmc.Healthy), asked: map[byte]int{0x11: -1 << 30}}, nil)

		all := psu.Pull(t.Context(), psu.Asking{Survey: survey, Slots: []string{"PSU1"}, Limit: time.Minute, Tell: func(string, float64, time.Duration) {}})
		if len(all) != 1 || all[0].Gone || all[0].Back {
			t.Errorf("%+v", all)
		}
	})
}

// refusing is a BMC that answers only who it is.
type refusing struct{ err error }

func (r refusing) Do(req ipmi.Request) ([]byte, error) {
	if req.NetFn == ipmi.App {
		return bmc.New(bmc.Healthy).Do(req)
	}

	return nil, r.err
}

func TestABMCThatTellsNothing(t *testing.T) {
	survey := psu.Find(fstest.MapFS{}, refusing{errors.New("no answer")}, nil)
	if !survey.BMC || survey.Err == nil || len(survey.Supplies)+len(survey.Channels) > 0 {
		t.Errorf("%+v", survey)
	}

	if survey := psu.Find(fstest.MapFS{}, new(ipmi.Replay), nil); survey.BMC || survey.Err != nil {
		t.Errorf("%+v", survey)
	}
}

// The supplies of the kernel's PMBus drivers, by the labels that those have.
func TestSuppliesOverPMBus(t *testing.T) {
	survey := psu.Find(fstest.MapFS{
		"sys/class/hwmon/hwmon4/name": {Data: []byte("ibm-cffps\n")}, "sys/class/hwmon/hwmon4/in1_label": {Data: []byte("vin\n")},
		"sys/class/hwmon/hwmon4/in1_input": {Data: []byte("208500\n")}, "sys/class/hwmon/hwmon4/in1_lcrit": {Data: []byte("160000\n")},
		"sys/class/hwmon/hwmon4/in2_label": {Data: []byte("vout1\n")}, "sys/class/hwmon/hwmon4/in2_input": {Data: []byte("12150\n")},
		"sys/class/hwmon/hwmon4/power1_label": {Data: []byte("pin\n")}, "sys/class/hwmon/hwmon4/power1_input": {Data: []byte("154000000\n")},
		"sys/class/hwmon/hwmon4/curr1_label": {Data: []byte("iout1\n")}, "sys/class/hwmon/hwmon4/curr1_input": {Data: []byte("12000\n")},
		"sys/class/hwmon/hwmon2/name": {Data: []byte("power_meter\n")}, "sys/class/hwmon/hwmon2/power1_average": {Data: []byte("210000000\n")},
	}, nil, nil)

	var keys []string
	for _, c := range survey.Channels {
		keys = append(keys, c.Key)
	}

	const slot = "psu/ibm-cffps-hwmon4/"
	if want := []string{"psu/acpi-meter/input_watts", slot + "output_amperes", slot + "input_volts", slot + "output_volts", slot + "input_watts"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}

	if l := survey.Channels[2].Limits; l.Low != 160 || !math.IsNaN(l.High) || len(survey.Supplies) != 1 || !strings.Contains(survey.Supplies[0].Slot, "ibm-cffps") {
		t.Errorf("%+v %+v", l, survey.Supplies)
	}
}

// Long courses keep a bounded number of readings.
func TestALongCourse(t *testing.T) {
	machine := bmc.New(bmc.Healthy)

	_, out := play(t, machine, machine, 12*time.Hour)
	for _, s := range out.Seen.Series {
		for phase, values := range s {
			if len(values) > 2048 {
				t.Errorf("%d readings of %s", len(values), phase)
			}
		}
	}
}

// A BMC that makes up supplies without end is not believed.
func TestSuppliesWithoutEnd(t *testing.T) {
	survey := psu.Find(fstest.MapFS{}, &boundless{BMC: bmc.New(bmc.Healthy)}, nil)
	if n := len(survey.Supplies); n != 32 {
		t.Errorf("%d supplies", n)
	}
}

// boundless is a BMC that has another supply in each of 200 sensor records.
type boundless struct{ ipmi.BMC }

func (b *boundless) Do(req ipmi.Request) ([]byte, error) {
	if req.NetFn != ipmi.Storage || req.Command != 0x23 {
		return b.BMC.Do(req)
	}

	const last = 200

	r := make([]byte, 32)
	id := max(1, req.Data[2])
	r[2], r[3], r[4], r[5], r[7], r[8], r[9], r[12], r[13], r[18] = 0x51, 2, 27, 0x20, id, 0x0a, id%0x60, 8, 0x6f, 0x7f

	next := []byte{0, id + 1, 0}
	if id == last {
		next = []byte{0, 0xff, 0xff}
	}

	return append(next, r[req.Data[4]:req.Data[4]+req.Data[5]]...), nil
}

// Whatever a BMC answers, the survey comes to an end.
func FuzzFind(f *testing.F) {
	f.Add([]byte{0x51, 1, 0x20}, []byte{0, 1, 0xc0, 9, 0x80})

	f.Fuzz(func(t *testing.T, record, reading []byte) {
		survey := psu.Find(fstest.MapFS{}, garbled{bmc.New(bmc.Healthy), record, reading}, nil)
		if len(survey.Channels) > 192 || len(survey.Detectors) > 96 || len(survey.Supplies) > 32 {
			t.Errorf("%d channels, %d detectors, %d supplies", len(survey.Channels), len(survey.Detectors), len(survey.Supplies))
		}
	})
}

// garbled is a BMC with other bytes in its sensor records and readings.
type garbled struct {
	ipmi.BMC

	record, reading []byte
}

func (g garbled) Do(req ipmi.Request) ([]byte, error) {
	answer, err := g.BMC.Do(req)

	switch {
	case req.NetFn == ipmi.Storage && req.Command == 0x23 && len(answer) > 3:
		for i := range answer[3:] {
			if len(g.record) > 0 {
				answer[3+i] ^= g.record[(i+int(req.Data[4]))%len(g.record)]
			}
		}
	case req.NetFn == ipmi.Sensor:
		return g.reading, err
	}

	return answer, err
}
