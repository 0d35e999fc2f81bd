package psu

import "time"

// NumberOf, SlotIn and Nominal read names of sensors.
func NumberOf(name string) int           { return numberOf(name) }
func SlotIn(name string) string          { return slotIn(name) }
func Nominal(name string) float64        { return nominal(name) }
func Pace(d time.Duration) time.Duration { return pace(d) }

// Course divides a time into phases.
func Course(whole time.Duration) (phases []Phase, takes []time.Duration) {
	for _, l := range course(whole) {
		phases, takes = append(phases, l.phase), append(takes, l.takes)
	}

	return phases, takes
}
