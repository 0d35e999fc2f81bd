package stage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
	"vetting/core/profile"
)

const gib = 1 << 30

// goodMemory is what a test of a machine with two nodes of 64 GiB reports when all is
// well.
func goodMemory() *memory.Report {
	r := &memory.Report{Total: 125 * gib, RAM: 127 * gib, Reserve: 2 * gib, Took: time.Hour}

	for id := range 2 {
		r.Nodes = append(r.Nodes, memory.NodeReport{
			Node: memory.Node{ID: id, Bytes: 125 * gib / 2, CPUs: []int{2 * id, 2*id + 1}},
			Exit: worker.Exit{Worker: fmt.Sprintf("node%d", id), Reason: worker.Done}, Kernel: "flipped bits, AVX2",
			Taken: memory.Taken{Bytes: 61 * gib, Huge: 61 * gib}, Stream: memory.Stream{Copy: 100 * gib, Triad: 90 * gib}, Ended: true,
			Tally: memory.Tally{
				Position: memory.Position{Passes: 1}, Verified: 8 * 61 * gib, Written: 8 * 61 * gib, Busy: time.Minute,
				Pages: memory.Pages{Known: true, Tested: 61 * gib},
			},
		})
	}

	return r
}

// littleMemory is what a test of a virtual machine of 1 GiB reports when all is well.
func littleMemory() *memory.Report {
	r := goodMemory()
	r.Total, r.RAM, r.Reserve, r.Nodes = gib*9/10, gib, 192<<20, r.Nodes[:1]
	r.Nodes[0].Bytes, r.Nodes[0].Taken.Bytes, r.Nodes[0].Tally.Pages.Tested = gib*9/10, gib/2, gib/2

	return r
}

func badWord() memory.Fault {
	return memory.Fault{
		Virtual: 0x7f0000001238, Physical: 0x123456238, Expected: 0xaa, Got: 0xab, Node: 1, CPU: 3, Step: "verify", Same: 16, Reads: 16,
		Failed: 12, Tries: 48,
	}
}

// memoryBench is a machine, what its memory test will report, and how the stage runs it.
type memoryBench struct {
	root   fstest.MapFS
	log    []string // of the kernel
	report *memory.Report
	err    error
	env    stage.Env
	during func(t memory.Test) // while it is tested

	test   memory.Test // as it was asked for
	kept   map[string][]byte
	states [][]byte
}

func newMemoryBench(t *testing.T, r *memory.Report) *memoryBench {
	t.Helper()

	b := &memoryBench{root: fstest.MapFS{"proc/meminfo": sysFile("MemTotal: 1 kB")}, report: r, kept: map[string][]byte{}}
	b.env = stage.Env{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Progress: func(string, float64, time.Duration) {},
		Sensor: func(...core.Sample) {}, Config: map[string]string{}, Scale: 1,
		Keep: func(name string, content []byte) { b.kept[name] = content },
		Checkpoint: func(state []byte) bool {
			b.states = append(b.states, state)

			return true
		},
	}

	return b
}

func sysFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }

func (b *memoryBench) run(ctx context.Context) core.Result {
	test := func(_ context.Context, t memory.Test) (*memory.Report, error) {
		b.test = t

		if b.during != nil {
			b.during(t)
		}

		return b.report, b.err
	}

	return stage.Memory(probe.Machine{Root: b.root}, test, func() []string { return b.log })(ctx, b.env)
}

// TestEveryRowOfTheMemoryCriteria breaks each rule once, and holds that it is quiet
// otherwise.
func TestEveryRowOfTheMemoryCriteria(t *testing.T) {
	seen := map[string]bool{}

	for name, c := range map[string]struct {
		rule    string
		report  *memory.Report
		change  func(b *memoryBench, n *memory.NodeReport) // of node 1, or the only one
		code    string
		verdict core.Verdict
		words   string // in the evidence
	}{
		"a word that came back wrong": {"memory-miscompare", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Faults, n.Tally.Faults = []memory.Fault{badWord()}, 1
		}, problem.MemoryMiscompare, core.Fail, "physical address 0x123456238"},
		"a comparison that went wrong": {"memory-miscompare", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			f := badWord()
			f.Got, f.Compared = f.Expected, true
			n.Faults, n.Tally.Faults = []memory.Fault{f}, 1
		}, problem.MemoryComparison, core.Fail, "points to the CPU"},
		"a poisoned page": {"memory-worker", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Exit, n.Ended = worker.Exit{Worker: "node1", Reason: worker.MemoryPoisoned, Detail: "SIGBUS at 0x7f"}, false
		}, "worker/memory-poisoned", core.Fail, "SIGBUS"},
		"a thread that does not move": {"memory-worker", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Exit, n.Ended = worker.Exit{Worker: "node1", Reason: worker.Hung, Detail: "CPU 3"}, false
		}, "worker/hung", core.Fail, "CPU 3"},
		"a worker that the kernel killed": {"memory-worker", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Exit, n.Ended, n.Tally = worker.Exit{Worker: "node1", Reason: worker.OutOfMemory, Detail: "killed"}, false, memory.Tally{}
		}, "worker/out-of-memory", core.Error, "killed"},
		"a canary that was missed": {"memory-worker", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Exit, n.Ended = worker.Exit{Worker: "node1", Reason: worker.CanaryMissed, Detail: "a flipped bit"}, false
		}, "worker/canary-missed", core.Error, "a flipped bit"},
		"memory that could not be had": {"memory-worker", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Exit, n.Ended, n.Taken = worker.Exit{Worker: "node1", Reason: worker.Broken, Detail: "there is none to be had"}, false, memory.Taken{}
		}, "worker/broken", core.Error, "none to be had"},
		"a page that the kernel found": {"memory-boot-test", goodMemory(), func(b *memoryBench, _ *memory.NodeReport) {
			b.log = []string{"6,1,0,-;early_memtest: # of tests: 1", "6,2,0,-;  00000000ffffffff bad mem addr 0x0000000000005000 - 0x0000000000006000 reserved"}
		}, problem.MemoryBootTestBad, core.Fail, "0x5000 to 0x5fff"},
		"pages that the kernel counts": {"memory-boot-test", goodMemory(), func(b *memoryBench, _ *memory.NodeReport) {
			b.root["proc/meminfo"] = sysFile("MemTotal: 1 kB\nEarlyMemtestBad: 8 kB")
		}, problem.MemoryBootTestBad, core.Fail, "8 KiB"},
		"a CPU that is switched off meanwhile": {"memory-cpus", goodMemory(), func(b *memoryBench, _ *memory.NodeReport) {
			b.root["sys/devices/system/cpu/present"], b.root["sys/devices/system/cpu/online"] = sysFile("0-3"), sysFile("0-3")
			b.during = func(memory.Test) { b.root["sys/devices/system/cpu/online"] = sysFile("0,1,3") }
		}, "cpustress/offline", core.Fail, "CPU 2 was switched off meanwhile"},
		"a CPU that is switched off for a while": {"memory-cpus", goodMemory(), func(b *memoryBench, n *memory.NodeReport) {
			b.root["sys/devices/system/cpu/present"], b.root["sys/devices/system/cpu/online"] = sysFile("0-3"), sysFile("0-3")
			n.Left = []memory.Left{{CPU: 2, On: 0}, {CPU: 2, On: 1}}
		}, "cpustress/offline", core.Fail, "CPU 2 was switched off meanwhile: its worker was found on other CPUs 2 times, the last time on CPU 1; it came back"},
		"a CPU that is pulled out meanwhile": {"memory-cpus", goodMemory(), func(b *memoryBench, _ *memory.NodeReport) {
			b.root["sys/devices/system/cpu/present"], b.root["sys/devices/system/cpu/online"] = sysFile("0-3"), sysFile("0-3")
			b.during = func(memory.Test) {
				b.root["sys/devices/system/cpu/present"], b.root["sys/devices/system/cpu/online"] = sysFile("0-2"), sysFile("0-2")
			}
		}, "cpustress/offline", core.Fail, "CPU 3 was switched off meanwhile"},
		"a large machine, tested by less than 92 %": {"memory-coverage", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Tally.Pages.Tested = 55 * gib
		}, problem.MemoryCoverage, core.Error, "116.0 of 127.0 GiB (91.3 %)"},
		"a small machine, tested by less than the floor": {"memory-coverage", littleMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Tally.Pages.Tested = gib / 8
		}, problem.MemoryCoverage, core.Error, "at least 20 %"},
		"a small machine, tested by less than the profile's floor": {"memory-coverage", littleMemory(), func(b *memoryBench, _ *memory.NodeReport) {
			b.env.Config[profile.MemoryFloor] = "60"
		}, problem.MemoryCoverage, core.Error, "at least 60 %"},
		"not a byte of it tested, and no floor": {"memory-coverage", littleMemory(), func(b *memoryBench, n *memory.NodeReport) {
			b.env.Config[profile.MemoryFloor] = "0"
			n.Tally.Pages.Tested = 0
		}, problem.MemoryCoverage, core.Error, "0.0 of 1.0 GiB"},
		"a pass that was not done": {"memory-coverage", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Tally.Passes = 0
		}, problem.MemoryCoverage, core.Error, "61.0 of 127.0 GiB"},
		"memory that is not locked": {"memory-locked", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Taken.Unlocked, n.Taken.LockErr = 12<<20, "cannot allocate memory"
		}, problem.MemoryNotLocked, core.Pass, "12 of 62464 MiB on node 1 are not locked: cannot allocate"},
		"memory that was given back": {"memory-given-back", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Tally.Released = 256 << 20
		}, problem.MemoryGivenBack, core.Pass, "256 of"},
		"pages that were moved": {"memory-pages", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Tally.Pages.Moved = 2 << 20
		}, problem.MemoryPagesMoved, core.Pass, "2 MiB on node 1"},
		"pages that are not known": {"memory-pages", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Tally.Pages = memory.Pages{}
		}, problem.MemoryPagesUnknown, core.Pass, "pagemap"},
		"a node that is slow": {"memory-node-speed", goodMemory(), func(_ *memoryBench, n *memory.NodeReport) {
			n.Stream.Copy = 79 * gib
		}, problem.MemoryNodeSlow, core.Pass, "node 1 copies 79.0 GiB/s, node 0 100.0 GiB/s"},
	} {
		t.Run(name, func(t *testing.T) {
			seen[c.rule] = true

			b := newMemoryBench(t, c.report)
			c.change(b, &b.report.Nodes[len(b.report.Nodes)-1])

			out := b.run(t.Context())
			i := slices.IndexFunc(out.Findings, func(f core.Finding) bool { return f.Code == c.code })

			if i < 0 || out.Verdict != c.verdict || !strings.Contains(out.Findings[i].Evidence, c.words) {
				t.Fatalf("%s, findings %+v", out.Verdict, out.Findings)
			}

			for _, f := range out.Findings {
				if c.rule == "memory-worker" && f.Code != c.code && f.Code != problem.MemoryCoverage {
					t.Errorf("a worker that ended early also makes: %+v", f)
				}
			}

			if f := out.Findings[i]; f.Next == "" || f.Stage != core.Memory || f.Part.Kind == "" {
				t.Errorf("%+v", f)
			}
		})
	}

	for _, id := range stage.MemoryRules() {
		if !seen[id] {
			t.Errorf("no case breaks the rule %s", id)
		}

		delete(seen, id)
	}

	for id := range seen {
		t.Errorf("there is no rule %s", id)
	}
}

func TestMemoryThatIsGoodPasses(t *testing.T) {
	for name, c := range map[string]struct {
		report   *memory.Report
		change   func(b *memoryBench)
		coverage string
	}{
		"a large machine": {goodMemory(), func(*memoryBench) {}, "122.0 of 127.0 GiB (96.0 %) by physical page, 1 pass of short patterns; the kernel's own test at boot was NOT run"},
		"with the kernel's test": {goodMemory(), func(b *memoryBench) {
			b.root["proc/meminfo"] = sysFile("MemTotal: 1 kB\nEarlyMemtestBad: 0 kB")
		}, "122.0 of 127.0 GiB (96.0 %) by physical page, 1 pass of short patterns"},
		"a small machine": {littleMemory(), func(*memoryBench) {}, "0.5 of 1.0 GiB (50.0 %) by physical page, 1 pass of short patterns; the kernel's own test at boot was NOT run"},
		"a large machine of which little was asked for": {goodMemory(), func(b *memoryBench) {
			b.env.Config[profile.MemoryLimit], b.env.Config[profile.MemoryFloor] = "1024", "0"
			b.report.Limit = gib
			b.report.Nodes[0].Tally.Pages.Tested, b.report.Nodes[1].Tally.Pages.Tested = gib/2, gib/2
		}, "1.0 of 127.0 GiB (0.7 %) by physical page, 1 pass of short patterns; limited to 1024 MiB, the rest NOT tested; the kernel's own test at boot was NOT run"},
		"more asked for than there is": {littleMemory(), func(b *memoryBench) {
			b.env.Config[profile.MemoryLimit], b.env.Config[profile.MemoryFloor] = "67108864", "0"
			b.report.Limit = 64 << 40
		}, "0.5 of 1.0 GiB (50.0 %) by physical page, 1 pass of short patterns; the kernel's own test at boot was NOT run"},
		"nodes that are not alike": {goodMemory(), func(b *memoryBench) {
			b.report.Nodes[1].CPUs, b.report.Nodes[1].Stream.Copy = []int{4}, 50*gib
		}, ""},
		"a machine with a CPU that was off before": {goodMemory(), func(b *memoryBench) {
			b.root["sys/devices/system/cpu/present"], b.root["sys/devices/system/cpu/online"] = sysFile("0-3"), sysFile("0-2")
		}, ""},
		"a machine that does not say any more what CPUs it has": {goodMemory(), func(b *memoryBench) {
			b.root["sys/devices/system/cpu/present"], b.root["sys/devices/system/cpu/online"] = sysFile("0-3"), sysFile("0-2")
			b.during = func(memory.Test) { delete(b.root, "sys/devices/system/cpu/present") }
		}, ""},
		"a virtual machine whose host is busy": {goodMemory(), func(b *memoryBench) {
			b.root["proc/cpuinfo"] = sysFile("processor\t: 0\nflags\t\t: fpu vme hypervisor")
			b.report.Nodes[1].Stream.Copy = gib
		}, ""},
	} {
		b := newMemoryBench(t, c.report)
		c.change(b)

		out := b.run(t.Context())
		if out.Verdict != core.Pass || len(out.Findings) > 0 || c.coverage != "" && out.Coverage != c.coverage {
			t.Errorf("%s: %s, %q, %+v", name, out.Verdict, out.Coverage, out.Findings)
		}

		if len(out.SubSteps) != 1+len(b.report.Nodes) || len(b.kept["memory.json"]) == 0 {
			t.Errorf("%s: %+v, kept %v", name, out.SubSteps, len(b.kept))
		}

		for _, s := range out.Measurements {
			if err := catalogue.Check(s.Key, s.Unit); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The bandwidth of a virtual machine is told and not kept: it would be compared with
// that of others.
func TestTheBandwidthOfAVirtualMachineIsNotMeasured(t *testing.T) {
	for _, virtual := range []bool{false, true} {
		b := newMemoryBench(t, goodMemory())
		if virtual {
			b.root["proc/cpuinfo"] = sysFile("flags : hypervisor")
		}

		out := b.run(t.Context())
		has := slices.ContainsFunc(out.Measurements, func(s core.Sample) bool { return s.Key == "memory/node0/copy_mibps" })

		if has == virtual || !strings.Contains(out.SubSteps[1].Summary, "copy 100.0 GiB/s") {
			t.Errorf("virtual %v: %+v", virtual, out)
		}
	}
}

func TestAFaultNamesThePart(t *testing.T) {
	two := badWord()
	two.Physical += 8

	for name, c := range map[string]struct {
		change func(b *memoryBench)
		during func(b *memoryBench)
		want   []core.Part
	}{
		"nothing is known but the node": {func(*memoryBench) {}, nil, []core.Part{{Kind: "memory", Slot: "node1"}}},
		"a DIMM counts errors": {func(b *memoryBench) {
			b.root["sys/devices/system/edac/mc/mc0/dimm0/dimm_label"] = sysFile("DIMM_A2")
			b.root["sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count"] = sysFile("5")
			b.root["sys/devices/system/edac/mc/mc0/dimm1/dimm_label"] = sysFile("DIMM_B2")
			b.root["sys/devices/system/edac/mc/mc0/dimm1/dimm_ce_count"] = sysFile("5")
		}, func(b *memoryBench) {
			b.root["sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count"] = sysFile("6")
		}, []core.Part{{Kind: "dimm", Slot: "DIMM_A2"}}},
		"two words": {func(b *memoryBench) {
			b.report.Nodes[1].Faults = []memory.Fault{badWord(), two, badWord()}
		}, nil, []core.Part{{Kind: "memory", Slot: "node1"}, {Kind: "memory", Slot: "node1"}}},
	} {
		b := newMemoryBench(t, goodMemory())
		b.report.Nodes[1].Faults = []memory.Fault{badWord()}
		c.change(b)

		if c.during != nil {
			b.during = func(memory.Test) { c.during(b) }
		}

		out := b.run(t.Context())

		var got []core.Part
		for _, f := range out.Findings {
			got = append(got, f.Part)
		}

		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// Thousands of bad words make a report that can be read, and sent.
func TestManyFaultsAreSummedUp(t *testing.T) {
	b := newMemoryBench(t, goodMemory())

	for i := range 5000 {
		f := badWord()
		f.Physical += uint64(i) * 8
		b.report.Nodes[1].Faults = append(b.report.Nodes[1].Faults, f)
	}

	b.report.Nodes[1].Tally.Faults, b.report.Nodes[1].Tally.Bits = 70000, 1

	out := b.run(t.Context())
	last := out.Findings[len(out.Findings)-1]

	if len(out.Findings) != 21 || !strings.Contains(last.Evidence, "70000 words came back wrong in all, at 5000 places") {
		t.Errorf("%d findings, the last is %+v", len(out.Findings), last)
	}
}

func TestWhatTheProfileSaysReachesTheTest(t *testing.T) {
	b := newMemoryBench(t, goodMemory())
	b.env.Scale = 0.5
	b.env.Config = map[string]string{
		profile.MemoryPatterns: "full", profile.MemoryPasses: "3", profile.MemoryDuration: "12h", profile.MemoryRetention: "2m",
		profile.MemoryLimit: "2048", profile.MemoryFloor: "10",
	}
	b.run(t.Context())

	if got := b.test; got.Patterns != memory.Full || got.Passes != 3 || got.Duration != 6*time.Hour || got.Retention != time.Minute ||
		got.Limit != 2*gib || !got.Stream {
		t.Errorf("%+v", got)
	}

	b = newMemoryBench(t, goodMemory())
	b.run(t.Context())

	if got := b.test; got.Patterns != memory.Short || got.Passes != 1 || got.Duration != 0 || got.Retention != time.Minute || got.Limit != 0 {
		t.Errorf("without a word of the profile: %+v", got)
	}

	for _, key := range []string{
		profile.MemoryPasses, profile.MemoryDuration, profile.MemoryRetention, profile.MemoryLimit, profile.MemoryFloor,
	} {
		b := newMemoryBench(t, goodMemory())
		b.env.Config[key] = "nonsense"

		if out := b.run(t.Context()); out.Verdict != core.Error || out.Findings[0].Code != problem.MemoryNotBegun {
			t.Errorf("%s: %+v", key, out)
		}
	}
}

func TestATestThatCannotBeginIsAnError(t *testing.T) {
	b := newMemoryBench(t, nil)
	b.err = errors.New("no CPU may be used")

	if out := b.run(t.Context()); out.Verdict != core.Error || out.Findings[0].Code != problem.MemoryNotBegun ||
		!strings.Contains(out.Findings[0].Evidence, "no CPU") {
		t.Errorf("%+v", out)
	}
}

func TestAStageThatIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the CPU is at 101 °C"))

	b := newMemoryBench(t, goodMemory())
	b.report.Nodes[1].Ended, b.report.Nodes[1].Tally = false, memory.Tally{}

	for reason, want := range map[worker.Reason]core.Verdict{
		worker.Stopped: core.Error, worker.Hung: core.Error, worker.Killed: core.Error, worker.MemoryPoisoned: core.Fail, worker.ControlFlow: core.Fail,
	} {
		b.report.Nodes[1].Exit.Reason = reason

		out := b.run(ctx)
		if out.Verdict != want || out.Findings[0].Code != "stage/interrupted" || !strings.Contains(out.Findings[0].Evidence, "101 °C") {
			t.Errorf("%s: %+v", reason, out)
		}

		if len(find(out, problem.MemoryCoverage)) > 0 || !strings.HasPrefix(out.Coverage, "61.0 of 127.0 GiB") || len(out.SubSteps) == 0 {
			t.Errorf("%s: %+v", reason, out)
		}
	}

	b.report.Nodes[1].Exit.Reason = worker.Stopped

	b.report.Nodes[0].Faults = []memory.Fault{badWord()}

	if out := b.run(ctx); out.Verdict != core.Fail {
		t.Errorf("what was found until then is lost: %+v", out)
	}
}

// What a process found before it ended counts in the next one.
func TestTheNextProcessGoesOnAndForgetsNoFault(t *testing.T) {
	b := newMemoryBench(t, goodMemory())
	b.during = func(test memory.Test) {
		test.Saved(memory.State{0: {Passes: 1, Steps: 5, Spent: time.Minute}, 1: {Passes: 1, Steps: 4}})
		test.Found(badWord())
		test.Saved(memory.State{0: {Passes: 1, Steps: 6}}) // soon after: not yet written
	}
	b.run(t.Context())

	if len(b.states) != 2 {
		t.Fatalf("%d checkpoints, want 2: %s", len(b.states), b.states)
	}

	next := newMemoryBench(t, goodMemory())
	next.env.Resume = b.states[1]
	out := next.run(t.Context())

	if got := next.test.State; got[0] != (memory.Position{Passes: 1, Steps: 5, Spent: time.Minute}) || got[1].Steps != 4 {
		t.Errorf("goes on at %+v", got)
	}

	if out.Verdict != core.Fail || len(out.Findings) != 1 || out.Findings[0].Code != problem.MemoryMiscompare {
		t.Errorf("%+v", out)
	}

	next = newMemoryBench(t, goodMemory())
	next.env.Resume = []byte("{")

	if out := next.run(t.Context()); out.Verdict != core.Pass || len(next.test.State) != 0 {
		t.Errorf("a checkpoint that is broken: %+v", out)
	}
}

// However much is found, the checkpoint can be kept.
func TestTheCheckpointStaysSmall(t *testing.T) {
	b := newMemoryBench(t, goodMemory())
	b.during = func(test memory.Test) {
		state := memory.State{}
		for node := range 64 {
			state[node] = memory.Position{Passes: 1000, Steps: 40, Spent: 100 * time.Hour}
		}

		test.Saved(state)

		for range 1000 {
			f := badWord()
			f.Step = strings.Repeat("a long name ", 10)
			test.Found(f)
		}
	}
	b.run(t.Context())

	last := b.states[len(b.states)-1]
	if len(last) > stage.MaxCheckpoint || !json.Valid(last) {
		t.Errorf("%d bytes", len(last))
	}
}
