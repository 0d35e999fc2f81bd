package drill_test

import (
	"context"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
	"vetting/agent/worker"
)

// TestMain lets the test's own program be the workers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == worker.Word {
		kinds := map[string]worker.Func{drill.Kind: drill.Work, drill.BetweenKind: drill.WorkBetween}
		os.Exit(worker.Main(context.Background(), kinds, os.Args[2:]))
	}

	os.Exit(m.Run())
}

// pair is two CPUs of this machine, or skips.
func pair(t *testing.T) []probe.Thread {
	t.Helper()

	var online []probe.Thread

	for _, thread := range (probe.Machine{Root: os.DirFS("/")}).Threads() {
		if thread.Online {
			online = append(online, thread)
		}
	}

	if len(online) < 2 {
		t.Skip("needs two CPUs")
	}

	return online[:2]
}

// brief is a drill of two quick kernels.
func brief(t *testing.T) drill.Options {
	t.Helper()

	return drill.Options{
		Workers: worker.Self(slog.New(slog.DiscardHandler)), Threads: pair(t), Kernels: []string{"fma", "division", "multiply-wide"}, Seed: 7,
	}
}

func TestASoundMachineDoesEveryKernelOnEveryCPU(t *testing.T) {
	o, kernels := brief(t), cpu.Kernels()
	if slowly {
		kernels = slices.DeleteFunc(kernels, func(k cpu.Kernel) bool { return !slices.Contains(o.Kernels, k.Name) })
	} else {
		o.Kernels = nil
	}

	var (
		told []string
		done float64
	)

	o.Progress = func(part float64, left time.Duration, what string) {
		if part < done || left < 0 {
			t.Errorf("progress goes from %v to %v, %v left", done, part, left)
		}

		done = part
		told = append(told, what)
	}

	out := drill.Run(t.Context(), o)

	if len(out.Suspects)+len(out.Disputed)+len(out.Exchanges)+len(out.Faults) > 0 {
		t.Errorf("suspects %+v, disputed %v, exchanges %+v, faults %v", out.Suspects, out.Disputed, out.Exchanges, out.Faults)
	}

	for number, exit := range out.Exits {
		if exit.Reason != worker.Done {
			t.Errorf("worker of CPU %d: %+v", number, exit)
		}
	}

	for number, tally := range out.Cores {
		for _, k := range kernels {
			if tally.Kernels[k.Name] == 0 {
				t.Errorf("CPU %d did no block of %s", number, k.Name)
			}
		}

		if len(tally.Rates) == 0 || tally.Rates[0] <= 0 || tally.MHz[0] <= 0 || len(tally.PlainMHz) == 0 {
			t.Errorf("CPU %d has no rates: %+v", number, tally)
		}
	}

	if out.Rounds != 1 || out.Slots != len(told) || out.Turns == 0 || len(out.Exits) != 3 {
		t.Errorf("%d rounds, %d slots of which %d were told, %d turns, %d exits", out.Rounds, out.Slots, len(told), out.Turns, len(out.Exits))
	}
}

func TestOneWrongResultIsFoundAndItsCPUNamed(t *testing.T) {
	o := brief(t)
	guilty := o.Threads[1].Number

	for name, c := range map[string]struct {
		fault drill.Fault
		again int // wrong answers among three, when tried again
	}{
		"once, at the beginning": {drill.Fault{Kernel: "fma", Block: 2, Lane: 5, Bit: 41}, 0},
		"once, later":            {drill.Fault{Kernel: "fma", Block: 12, Lane: 5, Bit: 41}, 0},
		"always, in one kernel":  {drill.Fault{Kernel: "fma", Block: 1, Lane: 5, Bit: 41, Always: true}, 3},
	} {
		if slowly && !c.fault.Always {
			continue // the cases differ in what is computed, not in who talks to whom
		}

		t.Run(name, func(t *testing.T) {
			fault := c.fault
			plant(&o, map[int]*drill.Fault{guilty: &fault})

			out := drill.Run(t.Context(), o)
			if len(out.Suspects) != 1 || len(out.Disputed) > 0 {
				t.Fatalf("suspects %+v, disputed %v", out.Suspects, out.Disputed)
			}

			s := out.Suspects[0]
			if s.Thread.Number != guilty || s.Kernel != "fma" || s.Mistakes == 0 || s.Again != c.again || s.Other != c.again {
				t.Errorf("%+v", s)
			}

			if len(s.First.Lanes) != 1 || s.First.Lanes[0] != (drill.Lane{Index: 5, Xor: 1 << 41}) {
				t.Errorf("lanes %+v of %d", s.First.Lanes, s.First.Differ)
			}

			if len(s.Others) != 1 || s.Others[0].CPU != o.Threads[0].Number || s.Others[0].Wrong != 0 || s.Others[0].Of != 3 {
				t.Errorf("witnesses %+v", s.Others)
			}

			for _, word := range []string{s.Thread.String(), "kernel fma", "lane 5 xor 0000020000000000", "seed 0x"} {
				if !strings.Contains(s.Evidence(), word) {
					t.Errorf("the evidence does not say %q: %s", word, s.Evidence())
				}
			}
		})
	}
}

// One flip among a thousand million operations, of a worker that has been at it for a
// while, is found, and one wrong block is told of: that of the right CPU.
func TestOneFlipInABillionOperationsIsFound(t *testing.T) {
	const operations = 1e9

	fma, _ := cpu.Find("fma")
	late := int(math.Ceil(operations / fma.Flops))

	o := brief(t)
	guilty, other := o.Threads[1].Number, o.Threads[0].Number
	plant(&o, map[int]*drill.Fault{guilty: {Block: late, Lane: 90, Bit: 2}})

	found := false
	end := time.Now().Add(time.Minute)
	o.Next = func() (drill.Slot, bool) {
		return drill.Slot{Mode: drill.All, Kernel: "fma", CPUs: []int{other, guilty}, For: 100 * time.Millisecond}, !found && time.Now().Before(end)
	}
	o.Noted = func(out *drill.Outcome) { found = len(out.Suspects) > 0 }

	out := drill.Run(t.Context(), o)
	if len(out.Suspects) != 1 || len(out.Disputed) > 0 {
		t.Fatalf("suspects %+v, disputed %v, exits %+v", out.Suspects, out.Disputed, out.Exits)
	}

	s := out.Suspects[0]
	if s.Thread.Number != guilty || s.Mistakes != 1 || s.Blocks < late || s.Again != 0 || s.Other != 0 {
		t.Errorf("%s", s.Evidence())
	}

	if len(s.First.Lanes) != 1 || s.First.Lanes[0] != (drill.Lane{Index: 90, Xor: 4}) {
		t.Errorf("lanes %+v", s.First.Lanes)
	}
}

// A slot's very first fresh block decides what the later ones are compared with: a
// flip there is found by the other CPU, and plain Go tells which of the two is right.
func TestAWrongFirstResultIsFoundByTheOthers(t *testing.T) {
	o := brief(t)
	guilty := o.Threads[0].Number
	o.Kernels = []string{"division"}
	plant(&o, map[int]*drill.Fault{guilty: {Kernel: "division", Block: 2, Lane: 1, Bit: 3, Always: true}})

	out := drill.Run(t.Context(), o)
	if len(out.Suspects) != 1 || out.Suspects[0].Thread.Number != guilty {
		t.Errorf("%+v", out.Suspects)
	}
}

func TestAnAnswerThatAllContradictIsNobodysFault(t *testing.T) {
	o := brief(t)
	faults := map[int]*drill.Fault{}

	for _, thread := range o.Threads {
		faults[thread.Number] = &drill.Fault{Kernel: "division", Block: 0, Lane: 1, Bit: 3, Always: true}
	}

	plant(&o, faults)

	out := drill.Run(t.Context(), o)
	if len(out.Suspects) > 0 || len(out.Disputed) != 1 || out.Disputed[0] != "division" {
		t.Errorf("suspects %+v, disputed %v, exits %+v", out.Suspects, out.Disputed, out.Exits)
	}
}

// The kernel moves a worker whose CPU is switched off, without a word: it is noticed,
// and what it does elsewhere is said of nobody.
func TestAWorkerWhoseCPUIsSwitchedOff(t *testing.T) {
	for name, always := range map[string]bool{"for good": true, "for a moment": false} {
		t.Run(name, func(t *testing.T) {
			o := brief(t)
			off, other := o.Threads[1].Number, o.Threads[0].Number
			plant(&o, map[int]*drill.Fault{off: {Block: 12, Leave: true, Always: always}})

			out := drill.Run(t.Context(), o)
			tally := out.Cores[off]

			if tally.Left != 1 || tally.Away.On == off || tally.Away.Back == always || tally.Blocks == 0 {
				t.Errorf("%+v", tally)
			}

			if tally.Left > 0 && always && tally.Blocks > 12 {
				t.Errorf("it is said to have done %d blocks, and was moved in its 12th", tally.Blocks)
			}

			if out.Cores[other].Left != 0 || out.Cores[other].Kernels["division"] == 0 {
				t.Errorf("the other CPU: %+v", out.Cores[other])
			}

			if len(out.Suspects)+len(out.Faults)+len(out.Disputed) > 0 || out.Exits[off].Reason != worker.Done || out.Exits[other].Reason != worker.Done {
				t.Errorf("suspects %+v, faults %v, disputed %v, exits %+v", out.Suspects, out.Faults, out.Disputed, out.Exits)
			}
		})
	}
}

func TestAHungWorkerIsNamedAndTheOthersGoOn(t *testing.T) {
	o := brief(t)
	hung := o.Threads[1].Number
	plant(&o, map[int]*drill.Fault{hung: {Block: 8, Hang: time.Hour}})

	out := drill.Run(t.Context(), o)
	if out.Exits[hung].Reason != worker.Hung || out.Exits[o.Threads[0].Number].Reason != worker.Done {
		t.Errorf("%+v", out.Exits)
	}

	if out.Cores[o.Threads[0].Number].Kernels["division"] == 0 {
		t.Error("the other CPU did not go on")
	}
}

// spy remembers the processes, and plants faults into them by CPU.
type spy struct {
	drill.Starter

	faults map[int]*drill.Fault

	mu    sync.Mutex
	procs map[string]*worker.Process // guarded by mu
}

func (s *spy) Start(ctx context.Context, spec worker.Spec, hear func(worker.Message)) *worker.Process {
	if job, ok := spec.Config.(drill.Job); ok {
		job.Fault = s.faults[job.CPU]
		spec.Config = job

		if job.Fault != nil && job.Fault.Hang > 0 {
			spec.Silence = time.Second // the others may have to wait for their CPU for longer
		}
	}

	p := s.Starter.Start(ctx, spec, hear)

	s.mu.Lock()
	defer s.mu.Unlock()

	s.procs[spec.Name] = p

	return p
}

// plant puts faults into a drill's workers.
func plant(o *drill.Options, faults map[int]*drill.Fault) *spy {
	s := &spy{Starter: worker.Self(slog.New(slog.DiscardHandler)), faults: faults, procs: map[string]*worker.Process{}}
	o.Workers = s

	return s
}

func TestAKilledWorkerIsNamedAndTheOthersGoOn(t *testing.T) {
	o := brief(t)
	s := plant(&o, nil)

	var once sync.Once

	o.Around = func(drill.Slot) func() {
		once.Do(func() {
			if err := syscall.Kill(s.procs["cpu1"].PID(), syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		})

		return func() {}
	}

	out := drill.Run(t.Context(), o)
	if out.Exits[1].Reason != worker.Killed || out.Exits[0].Reason != worker.Done {
		t.Errorf("%+v", out.Exits)
	}

	if len(out.Suspects) > 0 || out.Cores[0].Kernels["fma"] == 0 {
		t.Errorf("%+v", out)
	}
}

func TestADrillEndsWhenItIsToldTo(t *testing.T) {
	o := brief(t)
	o.For = time.Hour

	ctx, cancel := context.WithCancel(t.Context())

	o.Around = func(drill.Slot) func() {
		cancel()

		return func() {}
	}

	out := drill.Run(ctx, o)
	if out.Slots != 1 || out.Rounds != 0 {
		t.Errorf("%d slots, %d rounds", out.Slots, out.Rounds)
	}
}
