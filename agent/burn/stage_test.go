package burn_test

import (
	"context"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/agent/burn"
	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/profile"
)

// planter puts a fault into the worker of one CPU.
type planter struct {
	drill.Starter

	cpu   int
	fault drill.Fault
}

func (p planter) Start(ctx context.Context, spec worker.Spec, hear func(worker.Message)) *worker.Process {
	if job, ok := spec.Config.(drill.Job); ok && job.CPU == p.cpu {
		job.Fault = &p.fault
		spec.Config = job
	}

	return p.Starter.Start(ctx, spec, hear)
}

// A result that flips once, when a CPU has done a thousand million operations beside
// all other work, fails the stage, and the finding names that CPU and no other.
func TestTheStageNamesTheCPUOfOneFlip(t *testing.T) {
	const operations = 1e9

	threads := options(t).Threads
	if len(threads) < 2 {
		t.Skip("needs two CPUs")
	}

	fma, _ := cpu.Find(drill.Hottest())
	guilty := threads[1].Number
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	env := stage.Env{
		Log: log, Scale: 0.001, Progress: func(string, float64, time.Duration) {}, Checkpoint: func([]byte) bool { return true }, Sensor: func(...core.Sample) {},
		Config: map[string]string{profile.BurnDuration: "30m", profile.MemoryLimit: "32"},
	}
	workers := func(*slog.Logger) drill.Starter {
		return planter{worker.Self(log), guilty, drill.Fault{Kernel: fma.Name, Block: int(math.Ceil(operations / fma.Flops)), Lane: 3, Bit: 60}}
	}

	// The load holds until the memory has been gone through, and that waits for the flip.
	burner := func(ctx context.Context, o burn.Options) *burn.Outcome {
		found, noted := make(chan struct{}), o.Noted

		var once sync.Once

		o.Noted = func(out *burn.Outcome) {
			if len(out.CPU.Suspects) > 0 {
				once.Do(func() { close(found) })
			}

			noted(out)
		}
		o.Memory = func(ctx context.Context, test memory.Test) (*memory.Report, error) {
			select {
			case <-found:
			case <-time.After(2 * time.Minute):
				t.Error("the flip was not found")
			}

			return memory.Run(ctx, test)
		}
		o.Targets, o.Threads = nil, threads

		return burn.Run(ctx, o)
	}

	r := stage.Burn(probe.Machine{Root: os.DirFS("/")}, workers, burner)(t.Context(), env)

	wrong := slices.DeleteFunc(slices.Clone(r.Findings), func(f core.Finding) bool { return f.Code != "cpustress/miscompare" })
	if r.Verdict != core.Fail || len(wrong) != 1 {
		t.Fatalf("%s %+v", r.Verdict, r.Findings)
	}

	for _, words := range []string{threads[1].String() + ": 1 of ", "lane 3 xor 1000000000000000"} {
		if !strings.Contains(wrong[0].Evidence, words) || wrong[0].Stage != core.Burn {
			t.Errorf("no %q in %+v", words, wrong[0])
		}
	}
}
