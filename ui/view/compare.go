package view

import (
	"strconv"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/mark"
	"vetting/ui/plot"
	"vetting/ui/text"
)

// Compare is two runs side by side. Without reports it asks for them.
type Compare struct {
	Frame Frame
	A, B  string // as they were asked for
	Found *report.Comparison
}

// both are the two reports, the first one first.
func (c *Compare) both() []*report.Report { return []*report.Report{c.Found.A, c.Found.B} }

func pairMark(of *report.Report, s *report.Stage) mark.Mark {
	if s == nil {
		return mark.Mark{Class: "idle", Icon: "dash", Word: "Not planned"}
	}

	if of.Run.State.Over() && s.Phase != core.Done {
		return mark.Unfinished(!s.StartedAt.IsZero())
	}

	return mark.Stage(s.Phase, s.Verdict, s.Warnings)
}

// partWords says what is in a slot: model, serial and firmware.
func partWords(c *report.Component) string {
	if c == nil {
		return "nothing"
	}

	words := text.Line(c.Model)
	if c.Serial != "" {
		words += " · serial " + text.Line(c.Serial)
	}

	if c.Firmware != "" {
		words += " · firmware " + text.Line(c.Firmware)
	}

	return words + " · " + text.Line(c.Detail)
}

func limitWord(e *report.Evaluation) string {
	switch {
	case e == nil:
		return "–"
	case e.Value == nil:
		return "not measured"
	default:
		return strconv.FormatFloat(*e.Value, 'g', 6, 64) + " " + plot.UnitOf(e.Key)
	}
}

func limitMark(e *report.Evaluation) mark.Mark {
	switch {
	case e == nil:
		return mark.Mark{Class: "idle", Icon: "dash", Word: "Not judged"}
	case e.Verdict == core.Fail:
		return mark.Severity(e.Severity)
	default:
		return mark.Verdict(e.Verdict)
	}
}

func percentWord(c *float64) string {
	if c == nil {
		return "–"
	}

	sign := ""
	if *c > 0 {
		sign = "+"
	}

	return sign + strconv.FormatFloat(*c, 'f', -1, 64) + " %"
}

func inWord(f *core.Finding) string {
	if f == nil {
		return "no"
	}

	if f.Waiver != nil {
		return "yes, waived"
	}

	return "yes"
}
