package form

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/plot"
	"vetting/ui/sheet"
	"vetting/ui/text"
)

// columns are those of CSV. The record says what a row is about.
func columns() []string {
	return []string{
		"run", "host", "mac", "host_serial", "record", "stage", "name", "kind", "slot", "model", "serial", "firmware",
		"verdict", "severity", "value", "unit", "limit", "text", "next",
	}
}

// line is one row; what does not belong to its record stays empty.
type line struct {
	record, stage, name string
	part                core.Part
	firmware            string
	verdict, severity   string
	value, unit, limit  string
	text, next          string
}

// CSV writes the report as one table: a row for the verdict, each thing that was not
// tested, each stage and its steps, finding, waiver, part, firmware, difference from the spec,
// series and piece of software. A cell that a spreadsheet would compute gets a quote.
func CSV(w io.Writer, r *report.Report) error {
	out := csv.NewWriter(w)
	rows := [][]string{columns()}

	for _, l := range linesOf(r) {
		row := []string{
			string(r.Run.ID), r.Host.Name, string(r.Host.MAC), r.Host.Serial, l.record, l.stage, l.name, l.part.Kind, l.part.Slot, l.part.Model,
			l.part.Serial, l.firmware, l.verdict, l.severity, l.value, l.unit, l.limit, l.text, l.next,
		}
		for i := range row {
			row[i] = cell(row[i])
		}

		rows = append(rows, row)
	}

	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the report of %s as CSV: %w", r.Run.ID, err)
	}

	return nil
}

// cell makes text of anybody fit for a spreadsheet. A number below zero is no formula.
func cell(s string) string {
	s = strings.TrimSpace(text.Block(s))
	if regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?$`).MatchString(s) {
		return s
	}

	return sheet.Guard(s)
}

func linesOf(r *report.Report) []line {
	all := []line{{record: "verdict", verdict: r.Verdict.Words, text: r.Summary, value: strconv.FormatInt(r.Run.DurationS, 10), unit: "s"}}

	for _, g := range r.NotTested {
		all = append(all, line{record: "not tested", stage: string(g.Stage), name: g.What, text: g.Why})
	}

	for i := range r.Findings {
		f := &r.Findings[i]
		all = append(all, line{
			record: "finding", stage: string(f.Stage), name: f.Code, part: f.Part, severity: string(f.Severity), text: f.Title + ": " + f.Evidence, next: f.Next,
		})

		if f.Waiver != nil {
			all = append(all, line{record: "waiver", stage: string(f.Stage), name: f.Code, part: f.Part, severity: string(f.Severity), text: f.Waiver.Words()})
		}
	}

	for i := range r.Stages {
		all = append(all, stageLines(&r.Stages[i])...)
	}

	for i := range r.Components {
		c := &r.Components[i]
		all = append(all, line{record: "part", part: c.Part, firmware: c.Firmware, severity: string(c.Worst), text: c.Detail})
	}

	for _, f := range r.Firmware {
		all = append(all, line{record: "firmware", name: f.Name, part: f.Part, firmware: f.Version, text: f.Date})
	}

	for _, d := range r.SpecDiffs {
		all = append(all, line{
			record: "spec", stage: string(core.SpecValidate), name: d.Path, part: d.Part, severity: string(d.Severity), value: d.Actual, limit: d.Expected,
		})
	}

	for i := range r.Evaluations {
		e := &r.Evaluations[i]
		all = append(all, line{
			record: "limit", stage: string(e.Stage), name: e.Rule, verdict: string(e.Verdict), severity: string(e.Severity), value: number(e.Value),
			unit: plot.UnitOf(e.Key), limit: core.LimitWords(e.Limit), text: e.Key,
		})
	}

	for _, d := range r.Software {
		all = append(all, line{record: "software", name: d.Name, firmware: d.Version, text: d.SHA256})
	}

	return append(all, line{record: "written", name: r.Appliance.Name, text: r.GeneratedAt.Format(time.RFC3339)})
}

func stageLines(s *report.Stage) []line {
	said := s.Coverage
	if s.Reason != "" {
		said = s.Reason
	}

	verdict := string(s.Verdict)
	if s.Phase != core.Done {
		verdict = "not done"
	}

	all := []line{{
		record: "stage", stage: string(s.Name), name: "attempt " + strconv.Itoa(s.Attempt), verdict: verdict,
		value: strconv.FormatInt(s.DurationS, 10), unit: "s", text: said,
	}}

	for _, step := range s.SubSteps {
		all = append(all, line{record: "step", stage: string(s.Name), name: step.Name, part: step.Part, verdict: string(step.Verdict), text: step.Summary})
	}

	return all
}
