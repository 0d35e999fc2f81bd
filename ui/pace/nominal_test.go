package pace_test

import (
	"testing"
	"time"

	"vetting/core"
	"vetting/core/profile"
	"vetting/ui/pace"
)

// Before the first run there is a guess, by the settings of the profile and by the machine;
// it is marked, and what was learned takes its place.
func TestBeforeTheFirstRunThereIsAGuess(t *testing.T) {
	t.Parallel()

	on := pace.Machine{Model: "Acme One", Disk: 1500e9, Memory: 80e9}
	gpu := on
	gpu.GPU = true

	for name, c := range map[string]struct {
		stage  core.StageName
		config map[string]string
		scale  float64
		on     pace.Machine
		want   time.Duration // 0: none
	}{
		"as long as the profile says":       {core.CPUStress, map[string]string{profile.CPUDuration: "1h"}, 1, on, time.Hour},
		"shortened by the scale":            {core.Burn, map[string]string{profile.BurnDuration: "2h"}, 0.5, on, time.Hour},
		"on a machine that is not known":    {core.PSU, map[string]string{profile.PSUDuration: "3m"}, 1, pace.Machine{}, 3 * time.Minute},
		"a setting that is missing":         {core.PSU, nil, 1, on, 0},
		"in each direction":                 {core.Network, map[string]string{profile.NetworkDuration: "1m"}, 1, on, 2 * time.Minute},
		"a short self-test":                 {core.SMART, map[string]string{profile.SelfTest: "short"}, 1, pace.Machine{}, 150 * time.Second},
		"an extended one reads the disk":    {core.SMART, map[string]string{profile.SelfTest: "extended"}, 1, on, 10030 * time.Second},
		"of a disk that is not known":       {core.SMART, map[string]string{profile.SelfTest: "extended"}, 1, pace.Machine{}, 0},
		"all of the disk, read twice":       {core.Storage, map[string]string{profile.StorageExtent: "full", profile.StoragePasses: "2"}, 1, on, 20000 * time.Second},
		"written and read back":             {core.Storage, map[string]string{profile.StorageExtent: "full", profile.StorageMode: "destructive", profile.StorageRandom: "60s"}, 1, on, 20060 * time.Second},
		"a sample of the disk":              {core.Storage, map[string]string{profile.StorageExtent: "sample"}, 1, on, 200 * time.Second},
		"memory, in few patterns":           {core.Memory, map[string]string{profile.MemoryPatterns: "short"}, 1, on, 180 * time.Second},
		"memory, in all, with what is kept": {core.Memory, map[string]string{profile.MemoryPatterns: "full", profile.MemoryRetention: "60s"}, 1, on, 960 * time.Second},
		"memory, for hours":                 {core.Memory, map[string]string{profile.MemoryDuration: "12h"}, 1, on, 12 * time.Hour},
		"memory that is not known":          {core.Memory, nil, 1, pace.Machine{}, 0},
		"no GPU":                            {core.GPU, map[string]string{profile.GPUDCGM: "3"}, 1, on, 5 * time.Second},
		"a GPU":                             {core.GPU, map[string]string{profile.GPUDCGM: "3"}, 1, gpu, 30 * time.Minute},
	} {
		run := &core.Run{Profile: core.Profile{Config: c.config, Scale: c.scale}, Stages: []core.Stage{{Name: c.stage, Phase: core.Pending}}}

		var book pace.Book

		plan := book.Of(run, c.on)
		if span, known := plan[c.stage]; known != (c.want > 0) || span.Mid != c.want || known && (!span.Nominal || span.Ranged()) {
			t.Errorf("%s: %+v, want %v", name, span, c.want)
		}

		if _, ok := plan.Left(run, time.Time{}); ok {
			t.Errorf("%s: a guess is told as what was learned", name)
		}

		if left, ok := plan.About(run, time.Time{}); ok != (c.want > 0) || left != c.want {
			t.Errorf("%s: about %v", name, left)
		}
	}
}

func TestWhatWasLearnedTakesThePlaceOfTheGuess(t *testing.T) {
	t.Parallel()

	begun := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := core.Profile{Scale: 1, Config: map[string]string{profile.CPUDuration: "1h", profile.BurnDuration: "2h"}}
	over := &core.Run{Profile: p, Stages: []core.Stage{{
		Name: core.CPUStress, Phase: core.Done, Verdict: core.Pass, StartedAt: begun, EndedAt: begun.Add(70 * time.Minute),
	}}}

	var book pace.Book

	book.Learn(over, pace.Machine{Model: "Acme One"})

	run := &core.Run{Profile: p, Stages: []core.Stage{
		{Name: core.CPUStress, Phase: core.Active, StartedAt: begun}, {Name: core.Burn, Phase: core.Pending},
	}}
	plan := book.Of(run, pace.Machine{Model: "Acme One"})

	if plan[core.CPUStress].Nominal || !plan[core.Burn].Nominal {
		t.Errorf("%+v", plan)
	}

	if left, ok := plan.About(run, begun.Add(30*time.Minute)); !ok || left != 160*time.Minute {
		t.Errorf("about %v left", left)
	}

	if rest, guess, ok := plan.Rest(run, begun.Add(30*time.Minute)); !ok || !guess || rest != 160*time.Minute {
		t.Errorf("%v left, a guess: %v, known: %v", rest, guess, ok)
	}

	if rest, guess, ok := plan.Rest(&core.Run{Stages: run.Stages[:1]}, begun.Add(30*time.Minute)); !ok || guess || rest != 40*time.Minute {
		t.Errorf("what was learned: %v left, a guess: %v, known: %v", rest, guess, ok)
	}

	if run.Stages[0].StartedAt = begun.Add(-24 * time.Hour); plan.Slow(&run.Stages[0], begun.Add(24*time.Hour)) {
		t.Error("one run is enough to call another one slow")
	}
}
