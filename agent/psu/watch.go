package psu

import (
	"context"
	"math"
	"sync"
	"time"

	"vetting/agent/ipmi"
	"vetting/core"
)

const (
	// systemEvery is how often the kernel's own files are read, bmcEvery how often a BMC
	// is asked, which takes its time for each question. It is no multiple of the period
	// of the slow pulses, so that both of their halves are seen. Where all is shortened,
	// it is asked more often.
	systemEvery = time.Second
	bmcEvery    = 11 * time.Second
	bmcLeast    = 500 * time.Millisecond

	late    = 30 * time.Second // a look at the BMC that takes longer holds up no phase
	goodbye = 15 * time.Second // for a reading under way when all is over
)

// pace is how often the BMC is asked: a few times in the shortest phase.
func pace(whole time.Duration) time.Duration {
	const looks = 3

	shortest := whole
	for _, l := range course(whole) {
		shortest = min(shortest, l.takes)
	}

	return max(bmcLeast, min(bmcEvery, shortest/looks))
}

// watch looks at everything again and again. Safe for concurrent use.
type watch struct {
	survey *Survey
	send   func(...core.Sample)
	every  time.Duration
	begin  time.Time

	mu      sync.Mutex
	phase   Phase          // guarded by mu
	entered time.Time      // guarded by mu
	visited map[Phase]bool // guarded by mu: the BMC was looked at in it …
	heard   map[Phase]bool // guarded by mu: … and told the state of a supply
	tracks  []*track       // guarded by mu: of channels, in the survey's order
	senses  []*sense       // guarded by mu: of detectors, in the survey's order
	counts  map[int]energy // guarded by mu: of channels that count it, as they were last
	looks   int            // guarded by mu
	failed  int            // guarded by mu
	blind   bool           // guarded by mu
}

func newWatch(s *Survey, send func(...core.Sample), every time.Duration) *watch {
	w := &watch{survey: s, send: send, every: every, begin: time.Now(), phase: Rest, entered: time.Now(), visited: map[Phase]bool{}, heard: map[Phase]bool{}, counts: map[int]energy{}}

	for i := range s.Channels {
		w.tracks = append(w.tracks, newTrack(&s.Channels[i]))
	}

	for i := range s.Detectors {
		w.senses = append(w.senses, &sense{detector: &s.Detectors[i]})
	}

	return w
}

// start looks until stop is called or ctx ends. A reading that hangs is left behind.
func (w *watch) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)

	var loops sync.WaitGroup

	loops.Go(func() { every(ctx, systemEvery, func() { w.lookSystem() }) })

	if w.survey.BMC {
		loops.Go(func() { every(ctx, w.every, func() { w.lookBMC(ctx) }) })
	}

	return func() {
		cancel()

		over := make(chan struct{})

		go func() {
			loops.Wait()
			close(over)
		}()

		timer := time.NewTimer(goodbye)
		defer timer.Stop()

		select {
		case <-over:
		case <-timer.C:
		}
	}
}

// every does something at once and again and again.
func every(ctx context.Context, pause time.Duration, do func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()

	for {
		do()

		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// enter begins a phase.
func (w *watch) enter(p Phase) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.phase, w.entered = p, time.Now()
}

// looked reports whether the BMC was looked at in a phase, from the beginning of the look
// to its end, or does not answer in time.
func (w *watch) looked(p Phase) bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	return !w.survey.BMC || w.visited[p] || w.blind || time.Since(w.entered) >= late
}

// heardIn reports whether the BMC told anything in a phase.
func (w *watch) heardIn(p Phase) bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.heard[p]
}

// lookSystem reads what the kernel tells.
func (w *watch) lookSystem() {
	now := time.Now()

	for i := range w.survey.Channels {
		switch c := &w.survey.Channels[i]; {
		case c.wrap > 0:
			w.note(i, w.power(i, w.survey.number(c.file), now), now)
		case c.file != "":
			w.note(i, w.survey.number(c.file)*c.scale, now)
		}
	}

	w.lookAdapters()
}

// power is the mean power since the last reading of a counter of energy, of which the first
// says nothing; NaN: it is not known.
func (w *watch) power(i int, count float64, now time.Time) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()

	before, known := w.counts[i]
	if math.IsNaN(count) {
		return math.NaN()
	}

	w.counts[i] = energy{count, now}

	passed := now.Sub(before.at).Seconds()
	if !known || passed <= 0 {
		return math.NaN()
	}

	c, used := &w.survey.Channels[i], count-before.count
	if used < 0 {
		used += c.wrap
	}

	return used * c.scale / passed
}

// energy is a reading of a counter.
type energy struct {
	count float64
	at    time.Time
}

// lookAdapters notes where the power of an adapter went. A portable machine has more
// sockets than adapters: while one of them has power, the others say nothing.
func (w *watch) lookAdapters() {
	var powered []bool

	some := false

	for i := range w.survey.Detectors {
		on := w.survey.Detectors[i].online != "" && w.survey.text(w.survey.Detectors[i].online) == "1"
		powered, some = append(powered, on), some || on
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	for i, s := range w.senses {
		if s.detector.online == "" {
			continue
		}

		s.adapter(powered[i], some, w.phase, time.Since(w.begin))
	}
}

// lookBMC asks the BMC once for all that it tells.
func (w *watch) lookBMC(ctx context.Context) {
	w.mu.Lock()
	phase := w.phase
	w.mu.Unlock()

	asked, failed, told := 0, 0, false // told: of the state of a supply

	for i := range w.survey.Detectors {
		if w.survey.Detectors[i].sensor == nil || ctx.Err() != nil {
			continue
		}

		asked++

		if w.ask(i) {
			told = true
		} else {
			failed++
		}
	}

	for i := range w.survey.Channels {
		c := &w.survey.Channels[i]
		if c.sensor == nil && !c.dcmi || ctx.Err() != nil {
			continue
		}

		asked++

		value, err := w.measure(c)
		if err != nil {
			failed++
		}

		w.note(i, value, time.Now())
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	if ctx.Err() != nil {
		return
	}

	w.failed += failed
	w.blind = asked > 0 && failed == asked

	if !w.blind {
		w.looks++
	}

	if w.phase == phase {
		w.visited[phase] = true
		w.heard[phase] = w.heard[phase] || told
	}
}

func (w *watch) measure(c *Channel) (float64, error) {
	if c.dcmi {
		return ipmi.ReadPower(w.survey.bmc)
	}

	reading, err := c.sensor.Read(w.survey.bmc)
	if err != nil || !reading.Known {
		return math.NaN(), err
	}

	return reading.Value, nil
}

// ask reads a detector; a state that is new is asked for twice. false: the BMC did not
// answer, and what the detector told before is no more known to be so.
func (w *watch) ask(i int) (answered bool) {
	defer func() {
		if !answered {
			w.mu.Lock()
			w.senses[i].told = false
			w.mu.Unlock()
		}
	}()

	d := &w.survey.Detectors[i]

	reading, err := d.sensor.Read(w.survey.bmc)
	if err != nil { // a busy BMC may answer the next time
		reading, err = d.sensor.Read(w.survey.bmc)
	}

	if err != nil {
		return false
	}

	w.mu.Lock()
	news := w.senses[i].news(reading)
	w.mu.Unlock()

	if news {
		again, err := d.sensor.Read(w.survey.bmc)
		if err != nil {
			return false
		}

		reading.Known = reading.Known && again.Known
		reading.States &= again.States
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	w.senses[i].take(reading, w.phase, time.Since(w.begin))

	return true
}

// note takes in what a channel measured.
func (w *watch) note(i int, value float64, now time.Time) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}

	w.mu.Lock()
	w.tracks[i].take(w.phase, value)
	w.mu.Unlock()

	if key := w.survey.Channels[i].Key; key != "" {
		w.send(core.Sample{Time: now, Key: key, Value: value, Stage: core.PSU})
	}
}
