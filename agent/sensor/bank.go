package sensor

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"time"

	"vetting/agent/disk"
)

const (
	driveEvery = 30 * time.Second // a disk is asked, which costs it a command
	hotEvery   = 5 * time.Second  // the same while it is at a limit

	answerTime = 500 * time.Millisecond // that a look waits for answers; later ones are taken in by a later look
	staleAfter = 10 * time.Second       // without an answer the last one counts no more
	driveStale = time.Minute            // the same of disks and BMCs: a disk at work, or one that spins up, takes its time

	limitsEvery = 10 * time.Minute
)

// bank is a chip with its sensors. Reading a sensor may ask a device (drivetemp and
// nvme send a command to the disk, others use a slow bus), and whoever asks a device
// that hangs cannot be called back. So each bank is read by a goroutine of its own,
// which holds up no other, and never by two at once: one that hangs costs one
// goroutine, however long it does.
type bank struct {
	sensors  []Sensor // none: the kernel lists the chip no more
	asked    time.Time
	answer   chan answer // of the reading under way, capacity 1; nil: none is
	last     answer
	limits   map[string]limits // by the sensor's key
	limitsAt time.Time
	absent   bool // it said once that it has no sensor
}

// limits are what a sensor tells of itself; NaN: nothing.
type limits struct {
	max, crit float64 // of a thermometer, in °C
	min       float64 // of a fan, in revolutions per minute
	driven    bool    // a fan whose output of the board is on
}

// answer is what came of one reading.
type answer struct {
	values map[string]float64 // by the sensor's key
	limits map[string]limits  // nil: not asked for
	absent bool               // there is no such sensor
}

// every is how long after a reading the next one begins.
func (b *bank) every() time.Duration {
	switch {
	case b.sensors[0].gauge != nil:
		return bmcEvery
	case b.sensors[0].Kind != "disk":
		return 0 // each look
	case slices.ContainsFunc(b.sensors, b.hot):
		return hotEvery
	default:
		return driveEvery
	}
}

func (b *bank) hot(s Sensor) bool {
	l, v := b.limits[s.Key], b.last.values[s.Key]

	return s.Quantity == Temperature && (v >= s.warm(l.max) || v >= s.hot(l.crit))
}

// begin starts a reading, unless one is under way or it is too early for another.
func (b *bank) begin(from Config, now time.Time) {
	if b.absent || b.answer != nil || len(b.sensors) == 0 || !b.asked.IsZero() && now.Sub(b.asked) < b.every() {
		return
	}

	sensors, withLimits, out := b.sensors, now.Sub(b.limitsAt) >= limitsEvery, make(chan answer, 1)
	b.asked, b.answer = now, out

	go func() {
		switch {
		case sensors[0].sas != "":
			out <- readSAS(from.Bus, &sensors[0])
		case sensors[0].gauge != nil:
			out <- readBMC(from.BMC, sensors)
		default:
			out <- readBank(from.Root, sensors, withLimits)
		}
	}()
}

func readSAS(bus disk.Bus, s *Sensor) answer {
	v, most, err := askSAS(bus, s.sas)

	return answer{
		values: map[string]float64{s.Key: v}, limits: map[string]limits{s.Key: {max: most, crit: math.NaN(), min: math.NaN()}},
		absent: errors.Is(err, errNoSensor),
	}
}

func readBank(root fs.FS, sensors []Sensor, withLimits bool) answer {
	a := answer{values: make(map[string]float64, len(sensors))}

	for i := range sensors {
		a.values[sensors[i].Key] = sensors[i].Read(root)
	}

	if !withLimits {
		return a
	}

	a.limits = make(map[string]limits, len(sensors))
	for i := range sensors {
		a.limits[sensors[i].Key] = sensors[i].limits(root)
	}

	return a
}

// hear takes in what the reading under way has brought; false: nothing yet. It waits
// until late is closed.
func (b *bank) hear(now time.Time, late <-chan struct{}) bool {
	if b.answer == nil {
		return false
	}

	select {
	case b.last = <-b.answer:
	default:
		select {
		case b.last = <-b.answer:
		case <-late:
			return false
		}
	}

	b.answer, b.absent = nil, b.absent || b.last.absent

	if b.last.limits != nil {
		b.limits, b.limitsAt = b.last.limits, now
	}

	return true
}

// stale is for how long the bank has not answered, once that is too long.
func (b *bank) stale(now time.Time) time.Duration {
	limit := staleAfter
	if len(b.sensors) > 0 && b.every() > 0 {
		limit = driveStale
	}

	if waits := now.Sub(b.asked); b.answer != nil && waits >= limit {
		return waits
	}

	return 0
}

// banks are all chips, by their names.
type banks map[string]*bank

// group takes a new list of sensors in. A chip that is gone and has yet to answer is
// kept: it may come back under its old name, and is still asked.
func (all banks) group(sensors []Sensor) {
	for name, b := range all {
		if b.sensors = nil; b.answer == nil && !slices.ContainsFunc(sensors, func(s Sensor) bool { return s.bank == name }) {
			delete(all, name)
		}
	}

	for i := range sensors {
		b := all[sensors[i].bank]
		if b == nil {
			b = &bank{}
			all[sensors[i].bank] = b
		}

		b.sensors = append(b.sensors, sensors[i])
	}
}

// read reads all chips into r. It returns the sensors that there are, with what they tell
// of their limits.
func (all banks) read(from Config, now time.Time, sensors []Sensor, r *Reading) []Sensor {
	for _, b := range all {
		b.begin(from, now)
	}

	late := make(chan struct{})

	timer := time.AfterFunc(answerTime, func() { close(late) })
	defer timer.Stop()

	fresh := map[*bank]bool{}
	for _, b := range all {
		// A bank that was late before is not waited for again.
		if b.asked.Equal(now) {
			fresh[b] = b.hear(now, late)
		}
	}

	past := make(chan struct{})
	close(past)

	for _, b := range all {
		fresh[b] = fresh[b] || b.hear(now, past)
	}

	sensors = slices.DeleteFunc(sensors, func(s Sensor) bool { return all[s.bank].absent })

	for i := range sensors {
		s := &sensors[i]
		b := all[s.bank]

		v, said := b.last.values[s.Key]
		if !said || b.stale(now) > 0 {
			v = math.NaN()
		}

		if l, told := b.limits[s.Key]; told {
			s.Max, s.Crit, s.min, s.driven = l.max, l.crit, l.min, l.driven
		}

		r.Values[s.Key] = v
		r.fresh[s.Key] = fresh[b] && said
		r.stale[s.Key] = b.stale(now)
	}

	return sensors
}
