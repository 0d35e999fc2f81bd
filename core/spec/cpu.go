package spec

import (
	"fmt"
	"strconv"

	"vetting/core"
	"vetting/core/problem"
)

func (r *Result) cpus(want *CPUs, got *core.Inventory) {
	if want.Count.asked() {
		r.Compared++

		f := exactly("cpus.count", problem.SpecCPU, want.Count, len(got.CPUs), core.Critical)
		f.got, f.part = strconv.Itoa(len(got.CPUs)), core.Part{Kind: "cpu"}

		if low, _ := want.Count.bounds(); uint64(len(got.CPUs)) < low {
			f.code, f.part.Model = problem.SpecCPUMissing, want.Model.String()
		}

		if !f.ok {
			r.differ(f)
		}
	}

	for i := range got.CPUs {
		c := &got.CPUs[i]
		r.check("cpus."+c.Socket, cpuPart(c),
			text("model", problem.SpecCPU, want.Model, c.Model, core.Critical),
			exactly("cores", problem.SpecCPU, want.Cores, c.Cores, core.Critical),
			exactly("threads", problem.SpecCPU, want.Threads, c.Threads, core.Critical),
		)
	}
}

func cpuPart(c *core.CPU) core.Part {
	return core.Part{Kind: "cpu", Slot: c.Socket, Model: c.Model, Serial: c.Serial}
}

// cpuGeneral looks for logical CPUs that are off. A socket that runs exactly one
// thread on each core has its hyperthreads switched off, which is a choice.
func (r *Result) cpuGeneral(got *core.Inventory) {
	for i := range got.CPUs {
		c := &got.CPUs[i]
		if c.Online <= 0 || c.Threads <= 0 || c.Online >= c.Threads {
			continue
		}

		evidence := fmt.Sprintf("%s: %d of %d logical CPUs are on, on %d cores", c.Socket, c.Online, c.Threads, c.Cores)

		if c.Online == c.Cores {
			r.find(problem.SpecSMTOff, core.Info, cpuPart(c), evidence)
		} else {
			r.find(problem.SpecCPUOffline, core.Critical, cpuPart(c), evidence)
		}
	}
}
