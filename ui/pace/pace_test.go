package pace_test

import (
	"testing"
	"time"

	"vetting/core"
	"vetting/ui/pace"
)

func start() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// ran is a run whose stages took so long.
func ran(verdict core.Verdict, took ...time.Duration) *core.Run {
	run := &core.Run{Profile: core.Profile{Name: "quick", Scale: 1}}
	at := start()

	for i, d := range took {
		run.Stages = append(run.Stages, core.Stage{
			Name: core.Pipeline()[i], Phase: core.Done, Verdict: verdict, StartedAt: at, EndedAt: at.Add(d),
		})
		at = at.Add(d)
	}

	return run
}

// begun is a run that is in its first stage since the start.
func begun(eta time.Duration) *core.Run {
	run := ran("", 0, 0)
	run.Stages[0] = core.Stage{Name: core.InventoryCheck, Phase: core.Active, StartedAt: start(), ETA: eta}
	run.Stages[1] = core.Stage{Name: core.Firmware, Phase: core.Pending}

	return run
}

func machine(model string, disk uint64) pace.Machine {
	return pace.Read(model, &core.Inventory{Disks: []core.Disk{{SizeBytes: 1 << 30}, {SizeBytes: disk}}})
}

func TestWhatIsLearnedCountsForTheSameModelAndDiskSize(t *testing.T) {
	t.Parallel()

	var book pace.Book

	for i := range 6 {
		book.Learn(ran(core.Pass, time.Minute, time.Duration(10+i)*time.Minute), machine("R740", 4e12))
	}

	book.Learn(ran(core.Pass, time.Minute, 3*time.Hour), machine("R740", 16e12))
	book.Learn(ran(core.Fail, time.Second, time.Second), machine("R740", 4e12))

	tests := map[string]struct {
		on   pace.Machine
		runs int
		own  bool
		mid  time.Duration
	}{
		"the same":             {machine("R740", 4e12), 6, true, 13 * time.Minute},
		"a little larger disk": {machine("R740", 41e11), 6, true, 13 * time.Minute},
		"a far larger disk":    {machine("R740", 16e12), 1, true, 3 * time.Hour},
		"another model":        {machine("R640", 4e12), 7, false, 13 * time.Minute},
		"no inventory yet":     {pace.Machine{}, 7, false, 13 * time.Minute},
	}

	for name, tt := range tests {
		got := book.Of(begun(0), tt.on)[core.Firmware] // a book is not for several at once

		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got.Runs != tt.runs || got.Own != tt.own || got.Mid != tt.mid {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestWhatIsLeft(t *testing.T) {
	t.Parallel()

	var book pace.Book

	on := machine("R740", 4e12)
	for i := range 5 {
		book.Learn(ran(core.Pass, time.Duration(8+i)*time.Minute, 20*time.Minute), on)
	}

	left, ok := book.Of(begun(0), on).Left(begun(0), start().Add(4*time.Minute))
	if want := (pace.Left{Low: 24 * time.Minute, Mid: 26 * time.Minute, High: 28 * time.Minute, Runs: 5, Own: true}); !ok || left != want {
		t.Errorf("got %+v, %v, want %+v", left, ok, want)
	}

	// What the agent says of the stage under way counts more: it sees this disk.
	if left, _ := book.Of(begun(time.Hour), on).Left(begun(time.Hour), start()); left.Mid != 80*time.Minute || left.High != 80*time.Minute {
		t.Errorf("with the agent's word: %+v", left)
	}

	unknown := begun(0)
	unknown.Stages = append(unknown.Stages, core.Stage{Name: core.GPU, Phase: core.Pending})

	if left, ok := book.Of(unknown, on).Left(unknown, start()); ok {
		t.Errorf("with a stage that nobody has seen: %+v", left)
	}
}

func TestAStageIsSlowOnlyPastNearlyAllOthers(t *testing.T) {
	t.Parallel()

	var book pace.Book

	on, run := machine("R740", 4e12), begun(0)
	for range 5 {
		if book.Of(run, on).Slow(&run.Stages[0], start().Add(time.Hour)) {
			t.Error("called slow from too few runs")
		}

		book.Learn(ran(core.Pass, 10*time.Minute), on)
	}

	for at, slow := range map[time.Duration]bool{9 * time.Minute: false, 10*time.Minute + 30*time.Second: false, 12 * time.Minute: true} {
		if got := book.Of(run, on).Slow(&run.Stages[0], start().Add(at)); got != slow {
			t.Errorf("after %v: %v", at, got)
		}
	}
}
