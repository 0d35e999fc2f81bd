package sensor

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/core"
)

const (
	// unguarded is for how long nobody may tell how hot a part at work is. A sensor is
	// asked once a second, and a chip that is busy for a moment (EAGAIN) or on a bus
	// that others use as well (EIO) answers the next time, or the one after.
	unguarded = 30 * time.Second

	longSilence = 2 * time.Minute // worth telling even when it is over
)

// heard is a sensor that gave a number, and when it did so last.
type heard struct {
	sensor Sensor
	at     time.Time
}

// hear remembers who gives numbers, over the ends of stages.
func hear(all map[string]heard, r *Reading, sensors []Sensor) {
	for i := range sensors {
		if key := sensors[i].Key; r.fresh[key] && !math.IsNaN(r.Values[key]) {
			all[key] = heard{sensors[i], r.Time}
		}
	}
}

// quiet is why a sensor gave no number.
type quiet string

const (
	talking  quiet = ""
	hanging  quiet = "sensor/stale"     // its device has yet to answer
	gone     quiet = "sensor/vanished"  // the kernel does not list it any more
	noNumber quiet = "sensor/no-number" // it answers, and not with a number that a sensor can say
)

// quiet judges whether the sensor has given numbers all along.
func (t *track) quiet(now time.Time) quiet {
	silent := math.IsNaN(t.value) && now.Sub(t.saidAt()) >= patience

	switch {
	case t.stale > 0:
		return hanging
	case !t.spoke() && (!t.guards() || !silent):
		return talking // a connector that nothing is plugged into; it is named as not readable
	case silent && !t.listed:
		return gone
	case silent || t.silence >= longSilence:
		return noNumber
	default:
		return talking
	}
}

// spoke reports whether the sensor ever gave a number, in this stage or before it.
func (t *track) spoke() bool { return !t.goodAt.IsZero() || !t.heardAt.IsZero() && t.guards() }

// saidAt is when the sensor gave a number last, or when the stage began.
func (t *track) saidAt() time.Time {
	if t.goodAt.IsZero() {
		return t.began
	}

	return t.goodAt
}

// guards reports whether the sensor is the thermometer of a part that has no other
// use for it than to be watched. Boards have thermometers for what is not plugged in;
// those of cards sleep with their cards.
func (t *track) guards() bool {
	return t.sensor.Quantity == Temperature && slices.Contains([]string{"cpu", "memory", "disk"}, t.sensor.Kind)
}

// works reports whether the stage puts the part to work.
func works(stage core.StageName, kind string) bool {
	switch kind {
	case "cpu":
		return stage == core.CPUStress || stage == core.Memory || stage == core.Burn
	case "memory":
		return stage == core.Memory || stage == core.Burn
	case "disk":
		return stage == core.Burn
	default:
		return false
	}
}

// severity ranks a silent sensor: critical is that a CPU or DIMM that was watched
// before was at work and nobody could have stopped the test for its heat.
func (w *watched) severity(t *track, why quiet, now time.Time) core.Severity {
	switch {
	case w.virtual, why == noNumber && !t.guards() && t.sensor.Kind != "board":
		return core.Info
	case t.sensor.Kind == "disk" || !t.guards() || !works(w.stage, t.sensor.Kind) || !t.spoke():
		return core.Warning
	case !math.IsNaN(t.value) || now.Sub(t.saidAt()) < unguarded || w.otherTells(t):
		return core.Warning
	default:
		return core.Critical
	}
}

// otherTells reports whether another sensor of the same CPU gives a number.
func (w *watched) otherTells(t *track) bool {
	for _, o := range w.tracks {
		if t.sensor.Kind == "cpu" && o.sensor.Kind == "cpu" && o.sensor.Socket == t.sensor.Socket &&
			o.sensor.Quantity == Temperature && !math.IsNaN(o.value) {
			return true
		}
	}

	return false
}

// mute is the sensors of one chip that are silent for one reason.
type mute struct {
	why      quiet
	severity core.Severity
	tracks   []*track
}

// mutes gathers the silent sensors, a chip's together: its socket's before its cores'.
func (w *watched) mutes(now time.Time) (all []*mute) {
	byChip := map[[2]string]*mute{}

	for _, key := range slices.Sorted(maps.Keys(w.tracks)) {
		t := w.tracks[key]

		why := t.quiet(now)
		if why == talking || !t.spoke() && why != hanging && !w.tellsNever(t) {
			continue
		}

		chip := [2]string{t.sensor.bank, string(why)}
		m := byChip[chip]

		if m == nil {
			m = &mute{why: why, severity: core.Info}
			byChip[chip] = m
			all = append(all, m)
		}

		m.tracks = append(m.tracks, t)

		if grave := w.severity(t, why, now); grave.Rank() < m.severity.Rank() {
			m.severity = grave
		}
	}

	for _, m := range all {
		slices.SortStableFunc(m.tracks, func(a, b *track) int { return rank(a) - rank(b) })
	}

	return all
}

func rank(t *track) int {
	if t.sensor.Core {
		return 1
	}

	return 0
}

// tellsNever reports whether it is worth telling that the sensor has never given a
// number: while its part is at work. That of a CPU without any is told by
// sensor/no-cpu-temperature.
func (w *watched) tellsNever(t *track) bool {
	return works(w.stage, t.sensor.Kind) && (t.sensor.Kind != "cpu" || w.knowsHeat())
}

// evidence says who was silent and since when.
func (m *mute) evidence(stage core.StageName, now time.Time) string {
	const enough = 4

	var told []string

	for _, t := range m.tracks[:min(len(m.tracks), enough)] {
		told = append(told, t.told(m.why, now))
	}

	text := strings.Join(told, "; ")
	if more := len(m.tracks) - enough; more > 0 {
		text += fmt.Sprintf("; and %d more of the chip", more)
	}

	if m.severity == core.Critical {
		text += fmt.Sprintf("; without it nobody could have stopped %s before the part took harm", stage)
	}

	return text
}

func (t *track) told(why quiet, now time.Time) string {
	last := t.sensor.Name + " has never said anything"

	switch {
	case !t.goodAt.IsZero():
		last = fmt.Sprintf("%s said %.1f last, %v before the end", t.sensor.Name, t.good, now.Sub(t.goodAt).Round(time.Second))
	case !t.heardAt.IsZero():
		last = t.sensor.Name + " said something before the stage, and nothing in it"
	}

	switch why {
	case hanging:
		return fmt.Sprintf("%s did not answer for %v; %s", t.sensor.Name, t.stale.Round(time.Second), last)
	case noNumber:
		return fmt.Sprintf("%s; it was read %d times without a number, for up to %v", last, t.misses, t.silence.Round(time.Second))
	case gone, talking:
	}

	return last
}
