package stage

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"vetting/agent/psu"
	"vetting/core"
	"vetting/core/profile"
)

// Expect says that what some sensors of the BMC write into its event log until over is
// called is the doing of this test, and no fault. [ras.Collector] knows how.
type Expect func(ctx context.Context, sensors []byte) (over func())

const (
	// pullLimit is how long a person has for each step; people are not shortened.
	pullLimit = 5 * time.Minute
	// pullSettles is how long a BMC may take to write into its log what it has told.
	pullSettles = 5 * time.Second
)

// pulls is what came of the guided pull test.
type pulls struct {
	wanted bool
	why    string // it could not be done
	done   []psu.Pulled
	slots  []string // that were to be pulled
}

// pull has a person pull the cord of each supply and put it back, where the profile says
// so: exactly that supply loses its input, and the machine goes on. It is done at rest,
// and only where nothing speaks against it.
func (x *psuExam) pull(ctx context.Context, expect Expect) {
	if x.pulls.wanted = x.env.Config[profile.PSUPull] == "on"; !x.pulls.wanted {
		return
	}

	if x.pulls.why = x.unfit(); x.pulls.why != "" {
		return
	}

	var sensors []byte

	for _, s := range x.watched() {
		x.pulls.slots = append(x.pulls.slots, s.Slot)
		sensors = append(sensors, x.survey.Sensors(s.Slot)...)
	}

	over := expect(ctx, sensors)
	defer over()

	x.pulls.done = psu.Pull(ctx, psu.Asking{Survey: x.survey, Slots: x.pulls.slots, Limit: pullLimit, Tell: x.teller()})

	timer := time.NewTimer(pullSettles)
	defer timer.Stop()

	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// teller tells what is to be done, in the log as well when it changes.
func (x *psuExam) teller() func(what string, done float64, left time.Duration) {
	last := ""

	return func(what string, done float64, left time.Duration) {
		x.env.Progress(what, done, left)

		if what != last {
			last = what
			x.env.Log.Warn("somebody is needed at the machine", slog.String("to", what), slog.Duration("within", left.Round(time.Second)))
		}
	}
}

// unfit says why no cord may be pulled; empty: nothing speaks against it.
func (x *psuExam) unfit() string {
	watched := x.watched()

	switch {
	case len(watched) < 2:
		return "it takes two power supplies that the BMC watches"
	case len(x.out.Seen.Events) > 0:
		e := &x.out.Seen.Events[0]

		return fmt.Sprintf("%s told %q, and the machine may not survive", e.Detector, e.State)
	case x.out.Seen.Blind || len(x.out.Seen.Silent) > 0 || len(x.blank()) > 0:
		return "the BMC does not tell of all power supplies"
	}

	for _, s := range watched {
		if !x.survey.TellsInput(s.Slot) {
			return "the BMC does not tell whether " + s.Slot + " has an input"
		}
	}

	return ""
}

// pulled judges the pull test. That somebody did not come, or that it could not be done
// although the profile asks for it, is never a pass.
func (x *psuExam) pulled(*psu.Outcome) (found []core.Finding) {
	if x.pulls.why != "" {
		return []core.Finding{powered(pullNotDone, "", core.Part{Kind: "psu"}, "%s", x.pulls.why)}
	}

	for i := range x.pulls.done {
		p := &x.pulls.done[i]
		part := x.part(p.Slot)

		switch others := strings.Join(p.Others, ", "); {
		case !p.Gone && others != "":
			found = append(found, powered(pullMissed, "", part, "%s did not lose its input alone within %v; %s did", p.Slot, pullLimit, others))
		case !p.Gone:
			found = append(found, powered(pullMissed, "", part, "%s did not lose its input within %v", p.Slot, pullLimit))
		case others != "":
			found = append(found, powered("psu/pull-other", "", part, "%s was asked for, and %s lost its input first", p.Slot, others))
		}

		if p.Gone && !p.Back {
			found = append(found, powered(pullOpen, "", part, "not all supplies had their inputs again %v later", pullLimit))
		}
	}

	return found
}

// pullCoverage says what of the pull test was done; empty: it was not wanted.
func (x *psuExam) pullCoverage() string {
	if !x.pulls.wanted {
		return ""
	}

	if x.pulls.why != "" {
		return "pull test NOT done: " + x.pulls.why
	}

	done := 0

	for _, p := range x.pulls.done {
		if p.Back {
			done++
		}
	}

	return fmt.Sprintf("cords of %d of %d pulled and put back", done, len(x.pulls.slots))
}

// pullStep is the sub-step of the pull test.
func (x *psuExam) pullStep(verdict core.Verdict) core.SubStep {
	step := core.SubStep{Name: "pull test", Verdict: verdict, Progress: 1, Summary: x.pullCoverage()}
	if x.pulls.why != "" {
		step.Verdict = core.Error
	}

	return step
}
