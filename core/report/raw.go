package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/retention"
)

// Retention says what becomes of what the appliance keeps beside a report, by the
// settings that were in force when the report was written. They may be changed later:
// a report does not bind the appliance, it tells what was known.
type Retention struct {
	Raw []RawData `json:"raw_data"`
}

// RawData is one kind of what is too large for a report.
type RawData struct {
	What string `json:"what"` // one of the Raw constants
	// KeepS is how many seconds it is kept after the end of the run; absent: for good.
	KeepS int64 `json:"keep_s,omitempty"`
	// GoesAt is the moment from which it may be removed; absent where it is kept for
	// good, and while the run is not over.
	GoesAt time.Time `json:"goes_at,omitzero"`
	// StepS is the step that samples are then summed up in.
	StepS int64 `json:"step_s,omitempty"`
}

// The kinds of raw data.
const (
	RawLog     = "log"     // what the agent said
	RawFiles   = "files"   // that stages left, and photos of notes about the run
	RawSamples = "samples" // of every series, as they came
)

// Kept applies a policy to a run; nil: nobody said how long.
func Kept(run *core.Run, policy *retention.Policy) *Retention {
	if policy == nil {
		return nil
	}

	kept, due := policy.Keep(run), policy.Of(run)
	list := []RawData{
		{What: RawLog, KeepS: wholeSeconds(kept.Log), GoesAt: stamp(due.Log)},
		{What: RawFiles, KeepS: wholeSeconds(kept.Artifacts), GoesAt: stamp(due.Artifacts)},
		{What: RawSamples, KeepS: wholeSeconds(kept.Samples), GoesAt: stamp(due.Samples)},
	}

	if kept.Samples > 0 {
		list[2].StepS = wholeSeconds(policy.Downsample)
	}

	return &Retention{Raw: list}
}

func wholeSeconds(d time.Duration) int64 { return int64(d / time.Second) }

// KeptForGood says what no retention removes.
const KeptForGood = "What the report says is kept for good."

// Lines says what becomes of all of it after a run with that verdict, one sentence for
// what has the same fate.
func (r *Retention) Lines(verdict core.Verdict) []string {
	var subjects, fates []string

	for i := range r.Raw {
		fate := r.Raw[i].Fate(verdict)

		if at := slices.Index(fates, fate); at >= 0 {
			subjects[at] += ", " + r.Raw[i].subject()
		} else {
			subjects, fates = append(subjects, r.Raw[i].Subject()), append(fates, fate)
		}
	}

	for i := range subjects {
		subjects[i] += ": " + fates[i] + "."
	}

	return subjects
}

// Subject names what it is about, to begin a sentence.
func (d *RawData) Subject() string {
	said := d.subject()

	return strings.ToUpper(said[:1]) + said[1:]
}

func (d *RawData) subject() string {
	switch d.What {
	case RawLog:
		return "the agent's log"
	case RawFiles:
		return "files that stages left and photos"
	default:
		return "raw samples"
	}
}

// Fate says what becomes of it after a run with that verdict: "removed from 2026-05-01 12:00 UTC on, 30 days after the
// end of the run".
func (d *RawData) Fate(verdict core.Verdict) string {
	if d.KeepS == 0 {
		return "kept for good"
	}

	done := "removed"
	if d.StepS > 0 {
		done = fmt.Sprintf("summed up in steps of %v (least, mean, greatest)", time.Duration(d.StepS)*time.Second)
	}

	kept := days(time.Duration(d.KeepS) * time.Second)

	switch {
	case !d.GoesAt.IsZero():
		return fmt.Sprintf("%s from %s on, %s after the end of the run", done, d.GoesAt.UTC().Format("2006-01-02 15:04 MST"), kept)
	case verdict == "":
		return fmt.Sprintf("%s %s after the end of the run at the earliest", done, kept)
	default:
		return fmt.Sprintf("%s %s after the end of the run", done, kept)
	}
}

// days says how long in whole days where it is that, as people set it.
func days(d time.Duration) string {
	const day = 24 * time.Hour

	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	default:
		return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
	}
}
