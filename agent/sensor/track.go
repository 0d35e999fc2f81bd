package sensor

import (
	"math"
	"time"
)

// How often a value is sent. What changed is sent at once, so that limits are
// judged in time; what did not is sent now and then, so that it is seen to live.
const (
	quietEvery = 10 * time.Second
	coreEvery  = 30 * time.Second // of sensors of one core: there may be a hundred
	blankEvery = time.Minute      // that a sensor says nothing
)

// track is what is remembered of a sensor while a stage runs.
type track struct {
	sensor Sensor

	value     float64 // the last; NaN: it said nothing
	good      float64 // the last that was a number
	goodAt    time.Time
	peak      float64
	changedAt time.Time // when good became what it is
	loadMin   float64   // of the machine since then
	loadMax   float64
	turned    bool // a fan that turned in this stage

	began   time.Time     // of the stage
	heardAt time.Time     // when it gave a number before the stage; zero: never
	listed  bool          // by the kernel
	misses  int           // readings without a number
	silence time.Duration // the longest time without

	stale    time.Duration // the longest that it did not answer, where that was too long
	overCrit time.Time     // since when; zero: it is not
	overMax  time.Time
	stopped  time.Time // of a fan
	stalled  time.Time // the same while the whole machine was at work

	still time.Time // of a fan that has not turned yet, likewise

	wasMax, wasStopped, wasStalled, wasStill bool // for long enough

	loadSum float64 // of values while the whole machine was at work
	loadN   int

	sent   float64
	sentAt time.Time
}

func newTrack(s Sensor) *track {
	return &track{sensor: s, value: math.NaN(), good: math.NaN(), peak: math.NaN(), sent: math.NaN(), loadMin: 100}
}

// step is how much a value must change to be sent at once.
func (t *track) step() float64 {
	switch {
	case t.sensor.Core:
		return 3
	case t.sensor.Quantity == Temperature:
		return 1
	default:
		return math.Max(math.Abs(t.sent)*0.05, 1e-3)
	}
}

// due reports whether the last value is to be sent now, and notes that it is.
func (t *track) due(now time.Time) bool {
	every := quietEvery

	switch {
	case math.IsNaN(t.value):
		every = blankEvery
	case t.sensor.Core:
		every = coreEvery
	}

	changed := math.IsNaN(t.value) != math.IsNaN(t.sent) || math.Abs(t.value-t.sent) >= t.step()
	if !t.sentAt.IsZero() && !changed && now.Sub(t.sentAt) < every {
		return false
	}

	t.sent, t.sentAt = t.value, now

	return true
}

// take takes a value in. load is how busy the machine is, in percent.
func (t *track) take(now time.Time, v, load float64) {
	t.value = v
	if math.IsNaN(v) {
		t.misses, t.silence = t.misses+1, max(t.silence, now.Sub(t.saidAt()))

		return
	}

	if v != t.good {
		t.changedAt, t.loadMin, t.loadMax = now, load, load
	}

	t.good, t.goodAt = v, now
	t.loadMin, t.loadMax = min(t.loadMin, load), max(t.loadMax, load)

	if math.IsNaN(t.peak) || v > t.peak {
		t.peak = v
	}

	if load >= wholeLoad {
		t.loadSum, t.loadN = t.loadSum+v, t.loadN+1
	}

	t.limits(now, v, load)
}

// slowest is how long a fan that stands still at rest may take to turn at full load:
// many begin only when what they cool is warm.
const slowest = 2 * time.Minute

// limits notes since when the sensor is beyond its limits.
func (t *track) limits(now time.Time, v, load float64) {
	markFor := func(since *time.Time, beyond bool, enough time.Duration) bool {
		if !beyond {
			*since = time.Time{}

			return false
		}

		if since.IsZero() {
			*since = now
		}

		return now.Sub(*since) >= enough
	}
	mark := func(since *time.Time, beyond bool) bool { return markFor(since, beyond, patience) }

	switch t.sensor.Quantity {
	case Temperature:
		mark(&t.overCrit, v >= t.crit())
		t.wasMax = mark(&t.overMax, v >= t.max()) || t.wasMax
	case Fan:
		t.turned = t.turned || v > 0
		t.wasStopped = mark(&t.stopped, v == 0 && t.turned) || t.wasStopped
		t.wasStill = markFor(&t.still, v == 0 && !t.turned && load >= wholeLoad, slowest) || t.wasStill
		t.wasStalled = mark(&t.stalled, v == 0 && t.turned && load >= wholeLoad) || t.wasStalled
	default:
	}
}

// max is the temperature that the part should not reach.
func (t *track) max() float64 { return t.sensor.warm(t.sensor.Max) }

// crit is the temperature at which the part must not work on.
func (t *track) crit() float64 { return t.sensor.hot(t.sensor.Crit) }

// burning reports whether the sensor is over its critical limit for too long: what it
// said last was said after the patience.
func (t *track) burning() bool {
	return !t.overCrit.IsZero() && t.goodAt.Sub(t.overCrit) >= patience
}

// mean of the values while the whole machine was at work; false: too few.
func (t *track) mean() (float64, bool) {
	const enough = 60

	return t.loadSum / float64(max(t.loadN, 1)), t.loadN >= enough
}
