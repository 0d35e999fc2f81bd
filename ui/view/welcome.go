package view

import (
	"slices"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/mark"
)

// Welcome is the page of first steps.
type Welcome struct {
	Frame     Frame
	Facts     *NetbootFacts // nil: this appliance serves no boots
	Checks    []route.HealthCheck
	Notifiers []string
	Rows      []HostRow
	Heard     []core.Sighting // some machines that are not registered
	Boots     []Boot          // heard last first
	Quick     []QuickLine
	Steered   bool // the appliance itself can be changed here
}

// stepMark says whether a step is behind us.
func stepMark(done bool) mark.Mark {
	if done {
		return mark.Mark{Class: "pass", Icon: "check", Word: "Done"}
	}

	return mark.Mark{Class: "idle", Icon: "ring", Word: "To do"}
}

// well reports whether the boot services answer.
func (w *Welcome) well() bool {
	return w.Facts != nil && !slices.ContainsFunc(w.Checks, func(c route.HealthCheck) bool { return !c.OK })
}

func (w *Welcome) networkMark() mark.Mark {
	switch {
	case w.well():
		return mark.Mark{Class: "pass", Icon: "check", Word: "Answers"}
	case w.Facts == nil:
		return mark.Mark{Class: "warn", Icon: "bang", Word: "No test NIC"}
	default:
		return mark.Mark{Class: "fail", Icon: "cross", Word: "Needs a look"}
	}
}

// vetted is a host that has a run, the one that got furthest; nil: none has.
func (w *Welcome) vetted() (best *HostRow) {
	for i := range w.Rows {
		if run := w.Rows[i].Run; run != nil && (best == nil || run.State.Over() && !best.Run.State.Over()) {
			best = &w.Rows[i]
		}
	}

	return best
}

// first is the host to start with: one that has no run; nil: there is none.
func (w *Welcome) first() *HostRow {
	for i := range w.Rows {
		if w.Rows[i].Run == nil && w.Rows[i].Host.Quarantine == "" {
			return &w.Rows[i]
		}
	}

	return nil
}
