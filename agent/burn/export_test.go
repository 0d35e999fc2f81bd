package burn

import (
	"context"
	"time"

	"vetting/agent/probe"
)

// Planned is a phase with its length.
type Planned struct {
	Phase Phase
	Takes time.Duration
}

// Course divides a time into phases.
func Course(whole time.Duration) (planned []Planned) {
	for _, l := range course(whole) {
		planned = append(planned, Planned{l.phase, l.takes})
	}

	return planned
}

// Rhythm is how long the CPUs work in each pulse of a phase of a length.
func Rhythm(p Phase, length time.Duration) time.Duration {
	on, _ := p.rhythm(length)

	return on
}

// Slope tells by how much a temperature that is read once a second rises in ten
// minutes.
func Slope(values []float64) float64 {
	var points []point
	for i, v := range values {
		points = append(points, point{time.Duration(i) * time.Second, v})
	}

	return slope(points) * slopeTime.Seconds()
}

// Drift compares two clocks of which one was so much ahead in the end.
func Drift(passed, ahead time.Duration) (seconds float64, known bool) {
	var t Traffic

	t.Compare(0, 0)
	t.Compare(passed, ahead)

	return t.Drift()
}

// TrafficFor exchanges frames for a while.
func TrafficFor(ctx context.Context, o Options, d time.Duration) Traffic {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()

	b := &burn{Options: &o, begin: time.Now(), out: &Outcome{}}
	b.traffic(ctx)

	return b.out.Net
}

// Fair is how much time must pass for each exchange that took so much CPU time, on
// a machine of so many CPUs.
func Fair(used time.Duration, cpus int) time.Duration {
	b := &burn{Options: &Options{Threads: make([]probe.Thread, cpus)}}

	return b.fair(used)
}

// Used is how much CPU time this process has had.
func Used() time.Duration { return cpuTime() }
