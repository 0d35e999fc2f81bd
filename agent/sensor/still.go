package sensor

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"

	"vetting/core"
)

// slowestFan is the least limit, in revolutions per minute, that somebody has set on
// purpose: some chips come up with a handful.
const slowestFan = 100

// coolers are labels of fans that every machine has which names them, and spares those
// of second fans (CPU_OPT).
func coolers() (named, spare *regexp.Regexp) {
	return regexp.MustCompile(`(?i)cpu|processor|sys|cha|rear|front|case|motherboard`), regexp.MustCompile(`(?i)opt`)
}

// restsAlone reports whether a fan turns or not by what the CPUs have little to do with:
// graphics cards and many power supplies, those in reserve above all, stop theirs while
// they are cool.
func (t *track) restsAlone() bool {
	ofPower := regexp.MustCompile(`(?i)(^|[^a-z])(psu?|pws|power ?supply)([^a-z]|$)`)

	return t.sensor.Kind == "gpu" || ofPower.MatchString(t.sensor.label)
}

// judgeStill tells of fans that have not turned at all, at full load. A connector that
// nothing is plugged into looks the same, so that it is a warning at most, and only
// where something speaks for a fan: a limit, or a name while others of the board turn.
func (w *watched) judgeStill(say sayFunc) {
	for _, key := range slices.Sorted(maps.Keys(w.tracks)) {
		t := w.tracks[key]
		if !t.wasStill || t.turned || t.sensor.Quantity != Fan || t.sensor.Kind == "gpu" {
			continue
		}

		if severity, why := w.expected(t); severity != "" {
			say("sensor/fan-still", severity, t.sensor.Part(), "%s stood still while all CPUs were at work for %v: %s", t.sensor.Name, slowest, why)
		}
	}
}

// expected says what speaks for a fan where none turns; the empty severity: nothing.
func (w *watched) expected(t *track) (core.Severity, string) {
	named, spare := coolers()

	others := 0

	for _, o := range w.tracks {
		if o.sensor.bank == t.sensor.bank && o.turned {
			others++
		}
	}

	switch {
	case !math.IsNaN(t.sensor.min) && t.sensor.min >= slowestFan:
		return core.Warning, fmt.Sprintf("it has a lower limit of %.0f rpm", t.sensor.min)
	case others > 0 && named.MatchString(t.sensor.label) && !spare.MatchString(t.sensor.label):
		return core.Warning, fmt.Sprintf("the board names it, and %d others of it turn", others)
	case t.sensor.driven && others > 0:
		return core.Info, fmt.Sprintf("the board drives it, and %d others of it turn; perhaps nothing is plugged in", others)
	default:
		return "", ""
	}
}
