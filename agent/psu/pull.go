package psu

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vetting/agent/ipmi"
)

// Asking says which cords a person is to pull and put back, one after the other.
type Asking struct {
	Survey *Survey
	Slots  []string
	Limit  time.Duration // for each cord to be pulled, and again for it to be put back
	// Tell says what is to be done now, how much of all is done and how long there is for
	// this step.
	Tell func(what string, done float64, left time.Duration)
}

// Pulled is what came of asking for one cord.
type Pulled struct {
	Slot   string
	Gone   bool     // its supply lost its input, and no other had
	Back   bool     // it has it again
	Others []string // supplies that lost theirs while this one was asked for
}

// pullEvery is how often the states of the supplies are asked for.
const pullEvery = time.Second

// Pull asks for the cords and watches the supplies. A supply counts as pulled when two
// looks in a row find that it has no input and all others have. It ends at the first step
// that is not done in time.
func Pull(ctx context.Context, o Asking) (all []Pulled) {
	const steps = 2

	for i, slot := range o.Slots {
		p := Pulled{Slot: slot}
		part := func(step int) float64 { return float64(steps*i+step) / float64(steps*len(o.Slots)) }

		p.Gone = o.await(ctx, func(lost []string, left time.Duration) bool {
			if slices.Equal(lost, []string{slot}) {
				return true
			}

			what := "pull the cord of " + slot

			for _, other := range lost {
				if other == slot {
					continue
				}

				what = fmt.Sprintf("%s lost its input: put its cord back, and pull that of %s", other, slot)

				if !slices.Contains(p.Others, other) {
					p.Others = append(p.Others, other)
				}
			}

			o.Tell(what, part(0), left)

			return false
		})

		p.Back = p.Gone && o.await(ctx, func(lost []string, left time.Duration) bool {
			if len(lost) > 0 {
				o.Tell("put the cord of "+slot+" back", part(1), left)
			}

			return len(lost) == 0
		})

		if all = append(all, p); !p.Back {
			break
		}
	}

	return all
}

// await looks until two looks in a row are as they should be; false: they were not in time.
func (o *Asking) await(ctx context.Context, so func(lost []string, left time.Duration) bool) bool {
	const inARow = 2

	ticker := time.NewTicker(pullEvery)
	defer ticker.Stop()

	row := 0

	for end := time.Now().Add(o.Limit); ctx.Err() == nil && time.Now().Before(end); {
		lost, known := o.Survey.lost()
		if known && so(lost, time.Until(end)) {
			row++
		} else {
			row = 0
		}

		if row == inARow {
			return true
		}

		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}

	return false
}

// lost lists the slots whose supplies have no input now, in order; false: not all that tell
// of it answered.
func (s *Survey) lost() (slots []string, known bool) {
	for i := range s.Detectors {
		d := &s.Detectors[i]
		if d.sensor == nil || d.sensor.Form != ipmi.FormOwn || d.Slot == "" {
			continue
		}

		reading, err := d.sensor.Read(s.bmc)
		if err != nil || !reading.Known {
			return nil, false
		}

		// A supply without an input may not be heard any more: then it is no more there.
		without := slices.Contains(d.states(reading), InputLost) || slices.Contains(d.states(reading), Absent) || d.presence() && !reading.Has(0)
		if without && !slices.Contains(slots, d.Slot) {
			slots = append(slots, d.Slot)
		}
	}

	slices.Sort(slots)

	return slots, true
}

// TellsInput reports whether the BMC can tell that the supply of a slot has no input.
func (s *Survey) TellsInput(slot string) bool {
	const lost, lostOrOut = 1 << 3, 1 << 4

	return slices.ContainsFunc(s.Detectors, func(d Detector) bool {
		return d.Slot == slot && d.sensor != nil && d.sensor.Form == ipmi.FormOwn && (d.sensor.States == 0 || d.sensor.States&(lost|lostOrOut) != 0)
	})
}

// Sensors are the numbers of all sensors of the BMC that tell of a slot.
func (s *Survey) Sensors(slot string) (numbers []byte) {
	for i := range s.Detectors {
		if d := &s.Detectors[i]; d.Slot == slot && d.sensor != nil {
			numbers = append(numbers, d.sensor.Number())
		}
	}

	for i := range s.Channels {
		if c := &s.Channels[i]; c.Slot == slot && c.sensor != nil {
			numbers = append(numbers, c.sensor.Number())
		}
	}

	return numbers
}
