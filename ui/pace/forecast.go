package pace

import (
	"slices"
	"time"
)

// Job is a run that goes on or waits for its turn.
type Job struct {
	Takes time.Duration // what it still takes once it has its turn
	Known bool          // that is known
	Waits bool          // it has no turn yet
}

// Due is when a Job has its turn and when it is over, both from now on.
type Due struct {
	Begins, Ends time.Duration
	BeginsKnown  bool
	EndsKnown    bool
}

// Forecast tells when jobs are due where slots of them may go on at once. The jobs that
// wait follow in their order, as soon as there is room. What waits behind a job of which
// nothing is known may wait for any time, and is not known either; a slots of 0 is not
// known.
func Forecast(jobs []Job, slots int) []Due {
	due := make([]Due, len(jobs))

	var ends []time.Duration // of those that go on, and are known

	busy := 0

	for i, j := range jobs {
		if j.Waits {
			continue
		}

		busy++
		due[i] = Due{BeginsKnown: true, Ends: j.Takes, EndsKnown: j.Known}

		if j.Known {
			ends = append(ends, j.Takes)
		}
	}

	room := slots - busy
	slices.Sort(ends)

	for i, j := range jobs {
		if !j.Waits {
			continue
		}

		switch {
		case room > 0:
			room--
			due[i].BeginsKnown = true
		case len(ends) > 0 && slots > 0:
			due[i].Begins, due[i].BeginsKnown = ends[0], true
			ends = ends[1:]
		default:
			continue
		}

		if !j.Known {
			continue
		}

		due[i].Ends, due[i].EndsKnown = due[i].Begins+j.Takes, true
		at, _ := slices.BinarySearch(ends, due[i].Ends)
		ends = slices.Insert(ends, at, due[i].Ends)
	}

	return due
}
