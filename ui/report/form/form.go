// Package form writes a report for programs: CSV for spreadsheets, JSON lines of the
// OCP diagnostic output specification 2.0, and JUnit XML for pipelines. All are made
// from the one model, and none of them reads as pass unless the report does. What
// machines say of themselves is cleaned of what steers terminals before it is written.
package form

import (
	"strconv"
	"strings"

	"vetting/core"
	"vetting/ui/text"
)

// number writes a measured value; nothing for none.
func number(v *float64) string {
	if v == nil {
		return ""
	}

	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// name names a part on one line: "disk sda ST4000 S1".
func name(p core.Part) string {
	return strings.Join(strings.Fields(text.Line(strings.Join([]string{p.Kind, p.Slot, p.Model, p.Serial}, " "))), " ")
}

// sentence says a finding in one line: what, of which part, and what was seen.
func sentence(f *core.Finding) string {
	said := text.Line(f.Title)
	if part := name(f.Part); part != "" {
		said += " (" + part + ")"
	}

	if f.Evidence != "" {
		said += ": " + text.Block(f.Evidence)
	}

	if f.Next != "" {
		said += " Next: " + text.Block(f.Next)
	}

	if f.Waiver != nil {
		said += " Waived " + text.Block(f.Waiver.Words())
	}

	return said
}
