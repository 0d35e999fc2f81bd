package report_test

import (
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/retention"
)

func TestWhatAReportSaysOfItsRawData(t *testing.T) {
	t.Parallel()

	usual := retention.Default()
	summed := usual
	summed.Downsample, summed.Logs, summed.Artifacts = 10*time.Second, 24*time.Hour, 36*time.Hour

	for name, c := range map[string]struct {
		policy *retention.Policy
		state  core.State
		words  core.Verdict
		want   string
	}{
		"nobody said": {nil, core.StateCompleted, core.Pass, ""},
		"a run that passed": {&usual, core.StateCompleted, core.Pass, "" +
			"removed from 2026-12-23 12:08 UTC on, 30 days after the end of the run; " +
			"removed from 2026-12-23 12:08 UTC on, 30 days after the end of the run; kept for good"},
		"a run that failed": {&usual, core.StateReleased, core.Fail, "" +
			"removed from 2027-05-22 12:08 UTC on, 180 days after the end of the run; " +
			"removed from 2027-05-22 12:08 UTC on, 180 days after the end of the run; kept for good"},
		"a host that is held": {&usual, core.StateFailedHolding, core.Fail, "" +
			"removed 180 days after the end of the run; removed 180 days after the end of the run; kept for good"},
		"a run under way": {
			&usual, core.State(core.SMART), "",
			"removed 30 days after the end of the run at the earliest; removed 30 days after the end of the run at the earliest; kept for good",
		},
		"nothing ever goes": {&retention.Policy{}, core.StateCompleted, core.Pass, "kept for good; kept for good; kept for good"},
		"short, and samples summed up": {&summed, core.StateCompleted, core.Pass, "" +
			"removed from 2026-11-24 12:08 UTC on, 1 day after the end of the run; removed from 2026-11-25 00:08 UTC on, 36h after the end of the run; " +
			"summed up in steps of 10s (least, mean, greatest) from 2026-12-23 12:08 UTC on, 30 days after the end of the run"},
	} {
		in := base()
		in.Retention, in.Run.State, in.Run.Verdict = c.policy, c.state, c.words
		in.Run.EndedAt = time.Date(2026, 11, 23, 12, 8, 0, 0, time.UTC)

		r := report.Build(in)
		if c.policy == nil {
			if r.Retention != nil {
				t.Errorf("%s: %+v", name, r.Retention)
			}

			continue
		}

		var said []string
		for i := range r.Retention.Raw {
			said = append(said, r.Retention.Raw[i].Fate(r.Run.Verdict))
		}

		if got := strings.Join(said, "; "); got != c.want {
			t.Errorf("%s:\n %s\nnot\n %s", name, got, c.want)
		}
	}
}

// What has the same fate is one sentence: paper is short.
func TestRawDataOfOneFateIsOneLine(t *testing.T) {
	t.Parallel()

	in := base()
	policy := retention.Default()
	in.Retention, in.Run.EndedAt = &policy, time.Date(2026, 11, 23, 12, 8, 0, 0, time.UTC)

	r := report.Build(in)
	got := strings.Join(r.Retention.Lines(r.Run.Verdict), " ")

	if want := "The agent's log, files that stages left and photos: removed from 2026-12-23 12:08 UTC on, 30 days after the end of the run. Raw samples: kept for good."; got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}
