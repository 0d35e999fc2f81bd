// Package report draws a core/report.Report as a page that needs nothing else:
// no script, no font, no network; it prints on A4.
package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/mark"
	"vetting/ui/plot"
	"vetting/ui/report/seal"
	"vetting/ui/static"
	"vetting/ui/text"
)

// ownCSS is what the page has beyond the shared style.
const ownCSS = `main>section,main>.two{margin-top:12px}`

// Style is the inline style of the page.
func Style() string { return static.Base() + ownCSS }

// Policy is the content security policy of the page: it may do nothing but look.
func Policy() string { return metaPolicy() + "; frame-ancestors 'none'" }

// metaPolicy is what of the policy a page may say of itself (CSP3 section 3.3), which
// counts where no server says it: in a file.
func metaPolicy() string {
	return "default-src 'none'; style-src " + static.Hash(Style()) + "; base-uri 'none'; form-action 'none'"
}

// With is what a page shows beside its report. It is not signed as data; the page that shows it
// is, to its last byte.
type With struct {
	Charts []plot.Chart // of what was measured
	Link   string       // address of the run on the appliance; empty: nobody reaches it there
}

// WriteHTML writes r as one page, signed with key unless that is the zero value.
func WriteHTML(ctx context.Context, w io.Writer, r report.Report, with With, key seal.Key) error {
	drawn, err := seal.Page(r, key, func(r report.Report) ([]byte, error) {
		var b bytes.Buffer
		err := page(r, with, Style()).Render(ctx, &b)

		return b.Bytes(), err
	})
	if err != nil {
		return fmt.Errorf("drawing the report of %s: %w", r.Run.ID, err)
	}

	if _, err = w.Write(drawn); err != nil {
		return fmt.Errorf("writing the report of %s: %w", r.Run.ID, err)
	}

	return nil
}

// WriteJSON writes r as indented JSON, signed likewise.
func WriteJSON(w io.Writer, r report.Report, key seal.Key) error {
	signed, err := seal.JSON(r, key)
	if err != nil {
		return err
	}

	if _, err = w.Write(signed); err != nil {
		return fmt.Errorf("writing the report of %s: %w", r.Run.ID, err)
	}

	return nil
}

// Title names the machine: maker, product and serial, or what is known of it.
func Title(r *report.Report) string {
	machine := strings.TrimSpace(text.Line(r.Host.Manufacturer) + " " + text.Line(r.Host.Product))
	if machine == "" {
		machine = text.Line(r.Host.Name)
	}

	if machine == "" {
		machine = string(r.Host.MAC)
	}

	if r.Host.Serial != "" {
		machine += " · " + text.Line(r.Host.Serial)
	}

	return machine
}

// subtitle says which run it was.
func subtitle(r *report.Report) string {
	parts := []string{text.Line(r.Host.Name), string(r.Host.MAC)}

	if r.Host.AssetTag != "" {
		parts = append(parts, "asset "+text.Line(r.Host.AssetTag))
	}

	parts = append(parts, "profile "+text.Line(r.Run.Profile))

	if r.Run.ScaleNote != "" {
		parts = append(parts, "durations × "+strconv.FormatFloat(r.Run.Scale, 'g', -1, 64))
	}

	if !r.Run.StartedAt.IsZero() {
		parts = append(parts, span(r.Run.StartedAt.UTC(), r.Run.EndedAt.UTC()))
	}

	return strings.Join(parts, " · ")
}

// span says when a run was, to the minute: "22 Nov 2026 22:31 to 23 Nov 08:12 UTC". What both
// ends have in common is said once; a run that has not ended has none.
func span(from, to time.Time) string {
	const clock, day, year = "15:04", "2 Jan", "2006"

	words := from.Format(day + " " + year + " " + clock)

	switch {
	case to.IsZero():
	case from.Format(time.DateOnly) == to.Format(time.DateOnly):
		words += " to " + to.Format(clock)
	case from.Year() == to.Year():
		words += " to " + to.Format(day+" "+clock)
	default:
		words += " to " + to.Format(day+" "+year+" "+clock)
	}

	return words + " UTC"
}

// timeWords says to the second when a run was, and how long it took.
func timeWords(run *report.Run) string {
	took := text.Duration(time.Duration(run.DurationS) * time.Second)

	switch {
	case run.StartedAt.IsZero():
		return "not started"
	case run.EndedAt.IsZero():
		return text.UTC(run.StartedAt) + ", not ended, " + took + " until now"
	default:
		return text.UTC(run.StartedAt) + " to " + text.UTC(run.EndedAt) + ", " + took
	}
}

// FindingsHead is the heading of a list of findings: it tells how many somebody bears with.
func FindingsHead(list []core.Finding) string {
	waived := 0

	for i := range list {
		if list[i].Waiver != nil {
			waived++
		}
	}

	if waived == 0 {
		return "Findings"
	}

	return report.CountWaived(len(list), waived, "finding", "findings")
}

func stageMark(s report.Stage) mark.Mark {
	if s.Phase != core.Done {
		if s.Phase == core.Active && s.Name == core.Reporting {
			return mark.Mark{Class: "pass", Icon: "check", Word: "This report"}
		}

		return mark.Mark{Class: "idle", Icon: "ring", Word: "Not done"}
	}

	return mark.Stage(s.Phase, s.Verdict, s.Warnings)
}

func stageTime(s report.Stage) string {
	if s.StartedAt.IsZero() {
		return "–"
	}

	return text.Duration(time.Duration(s.DurationS) * time.Second)
}

func stageResult(s report.Stage) string {
	words := []string{}

	if s.Reason != "" {
		words = append(words, text.Line(s.Reason))
	}

	if s.Coverage != "" {
		words = append(words, text.Line(s.Coverage))
	}

	if s.Criticals > 0 {
		words = append(words, report.CountWaived(s.Criticals, s.CriticalsWaived, "critical finding", "critical findings"))
	}

	if s.Warnings > 0 {
		words = append(words, report.CountWaived(s.Warnings, s.WarningsWaived, "warning", "warnings"))
	}

	if s.Attempt > 1 {
		words = append(words, "attempt "+strconv.Itoa(s.Attempt))
	}

	for i := range s.Earlier {
		words = append(words, earlier(&s.Earlier[i]))
	}

	return strings.Join(words, "; ")
}

// earlier says what came of an attempt before: "attempt 1 ended in fail (A disk holds data)".
func earlier(a *report.Attempt) string {
	said := fmt.Sprintf("attempt %d ended in %s", a.Attempt, a.Verdict)
	if len(a.Findings) == 0 {
		return said
	}

	why := text.Line(a.Findings[0].Title)
	if part := Part(a.Findings[0].Part); part != "" {
		why += ", " + part
	}

	return said + " (" + why + ")"
}

// Part names a part on one line: "disk sda · ST4000NM000A · serial S1".
func Part(p core.Part) string {
	words := []string{}

	if name := partName(p.Kind, p.Slot); name != "" {
		words = append(words, name)
	}

	if p.Model != "" {
		words = append(words, text.Line(p.Model))
	}

	if p.Serial != "" {
		words = append(words, "serial "+text.Line(p.Serial))
	}

	return strings.Join(words, " · ")
}

// partName names a part by its kind and its slot. A slot that begins with the
// kind ("DIMM_A1", "CPU 0") says both.
func partName(kind, slot string) string {
	word, slot := kindWord(kind), text.Line(slot)
	if strings.HasPrefix(strings.ToLower(slot), strings.ToLower(word)) {
		return slot
	}

	return strings.TrimSpace(word + " " + slot)
}

func kindWord(kind string) string {
	switch kind {
	case "cpu", "dimm", "nic", "gpu", "psu":
		return strings.ToUpper(kind)
	default:
		return text.Line(kind)
	}
}

func componentMark(c report.Component) mark.Mark {
	if c.Worst == "" {
		return mark.Mark{Class: "idle", Icon: "dash", Word: "No finding"}
	}

	return mark.Severity(c.Worst)
}

func value(v *float64) string {
	if v == nil {
		return "not measured"
	}

	return strconv.FormatFloat(*v, 'g', 6, 64)
}

// valueOf is the worst value with its unit.
func valueOf(e *report.Evaluation) string {
	if e.Value == nil {
		return value(nil)
	}

	return strings.TrimSpace(value(e.Value) + " " + plot.UnitOf(e.Key))
}

func diffMark(d report.SpecDiff) mark.Mark {
	if d.NotReported {
		return mark.Mark{Class: mark.Severity(d.Severity).Class, Icon: "query", Word: "Not reported"}
	}

	return mark.Severity(d.Severity)
}

func componentInfo(c report.Component) string {
	words := []string{}

	for _, w := range []struct{ label, word string }{{"", c.Detail}, {"", c.Address}, {"WWN ", c.WWN}} {
		if w.word != "" {
			words = append(words, w.label+text.Line(w.word))
		}
	}

	return strings.Join(words, " · ")
}

func modelOf(c report.Component) string {
	return strings.TrimSpace(text.Line(c.Vendor) + " " + text.Line(c.Model))
}

// steps parts the path of a field where a line may be broken: memory.dimms[A2].speed.
func steps(path string) []string { return strings.SplitAfter(text.Line(path), ".") }

func dash(s string) string {
	if s = text.Line(s); s == "" {
		return "–"
	}

	return s
}

func stageSuffix(stage core.StageName) string {
	if stage == "" {
		return ""
	}

	return " · " + text.Line(stage)
}

// grouped joins the gaps that have the same reason into one line.
func grouped(gaps []report.Gap) []report.Gap {
	var list []report.Gap

	for _, g := range gaps {
		line := report.Gap{What: text.Line(g.What), Why: text.Line(g.Why)}

		if i := slices.IndexFunc(list, func(o report.Gap) bool { return o.Why == line.Why }); i >= 0 {
			list[i].What += ", " + line.What
		} else {
			list = append(list, line)
		}
	}

	return list
}

// evaluationMark marks a series: what its rule said of all of it, and how grave.
func evaluationMark(e *report.Evaluation) mark.Mark {
	if e.Verdict != core.Fail {
		return mark.Verdict(e.Verdict)
	}

	return mark.Severity(e.Severity)
}

// rangeWords says what was measured: "31 to 44, 1200 times".
func rangeWords(s *report.Series) string {
	if s.Count == 0 {
		return "never a number"
	}

	return value(&s.Min) + " to " + value(&s.Max) + ", " + text.Count(s.Count, "value", "values")
}

// breachWords says how often and since when a series was outside its limit.
func breachWords(s *report.Series) string {
	var words []string

	if s.Bad > 0 {
		line := strconv.Itoa(s.Bad) + " outside"
		if s.Breached > 1 {
			line += " in " + strconv.Itoa(s.Breached) + " stretches"
		}

		if !s.BadFrom.IsZero() {
			line += ", first at " + s.BadFrom.UTC().Format("15:04:05 UTC")
		}

		words = append(words, line)
	}

	if s.Silent > 0 {
		words = append(words, text.Count(s.Silent, "sample", "samples")+" without a value")
	}

	return strings.Join(words, "; ")
}

// ChecksOf are the checks of one piece of firmware.
func ChecksOf(checks []report.Check, item *report.Firmware) (list []report.Check) {
	for i := range checks {
		if c := &checks[i]; c.Part == item.Part && c.Name == item.Name {
			list = append(list, *c)
		}
	}

	return list
}

// Lacking are the checks of firmware that the machine does not tell.
func Lacking(checks []report.Check) (list []report.Check) {
	for i := range checks {
		if checks[i].Name == "" {
			list = append(list, checks[i])
		}
	}

	return list
}

// checkMark shows what came of a check: a breach by how grave it is.
func checkMark(c *report.Check) mark.Mark {
	if c.Verdict == core.Fail {
		return mark.Severity(c.Severity)
	}

	return mark.Verdict(c.Verdict)
}
