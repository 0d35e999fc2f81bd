package view

import (
	"fmt"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/profile"
	"vetting/core/report"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// failWords says what comes of giving a host up.
func (r *Run) failWords() string {
	words := "The hold ends, and the agent leaves the machine to you. The verdict is fail"
	if r.Run.Verdict == core.Error {
		words += ", where it was an error of the test until now"
	}

	return words + "; report and audit trail say who ended the run, and why."
}

// pendingWords says what a run may do that has not begun.
func (r *Run) pendingWords() string {
	if n := len(r.Run.Armed); n > 0 && profile.Destructive(&r.Run.Profile) {
		return fmt.Sprintf("This run overwrites %s: %s.", text.Count(n, "disk", "disks"), text.Line(strings.Join(r.Run.Armed, ", ")))
	}

	return "The start of this run can be withdrawn."
}

// cancelWords says what is lost by cancelling a run, and how it leaves the disks.
func (r *Run) cancelWords() string {
	words := "The agent stops its work."

	if run := &r.Run; run.StartedAt.IsZero() {
		words += " Nothing was tested yet."
	} else {
		words += " " + text.Duration(r.Frame.Now.Sub(run.StartedAt).Round(time.Second)) + " are spent; what was tested until now stays in the report."
	}

	return words + " " + r.disksLeft()
}

// disksLeft says in which state the disks of a run are when it ends now.
func (r *Run) disksLeft() string {
	run := &r.Run
	at := run.StageAt(core.Storage)

	switch {
	case at < 0 || len(run.Armed) == 0 || !profile.Destructive(&run.Profile):
		return "The disks are as they were: this run writes to none."
	case run.Stages[at].Phase == core.Pending && run.Stages[at].Attempt == 0:
		return "The disks are as they were: Storage, which overwrites " + text.Line(strings.Join(run.Armed, ", ")) + ", has not begun."
	case run.Stages[at].Phase == core.Done:
		return "The armed disks (" + text.Line(strings.Join(run.Armed, ", ")) + ") hold what Storage left on them; nothing of what was there before can be read back. All others are as they were."
	default:
		return "Storage is under way: the armed disks are left partly overwritten with test patterns (" + r.armedDone(&run.Stages[at]) + "). What was there before is lost; all others are as they were."
	}
}

// armedDone says how far each armed disk is.
func (r *Run) armedDone(st *core.Stage) string {
	words := make([]string, len(r.Run.Armed))

	for i, serial := range r.Run.Armed {
		words[i] = text.Line(serial)

		for k := range st.Meters {
			if m := &st.Meters[k]; m.Part.Serial == serial {
				words[i] += " " + percent(m.Done) + " % done"
			}
		}
	}

	return strings.Join(words, ", ")
}

// lights are the disks and network ports that may be found by a light.
func (r *Run) lights() (parts []*report.Component) {
	for i := range r.Report.Components {
		if c := &r.Report.Components[i]; lightName(c) != "" {
			parts = append(parts, c)
		}
	}

	return parts
}

// lightName is what the agent finds a part by; empty: by nothing.
func lightName(c *report.Component) string {
	switch c.Kind {
	case core.LightDisk:
		return c.Serial
	case core.LightNIC:
		return c.Slot
	default:
		return ""
	}
}

// lit reports whether a light was asked for that is to be on yet.
func (r *Run) lit() bool {
	h := r.Run.Hold

	return h != nil && h.Light != nil && r.Frame.Now.Before(h.Light.Until)
}

func lightWord(kind string) string {
	if kind == core.LightNIC {
		return "port"
	}

	return kind
}

// needsDecision marks what waits for a person.
func needsDecision() mark.Mark {
	return mark.Mark{Class: "hold", Icon: "pause", Word: "This host needs a decision"}
}
