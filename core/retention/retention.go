// Package retention decides what the appliance may forget, and when. It is a
// function of stored data: store/janitor carries it out.
//
// Hosts, runs, stages, measurements, evaluations, trails, diffs, reports and events
// are never forgotten: nothing here names them. What goes is what is large and only
// helps to look closer: logs, and the files agents leave. Raw samples stay too,
// unless they are to be summed up.
package retention

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"vetting/core"
)

// Policy says how long things are kept. Zero keeps for ever.
type Policy struct {
	Artifacts time.Duration // after the end of the run
	Logs      time.Duration // likewise
	// Failed is how long both are kept, at least, of a run that did not pass, or only
	// once a stage that had failed was run again: its
	// files are the evidence for a claim, which takes longer than a month.
	Failed time.Duration
	// Downsample is the step that raw samples are summed up in (least, greatest, mean);
	// zero leaves them as they are.
	Downsample time.Duration
	// Samples is how long they are kept raw first, after the end of the run.
	Samples time.Duration
}

const day = 24 * time.Hour

// Default returns the policy of an appliance that was told nothing else. Raw samples
// are not summed up.
func Default() Policy {
	return Policy{Artifacts: 30 * day, Logs: 30 * day, Failed: 180 * day, Samples: 30 * day}
}

// Validate names what makes no sense, joined.
func (p Policy) Validate() error {
	var faults []error

	for name, d := range map[string]time.Duration{"artifacts": p.Artifacts, "logs": p.Logs, "failed": p.Failed, "samples": p.Samples} {
		if d < 0 || d > 0 && d < day {
			faults = append(faults, fmt.Errorf("retention.%s: %v is less than a day; 0 keeps for ever", name, d))
		}
	}

	if p.Downsample < 0 || p.Downsample > 0 && (p.Downsample < minStep || p.Downsample > maxStep || p.Downsample%time.Second != 0) {
		faults = append(faults, fmt.Errorf("retention.downsample: %v must be whole seconds from %v to %v; 0 keeps samples raw", p.Downsample, minStep, maxStep))
	}

	return errors.Join(faults...)
}

// The steps that samples may be summed up in.
const (
	minStep = 2 * time.Second
	maxStep = 10 * time.Minute
)

// Due says when things of a run may go. A zero time is never.
type Due struct {
	Log       time.Time
	Artifacts time.Time
	Samples   time.Time // raw ones, which rollups then take the place of
}

// Kept says how long things of a run are kept after its end. Zero is for ever.
type Kept struct {
	Log       time.Duration
	Artifacts time.Duration
	Samples   time.Duration // raw ones
}

// Keep returns how long what belongs to a run is kept once it is over. Of a run that has
// no verdict yet, it is the least: one that does not pass is kept longer.
func (p Policy) Keep(run *core.Run) Kept {
	failed := run.Verdict != core.Pass && run.Verdict != core.Cancelled && (run.Verdict != "" || run.State.Over()) ||
		slices.ContainsFunc(run.Attempts, func(a core.Attempt) bool { return a.Bad() })

	kept := Kept{Log: p.keep(p.Logs, failed), Artifacts: p.keep(p.Artifacts, failed)}
	if p.Downsample > 0 {
		kept.Samples = p.keep(p.Samples, failed)
	}

	return kept
}

// Of returns when what belongs to a run may go: never while it is not over, since
// a held machine is looked into with its log at hand.
func (p Policy) Of(run *core.Run) Due {
	if !run.State.Over() {
		return Due{}
	}

	end := run.EndedAt
	if end.IsZero() {
		end = run.UpdatedAt
	}

	if end.IsZero() {
		return Due{} // nobody knows how old it is
	}

	kept := p.Keep(run)

	return Due{Log: after(end, kept.Log), Artifacts: after(end, kept.Artifacts), Samples: after(end, kept.Samples)}
}

// Photos returns when the photos of a note may go that is about no run: they are evidence
// of a machine as those of a run are that did not pass, and are kept as long.
func (p Policy) Photos(written time.Time) time.Time {
	if written.IsZero() {
		return time.Time{} // nobody knows how old they are
	}

	return after(written, p.keep(p.Artifacts, true))
}

// keep is how long something is kept that is kept so long of a run that passed.
func (p Policy) keep(usual time.Duration, failed bool) time.Duration {
	if usual == 0 || failed && p.Failed == 0 {
		return 0
	}

	if failed {
		return max(usual, p.Failed)
	}

	return usual
}

// after is when something goes that is kept so long from then on; zero: never.
func after(end time.Time, keep time.Duration) time.Time {
	if keep == 0 {
		return time.Time{}
	}

	return end.Add(keep)
}

// Strays is how long a file is kept that nothing in the ledger names: it was
// stored a moment before the appliance lost its power, or its record is about to
// be written.
const Strays = day

// Past reports whether a due time has come. A zero time never comes.
func Past(due, now time.Time) bool { return !due.IsZero() && !now.Before(due) }
