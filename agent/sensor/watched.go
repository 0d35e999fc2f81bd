package sensor

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/problem"
)

// watched is what the sidecar sees of one stage. The sidecar's mutex guards it
// until the stage is over.
type watched struct {
	stage    core.StageName
	env      stage.Env
	halt     func(*track)
	virtual  bool
	began    time.Time
	at       time.Time // of the last look
	tracks   map[string]*track
	heard    map[string]heard // before the stage
	power    map[string]*track
	throttle throttle // when it began
	halted   []*track
	slow     []string // sockets that did not cool down
	slowAt   time.Time
	fans     fans
}

// take takes in what was read.
func (w *watched) take(r *Reading, sensors []Sensor, root fs.FS, of map[int]int) {
	var samples []core.Sample

	w.at = r.Time

	for i := range sensors {
		key := sensors[i].Key

		t := w.tracks[key]
		if t == nil {
			t = w.track(sensors[i])
		}

		// Limits may have become known.
		t.sensor, t.listed, t.stale = sensors[i], true, max(t.stale, r.stale[key])

		// What was said before the stage is where it begins.
		first := t.goodAt.IsZero() && !math.IsNaN(r.Values[key])
		if !first && !r.fresh[key] && r.stale[key] == 0 {
			continue
		}

		t.take(r.Time, r.Values[key], r.Load)

		if t.due(r.Time) {
			samples = append(samples, core.Sample{Time: r.Time, Key: t.sensor.Key, Value: t.value})
		}
	}

	// A sensor that the kernel does not list any more says nothing.
	for key, t := range w.tracks {
		if _, listed := r.Values[key]; !listed {
			t.listed = false
			t.take(r.Time, math.NaN(), r.Load)
		}
	}

	samples = append(samples, w.headroom(r.Time)...)
	samples = append(samples, w.watts(r)...)

	if r.Time.Sub(w.slowAt) >= slowEvery {
		w.slowAt = r.Time
		samples = append(samples, w.load(r)...)
		samples = append(samples, clocks(r.Time, frequencies(root), of)...)
	}

	w.fans.take(r, w.tracks)
	w.env.Sensor(samples...)

	for _, key := range slices.Sorted(maps.Keys(w.tracks)) {
		if t := w.tracks[key]; t.burning() && !slices.Contains(w.halted, t) {
			w.halted = append(w.halted, t)
			w.halt(t)
		}
	}
}

// remember takes in who gave numbers before the stage. A CPU's or DIMM's sensor that the
// kernel does not list any more is missed in the stage all the same; disks are pulled
// while a machine is held.
func (w *watched) remember(before map[string]heard) {
	w.heard = maps.Clone(before)

	for _, h := range w.heard {
		if !w.virtual && (h.sensor.Kind == "cpu" || h.sensor.Kind == "memory") {
			w.track(h.sensor)
		}
	}
}

// track begins to follow a sensor.
func (w *watched) track(s Sensor) *track {
	t := newTrack(s)
	t.began, t.heardAt = w.began, w.heard[s.Key].at
	w.tracks[s.Key] = t

	return t
}

// headroom says how far parts are below the limit that their own sensors tell: of
// each CPU socket the least, of others each. It is sent with the temperature.
func (w *watched) headroom(now time.Time) (samples []core.Sample) {
	sockets := map[int]float64{}

	for _, key := range slices.Sorted(maps.Keys(w.tracks)) {
		t := w.tracks[key]
		if t.sensor.Quantity != Temperature || math.IsNaN(t.sensor.Crit) || math.IsNaN(t.value) {
			continue
		}

		room := t.sensor.Crit - t.value

		if t.sensor.Kind != "cpu" {
			if t.sentAt.Equal(now) {
				samples = append(samples, core.Sample{Time: now, Key: strings.Replace(key, string(Temperature), headroomKey, 1), Value: room})
			}

			continue
		}

		if least, ok := sockets[t.sensor.Socket]; !ok || room < least {
			sockets[t.sensor.Socket] = room
		}
	}

	for _, socket := range slices.Sorted(maps.Keys(sockets)) {
		key := "cpu/package" + strconv.Itoa(max(socket, 0)) + "/" + headroomKey

		t := w.power[key]
		if t == nil {
			t = newTrack(Sensor{Key: key, Quantity: Temperature})
			w.power[key] = t
		}

		if t.value = sockets[socket]; t.due(now) {
			samples = append(samples, core.Sample{Time: now, Key: key, Value: t.value})
		}
	}

	return samples
}

const headroomKey = "headroom_celsius"

// watts sends the power of the CPUs.
func (w *watched) watts(r *Reading) (samples []core.Sample) {
	for _, key := range slices.Sorted(maps.Keys(r.Watts)) {
		t := w.power[key]
		if t == nil {
			t = newTrack(Sensor{Key: key, Quantity: Power})
			w.power[key] = t
		}

		if t.take(r.Time, r.Watts[key], r.Load); t.due(r.Time) {
			samples = append(samples, core.Sample{Time: r.Time, Key: key, Value: t.value})
		}
	}

	return samples
}

func (w *watched) load(r *Reading) []core.Sample {
	samples := []core.Sample{{Time: r.Time, Key: "cpu/all/load_percent", Value: round(r.Load)}}

	for _, socket := range slices.Sorted(maps.Keys(r.Sockets)) {
		if len(r.Sockets) > 1 {
			samples = append(samples, core.Sample{
				Time: r.Time, Key: "cpu/package" + strconv.Itoa(socket) + "/load_percent", Value: round(r.Sockets[socket]),
			})
		}
	}

	return samples
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// clocks sends the mean of each socket's clocks and the slowest of them: one
// series for each of a hundred cores would say no more.
func clocks(now time.Time, mhz map[int]float64, of map[int]int) (samples []core.Sample) {
	bySocket := map[int][]float64{}
	for number, f := range mhz {
		bySocket[of[number]] = append(bySocket[of[number]], f)
	}

	for _, socket := range slices.Sorted(maps.Keys(bySocket)) {
		sum, list := 0.0, bySocket[socket]
		for _, f := range list {
			sum += f
		}

		part := "cpu/package" + strconv.Itoa(socket)
		samples = append(samples,
			core.Sample{Time: now, Key: part + "/frequency_mhz", Value: math.Round(sum / float64(len(list)))},
			core.Sample{Time: now, Key: part + "-slowest/frequency_mhz", Value: math.Round(slices.Min(list))})
	}

	return samples
}

// seen judges the stage.
func (w *watched) seen(after throttle, known bool) stage.Seen {
	var found []core.Finding

	say := func(code string, severity core.Severity, part core.Part, format string, args ...any) {
		found = append(found, problem.Finding(code, severity, w.stage, part, fmt.Sprintf(format, args...)))
	}

	for _, t := range w.halted {
		say("sensor/emergency-stop", "", t.sensor.Part(), "%s was at %.1f °C or more for %v; its limit is %.1f °C", t.sensor.Name, t.crit(), patience, t.crit())
	}

	now := w.at
	if now.IsZero() {
		now = time.Now()
	}

	for _, key := range slices.Sorted(maps.Keys(w.tracks)) {
		w.judge(w.tracks[key], now, say)
	}

	for _, socket := range w.slow {
		say("sensor/no-cool-down", "", core.Part{Kind: "cpu"}, "five minutes after the work: %s", socket)
	}

	if !w.virtual {
		w.compare(say)
		w.fans.judge(say)
		w.judgeStill(say)

		if (w.stage == core.CPUStress || w.stage == core.Burn) && !w.knowsHeat() {
			say("sensor/no-cpu-temperature", "", core.Part{Kind: "cpu"}, "no sensor tells how hot the CPU is")
		}
	}

	w.judgeThrottle(after, known, now.Sub(w.began), say)

	seen := stage.Seen{}

	for _, m := range w.mutes(now) {
		f := problem.Finding(string(m.why), m.severity, w.stage, m.tracks[0].sensor.Part(), m.evidence(w.stage, now))
		if m.severity == core.Critical {
			seen.Errors = append(seen.Errors, f)
		} else {
			found = append(found, f)
		}
	}

	seen.Findings, seen.SubSteps = found, []core.SubStep{w.step(found, len(seen.Errors) > 0)}

	return seen
}

type sayFunc func(code string, severity core.Severity, part core.Part, format string, args ...any)

// judge judges one sensor.
func (w *watched) judge(t *track, now time.Time, say sayFunc) {
	const standstill, change = 30 * time.Minute, 30.0

	part := t.sensor.Part()

	if t.wasMax && !slices.Contains(w.halted, t) {
		say("sensor/over-max", "", part, "%s went up to %.1f °C and stayed over its limit of %.1f °C", t.sensor.Name, t.peak, t.max())
	}

	// At rest fans of laptops, power supplies and graphics cards stand still by design;
	// the latter two may be at rest while all CPUs are at work.
	switch {
	case t.wasStalled && t.restsAlone():
		say("sensor/fan-stopped", core.Info, part, "%s turned and stands still while all CPUs are at work, as it may while what it cools has little to do", t.sensor.Name)
	case t.wasStalled:
		say("sensor/fan-stopped", "", part, "%s turned and stands still while all CPUs are at work", t.sensor.Name)
	case t.wasStopped:
		say("sensor/fan-stopped", core.Info, part, "%s turned and stands still; some fans do at rest", t.sensor.Name)
	}

	steady := t.sensor.Quantity == Temperature && t.sensor.Kind != "board" && !math.IsNaN(t.value)
	if steady && now.Sub(t.changedAt) >= standstill && t.loadMax-t.loadMin >= change {
		say("sensor/stuck", "", part, "%s says %.1f °C for %v, while the load was between %.0f and %.0f %%",
			t.sensor.Name, t.good, now.Sub(t.changedAt).Round(time.Minute), t.loadMin, t.loadMax)
	}
}

// compare holds CPUs against their equals, while all were at work.
func (w *watched) compare(say sayFunc) {
	const apart = 15.0

	sockets, cores := map[int]float64{}, map[int][]*track{}

	for _, t := range w.tracks {
		mean, ok := t.mean()
		if t.sensor.Kind != "cpu" || t.sensor.Quantity != Temperature || !ok {
			continue
		}

		if t.sensor.Core {
			cores[t.sensor.Socket] = append(cores[t.sensor.Socket], t)
		}

		if was, known := sockets[t.sensor.Socket]; !known || mean > was {
			sockets[t.sensor.Socket] = mean
		}
	}

	if len(sockets) > 1 {
		hot := slices.MaxFunc(slices.Collect(maps.Keys(sockets)), func(a, b int) int { return int(1000 * (sockets[a] - sockets[b])) })
		cool := slices.MinFunc(slices.Collect(maps.Keys(sockets)), func(a, b int) int { return int(1000 * (sockets[a] - sockets[b])) })

		if sockets[hot]-sockets[cool] > apart {
			say("sensor/socket-hotter", "", core.Part{Kind: "cpu", Slot: "socket " + strconv.Itoa(hot)},
				"socket %d was at %.0f °C at full load, socket %d at %.0f °C", hot, sockets[hot], cool, sockets[cool])
		}
	}

	for _, list := range cores {
		means := make([]float64, 0, len(list))

		for _, t := range list {
			mean, _ := t.mean()
			means = append(means, mean)
		}

		slices.Sort(means)
		median := means[len(means)/2]

		for _, t := range list {
			if mean, _ := t.mean(); mean > median+apart {
				say("sensor/core-hotter", "", t.sensor.Part(), "%s was at %.0f °C at full load, half of its socket's cores at %.0f °C or less",
					t.sensor.Name, mean, median)
			}
		}
	}
}

// judgeThrottle judges how much the CPUs slowed themselves down.
func (w *watched) judgeThrottle(after throttle, known bool, took time.Duration, say sayFunc) {
	times := after.times - w.throttle.times
	if !known || times <= 0 {
		return
	}

	const share = 0.01

	severity := core.Severity("")

	slowed := time.Duration(after.millis-w.throttle.millis) * time.Millisecond
	if slowed > time.Duration(share*float64(took)) {
		severity = core.Critical
	}

	say("sensor/throttled", severity, core.Part{Kind: "cpu"}, "the CPUs slowed themselves down %.0f times, the slowest for %v of %v",
		times, slowed.Round(time.Millisecond), took.Round(time.Second))
}

// knowsHeat reports whether a sensor of a CPU gives numbers, or did.
func (w *watched) knowsHeat() bool {
	for _, t := range w.tracks {
		if t.sensor.Kind == "cpu" && t.sensor.Quantity == Temperature && t.spoke() {
			return true
		}
	}

	return false
}

// step is the line of the result about the sensors; those that say nothing are
// named.
func (w *watched) step(found []core.Finding, blind bool) core.SubStep {
	var silent []string

	hottest, reading := (*track)(nil), 0

	for _, key := range slices.Sorted(maps.Keys(w.tracks)) {
		t := w.tracks[key]

		if t.goodAt.IsZero() {
			silent = append(silent, t.sensor.Name)

			continue
		}

		reading++

		if t.sensor.Quantity == Temperature && (hottest == nil || t.crit()-t.peak < hottest.crit()-hottest.peak) {
			hottest = t
		}
	}

	summary := fmt.Sprintf("%d sensors", reading)
	if hottest != nil {
		summary += fmt.Sprintf(", nearest to its limit %s at %.0f °C", hottest.sensor.Name, hottest.peak)
	}

	if len(silent) > 0 {
		summary += fmt.Sprintf(", %d NOT readable: %s", len(silent), strings.Join(silent, ", "))
	}

	verdict := core.Pass

	switch {
	case slices.ContainsFunc(found, func(f core.Finding) bool { return f.Severity == core.Critical }):
		verdict = core.Fail
	case blind:
		verdict = core.Error
	}

	return core.SubStep{Name: "sensors", Verdict: verdict, Summary: summary, Progress: 1}
}

// fans watches whether fans answer to work.
type fans struct {
	idle, load map[string]mean
	cool, warm mean // the hottest socket
}

type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v float64) { m.sum, m.n = m.sum+v, m.n+1 }

func (m *mean) value() float64 { return m.sum / float64(max(m.n, 1)) }

func (f *fans) take(r *Reading, tracks map[string]*track) {
	into, heat := &f.load, &f.warm

	switch {
	case r.Load < lowLoad:
		into, heat = &f.idle, &f.cool
	case r.Load < highLoad:
		return
	}

	if *into == nil {
		*into = map[string]mean{}
	}

	hottest := math.Inf(-1)

	for key, t := range tracks {
		if t.sensor.Quantity == Fan && t.value > 0 {
			m := (*into)[key]
			m.add(t.value)
			(*into)[key] = m
		}

		if t.sensor.Kind == "cpu" && t.sensor.Quantity == Temperature && t.value > hottest {
			hottest = t.value
		}
	}

	if !math.IsInf(hottest, -1) {
		heat.add(hottest)
	}
}

// judge tells of fans that none of them turned faster although the CPUs got warm.
func (f *fans) judge(say sayFunc) {
	const (
		idleEnough, loadEnough = 30, 300 // seconds
		warmer, faster         = 15.0, 1.10
	)

	if f.cool.n < idleEnough || f.warm.n < loadEnough || f.warm.value()-f.cool.value() < warmer || len(f.load) == 0 {
		return
	}

	for key, load := range f.load {
		idle, ok := f.idle[key]
		if !ok || load.value() >= faster*idle.value() {
			return
		}
	}

	say("sensor/fans-do-not-answer", "", core.Part{Kind: "fan"}, "the CPUs went from %.0f to %.0f °C and none of %d fans turned a tenth faster",
		f.cool.value(), f.warm.value(), len(f.load))
}
