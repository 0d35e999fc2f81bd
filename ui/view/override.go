package view

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/ui/text"
)

// Override is what a class or a host changes of the profile, as a form shows it.
type Override struct {
	Skips  []SkipRow
	Config string // a setting a line: "SMART.self_test = none"
	Rules  []RuleRow
}

// SkipRow is a stage and why it is not run; no reason: it is run.
type SkipRow struct {
	Stage  core.StageName
	Reason string
}

// RuleRow is a rule as it was typed.
type RuleRow struct {
	ID, Stage, Key, Op, Value, Of, Fallback, Severity, Code, For, Count string

	Required bool
}

// Blank reports whether nothing was typed that makes a rule.
func (r *RuleRow) Blank() bool {
	return strings.TrimSpace(r.ID+r.Key+r.Value) == ""
}

// Skippable are the stages that can be left out.
func Skippable() []core.StageName {
	return slices.DeleteFunc(core.Pipeline(), func(s core.StageName) bool { return s == core.InventoryCheck || s == core.Reporting })
}

// NewOverride writes o into the form.
func NewOverride(o *core.Override) *Override {
	form := &Override{}

	for _, stage := range Skippable() {
		form.Skips = append(form.Skips, SkipRow{stage, o.Skip[stage]})
	}

	for _, key := range slices.Sorted(maps.Keys(o.Config)) {
		form.Config += key + " = " + o.Config[key] + "\n"
	}

	for i := range o.Rules {
		form.Rules = append(form.Rules, ruleRow(&o.Rules[i]))
	}

	return form
}

func ruleRow(r *core.Rule) RuleRow {
	row := RuleRow{
		ID: r.ID, Stage: r.Stage, Key: r.Key, Op: string(r.Op), Value: strconv.FormatFloat(r.Value, 'g', -1, 64), Of: r.Of,
		Severity: string(r.Severity), Code: r.Code, Required: r.Required,
	}

	if r.Fallback != 0 {
		row.Fallback = strconv.FormatFloat(r.Fallback, 'g', -1, 64)
	}

	if r.For > 0 {
		row.For = r.For.String()
	}

	if r.Count > 0 {
		row.Count = strconv.Itoa(r.Count)
	}

	return row
}

// rows are the rules with room for one more.
func (o *Override) rows() []RuleRow {
	return append(slices.Clone(o.Rules), RuleRow{Stage: "*", Op: string(core.OpLTE), Severity: string(core.Warning)})
}

// overrideWords sums an override up; empty when it changes nothing.
func overrideWords(o *core.Override) string {
	var words []string

	for _, stage := range core.Pipeline() {
		if why, ok := o.Skip[stage]; ok {
			words = append(words, fmt.Sprintf("%s is skipped: %s", stage, text.Line(why)))
		}
	}

	for _, key := range slices.Sorted(maps.Keys(o.Config)) {
		words = append(words, text.Line(key)+" is "+text.Line(o.Config[key]))
	}

	for i := range o.Rules {
		words = append(words, ruleWords(&o.Rules[i]))
	}

	return strings.Join(words, "; ")
}

func ruleWords(r *core.Rule) string {
	limit := fmt.Sprintf("%s %s", r.Op, strconv.FormatFloat(r.Value, 'g', -1, 64))
	if r.Of != "" {
		limit += " % of " + text.Line(r.Of)
	}

	words := fmt.Sprintf("%s in %s must be %s, else %s", text.Line(r.Key), text.Line(r.Stage), limit, r.Severity)

	if r.For > 0 {
		words += ", after " + r.For.Round(time.Second).String()
	}

	return words
}

// settingsSaid are the settings of the profiles, to pick from.
func settingsSaid(profiles []core.Profile) string {
	said := map[string]string{}

	for i := range profiles {
		maps.Copy(said, profiles[i].Config)
	}

	words := make([]string, 0, len(said))
	for _, key := range slices.Sorted(maps.Keys(said)) {
		words = append(words, key+" = "+said[key])
	}

	return strings.Join(words, ", ")
}

func ops() []core.Op {
	return []core.Op{core.OpLT, core.OpLTE, core.OpGT, core.OpGTE, core.OpWithinPct}
}

func opWord(op core.Op) string {
	return map[core.Op]string{
		core.OpLT: "below", core.OpLTE: "at most", core.OpGT: "above", core.OpGTE: "at least", core.OpWithinPct: "within % of",
	}[op]
}

// overrides is the form as the page shows it.
func (h *Host) overrides() *Override {
	if h.Override != nil {
		return h.Override
	}

	return NewOverride(&h.Row.Host.Overrides)
}
