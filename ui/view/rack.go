package view

import (
	"strconv"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// HostRow is a host with the run that matters: the current one, else the last.
type HostRow struct {
	Host  core.Host
	Run   *core.Run // nil: never vetted
	Model string    // maker and product, as the last run found them

	Presence *core.Presence // of its installed agent; nil: never heard
}

// Mark is how the host looks.
func (h *HostRow) Mark() mark.Mark { return mark.Host(&h.Host, h.Run) }

// Rack is the page of tiles.
type Rack struct {
	Frame Frame
	Rows  []HostRow
	Quick []QuickLine
}

// counters are the boxes on top of the rack, in their order.
func (r Rack) counters() []counter {
	list := []counter{
		{Mark: mark.Mark{Class: "run", Icon: "play", Word: "Running"}},
		{Mark: mark.Mark{Class: "hold", Icon: "pause", Word: "Holding"}},
		{Mark: mark.Mark{Class: "fail", Icon: "cross", Word: "Fail"}},
		{Mark: mark.Mark{Class: "warn", Icon: "bang", Word: "Warning"}},
		{Mark: mark.Mark{Class: "pass", Icon: "check", Word: "Pass"}},
		{Mark: mark.Mark{Class: "idle", Icon: "ring", Word: "Waiting"}},
	}

	for i := range r.Rows {
		class := r.Rows[i].Mark().Class
		if class == "err" {
			class = "fail"
		}

		for j := range list {
			if list[j].Mark.Class == class {
				list[j].N++
			}
		}
	}

	return list
}

type counter struct {
	Mark mark.Mark
	N    int
}

func (c counter) n() string { return strconv.Itoa(c.N) }

// decision is a host that waits for a person.
type decision struct {
	Row  *HostRow
	Text string
}

// decisions are the hosts that wait for a person.
func (r Rack) decisions() []decision {
	var list []decision

	for i := range r.Rows {
		row := &r.Rows[i]

		switch {
		case row.Host.Quarantine != "":
			list = append(list, decision{row, "quarantined: " + text.Line(row.Host.Quarantine)})
		case row.Run != nil && row.Run.State == core.StateFailedHolding:
			list = append(list, decision{row, Why(row.Run)})
		}
	}

	return list
}

// summary is the line under the title.
func (r Rack) summary() string {
	busy, queued := 0, 0

	for i := range r.Rows {
		run := r.Rows[i].Run
		if run == nil || run.State.Over() {
			continue
		}

		if run.State == core.StateQueued || run.State == core.StateRegistered {
			queued++
		} else {
			busy++
		}
	}

	line := text.Count(len(r.Rows), "host", "hosts") + " · " + text.Count(busy, "run", "runs") + " under way"
	if queued > 0 {
		line += " · " + strconv.Itoa(queued) + " queued"
	}

	return line
}

// Why says in one sentence what stopped a run.
func Why(run *core.Run) string {
	r := report.Build(report.Input{Run: *run})
	if len(r.Findings) > 0 {
		f := r.Findings[0]
		words := text.Line(f.Title)

		if f.Evidence != "" {
			words += ": " + text.Line(f.Evidence)
		}

		return words
	}

	return text.Line(r.Summary)
}

// line is the middle line of the tile: what goes on, or what came of it.
func (h *HostRow) line() string {
	run := h.Run

	switch {
	case h.Host.Quarantine != "":
		return text.Line(h.Host.Quarantine)
	case run == nil:
		return "never vetted"
	case run.State.Over() || run.State == core.StateFailedHolding:
		if f := worstFinding(run); f != "" {
			return f
		}

		if run.EndedAt.IsZero() {
			return Why(run)
		}

		return text.Line(run.Profile.Name) + ", " + text.Duration(run.EndedAt.Sub(run.StartedAt))
	case run.State == core.StateQueued || run.State == core.StateRegistered:
		return "waiting for a free place"
	case run.State == core.StateWaitingPower:
		return "waiting for power"
	case run.State == core.StateWaitingWoL:
		return "magic packet sent"
	case run.State == core.StateWaitingReboot:
		return "told to reboot"
	case run.State == core.StateBooting:
		return "waiting for the agent"
	case run.State == core.StateFailed:
		return "stopping its work for the hold"
	default:
		return string(run.State)
	}
}

func worstFinding(run *core.Run) string {
	r := report.Build(report.Input{Run: *run})
	if len(r.Findings) == 0 || r.Findings[0].Severity == core.Info {
		return ""
	}

	return text.Line(r.Findings[0].Title)
}

// foot is the small line of the tile; moment is the time at its end.
func (h *HostRow) foot() string {
	run := h.Run
	if run == nil {
		return "start a run from the host's page"
	}

	at, _ := route.Position(run)
	line := strconv.Itoa(at+1) + " of " + text.Count(len(run.Stages), "stage", "stages")

	switch {
	case run.State.Over():
		return line + " · finished "
	case h.waiting():
		return line + " · waiting for you since "
	case at >= 0:
		if left := text.Left(run.Stages[at].ETA); left != "" && run.Stages[at].Phase == core.Active {
			return line + " · " + left + " left"
		}

		return line
	case !run.Deadline.IsZero():
		return "must answer by "
	default:
		return "profile " + text.Line(run.Profile.Name)
	}
}

// moment is the time that ends the small line; zero for none.
func (h *HostRow) moment() time.Time {
	run := h.Run

	switch {
	case run == nil:
		return time.Time{}
	case run.State.Over():
		return run.EndedAt
	case h.waiting():
		return run.UpdatedAt
	default:
		if at, _ := route.Position(run); at >= 0 {
			return time.Time{}
		}

		return run.Deadline
	}
}

func (h *HostRow) waiting() bool {
	return h.Run.State == core.StateFailedHolding || h.Run.State == core.StateFailed
}

// bar is how far the bar of the tile is; ok is false when it has none.
func (h *HostRow) bar() (p float64, ok bool) {
	if h.Run == nil {
		return 0, false
	}

	at, done := route.Position(h.Run)

	return done, at >= 0
}

// sub is the line under the host's name.
func (h *HostRow) sub() string {
	if m := text.Line(h.Model); m != "" {
		return m
	}

	return string(h.Host.MAC)
}

// href leads to the run that goes on, else to the host.
func (h *HostRow) href() string {
	if h.Run != nil && !h.Run.State.Over() && h.Host.Quarantine == "" {
		return "/runs/" + string(h.Run.ID)
	}

	return "/hosts/" + string(h.Host.MAC)
}
