package drill

import (
	"context"
	"time"

	"vetting/agent/probe"
)

// Trade does one exchange in this process.
func Trade(ctx context.Context, test string, cpus []int, length time.Duration, fault *Fault) (turns uint64, mistakes []Mistake, failed string) {
	r := newRing(&trade{Test: test, CPUs: cpus, Seed: 1, For: length}, fault).run(ctx)

	return r.Turns, r.Mistakes, r.Fault
}

// Exchanges lists what can be exchanged.
func Exchanges() []string { return exchanges() }

// Deal deals so many slots.
func Deal(threads []probe.Thread, duration time.Duration, seed uint64, n int) (slots []Slot) {
	p := newPlan(&Options{Threads: threads, For: duration, Seed: seed})
	for range n {
		slots = append(slots, p.next())
	}

	return slots
}

// RoundSize is how many slots a round has.
func RoundSize(threads []probe.Thread) int {
	return len(newPlan(&Options{Threads: threads, For: time.Hour}).round())
}

// BetweenCanary is the canary of the worker between CPUs.
func BetweenCanary() (caught bool, what string) { return betweenCanary() }
