package stage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/profile"
)

// sound is a machine of one socket with four cores of two threads, after a drill that
// found nothing.
func sound() *stage.CPUView {
	v := &stage.CPUView{Base: map[int]float64{}, Watts: 97, Limit: 100}
	v.Out = drill.Outcome{Cores: map[int]*drill.Tally{}, Exits: map[int]worker.Exit{drill.Between: {Reason: worker.Done}}, Slots: 36, Rounds: 1, Turns: 1e6}

	for i := range 8 {
		t := probe.Thread{
			Number: i, Online: true, Core: i % 4, Siblings: []int{i % 4, i%4 + 4}, APIC: 2*(i%4) + i/4,
			Model: "Some CPU @ 2.50GHz", Revision: "0x2b", PPIN: "0x1234",
		}
		tally := &drill.Tally{
			Thread: t, Blocks: 20_000, Kernels: map[string]int{}, Rates: []float64{40, 41, 40}, MHz: []float64{2900, 2910}, PlainMHz: []float64{3000, 3010}, Variant: "avx512",
			PerCycle: []float64{1.1}, Busy: []float64{0.99},
		}

		for _, k := range cpu.Kernels() {
			tally.Kernels[k.Name] = 1000
		}

		v.Threads = append(v.Threads, t)
		v.Base[i] = 2500
		v.Out.Cores[i] = tally
		v.Out.Exits[i] = worker.Exit{Worker: "cpu", Reason: worker.Done}
	}

	return v
}

func suspect(v *stage.CPUView) drill.Suspect {
	return drill.Suspect{
		Thread: v.Threads[5], Kernel: "fma", Variant: "avx512", Mistakes: 1, Blocks: 1_000_000_000, Retests: 3, Celsius: math.NaN(),
		First:  drill.Wrong{Seed: 7, Want: 1, Got: 2, Known: true, Lanes: []drill.Lane{{Index: 3, Xor: 8}}, Differ: 1, MHz: 2900},
		Others: []drill.Witness{{CPU: 0, Of: 3}, {CPU: 1, Of: 3}},
	}
}

// failing holds for each row of the criteria what breaks it, and what must come of it.
func failing() map[string]struct {
	damage   func(v *stage.CPUView)
	severity core.Severity
	verdict  core.Verdict
	evidence string
} {
	exit := func(number int, reason worker.Reason) func(*stage.CPUView) {
		return func(v *stage.CPUView) {
			v.Out.Exits[number] = worker.Exit{Worker: "cpu3", Reason: reason, Detail: "so it ended"}
		}
	}
	slow := func(rate float64) func(*stage.CPUView) {
		return func(v *stage.CPUView) { v.Out.Cores[2].Rates, v.Out.Cores[6].Rates = []float64{rate}, []float64{rate} }
	}

	return map[string]struct {
		damage   func(v *stage.CPUView)
		severity core.Severity
		verdict  core.Verdict
		evidence string
	}{
		"cpustress/miscompare": {func(v *stage.CPUView) { v.Out.Suspects = []drill.Suspect{suspect(v)} }, core.Critical, core.Fail, "CPU 5, socket 0, core 1, APIC id 3, thread 1, microcode 0x2b, PPIN 0x1234: 1 of 1000000000 blocks"},
		"cpustress/disputed":   {func(v *stage.CPUView) { v.Out.Disputed = []string{"zstd"} }, core.Critical, core.Error, "zstd"},
		"cpustress/exchange": {func(v *stage.CPUView) {
			v.Out.Exchanges = []drill.Mistake{{Test: "mail", From: 1, To: 2, Detail: "word 3"}, {Test: "mail", From: 1, To: 2, Detail: "word 4"}}
		}, core.Critical, core.Fail, "2 mistakes from CPU 1 to CPU 2; the first: word 3"},
		"cpustress/clock-backwards": {func(v *stage.CPUView) {
			v.Out.Exchanges = []drill.Mistake{{Test: "stamp", From: 1, To: 2, Detail: "back by 9"}}
		}, core.Critical, core.Fail, "back by 9"},
		"cpustress/offline": {func(v *stage.CPUView) {
			v.Threads = append(v.Threads, probe.Thread{Number: 8, Package: -1, Core: -1, APIC: -1})
		}, core.Critical, core.Fail, "CPU 8"},
		"cpustress/offline ": {func(v *stage.CPUView) { v.Gone = []int{3} }, core.Critical, core.Fail, "CPU 3, socket 0, core 3, APIC id 6, thread 0, microcode 0x2b, PPIN 0x1234 was switched off meanwhile: it was online"},
		"cpustress/offline  ": {func(v *stage.CPUView) {
			v.Out.Cores[3].Left, v.Out.Cores[3].Away = 2, drill.Away{On: 6, Back: true}
		}, core.Critical, core.Fail, "found on other CPUs 2 times, the last time on CPU 6; it came back"},
		"worker/control-flow":        {exit(3, worker.ControlFlow), core.Critical, core.Fail, "CPU 3, socket 0, core 3"},
		"worker/hung":                {exit(3, worker.Hung), core.Critical, core.Fail, "CPU 3, socket 0, core 3"},
		"worker/killed":              {exit(3, worker.Killed), core.Critical, core.Error, "CPU 3, socket 0, core 3"},
		"worker/out-of-memory":       {exit(3, worker.OutOfMemory), core.Critical, core.Error, "CPU 3, socket 0, core 3"},
		"worker/canary-missed":       {exit(3, worker.CanaryMissed), core.Critical, core.Error, "CPU 3, socket 0, core 3"},
		"cpustress/not-exercised":    {func(v *stage.CPUView) { delete(v.Out.Cores[3].Kernels, "aes") }, core.Critical, core.Error, "CPU 3, socket 0, core 3, APIC id 6, thread 0, microcode 0x2b, PPIN 0x1234 lacks aes"},
		"cpustress/below-base-clock": {func(v *stage.CPUView) { v.Out.Cores[1].PlainMHz = []float64{2400, 2410} }, core.Critical, core.Fail, "CPU 1, socket 0, core 1, APIC id 2, thread 0, microcode 0x2b, PPIN 0x1234: 2405 MHz"},
		"cpustress/core-slow":        {slow(35), core.Warning, core.Pass, "core 2: 70.0 GFLOP/s, 12 % below"},
		"cpustress/core-slow ":       {slow(30), core.Critical, core.Fail, "core 2: 60.0 GFLOP/s, 25 % below"},
		"cpustress/not-fully-stressed": {func(v *stage.CPUView) {
			v.Watts = 80

			for _, t := range v.Out.Cores {
				t.PerCycle = []float64{0.3}
			}
		}, core.Warning, core.Pass, "package0 drew 80 W of the 100 W it may"},
		"cpustress/not-fully-stressed ": {func(v *stage.CPUView) {
			for _, t := range v.Out.Cores {
				t.Busy = []float64{0.5}
			}
		}, core.Warning, core.Pass, "had their CPUs 50 %"},
		"cpustress/not-fully-stressed  ": {func(v *stage.CPUView) {
			v.Limit = 0

			for _, t := range v.Out.Cores {
				t.PerCycle = nil
			}
		}, core.Warning, core.Pass, "neither power nor instructions"},
		"cpustress/field-scan-failed": {func(v *stage.CPUView) {
			v.Scans = []stage.CPUScan{{v.Threads[0], "pass", "0x0"}, {v.Threads[1], "fail", "0x8000000000000081"}}
		}, core.Critical, core.Fail, "details 0x8000000000000081"},
		"cpustress/field-scan-untested": {func(v *stage.CPUView) {
			v.Scans = []stage.CPUScan{{v.Threads[0], "pass", "0x0"}, {v.Threads[1], "untested", "0x1"}}
		}, core.Info, core.Pass, "1 of 2 scans"},
		"cpustress/virtual": {func(v *stage.CPUView) { v.Virtual = true }, core.Info, core.Pass, "GFLOP/s"},
	}
}

func TestASoundCPUPassesEveryRow(t *testing.T) {
	r := sound().Result()
	if r.Verdict != core.Pass || len(r.Findings) > 0 {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}

	if want := "8 of 8 logical CPUs, 20 kernels, 160000 blocks compared in 36 slots"; r.Coverage != want {
		t.Errorf("coverage %q, want %q", r.Coverage, want)
	}

	for _, s := range r.Measurements {
		if err := catalogue.Check(s.Key, s.Unit); err != nil {
			t.Error(err)
		}
	}

	if at := slices.IndexFunc(r.Measurements, func(s core.Sample) bool { return s.Key == "cpu/host/fma_gflops" }); at < 0 || r.Measurements[at].Value != 320 {
		t.Errorf("%+v", r.Measurements)
	}
}

func TestEveryRowHasSomethingThatBreaksIt(t *testing.T) {
	rows := map[string]bool{}

	for name, c := range failing() {
		code := strings.TrimSpace(name)
		rows[code] = true

		v := sound()
		c.damage(v)
		r := v.Result()

		at := slices.IndexFunc(r.Findings, func(f core.Finding) bool { return f.Code == code })
		if at < 0 {
			t.Errorf("%s was not found: %+v", code, r.Findings)

			continue
		}

		f := r.Findings[at]
		if f.Severity != c.severity || r.Verdict != c.verdict || !strings.Contains(f.Evidence, c.evidence) {
			t.Errorf("%s: %s, %s, %q; want %s, %s, %q", code, f.Severity, r.Verdict, f.Evidence, c.severity, c.verdict, c.evidence)
		}

		if f.Part.Kind != "cpu" || f.Next == "" || f.Title == f.Code {
			t.Errorf("%s: %+v", code, f)
		}
	}

	for _, id := range stage.CPURules() {
		if !rows[id] {
			t.Errorf("nothing breaks the row %s", id)
		}
	}
}

// On a virtual host speeds, clocks and loads are the hypervisor's.
func TestAVirtualHostIsNotJudgedBySpeed(t *testing.T) {
	for _, row := range []string{
		"cpustress/below-base-clock", "cpustress/core-slow ", "cpustress/not-fully-stressed", "cpustress/clock-backwards",
	} {
		v := sound()
		failing()[row].damage(v)
		v.Virtual = true

		r := v.Result()
		if r.Verdict != core.Pass || slices.ContainsFunc(r.Findings, func(f core.Finding) bool { return f.Severity != core.Info }) {
			t.Errorf("%s: %s %+v", row, r.Verdict, r.Findings)
		}
	}
}

// A CPU that goes in the midst of the stage fails it, is not counted as tested, and is
// told of once.
func TestACPUThatGoesMeanwhileIsNoPass(t *testing.T) {
	for name, c := range map[string]struct {
		change func(v *stage.CPUView)
		words  string
	}{
		"for good, its worker was idle": {func(v *stage.CPUView) { v.Gone = []int{3} }, "it was online when the stage began"},
		"for good, in the midst of its work": {func(v *stage.CPUView) {
			v.Gone, v.Out.Cores[3].Left, v.Out.Cores[3].Away = []int{3}, 1, drill.Away{On: 6}
			delete(v.Out.Cores[3].Kernels, "aes")
		}, "1 time, the last time on CPU 6; it did not come back"},
		"for a while": {func(v *stage.CPUView) {
			v.Out.Cores[3].Left, v.Out.Cores[3].Away = 1, drill.Away{On: 6, Back: true}
		}, "it came back"},
		"where sibling threads are left out": {func(v *stage.CPUView) { v.Gone, v.NoSMT = []int{3}, true }, "switched off meanwhile"},
		"of a virtual machine":               {func(v *stage.CPUView) { v.Gone, v.Virtual = []int{3}, true }, "switched off meanwhile"},
	} {
		v := sound()
		c.change(v)

		r := v.Result()
		found := find(r, "cpustress/offline")

		if r.Verdict != core.Fail || len(found) != 1 || !strings.Contains(found[0].Evidence, c.words) || found[0].Part.Serial != "0x1234" {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}

		if len(find(r, "cpustress/not-exercised")) > 0 || !strings.HasPrefix(r.Coverage, "7 of 8 logical CPUs") {
			t.Errorf("%s: %s %+v", name, r.Coverage, r.Findings)
		}

		if r := v.Interrupted(errors.New("the CPU is at 101 °C")); r.Verdict != core.Fail {
			t.Errorf("%s, and then stopped: %s %+v", name, r.Verdict, r.Findings)
		}
	}
}

func TestThreadsThatTheKernelLeavesOutAreAWarning(t *testing.T) {
	v := sound()
	failing()["cpustress/offline"].damage(v)
	v.NoSMT = true

	if r := v.Result(); r.Verdict != core.Pass || len(r.Findings) != 1 || r.Findings[0].Severity != core.Warning {
		t.Errorf("%+v", r.Findings)
	}
}

// Cores of different kinds are not equals.
func TestCoresOfAHybridAreComparedWithTheirOwnKind(t *testing.T) {
	v := sound()

	for n, tally := range v.Out.Cores {
		if n%4 > 1 {
			tally.Kind, tally.Rates = "efficient", []float64{15}
		} else {
			tally.Kind = "performance"
		}
	}

	if r := v.Result(); r.Verdict != core.Pass || len(r.Findings) > 0 {
		t.Errorf("%+v", r.Findings)
	}
}

// Clusters of an arm64 count their cores anew: those are not one core.
func TestCoresOfClustersAreNotTakenForOne(t *testing.T) {
	v := sound()

	for n, tally := range v.Out.Cores {
		tally.Thread.Core, tally.Thread.Siblings = n%4, []int{n}

		if n == 6 {
			tally.Rates = []float64{30}
		}
	}

	found := find(v.Result(), "cpustress/core-slow")
	if len(found) != 1 || !strings.Contains(found[0].Evidence, "core 2: 30.0 GFLOP/s, 25 % below the median 40.0 of the 8 cores like it") {
		t.Errorf("%+v", found)
	}
}

// Nor are cores of one kind by name that are made for other clocks: small ones of an
// arm64, dense ones of AMD. Favoured ones are like the others.
func TestCoresAreComparedWithThoseThatAreMadeToBeAsFast(t *testing.T) {
	for name, c := range map[string]struct {
		pace  [4]float64 // of the cores
		rates [4]float64
		want  string // in the evidence; empty: nothing is found
	}{
		"small cores":                       {[4]float64{1024, 1024, 446, 446}, [4]float64{40, 40, 12, 12}, ""},
		"dense cores":                       {[4]float64{5100, 5000, 3500, 3500}, [4]float64{40, 40, 29, 29}, ""},
		"a dense core that is slow":         {[4]float64{5100, 3500, 3500, 3500}, [4]float64{40, 29, 20, 29}, "core 2: 40.0 GFLOP/s, 31 % below the median 58.0 of the 3 cores like it"},
		"favoured cores":                    {[4]float64{5700, 5600, 5250, 5250}, [4]float64{40, 40, 39, 39}, ""},
		"one beside favoured cores":         {[4]float64{5700, 5600, 5250, 5250}, [4]float64{40, 40, 30, 40}, "core 2: 60.0 GFLOP/s, 25 % below the median 80.0 of the 4 cores like it"},
		"clocks that step down a little":    {[4]float64{5700, 5300, 4900, 4500}, [4]float64{40, 37, 33, 31}, ""},
		"a machine that does not tell":      {[4]float64{}, [4]float64{40, 40, 30, 40}, "of the 4 cores like it"},
		"one that tells of the others":      {[4]float64{5000, 5000, 0, 5000}, [4]float64{40, 40, 30, 40}, ""},
		"the same pace, and one is slow":    {[4]float64{5000, 5000, 5000, 5000}, [4]float64{40, 40, 40, 35}, "core 3: 70.0 GFLOP/s, 12 % below"},
		"the fastest kind, and one is slow": {[4]float64{1024, 1024, 1024, 300}, [4]float64{40, 30, 40, 9}, "core 1: 60.0 GFLOP/s, 25 % below the median 80.0 of the 3"},
	} {
		v := sound()
		v.Pace = map[int]float64{}

		for n, tally := range v.Out.Cores {
			v.Pace[n], tally.Rates = c.pace[n%4], []float64{c.rates[n%4]}
		}

		found := find(v.Result(), "cpustress/core-slow")
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0].Evidence, c.want)) {
			t.Errorf("%s: %+v, want %q", name, found, c.want)
		}
	}
}

// It is read where the kernel tells it, by capacity where there is one.
func TestHowFastCoresAreMadeIsRead(t *testing.T) {
	const arm64 = "sys/devices/system/cpu/cpu%d/cpu_capacity"

	_, kinds := stage.CPUPromise(machines.Open(t, metal).Machine())
	for n, pace := range kinds {
		if pace != 4000 {
			t.Errorf("CPU %d of %s: %v", n, metal, pace)
		}
	}

	root := fstest.MapFS{"sys/devices/system/cpu/present": sysFile("0-3"), "sys/devices/system/cpu/online": sysFile("0-3")}
	for n, capacity := range []string{"1024", "1024", "446", "446"} {
		root[fmt.Sprintf(arm64, n)] = sysFile(capacity)
		root[fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", n)] = sysFile("2000000")
	}

	if _, kinds := stage.CPUPromise(probe.Machine{Root: root}); kinds[0] != 1024 || kinds[1] != 1024 || kinds[2] != 446 || kinds[3] != 446 {
		t.Errorf("%v", kinds)
	}
}

func TestWhatAnEarlierProcessFoundStillCounts(t *testing.T) {
	v := sound()
	v.Spent, v.Before = 3*time.Minute, []core.Finding{{Code: "cpustress/miscompare", Severity: core.Critical}}

	if r := v.Result(); r.Verdict != core.Fail || len(r.Findings) != 1 || !strings.Contains(r.Coverage, "after 3m0s by an earlier process") {
		t.Errorf("%s %+v %s", r.Verdict, r.Findings, r.Coverage)
	}
}

func TestACheckpointHoldsWhatWasFound(t *testing.T) {
	v := sound()
	v.Spent, v.Before = time.Minute, []core.Finding{{Code: "cpustress/exchange", Severity: core.Critical}}
	v.Out.Took, v.Out.Suspects = time.Minute, []drill.Suspect{suspect(v)}

	for range 1000 { // no machine has more to tell than fits
		v.Out.Suspects = append(v.Out.Suspects, suspect(v))
	}

	state := stage.CPUCheckpoint(v)
	if len(state) == 0 || len(state) > stage.MaxCheckpoint {
		t.Fatalf("%d bytes", len(state))
	}

	env := stage.Env{Log: slog.New(slog.DiscardHandler), Resume: state}

	spent, before := stage.CPUResume(probe.Machine{Root: fstest.MapFS{}}, env)
	if spent != 2*time.Minute || len(before) < 2 || before[0].Code != "cpustress/exchange" || before[1].Code != "cpustress/miscompare" {
		t.Errorf("%v %d findings", spent, len(before))
	}

	env.Resume = []byte("not ours")
	if spent, before := stage.CPUResume(probe.Machine{Root: fstest.MapFS{}}, env); spent != 0 || before != nil {
		t.Errorf("%v %v", spent, before)
	}
}

// A time that nobody understands is no five minutes.
func TestADurationThatMakesNoSenseIsAnError(t *testing.T) {
	env := stage.Env{Log: slog.New(slog.DiscardHandler), Config: map[string]string{profile.CPUDuration: "nonsense"}}

	r := stage.CPUStress(probe.Machine{Root: fstest.MapFS{}}, nil, nil)(t.Context(), env)
	if r.Verdict != core.Error || len(r.Findings) != 1 || r.Findings[0].Code != "cpustress/not-exercised" || !strings.Contains(r.Findings[0].Evidence, profile.CPUDuration) {
		t.Errorf("%+v", r)
	}
}

func TestNoCPUAtAllIsNoPass(t *testing.T) {
	if r := (&stage.CPUView{}).Result(); r.Verdict != core.Error {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}
}

// scanner is a machine with two cores and Intel In-Field Scan.
type scanner struct {
	fstest.MapFS

	images  int
	results map[string]string // by CPU
	ran     []string
}

func (s *scanner) write(name, text string) error {
	switch {
	case strings.HasSuffix(name, "/current_batch"):
		if s.images--; s.images < 0 {
			return fs.ErrNotExist
		}
	case strings.HasSuffix(name, "/run_test"):
		s.ran = append(s.ran, text)
		s.MapFS["sys/devices/virtual/misc/intel_ifs_0/status"] = &fstest.MapFile{Data: []byte(s.results[text] + "\n")}
	default:
		return errors.New("nobody writes " + name)
	}

	return nil
}

func TestTheCPUsOwnScan(t *testing.T) {
	threads := []probe.Thread{
		{Number: 0, Online: true, Siblings: []int{0, 2}},
		{Number: 1, Online: true, Siblings: []int{1, 3}},
		{Number: 2, Online: true, Siblings: []int{0, 2}},
		{Number: 3, Siblings: []int{1, 3}},
	}
	env := stage.Env{Log: slog.New(slog.DiscardHandler), Progress: func(string, float64, time.Duration) {}}

	for name, c := range map[string]struct {
		images  int
		results map[string]string
		want    []string
		ran     int
	}{
		"both cores pass":            {1, map[string]string{"0": "pass", "1": "pass"}, []string{"pass", "pass"}, 2},
		"two batches":                {2, map[string]string{"0": "pass", "1": "pass"}, []string{"pass", "pass", "pass", "pass"}, 4},
		"one fails":                  {1, map[string]string{"0": "pass", "1": "fail"}, []string{"pass", "fail"}, 2},
		"one is tried again in vain": {1, map[string]string{"0": "pass", "1": "untested"}, []string{"pass", "untested"}, 4},
		"no images":                  {0, nil, []string{"untested"}, 0},
	} {
		const dir = "sys/devices/virtual/misc/intel_ifs_0/"

		s := &scanner{images: c.images, results: c.results, MapFS: fstest.MapFS{
			dir + "current_batch": {Data: []byte("none\n")}, dir + "status": {Data: []byte("untested\n")}, dir + "details": {Data: []byte("0x0\n")},
		}}

		var got []string
		for _, scan := range stage.FieldScan(t.Context(), probe.Machine{Root: s}, threads, s.write, env) {
			got = append(got, scan.Result)
		}

		if !slices.Equal(got, c.want) || len(s.ran) != c.ran {
			t.Errorf("%s: %v after %v, want %v", name, got, s.ran, c.want)
		}
	}

	if scans := stage.FieldScan(t.Context(), probe.Machine{Root: fstest.MapFS{}}, threads, nil, env); len(scans) > 0 {
		t.Errorf("a CPU without scans gave %+v", scans)
	}
}

func TestAStoppedStageTellsWhatWasWrongUntilThen(t *testing.T) {
	v := sound()
	if r := v.Interrupted(errors.New("the CPU is at 101 °C")); r.Verdict != core.Error || len(r.Findings) != 1 || r.Coverage == "" {
		t.Errorf("nothing was wrong: %+v", r)
	}

	v.Out.Suspects = []drill.Suspect{suspect(v)}
	if r := v.Interrupted(errors.New("the CPU is at 101 °C")); r.Verdict != core.Fail || len(r.Findings) != 2 || r.Findings[1].Code != "cpustress/miscompare" {
		t.Errorf("a result was wrong: %+v", r)
	}

	// How a worker ended counts where the stop cannot be the reason.
	for reason, want := range map[worker.Reason]core.Verdict{
		worker.ControlFlow: core.Fail, worker.MemoryPoisoned: core.Fail, worker.Hung: core.Error, worker.Killed: core.Error,
	} {
		v := sound()
		v.Out.Exits[1] = worker.Exit{Reason: reason}

		if r := v.Interrupted(errors.New("the CPU is at 101 °C")); r.Verdict != want {
			t.Errorf("a worker that ended as %s: %+v", reason, r)
		}
	}
}
