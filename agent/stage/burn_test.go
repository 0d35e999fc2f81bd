package stage_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/burn"
	"vetting/agent/cpu/drill"
	"vetting/agent/diskread"
	"vetting/agent/machines"
	"vetting/agent/memory"
	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
	"vetting/core/profile"
)

// burnBench is a recorded machine, and what comes of burning it.
type burnBench struct {
	*bench

	name   string            // of the machine
	edits  map[string]change // of its disks
	files  fstest.MapFS      // that stand in for the machine's own
	change func(out *burn.Outcome, o *burn.Options)
	asked  burn.Options
	states [][]byte
}

func newBurnBench(name string) *burnBench {
	b := &burnBench{bench: newBench(map[string]string{}), name: name, files: fstest.MapFS{}, change: func(*burn.Outcome, *burn.Options) {}}
	b.Checkpoint = func(state []byte) bool {
		b.states = append(b.states, state)

		return true
	}
	b.BootMAC = "52:54:00:12:34:56"
	b.Partner = func(context.Context, uint64, int) (stage.Exchange, error) { return stage.Exchange{}, nil }

	return b
}

// good is what comes of a machine with nothing wrong.
func good(o *burn.Options) *burn.Outcome {
	out := &burn.Outcome{
		CPU:    drill.Outcome{Cores: map[int]*drill.Tally{}, Exits: map[int]worker.Exit{}, Slots: 300},
		Memory: goodMemory(),
		Disks:  diskread.Report{Tallies: map[string]diskread.Tally{}, Exit: worker.Exit{Reason: worker.Done}, Took: time.Minute},
		Net:    burn.Traffic{Exchanges: 100, Frames: 51200, Bytes: 800 << 20, Busy: time.Minute},
		Watch: burn.Stability{
			Gap: 1200 * time.Millisecond, Slopes: map[int]float64{0: 0.3}, Watched: 10 * time.Minute, Peak: map[int]float64{0: 71}, Idle: map[int]float64{0: 40},
		},
		Legs: []burn.Leg{{Phase: burn.Steady, Took: time.Minute}}, Took: 10 * time.Minute,
	}

	for _, t := range o.Threads {
		out.CPU.Cores[t.Number] = &drill.Tally{
			Thread: t, Blocks: 1000, Own: []float64{40, 41, 40}, PlainMHz: []float64{6000}, PerCycle: []float64{1.1},
			Busy: []float64{0.5}, // the other half is the memory test's
		}
		out.CPU.Exits[t.Number] = worker.Exit{Reason: worker.Done}
	}

	for _, t := range o.Targets {
		out.Disks.Tallies[t.Name] = diskread.Tally{Name: t.Name, Bytes: 6 << 30, Compared: 3 << 30, Slowest: 30 * time.Millisecond}
	}

	return out
}

func (b *burnBench) run(t *testing.T) core.Result {
	t.Helper()

	return b.burn(t.Context(), t)
}

func (b *burnBench) burn(ctx context.Context, t *testing.T) core.Result {
	t.Helper()

	burner := func(_ context.Context, o burn.Options) *burn.Outcome {
		b.asked = o
		out := good(&o)
		b.change(out, &o)

		return out
	}
	workers := func(*slog.Logger) drill.Starter { return worker.Runner{} }

	r := machines.Open(t, b.name)

	for name, c := range b.edits {
		if err := r.Disks.Edit(name, c.key, c.edit); err != nil {
			t.Fatal(err)
		}
	}

	m := r.Machine()
	m.Root = over{m.Root, b.files}

	return stage.Burn(m, workers, burner)(ctx, b.Env)
}

// over lays files over those of a machine.
type over struct {
	fs.FS

	files fstest.MapFS
}

func (o over) Open(name string) (fs.File, error) {
	if f, err := o.files.Open(name); err == nil {
		if _, isFile := o.files[name]; isFile {
			return f, nil
		}
	}

	return o.FS.Open(name)
}

func (o over) ReadLink(name string) (string, error) { return fs.ReadLink(o.FS, name) }

func (o over) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(o.FS, name) }

// metal is a recorded machine that is no virtual one.
const metal = "supermicro-x11dpi-n-3.3"

// virtualName finds the recorded virtual machine.
func virtualName(t *testing.T) string {
	t.Helper()

	for _, name := range machines.Names(t) {
		if strings.Contains(name, "qemu") {
			return name
		}
	}

	t.Fatal("no virtual machine is recorded")

	return ""
}

// TestEveryRowOfTheBurnCriteria breaks each rule, and holds that it is quiet
// otherwise.
func TestEveryRowOfTheBurnCriteria(t *testing.T) {
	seen := map[string]bool{}
	first := func(o *burn.Options) string { return o.Targets[0].Name }
	drift := func(out *burn.Outcome, seconds time.Duration) {
		out.Net = burn.Traffic{Exchanges: 2}
		out.Net.Compare(0, 0)
		out.Net.Compare(time.Hour, seconds)
	}

	for name, c := range map[string]struct {
		rule    string
		change  func(out *burn.Outcome, o *burn.Options)
		want    string // severity, code
		verdict core.Verdict
		words   string
		virtual string // what a virtual machine gets instead; empty: the same
	}{
		"a wrong result": {"burn-cpus", func(out *burn.Outcome, o *burn.Options) {
			s := suspect(sound())
			s.Thread = o.Threads[3]
			out.CPU.Suspects = []drill.Suspect{s}
		}, "critical cpustress/miscompare", core.Fail, "CPU 3", ""},
		"a CPU that jumped astray": {"burn-cpus", func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Exits[1] = worker.Exit{Worker: "cpu1", Reason: worker.ControlFlow, Detail: "SIGILL"}
		}, "critical worker/control-flow", core.Fail, "SIGILL", ""},
		"a worker that somebody killed": {"burn-cpus", func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Exits[1] = worker.Exit{Worker: "cpu1", Reason: worker.Killed, Detail: "SIGKILL"}
		}, "critical worker/killed", core.Error, "SIGKILL", ""},
		"a CPU that did nothing": {"burn-cpus", func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Cores[2].Blocks = 0
		}, "critical burn/not-burned", core.Error, "CPU 2", ""},
		"an order that could not be carried out": {"burn-cpus", func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Faults = []string{"CPU 2: there is no kernel \"fma\""}
		}, "critical burn/not-burned", core.Error, "no kernel", ""},
		"a CPU that is switched off meanwhile": {"burn-offline", func(_ *burn.Outcome, o *burn.Options) {
			switchOff(o, 2)
		}, "critical cpustress/offline", core.Fail, "CPU 2,", ""},
		"a CPU that is switched off before it did anything": {"burn-offline", func(out *burn.Outcome, o *burn.Options) {
			switchOff(o, 2)

			out.CPU.Cores[2].Blocks = 0
		}, "critical cpustress/offline", core.Fail, "it was online when the stage began", ""},
		"a CPU that is switched off for a while": {"burn-offline", func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Cores[2].Left, out.CPU.Cores[2].Away = 1, drill.Away{On: 1, Back: true}
		}, "critical cpustress/offline", core.Fail, "on CPU 1; it came back", ""},
		"a CPU below its base clock": {"burn-base-clock", func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Cores[1].PlainMHz = []float64{800, 810}
		}, "critical cpustress/below-base-clock", core.Fail, "805 MHz", "none"},
		"a core that is slower than its like": {"burn-core-slow", func(out *burn.Outcome, o *burn.Options) {
			slowCore(out, o, 35)
		}, "warning cpustress/core-slow", core.Pass, "12 % below", "none"},
		"a core that is much slower": {"burn-core-slow", func(out *burn.Outcome, o *burn.Options) {
			slowCore(out, o, 30)
		}, "critical cpustress/core-slow", core.Fail, "25 % below", "none"},
		"CPUs that have little to do": {"burn-load", func(out *burn.Outcome, _ *burn.Options) {
			for _, t := range out.CPU.Cores {
				t.PerCycle = []float64{0.2}
			}
		}, "warning cpustress/not-fully-stressed", core.Pass, "instructions a cycle", "none"},
		"memory that is not locked": {"burn-locked", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory.Nodes[1].Taken.Unlocked, out.Memory.Nodes[1].Taken.LockErr = 12<<20, "cannot allocate memory"
		}, "warning " + problem.MemoryNotLocked, core.Pass, "12 of 62464 MiB on node 1", ""},
		"memory that was given back": {"burn-given-back", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory.Nodes[1].Tally.Released = 256 << 20
		}, "warning " + problem.MemoryGivenBack, core.Pass, "256 of 62464 MiB", ""},
		"pages that are not known": {"burn-pages", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory.Nodes[1].Tally.Pages = memory.Pages{}
		}, "warning " + problem.MemoryPagesUnknown, core.Pass, "pagemap", ""},
		"pages that were moved": {"burn-pages", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory.Nodes[1].Tally.Pages.Moved = 2 << 20
		}, "info " + problem.MemoryPagesMoved, core.Pass, "2 MiB on node 1", ""},
		"a word that came back wrong": {"burn-memory", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory.Nodes[1].Faults, out.Memory.Nodes[1].Tally.Faults = []memory.Fault{badWord()}, 1
		}, "critical " + problem.MemoryMiscompare, core.Fail, "0x123456238", ""},
		"memory that could not be tested": {"burn-memory", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory, out.MemoryErr = nil, errors.New("no memory at all")
		}, "critical burn/not-burned", core.Error, "no memory at all", ""},
		"a poisoned page": {"burn-memory", func(out *burn.Outcome, _ *burn.Options) {
			out.Memory.Nodes[1].Exit = worker.Exit{Worker: "node1", Reason: worker.MemoryPoisoned, Detail: "SIGBUS"}
		}, "critical worker/memory-poisoned", core.Fail, "SIGBUS", ""},
		"a disk that cannot read": {"burn-disks", func(out *burn.Outcome, o *burn.Options) {
			out.Disks.Wrong = []diskread.Wrong{{Name: first(o), Offset: 1 << 20, Length: 1 << 20, Error: "input/output error"}}
		}, "critical burn/disk-read-error", core.Fail, "sector 2048): input/output error", ""},
		"a disk that gives other data": {"burn-disks", func(out *burn.Outcome, o *burn.Options) {
			out.Disks.Wrong = []diskread.Wrong{{Name: first(o), Offset: 1 << 20, Length: 1 << 20, Steady: true}}
		}, "critical burn/disk-miscompare", core.Fail, "byte 1048576", ""},
		"a disk that takes its time": {"burn-disks", func(out *burn.Outcome, o *burn.Options) {
			out.Disks.Tallies[first(o)] = diskread.Tally{Name: first(o), Bytes: 1, Compared: 1, Slowest: 7 * time.Second}
		}, "warning burn/disk-slow", core.Pass, "7s", "info burn/disk-slow"},
		"a disk that takes for ever": {"burn-disks", func(out *burn.Outcome, o *burn.Options) {
			out.Disks.Tallies[first(o)] = diskread.Tally{Name: first(o), Bytes: 1, Compared: 1, Slowest: 16 * time.Second}
		}, "critical burn/disk-slow", core.Fail, "16s", "info burn/disk-slow"},
		"a disk that hangs": {"burn-disks", func(out *burn.Outcome, o *burn.Options) {
			out.Disks.Exit = worker.Exit{Worker: "disks", Reason: worker.Hung, Detail: "disk " + first(o) + " has not moved for 3m0s"}
		}, "critical worker/hung", core.Fail, "has not moved", ""},
		"a disk that was not read": {"burn-disks", func(out *burn.Outcome, o *burn.Options) {
			delete(out.Disks.Tallies, first(o))
		}, "critical burn/not-burned", core.Error, "was not read", ""},
		"a damaged frame": {"burn-network", func(out *burn.Outcome, _ *burn.Options) {
			out.Net.Bad = 1
		}, "critical burn/network-miscompare", core.Fail, "1 of 51200 frames", ""},
		"a damaged record": {"burn-network", func(out *burn.Outcome, _ *burn.Options) {
			out.Net.Damaged, out.Net.Failed, out.Net.LastError = 1, 1, "bad record MAC"
		}, "critical burn/network-miscompare", core.Fail, "bad record MAC", ""},
		"an appliance that never answered": {"burn-network", func(out *burn.Outcome, _ *burn.Options) {
			out.Net = burn.Traffic{Failed: 9, LastError: "connection refused"}
		}, "warning burn/network-silent", core.Pass, "connection refused", ""},
		"an appliance that hardly ever answered": {"burn-network", func(out *burn.Outcome, _ *burn.Options) {
			out.Net = burn.Traffic{Exchanges: 1, Failed: 9, LastError: "connection refused"}
		}, "warning burn/network-silent", core.Pass, "9 exchanges", ""},
		"a standstill": {"burn-stability", func(out *burn.Outcome, _ *burn.Options) {
			out.Watch.Gap = 31 * time.Second
		}, "critical burn/standstill", core.Fail, "31s", "info burn/standstill"},
		"a clock that goes wrong": {
			"burn-stability", func(out *burn.Outcome, _ *burn.Options) { drift(out, 3*time.Second) },
			"warning burn/clock-drift", core.Pass, "3.0 seconds", "info burn/clock-drift",
		},
		"heat that still rises": {"burn-stability", func(out *burn.Outcome, _ *burn.Options) {
			out.Watch.Slopes[0] = 1.4
		}, "warning burn/no-plateau", core.Pass, "1.4 °C", "none"},
		// And what does not break them.
		"CPUs whose power is measured": {"", func(out *burn.Outcome, o *burn.Options) {
			slot := drill.Slot{Mode: drill.All, Kernel: drill.Hottest()}
			for _, t := range o.Threads {
				slot.CPUs = append(slot.CPUs, t.Number)
			}

			o.Around(slot)() // no time and no energy passes: the instructions are proof enough
		}, "none", core.Pass, "", ""},
		"a core that others took the time of": {"", func(out *burn.Outcome, _ *burn.Options) {
			for _, t := range out.CPU.Cores {
				t.Rates = []float64{20}
			}

			out.CPU.Cores[1].Rates, out.CPU.Cores[1].Busy = []float64{4}, []float64{0.1}
		}, "none", core.Pass, "", ""},
		"a core that is a little slower": {"", func(out *burn.Outcome, o *burn.Options) { slowCore(out, o, 37) }, "none", core.Pass, "", ""},
		"heat that was not watched for long": {"", func(out *burn.Outcome, _ *burn.Options) {
			out.Watch.Slopes[0], out.Watch.Watched = 9, time.Minute
		}, "none", core.Pass, "", ""},
		"an appliance that was away for a while": {"", func(out *burn.Outcome, _ *burn.Options) {
			out.Net.Failed, out.Net.LastError = 9, "connection refused"
		}, "none", core.Pass, "", ""},
		"a clock that is good enough": {"", func(out *burn.Outcome, _ *burn.Options) { drift(out, 1500*time.Millisecond) }, "none", core.Pass, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.rule != "" {
				seen[c.rule] = true
			}

			for _, machine := range []string{metal, virtualName(t)} {
				b := newBurnBench(machine)
				b.change = c.change

				out := b.run(t)
				want := c.want

				if machine != metal && c.virtual != "" {
					want = c.virtual
				}

				if machine == metal && out.Verdict != c.verdict {
					t.Errorf("%s: verdict %s, want %s", machine, out.Verdict, c.verdict)
				}

				wantOne(t, out.Findings, want, c.words)
			}
		})
	}

	for _, id := range stage.BurnRules() {
		if !seen[id] {
			t.Errorf("no case breaks the rule %s", id)
		}
	}
}

// slowCore makes the first core as slow.
func slowCore(out *burn.Outcome, o *burn.Options, gflops float64) {
	first := o.Threads[0]

	for _, t := range out.CPU.Cores {
		if t.Thread.Package == first.Package && t.Thread.Core == first.Core {
			t.Own = []float64{gflops}
		}
	}
}

// switchOff takes a CPU out of those that are online.
func switchOff(o *burn.Options, number int) {
	var rest []string

	for _, t := range o.Threads {
		if t.Number != number {
			rest = append(rest, strconv.Itoa(t.Number))
		}
	}

	o.Test.Root.(over).files["sys/devices/system/cpu/online"] = sysFile(strings.Join(rest, ","))
}

// A CPU that is off when the burn begins is not passed over.
func TestABurnWithACPUThatIsOff(t *testing.T) {
	b := newBurnBench(metal)
	b.files["sys/devices/system/cpu/online"] = sysFile("0,2-3")

	out := b.run(t)
	if found := find(out, "cpustress/offline"); out.Verdict != core.Fail || len(found) == 0 || !strings.Contains(found[0].Evidence, "CPU 1 is present and not online") {
		t.Errorf("%s %+v", out.Verdict, out.Findings)
	}

	if !strings.Contains(out.Coverage, "3 of ") || len(b.asked.Threads) != 3 {
		t.Errorf("%s, asked for %+v", out.Coverage, b.asked.Threads)
	}
}

// wantOne demands one finding, or none.
func wantOne(t *testing.T, findings []core.Finding, want, words string) {
	t.Helper()

	if want == "none" {
		if len(findings) > 0 {
			t.Errorf("findings %+v", findings)
		}

		return
	}

	if len(findings) != 1 || string(findings[0].Severity)+" "+findings[0].Code != want || !strings.Contains(findings[0].Evidence, words) {
		t.Fatalf("findings %+v, want %s with %q", findings, want, words)
	}

	if f := findings[0]; f.Stage != core.Burn || f.Next == "" || f.Part.Kind == "" {
		t.Errorf("%+v", f)
	}

	if _, ok := problem.Lookup(findings[0].Code); !ok {
		t.Errorf("%s is not explained", findings[0].Code)
	}
}

func TestAMachineThatBurnsWell(t *testing.T) {
	for _, name := range machines.Names(t) {
		b := newBurnBench(name)
		b.Config[profile.BurnDuration], b.Config[profile.BurnNetwork] = "2h", "250"
		b.Scale = 0.5
		out := b.run(t)

		if out.Verdict != core.Pass || len(out.Findings) > 0 || !strings.Contains(out.Coverage, "at once") || len(out.SubSteps) != 6 {
			t.Errorf("%s: %+v", name, out)
		}

		if strings.Contains(out.Coverage, "speed NOT judged") != machines.Open(t, name).Machine().Virtual() {
			t.Errorf("%s: %s", name, out.Coverage)
		}

		if b.asked.For != time.Hour || b.asked.Mbps != 250 || b.asked.Test.Passes != 1 || len(b.asked.Threads) == 0 {
			t.Errorf("%s: asked for %+v", name, b.asked)
		}

		for _, target := range b.asked.Targets {
			if target.Bytes == 0 || target.Block < 512 || target.Path != "/dev/"+target.Name {
				t.Errorf("%s: %+v", name, target)
			}
		}

		for _, s := range out.Measurements {
			if err := catalogue.Check(s.Key, s.Unit); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestABurnGoesOnWhereTheProcessBeforeEnded(t *testing.T) {
	b := newBurnBench(metal)
	b.Config[profile.BurnDuration] = "10h"
	b.change = func(out *burn.Outcome, o *burn.Options) {
		s := suspect(sound())
		s.Thread = o.Threads[0]
		out.CPU.Suspects, out.CPU.Took = []drill.Suspect{s}, 4*time.Hour
		o.Noted(out)
		o.Test.Found(badWord())
	}
	b.run(t)

	again := newBurnBench(metal)
	again.Config[profile.BurnDuration], again.Resume = "10h", b.states[1]

	out := again.run(t)
	if again.asked.For != 6*time.Hour {
		t.Errorf("it burns for %v more, want 6h", again.asked.For)
	}

	if codes := codesOf(out.Findings); out.Verdict != core.Fail || !slices.Equal(codes, []string{"cpustress/miscompare", problem.MemoryMiscompare}) {
		t.Errorf("what was found before is lost: %v", codes)
	}

	if len(b.states[0]) > stage.MaxCheckpoint || !json.Valid(b.states[0]) {
		t.Errorf("checkpoint %q", b.states[0])
	}
}

func TestABurnThatIsStoppedTellsWhatItFound(t *testing.T) {
	for name, c := range map[string]struct {
		change func(out *burn.Outcome, o *burn.Options)
		want   core.Verdict
	}{
		"nothing": {func(*burn.Outcome, *burn.Options) {}, core.Error},
		"nothing, since nothing had begun": {func(out *burn.Outcome, _ *burn.Options) {
			for _, t := range out.CPU.Cores {
				t.Blocks, t.PerCycle = 0, nil
			}

			out.Memory, out.Disks.Tallies = &memory.Report{}, nil
		}, core.Error},
		"a worker that stood still when it was stopped": {func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Exits[1] = worker.Exit{Reason: worker.Hung}
			out.Memory.Nodes[0].Exit = worker.Exit{Reason: worker.Hung}
		}, core.Error},
		"a worker that jumped astray": {func(out *burn.Outcome, _ *burn.Options) {
			out.CPU.Exits[1] = worker.Exit{Reason: worker.ControlFlow}
		}, core.Fail},
		"something": {func(out *burn.Outcome, o *burn.Options) {
			out.Disks.Wrong = []diskread.Wrong{{Name: o.Targets[0].Name}}
		}, core.Fail},
	} {
		b := newBurnBench(metal)
		b.change = c.change

		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the CPU is at 101 °C"))

		out := b.burn(ctx, t)
		if slices.Contains(codesOf(out.Findings), "cpustress/not-fully-stressed") {
			t.Errorf("%s: a load that was not carried to its end is judged: %+v", name, out.Findings)
		}

		if out.Verdict != c.want || out.Coverage == "" || slices.Contains(codesOf(out.Findings), "burn/not-burned") || !slices.ContainsFunc(out.Findings, func(f core.Finding) bool { return strings.Contains(f.Evidence, "101 °C") }) {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// A setting that nobody understands is told as such, and nothing begins.
func TestABurnWithSettingsThatMakeNoSense(t *testing.T) {
	for _, key := range []string{profile.BurnDuration, profile.BurnNetwork, profile.MemoryLimit} {
		b := newBurnBench(metal)
		b.Config[key] = "nonsense"
		b.change = func(*burn.Outcome, *burn.Options) { t.Errorf("%s: it burns all the same", key) }

		if out := b.run(t); out.Verdict != core.Error || len(out.Findings) != 1 || out.Findings[0].Code != "burn/not-burned" || !strings.Contains(out.Findings[0].Evidence, key) {
			t.Errorf("%s: %+v", key, out)
		}
	}
}

func TestABurnWithoutAnAppliance(t *testing.T) {
	b := newBurnBench(metal)
	b.Partner = nil
	b.change = func(out *burn.Outcome, o *burn.Options) {
		if o.Partner != nil {
			t.Error("there is somebody to exchange frames with")
		}

		out.Net = burn.Traffic{}
	}

	if out := b.run(t); out.Verdict != core.Pass || !strings.Contains(out.Coverage, "network NOT tested") {
		t.Errorf("%+v", out)
	}
}

func codesOf(findings []core.Finding) (codes []string) {
	for _, f := range findings {
		codes = append(codes, f.Code)
	}

	return codes
}

// While everything works it is told how fast.
func TestABurnTellsHowFastItGoes(t *testing.T) {
	told := map[string]float64{}
	b := newBurnBench(metal)
	b.Sensor = func(samples ...core.Sample) {
		for _, s := range samples {
			if err := catalogue.Check(s.Key, s.Unit); err != nil || s.Stage != core.Burn || s.Time.IsZero() {
				t.Errorf("%+v: %v", s, err)
			}

			told[s.Key] = s.Value
		}
	}
	b.change = func(out *burn.Outcome, o *burn.Options) {
		disk := o.Targets[0].Name
		rates, begin := stage.BurnRates(), time.Now()

		out.CPU.Cores[0].Rates = []float64{40}
		out.Disks.Tallies = map[string]diskread.Tally{disk: {Name: disk, Bytes: 1 << 30}}
		rates(out, begin)

		out.Disks.Tallies[disk] = diskread.Tally{Name: disk, Bytes: 2 << 30}
		b.Sensor(rates(out, begin.Add(8*time.Second))...)
	}
	b.run(t)

	for key, want := range map[string]float64{"cpu/package0/fma_gflops": 40, "disk/" + b.asked.Targets[0].Name + "/read_mibps": 128, "nic/boot/partner_mbps": 100 << 20 * 64 / 1e6 / 60} {
		if got, ok := told[key]; !ok || want > 0 && (got < want*0.99 || got > want*1.01) {
			t.Errorf("%s is %v, want %v: %v", key, got, want, told)
		}
	}
}

// A disk that rearranges its shingled tracks may take longer; what is on a network, or has
// zones that are the host's to manage, is not read.
func TestDisksThatBurnTreatsInTheirOwnWay(t *testing.T) {
	b := newBurnBench(sataMachine)
	b.edits = map[string]change{"sdc": {ataIdentity, setByte(138, 2), false}, "sda": {"120000006000", setByte(0, 0x14), false}}
	b.change = func(out *burn.Outcome, o *burn.Options) {
		if slices.ContainsFunc(o.Targets, func(d diskread.Target) bool { return d.Name == "sda" }) {
			t.Error("zones that are the host's to manage are read")
		}

		out.Disks.Tallies["sdc"] = diskread.Tally{Name: "sdc", Bytes: 1, Compared: 1, Slowest: 14 * time.Second}
		out.Disks.Tallies["sdd"] = diskread.Tally{Name: "sdd", Bytes: 1, Compared: 1, Slowest: 14 * time.Second}
	}

	found := find(b.run(t), "burn/disk-slow")
	if len(found) != 1 || found[0].Part.Slot != "sdd" {
		t.Errorf("%+v", found)
	}

	b = newBurnBench("ibm-3931")
	b.change = func(_ *burn.Outcome, o *burn.Options) {
		if len(o.Targets) > 0 {
			t.Errorf("disks on a network are read: %+v", o.Targets)
		}
	}
	b.run(t)
}
