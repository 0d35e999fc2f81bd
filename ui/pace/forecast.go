package pace

import (
	"cmp"
	"slices"
	"time"
)

// Job is a run that goes on or waits for its turn.
type Job struct {
	Takes time.Duration // what it still takes once it has its turn
	Known bool          // that is known
	Guess bool          // and a guess: not all of it was learned from runs before it
	Waits bool          // it has no turn yet
}

// Due is when a Job has its turn and when it is over, both from now on.
type Due struct {
	Begins, Ends time.Duration
	BeginsKnown  bool
	EndsKnown    bool
	Guess        bool // what is known of it hangs on a guess
}

// end is when a job gives its slot back.
type end struct {
	after time.Duration
	guess bool
}

func (e end) compare(with end) int { return cmp.Compare(e.after, with.after) }

// Forecast tells when jobs are due where slots of them may go on at once. The jobs that
// wait follow in their order, as soon as there is room. What waits behind a job of which
// nothing is known may wait for any time, and is not known either; a slots of 0 is not
// known.
func Forecast(jobs []Job, slots int) []Due {
	due := make([]Due, len(jobs))

	var ends []end // of those that go on, and are known

	busy := 0

	for i, j := range jobs {
		if j.Waits {
			continue
		}

		busy++
		due[i] = Due{BeginsKnown: true, Ends: j.Takes, EndsKnown: j.Known, Guess: j.Known && j.Guess}

		if j.Known {
			ends = append(ends, end{j.Takes, j.Guess})
		}
	}

	room := slots - busy
	slices.SortStableFunc(ends, end.compare)

	for i, j := range jobs {
		if !j.Waits {
			continue
		}

		switch {
		case room > 0:
			room--
			due[i].BeginsKnown = true
		case len(ends) > 0 && slots > 0:
			due[i].Begins, due[i].BeginsKnown, due[i].Guess = ends[0].after, true, ends[0].guess
			ends = ends[1:]
		default:
			continue
		}

		if !j.Known {
			continue
		}

		due[i].Ends, due[i].EndsKnown, due[i].Guess = due[i].Begins+j.Takes, true, due[i].Guess || j.Guess
		is := end{due[i].Ends, due[i].Guess}
		at, _ := slices.BinarySearchFunc(ends, is, end.compare)
		ends = slices.Insert(ends, at, is)
	}

	return due
}
