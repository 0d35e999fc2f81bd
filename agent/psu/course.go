package psu

import (
	"time"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
)

// Phase is a part of the course.
type Phase string

// The phases, in order.
const (
	Rest   Phase = "idle"
	Load   Phase = "full load"
	Slow   Phase = "pulses 0.1 Hz"
	Medium Phase = "pulses 1 Hz"
	Fast   Phase = "pulses 10 Hz"
	After  Phase = "idle again"
)

// Pulse reports whether all CPUs start and stop in step.
func (p Phase) Pulse() bool { return p == Slow || p == Medium || p == Fast }

// leg is a phase with its length.
type leg struct {
	phase Phase
	takes time.Duration
}

// course divides a time into phases: stages.md §3.11. Idle takes a twelfth, a minute at
// most, before and after; load and pulses have half each of what is left.
func course(whole time.Duration) []leg {
	const idleShare, longestIdle, pulses = 12, time.Minute, 3

	idle := min(whole/idleShare, longestIdle)
	load := (whole - 2*idle) / 2
	pulse := (whole - 2*idle - load) / pulses

	return []leg{{Rest, idle}, {Load, load}, {Slow, pulse}, {Medium, pulse}, {Fast, pulse}, {After, whole - idle - load - pulses*pulse}}
}

// rhythm is how long the CPUs work and rest in turn in a phase of a length, which has two
// pulses at least; zero: they only work.
func (p Phase) rhythm(length time.Duration) (on, off time.Duration) {
	const halves = 4

	half := map[Phase]time.Duration{Slow: 5 * time.Second, Medium: 500 * time.Millisecond, Fast: 50 * time.Millisecond}[p]
	half = min(half, length/halves)

	return half, half
}

const (
	steadySlot = 2 * time.Second
	pulseSlot  = 10 * time.Second
)

// slot is what the CPUs do next in a phase with so much time left. Under steady load the
// hottest kernel comes every other time.
func (r *run) slot(p Phase, left time.Duration) drill.Slot {
	s := drill.Slot{Mode: drill.All, Kernel: drill.Hottest(), CPUs: r.numbers(), For: min(steadySlot, left)}

	if p.Pulse() {
		s.For = min(pulseSlot, left)
		s.On, s.Off = p.rhythm(r.length(p))

		return s
	}

	if r.slots++; r.slots%2 == 0 {
		kernels := cpu.Kernels()
		s.Kernel = kernels[r.slots/2%len(kernels)].Name
	}

	return s
}

func (r *run) numbers() (cpus []int) {
	for _, t := range r.Threads {
		cpus = append(cpus, t.Number)
	}

	return cpus
}
