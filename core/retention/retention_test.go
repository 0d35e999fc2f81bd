package retention_test

import (
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/retention"
)

const day = 24 * time.Hour

func TestWhenThingsOfARunMayGo(t *testing.T) {
	t.Parallel()

	end := coretest.Start()
	usual := retention.Default()
	bad, well := []core.Attempt{{Verdict: core.Fail}, {Verdict: core.Pass}}, []core.Attempt{{Verdict: core.Pass}}

	for name, c := range map[string]struct {
		policy         retention.Policy
		run            core.Run
		log, artifacts int // days after the end; -1: never
	}{
		"a run that passed":                          {usual, core.Run{State: core.StateCompleted, Verdict: core.Pass, EndedAt: end}, 30, 30},
		"a run that was cancelled":                   {usual, core.Run{State: core.StateCancelled, Verdict: core.Cancelled, EndedAt: end}, 30, 30},
		"a run that failed":                          {usual, core.Run{State: core.StateReleased, Verdict: core.Fail, EndedAt: end}, 180, 180},
		"a run that broke":                           {usual, core.Run{State: core.StateReleased, Verdict: core.Error, EndedAt: end}, 180, 180},
		"a run without a verdict":                    {usual, core.Run{State: core.StateReleased, EndedAt: end}, 180, 180},
		"a run that passed when it was tried again":  {usual, core.Run{State: core.StateCompleted, Verdict: core.Pass, EndedAt: end, Attempts: bad}, 180, 180},
		"a retry that was cancelled":                 {usual, core.Run{State: core.StateCancelled, Verdict: core.Cancelled, EndedAt: end, Attempts: bad}, 180, 180},
		"a run with a stage that was well run again": {usual, core.Run{State: core.StateCompleted, Verdict: core.Pass, EndedAt: end, Attempts: well}, 30, 30},
		"a run that is held":                         {usual, core.Run{State: core.StateFailedHolding, Verdict: core.Fail, EndedAt: end}, -1, -1},
		"a run under way":                            {usual, core.Run{State: core.StateBooting}, -1, -1},
		"a run whose end is not known":               {usual, core.Run{State: core.StateCompleted, Verdict: core.Pass, UpdatedAt: end}, 30, 30},
		"a run whose age is not known":               {usual, core.Run{State: core.StateCompleted, Verdict: core.Pass}, -1, -1},
		"logs for ever":                              {retention.Policy{Artifacts: 7 * day, Failed: 9 * day}, core.Run{State: core.StateReleased, Verdict: core.Fail, EndedAt: end}, -1, 9},
		"failed runs for ever":                       {retention.Policy{Artifacts: 7 * day, Logs: 7 * day}, core.Run{State: core.StateReleased, Verdict: core.Fail, EndedAt: end}, -1, -1},
		"failed runs are never kept less":            {retention.Policy{Artifacts: 90 * day, Logs: 7 * day, Failed: 30 * day}, core.Run{State: core.StateReleased, Verdict: core.Fail, EndedAt: end}, 30, 90},
		"nothing was said, everything is for ever":   {retention.Policy{}, core.Run{State: core.StateCompleted, Verdict: core.Pass, EndedAt: end}, -1, -1},
	} {
		due := c.policy.Of(&c.run)

		for what, one := range map[string]struct {
			got  time.Time
			want int
		}{"log": {due.Log, c.log}, "artifacts": {due.Artifacts, c.artifacts}} {
			want := end.Add(time.Duration(one.want) * day)
			if one.want < 0 {
				want = time.Time{}
			}

			if !one.got.Equal(want) {
				t.Errorf("%s: %s go at %v, not %v", name, what, one.got, want)
			}
		}
	}
}

// Raw samples stay, unless somebody wishes them to be summed up.
func TestWhenRawSamplesMayBeSummedUp(t *testing.T) {
	t.Parallel()

	end := coretest.Start()
	wished := retention.Default()
	wished.Downsample = 10 * time.Second

	for name, c := range map[string]struct {
		policy  retention.Policy
		verdict core.Verdict
		want    int // days after the end; -1: never
	}{
		"nobody wished it":           {retention.Default(), core.Pass, -1},
		"a run that passed":          {wished, core.Pass, 30},
		"the evidence of a failure":  {wished, core.Fail, 180},
		"raw for ever all the same":  {retention.Policy{Downsample: 10 * time.Second}, core.Pass, -1},
		"after a week, in half mins": {retention.Policy{Downsample: 30 * time.Second, Samples: 7 * day}, core.Pass, 7},
	} {
		want := end.Add(time.Duration(c.want) * day)
		if c.want < 0 {
			want = time.Time{}
		}

		run := core.Run{State: core.StateReleased, Verdict: c.verdict, EndedAt: end}
		if got := c.policy.Of(&run).Samples; !got.Equal(want) {
			t.Errorf("%s: at %v, not %v", name, got, want)
		}
	}

	for step, ok := range map[time.Duration]bool{
		0: true, 10 * time.Second: true, 2 * time.Second: true, 10 * time.Minute: true,
		time.Second: false, -1: false, time.Hour: false, 2500 * time.Millisecond: false,
	} {
		if err := (retention.Policy{Downsample: step}).Validate(); (err == nil) != ok {
			t.Errorf("a step of %v: %v", step, err)
		}
	}
}

func TestPast(t *testing.T) {
	t.Parallel()

	due := coretest.Start()

	for name, c := range map[string]struct {
		due, now time.Time
		want     bool
	}{
		"a moment before": {due, due.Add(-1), false},
		"at the moment":   {due, due, true},
		"never":           {time.Time{}, due, false},
	} {
		if retention.Past(c.due, c.now) != c.want {
			t.Error(name)
		}
	}
}

func TestAPolicyIsChecked(t *testing.T) {
	t.Parallel()

	if err := retention.Default().Validate(); err != nil {
		t.Error(err)
	}

	if err := (retention.Policy{}).Validate(); err != nil {
		t.Error(err)
	}

	err := retention.Policy{Artifacts: -1, Logs: time.Hour, Failed: day}.Validate()
	if err == nil || !strings.Contains(err.Error(), "retention.artifacts") || !strings.Contains(err.Error(), "retention.logs") || strings.Contains(err.Error(), "failed") {
		t.Error(err)
	}
}
