package burn

import (
	"time"
)

// Phase is a part of a burn.
type Phase string

// The phases, in order.
const (
	Rest   Phase = "rest"        // nothing works: what is idle like
	Ramp   Phase = "ramp"        // a quarter of the CPUs more at a time
	Steady Phase = "steady load" // everything at once
	Slow   Phase = "pulses 0.1 Hz"
	Medium Phase = "pulses 1 Hz"
	Fast   Phase = "pulses 10 Hz"
	Hop    Phase = "core hop"
	Cool   Phase = "cool-down"
)

// leg is a phase with its length.
type leg struct {
	phase Phase
	takes time.Duration
}

// Shares of the whole, in percent: stages.md §3.9.
const (
	rampShare  = 5
	pulseShare = 5 // each of three
	hopShare   = 10
	restShare  = 5
	coolShare  = 5
)

const (
	longestRest = time.Minute
	longestRamp = 2 * time.Minute
	longestCool = 5 * time.Minute
)

// course divides a time into phases. What the short ones leave goes to the steady
// load.
func course(whole time.Duration) []leg {
	share := func(percent int, most time.Duration) time.Duration {
		return min(whole*time.Duration(percent)/100, most)
	}

	legs := []leg{
		{Rest, share(restShare, longestRest)},
		{Ramp, share(rampShare, longestRamp)},
		{Steady, 0},
		{Slow, share(pulseShare, whole)},
		{Medium, share(pulseShare, whole)},
		{Fast, share(pulseShare, whole)},
		{Hop, share(hopShare, whole)},
		{Cool, share(coolShare, longestCool)},
	}

	left := whole
	for _, l := range legs {
		left -= l.takes
	}

	for i := range legs {
		if legs[i].phase == Steady {
			legs[i].takes = left
		}
	}

	return legs
}

// rhythm is how long the CPUs work and rest in turn in a phase of a length, which has
// two pulses at least; zero: they only work.
func (p Phase) rhythm(length time.Duration) (on, off time.Duration) {
	const halves = 4

	half := map[Phase]time.Duration{Slow: 5 * time.Second, Medium: 500 * time.Millisecond, Fast: 50 * time.Millisecond}[p]
	half = min(half, length/halves)

	return half, half
}
