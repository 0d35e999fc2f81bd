package pace_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vetting/ui/pace"
)

func TestForecast(t *testing.T) {
	t.Parallel()

	const m = time.Minute

	on := func(d time.Duration) pace.Job { return pace.Job{Takes: d, Known: true} }
	waits := func(d time.Duration) pace.Job { return pace.Job{Takes: d, Known: true, Waits: true} }
	unknown := pace.Job{}
	about := func(d time.Duration, waits bool) pace.Job {
		return pace.Job{Takes: d, Known: true, Guess: true, Waits: waits}
	}

	for name, tt := range map[string]struct {
		jobs  []pace.Job
		slots int
		want  string // begins-ends in minutes, ~ where that hangs on a guess
	}{
		"nothing":                             {nil, 3, ""},
		"room for all":                        {[]pace.Job{on(5 * m), waits(7 * m)}, 2, "0-5 0-7"},
		"one after the other":                 {[]pace.Job{on(5 * m), waits(7 * m), waits(1 * m)}, 1, "0-5 5-12 12-13"},
		"the first to be free":                {[]pace.Job{on(9 * m), on(4 * m), waits(10 * m), waits(1 * m)}, 2, "0-9 0-4 4-14 9-10"},
		"behind one that is not known":        {[]pace.Job{unknown, waits(3 * m), waits(3 * m)}, 1, "0-? ?-? ?-?"},
		"one of two is not known":             {[]pace.Job{unknown, on(2 * m), waits(3 * m), waits(1 * m)}, 2, "0-? 0-2 2-5 5-6"},
		"one that waits is not known":         {[]pace.Job{on(2 * m), {Waits: true}, waits(1 * m)}, 1, "0-2 2-? ?-?"},
		"how many may go on is not known":     {[]pace.Job{on(2 * m), waits(1 * m)}, 0, "0-2 ?-?"},
		"a guess, and behind it":              {[]pace.Job{about(5*m, false), on(9 * m), waits(7 * m), waits(1 * m)}, 2, "~0-5 0-9 ~5-12 9-10"},
		"a guess that waits":                  {[]pace.Job{on(5 * m), about(7*m, true), waits(1 * m)}, 1, "0-5 ~5-12 ~12-13"},
		"more go on than may, after a change": {[]pace.Job{on(2 * m), on(3 * m), waits(1 * m)}, 1, "0-2 0-3 2-3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var got []string

			for _, d := range pace.Forecast(tt.jobs, tt.slots) {
				begins, ends := "?", "?"
				if d.BeginsKnown {
					begins = fmt.Sprint(int(d.Begins.Minutes()))
				}

				if d.EndsKnown {
					ends = fmt.Sprint(int(d.Ends.Minutes()))
				}

				if d.Guess {
					begins = "~" + begins
				}

				got = append(got, begins+"-"+ends)
			}

			if strings.Join(got, " ") != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}
