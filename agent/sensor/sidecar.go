package sensor

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/stage"
	"vetting/core"
)

const (
	lookEvery = time.Second
	findEvery = 30 * time.Second // new devices
	slowEvery = 5 * time.Second  // clocks and load, which cost more to read or say less
	patience  = 10 * time.Second // beyond a limit before it counts

	wholeLoad = 90.0 // percent of all CPUs: the machine is at work
	highLoad  = 80.0
	lowLoad   = 20.0
)

// Config is what the sidecar needs. All fields but BMC are set.
type Config struct {
	Root    fs.FS
	Bus     disk.Bus // asked for the temperatures of SAS disks
	BMC     ipmi.BMC // asked for its temperatures and fans; nil: there is none
	Virtual bool     // a virtual machine: its CPUs' heat is its host's
	Log     *slog.Logger
}

// Sidecar reads the sensors. Safe for concurrent use.
type Sidecar struct {
	Config

	banks      banks      // used by look alone
	controller controller // likewise

	mu       sync.Mutex
	sensors  []Sensor           // guarded by mu
	meters   []Meter            // guarded by mu
	of       map[int]int        // guarded by mu: the socket of each CPU
	foundAt  time.Time          // guarded by mu
	before   map[int]cpu        // guarded by mu
	energy   map[string]float64 // guarded by mu: by the meter's key
	lookedAt time.Time          // guarded by mu
	latest   Reading            // guarded by mu
	cooling  cooling            // guarded by mu
	heard    map[string]heard   // guarded by mu: by the sensor's key
	watched  *watched           // guarded by mu; nil: no stage is under way
}

// New returns a sidecar; Run makes it look.
func New(c Config) *Sidecar {
	return &Sidecar{Config: c, banks: banks{}, energy: map[string]float64{}, heard: map[string]heard{}}
}

// Reading is everything that was measured at one moment.
type Reading struct {
	Time    time.Time
	Values  map[string]float64 // by sample key; NaN: it says nothing. Disks are asked every 30 s
	Load    float64            // percent of all CPUs
	Sockets map[int]float64    // percent of the CPUs of each socket
	Watts   map[string]float64 // by the meter's key

	fresh map[string]bool          // by sample key: it was read since the look before
	stale map[string]time.Duration // by sample key: for how long it has not answered, where that is too long
}

// Latest returns what was measured last, at most two seconds ago while Run runs. The
// maps must not be changed.
func (s *Sidecar) Latest() Reading {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.latest
}

// Run looks once a second until ctx ends.
func (s *Sidecar) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()

	for {
		s.look(time.Now())

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// look reads everything once. What hangs is left behind; see bank.
func (s *Sidecar) look(now time.Time) {
	sensors := slices.Clone(s.find(now))
	r := Reading{
		Time: now, Values: make(map[string]float64, len(sensors)), Watts: map[string]float64{},
		fresh: make(map[string]bool, len(sensors)), stale: make(map[string]time.Duration, len(sensors)),
	}

	sensors = s.banks.read(s.Config, now, sensors, &r)

	s.mu.Lock()
	defer s.mu.Unlock()

	r.Load, r.Sockets = s.busy()

	for i := range s.meters {
		m := &s.meters[i]
		energy := m.Energy(s.Root)

		if was, ok := s.energy[m.Key]; ok && !math.IsNaN(energy) {
			r.Watts[m.Key] = m.Watts(was, energy, now.Sub(s.lookedAt))
		}

		s.energy[m.Key] = energy
	}

	s.lookedAt, s.latest = now, r
	cool := s.cooling.take(&r, sensors)

	hear(s.heard, &r, sensors)

	if s.watched != nil {
		s.watched.take(&r, sensors, s.Root, s.of)

		if cool != "" && !s.Virtual {
			s.watched.slow = append(s.watched.slow, cool)
		}
	}
}

// find returns the sensors that there may be.
func (s *Sidecar) find(now time.Time) []Sensor {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.controller.meet(s.BMC, now, s.Log) || now.Sub(s.foundAt) >= findEvery {
		s.sensors, s.meters, s.of, s.foundAt = find(s.Root, s.controller.sensors()), Meters(s.Root), sockets(s.Root), now
		s.banks.group(s.sensors)
	}

	return s.sensors
}

// busy returns how busy the CPUs were since the look before, in percent.
func (s *Sidecar) busy() (all float64, bySocket map[int]float64) {
	type sum struct{ busy, all float64 }

	now, total, parts := cpus(s.Root), sum{}, map[int]sum{}

	for number, c := range now {
		was, ok := s.before[number]
		if !ok || c.all <= was.all {
			continue
		}

		part := parts[s.of[number]]
		part.busy, part.all = part.busy+c.busy-was.busy, part.all+c.all-was.all
		parts[s.of[number]] = part
		total.busy, total.all = total.busy+c.busy-was.busy, total.all+c.all-was.all
	}

	s.before, bySocket = now, map[int]float64{}
	for socket, part := range parts {
		bySocket[socket] = 100 * part.busy / part.all
	}

	if total.all > 0 {
		all = 100 * total.busy / total.all
	}

	return all, bySocket
}

// Watch is a stage.Watch: it sends what is measured while the stage runs, halts it
// before a part is damaged, and judges the shapes at its end.
func (s *Sidecar) Watch(_ context.Context, name core.StageName, env stage.Env, halt context.CancelCauseFunc) func() stage.Seen {
	times, _ := throttled(s.Root)
	w := &watched{
		stage: name, env: env, tracks: map[string]*track{}, began: time.Now(), virtual: s.Virtual, throttle: times, power: map[string]*track{},
		halt: func(t *track) {
			s.Log.Error("a part is too hot: the stage is halted", slog.String("part", t.sensor.Name), slog.Float64("celsius", t.good))
			halt(fmt.Errorf("%s is at %.0f °C, its limit is %.0f °C", t.sensor.Name, t.good, t.crit()))
		},
	}

	s.mu.Lock()
	w.remember(s.heard)
	s.watched = w
	s.mu.Unlock()

	return func() stage.Seen {
		s.mu.Lock()
		s.watched = nil
		s.mu.Unlock()

		after, known := throttled(s.Root)

		return w.seen(after, known)
	}
}

// hottest returns the highest temperature of each socket.
func (r *Reading) hottest(sensors []Sensor) map[int]float64 {
	hot := map[int]float64{}

	for i := range sensors {
		s := &sensors[i]
		v := r.Values[s.Key]

		if s.Kind != "cpu" || s.Quantity != Temperature || math.IsNaN(v) {
			continue
		}

		if was, ok := hot[s.Socket]; !ok || v > was {
			hot[s.Socket] = v
		}
	}

	return hot
}

// cooling watches whether the CPUs cool down after work, over the ends of stages.
type cooling struct {
	idle     map[int]float64 // lowest temperature of each socket without work
	hotSince time.Time       // at work
	hot      bool            // was at work for long enough to be warm
	since    time.Time       // without work
}

// take says, once, which sockets did not cool down.
func (c *cooling) take(r *Reading, sensors []Sensor) (fault string) {
	const (
		warm    = time.Minute
		allowed = 5 * time.Minute
		margin  = 10.0
	)

	now := r.hottest(sensors)

	switch {
	case r.Load >= highLoad:
		if c.hotSince.IsZero() {
			c.hotSince = r.Time
		}

		c.hot, c.since = c.hot || r.Time.Sub(c.hotSince) >= warm, time.Time{}
	case r.Load >= lowLoad:
		c.hotSince, c.since = time.Time{}, time.Time{}
	default:
		c.hotSince = time.Time{}

		if c.since.IsZero() {
			c.since = r.Time
		}

		if !c.hot {
			c.note(now)

			return ""
		}

		var left []string

		for _, socket := range slices.Sorted(maps.Keys(now)) {
			if idle, ok := c.idle[socket]; ok && now[socket] > idle+margin {
				left = append(left, fmt.Sprintf("socket %d is at %.0f °C, %.0f °C before the work", socket, now[socket], idle))
			}
		}

		switch {
		case left == nil:
			c.hot = false
		case r.Time.Sub(c.since) >= allowed:
			c.hot = false

			return strings.Join(left, "; ")
		}
	}

	return ""
}

// note remembers how cool the sockets are without work.
func (c *cooling) note(now map[int]float64) {
	if c.idle == nil {
		c.idle = map[int]float64{}
	}

	for socket, v := range now {
		if was, ok := c.idle[socket]; !ok || v < was {
			c.idle[socket] = v
		}
	}
}
