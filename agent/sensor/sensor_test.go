package sensor_test

import (
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/sensor"
	"vetting/agent/stage"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSensorsAreKnownByWhatTheySitOn(t *testing.T) {
	b := newBoard()

	var got []string
	for _, s := range sensor.Find(b) {
		got = append(got, s.Key+" is "+s.Name)

		if err := catalogue.Check(s.Key, ""); err != nil || !wire.ValidKey(s.Key) {
			t.Errorf("%s: %v", s.Key, err)
		}
	}

	want := []string{
		"board/nct6775-nct6775.656-auxtin0/temperature_celsius is nct6775.656 AUXTIN0",
		"board/nct6775-nct6775.656-fan1/fan_rpm is nct6775.656 fan1",
		"board/nct6775-nct6775.656-fan2/fan_rpm is nct6775.656 fan2",
		"board/nct6775-nct6775.656-fan3/fan_rpm is nct6775.656 fan3",
		"board/nct6775-nct6775.656-in0/voltage_volts is nct6775.656 in0",
		"board/nct6775-nct6775.656-systin/temperature_celsius is nct6775.656 SYSTIN",
		"cpu/package0-core0/temperature_celsius is coretemp.0 Core 0",
		"cpu/package0-core1/temperature_celsius is coretemp.0 Core 1",
		"cpu/package0-core2/temperature_celsius is coretemp.0 Core 2",
		"cpu/package0/temperature_celsius is coretemp.0 Package id 0",
		"cpu/package1/temperature_celsius is coretemp.1 Package id 1",
		"disk/nvme0-composite/temperature_celsius is nvme0 Composite",
		"memory/jc42-3-0018-temp1/temperature_celsius is 3-0018 temp1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// The kernel numbers its chips anew with every boot.
	shuffled := &board{files: fstest.MapFS{}}

	for name, file := range b.files {
		if rest, ok := strings.CutPrefix(name, hwmon+"hwmon"); ok {
			name = hwmon + "hwmon" + string('9'-rest[0]+'0') + rest[1:]
		}

		shuffled.files[name] = file
	}

	var again []string
	for _, s := range sensor.Find(shuffled) {
		again = append(again, s.Key+" is "+s.Name)
	}

	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("after another boot:\n%s", diff)
	}
}

func TestASensorThatSaysNothingMeasuresNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *board)
		want   float64
	}{
		"it answers":         {func(*board) {}, 40},
		"the file is gone":   {func(b *board) { b.remove(hwmon + package0) }, math.NaN()},
		"no number":          {func(b *board) { b.set(hwmon+package0, "N/A") }, math.NaN()},
		"not connected":      {func(b *board) { b.set(hwmon+"hwmon0/temp1_fault", "1") }, math.NaN()},
		"connected":          {func(b *board) { b.set(hwmon+"hwmon0/temp1_fault", "0") }, 40},
		"-128":               {func(b *board) { b.celsius(package0, -128) }, math.NaN()},
		"127":                {func(b *board) { b.celsius(package0, 127) }, math.NaN()},
		"255":                {func(b *board) { b.celsius(package0, 255) }, math.NaN()},
		"65261.85":           {func(b *board) { b.set(hwmon+package0, "65261850") }, math.NaN()},
		"a cold room":        {func(b *board) { b.celsius(package0, -5) }, -5},
		"over its own limit": {func(b *board) { b.celsius(package0, 104) }, 104},
	} {
		b := newBoard()
		sensors := sensor.Find(b)
		c.change(b)

		i := slices.IndexFunc(sensors, func(s sensor.Sensor) bool { return s.Key == "cpu/package0/temperature_celsius" })
		if got := sensors[i].Read(b); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Every recorded machine, in every boot.
func TestMachines(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		type row struct{ Key, Name, Kind string }

		rows := []row{}

		for _, s := range sensor.Find(r.Root) {
			rows = append(rows, row{s.Key, s.Name, s.Kind})

			if err := catalogue.Check(s.Key, ""); err != nil || !wire.ValidKey(s.Key) {
				t.Errorf("%s: %v", s.Key, err)
			}
		}

		for _, m := range sensor.Meters(r.Root) {
			rows = append(rows, row{m.Key, m.Name, "meter"})

			if err := catalogue.Check(m.Key, ""); err != nil {
				t.Error(err)
			}
		}

		machines.Golden(t, r, "sensors", rows, *update)
	})
}

func codes(findings []core.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, string(f.Severity)+" "+f.Code)
	}

	slices.Sort(all)

	return slices.Compact(all)
}

// The rows of the table of stages.md 3.12 that are shapes: each has what breaks it
// and what does not.
func TestShapes(t *testing.T) {
	warm := func(r *rig, celsius float64) {
		for _, s := range []string{package0, package1, core0, core1, core2} {
			r.celsius(s, celsius)
		}
	}
	work := func(r *rig, d time.Duration) {
		r.load = 100
		warm(r, 70)
		r.set(hwmon+fan1, "2400")
		r.pass(d)
	}

	const limitsAgain = 11 * time.Minute // the sensors are asked for their limits again

	coretemps := []string{hwmon + "hwmon0", hwmon + "hwmon1"}

	for name, c := range map[string]struct {
		virtual bool
		without []string // never there
		named   string   // how the board calls its third fan, which does not turn
		stage   core.StageName
		happens func(r *rig)
		want    []string
		slot    string
		halted  bool
	}{
		"nothing":        {happens: func(r *rig) { r.pass(10 * time.Minute) }},
		"work":           {happens: func(r *rig) { work(r, 10*time.Minute) }},
		"over its limit": {happens: func(r *rig) { r.celsius(package1, 101); r.pass(12 * time.Second) }, want: []string{"critical sensor/emergency-stop"}, slot: "coretemp.1 Package id 1", halted: true},
		"at its limit":   {happens: func(r *rig) { r.celsius(drive, 84.85); r.pass(45 * time.Second) }, want: []string{"critical sensor/emergency-stop"}, slot: "nvme0 Composite", halted: true},
		"a drive that may be hotter than most": {happens: func(r *rig) {
			r.set(hwmon+"hwmon3/temp1_max", "88850")
			r.set(hwmon+"hwmon3/temp1_crit", "93850")
			r.pass(limitsAgain)
			r.celsius(drive, 87)
			r.pass(time.Minute)
		}},
		"a drive that may not": {happens: func(r *rig) {
			r.set(hwmon+"hwmon3/temp1_max", "65850")
			r.set(hwmon+"hwmon3/temp1_crit", "70850")
			r.pass(limitsAgain)
			r.celsius(drive, 71)
			r.pass(45 * time.Second)
		}, want: []string{"critical sensor/emergency-stop"}, slot: "nvme0 Composite", halted: true},
		"a drive without limits of its own, warm": {happens: func(r *rig) {
			r.set(hwmon+"hwmon3/temp1_max", "65261850")
			r.set(hwmon+"hwmon3/temp1_crit", "65261850")
			r.pass(limitsAgain)
			r.celsius(drive, 70)
			r.pass(45 * time.Second)
		}, want: []string{"warning sensor/over-max"}, slot: "nvme0 Composite"},
		"a drive without limits of its own, hot": {happens: func(r *rig) {
			r.set(hwmon+"hwmon3/temp1_max", "65261850")
			r.set(hwmon+"hwmon3/temp1_crit", "65261850")
			r.pass(limitsAgain)
			r.celsius(drive, 85)
			r.pass(45 * time.Second)
		}, want: []string{"critical sensor/emergency-stop"}, slot: "nvme0 Composite", halted: true},
		"over its limit for a moment": {happens: func(r *rig) {
			r.celsius(package0, 101)
			r.pass(8 * time.Second)
			r.celsius(package0, 60)
			r.pass(time.Minute)
		}},
		"a DIMM without a limit of its own": {happens: func(r *rig) { r.celsius(dimm, 101); r.pass(12 * time.Second) }, want: []string{"critical sensor/emergency-stop"}, halted: true},
		"over its upper limit": {happens: func(r *rig) {
			r.celsius(package0, 93)
			r.pass(20 * time.Second)
			r.celsius(package0, 50)
			r.pass(time.Minute)
		}, want: []string{"warning sensor/over-max"}, slot: "coretemp.0 Package id 0"},
		"over its upper limit for a moment": {happens: func(r *rig) {
			r.celsius(package0, 93)
			r.pass(5 * time.Second)
			r.celsius(package0, 50)
			r.pass(time.Minute)
		}},
		"a fan that stops":         {happens: func(r *rig) { work(r, 5*time.Second); r.set(hwmon+fan1, "0"); r.pass(time.Minute) }, want: []string{"critical sensor/fan-stopped"}, slot: "nct6775.656 fan1"},
		"a fan that stops at rest": {happens: func(r *rig) { r.pass(5 * time.Second); r.set(hwmon+fan1, "0"); r.pass(time.Minute) }, want: []string{"info sensor/fan-stopped"}, slot: "nct6775.656 fan1"},
		"a graphics card's fan that stops": {happens: func(r *rig) {
			const card = hwmon + "hwmon5/"

			r.set(card+"name", "amdgpu")
			r.link(card+"device", "../../../0000:03:00.0")
			r.set(card+"fan1_input", "800")
			r.pass(limitsAgain)
			work(r, time.Minute)
			r.set(card+"fan1_input", "0")
			r.pass(time.Minute)
		}, want: []string{"info sensor/fan-stopped"}, slot: "0000:03:00.0 fan1"},
		"a power supply's fan that stops": {named: "PSU1 Fan", happens: func(r *rig) {
			r.set(hwmon+"hwmon4/fan3_input", "900")
			work(r, time.Minute)
			r.set(hwmon+"hwmon4/fan3_input", "0")
			r.pass(time.Minute)
		}, want: []string{"info sensor/fan-stopped"}, slot: "nct6775.656 PSU1 Fan"},
		"a fan that has another's letters in its name": {named: "PUMPS", happens: func(r *rig) {
			r.set(hwmon+"hwmon4/fan3_input", "900")
			work(r, time.Minute)
			r.set(hwmon+"hwmon4/fan3_input", "0")
			r.pass(time.Minute)
		}, want: []string{"critical sensor/fan-stopped"}, slot: "nct6775.656 PUMPS"},
		"a fan that stops for a moment": {happens: func(r *rig) {
			work(r, 5*time.Second)
			r.set(hwmon+fan1, "0")
			r.pass(5 * time.Second)
			r.set(hwmon+fan1, "900")
			r.pass(time.Minute)
		}},
		"a fan that has not turned, with a limit": {happens: func(r *rig) {
			r.set(hwmon+"hwmon4/fan3_min", "400")
			r.pass(limitsAgain)
			work(r, 3*time.Minute)
		}, want: []string{"warning sensor/fan-still"}, slot: "nct6775.656 fan3"},
		"a fan that has not turned, with a limit that nobody set": {happens: func(r *rig) {
			r.set(hwmon+"hwmon4/fan3_min", "10")
			r.pass(limitsAgain)
			work(r, 3*time.Minute)
		}},
		"a fan that has not turned, with a name": {
			named: "CPU Fan", happens: func(r *rig) { work(r, 3*time.Minute) },
			want: []string{"warning sensor/fan-still"}, slot: "nct6775.656 CPU Fan",
		},
		"a second fan that is not there": {named: "CPU_OPT", happens: func(r *rig) { work(r, 3*time.Minute) }},
		"a named fan, and none turns": {named: "CPU Fan", without: []string{hwmon + fan1, hwmon + fan2}, happens: func(r *rig) {
			r.load = 100
			warm(r, 70)
			r.remove(hwmon + fan1)
			r.pass(3 * time.Minute)
		}},
		"a fan that turns late": {named: "CPU Fan", happens: func(r *rig) {
			work(r, 3*time.Minute)
			r.set(hwmon+"hwmon4/fan3_input", "700")
			r.pass(time.Minute)
		}},
		"a fan that the board drives": {happens: func(r *rig) {
			r.set(hwmon+"hwmon4/pwm3", "128")
			r.set(hwmon+"hwmon4/pwm3_enable", "5")
			r.pass(limitsAgain)
			work(r, 3*time.Minute)
		}, want: []string{"info sensor/fan-still"}, slot: "nct6775.656 fan3"},
		"a fan that has not turned, at rest": {named: "CPU Fan", happens: func(r *rig) { r.pass(10 * time.Minute) }},
		"a sensor that vanishes":             {happens: func(r *rig) { r.pass(5 * time.Second); r.remove(hwmon + "hwmon3"); r.pass(time.Minute) }, want: []string{"warning sensor/vanished"}, slot: "nvme0 Composite"},
		"a sensor that vanishes and comes back": {happens: func(r *rig) {
			r.pass(5 * time.Second)
			r.celsius(dimm, 127)
			r.pass(time.Minute)
			r.celsius(dimm, 41)
			r.pass(time.Minute)
		}},
		"a sensor that stands still": {happens: func(r *rig) {
			r.pass(time.Minute)
			work(r, time.Minute)
			r.celsius(dimm, 44)
			r.pass(time.Minute)
			r.load = 5
			r.pass(31 * time.Minute)
			r.load = 90
			for i := range 40 { // all others move
				warm(r, 60+float64(i))
				r.celsius(drive, 35+float64(i%3))
				r.pass(time.Second)
			}
		}, want: []string{"warning sensor/no-cool-down", "warning sensor/stuck"}},
		"a sensor that stands still at rest":   {happens: func(r *rig) { r.pass(40 * time.Minute) }},
		"a socket that is hotter":              {happens: func(r *rig) { work(r, time.Second); r.celsius(package1, 88); r.pass(2 * time.Minute) }, want: []string{"warning sensor/socket-hotter"}, slot: "socket 1"},
		"a socket that is a little hotter":     {happens: func(r *rig) { work(r, time.Second); r.celsius(package1, 82); r.pass(2 * time.Minute) }},
		"a socket that is hotter for a moment": {happens: func(r *rig) { work(r, time.Second); r.celsius(package1, 89); r.pass(30 * time.Second) }},
		"a core that is hotter":                {happens: func(r *rig) { work(r, time.Second); r.celsius(core2, 87); r.pass(2 * time.Minute) }, want: []string{"warning sensor/core-hotter", "warning sensor/socket-hotter"}},
		"a virtual machine's cores":            {virtual: true, happens: func(r *rig) { work(r, time.Second); r.celsius(core2, 87); r.pass(2 * time.Minute) }},
		"no cool-down": {happens: func(r *rig) {
			work(r, 5*time.Minute)
			r.load = 1
			r.set(hwmon+fan1, "1200")
			warm(r, 55)
			r.pass(6 * time.Minute)
		}, want: []string{"warning sensor/no-cool-down"}},
		"cool-down": {happens: func(r *rig) {
			work(r, 5*time.Minute)
			r.load = 1
			r.set(hwmon+fan1, "1200")
			warm(r, 55)
			r.pass(time.Minute)
			warm(r, 45)
			r.pass(6 * time.Minute)
		}},
		"work again before it is cool": {happens: func(r *rig) { work(r, 5*time.Minute); r.load = 1; r.pass(3 * time.Minute); work(r, 5*time.Minute) }},
		"fans that do not answer": {happens: func(r *rig) {
			r.pass(40 * time.Second)
			r.load = 100
			warm(r, 70)
			r.pass(6 * time.Minute)
		}, want: []string{"info sensor/fans-do-not-answer"}},
		"fans that do": {happens: func(r *rig) { r.pass(40 * time.Second); work(r, 6*time.Minute) }},
		"a little heat is throttled": {happens: func(r *rig) {
			r.set("sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count", "2")
			r.set("sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_total_time_ms", "300")
			r.pass(10 * time.Minute)
		}, want: []string{"warning sensor/throttled"}},
		"much heat is throttled": {happens: func(r *rig) {
			r.set("sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count", "20")
			r.set("sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_total_time_ms", "9000")
			r.pass(10 * time.Minute)
		}, want: []string{"critical sensor/throttled"}},
		"nobody tells how hot the CPU is": {
			without: coretemps, stage: core.CPUStress, happens: func(r *rig) { r.pass(time.Minute) },
			want: []string{"warning sensor/no-cpu-temperature"},
		},
		"nobody tells how hot a virtual CPU is": {without: coretemps, virtual: true, stage: core.CPUStress, happens: func(r *rig) { r.pass(time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard()
			for _, prefix := range c.without {
				b.remove(prefix)
			}

			if c.named != "" {
				b.set(hwmon+"hwmon4/fan3_label", c.named)
			}

			withinBoard(t, b, c.virtual, func(t *testing.T, r *rig) {
				if c.stage == "" {
					c.stage = core.Memory
				}

				seen := r.stage(c.stage, func() { c.happens(r) })

				if got := codes(seen.Findings); !slices.Equal(got, c.want) || seen.Errors != nil {
					t.Fatalf("findings %v, want %v: %+v, errors %+v", got, c.want, seen.Findings, seen.Errors)
				}

				for _, f := range seen.Findings {
					if _, ok := problem.Lookup(f.Code); !ok {
						t.Errorf("%s is not explained", f.Code)
					}
				}

				if len(c.want) == 1 && c.slot != "" && seen.Findings[0].Part.Slot != c.slot {
					t.Errorf("the part is %+v, want %s", seen.Findings[0].Part, c.slot)
				}

				if (r.halted != nil) != c.halted {
					t.Errorf("halted with %v, want %v", r.halted, c.halted)
				}

				fails := slices.ContainsFunc(c.want, func(s string) bool { return strings.HasPrefix(s, "critical") })
				if got := seen.SubSteps[0].Verdict; (got == core.Fail) != fails {
					t.Errorf("the line about the sensors says %s", got)
				}
			})
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	within(t, false, func(t *testing.T, r *rig) {
		seen := r.stage(core.Memory, func() {
			r.load = 50
			r.pass(time.Minute)
			r.celsius(package0, 55)
			r.pass(time.Minute)
		})

		if got := r.valuesOf(t, "cpu/package0/temperature_celsius"); len(got) < 12 || len(got) > 14 || got[0] != 40 || got[len(got)-1] != 55 {
			t.Errorf("temperatures %v, want one each ten seconds and the change", got)
		}

		if got := r.valuesOf(t, "cpu/package0/headroom_celsius"); len(got) < 12 || got[0] != 60 || got[len(got)-1] != 45 {
			t.Errorf("headroom %v", got)
		}

		if got := r.valuesOf(t, "cpu/package0/power_watts"); len(got) == 0 || slices.ContainsFunc(got, func(w float64) bool { return math.Abs(w-150) > 0.5 }) {
			t.Errorf("power %v, want 150 W although the counter began anew", got)
		}

		if got := r.valuesOf(t, "cpu/all/load_percent"); len(got) < 20 || math.Abs(got[len(got)-1]-50) > 1 {
			t.Errorf("load %v", got)
		}

		if got := r.valuesOf(t, "cpu/package1-slowest/frequency_mhz"); len(got) < 20 || got[0] != 2200 {
			t.Errorf("slowest clock %v", got)
		}

		silent := r.valuesOf(t, "board/nct6775-nct6775.656-auxtin0/temperature_celsius")
		if len(silent) != 2 || !math.IsNaN(silent[0]) {
			t.Errorf("a sensor that says nothing: %v, want one NaN a minute", silent)
		}

		if got := seen.SubSteps[0].Summary; !strings.Contains(got, "1 NOT readable: nct6775.656 AUXTIN0") || !strings.Contains(got, "Package id 0 at 55 °C") {
			t.Errorf("summary %q", got)
		}

		perSecond := float64(len(r.samples)) / 120
		if perSecond > 4 {
			t.Errorf("%.1f samples a second of 13 sensors", perSecond)
		}

		if latest := r.sidecar.Latest(); latest.Values["cpu/package0/temperature_celsius"] != 55 || math.Abs(latest.Load-50) > 1 {
			t.Errorf("latest %+v", latest)
		}
	})
}

func TestPowerLimitsAreTold(t *testing.T) {
	meters := sensor.Meters(newBoard())
	if len(meters) != 2 || meters[0].Limit != 205 || !meters[0].Socket || meters[1].Key != "cpu/package0-dram/power_watts" || !math.IsNaN(meters[1].Limit) {
		t.Errorf("meters %+v", meters)
	}

	if w := meters[0].Watts(100, 100, 0); !math.IsNaN(w) {
		t.Errorf("power of no time is %v", w)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("coretemp", "Package id 0", "40000", "100000")
	f.Add("k10temp", "Tctl", "-1", "x")

	for _, name := range machines.Names(f) {
		root := machines.Open(f, name).Root

		for i := range 8 {
			dir := fmt.Sprintf("%shwmon%d/", hwmon, i)
			f.Add(said(root, dir+"name"), said(root, dir+"temp1_label"), said(root, dir+"temp1_input"), said(root, dir+"temp1_crit"))
		}
	}

	f.Fuzz(func(t *testing.T, chip, label, value, limit string) {
		b := &board{files: fstest.MapFS{}}
		b.set(hwmon+"hwmon0/name", chip)
		b.set(hwmon+"hwmon0/temp1_label", label)
		b.set(hwmon+"hwmon0/temp1_input", value)
		b.set(hwmon+"hwmon0/temp1_crit", limit)
		b.set("sys/class/thermal/thermal_zone0/type", label)
		b.set("sys/class/thermal/thermal_zone0/temp", value)
		b.set("sys/class/powercap/intel-rapl:0/name", chip)
		b.set("sys/class/powercap/intel-rapl:0/max_energy_range_uj", value)
		b.set("proc/stat", "cpu0 "+value+" "+limit+" 1 1 1 1")

		for _, s := range sensor.Find(b) {
			if err := catalogue.Check(s.Key, ""); err != nil || !wire.ValidKey(s.Key) {
				t.Errorf("%q: %v", s.Key, err)
			}

			s.Read(b)
		}

		for _, m := range sensor.Meters(b) {
			if err := catalogue.Check(m.Key, ""); err != nil || !wire.ValidKey(m.Key) {
				t.Errorf("%q: %v", m.Key, err)
			}
		}

		watchStrange(t, b, limit)
	})
}

// watchStrange lets a sidecar watch over a machine whose files say anything.
func watchStrange(t *testing.T, b *board, text string) {
	t.Helper()

	sidecar := sensor.New(sensor.Config{Root: b, Bus: &disk.Replay{}, Log: slog.New(slog.DiscardHandler)})
	env := stage.Env{Sensor: func(samples ...core.Sample) {
		for _, sample := range samples {
			if err := catalogue.Check(sample.Key, sample.Unit); err != nil {
				t.Error(err)
			}
		}
	}}
	start := time.Now()

	end := sidecar.Watch(t.Context(), core.CPUStress, env, func(error) {})

	for i, name := range []string{
		"proc/stat", "sys/class/powercap/intel-rapl:0/energy_uj", "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", hwmon + "hwmon0/temp1_input",
	} {
		sidecar.Look(start.Add(time.Duration(i) * 20 * time.Second))
		b.set(name, text)
	}

	for _, f := range end().Findings {
		if _, known := problem.Lookup(f.Code); !known {
			t.Errorf("%s is not explained", f.Code)
		}
	}
}

// said is what a file of a machine holds; empty: there is none.
func said(root fs.FS, name string) string {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(content))
}
