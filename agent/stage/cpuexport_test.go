package stage

import (
	"context"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
	"vetting/core"
)

// CPUView is what the rules of CPUStress look at.
type CPUView struct {
	Threads []probe.Thread
	Gone    []int
	Virtual bool
	NoSMT   bool
	Base    map[int]float64
	Pace    map[int]float64
	Out     drill.Outcome
	Watts   float64 // drawn by package 0; 0: not known
	Limit   float64
	Scans   []CPUScan
	Before  []core.Finding
	Spent   time.Duration
}

// CPUScan is the result of a field scan.
type CPUScan struct {
	Thread          probe.Thread
	Result, Details string
}

// Interrupted judges a stage that was stopped.
func (c *CPUView) Interrupted(cause error) core.Result { return c.view().interrupted(cause) }

// Result judges.
func (c *CPUView) Result() core.Result { return c.view().result() }

func (c *CPUView) view() *cpuView {
	v := &cpuView{threads: c.Threads, gone: c.Gone, virtual: c.Virtual, noSMT: c.NoSMT, promise: promise{c.Base, c.Pace}, out: c.Out, before: c.Before, spent: c.Spent}

	if c.Limit > 0 {
		v.power = []powerUse{{"package0", c.Watts, c.Limit}}
	}

	for _, s := range c.Scans {
		v.scans = append(v.scans, scan{s.Thread, "intel_ifs_0", s.Result, s.Details})
	}

	return v
}

// CPURules lists the ids of the rows.
func CPURules() (ids []string) {
	for _, r := range cpuRules() {
		ids = append(ids, r.id)
	}

	return ids
}

// FieldScan does the scans.
func FieldScan(ctx context.Context, m probe.Machine, threads []probe.Thread, write Writer, env Env) (scans []CPUScan) {
	for _, s := range fieldScan(ctx, m, threads, write, env) {
		scans = append(scans, CPUScan{s.thread, s.result, s.details})
	}

	return scans
}

// CPUCheckpoint is what is kept of a drill under way.
func CPUCheckpoint(c *CPUView) (state []byte) {
	v := &cpuView{threads: c.Threads, before: c.Before, spent: c.Spent}
	v.checkpoint(&c.Out, Env{Checkpoint: func(s []byte) bool {
		state = s

		return true
	}})

	return state
}

// CPUResume is what a process that comes after makes of it.
func CPUResume(m probe.Machine, env Env) (spent time.Duration, before []core.Finding) {
	v := newCPUView(m, env)

	return v.spent, v.before
}

// CPUPromise is how fast a machine's CPUs are made to be.
func CPUPromise(m probe.Machine) (base, kinds map[int]float64) {
	p := promised(m, m.Threads())

	return p.base, p.kinds()
}
